"""JSON Web Tokens (RFC 7519): signed with HS256 by a simulator, and read without checking the signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from socketnb.model.json import JsonObject


def jwt(claims: JsonObject, key: bytes) -> str:
    """Return a signed token."""

    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    body = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (body + b"." + part(hmac.digest(key, body, hashlib.sha256))).decode()


def claims_of(token: str) -> JsonObject:
    """Return the claims of a token, or an empty object if the text is not a token. The signature is not checked."""
    body = token.split(".")[1] if token.count(".") == 2 else ""  # noqa: PLR2004 (header, claims, signature)
    try:
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
