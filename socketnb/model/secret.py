"""Credentials: a string-like type that is displayed as a mask, and the mask."""

from __future__ import annotations

import hashlib
import re
from typing import Final, Self

MASK: Final = re.compile(r"\*\*\*[0-9a-f]{10}")
"""The pattern of a mask."""


def clean(text: str) -> str:
    """Return a text that can be encoded: a lone surrogate becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def fingerprint(value: str) -> str:
    """Return a short stable hash of a credential. It distinguishes credentials without revealing them."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:10]


def masked(value: str) -> str:
    """Return the mask of a credential: three asterisks and its fingerprint."""
    return f"***{fingerprint(value)}"


class Secret(str):
    """A credential. It is displayed as a mask in text, JSON, logs and tracebacks. `reveal` returns the value.

    Two secrets are equal if their values are equal.

    Args:
        value: The credential.

    Raises:
        TypeError: The value is not a string.

    Example:
        >>> key = Secret("VF.DM.1234")
        >>> key.reveal()
        'VF.DM.1234'
        >>> print(key)
        ***d847abedd3
    """

    __slots__ = ("_value",)
    _value: str

    def __new__(cls, value: str) -> Self:  # noqa: D102 (see the class)
        if not isinstance(value, str):
            raise TypeError(f"Secret needs a string, got {type(value).__name__}")
        plain = value.reveal() if isinstance(value, Secret) else value
        self = super().__new__(cls, masked(plain))
        self._value = plain
        return self

    def reveal(self) -> str:
        """Return the credential."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._value)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)

    def __getstate__(self) -> None:
        """Return nothing, so that a copy of the state does not hold the credential."""
