"""The composition root: creates sessions and simulators, finds sessions by name, and closes everything at exit.

The only module-level state is `hub`. It is created at import and is empty until it is first used.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from socketnb import _profiles
from socketnb._credentials import CellWarnings, with_secrets
from socketnb._platform_docs import document_platforms, settings_of, simulator_of
from socketnb._recorders import Recorders
from socketnb.conversation.open_sessions import OpenSessions
from socketnb.conversation.saved import SavedSession, complete_settings
from socketnb.conversation.session import Session
from socketnb.dialects import registry
from socketnb.dialects.base import warn
from socketnb.engine.driver import Driver
from socketnb.engine.loop import Loop
from socketnb.flows.demo import demo_flow
from socketnb.frames.trace_frames import TraceFrames
from socketnb.model.secret import Secret
from socketnb.recording.masks import Secrets
from socketnb.settings import Value, Values, check_arguments, resolve, resolve_options, simulated_settings
from socketnb.settings import warn as show_warning
from socketnb.simulator.server import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from socketnb.dialects.base import Dialect
    from socketnb.flows.flow import Flow
    from socketnb.recording.store import TraceStore

log = logging.getLogger(__name__)
TURN_TIMEOUT_S = 30.0
"""The default of `turn_timeout`, in seconds."""


class Hub(OpenSessions, TraceFrames):
    """The sessions, simulators, recordings and background threads of one kernel.

    Attributes:
        ask: Asks the user for a setting in a notebook, or returns None. The package root sets it, like `make_panel`.
        recorders: The recorders of this kernel.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ask: Callable[[str], str | None] = lambda _: None
        self._begin()

    def _begin(self) -> None:
        self.engine = Loop("socketnb")
        self._simulator_loop = Loop("socketnb-simulator")
        self._simulators: list[Simulator] = []
        self._secrets = Secrets()
        self.recorders = Recorders(self._secrets)
        self._cell_warnings = CellWarnings()

    def connect(
        self,
        platform: str | None = None,
        *,
        profile: str | None = None,
        name: str | None = None,
        simulate: bool = False,
        flow: Flow | None = None,
        resume: bool = False,
        record: bool | str | Path = True,
        turn_timeout: float = TURN_TIMEOUT_S,
        **settings: Value,
    ) -> Session:
        """Connect to a bot and wait until the session is ready. The connection then runs in the background.

        What may be wrong with the session, for example an endpoint that never says that it is ready, is a Python
        warning (`RuntimeWarning`) and a trace of kind `warning`.

        A setting that is not passed is read from an environment variable, such as `SOCKETNB_VOICEFLOW_API_KEY`, or from
        the profile. In a notebook, the user is asked for a required setting without a value.

        Args:
            platform: The platform (`cognigy`, `eusate` or `voiceflow`), or the name of a profile.
            profile: The name of a profile in `profiles.toml`.
            name: The name of the session in this kernel (default: the name of the profile or platform). An open session
                of the same name is closed first.
            simulate: Whether to connect to a new simulator instead of the platform.
            flow: The bot that the simulator runs (default: the demo shop).
            resume: Whether to resume the conversation of an earlier session of this name, even from an earlier kernel.
                Its last buttons can still be pressed. If it cannot be resumed, a trace says so, and a new one starts.
            record: Where to record: True for this kernel's recording, the path of a folder, or False to keep traces in
                memory only.
            turn_timeout: The timeout of a turn in seconds.
            **settings: The settings of the platform, listed below.

        Returns:
            The session, ready for its first turn.

        Raises:
            SettingsError: A setting is unknown, missing or malformed.
            ConnectError: The platform cannot be reached, refuses the connection, or is not ready within `timeout`
                seconds.

        Example:
            >>> import socketnb as snb
            >>> bot = snb.connect("voiceflow", simulate=True)
            >>> bot.say("hours").status
            'completed'
            >>> bot.close()
        """
        settings = with_secrets(settings)  # first, because a traceback may show local variables
        dialect, found_profile = _profiles.find(platform, profile)
        self._cell_warnings.check(dialect.name, settings)
        given = {setting: value for setting, value in settings.items() if value is not None}
        check_arguments(dialect, given, simulate=simulate, flow=flow, turn_timeout=turn_timeout)
        with contextlib.ExitStack() as cleanup:
            simulator = self.simulate(dialect.name, flow) if simulate else None
            if simulator:
                cleanup.callback(simulator.stop)
                given = {**simulator.settings, **given}
                found_profile = found_profile and found_profile.for_simulator(simulated_settings(dialect))
            values = resolve(dialect, given, {} if simulator else os.environ, found_profile, self.ask)
            with self._lock:
                name = self._free_name(found_profile.name if found_profile else dialect.name, name)
                if name in self._sessions:
                    self._sessions[name].close()
                saved = SavedSession(dialect, name) if resume else None
                values = complete_settings(dialect, values, given, saved, _new_id)
                session = self._build(
                    dialect, name, values, record=record, turn_timeout=turn_timeout, saved=saved, simulator=simulator
                )
            cleanup.pop_all()  # the session stops its simulator when it closes
            cleanup.callback(session.close)
            conflict = self._conflict(session)
            warned = session.open([*(saved.notes if saved else ()), *([warn(0, conflict)] if conflict else ())])
            cleanup.pop_all()
        self._used = session.name
        self._panels.show(session)
        for text in warned:
            show_warning(f"{session.name}: {text}", RuntimeWarning)
        return session

    def _build(
        self,
        dialect: Dialect,
        name: str,
        settings: Values,
        *,
        record: bool | str | Path,
        turn_timeout: float,
        saved: SavedSession | None,
        simulator: Simulator | None,
    ) -> Session:
        """Create a session with its log, its protocol machine and its driver."""
        session_log = self.recorders.get(record).log(dialect.name, name, dialect.secret_fields)
        for value in settings.values():
            if isinstance(value, Secret):
                self._secrets.add(value.reveal())
        self._cell_warnings.check(dialect.name, settings)
        machine = dialect.client(settings, _new_id)

        def closed(session: Session) -> None:
            self._remove(session)
            if simulator:
                simulator.stop()

        session = self._sessions[name] = Session(
            name,
            dialect,
            loop=self.engine,
            make_driver=lambda on_events: Driver(machine, self.engine, on_events, links=session_log.link),
            log=session_log,
            settings=settings,
            timeout=turn_timeout,
            saved=saved,
            panel=lambda session, ui: self._panel(ui, session),
            on_close=closed,
        )
        return session

    def simulate(
        self,
        platform: str,
        flow: Flow | None = None,
        *,
        port: int = 0,
        token: str | None = None,
        ping_interval: float = 25,
        ping_timeout: float = 20,
        **options: Value,
    ) -> Simulator:
        """Start a simulator of a platform on this machine. Connect with `connect(platform, **simulator.settings)`.

        Args:
            platform: The platform.
            flow: The bot (default: the demo shop).
            port: The port, or 0 for any free port.
            token: The credential that clients must send (default: generated).
            ping_interval: Seconds between the server's pings; at least 1.
            ping_timeout: Seconds until an unanswered ping closes a link.
            **options: The options of the simulator, listed below.

        Returns:
            The running simulator. Its method `fault` injects one of the faults listed below, or `drop`, which cuts all
            links on every platform.

        Raises:
            SettingsError: The platform or an option is unknown, a value is malformed, or the port cannot be used.

        Example:
            >>> import socketnb as snb
            >>> with snb.simulate("voiceflow") as simulator:
            ...     bot = snb.connect("voiceflow", **simulator.settings)
            ...     status = bot.say("hours").status
            ...     bot.close()
            >>> status
            'completed'
        """
        dialect = registry.get(platform)
        simulator = Simulator(
            dialect,
            flow or demo_flow(),
            self._simulator_loop,
            options=resolve_options(dialect, options),
            port=port,
            token=token,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            on_stop=self._simulators.remove,
        )
        self._simulators.append(simulator)
        return simulator

    def profile_names(self) -> list[str]:
        """Return the names of all profiles."""
        return list(_profiles.entries())

    def profiles(self) -> pd.DataFrame:
        """Return the settings of every profile and the sources of their values. Credentials are masked.

        Returns:
            One row per profile and setting, with the string columns profile, platform, setting, value and source: an
            environment variable, the line of a file, or `default`. The value and source of a required setting without
            a value are empty. Values in a keyring are not read.

        Raises:
            SettingsError: A profile file cannot be read, or a profile is malformed.

        Example:
            >>> import socketnb as snb
            >>> snb.profiles().columns.tolist()
            ['profile', 'platform', 'setting', 'value', 'source']
        """
        return _profiles.table(os.environ)

    def mask(self, text: str) -> str:
        """Return a text with the credentials of this kernel's sessions masked."""
        return self._secrets.hide(text)

    def recording(self) -> Path | None:
        """Return the folder of this kernel's recording; None if there is no recording or it has stopped."""
        return self.recorders.folder

    def close(self) -> None:
        """Close every session and simulator, stop the background threads, and close the recordings."""
        sessions = [session.close for session in self.sessions()]
        simulators = [simulator.stop for simulator in self._simulators]
        loops = [self.engine.close, self._simulator_loop.close]
        recorders = [recorder.close for recorder in self.recorders.all()]
        for close in [*sessions, *simulators, *loops, *recorders]:
            try:
                close()
            except Exception:
                log.exception("%r failed", close)

    def forget(self) -> None:
        """Drop all objects without closing them. Called in a forked child, where the sockets belong to the parent."""
        for session in self._sessions.values():
            session.disown()
        self._forget_sessions()
        self._begin()

    def _stores(self) -> list[TraceStore]:
        """Return the traces of this kernel, one store per recording."""
        for recorder in self.recorders.all():
            recorder.warn()
        return [recorder.store for recorder in self.recorders.all()]


def _new_id() -> str:
    return uuid.uuid4().hex[:12]


document_platforms(Hub.connect, settings_of)
document_platforms(Hub.simulate, simulator_of)
hub: Hub = Hub()
atexit.register(hub.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=hub.forget)
