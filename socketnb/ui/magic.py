"""The magics: `%chat` manages sessions, and `%%chat` sends messages. `%chat?` and `%%chat?` show their help."""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import traitlets
from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import magic_arguments

from socketnb.conversation.verbs import check_timeout
from socketnb.errors import CONTROLS, SettingsError, SocketnbError
from socketnb.ui import script
from socketnb.ui.arguments import (
    DEFAULT_SESSION,
    argument,
    comma_separated,
    repetitions,
    session_names,
    split_words,
    variable_name,
)
from socketnb.ui.cell.notebook_view import FORMATS, ErrorView, NotebookView
from socketnb.ui.cell.repeat import RepeatedRun
from socketnb.ui.cell.run import CellRun, run_in_background
from socketnb.ui.cell.view import NoView
from socketnb.ui.commands import Commands, overview
from socketnb.ui.completion import Completer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd
    from IPython.core.interactiveshell import InteractiveShell

    from socketnb.conversation.session import Session
    from socketnb.hub import Hub
    from socketnb.ui.cell.buttons import CellButtons
    from socketnb.ui.cell.view import StepView
    from socketnb.ui.script import Expect, Step

COMMAND_HELP = re.compile(r"\s*%chat\s+(\w*).*?\?{1,2}\s*")
ASSIGNMENT = re.compile(r"(\w*)<<(\w*)")
CELL_HEAD = re.compile(r"%%chat(?![\w?])(.*)")
INTERRUPTED = "interrupted: the turn was cancelled, the session stays usable"


@magics_class
class Chat(Magics):
    """The two magics. `%config Chat.timeout = 60`, or `c.Chat.timeout = 60` in ipython_config.py, sets an option."""

    timeout = traitlets.Float(
        None, allow_none=True, min=0.001, help="Seconds that %%chat waits for a turn (default: the session's timeout)."
    ).tag(config=True)
    format = traitlets.Enum(FORMATS, "html", help=f"Format of turns in %%chat: {', '.join(FORMATS)}.").tag(config=True)
    comments = traitlets.Bool(default_value=False, help="Ignore lines that begin with # in %%chat cells.").tag(
        config=True
    )
    vars = traitlets.Bool(default_value=False, help="Replace {{name}} in %%chat cells by the variable's value.").tag(
        config=True
    )
    buttons = traitlets.Bool(default_value=True, help="Show the bot's buttons under a %%chat cell.").tag(config=True)

    def __init__(self, shell: InteractiveShell, hub: Hub) -> None:
        super().__init__(shell, parent=shell)
        self._hub = hub
        self._variables: dict[str, object] = shell.user_ns
        self._commands = Commands(hub, shell.user_ns)
        self._buttons: dict[str, CellButtons] = {}  # the visible buttons, by session
        self.completer = Completer(hub, shell.user_ns, self.talk.parser)

    @line_magic("chat")  # type: ignore[arg-type]  # IPython's annotation of it allows no method
    def manage(self, line: str) -> object:
        """Open, list, show and close chat sessions."""
        try:
            return self._commands.run(line)
        except (SocketnbError, UsageError) as error:
            raise UsageError(CONTROLS.sub(" ", self._hub.mask(str(error)))) from None
        except KeyboardInterrupt:
            raise UsageError("interrupted") from None

    @no_var_expand
    @cell_magic("chat")
    @magic_arguments("%chat")
    @argument("name", nargs="?", completes=session_names, help=DEFAULT_SESSION)
    @argument(
        "--to",
        metavar="A,B",
        type=comma_separated,
        completes=session_names,
        help="send to several sessions at the same time, and show them side by side",
    )
    @argument("--whole", action="store_true", help="send the whole cell as one message")
    @argument("--comments", action="store_true", help="ignore lines that begin with #")
    @argument("--vars", action="store_true", help="replace {{name}} by the value of the notebook's variable")
    @argument("-q", "--quiet", action="store_true", help="show nothing")
    @argument("--raw", action="store_true", help="show the traces")
    @argument("-f", "--format", choices=FORMATS, help="format of the turns (default: html)")
    @argument(
        "-o",
        "--output",
        metavar="NAME",
        type=variable_name,
        help="assign the list of Turns to a variable; same as NAME <<",
    )
    @argument("--df", metavar="NAME", type=variable_name, help="assign the traces, a DataFrame, to a variable")
    @argument("--bg", action="store_true", help="return immediately, and update the output while other cells run")
    @argument("--timeout", type=float, metavar="SECONDS", help="seconds to wait for each turn")
    @argument("--continue-on-error", action="store_true", help="continue after a failed turn or expectation")
    @argument("--repeat", type=repetitions, default=1, metavar="N", help="run the cell N times and show a summary")
    @argument(
        "--expect",
        action="append",
        default=[],
        metavar="TEXT",
        help="words that the replies must contain, a /regular expression/, or data.path = value; can be repeated",
    )
    def talk(self, line: str, cell: str) -> None:
        '''Send each line of the cell as one message, exactly as it is typed, and wait for the reply.

        Some lines have a special meaning:

          ends with a backslash    the message continues in the next line
          """                      the lines between two of these are one message
          /press 2                 runs a verb of the platform; %chat verbs lists them
          /wait 2                  waits 2 seconds
          //press                  sends a message that begins with one slash
          ?? Saturday              checks that the last reply contains this, or matches a /regular expression/
          ?? data.order.id = 4567  checks a value in the data of the last reply

        A failed check raises an error, which stops a notebook that runs unattended.
        '''
        with self._brief_errors():
            args = self._parse_head(line)
            sessions = [self._hub.session(name) for name in args.to or [args.name]]
            steps = self._parse_body(cell, args)
            expectations = [script.parse_expectation(text) for text in args.expect]
            format_name = None if args.quiet else "raw" if args.raw else args.format or self.format
            run = self._new_run(args, steps, sessions, format_name)
            if len(sessions) == 1:
                self._hub.use(sessions[0].name)
            self._close_buttons(session.name for session in sessions)
            if args.output:
                self._variables[args.output] = run.turns
            self._run(run, args, expectations, is_shown=format_name is not None)
            if self.buttons and format_name == "html" and len(sessions) == 1 and not args.bg:
                self._show_buttons(sessions[0], run)

    def _parse_head(self, line: str) -> argparse.Namespace:
        """Return the arguments of a cell's first line.

        Raises:
            SettingsError: A combination of arguments is invalid.
            UsageError: An argument is invalid.
        """
        args: argparse.Namespace = self.talk.parser.parse_args(_assignment_as_option(split_words(line)))
        if args.to and args.name:
            raise SettingsError("give either the name of one session, or several names with --to")
        if args.output and args.output == args.df:
            raise SettingsError(f"--output and --df need two different names, got {args.df!r} for both")
        return args

    def _parse_body(self, cell: str, args: argparse.Namespace) -> list[Step]:
        steps = script.parse_steps(
            cell,
            first=2,
            whole=args.whole,
            comments=args.comments or self.comments,
            variables=self._variables if args.vars or self.vars else None,
            has_credential=lambda text: self._hub.mask(text) != text,
        )
        if not steps:
            raise SettingsError("the cell is empty; each of its lines is sent as one message")
        return steps

    def _new_run(
        self, args: argparse.Namespace, steps: list[Step], sessions: list[Session], format_name: str | None
    ) -> CellRun | RepeatedRun:
        timeout = self.timeout if args.timeout is None else args.timeout
        check_timeout(timeout)
        new_run = partial(
            CellRun,
            steps,
            sessions,
            timeout=timeout,
            continue_on_error=args.continue_on_error,
            mask=self._hub.mask,
        )
        if args.repeat > 1:
            return RepeatedRun(args.repeat, new_run, show=format_name is not None, mask=self._hub.mask)
        return new_run(new_view=_view_factory(format_name, in_background=args.bg))

    def _run(
        self, run: CellRun | RepeatedRun, args: argparse.Namespace, expectations: Sequence[Expect], *, is_shown: bool
    ) -> None:
        cursor: Mapping[str, int] | None = self._hub.traces_df(columns=["seq"]).attrs["cursor"] if args.df else None

        def assign_traces() -> None:
            if args.df:
                self._variables[args.df] = self._traces_of(run, cursor)

        if args.bg:
            run.create_views()
            run_in_background(lambda: run.run(expectations), run.show_error, assign_traces)
            return
        if isinstance(run, RepeatedRun) and is_shown:
            run.create_views()
        try:
            run.run(expectations)
        finally:
            assign_traces()

    def _traces_of(self, run: CellRun | RepeatedRun, cursor: Mapping[str, int] | None) -> pd.DataFrame:
        """Return the traces of a cell's turns, and everything else that arrived during its steps."""
        new = self._hub.traces_df(since=cursor)
        turns = {(turn.session, turn.number) for turn in run.turns}
        arrived = {(result.session, trace.seq) for result in run.results for trace in result.traces}
        rows = zip(new["session"], new["turn"], new["seq"], strict=True)
        of_cell = [(name, turn) in turns or (name, seq) in arrived for name, turn, seq in rows]
        return new[of_cell].reset_index(drop=True)

    def _close_buttons(self, names: Iterator[str]) -> None:
        for name in names:
            if buttons := self._buttons.pop(name, None):
                buttons.close()

    def _show_buttons(self, session: Session, run: CellRun | RepeatedRun) -> None:
        """Show the buttons that can be pressed under the cell; only a notebook can show them."""
        if not isinstance(run, CellRun) or not run.turns or not getattr(self.shell, "kernel", None):
            return
        turn, view = run.turns[-1], run.views[-1]
        if session.choices and isinstance(view, NotebookView):
            from socketnb.ui.cell.buttons import CellButtons

            self._buttons[session.name] = CellButtons(session, view, turn)
            self._buttons[session.name].show()

    def transform_cell(self, lines: list[str]) -> list[str]:
        """Rewrite `%%chat` cells and `%chat command?` before IPython transforms them.

        Without this, IPython would remove text that looks like a prompt (`>>> `, `... `) from the lines of a body, and
        would look up the name of a command as a variable. IPython skips this transformation when it checks whether a
        typed cell is complete, because it has the attribute `has_side_effects`. A rewritten cell is always complete.
        """
        first = next((n for n, line in enumerate(lines) if line.strip()), 0)
        if lines and (head := CELL_HEAD.fullmatch(lines[first].rstrip())):
            return [f"get_ipython().run_cell_magic('chat', {head[1].strip()!r}, {''.join(lines[first + 1 :])!r})\n"]
        if len(lines) == 1 and (match := COMMAND_HELP.fullmatch(lines[0])):
            return [f"%chat help {match[1]}\n"]
        return lines

    @contextmanager
    def _brief_errors(self) -> Iterator[None]:
        """Raise each error as one that is displayed without a traceback, and in which credentials are masked.

        A `UsageError` would leave no error output, and programs that run notebooks would not notice it.
        """
        try:
            yield
        except SocketnbError as error:
            raised = error
        except UsageError as error:
            raised = SettingsError(str(error))
        except KeyboardInterrupt:
            raised = SocketnbError(INTERRUPTED)
        else:
            return
        raised.args = (self._hub.mask(str(raised)),)
        raised.is_brief = True
        raise raised from None

    def close(self) -> None:
        """Remove the visible buttons."""
        self._close_buttons(iter(list(self._buttons)))


Chat.manage.__doc__ = f"{Chat.manage.__doc__}\n\n{overview()}\n"  # type: ignore[assignment]  # see above
vars(Chat.transform_cell)["has_side_effects"] = True


def _assignment_as_option(words: list[str]) -> list[str]:
    """Replace `NAME <<`, which other tools also use, with `--output NAME`."""
    for index, word in enumerate(words):
        match = ASSIGNMENT.fullmatch(word)
        if match and (index == 0 or words[index - 1] != "--expect"):
            start = index if match[1] or index == 0 else index - 1
            rest = [match[2], *words[index + 1 :]] if match[2] else words[index + 1 :]
            return [*words[:start], "--output", match[1] or words[start], *rest]
    return words


def _view_factory(format_name: str | None, *, in_background: bool) -> Callable[[str], StepView]:
    if format_name:
        return partial(NotebookView, format_name)
    return ErrorView if in_background else NoView


def load(shell: InteractiveShell, hub: Hub) -> None:
    """Add the magics, their completion and their settings to a shell. Earlier ones are replaced."""
    unload(shell)
    chat = Chat(shell, hub)
    shell.register_magics(chat)
    shell.input_transformers_cleanup.insert(0, chat.transform_cell)
    if shell.Completer:
        shell.Completer.custom_matchers.append(chat.completer.match)


def unload(shell: InteractiveShell) -> None:
    """Remove the magics from a shell. Sessions stay open."""
    for chat in [each for each in shell.configurables if isinstance(each, Chat)]:
        chat.close()
        shell.configurables.remove(chat)
        shell.input_transformers_cleanup.remove(chat.transform_cell)
        if shell.Completer:
            shell.Completer.custom_matchers.remove(chat.completer.match)
        for kind in ("line", "cell"):
            shell.magics_manager.magics[kind].pop("chat", None)
