"""Documentation that is generated from the dialects: the settings, options and faults of each platform."""

from __future__ import annotations

import inspect
import textwrap
from typing import TYPE_CHECKING

from socketnb.dialects import registry
from socketnb.dialects.registry import PLATFORMS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from socketnb.dialects.base import Dialect
    from socketnb.model.actions import Setting

WIDTH = 110
"""The maximum length of a line of documentation."""


def document_platforms(method: Callable[..., object], describe: Callable[[Dialect], str]) -> None:
    """Append what `describe` returns for each platform to the docstring of a method."""
    if method.__doc__:  # None with python -OO
        sections = "\n\n".join(describe(registry.get(platform)) for platform in PLATFORMS)
        method.__doc__ = f"{inspect.cleandoc(method.__doc__)}\n\n{sections}"


def settings_of(dialect: Dialect) -> str:
    """Return the documentation of a platform's settings."""
    return _section(f"Settings of {dialect.name}:", _described(dialect.settings))


def simulator_of(dialect: Dialect) -> str:
    """Return the documentation of the options and faults of a platform's simulator."""
    return "\n\n".join(
        _section(title, entries)
        for title, entries in (
            (f"Options of the {dialect.name} simulator:", _described(dialect.options)),
            (f"Faults of the {dialect.name} simulator:", dialect.faults),
        )
        if entries
    )


def _section(title: str, entries: Mapping[str, str]) -> str:
    lines = [
        textwrap.fill(f"{name}: {text}", WIDTH, initial_indent="    ", subsequent_indent="        ")
        for name, text in entries.items()
    ]
    return "\n".join([title, *lines])


def _described(settings: Mapping[str, Setting]) -> dict[str, str]:
    return {name: _description(setting) for name, setting in settings.items()}


def _description(setting: Setting) -> str:
    """Return the description of a setting: its meaning, its allowed values and its default."""
    notes = ["required"] if setting.required else []
    if setting.secret:
        notes.append("a credential")
    if setting.among:
        notes.append(f"{'any of' if setting.type is tuple else 'one of'} {', '.join(setting.among)}")
    if setting.default is not None:
        default = ", ".join(setting.default) if isinstance(setting.default, tuple) else repr(setting.default)
        notes.append(f"default {default}")
    return f"{setting.help} ({'; '.join(notes)})" if notes else setting.help
