"""What Tab completes in `%chat` lines and `%%chat` cells: commands, options, sessions, platforms, verbs, buttons."""

from __future__ import annotations

import logging
import re
from typing import Any

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)

from socketnb.dialects import registry
from socketnb.dialects.registry import PLATFORMS
from socketnb.errors import SettingsError, SocketnbError
from socketnb.flows.flow import Flow
from socketnb.hub import Hub
from socketnb.ui.cell.row import FORMATS
from socketnb.ui.commands import COMMANDS
from socketnb.ui.script import completed

log = logging.getLogger(__name__)
KEPT = re.compile(r"(?:^|\s)\w+\s*<<\s*")
"""`name <<`, which says under which name the turns are kept."""


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
        command, space, rest = before.partition(" ")
        if not space:
            return command, list(COMMANDS)
        if command not in COMMANDS:
            return "", []
        typed = Typed(rest, COMMANDS[command])
        if typed.word.startswith("-"):
            return typed.word, typed.options
        return typed.word, self._values(command, typed)

    def _values(self, command: str, typed: Typed) -> list[str]:
        match command, typed.option:
            case (("connect" | "simulate"), "--flow"):
                return [name for name, value in self._names.items() if isinstance(value, Flow) and name[0] != "_"]
            case "connect", "--profile":
                return self._profiles()
            case "connect", "--set":
                platform = next(iter(typed.words), "")
                return [f"{name}=" for name in registry.get(platform).settings] if platform in PLATFORMS else []
            case (("close" | "df" | "panel" | "reset" | "transcript" | "use" | "verbs"), _):
                several = command == "panel"
                return [name for name in self._sessions() if several or not typed.words if name not in typed.words]
            case _, None if not typed.words:
                return {
                    "connect": [*PLATFORMS, *(self._profiles() if command == "connect" else [])],
                    "simulate": list(PLATFORMS),
                    "help": list(COMMANDS),
                    "record": ["on", "off"],
                }.get(command, [])
            case _:
                return []

    def head(self, before: str) -> tuple[str, list[str]]:
        """Return the same of the first line of a `%%chat` cell."""
        from socketnb.ui.magic import Chat

        typed = Typed(KEPT.sub(" ", before).removeprefix(" "), Chat.talk)
        match typed.option:
            case None if typed.word.startswith("-"):
                return typed.word, typed.options
            case None:
                return typed.word, self._sessions() if not typed.words else []
            case "-f" | "--format":
                return typed.word, list(FORMATS)
            case "--to":
                *others, word = typed.word.split(",")
                return word, [name for name in self._sessions() if name not in others]
            case _:
                return typed.word, []

    def body(self, head: str, before: str) -> tuple[str, list[str]]:
        """Return the same of a line of a cell's body: a verb, its fields, a button's label."""
        from socketnb.ui.magic import Chat

        named = Typed(f"{KEPT.sub(' ', head)} ", Chat.talk).words
        session = self._hub.session(named[0] if named else None)
        return completed(before, session.verbs, session.choices)

    def _sessions(self) -> list[str]:
        return [session.name for session in self._hub.sessions()]

    def _profiles(self) -> list[str]:
        try:
            return self._hub.profile_names()
        except SettingsError:  # a file that cannot be read: connecting says so
            return []


class Typed:
    """What is typed of a line's arguments, up to the cursor.

    Attributes:
        word: the last word, so far.
        option: the option whose value it is, if it is one's.
        words: the arguments before it that are no option's.
        options: the options that there are.
    """

    def __init__(self, before: str, magic: Any) -> None:
        takes = {name: action.nargs != 0 for action in magic.parser._actions for name in action.option_strings}  # noqa: SLF001
        *done, self.word = before.split(" ")
        self.option: str | None = None
        self.words: list[str] = []
        self.options = [name for name in takes if name not in done or name in ("--set", "--expect")]
        for word in filter(None, done):
            if self.option is None and word.startswith("-"):
                self.option = word if takes.get(word) else None
            elif self.option is None:
                self.words.append(word)
            else:
                self.option = None
        name, equals, value = self.word.partition("=")
        if self.option is None and equals and takes.get(name):
            self.option, self.word = name, value


def _result(typed: str, words: list[str]) -> SimpleMatcherResult:
    """Return what begins as typed, whatever the case."""
    fitting = [word for word in words if word.casefold().startswith(typed.casefold())]
    found = [SimpleCompletion(text=word, type="socketnb") for word in fitting]
    return SimpleMatcherResult(completions=found, matched_fragment=typed, suppress=bool(found), ordered=True)
