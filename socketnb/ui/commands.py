"""What `%chat` can do, a method each. Their arguments are declared, so `%chat connect?` documents them."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from IPython.core.magic_arguments import argument, magic_arguments

from socketnb import archive
from socketnb.dialects.registry import PLATFORMS
from socketnb.errors import SessionError, SettingsError, unknown
from socketnb.flows.flow import Flow
from socketnb.hub import Hub
from socketnb.settings import parse_pairs
from socketnb.ui import script

THE_NAME = "the session's name (default: the one that was used last)"


def words(line: str) -> list[str]:
    """Return the words of a magic's line; quotes hold several together, and a backslash is a backslash.

    Raises:
        SettingsError: a quote is not closed.
    """
    split = shlex.shlex(line, posix=True, punctuation_chars="")
    split.whitespace_split, split.commenters, split.escape = True, "", ""
    try:
        return list(split)
    except ValueError:
        raise SettingsError("a quote is opened and not closed") from None


class Commands:
    """The commands.

    Args:
        hub: what the sessions are known to.
        names: the notebook's names, for flows.
    """

    def __init__(self, hub: Hub, names: dict[str, Any]) -> None:
        self._hub, self._names = hub, names

    def run(self, line: str) -> Any:
        """Run the command of a line.

        Raises:
            SettingsError: there is no such command.
        """
        command, *rest = words(line) or ["list"]
        command = "help" if command in ("?", "-h", "--help") else command
        if command not in COMMANDS:
            raise SettingsError(unknown("%chat command", command, COMMANDS))
        what: Any = getattr(self, COMMANDS[command].__name__)
        if {"?", "-h", "--help"} & set(rest):
            rest, what = [command], self.help
        return what(what.parser.parse_args(rest))

    @magic_arguments("chat connect")
    @argument("which", nargs="?", metavar="PLATFORM", help=f"{', '.join(PLATFORMS)}; or a profile's name")
    @argument("--profile", help="a bot of profiles.toml")
    @argument("--name", help="the session's name in the kernel (default: the profile's, or the platform's)")
    @argument("--simulate", action="store_true", help="talk to a simulator of its own")
    @argument("--flow", metavar="NAME", help="the Flow of this name in the notebook, for the simulator")
    @argument("--url", help="where the platform is")
    @argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any other setting")
    def connect(self, args: Any) -> Any:
        """Open a session and return it.

        %chat connect voiceflow --simulate --name bot
        """
        if not args.which and not args.profile:
            raise SettingsError(f"connect to which platform? %chat connect {PLATFORMS[0]} --simulate")
        settings: dict[str, Any] = parse_pairs(args.set, self._hub.connect)
        if args.url:
            settings["url"] = args.url
        flow = self._flow(args.flow)
        return self._hub.connect(
            args.which, profile=args.profile, name=args.name, simulate=args.simulate, flow=flow, **settings
        )

    @magic_arguments("chat list")
    def list(self, _: Any) -> None:
        """List the open sessions; the arrow is at the one that was used last."""
        sessions = self._hub.sessions()
        used = self._hub.used if len(sessions) > 1 else None
        lines = [f"{'→ ' if session.name == used else ''}{session!r}" for session in sessions]
        print("\n".join(lines) if lines else "no session is open")  # noqa: T201

    @magic_arguments("chat use")
    @argument("name", help="the session's name")
    def use(self, args: Any) -> None:
        """Let a session be the one that is meant where no name is given."""
        self._hub.use(args.name)

    @magic_arguments("chat close")
    @argument("name", nargs="?", help=THE_NAME)
    @argument("--all", action="store_true", help="all sessions")
    def close(self, args: Any) -> None:
        """Close a session, or all."""
        if args.all and args.name:
            raise SettingsError("close a session by its name, or --all: one of them")
        for session in self._hub.sessions() if args.all else [self._hub.session(args.name)]:
            session.close()

    @magic_arguments("chat panel")
    @argument("name", nargs="*", help=f"{THE_NAME}; several stand side by side")
    def panel(self, args: Any) -> Any:
        """Show the chat panel of a session, or of several."""
        return self._hub.panels(*args.name) if len(args.name) > 1 else self._one(args).panel()

    @magic_arguments("chat df")
    @argument("name", nargs="?", help="only this session (default: all of this kernel)")
    @argument("--turns", dest="frame", action="store_const", const="turns_df", help="a row a turn")
    @argument("--messages", dest="frame", action="store_const", const="messages_df", help="a row a message")
    @argument("--sessions", dest="frame", action="store_const", const="sessions_df", help="a row a session")
    def df(self, args: Any) -> Any:
        """Return what was recorded as a DataFrame: a row an event, or as asked for."""
        options = {"session": args.name} if args.name else {}
        known = set(self._hub.sessions_df(columns=["session"])["session"])
        if args.name and args.name not in known:
            raise SessionError(unknown("session", args.name, known))
        return getattr(self._hub, args.frame or "traces_df")(**options)

    @magic_arguments("chat transcript")
    @argument("name", nargs="?", help=THE_NAME)
    def transcript(self, args: Any) -> None:
        """Print a conversation."""
        print(self._one(args).transcript())  # noqa: T201

    @magic_arguments("chat reset")
    @argument("name", nargs="?", help=THE_NAME)
    def reset(self, args: Any) -> Any:
        """Start a conversation over, and return the turn."""
        return self._one(args).reset()

    @magic_arguments("chat record")
    @argument("where", nargs="?", metavar="PATH", help="a folder; on: the usual place; off: in memory only")
    def record(self, args: Any) -> None:
        """Tell where sessions that are opened from now on are recorded, or set it."""
        if args.where is not None:
            self._hub.recorders.set_default({"on": True, "off": False}.get(args.where, args.where))
        print(self._hub.recorders.describe())  # noqa: T201

    @magic_arguments("chat recordings")
    def recordings(self, _: Any) -> Any:
        """Return what was recorded, a row a recording."""
        return archive.recordings()

    @magic_arguments("chat simulate")
    @argument("platform", choices=PLATFORMS, help="as which platform it speaks")
    @argument("--port", type=int, default=0, help="its port (default: any that is free)")
    @argument("--flow", metavar="NAME", help="the Flow of this name in the notebook (default: the demo shop)")
    def simulate(self, args: Any) -> Any:
        """Start a simulator and return it.

        sim = %chat simulate voiceflow
        """
        return self._hub.simulate(args.platform, self._flow(args.flow), port=args.port)

    @magic_arguments("chat profiles")
    def profiles(self, _: Any) -> Any:
        """Return the bots of profiles.toml, and where each of their settings comes from."""
        return self._hub.profiles()

    @magic_arguments("chat verbs")
    @argument("name", nargs="?", help=THE_NAME)
    def verbs(self, args: Any) -> None:
        """List what a session's platform can do in a `%%chat` cell."""
        print(script.verbs(self._one(args).verbs))  # noqa: T201

    @magic_arguments("chat help")
    @argument("command", nargs="?", help="one of the commands")
    def help(self, args: Any) -> None:
        """Tell what there is, or how a command is used."""
        if args.command is None:
            print(overview())  # noqa: T201
        elif args.command in COMMANDS:
            print(_doc(COMMANDS[args.command]))  # noqa: T201
        else:
            raise SettingsError(unknown("%chat command", args.command, COMMANDS))

    def _one(self, args: Any) -> Any:
        """Return the session that is meant."""
        return self._hub.use(args.name[0] if isinstance(args.name, list) and args.name else args.name or None)

    def _flow(self, name: str | None) -> Flow | None:
        if name is None:
            return None
        flows = {key: value for key, value in self._names.items() if isinstance(value, Flow) and key[0] != "_"}
        if name not in flows:
            raise SettingsError(unknown("Flow", name, flows))
        return flows[name]


COMMANDS: dict[str, Callable[..., Any]] = {
    name: command for name, command in vars(Commands).items() if hasattr(command, "parser")
}
"""Each by its name, in the order of the file."""


def overview() -> str:
    """Return a line on each command."""
    lines = (
        f"  %chat {name:<11} {(_doc(command).split(chr(10) * 2)[1]).strip()}" for name, command in COMMANDS.items()
    )
    return "\n".join([*lines, "", "%chat connect? tells more of one, %%chat? how to talk."])


def _doc(command: Callable[..., Any]) -> str:
    return (command.__doc__ or "").removeprefix("::").strip("\n")
