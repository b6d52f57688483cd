"""Where settings come from: arguments first, then the environment, then the platform's default.

`SOCKETNB_VOICEFLOW_API_KEY` is the environment's name of Voiceflow's `api_key`. A credential becomes a `Secret`
here and stays one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from socketnb.errors import SettingsError, unknown
from socketnb.records import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from socketnb.dialects import Dialect
    from socketnb.records import Setting


def variable(platform: str, setting: str) -> str:
    """Return the name of the environment variable of a setting."""
    return f"SOCKETNB_{platform}_{setting}".upper()


def resolve(dialect: Dialect, given: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return every setting of a platform, converted and checked; what nobody gave is its default or None.

    Raises:
        SettingsError: one is unknown, missing or of the wrong form.
    """
    for name in given:
        if name not in dialect.SETTINGS:
            raise SettingsError(unknown(f"{dialect.NAME} setting", name, dialect.SETTINGS))
    resolved = {}
    for name, setting in dialect.SETTINGS.items():
        value = given.get(name)
        if value is None:
            value = environment.get(variable(dialect.NAME, name)) or setting.default
        if value is None and setting.required:
            raise SettingsError(
                f"{dialect.NAME} needs {name} ({setting.help}): pass {name}=…, "
                f"or set {variable(dialect.NAME, name)}, or try simulate=True"
            )
        resolved[name] = None if value is None else _convert(dialect.NAME, name, setting, value)
    return resolved


def _convert(platform: str, name: str, setting: Setting, value: Any) -> Any:
    if setting.secret:
        if isinstance(value, Secret):
            return value
        if not isinstance(value, str) or not value.strip():
            raise SettingsError(f"{platform}: {name} is a text that is not empty")
        return Secret(value.strip())
    wrong = SettingsError(f"{platform}: {name} is a {setting.type.__name__}, not {value!r}")
    if setting.type is str and not isinstance(value, str):
        raise wrong
    try:
        converted = setting.type(value)
    except (TypeError, ValueError):
        raise wrong from None
    if setting.type in (int, float) and not 0 <= converted < float("inf"):
        raise SettingsError(f"{platform}: {name} is not negative and has an end, not {value!r}")
    if name == "url":
        return _url(platform, converted)
    return converted


def _url(platform: str, url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        good = parts.scheme in ("http", "https", "ws", "wss") and bool(parts.hostname)
        _ = parts.port  # raises where it is no number
    except ValueError:
        good = False
    if not good:
        raise SettingsError(f"{platform}: url is like https://host or http://127.0.0.1:8080, not {url!r}")
    return url.strip()
