"""Where settings come from: what was given, then the environment and a profile, then the platform's default.

Of a profile `shop`, `SOCKETNB_SHOP_API_KEY` comes before what the profile says, and `SOCKETNB_VOICEFLOW_API_KEY`
after it. A credential becomes a `Secret` here and stays one.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from socketnb.errors import SettingsError, unknown
from socketnb.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from socketnb.dialects.base import Dialect
    from socketnb.model.actions import Setting


def path_of(given: object, wanted: str) -> Path:
    """Return the absolute path that was given.

    Args:
        given: what may be one.
        wanted: how the sentence begins if it is none.

    Raises:
        SettingsError: it is none.
    """
    try:
        if not isinstance(given, str | os.PathLike) or not str(given).strip() or "\0" in str(given):
            raise TypeError  # noqa: TRY301 (one sentence for all)
        return Path(given).expanduser().resolve()
    except (TypeError, RuntimeError):  # no path, or the home of nobody
        raise SettingsError(f"{wanted}, not {given!r}") from None


def home() -> Path:
    """Return the folder where socketnb keeps things: SOCKETNB_HOME, or the user's data folder."""
    if given := os.environ.get("SOCKETNB_HOME"):
        return path_of(given, "SOCKETNB_HOME is a folder")
    import platformdirs

    return platformdirs.user_data_path("socketnb", appauthor=False)


def warn(said: str) -> None:
    """Warn the user, without a line of code beside it: that would be ours, or one with the credential."""
    warnings.warn_explicit(said, UserWarning, "socketnb", 0)


def pairs(typed: Iterable[str], connect: Callable[..., Any]) -> dict[str, Any]:
    """Return settings that were typed as KEY=VALUE.

    Raises:
        SettingsError: one is not, or is no setting of a platform but what `connect` takes for all of them.
    """
    taken = {"self", *inspect.signature(connect).parameters}
    found: dict[str, Any] = {}
    for text in typed:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise SettingsError("--set takes KEY=VALUE")  # what was given instead may be a credential
        if key in taken or not key.isidentifier():
            raise SettingsError(f"--set takes a platform's setting, and {key!r} is none")
        found[key] = value
    return found


def memory_rows() -> int:
    """Return how many rows of a recording stay in memory: SOCKETNB_MEMORY_ROWS, or a million.

    Raises:
        SettingsError: it is no whole number.
    """
    given = os.environ.get("SOCKETNB_MEMORY_ROWS") or "1000000"
    if not given.isdecimal():
        raise SettingsError(f"SOCKETNB_MEMORY_ROWS is a whole number from 0 up, not {given!r}")
    return int(given)


class SavedSession:
    """What a session needs to be resumed by a later kernel, in a file that only its user can read.

    Args:
        dialect: the platform's dialect.
        name: the session's name.
    """

    def __init__(self, dialect: Dialect, name: str) -> None:
        self._dialect = dialect
        self._path = home() / "sessions" / f"{dialect.name}-{name}.json"

    def read(self, given: Mapping[str, Any]) -> dict[str, str]:
        """Return the user and the session that were kept, if the place, and the user if given, are the same as then.

        A session's key is for one place, project and user: it is not to be shown to another.
        """
        kept = self._read()
        same = all(str(given.get(name) or "") == kept.get(name, "") for name in self._dialect.resume_scope)
        if not same or given.get("user_id") not in (None, kept.get("user_id")):
            return {}
        return {name: value for name, value in kept.items() if name in self._dialect.resume_settings}

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Keep what a session begins with: its place (a credential's fingerprint is enough) and what resumes it."""
        kept = {name: settings[name] or "" for name in self._dialect.resume_settings}
        clear = {name: value.reveal() if isinstance(value, Secret) else value for name, value in kept.items()}
        self.keep(**{name: str(settings[name] or "") for name in self._dialect.resume_scope}, **clear)

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self._path.read_text())
            return {name: value for name, value in found.items() if isinstance(value, str)}
        except (OSError, ValueError, AttributeError):
            return {}

    def keep(self, **settings: str) -> None:
        """Keep settings; an empty value forgets one. A folder that cannot be written draws a warning."""
        kept = {name: value for name, value in {**self._read(), **settings}.items() if value}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new = self._path.with_suffix(".new")
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(kept, file)
            new.replace(self._path)
        except OSError as error:
            said = f"the session cannot be kept for a later kernel in {self._path.parent} ({error.strerror})"
            warnings.warn(said, RuntimeWarning, stacklevel=2)


def variable(platform: str, setting: str) -> str:
    """Return the name of the environment variable of a setting, of a platform or a profile."""
    return re.sub(r"\W", "_", f"SOCKETNB_{platform}_{setting}".upper())


class Values(Protocol):
    """What a profile says of the settings."""

    @property
    def name(self) -> str:
        """The profile's name."""

    def get(self, setting: str) -> Any:
        """Return a setting's value, looked up where it says so, or None."""

    def where(self, setting: str) -> str:
        """Return file and line of a setting."""


def found(
    dialect: Dialect, name: str, given: Mapping[str, Any], environment: Mapping[str, str], profile: Values | None
) -> tuple[Any, str]:
    """Return a setting as it is found first, and where that was; None if it is nowhere."""
    if given.get(name) is not None:
        return given[name], "argument"
    if profile:
        if value := environment.get(variable(profile.name, name)):
            return value, variable(profile.name, name)
        if (value := profile.get(name)) is not None:
            return value, profile.where(name)
    if value := environment.get(variable(dialect.name, name)):
        return value, variable(dialect.name, name)
    default = dialect.settings[name].default
    return default, "" if default is None else "default"


def resolve(
    dialect: Dialect,
    given: Mapping[str, Any],
    environment: Mapping[str, str],
    profile: Values | None = None,
    ask: Callable[[str], str | None] = lambda _: None,
) -> dict[str, Any]:
    """Return every setting of a platform, converted and checked; what nobody gave is its default or None.

    Args:
        dialect: the platform's.
        given: what comes first.
        environment: the variables.
        profile: what comes between those of the profile's name and those of the platform's.
        ask: what is called for a needed setting that is nowhere.

    Raises:
        SettingsError: one is unknown, missing or of the wrong form.
    """
    for name in given:
        if name not in dialect.settings:
            raise SettingsError(unknown(f"{dialect.name} setting", name, dialect.settings))
    resolved = {}
    for name, setting in dialect.settings.items():
        value, where = found(dialect, name, given, environment, profile)
        if value is None and setting.required:
            value = ask(f"{dialect.name} needs {name} ({setting.help})")
        if value is None and setting.required:
            raise SettingsError(
                f"{dialect.name} needs {name} ({setting.help}): pass {name}=…, "
                f"or set {variable(dialect.name, name)}, or try simulate=True"
            )
        try:
            resolved[name] = None if value is None else convert(dialect.name, name, setting, value)
        except SettingsError as error:
            raise (SettingsError(f"{where}: {error}") if where not in ("", "argument") else error) from None
    return dialect.settle(resolved)


def convert(platform: str, name: str, setting: Setting, value: Any) -> Any:
    """Return a value in its setting's type.

    Raises:
        SettingsError: it is of the wrong form.
    """
    if setting.secret:
        if isinstance(value, Secret):
            return value
        if not isinstance(value, str) or not value.strip():
            raise SettingsError(f"{platform}: {name} is a text that is not empty")
        return Secret(value.strip())
    try:
        converted = CONVERT[setting.type](value)
    except (TypeError, ValueError, KeyError, OSError, OverflowError):
        what = "" if name == "url" else f", not {value!r}"  # a url may have a token in it: it is not repeated
        raise SettingsError(f"{platform}: {name} is {A[setting.type]}{what}") from None
    for word in (converted if setting.type is tuple else (converted,)) if setting.among else ():
        if word not in setting.among:
            raise SettingsError(f"{platform}: {name}: {unknown('value', str(word), setting.among)}")
    return _url(platform, converted) if name == "url" else converted


def _number(kind: type[int | float]) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        number = kind(value)
        if (
            isinstance(value, bool)
            or (not isinstance(value, str) and number != value)
            or not 0 <= number < float("inf")
        ):
            raise ValueError
        return number

    return convert


def _text(value: Any) -> str:
    if not isinstance(value, str) or isinstance(value, Secret):  # as a text, a Secret is only its mask
        raise TypeError
    value.encode()  # half a character cannot be sent
    return value


def _yes(value: Any) -> bool:
    """Convert a yes or no, also as an environment variable has it."""
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    return value if isinstance(value, bool) else words[_text(value).strip().casefold()]


def _words(value: Any) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else list(value)
    found = tuple(_text(word).strip() for word in words)
    if not found:
        raise ValueError
    return found


def _function(value: Any) -> Any:
    if not callable(value):
        raise TypeError
    return value


CONVERT: dict[Any, Callable[[Any], Any]] = {
    str: _text,
    int: _number(int),
    float: _number(float),
    bool: _yes,
    tuple: _words,
    ZoneInfo: lambda value: ZoneInfo(_text(value)).key,
    Callable: _function,
}
A: dict[Any, str] = {
    str: "a text",
    int: "a whole number from 0 up",
    float: "a number from 0 up",
    bool: "True or False",
    tuple: "a list of words",
    Callable: "a function",
    ZoneInfo: "a time zone's IANA name, such as Europe/Berlin",
}


def _url(platform: str, url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        good = parts.scheme in ("http", "https", "ws", "wss") and bool(parts.hostname)
        _ = parts.port  # raises where it is no number
    except ValueError:
        good = False
    if good and ("@" in parts.netloc or parts.query or parts.fragment):
        raise SettingsError(f"{platform}: url ends with its path, without a user, a query or a #: leave that out")
    if not good:  # it may have a token in it: it is not repeated
        raise SettingsError(f"{platform}: url is like https://host or http://127.0.0.1:8080, and this is not")
    return url.strip()
