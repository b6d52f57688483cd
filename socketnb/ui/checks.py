"""Whether a bot can be reached, in words: each step of it with how long it took, or what went wrong and what to do."""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from socketnb.errors import ConnectError, ConnectTimeout, Refused, TurnError, Unreachable
from socketnb.render import milliseconds, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from socketnb.hub import Hub

STEPS = {Unreachable: "reachable", Refused: "let in", ConnectTimeout: "in time"}


def checked(hub: Hub, bot: str, say: str | None, how: Mapping[str, Any]) -> int:
    """Print how connecting to a bot goes, and a turn if something is to be said; return the exit status.

    Args:
        hub: what connects.
        bot: a platform or a profile.
        say: what is to be said.
        how: what else `connect` is given.

    Raises:
        SettingsError: a setting is missing, unknown or of the wrong form.
    """
    tell = _teller()
    for name in ("aiohttp", "socketio"):  # loaded before, so that not they are measured
        importlib.import_module(name)
    began = time.perf_counter()
    try:
        session = hub.connect(bot, record=False, **how)
    except ConnectError as error:
        step = next((step for kind, step in STEPS.items() if isinstance(error, kind)), "connected")
        if isinstance(error, Refused):
            tell(True, "reachable", "a server answered")  # noqa: FBT003 (good or not)
        tell(False, step, str(error))  # noqa: FBT003
        return 1
    with session:
        whole = (time.perf_counter() - began) * 1000
        times = {trace.kind: trace.observed_at for trace in session.traces()}
        ready = max(times.values()) if times else 0
        after = (ready - times["connected"]) / 1e6 if "connected" in times else 0.0
        tell(True, "reachable", f"{session.platform} answered, {milliseconds(max(whole - after, 0))}")  # noqa: FBT003
        tell(True, "let in", f"ready {milliseconds(after)} after the handshake")  # noqa: FBT003
        if say is None:
            Console(highlight=False).print("  --say TEXT says something, and measures the reply", style="dim")
            return 0
        try:
            turn = session.say(say)
        except TurnError as error:
            tell(False, "answers", str(error))  # noqa: FBT003
            return 1
        tell(turn.status == "completed", "answers", turn.summary)
        return 0 if turn.status == "completed" else 1


def _teller() -> Callable[[bool, str, str], None]:
    console = Console(highlight=False)

    def tell(good: bool, step: str, said: str) -> None:  # noqa: FBT001 (the first thing to see)
        mark, style = ("✓", "green") if good else ("✗", "red")
        console.print(
            Text.assemble((f"{mark} ", style), f"{step:<14}", (printable(said), "" if good else style)), soft_wrap=True
        )

    return tell
