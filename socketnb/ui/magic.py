"""`%chat` manages sessions, `%%chat` talks in one or several. Arguments are declared, so `?` documents them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import traitlets
from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from socketnb.conversation.session import Session
from socketnb.conversation.verbs import check_timeout
from socketnb.errors import CONTROLS, ExpectationFailed, SettingsError, SocketnbError
from socketnb.hub import Hub
from socketnb.ui import script
from socketnb.ui.cell import Cell, Meanwhile, behind
from socketnb.ui.cell.place import Nowhere, Place
from socketnb.ui.cell.repeat import Repeat
from socketnb.ui.cell.row import FORMATS, Row, Troubles
from socketnb.ui.commands import Commands, overview, words
from socketnb.ui.completion import Completer

HELP = re.compile(r"\s*%chat\s+(\w*).*?\?{1,2}\s*")
KEEP = re.compile(r"(\w*)<<(\w*)")
BODY = re.compile(r"%%chat(?![\w?])(.*)")


@magics_class
class Chat(Magics):
    """The two magics. Their settings: `%config Chat.timeout = 60`, or `c.Chat.timeout = 60` in ipython_config.py."""

    timeout = traitlets.Float(
        None, allow_none=True, min=0.001, help="Seconds that %%chat waits for a turn (default: the session's)."
    ).tag(config=True)
    format = traitlets.Enum(FORMATS, "html", help=f"How %%chat shows a turn: {', '.join(FORMATS)}.").tag(config=True)
    comments = traitlets.Bool(False, help="Leave lines that begin with # out of %%chat cells.").tag(config=True)  # noqa: FBT003
    vars = traitlets.Bool(False, help="Fill {{name}} in %%chat cells from the notebook.").tag(config=True)  # noqa: FBT003
    buttons = traitlets.Bool(True, help="Show the bot's buttons under a %%chat cell, to be clicked.").tag(config=True)  # noqa: FBT003

    def __init__(self, shell: Any, hub: Hub) -> None:
        super().__init__(shell, parent=shell)
        self._hub = hub
        self._names: dict[str, Any] = shell.user_ns
        self._commands = Commands(hub, shell.user_ns)
        self._pills: dict[str, Any] = {}  # session → the buttons that are shown of it
        self.completer = Completer(hub, shell.user_ns)

    @line_magic("chat")  # type: ignore[arg-type]  # IPython's annotation of it allows no method
    def manage(self, line: str) -> Any:
        """Open, list, show and close chat sessions."""
        with self._one_line():
            return self._commands.run(line)

    @no_var_expand
    @cell_magic("chat")
    @magic_arguments("%chat")
    @argument("name", nargs="?", help="the session's name (default: the one that was used last)")
    @argument("--to", metavar="A,B", help="send to several sessions at once, and show them side by side")
    @argument("--whole", action="store_true", help="the cell is one message, whatever is in it")
    @argument("--comments", action="store_true", help="leave lines that begin with # out")
    @argument("--vars", action="store_true", help="fill {{name}} from the notebook")
    @argument("-q", "--quiet", action="store_true", help="show nothing")
    @argument("--raw", action="store_true", help="show the traces")
    @argument("-f", "--format", choices=FORMATS, help="how a turn is shown (default: html)")
    @argument("-o", "--output", metavar="NAME", help="keep the list of Turns under this name; so does NAME <<")
    @argument("--df", metavar="NAME", help="keep their traces, a DataFrame, under this name")
    @argument("--bg", action="store_true", help="return at once, and fill the output while other cells run")
    @argument("--timeout", type=float, metavar="S", help="seconds that each turn is waited for")
    @argument("--continue-on-error", action="store_true", help="a turn that fails does not end the cell")
    @argument("--repeat", type=int, default=1, metavar="N", help="do it all N times; shows a summary of the times")
    @argument("--expect", action="append", default=[], metavar="TEXT", help="what the reply must have, or /regex/")
    def talk(self, line: str, cell: str) -> None:
        '''Say each line of the cell, one turn a line, exactly as it stands.

        Other lines do something else:

          ends with a backslash    the message goes on in the next line
          """                      lines between two of these are one message
          /press 2                 does something the platform knows: %chat verbs
          /wait 2                  waits so many seconds
          //press                  is said, with one slash
          ?? Saturday              the reply must have this, or /what a regex finds/

        What was expected and did not come stops the notebook.
        '''
        with self._one_line("interrupted: the turn was cancelled, the session stays usable"):
            args = self._arguments(line)
            sessions = self._sessions(args)
            names = self._names if args.vars or self.vars else None
            how: dict[str, Any] = {"whole": args.whole, "comments": args.comments or self.comments, "names": names}
            steps = script.steps(cell, first=2, secret=lambda said: self._hub.mask(said) != said, **how)
            expected = [script.expected(text) for text in args.expect]
            if not steps:
                raise SettingsError("the cell is empty: each of its lines is said")
            form = None if args.quiet else "raw" if args.raw else args.format or self.format
            how = {
                "timeout": self.timeout if args.timeout is None else args.timeout,
                "keep_on": args.continue_on_error,
                "mask": self._hub.mask,
            }
            check_timeout(how["timeout"])
            if args.repeat > 1:
                run: Any = Repeat(args.repeat, steps, sessions, shown=form is not None, **how)
            else:
                run = Cell(steps, sessions, place=self._place(form, behind=args.bg), **how)
            if len(sessions) == 1:
                self._hub.use(sessions[0].name)
            self._drop_pills(session.name for session in sessions)
            if args.output:
                self._names[args.output] = run.turns
            self._run(run, args, expected, sessions, form)

    def _run(self, run: Any, args: Any, expected: list[Any], sessions: list[Session], form: str | None) -> None:
        cursor = self._hub.traces_df(columns=["seq"]).attrs["cursor"] if args.df else None

        def done() -> None:
            if args.df:
                self._names[args.df] = self._traces(run, cursor)

        if args.bg:
            run.lay_out()
            behind(lambda: run.run(expected), run.trouble, done)
            return
        if isinstance(run, Repeat) and form:
            run.lay_out()
        try:
            run.run(expected)
        finally:
            done()
        if self.buttons and form == "html" and len(sessions) == 1 and isinstance(run, Cell) and run.turns:
            self._show_pills(sessions[0], run)

    def _traces(self, run: Cell | Repeat, cursor: Any) -> Any:
        """Return what was recorded of a cell's turns, and of what came while it waited."""
        fresh = self._hub.traces_df(since=cursor)
        turns = {(turn.session, turn.number) for turn in run.turns}
        waited = {
            (part.session, trace.seq) for part in run.parts if isinstance(part, Meanwhile) for trace in part.traces
        }
        rows = zip(fresh["session"], fresh["turn"], fresh["seq"], strict=True)
        mine = [(name, turn) in turns or (name, seq) in waited for name, turn, seq in rows]
        return fresh[mine].reset_index(drop=True)

    def _place(self, form: str | None, *, behind: bool) -> Callable[[str], Place]:
        return partial(Row, form) if form else Troubles if behind else Nowhere

    def _arguments(self, line: str) -> Any:
        """Return the arguments; `name <<`, as in other tools, is `-o name`.

        Raises:
            SettingsError: one is wrong.
        """
        found, kept = words(line), None
        for at, word in enumerate(found):
            if (name := KEEP.fullmatch(word)) and found[max(at - 1, 0)] != "--expect":
                before = at - 1 if at and not name[1] else at
                kept = name[1] or found[before]
                found[before : at + 1] = [name[2]] if name[2] else []
                break
        args: Any = self.talk.parser.parse_args(found)
        args.output = args.output if kept is None else kept
        for name in (name for name in (args.output, args.df) if name is not None):
            if not name.isidentifier() or keyword.iskeyword(name):
                raise SettingsError(f"{name!r} is no name for what is kept: letters, digits and _, as in Python")
        if args.repeat < 1:
            raise SettingsError(f"--repeat is a number from 1 up, not {args.repeat}")
        if args.output and args.output == args.df:
            raise SettingsError(f"the Turns and the traces cannot both be {args.df!r}: give them two names")
        return args

    def _sessions(self, args: Any) -> list[Session]:
        if args.to is None:
            return [self._hub.session(args.name)]
        if args.name:
            raise SettingsError("name a session, or several with --to: one of them")
        names = list(dict.fromkeys(filter(None, map(str.strip, args.to.split(",")))))
        if not names:
            raise SettingsError("--to takes names of sessions, as in --to a,b")
        return [self._hub.session(name) for name in names]

    def _drop_pills(self, names: Iterable[str]) -> None:
        for name in list(names):
            if old := self._pills.pop(name, None):
                old.close()

    def _show_pills(self, session: Session, run: Cell) -> None:
        turn, row = run.turns[-1], run.rows[-1]
        if turn.choices and isinstance(row, Row) and getattr(self.shell, "kernel", None):
            from socketnb.ui.cell.pills import Pills

            self._pills[session.name] = Pills(session, row, turn)
            self._pills[session.name].show()

    def whole_cell(self, lines: list[str]) -> list[str]:
        """Rewrite `%%chat` cells and `%chat command?` before IPython looks at them.

        It would strip what looks like a prompt (`>>> `, `... `) from a body's lines, and look for a variable that is
        called as the command.
        """
        first = next((n for n, line in enumerate(lines) if line.strip()), 0)
        if lines and (found := BODY.fullmatch(lines[first].rstrip())):
            return [f"get_ipython().run_cell_magic('chat', {found[1].strip()!r}, {''.join(lines[first + 1 :])!r})\n"]
        if len(lines) == 1 and (found := HELP.fullmatch(lines[0])):
            return [f"%chat help {found[1]}\n"]
        return lines

    @contextmanager
    def _one_line(self, interrupted: str = "interrupted") -> Iterator[None]:
        """Turn what went wrong into one line without a traceback, nor a credential that was mistyped into it."""
        try:
            yield
        except ExpectationFailed:
            raise  # an error for those who run notebooks, and it shows itself
        except (SocketnbError, UsageError) as error:
            raise UsageError(CONTROLS.sub(" ", self._hub.mask(str(error)))) from None
        except KeyboardInterrupt:
            raise UsageError(interrupted) from None

    def close(self) -> None:
        """Let go of what is shown."""
        self._drop_pills(self._pills)


Chat.manage.__doc__ = f"{Chat.manage.__doc__}\n\n{overview()}\n"  # type: ignore[assignment]  # see above


def load(shell: Any, hub: Hub) -> None:
    """Add the magics, their completion and their settings to a shell; what was there of them is replaced."""
    unload(shell)
    chat = Chat(shell, hub)
    shell.register_magics(chat)
    shell.input_transformers_cleanup.insert(0, chat.whole_cell)
    if shell.Completer:
        shell.Completer.custom_matchers.append(chat.completer.match)


def unload(shell: Any) -> None:
    """Take them away again; sessions stay open."""
    for chat in [each for each in shell.configurables if isinstance(each, Chat)]:
        chat.close()
        shell.configurables.remove(chat)
        shell.input_transformers_cleanup.remove(chat.whole_cell)
        if shell.Completer:
            shell.Completer.custom_matchers.remove(chat.completer.match)
        for kind in ("line", "cell"):
            shell.magics_manager.magics[kind].pop("chat", None)
