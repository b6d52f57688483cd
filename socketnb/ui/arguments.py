"""Declared arguments of `%chat` commands and `%%chat`: parsing, help and completion.

`@argument` works like IPython's decorator of this name. In addition, `completes=` is a function that returns the
completions, so a new argument needs no change in `completion.py`.
"""

from __future__ import annotations

import argparse
import keyword
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from IPython.core import magic_arguments

from socketnb.dialects import registry
from socketnb.dialects.registry import PLATFORMS
from socketnb.errors import SettingsError
from socketnb.flows.flow import Flow

if TYPE_CHECKING:
    from socketnb.hub import Hub

DEFAULT_SESSION = "name of the session (default: the session used last)"
"""Help of an optional session name."""


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """The argument of a `completes=` function.

    Attributes:
        hub: The hub with the open sessions.
        variables: The variables of the notebook.
        words: The positional arguments before the cursor.
    """

    hub: Hub
    variables: Mapping[str, object]
    words: Sequence[str] = ()


Completes: TypeAlias = Callable[[CompletionRequest], Sequence[str]]


class HasParser(Protocol):
    """A function whose arguments are declared."""

    parser: argparse.ArgumentParser


class Argument(magic_arguments.argument):
    """The decorator that `argument` returns."""

    def __init__(self, *names: str, completes: Completes | None, **options: object) -> None:
        super().__init__(*names, **options)
        self._completes = completes

    def add_to_parser(self, parser: argparse.ArgumentParser, group: argparse._ArgumentGroup | None) -> None:
        """Add the argument to a parser."""
        action = (group or parser).add_argument(*self.args, **self.kwds)
        vars(action)["completes"] = self._completes


def argument(*names: str, completes: Completes | None = None, **options: object) -> Argument:
    """Declare an argument of a command.

    Args:
        *names: As for `argparse.ArgumentParser.add_argument`.
        completes: Returns the completions (default: `choices`, if given).
        **options: As for `argparse.ArgumentParser.add_argument`.
    """
    return Argument(*names, completes=completes, **options)


def completions(action: argparse.Action, request: CompletionRequest) -> list[str]:
    """Return the completions of an argument."""
    completes: Completes | None = vars(action).get("completes")
    return list(completes(request)) if completes else list(action.choices or [])


def session_names(request: CompletionRequest) -> list[str]:
    """Return the names of the open sessions."""
    return [session.name for session in request.hub.sessions()]


def profile_names(request: CompletionRequest) -> list[str]:
    """Return the names of the profiles. If a file cannot be read, return none; `%chat connect` reports the error."""
    try:
        return request.hub.profile_names()
    except SettingsError:
        return []


def platforms_and_profiles(request: CompletionRequest) -> list[str]:
    """Return the platforms and profiles."""
    return [*PLATFORMS, *profile_names(request)]


def setting_names(request: CompletionRequest) -> list[str]:
    """Return the settings of the typed platform, each followed by `=`."""
    platform = request.words[0] if request.words else ""
    return [f"{name}=" for name in registry.get(platform).settings] if platform in PLATFORMS else []


def flow_names(request: CompletionRequest) -> list[str]:
    """Return the names of the notebook's flows."""
    return list(flows(request.variables))


def flows(variables: Mapping[str, object]) -> dict[str, Flow]:
    """Return the flows among a notebook's variables, without those whose name begins with _."""
    return {name: value for name, value in variables.items() if isinstance(value, Flow) and name[0] != "_"}


def comma_separated(text: str) -> list[str]:
    """Convert `a,b` to a list without duplicates.

    Raises:
        ArgumentTypeError: The list is empty.
    """
    words = list(dict.fromkeys(filter(None, map(str.strip, text.split(",")))))
    if not words:
        raise argparse.ArgumentTypeError("must be names separated by commas, such as a,b")
    return words


def variable_name(text: str) -> str:
    """Check the name of a Python variable.

    Raises:
        ArgumentTypeError: The name is not valid in Python.
    """
    if not text.isidentifier() or keyword.iskeyword(text):
        raise argparse.ArgumentTypeError(f"must be a valid name of a Python variable, got {text!r}")
    return text


def repetitions(text: str) -> int:
    """Convert a text to a number of repetitions.

    Raises:
        ArgumentTypeError: The text is not a whole number of at least 1.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def split_words(line: str) -> list[str]:
    """Split a magic's line into words. Quotes group words; a backslash has no special meaning.

    Raises:
        SettingsError: A quote is not closed.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars="")
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    try:
        return list(lexer)
    except ValueError:
        raise SettingsError("a quotation mark is not closed") from None
