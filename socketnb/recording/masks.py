"""Masking: what is known to be a credential, or stands where one does, is recorded as a short stable hash of itself.

Known: every credential that was given or came over the wire, wherever it turns up. Standing there: the fields of
`FIELDS` and those that a dialect names, at any depth of a payload, also of JSON within a text; the same names in a
query string or a header; a JSON Web Token. All else stays as it came.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from socketnb.recording.parts import TOO_DEEP, to_json
from socketnb.records import clean, masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FIELDS = frozenset(
    "token urltoken access_token accesstoken refresh_token refreshtoken participant_token participanttoken "
    "authorization proxy-authorization api_key apikey api-key x-api-key sessionkey".split()
)
"""Names of fields that hold credentials, in lower case."""
TOKEN = r"eyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]*"  # noqa: S105 (a pattern)
BEARER = r"(?i:\bbearer)\s+[\w.~+/-]{8,}=*"
NOT_A_SECRET = 4
"""A credential shorter than this is masked as a field only: it would turn up everywhere by chance."""
JSON_DEPTH = 3
"""How deep in JSON within JSON a known credential is found by its quotes and backslashes."""
WORDS = 4096
"""Short texts that are remembered."""


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
        before: a mask whose known credentials are known to this one too.
    """

    def __init__(self, fields: Iterable[str], before: Mask | None = None) -> None:
        self._fields = FIELDS | {name.casefold() for name in fields}
        names = "|".join(map(re.escape, sorted(self._fields, key=len, reverse=True)))
        self._inside = re.compile(
            rf"(?P<name>(?i:(?<![\w-])(?:{names})=|\b(?:proxy-)?authorization\s*[:=]\s*(?:(?:basic|bearer|token)\s+)?+))"
            rf"(?P<value>(?!\*\*\*)[^&\s\"'\\<>#,;]+)|(?P<bearer>{BEARER})|(?P<token>{TOKEN})"
        )
        self._secrets: dict[str, str] = {} if before is None else before._secrets  # noqa: SLF001 (of its own kind)
        self.words = Words(self.text)

    def hide(self, secret: str) -> None:
        """Mask this credential from here on: as it is, in an address, and in JSON, also in that of a text in JSON."""
        if len(secret) < NOT_A_SECRET:
            return
        plain = clean(secret)
        addressed = {quote(plain), quote(plain, safe=""), quote_plus(plain)}
        forms = {
            secret,
            *addressed,
            *(quote(form) for form in addressed),
            *(quote(form, safe="") for form in addressed),
        }
        for _ in range(JSON_DEPTH):
            forms |= {dumps(form)[1:-1] for form in forms for dumps in (json.dumps, _orjson)}
        for form in sorted(forms, key=len, reverse=True):
            self._secrets[form] = masked(secret)
        self.words.clear()

    def known(self, text: str) -> str:
        """Return a text without the credentials that are known."""
        for secret, mask in self._secrets.items():
            if secret in text:
                text = text.replace(secret, mask)
        return text

    def text(self, text: str) -> str:
        """Return a text without credentials, in characters that every encoding can hold."""
        text = self.known(text)
        return clean(self._told(text) if _suspicious(text) else text)

    def payload(self, payload: Any) -> bytes:
        """Return a payload as JSON without credentials."""
        data = to_json(payload)
        text = data.decode()
        if _suspicious(text):
            try:
                data = to_json(self._walk(payload, secret=False))
            except RecursionError:
                data = to_json(TOO_DEEP)
            text = data.decode()
        hidden = self.known(text)
        return data if hidden is text else hidden.encode()

    def _walk(self, value: Any, *, secret: bool) -> Any:
        match value:
            case str():
                return masked(value) if secret and value else self._told(value)
            case list() | tuple():
                return [self._walk(item, secret=secret) for item in value]
            case dict():
                return {
                    self._told(str(key)): self._walk(item, secret=secret or str(key).casefold() in self._fields)
                    for key, item in value.items()
                }
            case _:
                return value

    def _told(self, text: str) -> str:
        """Return a text without what stands where credentials do."""
        if not _suspicious(text):
            return text
        if text.lstrip()[:1] in ("{", "["):
            try:
                inner = json.loads(text)
            except (ValueError, RecursionError):
                pass
            else:
                told = self._walk(inner, secret=False)
                return text if told == inner else json.dumps(told, ensure_ascii=False)
        return self._inside.sub(lambda found: (found["name"] or "") + _hash(found), text)


def _suspicious(text: str) -> bool:
    """Return whether a text may hold more than what is known: quick, since every message is asked."""
    low = text.lower()
    return "token" in low or "authori" in low or "api" in low or "sessionk" in low or "eyj" in low or "bearer" in low


def _orjson(text: str) -> str:
    return to_json(text).decode()


def _hash(found: re.Match[str]) -> str:
    return masked(found["value"] or found["token"] or found["bearer"].split(None, 1)[1])
