"""Profiles: bots by name, each with its platform and settings, in files called `profiles.toml`.

    [shop]
    platform = "voiceflow"
    project_id = "6939…"
    api_key = {keyring = "voiceflow/shop"}     # or {env = "NAME"}

One file may stand beside the notebook and one in the user's config folder (with SOCKETNB_HOME: there). Of two profiles
of the same name the nearer one counts. Every mistake is told with its file and line.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from socketnb.dialects import registry
from socketnb.dialects.registry import PLATFORMS
from socketnb.errors import SettingsError, unknown
from socketnb.model.json import as_dict
from socketnb.model.secret import Secret
from socketnb.settings import convert, found, path_of, variable, warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from socketnb.dialects.base import Dialect

FILE = "profiles.toml"
LOOKUPS = ("env", "keyring")


@dataclass(frozen=True, slots=True)
class Profile:
    """A bot by its name.

    Attributes:
        name: what it is called.
        platform: its platform.
        file: where it stands.
        values: its settings, as they stand there.
        lines: the line of each.
    """

    name: str
    platform: str
    file: Path
    values: Mapping[str, Any]
    lines: Mapping[str, int]

    def where(self, setting: str) -> str:
        """Return file and line of a setting."""
        return f"{self.file}, line {self.lines.get(setting, 1)}"

    def offline(self, own: Iterable[str]) -> Profile:
        """Return what counts on a simulator, which has some settings of its own, and needs no keyring or variable."""
        gone = {n for n, v in self.values.items() if isinstance(v, dict) and not os.environ.get(str(v.get("env")))}
        return replace(self, values={n: v for n, v in self.values.items() if n not in {*own, *gone}})

    def get(self, setting: str) -> Any:
        """Return a setting's value, looked up where it says so; None if the profile does not have it.

        Raises:
            SettingsError: it is not where it is looked up.
        """
        match self.values.get(setting):
            case {"env": name}:
                if not (value := os.environ.get(name)):
                    raise SettingsError(f"{self.where(setting)}: the environment has no {name}")
                return value
            case {"keyring": place}:
                if not (value := self._from_keyring(setting, place)):
                    raise SettingsError(f"{self.where(setting)}: the keyring has no {place}")
                return value
            case value:
                return value

    def _from_keyring(self, setting: str, place: str) -> str | None:
        try:
            import keyring
            import keyring.errors
        except ImportError:
            what = f'{self.where(setting)}: the keyring is asked with pip install "socketnb[keyring]"'
            raise SettingsError(what) from None
        service, _, user = place.rpartition("/")
        try:
            return keyring.get_password(service, user)
        except (keyring.errors.KeyringError, OSError, RuntimeError) as error:
            raise SettingsError(f"{self.where(setting)}: the keyring did not tell ({type(error).__name__})") from None


def shown(profile: Profile, environment: Mapping[str, str]) -> list[tuple[str, str, str, str, str]]:
    """Return of each setting of a profile: profile, platform, setting, value and source, credentials masked."""
    dialect = registry.get(profile.platform)
    rows = []
    value: Any
    for name, how in dialect.settings.items():
        if "keyring" in as_dict(profile.values.get(name)) and not environment.get(variable(profile.name, name)):
            value, source = f"in the keyring as {profile.values[name]['keyring']}", profile.where(name)
        else:
            try:
                value, source = found(dialect, name, {}, environment, profile)
            except SettingsError as error:
                value, source = None, str(error)
            if value and (how.secret or (name == "url" and not _is_plain(dialect, value))):
                value = Secret(str(value))
        if value is not None or source or how.required:
            text = "" if value is None else str(value).encode(errors="replace").decode()
            rows.append((profile.name, profile.platform, name, text, source))
    return rows


def _is_plain(dialect: Dialect, url: Any) -> bool:
    """Tell whether a url has no credential in it: one that cannot be read may have one."""
    try:
        url = convert(dialect.name, "url", dialect.settings["url"], url)
        settings = {key: how.default for key, how in dialect.settings.items()}
        settled = dialect.settle({**settings, "url": url, "token": Secret("-")})["url"]
        return bool(settled.rstrip("/") == url.rstrip("/"))
    except SettingsError:
        return False


def files() -> list[Path]:
    """Return where profiles may stand, the nearest first."""
    if given := os.environ.get("SOCKETNB_HOME"):
        user = path_of(given, "SOCKETNB_HOME is a folder")
    else:
        import platformdirs

        user = platformdirs.user_config_path("socketnb", appauthor=False)
    try:
        return list(dict.fromkeys([Path.cwd() / FILE, user / FILE]))
    except FileNotFoundError:  # the folder in which this runs is gone
        return [user / FILE]


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands under a name in a file, unchecked: a mistake in one profile does not stop another."""

    name: str
    file: Path
    text: str
    table: Any

    def read(self) -> Profile:
        """Return the profile, checked as far as it can be without what is looked up.

        Raises:
            SettingsError: something in it has no meaning; file and line are named.
        """
        profile = _profile(self.file, self.text, self.name, self.table)
        open_to_others = os.name == "posix" and self.file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        if open_to_others and _has_credentials(profile):
            warn(f"{self.file} has credentials in it, and others can read it: chmod 600 {self.file}")
        return profile


def entries() -> dict[str, Entry]:
    """Return all profiles by name, of each name the nearest.

    Raises:
        SettingsError: a file is no TOML; file and line are named.
    """
    there: dict[str, Entry] = {}
    for file in reversed(files()):
        text, tables = _tables(file)
        there |= {name: Entry(name, file, text, table) for name, table in tables.items()}
    return there


def which(platform: str | None, profile: str | None) -> tuple[Dialect, Profile | None]:
    """Return what is meant: a platform, or a profile and its platform; a profile may stand in the platform's place.

    Raises:
        SettingsError: there is no such platform or profile, or the two do not fit.
    """
    if profile is None and isinstance(platform, str) and platform in PLATFORMS:
        return registry.get(platform), None
    there = entries()
    for what, given, known in (("platform", platform, PLATFORMS), ("profile", profile, there)):
        if not isinstance(given, str | None):
            raise SettingsError(unknown(what, given, known))
    if platform is None and profile is None:
        raise SettingsError(f"connect to which platform? There is: {', '.join([*PLATFORMS, *there])}")
    if profile is None and platform not in there:
        raise SettingsError(unknown("platform or profile" if there else "platform", platform, [*PLATFORMS, *there]))
    name = str(platform) if profile is None else profile
    if name not in there:
        raise SettingsError(f"{unknown('profile', name, there)} (in {' or '.join(map(str, files()))})")
    read = there[name].read()
    if profile is not None and platform not in (None, read.platform):
        raise SettingsError(f"profile {name!r} is of {read.platform}, not of {platform}: leave one out")
    return registry.get(read.platform), read


def _tables(file: Path) -> tuple[str, dict[str, Any]]:
    """Return a file's text, and what it has under each name."""
    try:
        text = file.read_text(encoding="utf-8-sig") if file.is_file() else ""
        return text, tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{file} is no TOML: {error}") from None


def _profile(file: Path, text: str, name: str, table: Any) -> Profile:
    at = f"{file}, line {_line(text, name, None)}"
    if not isinstance(table, dict):
        what = "a profile begins with [shop], once" if isinstance(table, list) else "a line [shop] above it begins one"
        raise SettingsError(f"{at}: {name} stands in no profile: {what}")
    if name in PLATFORMS or not re.fullmatch(r"\w[\w.@+:-]*", name):
        raise SettingsError(f"{at}: a profile is called by one word that is no platform, not {name!r}")
    if "platform" not in table:
        raise SettingsError(f'{at}: {name} needs platform = "{PLATFORMS[0]}", or another of {", ".join(PLATFORMS)}')
    lines = {key: _line(text, name, key) for key in table}
    if table["platform"] not in PLATFORMS:
        raise SettingsError(f"{file}, line {lines['platform']}: {unknown('platform', table['platform'], PLATFORMS)}")
    values = {key: value for key, value in table.items() if key != "platform"}
    profile = Profile(name, table["platform"], file, values, lines)
    known = registry.get(profile.platform).settings
    for key, value in values.items():
        if key not in known:
            wrong = unknown(f"{profile.platform} setting", key, [*known, "platform"])
            raise SettingsError(f"{profile.where(key)}: {wrong}")
        if isinstance(value, dict):
            _check_lookup(profile, key, value)
            continue
        try:
            convert(profile.platform, key, known[key], value)
        except SettingsError as error:
            raise SettingsError(f"{profile.where(key)}: {error}") from None
    return profile


def _check_lookup(profile: Profile, key: str, value: Mapping[str, Any]) -> None:
    how = next((name for name in value if name not in LOOKUPS), next(iter(value), ""))
    if len(value) != 1 or how not in LOOKUPS:
        near = difflib.get_close_matches(how, LOOKUPS, n=1)
        hint = f"did you mean {near[0]!r}? " if near and near[0] != how else ""
        what = f'{hint}{key} is a value, {{env = "NAME"}} or {{keyring = "service/user"}}'
        raise SettingsError(f"{profile.where(key)}: {what}")
    place = value[how]
    if not isinstance(place, str) or not place.strip() or (how == "keyring" and not all(place.rpartition("/"))):
        what = 'keyring is "service/user"' if how == "keyring" else "env is the name of a variable"
        raise SettingsError(f"{profile.where(key)}: {what}")


def _has_credentials(profile: Profile) -> bool:
    dialect = registry.get(profile.platform)
    known = dialect.settings
    texts = {name: value for name, value in profile.values.items() if isinstance(value, str)}
    return any(known[name].secret or (name == "url" and not _is_plain(dialect, text)) for name, text in texts.items())


def _line(text: str, profile: str, key: str | None) -> int:
    """Return the number of the line on which a profile begins, or one of its keys; tomllib does not tell."""
    name, header = key or profile, key is None
    begins = re.compile(rf"\s*[\"']?{re.escape(name)}[\"']?\s*[=.]")
    inside, began = header, 1
    for number, line in enumerate(text.splitlines(), 1):
        if section := re.match(r"\s*\[\s*[\"']?(.+?)[\"']?\s*\]", line):
            if section[1] == (profile if header else f"{profile}.{key}"):
                return number
            inside = section[1] == profile and not header
            began = number if inside else began
        elif inside and begins.match(line):
            return number
    return began
