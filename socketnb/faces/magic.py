"""`%chat` manages sessions, `%%chat` talks in one. Arguments are declared, so `%chat?` documents them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

from socketnb import dialects
from socketnb.dialects import PLATFORMS
from socketnb.errors import SettingsError, SocketnbError, unknown
from socketnb.hub import hub

COMMANDS = ("connect", "list", "panel", "close")


@magics_class
class ChatMagics(Magics):
    """The two magics."""

    @no_var_expand
    @line_magic("chat")
    @magic_arguments("chat")
    @argument("command", nargs="?", default="list", choices=COMMANDS, help="what to do (default: list)")
    @argument("which", nargs="?", help=f"connect: the platform ({', '.join(PLATFORMS)}); else: the session's name")
    @argument("--name", help="connect: the session's name in the kernel")
    @argument("--simulate", action="store_true", help="connect: talk to a simulator of its own")
    @argument("--url", help="connect: where the platform is")
    @argument("--set", action="append", default=[], metavar="KEY=VALUE", help="connect: any other setting")
    def manage(self, line: str) -> Any:
        """Open, list, show and close chat sessions.

        %chat connect voiceflow --simulate --name bot
        %chat panel bot
        """
        with _one_line():
            args = parse_argstring(self.manage, line)
            run: Callable[[Any], Any] = getattr(self, f"_{args.command}")
            return run(args)

    @no_var_expand
    @cell_magic("chat")
    @magic_arguments("chat")
    @argument("name", nargs="?", help="the session's name; may be left out when there is only one")
    @argument("--timeout", type=float, help="seconds that each turn is waited for")
    def talk(self, line: str, cell: str) -> None:
        """Say each line of the cell, one turn a line, exactly as it stands."""
        with _one_line():
            args = parse_argstring(self.talk, line)
            session = hub.session(args.name)
            for text in filter(str.strip, cell.split("\n")):
                turn = session.send(text)
                try:
                    turn.wait(args.timeout)
                except KeyboardInterrupt:
                    raise UsageError("interrupted: the turn was cancelled, the session stays usable") from None
                finally:
                    display(turn)

    def _connect(self, args: Any) -> None:
        if not args.which:
            raise SettingsError(f"connect to which platform? %chat connect {PLATFORMS[0]} --simulate")
        settings: dict[str, Any] = dict(_pair(text) for text in args.set)
        known = dialects.get(args.which).SETTINGS
        for name in settings:
            if name not in known:
                raise SettingsError(unknown(f"{args.which} setting", name, known))
        if args.url:
            settings["url"] = args.url
        display(hub.connect(args.which, name=args.name, simulate=args.simulate, **settings))

    def _list(self, args: Any) -> None:  # noqa: ARG002 (every command is given the arguments)
        sessions = hub.sessions()
        print("\n".join(map(repr, sessions)) if sessions else "no session is open")  # noqa: T201

    def _panel(self, args: Any) -> Any:
        return hub.session(args.which).panel()

    def _close(self, args: Any) -> None:
        hub.session(args.which).close()


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise SettingsError("--set takes KEY=VALUE")  # what was given instead may be a credential
    return key, value


@contextmanager
def _one_line() -> Iterator[None]:
    """Turn what went wrong into one line without a traceback."""
    try:
        yield
    except SocketnbError as error:
        raise UsageError(str(error)) from None
    except KeyboardInterrupt:
        raise UsageError("interrupted") from None
