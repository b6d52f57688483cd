"""Saved sessions: the settings that a later kernel needs to resume a session."""

from __future__ import annotations

import json
import os
import warnings
from typing import TYPE_CHECKING

from socketnb.dialects.base import warn
from socketnb.model.effects import Record
from socketnb.model.secret import Secret
from socketnb.settings import convert, home

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from socketnb.dialects.base import Dialect
    from socketnb.settings import Value, Values


BUTTONS = "buttons"
"""The name under which the buttons are saved, beside the names of settings."""


class SavedSession:
    """The values that a later kernel needs to resume a session, in a JSON file that only its owner can read.

    The file is `sessions/<platform>-<name>.json` in the data folder. It contains the settings that the dialect lists in
    `resume_settings` and `resume_scope`, and the buttons of the last turn. Credentials in `resume_scope` are stored as
    fingerprints.

    Args:
        dialect: The dialect of the platform.
        name: The name of the session.

    Attributes:
        buttons: The saved buttons as JSON; empty if there are none or the conversation is a new one.
        notes: What to record if no conversation is resumed.
    """

    def __init__(self, dialect: Dialect, name: str) -> None:
        self.buttons = ""
        self.notes: list[Record] = []
        self._dialect = dialect
        self._resumed: dict[str, str] = {}
        self._path = home() / "sessions" / f"{dialect.name}-{name}.json"

    def load(self, settings: Mapping[str, Value]) -> dict[str, str]:
        """Return the saved values of `resume_settings`; empty if they belong to another server, bot or user.

        Args:
            settings: The settings of the new session.
        """
        saved = self._read()
        scope = self._dialect.resume_scope
        other = [name for name in scope if str(settings.get(name) or "") != saved.get(name, "")]
        user = self._dialect.user_setting
        if settings.get(user) not in (None, saved.get(user)):
            other.append(user)
        names = self._dialect.resume_settings
        ended = any(self._dialect.settings[name].secret and not saved.get(name) for name in names)
        if not saved:
            text = "a new conversation starts, because none is saved under this name"
            self.notes = [Record("resume", "session", None, "local", text=text)]
        elif other or ended:
            what = f"has another {' and '.join(other)}" if other else "has ended"
            self.notes = [warn(0, f"a new conversation starts, because the saved one {what}")]
        else:
            self.buttons = saved.get(BUTTONS, "")
        self._resumed = {} if other else {name: saved[name] for name in names if name in saved}
        return dict(self._resumed)

    def start(self, settings: Mapping[str, Value]) -> None:
        """Save the initial settings of a session."""
        for name, value in self._resumed.items():
            if (now := settings[name]) != value and not (isinstance(now, Secret) and now.reveal() == value):
                self.buttons = ""  # an argument replaces the saved value
        resumed = {name: settings[name] or "" for name in self._dialect.resume_settings}
        clear = {name: value.reveal() if isinstance(value, Secret) else value for name, value in resumed.items()}
        scope = {name: str(settings[name] or "") for name in self._dialect.resume_scope}
        self.save(**scope, **clear, **{BUTTONS: self.buttons})

    def persist(self, setting: str, value: str) -> bool:
        """Save the value of a setting. Return whether the platform has started a new conversation instead."""
        self.save(**{setting: value})
        before = self._resumed.pop(setting, value)
        return value not in ("", before)

    def save_buttons(self, buttons: str) -> None:
        """Save the buttons as JSON if they have changed."""
        if buttons != self.buttons:
            self.buttons = buttons
            self.save(**{BUTTONS: buttons})

    def save(self, **settings: str) -> None:
        """Add settings to the saved ones. An empty value deletes a setting.

        If the file cannot be written, a `RuntimeWarning` is issued.
        """
        saved = {name: value for name, value in {**self._read(), **settings}.items() if value}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._path.with_suffix(".new")
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(saved, file)
            temporary.replace(self._path)
        except OSError as error:
            message = f"the session cannot be saved in {self._path.parent} for a later kernel: {error.strerror}"
            warnings.warn(message, RuntimeWarning, stacklevel=2)

    def _read(self) -> dict[str, str]:
        try:
            saved = json.loads(self._path.read_text())
            return {name: value for name, value in saved.items() if isinstance(value, str)}
        except (OSError, ValueError, AttributeError):
            return {}


def complete_settings(
    dialect: Dialect,
    settings: Mapping[str, Value],
    given: Mapping[str, Value],
    saved: SavedSession | None,
    new_id: Callable[[], str],
) -> Values:
    """Return the initial settings of a session, with saved values added and missing ids generated.

    Args:
        dialect: The dialect of the platform.
        settings: Every setting of the platform, resolved.
        given: The settings that were passed as arguments. Saved values do not replace them.
        saved: The saved session to resume. The settings are saved in it.
        new_id: Returns a new id at each call.
    """
    completed = dict(settings)
    for name, value in saved.load(completed).items() if saved else ():
        if name not in given:
            completed[name] = convert(dialect.name, name, dialect.settings[name], value)
    for name, setting in dialect.settings.items():
        if setting.generate and not completed[name]:
            completed[name] = f"{setting.generate}-{new_id()}"
    if saved:
        saved.start(completed)
    return completed
