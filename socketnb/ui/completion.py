"""Tab completion in `%chat` lines and `%%chat` cells: commands, arguments, verbs and buttons.

The completions of an argument are declared with the argument, see `arguments.py`.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from socketnb.errors import SocketnbError
from socketnb.ui.arguments import CompletionRequest, comma_separated, completions
from socketnb.ui.commands import COMMANDS, list_commands
from socketnb.ui.script import complete_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from socketnb.hub import Hub

log = logging.getLogger(__name__)
ASSIGNMENT = re.compile(r"(?:^|\s)\w+\s*<<\s*")
"""`name <<`, which assigns the turns to a variable."""
Candidates: TypeAlias = tuple[str, list[str]]
"""The word before the cursor, and its completions."""


class Completer:
    """Completes the text before the cursor.

    Args:
        hub: The hub that holds the sessions.
        variables: The variables of the notebook.
        cell_parser: The parser of the first line of a `%%chat` cell.
    """

    def __init__(self, hub: Hub, variables: Mapping[str, object], cell_parser: argparse.ArgumentParser) -> None:
        self._hub, self._variables, self._cell_parser = hub, variables, cell_parser

    @context_matcher(identifier="socketnb", priority=200)
    def match(self, context: CompletionContext) -> SimpleMatcherResult:
        """Return the completions at the cursor. In `%chat` and `%%chat`, completions of IPython are suppressed."""
        lines = context.full_text.split("\n")
        before = lines[context.cursor_line][: context.cursor_position]
        try:
            if before.lstrip().startswith("%chat "):
                return _result(*self._command_line(before.lstrip().removeprefix("%chat ")))
            if lines[0].startswith("%%chat"):
                if context.cursor_line == 0:
                    return _result(*self._cell_head(before.removeprefix("%%chat").lstrip(" ")))
                return _result(*self._cell_body(lines[0].removeprefix("%%chat"), before))
        except SocketnbError:
            log.debug("nothing to complete", exc_info=True)  # for example, no session is open
        return _result("", [])

    def _command_line(self, before: str) -> Candidates:
        """Complete a `%chat` line."""
        name, space, rest = before.partition(" ")
        if not space:
            return name, list_commands()
        return self._arguments(rest, COMMANDS[name].parser) if name in COMMANDS else ("", [])

    def _cell_head(self, before: str) -> Candidates:
        """Complete the first line of a `%%chat` cell."""
        return self._arguments(ASSIGNMENT.sub(" ", before).removeprefix(" "), self._cell_parser)

    def _cell_body(self, head: str, before: str) -> Candidates:
        """Complete a line of a cell's body: a verb, its fields, or the label of a button."""
        words = split_at_cursor(f"{ASSIGNMENT.sub(' ', head)} ", self._cell_parser).words
        session = self._hub.session(words[0] if words else None)
        return complete_line(before, session.verbs, session.button_names)

    def _arguments(self, before: str, parser: argparse.ArgumentParser) -> Candidates:
        """Complete the arguments of a command or cell."""
        typed = split_at_cursor(before, parser)
        if typed.action is None:
            return typed.word, typed.options if typed.word.startswith("-") else []
        request = CompletionRequest(self._hub, self._variables, typed.words)
        *earlier, word = typed.word.split(",") if typed.action.type is comma_separated else [typed.word]
        taken = [*earlier, *([] if typed.action.option_strings else typed.words)]
        return word, [value for value in completions(typed.action, request) if value not in taken]


@dataclass(frozen=True, slots=True)
class TypedArguments:
    """The arguments before the cursor.

    Attributes:
        word: The typed part of the word at the cursor.
        action: The argument that the word is a value of; None for the name of an option, or if no argument is left.
        words: The positional arguments before the word.
        options: The options that can follow.
    """

    word: str
    action: argparse.Action | None
    words: list[str]
    options: list[str]


def split_at_cursor(before: str, parser: argparse.ArgumentParser) -> TypedArguments:
    """Split the text before the cursor into arguments."""
    options = {name: action for action in parser._actions for name in action.option_strings}  # noqa: SLF001 (argparse has no public way)
    *done, word = before.split(" ")
    words: list[str] = []
    open_option: argparse.Action | None = None  # an option without its value
    for each in filter(None, done):
        if open_option is not None:
            open_option = None
        elif each.startswith("-"):
            option = options.get(each)
            open_option = option if option is not None and option.nargs != 0 else None
        else:
            words.append(each)
    unused = [name for name, action in options.items() if name not in done or isinstance(action.default, list)]
    name, equals, value = word.partition("=")
    if open_option is None and equals and name in options and options[name].nargs != 0:
        open_option, word = options[name], value
    if open_option is None and not word.startswith("-"):
        open_option = _positional(parser, len(words))
    return TypedArguments(word, open_option, words, unused)


def _positional(parser: argparse.ArgumentParser, index: int) -> argparse.Action | None:
    """Return the positional argument at an index (from 0)."""
    actions = parser._get_positional_actions()  # noqa: SLF001 (argparse has no public way)
    if actions and (index < len(actions) or actions[-1].nargs in ("*", "+")):
        return actions[min(index, len(actions) - 1)]
    return None


def _result(word: str, values: list[str]) -> SimpleMatcherResult:
    """Return the values that begin with the word. Case is ignored."""
    matching = [value for value in values if value.casefold().startswith(word.casefold())]
    items = [SimpleCompletion(text=value, type="socketnb") for value in matching]
    return SimpleMatcherResult(completions=items, matched_fragment=word, suppress=bool(items), ordered=True)
