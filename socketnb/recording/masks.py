"""Masking: credentials are replaced by a short stable hash before recording.

Two kinds of credentials are masked. Known credentials are masked wherever they occur, even percent-encoded or escaped:
those from settings in all sessions of the kernel, and those received from a server in their session. Likely credentials
are masked by position: the values of the fields in `FIELDS` and of the dialect's secret fields at any depth of a
payload, parameters and headers with these names (also in JSON inside a text), and web tokens. Only texts are changed,
never the structure of the JSON.
"""

from __future__ import annotations

import html
import itertools
import os
import re
import threading
import weakref
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from socketnb.model.secret import clean, masked
from socketnb.recording.lines import NOT_JSON, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

FIELDS = frozenset(
    "token urltoken access_token accesstoken refresh_token refreshtoken participant_token participanttoken "
    "authorization proxy-authorization api_key apikey api-key x-api-key sessionkey".split()
)
"""Names of fields that hold credentials on any platform, in lower case."""
HEADERS = frozenset({"authorization", "proxy-authorization", "api-key", "x-api-key"})
"""Names of headers that hold credentials, in lists of objects with a name and a value."""
WEB_TOKEN = r"(?<![\w-])eyJ[\w-]{6,}+\.[\w-]{6,}+\.[\w-]*+"  # noqa: S105 (a pattern)
WORD = r"(?!\*\*\*)(?=[\w.~+/-]{0,99}[A-Za-z])(?=[\w.~+/-]{0,99}%s)[\w.~+/=-]{9,}+"
LIKELY_CREDENTIAL, CERTAIN_CREDENTIAL = WORD % r"(?:\d|[a-z][A-Z])", WORD % r"\d"
"""The pattern of words that look like credentials: long, with letters and digits (or capitals, if less certain)."""
SCHEMES = "basic|bearer|token|apikey|key|oauth"
"""The schemes of an Authorization header."""
MAX_QUOTED_CHARS = 4096
"""The maximum length of a credential between quotes. Without a limit, matching the pattern would be slow."""
MIN_CREDENTIAL_CHARS = 4
"""The minimum length of a credential that is masked everywhere. Shorter ones could match by chance and are only masked
in fields."""
MIN_CREDENTIAL_DIGITS = 6
"""The minimum number of digits of a masked number in a secret field. Shorter numbers are usually counters."""
MAX_CACHED_WORDS = 4096
"""The maximum number of cached short texts."""
MAX_ENCODINGS = 4
"""The maximum number of nested encodings of a text."""
UNICODE_ESCAPE = re.compile(r"\\{1,8}u([0-9a-fA-F]{4})")
PLAIN_RUN = re.compile(r"[\w .-]*", re.ASCII)
"""The characters that no JSON encoder escapes."""


class Secrets:
    """Known credentials, each with a pattern of its encodings. Thread-safe.

    Args:
        shared: Further known credentials, including those that are added to `shared` later.

    Attributes:
        known: The credentials, the longest first.
    """

    def __init__(self, shared: Secrets | None = None) -> None:
        self._shared = shared
        self._lock: threading.RLock = shared._lock if shared else threading.RLock()  # noqa: SLF001 (the same class)
        self._own: tuple[Known, ...] = ()
        self._sharers: weakref.WeakSet[Secrets] = weakref.WeakSet()
        self.known: tuple[Known, ...] = ()
        with self._lock:
            if shared:
                shared._sharers.add(self)  # noqa: SLF001 (the same class)
            self._update()

    def add(self, secret: str) -> None:
        """Add a credential."""
        if len(secret) < MIN_CREDENTIAL_CHARS:
            return
        with self._lock:
            if secret in (known.secret for known in self._own):
                return
            self._own = (*self._own, Known(secret, _plain(secret) or secret, re.compile("".join(map(_forms, secret)))))
            for secrets in (self, *self._sharers):
                secrets._update()  # noqa: SLF001 (the same class)

    def _update(self) -> None:
        """Replace `known`, longest first. Assign it in one step, because other threads read it."""
        shared = self._shared.known if self._shared else ()
        self.known = tuple(sorted((*shared, *self._own), key=lambda known: -len(known.secret)))

    def within(self, text: str) -> Sequence[Known]:
        """Return the known credentials that a text contains, plain or encoded."""
        known, plain = self.known, ""
        if known and ("%" in text or "&" in text or "\\" in text or "+" in text):
            plain = _plain(text)
        for credential in known:  # usually there is none
            if credential.secret in text or credential.plain in plain:
                return [each for each in known if each.secret in text or each.plain in plain]
        return ()

    def hide(self, text: str) -> str:
        """Return a text with known credentials masked. If a credential cannot be located, the whole text is masked."""
        found = self.within(text)
        if not found:
            return text
        for credential in found:
            text = text.replace(credential.secret, masked(credential.secret))
        for credential in self.within(text):  # encoded
            text = credential.forms.sub(masked(credential.secret), text)
        return masked(text) if self.within(text) else text


class Known(NamedTuple):
    """A known credential.

    Attributes:
        secret: The credential.
        plain: The credential without any encoding.
        forms: A pattern of the encodings.
    """

    secret: str
    plain: str
    forms: re.Pattern[str]


def _plain(text: str) -> str:
    """Return a text decoded from URL, HTML and JSON encodings, including nested ones, and without backslashes."""
    for _ in range(MAX_ENCODINGS):
        before, text = text, UNICODE_ESCAPE.sub(lambda match: chr(int(match[1], 16)), html.unescape(unquote(text)))
        if text == before:
            break
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")  # pairs of surrogates
    return joined.replace("\\", "").replace("+", " ")


def _forms(char: str) -> str:
    """Return the pattern of a character: plain, or escaped for JSON, HTML or a URL, including nested escapes."""
    percent = "".join(f"%(?:25)*(?i:{byte:02x})" for byte in char.encode("utf-8", "surrogatepass"))
    units = char.encode("utf-16-be", "surrogatepass").hex()
    escaped = "".join(rf"\\{{1,8}}u(?i:{units[n : n + 4]})" for n in range(0, len(units), 4))
    entity = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}.get(char)
    named = (f"|&(?:amp;)*{entity};" if entity else "") + (r"|\+" if char == " " else "")
    slashes = r"\\{0,8}" if char in "\"'/\\" else ""
    return rf"(?:{slashes}{re.escape(char)}|{percent}|{escaped}|&(?:amp;)*#(?i:0*{ord(char)}|x0*{ord(char):x});{named})"


class Words(dict[str | None, str | None]):
    """A cache of masked short texts, such as the names of events, nodes and intents."""

    def __init__(self, mask: Callable[[str], str]) -> None:
        self._mask = mask

    def __missing__(self, word: str | None) -> str | None:
        if len(self) >= MAX_CACHED_WORDS:
            self.clear()
        self[word] = result = None if word is None else self._mask(word)
        return result


class Mask:
    """Masks the credentials of one session.

    Args:
        fields: The names of fields that hold credentials on this platform, besides `FIELDS`.
        secrets: The known credentials.
    """

    def __init__(self, fields: Iterable[str], secrets: Secrets) -> None:
        fields = {*FIELDS, *fields}
        self._fields = {name.casefold() for name in fields}
        self._markers = _markers(fields)
        names = "(?i:" + "|".join(map(re.escape, sorted(self._fields))) + ")"
        self._inside = re.compile(
            rf"(?P<scheme>(?i:(?<![\w-])(?:proxy-)?authorization\s*[:=]\s*(?:{SCHEMES})\s+)){LIKELY_CREDENTIAL}"
            rf"|(?P<digest>(?i:(?<![\w-])(?:proxy-)?authorization\s*[:=]\s*(?:digest|aws4-hmac-sha256)\s+))"
            rf"(?!\*\*\*)[^\s=]+=[^\n\\]+"
            rf"|(?P<query>(?:(?<=[?&;]){names}=|(?<![\w-]){names}(?i:%(?:25)*3d|&#61;)))"
            rf"(?!\*\*\*|(?i:{SCHEMES})\s)[^&\s\"'\\<>#]{{2,}}(?<![,;.)])"
            rf"|(?P<quoted>(?P<q>\\{{0,8}}[\"']){names}(?P=q)\s*[:=]\s*(?P<v>\\{{0,8}}[\"']))(?!\*\*\*)"
            rf"(?s:.{{1,{MAX_QUOTED_CHARS}}}?)(?=(?<!\\)(?P=v)|\Z)"
            rf"|(?P<plain>(?<![\w-]){names}\s*[:=]\s*){CERTAIN_CREDENTIAL}"
            rf"|(?P<bearer>(?i:(?<![\w-])bearer)\s+){LIKELY_CREDENTIAL}"
            rf"|(?P<token>){WEB_TOKEN}"
        )
        self._secrets = secrets
        self._words_known: tuple[Known, ...] = ()
        self._words = Words(self.text)

    @property
    def words(self) -> Words:
        """Short text → the masked text."""
        if self._secrets.known is not self._words_known:
            self._words.clear()
            self._words_known = self._secrets.known
        return self._words

    def text(self, text: str) -> str:
        """Return a text with credentials masked and without lone surrogates."""
        return clean(self._hidden(text))

    def payload(self, payload: object) -> bytes:
        """Return a payload as JSON with credentials masked."""
        data = to_json(payload)
        text = data.decode()
        if not (self._suspicious(text) or self._secrets.within(text)):
            return data
        try:
            return to_json(self._walk(payload, secret=False))
        except RecursionError:
            return to_json(NOT_JSON)

    def _walk(self, value: object, *, secret: bool) -> object:
        """Return a JSON value with credentials masked. With `secret`, all of its texts are credentials."""
        match value:
            case None | bool():
                return value
            case str():
                return masked(value) if secret and value else self._hidden(value)
            case list() | tuple():
                return [self._walk(item, secret=secret) for item in value]
            case dict():
                is_header = any(str(value.get(name)).casefold() in HEADERS for name in ("name", "key", "header"))
                return {
                    self._hidden(key) if isinstance(key, str) else key: self._walk(
                        item, secret=self._secret(key, item, below=secret or is_header)
                    )
                    for key, item in value.items()
                }
            case int() | float():
                number = str(value)
                known = self._hidden(number) != number
                return masked(number) if known or (secret and len(number) >= MIN_CREDENTIAL_DIGITS) else value
            case _:  # bytes and other types that JSON does not support
                return self._walk(repr(value), secret=secret)

    def _secret(self, key: object, item: object, *, below: bool) -> bool:
        """Return whether the value of a field is a credential. Inside a secret object, only the field `value` is."""
        return str(key).casefold() in self._fields or (
            below and str(key).casefold() == "value" and not isinstance(item, dict)
        )

    def _hidden(self, text: str) -> str:
        """Return a text with known and likely credentials masked."""
        if self._secrets.known:
            text = self._secrets.hide(text)
        return self._inside.sub(_masked, text) if self._suspicious(text) else text

    def _suspicious(self, text: str) -> bool:
        """Return whether a text may contain an unknown credential. This runs for every message, so it must be fast."""
        lower = text.lower()
        for marker in self._markers:  # noqa: SIM110 (any() with a generator takes twice as long)
            if marker in lower:
                return True
        return False


def _markers(fields: Iterable[str]) -> tuple[str, ...]:
    """Return short texts such that every secret field name, web token and scheme contains at least one of them.

    This holds in any JSON encoding. Names with the same first three characters share one marker, because few markers
    are checked faster.
    """
    runs = {max(PLAIN_RUN.findall(name), key=len).lower() for name in fields} | {"eyj", "bearer"}
    shortest = [run for run in sorted(runs) if not any(other in run for other in runs - {run})]
    groups = [list(group) for _, group in itertools.groupby(shortest, key=lambda run: run[:3])]
    return tuple(os.path.commonprefix(group) for group in groups)  # noqa: RUF071 (texts, not paths)


def _masked(match: re.Match[str]) -> str:
    before = match[match.lastgroup or 0] if match.lastgroup != "v" else match["quoted"]
    return before + masked(match[0][len(before) :])
