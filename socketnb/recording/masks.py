"""Masking: what is known to be a credential, or stands where one does, is recorded as a short stable hash of itself.

Known: what was given in settings, in all sessions of a kernel, and what came over the wire, in its session; wherever
it turns up, also percent-encoded or escaped. Standing there: strings in the fields of `FIELDS` and of the dialect, at
any depth of a payload and of JSON within a text; the same names in a query string or a header; web tokens. All else
stays as it came. Only texts are changed, never the JSON around them.
"""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from socketnb.recording.parts import TOO_DEEP, to_json
from socketnb.records import clean, masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FIELDS = frozenset(
    "token urltoken access_token accesstoken refresh_token refreshtoken participant_token participanttoken "
    "authorization proxy-authorization api_key apikey api-key x-api-key sessionkey".split()
)
"""Names of fields that hold credentials, in lower case."""
NAMES, VALUES = ("name", "key", "header"), ("value",)
"""Fields of objects that hold a name and what it has, as lists of headers do."""
TOKEN = r"(?<![\w-])eyJ[\w-]{6,}+\.[\w-]{6,}+\.[\w-]*+"  # noqa: S105 (a pattern)
LIKELY = r"(?=[\w.~+/=-]*[\d._~+/=-])(?!\*\*\*)[\w.~+/=-]{8,}+"
"""A word that may be a credential: of some length, and not of letters only."""
SCHEMES = "basic|bearer|token|apikey|key|digest|negotiate|aws4-hmac-sha256"
NOT_A_SECRET = 4
"""A credential shorter than this is masked as a field only: it would turn up everywhere by chance."""
A_NUMBER = 6
"""Digits of a number that may be a credential: shorter ones count something."""
WORDS = 4096
"""Short texts that are remembered."""


class Secrets:
    """Credentials that are known, each with the pattern of the forms in which it may turn up."""

    def __init__(self) -> None:
        self._known: list[tuple[str, str, re.Pattern[str]]] = []  # as it is, without encoding, its forms
        self.version = 0

    def add(self, secret: str) -> None:
        """Know a credential from here on."""
        if len(secret) < NOT_A_SECRET or secret in (known for known, _, _ in self._known):
            return
        self._known.append((secret, _plain(secret), re.compile("".join(map(_forms, secret)))))
        self._known.sort(key=lambda known: -len(known[0]))  # one may begin with another
        self.version += 1

    def touch(self, text: str) -> bool:
        """Return whether a text holds a credential."""
        for secret, _, _ in self._known:
            if secret in text:
                return True
        if self._known and ("%" in text or "&" in text or "\\" in text):
            plain = _plain(text)
            return any(secret in plain for _, secret, _ in self._known)
        return False

    def hide(self, text: str) -> str:
        """Return a text without credentials."""
        if self.touch(text):
            for secret, _, forms in self._known:
                text = forms.sub(masked(secret), text)
        return text


def _plain(text: str) -> str:
    """Return a text without what an address, HTML or JSON, each perhaps repeatedly, does to it, and no backslash."""
    for _ in range(LAYERS):
        before, text = text, ESCAPED.sub(lambda found: chr(int(found[1], 16)), html.unescape(unquote(text)))
        if text == before:
            break
    return text.replace("\\", "")


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
    named = f"|&(?:amp;)*{entity};" if entity else ""
    return rf"(?:\\{{0,8}}{re.escape(sign)}|{percent}|{escaped}|&(?:amp;)*#(?i:0*{ord(sign)}|x0*{ord(sign):x});{named})"


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
        given: the credentials of all sessions of the kernel.
        met: those that came over the wire.
    """

    def __init__(self, fields: Iterable[str], given: Secrets, met: Secrets) -> None:
        self._fields = FIELDS | {name.casefold() for name in fields}
        names = "|".join(map(re.escape, sorted(self._fields, key=len, reverse=True)))
        self._inside = re.compile(
            rf"(?P<name>(?i:(?<![\w-])(?:{names})(?:=|%3d)))(?!\*\*\*)(?P<value>[^&\s\"'\\<>#,;]{{4,}})"
            rf"|(?P<quoted>(?i:[\"'](?:{names})[\"']\s*:\s*[\"']))(?!\*\*\*)(?P<word>[^\"'\\]+)"
            rf"|(?P<scheme>(?i:(?<![\w-])(?:proxy-)?authorization\s*[:=]\s*(?:{SCHEMES})\s+))(?!\*\*\*)(?P<rest>[^\"'\\\n]+)"
            rf"|(?P<header>(?i:(?<![\w-])(?:(?:proxy-)?authorization|(?:x-)?api[-_]?key)\s*[:=]\s*))(?P<likely>{LIKELY})"
            rf"|(?P<bearer>(?i:(?<![\w-])bearer)\s+)(?P<after>{LIKELY})"
            rf"|(?P<token>{TOKEN})"
        )
        self._given, self._met = given, met
        self._version = (-1, -1)
        self._words = Words(self.text)

    @property
    def words(self) -> Words:
        """Short texts → without credentials."""
        version = (self._given.version, self._met.version)
        if version != self._version:
            self._words.clear()
            self._version = version
        return self._words

    def text(self, text: str) -> str:
        """Return a text without credentials, in characters that every encoding can hold."""
        return clean(self._hidden(text))

    def payload(self, payload: Any) -> bytes:
        """Return a payload as JSON without credentials."""
        data = to_json(payload)
        text = data.decode()
        if not (_suspicious(text) or self._met.touch(text) or self._given.touch(text)):
            return data
        try:
            return to_json(self._walk(payload, secret=False))
        except RecursionError:
            return to_json(TOO_DEEP)

    def _walk(self, value: Any, *, secret: bool) -> Any:
        match value:
            case str():
                return masked(value) if secret and value else self._hidden(value)
            case [str(name), str(held)] if name.casefold() in self._fields and held:
                return [name, masked(held)]
            case list() | tuple():
                return [self._walk(item, secret=secret) for item in value]
            case dict():
                called = any(str(value.get(name)).casefold() in self._fields for name in NAMES)
                return {
                    self._hidden(str(key)): self._walk(
                        item, secret=self._secret(str(key), item, below=secret or called)
                    )
                    for key, item in value.items()
                }
            case int() | float() if not isinstance(value, bool):
                number = str(value)
                known = self._hidden(number) != number
                return masked(number) if known or (secret and len(number) >= A_NUMBER) else value
            case _:
                return value

    def _secret(self, key: str, item: Any, *, below: bool) -> bool:
        """Return whether what stands in a field is a credential; in an object, only its value is one."""
        return key.casefold() in self._fields or (below and key in VALUES and not isinstance(item, dict))

    def _hidden(self, text: str) -> str:
        """Return a text without what is known, or stands where credentials do."""
        suspicious = _suspicious(text)
        if not (suspicious or self._met.touch(text) or self._given.touch(text)):
            return text
        if text.lstrip()[:1] in ("{", "["):
            try:
                inner = json.loads(text)
                told = self._walk(inner, secret=False)
                return text if told == inner else json.dumps(told, ensure_ascii=False, allow_nan=False)
            except (ValueError, RecursionError):
                pass
        text = self._given.hide(self._met.hide(text))
        return self._inside.sub(_masked, text) if suspicious else text


def _suspicious(text: str) -> bool:
    """Return whether a text may hold more than what is known: quick, since every message is asked."""
    low = text.lower()
    return "token" in low or "authori" in low or "api" in low or "sessionk" in low or "eyj" in low or "bearer" in low


def _masked(found: re.Match[str]) -> str:
    before = found["name"] or found["quoted"] or found["scheme"] or found["header"] or found["bearer"] or ""
    return before + masked(found[0][len(before) :])
