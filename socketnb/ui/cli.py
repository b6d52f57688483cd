"""The command line, `socketnb demo` and so on. A mistake is one line and exit status 2."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import pkgutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click

from socketnb.dialects.registry import PLATFORMS
from socketnb.errors import SettingsError, SocketnbError, unknown
from socketnb.settings import parse_pairs


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="socketnb")
def commands() -> None:
    """Talk to Socket.IO chatbots from Jupyter, keep the conversation, read it as a DataFrame."""


@commands.command()
@click.option("--platform", default="voiceflow", type=click.Choice(PLATFORMS), show_default=True, help="as which")
def demo(platform: str) -> None:
    """Hold a conversation with the simulator and show what it leaves behind. No network, no questions."""
    from socketnb.hub import hub

    with hub.connect(platform, name="demo", simulate=True) as bot:
        if "launch" in bot.verbs:
            bot.launch()
            bot.press("Track order")
        else:
            bot.say("Track order")
        bot.say("4567")
        bot.say("thanks")
        print(f"A conversation with the demo shop, over a real socket ({bot.platform}, simulated):\n")
        print(bot.transcript())
        print("\ntraces_df(): one row per event\n")
        traces = bot.traces_df(columns=["seq", "turn", "elapsed_ms", "direction", "event", "kind", "text"])
        print(traces.head(12).to_string(max_colwidth=40, float_format="{:.1f}".format))
        print("\nturns_df(): one row per turn\n")
        turns = bot.turns_df(columns=["turn", "action", "user_text", "status", "first_ms", "done_ms", "messages"])
        print(turns.to_string(float_format="{:.1f}".format))
    if folder := hub.recording():
        print(f"\nThe recording lies in {folder}")
    print("The notebooks open with: make lab   (or: socketnb lab)")


@commands.command()
@click.argument("folder", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
def lab(folder: Path) -> None:
    """Open JupyterLab in FOLDER."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise click.ClickException('JupyterLab is not installed: pip install "socketnb[lab]"')
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", str(folder)])  # noqa: S606 (no shell)


@commands.command()
@click.argument("platform", type=click.Choice(PLATFORMS))
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="0: any that is free")
@click.option("--flow", metavar="MODULE:FLOW", help="a Flow of yours (default: the demo shop)")
@click.option("--token", help="the credential that it asks for (default: made up)")
@click.option("--fault", "faults", multiple=True, metavar="NAME", help="something that goes wrong, see README")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object with what `connect` needs")
def simulate(
    platform: str, port: int, flow: str | None, token: str | None, faults: tuple[str, ...], *, as_json: bool
) -> None:
    """Serve a bot as PLATFORM on this machine until Ctrl-C."""
    from socketnb.hub import hub

    served = _flow(flow)  # first: what a module does when it is imported can be stopped
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with hub.simulate(platform, served, port=port, token=token) as simulator:
        for fault in faults:
            simulator.fault(fault)
        settings = simulator.revealed()
        if as_json:
            print(json.dumps(settings), flush=True)
        else:
            print(f"A simulated {platform} bot listens. Ctrl-C stops it.\n")
            print("\n".join(f"  {name:<12} {value}" for name, value in settings.items()), flush=True)
        while not stop.wait(0.2):
            pass


def _flow(where: str | None) -> Any:
    """Return the flow that `module:name` means, also of a module in this folder."""
    if where is None:
        return None
    sys.path.insert(0, folder := str(Path.cwd()))
    try:
        return pkgutil.resolve_name(where)
    except (ImportError, AttributeError, ValueError) as error:
        raise click.UsageError(f"--flow is MODULE:FLOW, and {where!r} is none: {error}") from None
    except (Exception, SystemExit, GeneratorExit) as error:  # noqa: BLE001 (whatever the user's module raises)
        raise click.UsageError(f"--flow {where}: the module fails with {type(error).__name__}: {error}") from None
    finally:
        sys.path.remove(folder)
        sys.path.append(folder)  # what it imports later is found; what we do is not taken from there


WHO = click.argument("bot", metavar="PROFILE|PLATFORM")
SIMULATE = click.option("--simulate", is_flag=True, help="talk to a simulator of its own")
SET_HELP = "any setting; a credential is safer in a profile or the environment, others can see this line"
SET = click.option("--set", "typed", multiple=True, metavar="KEY=VALUE", help=SET_HELP)


@commands.command()
@WHO
@SIMULATE
@SET
@click.option("--flow", metavar="MODULE:FLOW", help="a Flow of yours, for the simulator")
@click.option("--timeout", type=float, metavar="S", help="seconds that each turn is waited for")
def chat(bot: str, typed: tuple[str, ...], flow: str | None, timeout: float | None, *, simulate: bool) -> None:
    """Talk to a bot here, a line a turn. From a pipe: do its lines, as those of a %%chat cell."""
    from socketnb.conversation.verbs import check_timeout
    from socketnb.hub import hub
    from socketnb.ui.terminal import converse

    check_timeout(timeout)
    with hub.connect(bot, simulate=simulate, flow=_flow(flow), **parse_pairs(typed, hub.connect)) as session:
        status = converse(session, timeout, hub.mask)
    sys.exit(status)


@commands.command()
@WHO
@SIMULATE
@SET
@click.option("--say", metavar="TEXT", help="say this, and measure the reply (default: nothing is said)")
def check(bot: str, typed: tuple[str, ...], say: str | None, *, simulate: bool) -> None:
    """Tell whether a bot can be reached, and how fast it is. Exit status 1: it cannot."""
    from socketnb.hub import hub
    from socketnb.ui.checks import checked

    sys.exit(checked(hub, bot, say, {"simulate": simulate, **parse_pairs(typed, hub.connect)}))


@commands.command()
@click.option("--delete", metavar="NAME", help="delete this one")
@click.option("--prune", metavar="AGE", help='delete those last written so long ago, such as "30 days"')
def recordings(delete: str | None, prune: str | None) -> None:
    """List what was recorded, or delete some of it."""
    from socketnb import archive

    if delete is not None and prune is not None:
        raise click.UsageError("--delete or --prune, one at a time")
    if delete is not None:
        archive.open_recording(delete).delete()
        print(f"deleted {delete}")
    elif prune is not None:
        gone = archive.prune(prune)
        print("\n".join(f"deleted {name}" for name in gone["recording"]) or "none is that old")
    else:
        there = archive.recordings()
        there["when"] = there["when"].dt.strftime("%Y-%m-%d %H:%M")
        print(there.to_string(index=False, na_rep="") if len(there) else "nothing is recorded yet: socketnb demo")


@commands.command()
@click.argument("recording")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--session", help="only the session of this name")
def export(recording: str, file: Path, session: str | None) -> None:
    """Write RECORDING, a name or a path, to FILE.

    Its ending says how: .parquet, .jsonl, .duckdb or .csv; as a transcript .md, .html or .txt.
    """
    from socketnb import archive, render

    source = archive.open_recording(recording)
    write = {".parquet": "to_parquet", ".jsonl": "to_jsonl", ".duckdb": "to_duckdb"}.get(file.suffix)
    form: Any = {".md": "markdown", ".html": "html", ".txt": "text"}.get(file.suffix)
    if not (write or form or file.suffix == ".csv"):
        raise click.UsageError(f"{file.name} ends with none of .parquet .jsonl .duckdb .csv .md .html .txt")
    traces = source.traces_df()
    if session is not None:
        if session not in (names := traces["session"].unique()):
            raise SettingsError(unknown("session", session, names))
        traces = traces[traces["session"] == session]
    try:
        if write:
            getattr(traces.chat, write)(file)
        elif form:
            said = traces.chat.transcript(form)
            file.write_text(render.page(source.name, said) if form == "html" else said + "\n", encoding="utf-8")
        else:
            traces.to_csv(file, index=False)
    except OSError as error:
        raise click.FileError(str(file), error.strerror or str(error)) from None
    print(f"{len(traces):,} traces of {source.name} are in {file}")


def main() -> None:
    """Run a command; a user's mistake is one line on stderr and exit status 2."""
    for stream in filter(None, (sys.stdin, sys.stdout, sys.stderr)):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no ✓ shows a ? in its place
    try:
        sys.exit(commands.main(standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"socketnb: {' '.join(error.format_message().split())} (socketnb --help)", err=True)
        sys.exit(2)
    except SocketnbError as error:
        click.echo(f"socketnb: {error}", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:  # whoever read this has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except OSError as error:
        click.echo(f"socketnb: {error.strerror or error}", err=True)
        sys.exit(1)
