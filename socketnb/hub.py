"""The composition root: builds everything, knows sessions by their names, closes all at exit.

The only module-level state is `hub`, made at import and empty until the first call.
"""

from __future__ import annotations

import atexit
import datetime as dt
import inspect
import linecache
import logging
import os
import re
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from socketnb._profiles import entries, shown, which
from socketnb.conversation.session import Session, View
from socketnb.dialects import registry
from socketnb.dialects.registry import PLATFORMS
from socketnb.engine.driver import Driver
from socketnb.engine.loop import Loop
from socketnb.errors import SessionError, SettingsError, unknown
from socketnb.flows.demo import demo_flow
from socketnb.frames import query
from socketnb.model.secret import Secret
from socketnb.recording.masks import Secrets
from socketnb.recording.recorder import Recorder
from socketnb.settings import SavedSession, convert, home, memory_rows, path_of, resolve, variable, warn
from socketnb.simulator.server import Simulator

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from socketnb.dialects.base import Dialect
    from socketnb.flows.flow import Flow
    from socketnb.recording.store import TraceStore

TURN_TIMEOUT = 30.0
UIS = ("rich", "core")
LONGEST = threading.TIMEOUT_MAX
NAME = re.compile(r"\w[\w.@+:-]*")


class Hub:
    """Everything that one kernel has open.

    Attributes:
        make_panel: Makes the panel of some sessions. The package root sets it, so that no lower layer imports the ui.
        ask: Asks the user for a setting in a notebook, or returns None. The package root sets it too.
    """

    def __init__(self) -> None:
        self.make_panel: Callable[..., View] = _no_panel
        self.ask: Callable[[str], str | None] = lambda _: None
        self._begin()

    def _begin(self) -> None:
        self.engine = Loop("socketnb")
        self._stage = Loop("socketnb-simulator")
        self._lock = threading.RLock()
        self._recorders: list[Recorder] = []  # all that there were: what they hold is in the frames
        self._current: dict[Path | bool, Recorder] = {}
        self._secrets = Secrets()
        self._sessions: dict[str, Session] = {}
        self._typed: set[Secret] = set()  # credentials that were warned of
        self._record: bool | Path = True
        self._used: str | None = None  # the name of the session that was opened or chosen last
        self._simulators: list[Simulator] = []
        self._panels: dict[tuple[str, ...], View] = {}  # ui and names of sessions → the panel that shows them

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
        turn_timeout: float = TURN_TIMEOUT,
        **settings: Any,
    ) -> Session:
        """Open a conversation, wait until it is ready, return its session; its socket lives in the background.

        Args:
            platform: `cognigy`, `eusate` or `voiceflow`; or a profile's name.
            profile: a bot of a `profiles.toml`, see README.
            name: its name in the kernel; a session that has this name already is closed first.
            simulate: talk to a simulator of its own instead of the real platform.
            flow: the bot that the simulator runs (default: the demo shop).
            resume: go on with the conversation that a session of this name had, in an earlier kernel too.
            record: True: into this kernel's recording; a folder: there; False: in memory only.
            turn_timeout: seconds that a turn is waited for.
            **settings: the platform's settings; what is absent is looked up in the environment and the profile, and
                what is needed and nowhere is asked for in a notebook, see README.

        Raises:
            SettingsError: a setting is unknown, missing or of the wrong form.
            ConnectError: the platform cannot be reached, refuses, or does not get ready within its `timeout`.
        """
        settings = _veiled(settings)  # first of all: what is raised from here on may show what this function knows
        dialect, known = which(platform, profile)
        for name_of, value in settings.items():
            if isinstance(value, Secret):
                self._warn_if_typed(dialect, name_of, value)
        own = [name for name, how in dialect.settings.items() if name == "url" or how.required or how.secret]
        if simulate and (both := [name for name in own if settings.get(name) is not None]):
            raise SettingsError(f"simulate=True has its own {', '.join(both)}: leave that out, or leave simulate out")
        if flow is not None and not simulate:
            raise SettingsError("a flow runs on the simulator: connect(…, simulate=True, flow=my_flow)")
        if (
            isinstance(turn_timeout, bool)
            or not isinstance(turn_timeout, int | float)
            or not 0 < turn_timeout < LONGEST
        ):
            raise SettingsError(f"turn_timeout is a number of seconds above 0, not {turn_timeout!r}")
        simulator = self.simulate(dialect.name, flow) if simulate else None
        try:
            given = {name: value for name, value in settings.items() if value is not None}
            given = {**(simulator.settings if simulator else {}), **given}
            if simulator and known:
                known = known.offline(own)
            environment = {} if simulator else os.environ
            resolved = resolve(dialect, given, environment, known, self.ask)  # without the lock: it may ask the user
            with self._lock:
                name = self._name(known.name if known else dialect.name, name)
                if name in self._sessions:
                    self._sessions[name].close()
                kept = SavedSession(dialect, name) if resume else None
                if kept:
                    there = {key: value for key, value in kept.read(resolved).items() if key not in given}
                    resolved |= {k: convert(dialect.name, k, dialect.settings[k], v) for k, v in there.items()}
                for made_up in ("user", "session"):
                    if f"{made_up}_id" in dialect.settings and not resolved[f"{made_up}_id"]:
                        resolved[f"{made_up}_id"] = f"{made_up}-{_new_id()}"
                if kept:
                    kept.begin(resolved)
                session = self._build(
                    dialect,
                    name,
                    resolved,
                    recorder=self._recorder(record),
                    turn_timeout=turn_timeout,
                    kept=kept,
                    simulator=simulator,
                )
        except BaseException:
            if simulator:
                simulator.stop()
            raise
        try:
            session.open()
        except BaseException:
            session.close()
            raise
        self._used = session.name
        self._take_over(session)
        return session

    def _build(
        self,
        dialect: Dialect,
        name: str,
        settings: dict[str, Any],
        *,
        recorder: Recorder,
        turn_timeout: float,
        kept: SavedSession | None,
        simulator: Simulator | None,
    ) -> Session:
        log = recorder.log(dialect.name, name, dialect.secret_fields)
        for setting, how in dialect.settings.items():
            if how.secret and settings[setting]:
                self._secrets.add(settings[setting].reveal())
                self._warn_if_typed(dialect, setting, settings[setting])
        machine = dialect.client(settings, _new_id)
        session = self._sessions[name] = Session(
            name,
            dialect,
            loop=self.engine,
            drive=lambda news: Driver(machine, self.engine, news, links=log.link),
            log=log,
            settings=settings,
            timeout=turn_timeout,
            kept=kept,
            panel=lambda session, ui: self._panel(ui, session),
            on_close=lambda closed: self._closed(closed, simulator),
        )
        return session

    def _warn_if_typed(self, dialect: Dialect, setting: str, secret: Secret) -> None:
        """Warn, once, of a credential that stands in a cell, where it is saved with the notebook."""
        if secret in self._typed or not _in_a_cell(secret.reveal()):
            return
        self._typed.add(secret)
        warn(
            f"{setting} {secret} stands in a cell, and is saved with the notebook. Better places: the environment "
            f"({variable(dialect.name, setting)}), a profile (profiles.toml, with {{env = …}} or {{keyring = …}}), "
            "or getpass.getpass()"
        )

    def profile_names(self) -> list[str]:
        """Return the names of the profiles that can be connected to."""
        return list(entries())

    def profiles(self) -> pd.DataFrame:
        """Return where the settings of each profile come from: a row a setting, credentials masked.

        Columns, all texts: profile, platform, setting, value, source (a variable, a file's line, `default`; empty if a
        needed one is nowhere). What is in a keyring is not asked for.

        Raises:
            SettingsError: a profile file cannot be read, or something in it has no meaning.
        """
        import pandas as pd

        rows = [row for entry in entries().values() for row in shown(entry.read(), os.environ)]
        return pd.DataFrame(rows, columns=["profile", "platform", "setting", "value", "source"], dtype="string")

    def simulate(
        self,
        platform: str,
        flow: Flow | None = None,
        *,
        port: int = 0,
        token: str | None = None,
        ping_interval: float = 25,
        ping_timeout: float = 20,
        **options: Any,
    ) -> Simulator:
        """Start a simulator of a platform on this machine: `connect(platform, **simulator.settings)`.

        Args:
            platform: `cognigy`, `eusate` or `voiceflow`.
            flow: the bot (default: the demo shop).
            port: its port; 0: any that is free.
            token: the credential that it asks for (default: made up).
            ping_interval: seconds between the server's pings.
            ping_timeout: seconds until an unanswered ping closes a link.
            **options: the platform's own, see README.

        Raises:
            SettingsError: no such platform or option, or the port cannot be used.
        """
        dialect = registry.get(platform)
        for option in options:
            if option not in dialect.options:
                raise SettingsError(unknown(f"{platform} simulator option", option, dialect.options))
        given = {o: how.default if options.get(o) is None else options[o] for o, how in dialect.options.items()}
        chosen = {o: None if v is None else convert(platform, o, dialect.options[o], v) for o, v in given.items()}
        simulator = Simulator(
            dialect,
            flow or demo_flow(),
            self._stage,
            options=chosen,
            port=port,
            token=token,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            on_stop=self._simulators.remove,
        )
        self._simulators.append(simulator)
        return simulator

    def session(self, name: str | None = None) -> Session:
        """Return the session of this name, or the one that was opened or used last.

        Raises:
            SessionError: there is none.
        """
        with self._lock:
            there = dict(self._sessions)
        if not there:
            raise SessionError("no session is open: snb.connect('voiceflow', simulate=True) opens one")
        if name is None:
            if len(there) > 1 and self._used not in there:
                raise SessionError(f"which session? There is: {', '.join(there)}")
            return there[self._used] if self._used in there else next(iter(there.values()))
        if name not in list(there):
            raise SessionError(unknown("session", name, there))
        return there[name]

    def mask(self, text: str) -> str:
        """Return a text without the credentials that this kernel's sessions were given."""
        return self._secrets.hide(text)

    @property
    def used(self) -> str | None:
        """The name of the session that was opened or used last."""
        return self._used

    def use(self, name: str | None = None) -> Session:
        """Return a session as `session` does, and let it be the one that was used last."""
        session = self.session(name)
        self._used = session.name
        return session

    def sessions(self) -> list[Session]:
        """Return the open sessions."""
        with self._lock:
            return list(self._sessions.values())

    def panels(self, *sessions: Session | str) -> View:
        """Return one panel that shows several sessions side by side, with one input that goes to all of them.

        Args:
            *sessions: the sessions, or their names.

        Raises:
            SessionError: there is no such session, or the same one twice.
        """
        shown = [self.session(each) if isinstance(each, str) else each for each in sessions]
        if not shown or any(not isinstance(each, Session) for each in shown):
            raise SessionError("panels shows sessions, or names of sessions: snb.panels(a, b)")
        if len({each.name for each in shown}) < len(shown):
            raise SessionError(f"each session once: {', '.join(each.name for each in shown)}")
        return self._panel("rich", *shown)

    def _panel(self, ui: str, *sessions: Session) -> View:
        """Return the panel of these sessions: there is one, however often it is shown."""
        if ui not in UIS:
            raise SettingsError(unknown("ui", ui, UIS))
        key = (ui, *(session.name for session in sessions))
        there = self._panels.get(key)
        if there is None or there.comm is None:
            made = self.make_panel(ui, *sessions)  # without the lock: a long conversation takes its time
            with self._lock:
                there = self._panels.get(key)
                if there is None or there.comm is None:
                    there = self._panels[key] = made
            if there is not made:
                made.close()
        for session in sessions:
            if self._sessions.get(session.name, session) is session:
                there.turn_to(session)
        return there

    def _take_over(self, session: Session) -> None:
        """Let the panels of an earlier session of this name show this one."""
        with self._lock:
            self._panels = {key: panel for key, panel in self._panels.items() if panel.comm is not None}
            panels = [panel for (_, *names), panel in self._panels.items() if session.name in names]
        for panel in panels:
            try:
                panel.turn_to(session)
            except Exception:
                log.exception("a panel of %r failed", session.name)

    def record(self, to: bool | str | Path) -> None:  # noqa: FBT001 (a folder or a plain yes or no)
        """Set where sessions that are opened from now on are recorded, unless they say: as `connect(record=…)`."""
        self._record = to if isinstance(to, bool) else path_of(to, "record is True, False or a folder")

    def recorded(self) -> str:
        """Return in words where sessions that are opened from now on are recorded."""
        if self._record is False:
            return "sessions that are opened from now on are not recorded: their traces stay in memory"
        folder = self._record if isinstance(self._record, Path) else self.recording() or home() / "recordings"
        return f"sessions that are opened from now on are recorded in {folder}"

    def recording(self) -> Path | None:
        """Return the folder of this kernel's recording; None while nothing is recorded, or it has stopped."""
        recorder = self._current.get(True)
        return recorder.folder if recorder and not recorder.stopped else None

    def stores(self) -> list[TraceStore]:
        """Return the traces of this kernel, a store a recording."""
        for recorder in self._recorders:
            recorder.warn()
        return [recorder.store for recorder in self._recorders]

    def traces_df(self, **options: Any) -> pd.DataFrame:
        """Return one row per trace of every session of this kernel, one recording after the other.

        Options: `session=`, `platform=`, `recording=` (its id), `since=` (an earlier frame, or its
        `df.attrs["cursor"]`), `columns=`.
        """
        return query.traces_df(self.stores(), **options)

    def messages_df(self, **options: Any) -> pd.DataFrame:
        """Return one row per message that a person sees; options as `traces_df`."""
        return query.messages_df(self.stores(), **options)

    def turns_df(self, **options: Any) -> pd.DataFrame:
        """Return one row per turn; options as `traces_df`."""
        return query.turns_df(self.stores(), **options)

    def sessions_df(self, **options: Any) -> pd.DataFrame:
        """Return one row per session; options as `traces_df`."""
        return query.sessions_df(self.stores(), **options)

    def close(self) -> None:
        """Close every session and simulator, stop the background threads, close the recordings."""
        recorders = list(self._recorders)
        simulators = [simulator.stop for simulator in self._simulators]
        sessions = [session.close for session in self.sessions()]
        for close in [*sessions, *simulators, self.engine.close, self._stage.close, *(r.close for r in recorders)]:
            try:
                close()
            except Exception:
                log.exception("%r failed", close)

    def forget(self) -> None:
        """Let go of everything without closing it: in a forked child the threads are gone, and all is the parent's."""
        for session in self._sessions.values():
            session.disown()
        self._begin()

    def _closed(self, session: Session, simulator: Simulator | None) -> None:
        with self._lock:
            if self._sessions.get(session.name) is session:
                del self._sessions[session.name]
        if simulator:
            simulator.stop()

    def _name(self, platform: str, name: str | None) -> str:
        if name is not None:
            if not isinstance(name, str) or not NAME.fullmatch(name):
                raise SettingsError(f"a session's name is one word of letters, digits and .-_@+:, not {name!r}")
            return name
        n = 1
        while (free := platform if n == 1 else f"{platform}-{n}") in self._sessions:
            n += 1
        return free

    def _recorder(self, record: bool | str | Path) -> Recorder:  # noqa: FBT001 (a folder or a plain yes or no)
        key = record if isinstance(record, bool) else path_of(record, "record is True, False or a folder")
        key = self._record if key is True else key
        there = self._current.get(key)
        if there is None or there.stopped:
            started = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H-%M-%S-%f")
            recording = f"{started[:-3]}-{_new_id()[:4]}"
            folder = home() / "recordings" / recording if key is True else key
            there = Recorder(recording, folder if isinstance(folder, Path) else None, memory_rows(), self._secrets)
            self._current[key] = there
            self._recorders.append(there)
        return there


def _veiled(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings with what is a credential on any platform as such, as far as it can be one."""
    secret = {name for platform in PLATFORMS for name, how in registry.get(platform).settings.items() if how.secret}
    held = [name for name, value in settings.items() if name in secret and isinstance(value, str) and value.strip()]
    return {**settings, **{name: Secret(settings[name].strip()) for name in held if type(settings[name]) is str}}


def _in_a_cell(text: str) -> bool:
    """Tell whether a text stands, as a word of its own, in a cell of the notebook that is running."""
    frame = inspect.currentframe()
    while frame:
        notebook = frame.f_globals
        if notebook.get("__name__") == "__main__" and "get_ipython" in notebook:
            cells = [*linecache.getlines(frame.f_code.co_filename), *map(str, notebook.get("In", ()))]
            word = re.compile(rf"(?<![\w.-]){re.escape(text)}(?![\w.-])")
            return any(word.search(cell) for cell in cells)
        frame = frame.f_back
    return False


def _no_panel(ui: str, *_: Session) -> View:
    raise SettingsError(f"this hub has no {ui} panel: use socketnb.connect and bot.panel()")


def _new_id() -> str:
    return uuid.uuid4().hex[:12]


hub: Hub = Hub()
atexit.register(hub.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=hub.forget)
