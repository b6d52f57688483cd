"""Settings: lookup, conversion and validation of their values.

A value is looked up in this order: the argument, the environment variable of the profile (`SOCKETNB_SHOP_API_KEY`),
the profile itself, the environment variable of the platform (`SOCKETNB_VOICEFLOW_API_KEY`), and the default.
Credentials are converted to `Secret`.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import threading
import warnings
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from socketnb.errors import SettingsError, unknown
from socketnb.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from socketnb.dialects.base import Dialect
    from socketnb.model.actions import Setting

Value: TypeAlias = Any
"""The value of a setting, which has the type given in its `Setting`."""
Values: TypeAlias = dict[str, Value]
"""The values of settings, by name."""


def to_path(value: object, requirement: str) -> Path:
    """Return a value as an absolute path.

    Args:
        value: A path or a string.
        requirement: The start of the error message, such as "path must be a path".

    Raises:
        SettingsError: The value is not a path.
    """
    try:
        if not isinstance(value, str | os.PathLike) or not str(value).strip() or "\0" in str(value):
            raise TypeError  # noqa: TRY301 (all causes have the same message)
        return Path(value).expanduser().resolve()
    except (TypeError, RuntimeError):  # RuntimeError: the home folder of an unknown user
        raise SettingsError(f"{requirement}, got {value!r}") from None


def home() -> Path:
    """Return the data folder of socketnb: SOCKETNB_HOME, or a folder in the user's data folder."""
    if folder := os.environ.get("SOCKETNB_HOME"):
        return to_path(folder, "SOCKETNB_HOME must be a folder")
    import platformdirs

    return platformdirs.user_data_path("socketnb", appauthor=False)


def memory_rows() -> int:
    """Return the number of rows of a recording to keep in memory: SOCKETNB_MEMORY_ROWS, or a million.

    Raises:
        SettingsError: The variable is not a whole number.
    """
    rows = os.environ.get("SOCKETNB_MEMORY_ROWS") or "1000000"
    if not rows.isdecimal():
        raise SettingsError(f"SOCKETNB_MEMORY_ROWS must be a whole number of at least 0, got {rows!r}")
    return int(rows)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning without a source line, which could be internal code or contain a credential."""
    warnings.warn_explicit(message, category, "socketnb", 0)


def parse_pairs(texts: Iterable[str], connect: Callable[..., object]) -> Values:
    """Return the settings in texts of the form KEY=VALUE.

    Args:
        texts: The texts that the user typed.
        connect: The function that takes the settings. Names of its own parameters are rejected.

    Raises:
        SettingsError: A text does not have this form, or its key is not a setting of a platform.
    """
    parameters = {"self", *inspect.signature(connect).parameters}
    settings: Values = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise SettingsError(
                "--set takes KEY=VALUE"
            )  # the message does not quote the text, which may be a credential
        if key in parameters or not key.isidentifier():
            raise SettingsError(f"--set takes a setting of the platform, got {key!r}")
        settings[key] = value
    return settings


def environment_variable(prefix: str, setting: str) -> str:
    """Return the name of the environment variable for a setting of a platform or a profile."""
    return re.sub(r"\W", "_", f"SOCKETNB_{prefix}_{setting}".upper())


URLS = ("url", "state_url")
"""The settings that are URLs."""


class ProfileValues(Protocol):
    """The settings of a profile."""

    @property
    def name(self) -> str:
        """The profile's name."""

    def get(self, setting: str) -> Value:
        """Return the value of a setting, read from the environment or keyring if the profile says so, or None."""

    def location(self, setting: str) -> str:
        """Return the file and line of a setting."""


def find_value(
    dialect: Dialect,
    name: str,
    given: Mapping[str, Value],
    environment: Mapping[str, str],
    profile: ProfileValues | None,
) -> tuple[Value, str]:
    """Return the value and the source of a setting. Without a value, they are None and an empty string."""
    if given.get(name) is not None:
        return given[name], "argument"
    if profile:
        variable = environment_variable(profile.name, name)
        if value := environment.get(variable):
            return value, variable
        if (value := profile.get(name)) is not None:
            return value, profile.location(name)
    variable = environment_variable(dialect.name, name)
    if value := environment.get(variable):
        return value, variable
    default = dialect.settings[name].default
    return default, "" if default is None else "default"


def resolve(
    dialect: Dialect,
    given: Mapping[str, Value],
    environment: Mapping[str, str],
    profile: ProfileValues | None = None,
    ask: Callable[[str], str | None] = lambda _: None,
) -> Mapping[str, Value]:
    """Return every setting of a platform, converted and checked. A setting without a value is None.

    Args:
        dialect: The dialect of the platform.
        given: The arguments, which have the highest priority.
        environment: The environment variables.
        profile: The profile, if one is used.
        ask: Asks the user for a required setting that has no value.

    Raises:
        SettingsError: A setting is unknown, missing or malformed.
    """
    for name in given:
        if name not in dialect.settings:
            raise SettingsError(unknown(f"{dialect.name} setting", name, dialect.settings))
    resolved = {}
    for name, setting in dialect.settings.items():
        value, source = find_value(dialect, name, given, environment, profile)
        if value is None and setting.required:
            value = ask(f"{dialect.name} needs {name} ({setting.help})")
        if value is None and setting.required:
            raise SettingsError(
                f"{dialect.name} needs {name} ({setting.help}): pass {name}=…, "
                f"set {environment_variable(dialect.name, name)}, or try simulate=True"
            )
        try:
            resolved[name] = None if value is None else convert(dialect.name, name, setting, value)
        except SettingsError as error:
            raise (SettingsError(f"{source}: {error}") if source not in ("", "argument") else error) from None
    return dialect.settle(resolved)


def simulated_settings(dialect: Dialect) -> list[str]:
    """Return the settings that a simulator provides: its URL, and the ids and credentials of the bot and the client."""
    return [name for name, setting in dialect.settings.items() if name == "url" or setting.required or setting.secret]


def check_arguments(dialect: Dialect, given: Values, *, simulate: bool, flow: object, turn_timeout: Value) -> None:
    """Check the arguments of `connect` that do not depend on the platform.

    Raises:
        SettingsError: Two arguments contradict each other, or `turn_timeout` is malformed.
    """
    if simulate and (conflicts := [name for name in simulated_settings(dialect) if name in given]):
        raise SettingsError(f"simulate=True has its own {', '.join(conflicts)}: omit {conflicts[0]} or simulate")
    if flow is not None and not simulate:
        raise SettingsError("a flow runs on the simulator only: connect(…, simulate=True, flow=my_flow)")
    if not is_timeout(turn_timeout):
        raise SettingsError(f"turn_timeout must be a number of seconds above 0, got {turn_timeout!r}")


def is_timeout(seconds: object) -> bool:
    """Tell whether a value is a number of seconds above 0 that a thread can wait."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return False
    return 0 < seconds < threading.TIMEOUT_MAX


def resolve_options(dialect: Dialect, given: Mapping[str, Value]) -> Values:
    """Return every option of a platform's simulator, converted and checked. An option without a value is None.

    Raises:
        SettingsError: An option is unknown or malformed.
    """
    for name in given:
        if name not in dialect.options:
            raise SettingsError(unknown(f"{dialect.name} simulator option", name, dialect.options))
    resolved = {}
    for name, option in dialect.options.items():
        value = option.default if given.get(name) is None else given[name]
        resolved[name] = None if value is None else convert(dialect.name, name, option, value)
    return resolved


def convert(platform: str, name: str, setting: Setting, value: Value) -> Value:
    """Return a value converted to the type of its setting.

    Raises:
        SettingsError: The value is malformed.
    """
    if setting.secret:
        if isinstance(value, Secret):
            return value
        if not isinstance(value, str) or not value.strip():
            raise SettingsError(f"{platform}: {name} must be a string that is not empty")
        return Secret(value.strip())
    value_type = VALUE_TYPES[setting.type]
    try:
        converted = value_type.convert(value)
    except (TypeError, ValueError, KeyError, OSError, OverflowError, RecursionError):
        got = "" if name in URLS else f", got {value!r}"  # the message does not quote a URL, which may contain a token
        raise SettingsError(f"{platform}: {name} must be {value_type.description}{got}") from None
    for word in (converted if setting.type is tuple else (converted,)) if setting.among else ():
        if word not in setting.among:
            raise SettingsError(f"{platform}: {name}: {unknown('value', str(word), setting.among)}")
    return _checked_url(platform, name, converted) if name in URLS else converted


class ValueType(NamedTuple):
    """The conversion of values to a type, and the description of the type in error messages."""

    convert: Callable[[Value], Value]
    description: str


def _number(number_type: type[int | float]) -> Callable[[Value], Value]:
    def convert_number(value: Value) -> Value:
        number = number_type(value)
        if (
            isinstance(value, bool)
            or (not isinstance(value, str) and number != value)
            or not 0 <= number < float("inf")
        ):
            raise ValueError
        return number

    return convert_number


def _text(value: Value) -> str:
    if not isinstance(value, str) or isinstance(value, Secret):  # the string of a Secret is its mask
        raise TypeError
    value.encode()  # raises an error for a lone surrogate, which cannot be sent
    return value


def _flag(value: Value) -> bool:
    """Convert a value to a bool, including words such as "yes" from environment variables."""
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    return value if isinstance(value, bool) else words[_text(value).strip().casefold()]


def _words(value: Value) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else list(value)
    words = tuple(_text(item).strip() for item in items)
    if not words:
        raise ValueError
    return words


def _function(value: Value) -> Value:
    if not callable(value):
        raise TypeError
    return value


def _json_object(value: Value) -> Value:
    """Convert a value to a JSON object, including a text in JSON, for example from an environment variable."""
    value = json.loads(value) if isinstance(value, str) else value
    if not isinstance(value, dict):
        raise TypeError
    return json.loads(json.dumps(value, allow_nan=False))


VALUE_TYPES: dict[Hashable, ValueType] = {
    str: ValueType(_text, "a string"),
    int: ValueType(_number(int), "a whole number of at least 0"),
    float: ValueType(_number(float), "a number of at least 0"),
    bool: ValueType(_flag, "True or False"),
    tuple: ValueType(_words, "a list of words"),
    dict: ValueType(_json_object, "a JSON object"),
    Callable: ValueType(_function, "a function"),
    ZoneInfo: ValueType(lambda value: ZoneInfo(_text(value)).key, "an IANA time zone name such as Europe/Berlin"),
}
"""The types that a setting can have, by `Setting.type`."""


def _checked_url(platform: str, name: str, url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        valid = parts.scheme in ("http", "https", "ws", "wss") and bool(parts.hostname)
        _ = parts.port  # raises an error if the port is not a number
    except ValueError:
        valid = False
    if valid and ("@" in parts.netloc or parts.query or parts.fragment):
        raise SettingsError(f"{platform}: {name} must end with its path: remove the user name, the query and the #")
    if not valid:  # the message does not quote the URL, which may contain a token
        raise SettingsError(f"{platform}: {name} must look like https://host or http://127.0.0.1:8080")
    return url.strip()
