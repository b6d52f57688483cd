"""The command line `socketnb`. An invalid argument prints one line and exits with status 2."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import pkgutil
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click

from socketnb.dialects.registry import PLATFORMS
from socketnb.errors import SettingsError, SocketnbError, unknown
from socketnb.frames.exports import EXPORTS, format_of, write
from socketnb.settings import parse_pairs
from socketnb.ui.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from socketnb.flows.flow import Flow

STOP_POLL_INTERVAL_S = 0.2
"""The interval between checks for a stop signal, in seconds. Python handles signals between the checks."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="socketnb")
def commands() -> None:
    """Talk to Socket.IO chatbots, record the conversations, and analyse them as DataFrames."""


@commands.command()
@click.option(
    "--platform", default="voiceflow", type=click.Choice(PLATFORMS), show_default=True, help="Platform to simulate."
)
def demo(platform: str) -> None:
    """Talk to a simulated bot and print what was recorded.

    The demo needs no network and no account.
    """
    from socketnb.hub import hub

    with hub.connect(platform, name="demo", simulate=True) as bot:
        if "launch" in bot.verbs:
            bot.launch()
            bot.press("Track order")
        else:
            bot.say("Track order")
        bot.say("4567")
        bot.say("thanks")
        print(f"A conversation with the demo shop on a simulated {bot.platform} server:\n")
        print(bot.transcript())
        print("\ntraces_df(): one row per event\n")
        traces = bot.traces_df(columns=["seq", "turn", "elapsed_ms", "direction", "event", "kind", "text"])
        print(traces.head(12).to_string(max_colwidth=40, float_format="{:.1f}".format))
        print("\nturns_df(): one row per turn\n")
        turns = bot.turns_df(columns=["turn", "action", "user_text", "status", "first_ms", "done_ms", "messages"])
        print(turns.to_string(float_format="{:.1f}".format))
    if folder := hub.recording():
        print(f"\nThe recording is in {folder}")
    print("To open the example notebooks: make lab   (or: socketnb lab)")


@commands.command()
@click.argument("folder", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
def lab(folder: Path) -> None:
    """Open JupyterLab in FOLDER (default: the current folder)."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise click.ClickException('JupyterLab is not installed: pip install "socketnb[lab]"')
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", str(folder)])  # noqa: S606 (no shell)


@commands.command()
@click.argument("platform", type=click.Choice(PLATFORMS))
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port to listen on.  [default: any free port]")
@click.option("--flow", metavar="MODULE:FLOW", help="Flow that the bot runs.  [default: the demo shop]")
@click.option("--token", help="Credential that clients must send.  [default: generated]")
@click.option("--fault", "faults", multiple=True, metavar="NAME", help="Fault to inject; can be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print the settings for `connect` as one JSON object.")
def simulate(
    platform: str, port: int, flow: str | None, token: str | None, faults: tuple[str, ...], *, as_json: bool
) -> None:
    """Run a bot on a simulated PLATFORM server until Ctrl-C."""
    from socketnb.hub import hub

    imported_flow = _import_flow(flow)  # before the signal handlers are set, so that Ctrl-C can stop a slow import
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with hub.simulate(platform, imported_flow, port=port, token=token) as simulator:
        for fault in faults:
            simulator.fault(fault)
        settings = simulator.revealed()
        if as_json:
            print(json.dumps(settings), flush=True)
        else:
            print(f"The simulated {platform} server is running. Ctrl-C stops it.\n")
            print("\n".join(f"  {name:<12} {value}" for name, value in settings.items()), flush=True)
        while not stop.wait(STOP_POLL_INTERVAL_S):
            pass


def _import_flow(name: str | None) -> Flow | None:
    """Return the flow that `module:name` refers to. The module can be in the current folder."""
    if name is None:
        return None
    sys.path.insert(0, folder := str(Path.cwd()))
    try:
        flow: Flow = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise click.UsageError(f"--flow must be MODULE:FLOW, got {name!r}: {error}") from None
    except (Exception, SystemExit, GeneratorExit) as error:  # noqa: BLE001 (the user's module can raise anything)
        raise click.UsageError(f"--flow {name}: importing the module raised {type(error).__name__}: {error}") from None
    finally:
        sys.path.remove(folder)
        sys.path.append(folder)  # the flow can import from its folder, but installed modules have priority
    return flow


bot_argument = click.argument("bot", metavar="PLATFORM|PROFILE")
simulate_option = click.option("--simulate", is_flag=True, help="Start a simulator and connect to it.")
set_option = click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any setting of the platform; can be repeated. Put credentials into a profile or an environment variable: "
    "other users of this machine can read the command line.",
)


@commands.command()
@bot_argument
@simulate_option
@set_option
@click.option("--flow", metavar="MODULE:FLOW", help="Flow that the simulator runs.  [default: the demo shop]")
@click.option("--timeout", type=float, metavar="SECONDS", help="Seconds to wait for each turn.")
def chat(bot: str, pairs: tuple[str, ...], flow: str | None, timeout: float | None, *, simulate: bool) -> None:
    """Talk to a bot in the terminal.

    Each line is one turn. Input from a pipe is run as the lines of a %%chat cell.

    The exit status is 0 if all lines passed, 1 if the bot failed (a turn or an expectation failed, or a button does
    not exist), and 2 if the lines could not run (a line is invalid, or the bot could not be reached).
    """
    from socketnb.conversation.verbs import check_timeout
    from socketnb.hub import hub
    from socketnb.ui.terminal import converse

    check_timeout(timeout)
    settings = parse_pairs(pairs, hub.connect)
    with hub.connect(bot, simulate=simulate, flow=_import_flow(flow), **settings) as session:
        status = converse(session, timeout, hub.mask)
    sys.exit(status)


@commands.command()
@bot_argument
@simulate_option
@set_option
@click.option("--say", metavar="TEXT", help="Send this message, and measure the reply.")
def check(bot: str, pairs: tuple[str, ...], say: str | None, *, simulate: bool) -> None:
    """Check the connection to a bot, and measure its speed.

    The exit status is 0 if all steps passed, 1 if a step failed, and 2 if an argument is invalid.
    """
    from socketnb.hub import hub
    from socketnb.ui.checks import check_bot

    sys.exit(check_bot(hub, bot, say, {"simulate": simulate, **parse_pairs(pairs, hub.connect)}))


@commands.command()
@click.option("--delete", metavar="NAME", help="Delete this recording.")
@click.option("--prune", metavar="AGE", help='Delete recordings that are older than this, such as "30 days".')
def recordings(delete: str | None, prune: str | None) -> None:
    """List the recordings, or delete some."""
    from socketnb import archive

    if delete is not None and prune is not None:
        raise click.UsageError("give either --delete or --prune")
    if delete is not None:
        archive.open_recording(delete).delete()
        print(f"deleted {delete}")
    elif prune is not None:
        pruned = archive.prune(prune)
        print("\n".join(f"deleted {name}" for name in pruned["recording"]) or "no recording is that old")
    else:
        frame = archive.recordings()
        frame["when"] = frame["when"].dt.strftime("%Y-%m-%d %H:%M")
        print(frame.to_string(index=False, na_rep="") if len(frame) else "no recordings yet; create one: socketnb demo")


@commands.command(
    help="Write RECORDING, a name or a path, to FILE.\n\nThe suffix of FILE decides the format: "
    f"{', '.join(suffix for export in EXPORTS.values() for suffix in export.suffixes)}."
)
@click.argument("recording")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--format", "format_name", type=click.Choice(EXPORTS), help="Format, if the suffix does not decide it.")
@click.option("--session", metavar="NAME", help="Only this session.")
def export(recording: str, file: Path, format_name: str | None, session: str | None) -> None:
    """Write a recording to a file."""
    from socketnb import archive

    source = archive.open_recording(recording)
    format_name = format_name or format_of(file)
    traces = source.traces_df()
    if session is not None:
        if session not in (names := traces["session"].unique()):
            raise SettingsError(unknown("session", session, names))
        traces = traces[traces["session"] == session]
    write(traces, file, format_name, title=source.name)
    print(f"exported {len(traces):,} traces of {source.name} to {file}")


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning as one line, without the place in the code."""
    click.echo(f"socketnb: {' '.join(str(message).split())}", err=True)


def main(args: Sequence[str] | None = None) -> None:
    """Run a command. Errors are printed as one line to stderr.

    Args:
        args: The command and its arguments (default: those of the process).
    """
    for stream in filter(None, (sys.stdin, sys.stdout, sys.stderr)):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # print ? for characters that the terminal cannot show, such as ✓
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            sys.exit(commands.main(args, standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(ExitStatus.COULD_NOT_RUN)
    except click.ClickException as error:
        click.echo(f"socketnb: {' '.join(error.format_message().split())} (see: socketnb --help)", err=True)
        sys.exit(ExitStatus.COULD_NOT_RUN)
    except SocketnbError as error:
        click.echo(f"socketnb: {error}", err=True)
        sys.exit(ExitStatus.COULD_NOT_RUN)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(ExitStatus.INTERRUPTED)
    except BrokenPipeError:  # the reader of the pipe closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(ExitStatus.FAILED)
    except OSError as error:
        click.echo(f"socketnb: {error.strerror or error}", err=True)
        sys.exit(ExitStatus.FAILED)
