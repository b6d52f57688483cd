"""Profiles: bots by name, each with its platform and settings, in files called `profiles.toml`.

    [shop]
    platform = "voiceflow"
    project_id = "6939…"
    api_key = {keyring = "voiceflow/shop"}     # or {env = "NAME"}

One file can be in the folder of the notebook and one in the user's config folder (SOCKETNB_HOME if set). If both define
a profile of the same name, the one in the folder of the notebook is used. Error messages name the file and line.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from socketnb.dialects import registry
from socketnb.dialects.registry import PLATFORMS
from socketnb.errors import SettingsError, unknown
from socketnb.model.json import Json, JsonObject, as_dict
from socketnb.model.secret import Secret
from socketnb.settings import Value, convert, environment_variable, find_value, to_path, warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from socketnb.dialects.base import Dialect

FILE_NAME = "profiles.toml"
LOOKUPS = ("env", "keyring")
"""The sources from which the value of a setting can be looked up: `{env = "NAME"}` or `{keyring = "service/user"}`."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A bot with a name.

    Attributes:
        name: The name of the profile.
        platform: The platform of the bot.
        file: The file that defines the profile.
        settings: The values of the settings as written in the file, before lookups.
        lines: The line number of each setting.
    """

    name: str
    platform: str
    file: Path
    settings: Mapping[str, Json]
    lines: Mapping[str, int]

    def location(self, setting: str) -> str:
        """Return the file and line of a setting."""
        return f"{self.file}, line {self.lines.get(setting, 1)}"

    def for_simulator(self, simulated: Iterable[str]) -> Profile:
        """Return the profile without the settings that a simulator provides and without lookups that would fail.

        Args:
            simulated: The names of the settings that the simulator provides.
        """
        omitted = {
            name
            for name, value in self.settings.items()
            if isinstance(value, dict) and not os.environ.get(str(value.get("env")))
        }
        omitted |= set(simulated)
        return replace(self, settings={name: value for name, value in self.settings.items() if name not in omitted})

    def get(self, setting: str) -> Value:
        """Return the value of a setting, read from the environment or keyring if the file says so, or None.

        Raises:
            SettingsError: The environment or the keyring does not have the value.
        """
        match self.settings.get(setting):
            case {"env": str(name)}:
                if not (value := os.environ.get(name)):
                    raise SettingsError(f"{self.location(setting)}: the environment variable {name} is not set")
                return value
            case {"keyring": str(entry)}:
                if not (value := self._from_keyring(setting, entry)):
                    raise SettingsError(f"{self.location(setting)}: the keyring has no entry {entry}")
                return value
            case value:
                return value

    def _from_keyring(self, setting: str, entry: str) -> str | None:
        try:
            import keyring
            import keyring.errors
        except ImportError:
            fix = 'keyring is not installed: pip install "socketnb[keyring]"'
            raise SettingsError(f"{self.location(setting)}: {fix}") from None
        service, _, user = entry.rpartition("/")
        try:
            return keyring.get_password(service, user)
        except (keyring.errors.KeyringError, OSError, RuntimeError) as error:
            message = f"the keyring cannot be read ({type(error).__name__})"
            raise SettingsError(f"{self.location(setting)}: {message}") from None


def table(environment: Mapping[str, str]) -> pd.DataFrame:
    """Return the frame of `socketnb.profiles`."""
    import pandas as pd

    rows = [row for entry in entries().values() for row in _rows(entry.read(), environment)]
    return pd.DataFrame(rows, columns=["profile", "platform", "setting", "value", "source"], dtype="string")


def _rows(profile: Profile, environment: Mapping[str, str]) -> list[tuple[str, str, str, str, str]]:
    """Return one row per setting: the profile, the platform, the setting, its value and source, credentials masked."""
    dialect = registry.get(profile.platform)
    rows = []
    value: Value
    for name, setting in dialect.settings.items():
        lookup = as_dict(profile.settings.get(name))
        if "keyring" in lookup and not environment.get(environment_variable(profile.name, name)):
            value, source = f"in the keyring as {lookup['keyring']}", profile.location(name)
        else:
            try:
                value, source = find_value(dialect, name, {}, environment, profile)
            except SettingsError as error:
                value, source = None, str(error)
            if value and _is_credential(dialect, name, value):
                value = Secret(str(value))
        if value is not None or source or setting.required:
            text = "" if value is None else str(value).encode(errors="replace").decode()
            rows.append((profile.name, profile.platform, name, text, source))
    return rows


def _is_credential(dialect: Dialect, name: str, value: Value) -> bool:
    """Return whether a value must be masked: a credential, or a URL that contains one or is malformed."""
    if name != "url":
        return dialect.settings[name].secret
    try:
        return dialect.secret_in_url(convert(dialect.name, name, dialect.settings[name], value))
    except SettingsError:
        return True


def files() -> list[Path]:
    """Return the possible paths of profile files, highest priority first."""
    if folder := os.environ.get("SOCKETNB_HOME"):
        config = to_path(folder, "SOCKETNB_HOME must be a folder")
    else:
        import platformdirs

        config = platformdirs.user_config_path("socketnb", appauthor=False)
    try:
        return list(dict.fromkeys([Path.cwd() / FILE_NAME, config / FILE_NAME]))
    except FileNotFoundError:  # the working directory was deleted
        return [config / FILE_NAME]


@dataclass(frozen=True, slots=True)
class Entry:
    """An unchecked entry of a profile file. It is checked on use, so an error in it does not affect others."""

    name: str
    file: Path
    text: str
    table: Json

    def read(self) -> Profile:
        """Return the checked profile. Values that must be looked up are not checked.

        Raises:
            SettingsError: The profile is malformed. The message names the file and line.
        """
        profile = _parse(self.file, self.text, self.name, self.table)
        readable_by_others = os.name == "posix" and self.file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        if readable_by_others and _contains_credentials(profile):
            warn(f"{self.file} contains credentials and others can read it: chmod 600 {self.file}")
        return profile


def entries() -> dict[str, Entry]:
    """Return the entries of all profiles by name. If several files define a profile, the first file is used.

    Raises:
        SettingsError: A file is not TOML. The message names the file and line.
    """
    entries: dict[str, Entry] = {}
    for file in reversed(files()):
        text, tables = _read(file)
        entries |= {name: Entry(name, file, text, table) for name, table in tables.items()}
    return entries


def find(platform: str | None, profile: str | None) -> tuple[Dialect, Profile | None]:
    """Return the dialect for `connect`, and the profile if the arguments name one.

    Args:
        platform: A platform, or the name of a profile.
        profile: The name of a profile.

    Raises:
        SettingsError: The platform or profile does not exist, or the profile is of another platform.
    """
    if profile is None and isinstance(platform, str) and platform in PLATFORMS:
        return registry.get(platform), None
    profiles = entries()
    for what, name, available in (("platform", platform, PLATFORMS), ("profile", profile, profiles)):
        if not isinstance(name, str | None):
            raise SettingsError(unknown(what, name, available))
    if platform is None and profile is None:
        raise SettingsError(
            f"connect needs a platform or a profile; available: {', '.join(dict.fromkeys([*PLATFORMS, *profiles]))}"
        )
    if profile is None and platform not in profiles:
        what = "platform or profile" if profiles else "platform"
        raise SettingsError(unknown(what, platform, [*PLATFORMS, *profiles]))
    name = str(platform) if profile is None else profile
    if name not in profiles:
        raise SettingsError(f"{unknown('profile', name, profiles)} (in {' or '.join(map(str, files()))})")
    found = profiles[name].read()
    if profile is not None and platform not in (None, found.platform):
        raise SettingsError(f"profile {name!r} is for {found.platform}, not for {platform}: omit one of the two")
    return registry.get(found.platform), found


def _read(file: Path) -> tuple[str, JsonObject]:
    """Return the text of a profile file and its TOML tables by name."""
    try:
        text = file.read_text(encoding="utf-8-sig") if file.is_file() else ""
        return text, tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{file} is not valid TOML: {error}") from None


def _parse(file: Path, text: str, name: str, table: Json) -> Profile:
    start = f"{file}, line {_line(text, name, None)}"
    if isinstance(table, list):
        raise SettingsError(f"{start}: write [{name}] instead of [[{name}]]")
    if not isinstance(table, dict):
        raise SettingsError(f"{start}: {name} is not in a profile: add a line such as [shop] above it")
    if name in PLATFORMS or not re.fullmatch(r"\w[\w.@+:-]*", name):
        raise SettingsError(f"{start}: the name of a profile must be one word that is not a platform, got {name!r}")
    if "platform" not in table:
        raise SettingsError(f'{start}: {name} needs platform = "{PLATFORMS[0]}", or another of {", ".join(PLATFORMS)}')
    lines = {key: _line(text, name, key) for key in table}
    if table["platform"] not in PLATFORMS:
        raise SettingsError(f"{file}, line {lines['platform']}: {unknown('platform', table['platform'], PLATFORMS)}")
    values = {key: value for key, value in table.items() if key != "platform"}
    profile = Profile(name, table["platform"], file, values, lines)
    settings = registry.get(profile.platform).settings
    for key, value in values.items():
        if key not in settings:
            message = unknown(f"{profile.platform} setting", key, [*settings, "platform"])
            raise SettingsError(f"{profile.location(key)}: {message}")
        if isinstance(value, dict):
            _check_lookup(profile, key, value)
            continue
        try:
            convert(profile.platform, key, settings[key], value)
        except SettingsError as error:
            raise SettingsError(f"{profile.location(key)}: {error}") from None
    return profile


def _check_lookup(profile: Profile, key: str, lookup: Mapping[str, Json]) -> None:
    """Check a lookup table such as `{env = "NAME"}` that replaces a value."""
    location = profile.location(key)
    for source in lookup:
        if source not in LOOKUPS:
            raise SettingsError(f"{location}: {key}: {unknown('lookup', source, LOOKUPS)}")
    if len(lookup) != 1:
        raise SettingsError(f'{location}: {key} must be a value, {{env = "NAME"}} or {{keyring = "service/user"}}')
    ((source, place),) = lookup.items()
    if not isinstance(place, str) or not place.strip() or (source == "keyring" and not all(place.rpartition("/"))):
        form = '"service/user"' if source == "keyring" else "the name of an environment variable"
        raise SettingsError(f"{location}: {key}: {source} must be {form}")


def _contains_credentials(profile: Profile) -> bool:
    dialect = registry.get(profile.platform)
    texts = {name: value for name, value in profile.settings.items() if isinstance(value, str)}
    return any(_is_credential(dialect, name, text) for name, text in texts.items())


def _line(text: str, profile: str, key: str | None) -> int:
    """Return the line number of a profile or of one of its keys. tomllib does not report line numbers."""
    name, is_header = key or profile, key is None
    assignment = re.compile(rf"\s*[\"']?{re.escape(name)}[\"']?\s*[=.]")
    inside, start = is_header, 1
    for number, line in enumerate(text.splitlines(), 1):
        if section := re.match(r"\s*\[\s*[\"']?(.+?)[\"']?\s*\]", line):
            if section[1] == (profile if is_header else f"{profile}.{key}"):
                return number
            inside = section[1] == profile and not is_header
            start = number if inside else start
        elif inside and assignment.match(line):
            return number
    return start
