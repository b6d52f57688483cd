"""A conversation in a terminal: a line is a turn, and what the bot says is shown as it comes."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text as Line

from socketnb import render
from socketnb.dialects.messages import message
from socketnb.errors import ExpectationFailed, SocketnbError
from socketnb.model.content import Delta
from socketnb.settings import home
from socketnb.ui import script
from socketnb.ui.cell import Cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from socketnb.conversation.session import Session
    from socketnb.dialects.messages import Message
    from socketnb.model.trace import Trace
    from socketnb.ui.cell.place import Part

HELP = """A line is said. /press 2 or /press Label presses a button, Tab completes, Ctrl-C stops waiting, Ctrl-D ends.
What this bot's platform knows beside that:"""
STYLES = {"agent": "magenta", "bot": "cyan", "system": "dim"}


class Printed:
    """Prints what a step brings, as it comes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._parts: list[Part] = []
        self._seen: list[int] = []
        self._inside = False  # a streamed message

    def add(self, parts: Sequence[Part]) -> None:
        """Print what a turn brings, from here on."""
        self._parts += parts
        self._seen += [0] * len(parts)
        self.refresh()

    def note(self, said: str, *, good: bool = False) -> None:
        """Print what was expected and came, or what went wrong."""
        self._line(f"{'✓' if good else '✗'} {said}", "green" if good else "red")

    def refresh(self, *, end: bool = False) -> None:
        """Print what is new."""
        for n, part in enumerate(self._parts):
            fresh = part.traces[self._seen[n] :]
            self._seen[n] += len(fresh)
            for trace in fresh:
                self._show(trace)
        if end:
            for part in self._parts:
                self._line(part.summary, "dim")
            self._parts, self._seen = [], []

    def _show(self, trace: Trace) -> None:
        shown = message(trace) if trace.sender != "user" else None
        if shown and isinstance(shown.content, Delta):
            if shown.content.text:
                self._console.print(Line(render.printable(shown.content.text)), end="", soft_wrap=True)
                self._inside = True
        elif shown:
            self._say(shown)
        elif said := render.notice(trace):
            self._line(said, "yellow")

    def _say(self, shown: Message) -> None:
        self._newline()
        words = render.printable(render.cut(render.message_text(shown)))
        self._console.print(Line(words, STYLES.get(shown.trace.sender, "")), soft_wrap=True)

    def _line(self, said: str, style: str) -> None:
        self._newline()
        self._console.print(Line(render.printable(said), style), soft_wrap=True)

    def _newline(self) -> None:
        if self._inside:
            self._console.print()
            self._inside = False


def converse(session: Session, timeout: float | None, mask: Callable[[str], str]) -> int:
    """Talk until the user ends it; from a pipe, do what it has, as a `%%chat` cell. Returns the exit status.

    1: a turn did not end well, or a reply is not as expected.
    """
    console = Console(highlight=False)
    if sys.stdin is None or not sys.stdin.isatty():
        return _do(session, sys.stdin.read() if sys.stdin else "", console, timeout=timeout, mask=mask)
    console.print(Line(f"{session.name}: {session.platform}. /help tells more, Ctrl-D ends.", "dim"))
    for line in _lines(session, mask):
        if line.strip() == "/help":
            console.print(Line(f"{HELP}\n{script.verbs(session.verbs)}", "dim"))
        else:
            _do(session, line, console, timeout=timeout, mask=mask)
    return 0


def _do(session: Session, typed: str, console: Console, **how: Any) -> int:
    try:
        steps = script.steps(typed)
        Cell(steps, [session], place=lambda _: Printed(console), **how).run()
    except KeyboardInterrupt:
        console.print(Line("stopped", "yellow"))
        return 130
    except ExpectationFailed as error:
        console.print(Line(f"{error.where}: expected {error.expected!r}", "red"))
        return 1
    except SocketnbError as error:
        said = str(error) if "\n" in typed.strip() else str(error).removeprefix("line 1: ")
        console.print(Line(render.printable(how["mask"](said)), "red"), soft_wrap=True)
        return 1
    return 0


def _lines(session: Session, mask: Callable[[str], str]) -> Iterator[str]:
    """Yield what the user types, with a history that outlives the terminal, without credentials."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.history import FileHistory, History, InMemoryHistory
    from prompt_toolkit.shortcuts import CompleteStyle

    class Words(Completer):
        def get_completions(self, document: Document, _: CompleteEvent) -> Iterator[Completion]:
            typed, words = script.completed(document.text_before_cursor, session.verbs, session.choices)
            words += ["help"] if document.text_before_cursor == f"/{typed}" else []
            for word in words:
                if word.casefold().startswith(typed.casefold()):
                    yield Completion(word, start_position=-len(typed))

    class Masked(FileHistory):
        def store_string(self, string: str) -> None:
            super().store_string(mask(string))

    file = home() / "chat_history"
    history: History = InMemoryHistory()
    with contextlib.suppress(OSError):  # what cannot be kept is not kept
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.chmod(0o600)
        with file.open("a"):
            history = Masked(str(file))
    how: dict[str, Any] = {"complete_style": CompleteStyle.READLINE_LIKE, "complete_while_typing": False}
    prompt: PromptSession[Any] = PromptSession(history=history, completer=Words(), **how)
    while session.state != "closed":
        try:
            if line := str(prompt.prompt("> ")).strip("\n"):
                yield line
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
