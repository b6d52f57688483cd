"""A conversation in a terminal. Each line is a turn, and messages are printed as they arrive."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text as Line

from socketnb import render
from socketnb.dialects.entries import arrival, notice
from socketnb.dialects.messages import message, parse
from socketnb.errors import ExpectationFailed, SocketnbError
from socketnb.model.content import Delta
from socketnb.model.json import as_dict, as_text
from socketnb.settings import home
from socketnb.ui import script
from socketnb.ui.cell.run import CellRun
from socketnb.ui.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document
    from prompt_toolkit.history import History

    from socketnb.conversation.session import Session
    from socketnb.dialects.messages import Message
    from socketnb.model.trace import Trace
    from socketnb.ui.cell.results import StepResult

HELP = """Each line is sent as one message. /press 2 or /press Label presses a button.
Tab completes, Ctrl-C stops waiting for a reply, Ctrl-D ends the conversation.
Verbs of this platform:"""
STYLES = {"agent": "magenta", "bot": "cyan", "system": "dim"}


class TerminalView:
    """Prints the results of a step as they arrive."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._results: list[StepResult] = []
        self._printed: list[int] = []  # the number of printed traces, by result
        self._in_stream = False  # whether a streamed message is being printed

    def add(self, results: Sequence[StepResult]) -> None:
        """Add results, whose traces are then printed."""
        self._results += results
        self._printed += [0] * len(results)
        self.refresh()

    def note(self, text: str, *, passed: bool = False) -> None:
        """Print a passed expectation or an error."""
        self._print_line(f"{'✓' if passed else '✗'} {text}", "green" if passed else "red")

    def refresh(self, *, final: bool = False) -> None:
        """Print new traces."""
        for index, result in enumerate(self._results):
            new = result.traces[self._printed[index] :]
            self._printed[index] += len(new)
            for trace in new:
                self._print_trace(trace)
        if final:
            for result in self._results:
                self._print_line(result.summary, "dim")
            self._results, self._printed = [], []

    def _print_trace(self, trace: Trace) -> None:
        received = message(trace) if trace.sender != "user" else None
        if received and isinstance(received.content, Delta):
            if received.content.text:
                self._console.print(Line(render.printable(received.content.text)), end="", soft_wrap=True)
                self._in_stream = True
        elif received:
            self._print_message(received)
        elif trace.kind == "queued":
            self._print_line(as_text(as_dict(parse(trace.payload)).get("reason")), "yellow")
        elif text := notice(trace):
            self._print_line(text, "yellow")

    def _print_message(self, received: Message) -> None:
        self._end_stream()
        if arrived := arrival(received.trace):
            self._print_line(f"{arrived}:", "dim")
        text = render.printable(render.cut(render.message_text(received)))
        self._console.print(Line(text, STYLES.get(received.trace.sender, "")), soft_wrap=True)

    def _print_line(self, text: str, style: str) -> None:
        self._end_stream()
        self._console.print(Line(render.printable(text), style), soft_wrap=True)

    def _end_stream(self) -> None:
        if self._in_stream:
            self._console.print()
            self._in_stream = False


def converse(session: Session, timeout: float | None, mask: Callable[[str], str]) -> ExitStatus:
    """Send each input line until the user ends the conversation. Input from a pipe runs like a `%%chat` cell.

    Args:
        session: The session to talk in.
        timeout: Seconds to wait for a turn (default: the session's timeout).
        mask: Replaces credentials in a text that is shown or stored.

    Returns:
        The exit status. It is `PASSED` for a conversation in a terminal.
    """
    console = Console(highlight=False)
    if sys.stdin is None or not sys.stdin.isatty():
        return _run(session, sys.stdin.read() if sys.stdin else "", console, timeout, mask)
    console.print(Line(f"{session.name}: {session.platform}. /help shows help, Ctrl-D ends.", "dim"))
    for line in _typed_lines(session, mask):
        if line.strip() == "/help":
            console.print(Line(f"{HELP}\n{script.describe_verbs(session.verbs)}", "dim"))
        else:
            _run(session, line, console, timeout, mask)
    return ExitStatus.PASSED


def _run(
    session: Session, text: str, console: Console, timeout: float | None, mask: Callable[[str], str]
) -> ExitStatus:
    """Run lines like a `%%chat` cell, and return the exit status."""
    status = ExitStatus.COULD_NOT_RUN
    try:
        steps = script.parse_steps(text)
        run = CellRun(steps, [session], new_view=lambda _: TerminalView(console), timeout=timeout, mask=mask)
        status = ExitStatus.FAILED
        run.run()
    except KeyboardInterrupt:
        console.print(Line("stopped", "yellow"))
        return ExitStatus.INTERRUPTED
    except ExpectationFailed as error:
        console.print(Line(f"{error.where}: expected {error.expected!r}", "red"))
        return status
    except SocketnbError as error:
        problem = str(error) if "\n" in text.strip() else str(error).removeprefix("line 1: ")
        console.print(Line(render.printable(mask(problem)), "red"), soft_wrap=True)
        return status
    return ExitStatus.PASSED


def _typed_lines(session: Session, mask: Callable[[str], str]) -> Iterator[str]:
    """Yield the lines that the user types."""
    prompt = _new_prompt(session, mask)
    while session.state != "closed":
        try:
            if line := prompt.prompt("> ").strip("\n"):
                yield line
        except KeyboardInterrupt:
            continue
        except EOFError:
            return


def _new_prompt(session: Session, mask: Callable[[str], str]) -> PromptSession[str]:
    """Return a prompt with completion and history."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.shortcuts import CompleteStyle

    class LineCompleter(Completer):
        def get_completions(self, document: Document, _: CompleteEvent) -> Iterator[Completion]:
            word, values = script.complete_line(document.text_before_cursor, session.verbs, session.button_names)
            values += ["help"] if document.text_before_cursor == f"/{word}" else []
            for value in values:
                if value.casefold().startswith(word.casefold()):
                    yield Completion(value, start_position=-len(word))

    return PromptSession(
        history=_history(mask),
        completer=LineCompleter(),
        complete_style=CompleteStyle.READLINE_LIKE,
        complete_while_typing=False,
    )


def _history(mask: Callable[[str], str]) -> History:
    """Return a history without credentials, in a file that only the user can read, or in memory if that fails."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    class MaskedFileHistory(FileHistory):
        def store_string(self, string: str) -> None:
            super().store_string(mask(string))

    file = home() / "chat_history"
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.chmod(0o600)
        with file.open("a"):
            return MaskedFileHistory(str(file))
    return InMemoryHistory()
