"""The commands of `%chat`, one method per command.

To add a command, add a method with `@command` and its `@argument`s. Help, `?` and Tab completion are derived from them.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Protocol, cast

from IPython.core.magic_arguments import magic_arguments

from socketnb import archive
from socketnb.dialects.registry import PLATFORMS
from socketnb.errors import SessionError, SettingsError, unknown
from socketnb.frames import exports
from socketnb.settings import parse_pairs
from socketnb.ui import script
from socketnb.ui.arguments import (
    DEFAULT_SESSION,
    HasParser,
    argument,
    flow_names,
    flows,
    platforms_and_profiles,
    profile_names,
    session_names,
    setting_names,
    split_words,
)

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    import pandas as pd

    from socketnb.conversation.session import Session, View
    from socketnb.conversation.turn import Turn
    from socketnb.flows.flow import Flow
    from socketnb.hub import Hub
    from socketnb.simulator.server import Simulator

HELP_WORDS = ("?", "-h", "--help")


class Command(HasParser, Protocol):
    """A method of `Commands` with its parser."""

    def __call__(self, commands: Commands, args: argparse.Namespace, /) -> object:
        """Run the command."""


def command(method: Callable[[Commands, argparse.Namespace], object]) -> Command:
    """Register a method as a command of `%chat`, under the name of the method."""
    return cast("Command", magic_arguments(f"chat {method.__name__}")(method))


class Commands:
    """The commands of `%chat`.

    Args:
        hub: The hub that holds the sessions.
        variables: The variables of the notebook; flows are looked up there.
    """

    def __init__(self, hub: Hub, variables: MutableMapping[str, object]) -> None:
        self._hub, self._variables = hub, variables

    def run(self, line: str) -> object:
        """Run the command of a line, and return its result.

        Raises:
            SettingsError: The command is unknown.
        """
        name, *words = split_words(line) or ["list"]
        if name in HELP_WORDS:
            name = "help"
        elif not set(HELP_WORDS).isdisjoint(words):
            name, words = "help", [name]
        chosen = find_command(name)
        return chosen(self, chosen.parser.parse_args(words))

    @command
    @argument(
        "which",
        nargs="?",
        metavar="PLATFORM",
        completes=platforms_and_profiles,
        help=f"{', '.join(PLATFORMS)}, or the name of a profile",
    )
    @argument("--profile", completes=profile_names, help="a profile of profiles.toml")
    @argument("--name", help="name of the session (default: the name of the profile or platform)")
    @argument("--simulate", action="store_true", help="start a simulator and connect to it")
    @argument("--flow", metavar="NAME", completes=flow_names, help="the simulator runs this Flow of the notebook")
    @argument("--url", help="URL of the platform")
    @argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        completes=setting_names,
        help="any other setting of the platform; can be repeated",
    )
    def connect(self, args: argparse.Namespace) -> Session:
        """Open a session and return it.

        %chat connect voiceflow --simulate --name bot
        """
        if not args.which and not args.profile:
            raise SettingsError(f"name a platform or profile, as in: %chat connect {PLATFORMS[0]} --simulate")
        settings = parse_pairs(args.set, self._hub.connect)
        if args.url:
            settings["url"] = args.url
        flow = self._flow(args.flow)
        return self._hub.connect(
            args.which, profile=args.profile, name=args.name, simulate=args.simulate, flow=flow, **settings
        )

    @command
    def list(self, _: argparse.Namespace) -> None:
        """List the open sessions. An arrow marks the session used last."""
        sessions = self._hub.sessions()
        used = self._hub.used if len(sessions) > 1 else None
        lines = [f"{'→ ' if session.name == used else ''}{session!r}" for session in sessions]
        print("\n".join(lines) or "no session is open")

    @command
    @argument("name", completes=session_names, help="name of the session")
    def use(self, args: argparse.Namespace) -> None:
        """Make a session the default for commands without a session name."""
        self._hub.use(args.name)

    @command
    @argument("name", nargs="?", completes=session_names, help=DEFAULT_SESSION)
    @argument("--all", action="store_true", help="close all sessions")
    def close(self, args: argparse.Namespace) -> None:
        """Close a session, or all sessions."""
        if args.all and args.name:
            raise SettingsError("give either the name of a session or --all")
        for session in self._hub.sessions() if args.all else [self._hub.session(args.name)]:
            session.close()

    @command
    @argument("name", nargs="*", completes=session_names, help=f"{DEFAULT_SESSION}; several are shown side by side")
    def panel(self, args: argparse.Namespace) -> View:
        """Show the chat panel of one or more sessions."""
        if len(args.name) > 1:
            return self._hub.panels(*args.name)
        return self._session(args.name[0] if args.name else None).panel()

    @command
    @argument("name", nargs="?", completes=session_names, help="only this session (default: all sessions)")
    @argument("--turns", dest="frame", action="store_const", const="turns_df", help="one row per turn")
    @argument("--messages", dest="frame", action="store_const", const="messages_df", help="one row per message")
    @argument("--sessions", dest="frame", action="store_const", const="sessions_df", help="one row per session")
    def df(self, args: argparse.Namespace) -> pd.DataFrame:
        """Return the recorded traces as a DataFrame, one row per event unless an option says otherwise."""
        options = {"session": args.name} if args.name else {}
        names = set(self._hub.sessions_df(columns=["session"])["session"])
        if args.name and args.name not in names:
            raise SessionError(unknown("session", args.name, names))
        frame: pd.DataFrame = getattr(self._hub, args.frame or "traces_df")(**options)
        return frame

    @command
    @argument("name", nargs="?", completes=session_names, help=DEFAULT_SESSION)
    @argument("--format", choices=tuple(exports.EXPORTS), help="format (default: the suffix of FILE decides, or text)")
    @argument("--output", metavar="FILE", help="write to a file instead of printing")
    def transcript(self, args: argparse.Namespace) -> None:
        """Print a conversation, or write it to a file.

        %chat transcript bot --output bot.html
        """
        session = self._session(args.name)
        traces = session.traces_df()
        if args.output is None:
            print(exports.text(traces, args.format or "text"))
        else:
            exports.write(traces, args.output, args.format, title=session.name)
            print(f"exported {session.name} to {args.output}")

    @command
    @argument("name", nargs="?", completes=session_names, help=DEFAULT_SESSION)
    def reset(self, args: argparse.Namespace) -> Turn:
        """Restart the conversation, and return the turn."""
        return self._session(args.name).reset()

    @command
    @argument(
        "where",
        nargs="?",
        metavar="PATH",
        completes=lambda _: ["on", "off"],
        help="a folder, on (the default folder) or off (memory only)",
    )
    def record(self, args: argparse.Namespace) -> None:
        """Set where new sessions are recorded, and print it."""
        if args.where is not None:
            self._hub.recorders.set_default({"on": True, "off": False}.get(args.where, args.where))
        print(self._hub.recorders.describe())

    @command
    def recordings(self, _: argparse.Namespace) -> pd.DataFrame:
        """Return the recordings as a DataFrame, one row per recording."""
        return archive.recordings()

    @command
    @argument("platform", choices=PLATFORMS, help="platform to simulate")
    @argument("--port", type=int, default=0, help="port to listen on (default: any free port)")
    @argument("--flow", metavar="NAME", completes=flow_names, help="a Flow of the notebook (default: the demo shop)")
    def simulate(self, args: argparse.Namespace) -> Simulator:
        """Start a simulator and return it.

        sim = %chat simulate voiceflow
        """
        return self._hub.simulate(args.platform, self._flow(args.flow), port=args.port)

    @command
    def profiles(self, _: argparse.Namespace) -> pd.DataFrame:
        """Return the profiles of profiles.toml, and where each setting comes from."""
        return self._hub.profiles()

    @command
    @argument("name", nargs="?", completes=session_names, help=DEFAULT_SESSION)
    def verbs(self, args: argparse.Namespace) -> None:
        """List the /verbs of a session's platform for `%%chat` cells."""
        print(script.describe_verbs(self._session(args.name).verbs))

    @command
    @argument("command", nargs="?", completes=lambda _: list_commands(), help="name of a command")
    def help(self, args: argparse.Namespace) -> None:
        """Show all commands, or the help of one."""
        print(overview() if args.command is None else usage(find_command(args.command)))

    def _session(self, name: str | None) -> Session:
        """Return a session (default: the session used last), and make it the default."""
        return self._hub.use(name or None)

    def _flow(self, name: str | None) -> Flow | None:
        if name is None:
            return None
        available = flows(self._variables)
        if name not in available:
            raise SettingsError(unknown("Flow", name, available))
        return available[name]


COMMANDS: dict[str, Command] = {name: member for name, member in vars(Commands).items() if hasattr(member, "parser")}
"""The commands by name, in the order of definition."""


def list_commands() -> list[str]:
    """Return the names of the commands."""
    return list(COMMANDS)


def find_command(name: str) -> Command:
    """Return a command.

    Raises:
        SettingsError: The command is unknown.
    """
    if name not in COMMANDS:
        raise SettingsError(unknown("%chat command", name, COMMANDS))
    return COMMANDS[name]


def overview() -> str:
    """Return one line of help per command."""
    width = max(map(len, COMMANDS))
    lines = [f"  %chat {name:<{width}}  {summary(command)}" for name, command in COMMANDS.items()]
    return "\n".join([*lines, "", "For help on one command: %chat connect?    For %%chat cells: %%chat?"])


def summary(command: Command) -> str:
    """Return the first line of a command's help."""
    return (command.parser.description or "").partition("\n")[0]


def usage(command: Command) -> str:
    """Return the help of a command: its usage, what it does, and its arguments."""
    return command.parser.format_help().removeprefix("::").strip("\n")
