"""Masking: what is known to be a credential, or stands where one does, is recorded as a short stable hash of itself.

Known: what was given in settings, in all sessions of a kernel, and what came over the wire, in its session; wherever
it turns up, also percent-encoded or escaped. Standing there: strings in the fields of `FIELDS` and of the dialect, at
any depth of a payload; the same names in a query string, a header, or JSON within a text; web tokens. All else stays
as it came. Only texts are changed, never the JSON around them.
"""

from __future__ import annotations

import html
import re
import threading
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from socketnb.model.secret import clean, masked
from socketnb.recording.lines import NOT_JSON, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

FIELDS = frozenset(
    "token urltoken access_token accesstoken refresh_token refreshtoken participant_token participanttoken "
    "authorization proxy-authorization api_key apikey api-key x-api-key sessionkey".split()
)
"""Names of fields that hold credentials, in lower case."""
HEADERS = frozenset({"authorization", "proxy-authorization", "api-key", "x-api-key"})
"""Names of headers that hold credentials, in lists of objects with a name and a value."""
TOKEN = r"(?<![\w-])eyJ[\w-]{6,}+\.[\w-]{6,}+\.[\w-]*+"  # noqa: S105 (a pattern)
WORD = r"(?!\*\*\*)(?=[\w.~+/-]{0,99}[A-Za-z])(?=[\w.~+/-]{0,99}%s)[\w.~+/=-]{9,}+"
LIKELY, SURELY = WORD % r"(?:\d|[a-z][A-Z])", WORD % r"\d"
"""Words that may be credentials: of some length, of letters with digits, or capitals, among them."""
SCHEMES = "basic|bearer|token|apikey|key|oauth"
LONGEST = 4096
"""Characters of a credential between quotes; a pattern without an end would take for ever."""
NOT_A_SECRET = 4
"""A credential shorter than this is masked as a field only: it would turn up everywhere by chance."""
A_NUMBER = 6
"""Digits of a number that may be a credential: shorter ones count something."""
WORDS = 4096
"""Short texts that are remembered."""


class Secrets:
    """Credentials that are known, each with the pattern of the forms in which it may turn up. Thread-safe.

    Args:
        shared: others that are known here too.
    """

    def __init__(self, shared: Secrets | None = None) -> None:
        self._shared = shared
        self._lock: threading.RLock = shared._lock if shared else threading.RLock()  # noqa: SLF001 (of its own kind)
        self._own: tuple[Known, ...] = ()
        self._sharers: weakref.WeakSet[Secrets] = weakref.WeakSet()
        self.known: tuple[Known, ...] = ()
        with self._lock:
            if shared:
                shared._sharers.add(self)  # noqa: SLF001 (of its own kind)
            self._learn()

    def add(self, secret: str) -> None:
        """Know a credential from here on."""
        if len(secret) < NOT_A_SECRET:
            return
        with self._lock:
            if secret in (known.secret for known in self._own):
                return
            self._own = (*self._own, Known(secret, _plain(secret) or secret, re.compile("".join(map(_forms, secret)))))
            for one in (self, *self._sharers):
                one._learn()  # noqa: SLF001 (of its own kind)

    def _learn(self) -> None:
        """Know all of them, the longest first, since one may begin with another; one step, for others are masking."""
        shared = self._shared.known if self._shared else ()
        self.known = tuple(sorted((*shared, *self._own), key=lambda known: -len(known.secret)))

    def within(self, text: str) -> Sequence[Known]:
        """Return the credentials that a text holds, as they are or encoded."""
        known, plain = self.known, ""
        if known and ("%" in text or "&" in text or "\\" in text or "+" in text):
            plain = _plain(text)
        for one in known:  # most often there is none
            if one.secret in text or one.plain in plain:
                return [one for one in known if one.secret in text or one.plain in plain]
        return ()

    def hide(self, text: str) -> str:
        """Return a text without credentials; one in which none is found where it must be is masked whole."""
        found = self.within(text)
        if not found:
            return text
        for one in found:
            text = text.replace(one.secret, masked(one.secret))
        for one in self.within(text):  # encoded
            text = one.forms.sub(masked(one.secret), text)
        return masked(text) if self.within(text) else text


class Known(NamedTuple):
    """A credential: as it is, without any encoding, and the pattern of its forms."""

    secret: str
    plain: str
    forms: re.Pattern[str]


def _plain(text: str) -> str:
    """Return a text without what an address, HTML or JSON, each perhaps repeatedly, does to it, and no backslash."""
    for _ in range(LAYERS):
        before, text = text, ESCAPED.sub(lambda found: chr(int(found[1], 16)), html.unescape(unquote(text)))
        if text == before:
            break
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")  # halves that belong together
    return whole.replace("\\", "").replace("+", " ")


LAYERS = 4
"""How often a text may be encoded, one way in the other."""
ESCAPED = re.compile(r"\\{1,8}u([0-9a-fA-F]{4})")


def _forms(sign: str) -> str:
    """Return the pattern of a character: as it is, escaped for JSON, for HTML or for an address, also repeatedly."""
    bytes_ = sign.encode("utf-8", "surrogatepass")
    percent = "".join(f"%(?:25)*(?i:{byte:02x})" for byte in bytes_)
    units = sign.encode("utf-16-be", "surrogatepass").hex()
    escaped = "".join(rf"\\{{1,8}}u(?i:{units[n : n + 4]})" for n in range(0, len(units), 4))
    entity = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}.get(sign)
    named = (f"|&(?:amp;)*{entity};" if entity else "") + (r"|\+" if sign == " " else "")
    slashes = r"\\{0,8}" if sign in "\"'/\\" else ""
    return rf"(?:{slashes}{re.escape(sign)}|{percent}|{escaped}|&(?:amp;)*#(?i:0*{ord(sign)}|x0*{ord(sign):x});{named})"


class Words(dict[str | None, str | None]):
    """Short texts → without credentials: names of events, nodes and intents, of which there are few."""

    def __init__(self, mask: Callable[[str], str]) -> None:
        self._mask = mask

    def __missing__(self, word: str | None) -> str | None:
        if len(self) >= WORDS:
            self.clear()
        self[word] = said = None if word is None else self._mask(word)
        return said


class Mask:
    """Masks the credentials of one session.

    Args:
        fields: names of fields that hold credentials on this platform.
        secrets: the credentials that are known.
    """

    def __init__(self, fields: Iterable[str], secrets: Secrets) -> None:
        self._fields = FIELDS | {name.casefold() for name in fields}
        names = "(?i:" + "|".join(map(re.escape, sorted(self._fields, key=len, reverse=True))) + ")"
        self._inside = re.compile(
            rf"(?P<scheme>(?i:(?<![\w-])(?:proxy-)?authorization\s*[:=]\s*(?:{SCHEMES})\s+)){LIKELY}"
            rf"|(?P<digest>(?i:(?<![\w-])(?:proxy-)?authorization\s*[:=]\s*(?:digest|aws4-hmac-sha256)\s+))"
            rf"(?!\*\*\*)[^\s=]+=[^\n\\]+"
            rf"|(?P<query>(?:(?<=[?&;]){names}=|(?<![\w-]){names}(?i:%(?:25)*3d|&#61;)))"
            rf"(?!\*\*\*|(?i:{SCHEMES})\s)[^&\s\"'\\<>#]{{2,}}(?<![,;.)])"
            rf"|(?P<quoted>(?P<q>\\{{0,8}}[\"']){names}(?P=q)\s*[:=]\s*(?P<v>\\{{0,8}}[\"']))(?!\*\*\*)"
            rf"(?s:.{{1,{LONGEST}}}?)(?=(?<!\\)(?P=v)|\Z)"
            rf"|(?P<plain>(?<![\w-]){names}\s*[:=]\s*){SURELY}"
            rf"|(?P<bearer>(?i:(?<![\w-])bearer)\s+){LIKELY}"
            rf"|(?P<token>){TOKEN}"
        )
        self._secrets = secrets
        self._of: tuple[Known, ...] = ()
        self._words = Words(self.text)

    @property
    def words(self) -> Words:
        """Short texts → without credentials."""
        if self._secrets.known is not self._of:
            self._words.clear()
            self._of = self._secrets.known
        return self._words

    def text(self, text: str) -> str:
        """Return a text without credentials, in characters that every encoding can hold."""
        return clean(self._hidden(text))

    def payload(self, payload: Any) -> bytes:
        """Return a payload as JSON without credentials."""
        data = to_json(payload)
        text = data.decode()
        if not (_suspicious(text) or self._secrets.within(text)):
            return data
        try:
            return to_json(self._walk(payload, secret=False))
        except RecursionError:
            return to_json(NOT_JSON)

    def _walk(self, value: Any, *, secret: bool) -> Any:
        match value:
            case None | bool():
                return value
            case str():
                return masked(value) if secret and value else self._hidden(value)
            case list() | tuple():
                return [self._walk(item, secret=secret) for item in value]
            case dict():
                header = any(str(value.get(name)).casefold() in HEADERS for name in ("name", "key", "header"))
                return {
                    self._hidden(key) if isinstance(key, str) else key: self._walk(
                        item, secret=self._secret(key, item, below=secret or header)
                    )
                    for key, item in value.items()
                }
            case int() | float():
                number = str(value)
                known = self._hidden(number) != number
                return masked(number) if known or (secret and len(number) >= A_NUMBER) else value
            case _:  # bytes, and what else is no JSON
                return self._walk(repr(value), secret=secret)

    def _secret(self, key: object, item: Any, *, below: bool) -> bool:
        """Return whether what stands in a field is a credential; in an object, only its value is one."""
        return str(key).casefold() in self._fields or (
            below and str(key).casefold() == "value" and not isinstance(item, dict)
        )

    def _hidden(self, text: str) -> str:
        """Return a text without what is known, or stands where credentials do."""
        if self._secrets.known:
            text = self._secrets.hide(text)
        return self._inside.sub(_masked, text) if _suspicious(text) else text


def _suspicious(text: str) -> bool:
    """Return whether a text may hold more than what is known: quick, since every message is asked."""
    low = text.lower()
    return "token" in low or "authori" in low or "api" in low or "sessionk" in low or "eyj" in low or "bearer" in low


def _masked(found: re.Match[str]) -> str:
    before = found[found.lastgroup or 0] if found.lastgroup != "v" else found["quoted"]
    return before + masked(found[0][len(before) :])
