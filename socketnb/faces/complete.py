"""What Tab completes in `%chat` lines and `%%chat` cells: commands, options, sessions, platforms, verbs, buttons."""

from __future__ import annotations

import logging
from typing import Any

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)

from socketnb import dialects
from socketnb.dialects import PLATFORMS
from socketnb.errors import SettingsError, SocketnbError
from socketnb.faces.commands import COMMANDS
from socketnb.faces.script import WAIT
from socketnb.flow import Flow
from socketnb.hub import Hub
from socketnb.records import Choice

log = logging.getLogger(__name__)


class Completer:
    """Completes what stands before the cursor."""

    def __init__(self, hub: Hub, names: dict[str, Any]) -> None:
        self._hub, self._names = hub, names

    @context_matcher(identifier="socketnb", priority=200)
    def match(self, context: CompletionContext) -> SimpleMatcherResult:
        """Return what may stand at the cursor; where that is something of ours, nothing else is offered."""
        lines = context.full_text.split("\n")
        before = lines[context.cursor_line][: context.cursor_position]
        try:
            if before.lstrip().startswith("%chat "):
                return _result(*self.line(before.lstrip().removeprefix("%chat ")))
            if lines[0].startswith("%%chat"):
                if context.cursor_line == 0:
                    return _result(*self.head(before.removeprefix("%%chat").lstrip(" ")))
                return _result(*self.body(lines[0].removeprefix("%%chat"), before))
        except SocketnbError:
            log.debug("nothing to complete", exc_info=True)  # no session is open, say
        return _result("", [])

    def line(self, before: str) -> tuple[str, list[str]]:
        """Return what is typed of the last word of a `%chat` line, and what it may be."""
        *done, word = before.split(" ")
        done = [each for each in done if each]
        if not done:
            return word, list(COMMANDS)
        command, *rest = done
        if command not in COMMANDS:
            return word, []
        options = _options(COMMANDS[command])
        if word.startswith("-"):
            return word, [option for option in options if option not in rest]
        return word, self._values(command, rest)

    def _values(self, command: str, rest: list[str]) -> list[str]:
        last = rest[-1] if rest else ""
        match command, last:
            case ("connect" | "simulate", "--flow"):
                return [name for name, value in self._names.items() if isinstance(value, Flow)]
            case "connect", "--profile":
                return self._profiles()
            case "connect", "--set":
                platform = rest[0]
                return [f"{name}=" for name in dialects.get(platform).SETTINGS] if platform in PLATFORMS else []
            case "connect", "":
                return [*PLATFORMS, *self._profiles()]
            case "simulate", "":
                return list(PLATFORMS)
            case "help", "":
                return list(COMMANDS)
            case "record", "":
                return ["on", "off"]
            case (("close" | "df" | "panel" | "reset" | "transcript" | "use" | "verbs"), _):
                return [name for name in self._sessions() if name not in rest]
            case _:
                return []

    def head(self, before: str) -> tuple[str, list[str]]:
        """Return the same of the first line of a `%%chat` cell."""
        from socketnb.faces.cell.row import FORMATS
        from socketnb.faces.magic import Chat

        *done, word = before.split(" ")
        last = next((each for each in reversed(done) if each), "")
        if word.startswith("-"):
            return word, _options(Chat.talk)
        if last in ("-f", "--format"):
            return word, list(FORMATS)
        if last == "--to":
            *others, word = word.split(",")
            return word, [name for name in self._sessions() if name not in others]
        return word, self._sessions() if not last or not last.startswith("-") else []

    def body(self, head: str, before: str) -> tuple[str, list[str]]:
        """Return the same of a line of a cell's body: a verb, its fields, a button's label."""
        if not before.startswith("/") or before.startswith("//"):
            return "", []
        named = [word for word in head.split() if word in self._sessions()]
        session = self._hub.session(named[0] if named else None)
        verb, space, rest = before[1:].partition(" ")
        if not space:
            return verb, [*(name for name in session.verbs if name != "text"), WAIT]
        if verb not in session.verbs:
            return "", []
        fields = session.verbs[verb].fields
        if fields and fields[0].type is Choice:
            return rest, [choice.label for choice in session.choices if choice.request is not None]
        word = rest.rpartition(" ")[2]
        return word, [f"{field.name}=" for field in fields if f"{field.name}=" not in rest]

    def _sessions(self) -> list[str]:
        return [session.name for session in self._hub.sessions()]

    def _profiles(self) -> list[str]:
        try:
            return self._hub.profile_names()
        except SettingsError:  # a file that cannot be read: connecting says so
            return []


def _options(magic: Any) -> list[str]:
    return [option for action in magic.parser._actions for option in action.option_strings]  # noqa: SLF001


def _result(typed: str, words: list[str]) -> SimpleMatcherResult:
    """Return what begins as typed, whatever the case."""
    fitting = [word for word in words if word.casefold().startswith(typed.casefold())]
    found = [SimpleCompletion(text=word, type="socketnb") for word in fitting]
    return SimpleMatcherResult(completions=found, matched_fragment=typed, suppress=bool(found), ordered=True)
