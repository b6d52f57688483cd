"""The conversation API: a `Session` is one user's conversation with one bot, or, on a helpdesk, several.

One class serves all platforms: what differs is data, the dialect's verbs. Sessions may be used from any thread;
news come on the background loop's thread, and are recorded before anybody is told.
"""

from __future__ import annotations

import concurrent.futures
import html
import json
import logging
import threading
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from socketnb import render
from socketnb.conversation.call import Call
from socketnb.conversation.turn import Turn, check_timeout, choices_of
from socketnb.dialects.messages import OFFERS, Message, buttons, message
from socketnb.engine.driver import Driver, Observation, SessionEvent, StateChange
from socketnb.engine.loop import wait
from socketnb.errors import ActionError, ConnectError, SessionError, TurnFailed, unknown
from socketnb.frames import query
from socketnb.model.actions import Action, Conversation
from socketnb.model.content import Choice
from socketnb.model.effects import CallEnded, CallStarted, Conversations, Credential, Persist, Ready, Record, TurnDone
from socketnb.model.secret import MASK
from socketnb.model.trace import NO_TIME, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd

    from socketnb.dialects.base import Dialect
    from socketnb.engine.loop import Loop
    from socketnb.model.actions import Verb
    from socketnb.recording.recorder import Log
    from socketnb.settings import SavedSession

log = logging.getLogger(__name__)


class View(Protocol):
    """A widget that shows one session or several."""

    @property
    def comm(self) -> object:
        """The connection to the pages; None after the widget was closed."""

    def turn_to(self, session: Session) -> None:
        """Show this session where the one of its name was shown."""

    def close(self) -> None:
        """Remove the widget from every page."""


class Session:
    """One user's conversation with one bot, alive in the background of the kernel.

    Attributes:
        name: its name in the kernel.
        platform: `voiceflow` …
        state: `connecting`, `ready`, `reconnecting`, `ended`, `lost` or `closed`.
        timeout: seconds that a turn is waited for.
    """

    def __init__(
        self,
        name: str,
        dialect: Dialect,
        *,
        loop: Loop,
        drive: Callable[[Callable[[list[SessionEvent]], None]], Driver],
        log: Log,
        settings: Mapping[str, Any],
        timeout: float,
        kept: SavedSession | None,
        panel: Callable[[Session, str], View],
        on_close: Callable[[Session], None],
    ) -> None:
        self.name = name
        self.platform = dialect.name
        self.state = "connecting"
        self.timeout = timeout
        self._dialect = dialect
        self._loop = loop
        self._log = log
        self.first = log.seq  # a session opened again under its name begins here
        self._settings = settings
        self._kept = kept
        self._on_close = on_close
        self._lock = threading.Lock()
        self._turns: dict[int, Turn] = {}  # those that are not over
        self._offers: deque[tuple[Trace, Any]] = deque(maxlen=8)  # the last that may have buttons, payload unmasked
        self._closing = False
        self._listeners: list[Callable[[list[Trace]], None]] = []
        self._show_panel = panel
        self._talks: tuple[Conversation, ...] = ()
        self._chosen = threading.local()  # .talk: the conversation that this thread's next turn is for
        self._calls: dict[int, Call] = {}  # turn that began it → call
        self._opened: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._driver = drive(self._news)

    # Talking

    def say(self, text: str, timeout: float | None = None) -> Turn:
        """Say something, wait until the bot is done, return the turn.

        Raises:
            TurnTimeout: the bot was not done within `timeout` seconds; `.turn` is the turn so far.
            TurnFailed: the session broke.
            SessionError: the session is closed.
        """
        check_timeout(timeout)
        return self.send(text).wait(timeout)

    def send(self, text: str, *, at_once: bool = False, conversation: str | None = None) -> Turn:
        """Say something and return at once: `await` the turn, or `.wait()` for it.

        A second one waits in line until the bot is done with the first, unless `at_once`. `conversation` is an id, or
        "" for a new one, where a session holds several.
        """
        return self._start(Action("text", self._checked("text", {"text": text}), at_once, self._into(conversation)))

    def stream(self, text: str, timeout: float | None = None) -> Iterator[Message]:
        """Say something and yield the bot's messages as they arrive."""
        check_timeout(timeout)
        return self.send(text).stream(timeout)

    def press(self, choice: str | int | Choice, timeout: float | None = None) -> Turn:
        """Press a button by its label, its position from 1, or itself, of the last message that has any.

        Raises:
            ActionError: there is no such button; nothing was sent.
        """
        check_timeout(timeout)
        return self.start("press", choice=choice).wait(timeout)

    def launch(self, timeout: float | None = None) -> Turn:
        """Start the conversation from the beginning."""
        check_timeout(timeout)
        return self.start("launch").wait(timeout)

    def event(self, name: str, timeout: float | None = None) -> Turn:
        """Trigger an event of the bot by its name."""
        check_timeout(timeout)
        return self.start("event", name=name).wait(timeout)

    def reset(self, timeout: float | None = None) -> Turn:
        """Start over with nothing remembered, where the platform can."""
        check_timeout(timeout)
        return self.start("reset").wait(timeout)

    def act(self, verb: str, **fields: Any) -> Turn:
        """Do anything the platform knows: one of its `verbs`, with its fields. Waits like `say`.

        Raises:
            ActionError: there is no such verb or field; nothing was sent.
        """
        return self.start(verb, **fields).wait()

    def start(self, verb: str, /, *, conversation: str | None = None, **fields: Any) -> Turn:
        """Do what `act` does, and return at once; `conversation` as in `send`.

        Raises:
            ActionError: there is no such verb or field; nothing was sent.
            SessionError: the session is closed.
        """
        if verb == "press" and "choice" in fields:
            fields = {**fields, "choice": self.button(fields["choice"])}
        return self._start(Action(verb, self._checked(verb, fields), conversation=self._into(conversation)))

    def later(self, seconds: float, do: Callable[[], None]) -> bool:
        """Do something on the background thread, after so many seconds; tell whether that thread runs."""
        return self._loop.later(seconds, do)

    def reconnect(self) -> None:
        """Try a lost link again now, whether it was given up or waits for its next attempt; else this does nothing.

        Raises:
            SessionError: the session is closed.
        """
        if self._closing:
            raise SessionError(f"session {self.name!r} is closed: open a new one with connect()")
        self._driver.reconnect()

    # Several conversations, where the platform has them

    def conversations(self) -> list[Conversation]:
        """Return the conversations that this session holds, each with its handler, what is unread, and its state."""
        return list(self._talks)

    def conversation(self, talk: str | Conversation) -> Self:
        """Let the next turn speak in this conversation, by its id.

        Raises:
            ActionError: there is no such conversation.
        """
        self._chosen.talk = self._into(talk.id if isinstance(talk, Conversation) else talk)
        return self

    def new_conversation(self) -> Self:
        """Let the next turn begin another conversation.

        Raises:
            ActionError: the platform has one conversation a session.
        """
        self._chosen.talk = self._into("")
        return self

    def _into(self, talk: str | None) -> str | None:
        if talk == "" and self._dialect.max_conversations == 1:
            raise ActionError(f"{self.platform} has one conversation a session: connect() opens another session")
        if talk and talk not in [known.id for known in self._talks]:
            raise ActionError(unknown("conversation", talk, [known.id for known in self._talks]))
        return talk

    def call(self) -> Call:
        """Begin a voice call and return it: where it is, and the token to join it with.

        Raises:
            ActionError: the platform has no calls.
            TurnFailed: an agent answers, or a call runs already, or the helpdesk refuses.
        """
        turn = self.start("call").wait()
        if turn.number not in self._calls:
            raise TurnFailed(f"{self.name}: no call was begun ({turn.reason or turn.status})", turn)
        return self._calls[turn.number]

    def _hang_up(self, talk: str) -> None:
        turn = self._start(Action("hang_up", conversation=talk))
        if not self._loop.here:  # a listener cannot wait
            turn.wait()

    def _start(self, action: Action) -> Turn:
        self._log.recorder.warn()
        if action.verb == "text" and self._settings.get("press_typed"):
            typed = action.fields["text"].strip().casefold()
            latest = [trace for trace, _ in self._offers if trace.turn == self._log.turn]
            if found := [option for option in choices_of(latest) if option.label.strip().casefold() == typed]:
                action = replace(action, verb="press", fields={"choice": found[0]})
        if isinstance(choice := action.fields.get("choice"), Choice):
            action = replace(action, fields={**action.fields, "choice": self._unmasked(choice)})
        with self._lock:
            if self._closing:
                raise SessionError(f"session {self.name!r} is closed: open a new one with connect()")
            if action.conversation is None:
                action, self._chosen.talk = replace(action, conversation=getattr(self._chosen, "talk", None)), None
            self._log.turn += 1
            turn = self._turns[self._log.turn] = Turn(
                self._log.turn,
                action,
                name=self.name,
                driver=self._driver,
                loop=self._loop,
                timeout=self.timeout,
                encoding=self.encoding,
            )
            self._driver.act(turn.number, action, self.timeout)
        return turn

    @property
    def verbs(self) -> Mapping[str, Verb]:
        """What the platform knows, each verb with its help and its fields."""
        return self._dialect.verbs

    @property
    def running(self) -> list[Turn]:
        """The turns that are not over, the oldest first."""
        return list(self._turns.values())

    # Reading

    @property
    def encoding(self) -> str:
        """How this session's streamed sound is encoded."""
        return str(self._settings.get("audio_encoding") or "audio/x-mulaw")

    @property
    def choices(self) -> list[Choice]:
        """The buttons that can be pressed now."""
        return choices_of([trace for trace, _ in self._offers])

    def traces(self, since: int = 0, count: int | None = None, *, payloads: bool = True) -> list[Trace]:
        """Return the recorded traces, from `seq` number `since` on, at most so many; without payloads it is faster."""
        return self._log.traces(max(since, self.first), count, payloads=payloads)

    @property
    def seq(self) -> int:
        """The number of the trace that comes next."""
        return self._log.seq

    def transcript(self) -> str:
        """Return the conversation as plain text."""
        return render.transcript_text(self.traces())

    def traces_df(self, **options: Any) -> pd.DataFrame:
        """Return this session's traces; options as `socketnb.traces_df`."""
        return query.traces_df([self._log.recorder.store], session=self.name, **options)

    def turns_df(self, **options: Any) -> pd.DataFrame:
        """Return this session's turns; options as `socketnb.turns_df`."""
        return query.turns_df([self._log.recorder.store], session=self.name, **options)

    def messages_df(self, **options: Any) -> pd.DataFrame:
        """Return this session's messages; options as `socketnb.messages_df`."""
        return query.messages_df([self._log.recorder.store], session=self.name, **options)

    @property
    def ids(self) -> dict[str, str]:
        """The ids that tell the platform who is talking and where, as far as they are settings."""
        secret = [name for name, how in self._dialect.settings.items() if how.secret]
        return {n: str(v) for n, v in self._settings.items() if n.endswith("_id") and v and n not in secret}

    def panel(self, ui: Literal["rich", "core"] = "rich") -> View:
        """Return this session's chat panel, for a notebook: one panel, shown as often as you like.

        A session that is opened again under its name takes its panel over: where it is shown, it goes on.

        Args:
            ui: `rich`, or `core`: text and buttons of core ipywidgets, for places that have no anywidget.

        Raises:
            SettingsError: there is no such ui.
        """
        return self._show_panel(self, ui)

    def listen(self, hear: Callable[[Trace], None]) -> Callable[[], None]:
        """Call `hear` with every trace once it is recorded, on the background thread; returns what stops that."""

        def each(burst: list[Trace]) -> None:
            for trace in burst:
                try:
                    hear(trace)
                except BaseException:  # the next trace is heard all the same
                    log.exception("a listener of session %r failed", self.name)

        return self.follow(each)

    def follow(self, hear: Callable[[list[Trace]], None]) -> Callable[[], None]:
        """Do what `listen` does, with the traces of a burst at once: what came together may be shown together.

        A burst is empty where only the state is another.
        """
        self._listeners.append(hear)
        return lambda: self._listeners.remove(hear) if hear in self._listeners else None

    # Ending

    def close(self) -> None:
        """Leave the conversation: its link closes, its traces stay. Closing again does nothing."""
        with self._lock:
            closing, self._closing = self._closing, True
        if not closing:
            try:
                self._driver.close()
            finally:
                self.state = "closed"
                for turn in list(self._turns.values()):  # what the driver did not come to
                    turn.finish("cancelled", "the session was closed")
                for call in self._calls.values():
                    if call.running:
                        call.finish(None, "the session was closed")
                self._on_close(self)
                self._tell([])

    def disown(self) -> None:
        """Be closed without closing anything: in a forked child the conversation is the parent's."""
        self._lock = threading.Lock()
        self._closing, self.state = True, "closed"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # News, on the loop's thread

    def open(self) -> None:
        """Open the first link and wait until the conversation is ready; `connect` has done this already.

        Raises:
            ConnectError: it could not be made ready.
        """
        if self._loop.here:
            raise SessionError("connect waits, and cannot be called from a listener")
        self._driver.start()
        wait(self._opened)

    def _news(self, burst: list[SessionEvent]) -> None:
        """Record what came, write it through, then show it."""
        traces = [self._record(news) for news in burst]
        self._log.recorder.flush()
        if said := self._log.trouble():
            note = Record("recording", "error", direction="local", error=said)
            burst = [*burst, Observation(note, self._log.link, time.time_ns(), NO_TIME)]
            traces.append(self._record(burst[-1]))
            self._log.recorder.flush()
        for news, trace in zip(burst, traces, strict=True):
            try:
                self._show(news, trace)
            except Exception:
                log.exception("session %r could not show %r", self.name, type(news).__name__)
        self._tell([trace for trace in traces if trace])
        for news in burst:
            if isinstance(news, TurnDone) and (turn := self._turns.pop(news.turn, None)):
                turn.finish(news.status, news.reason and self._log.mask(news.reason))

    def _tell(self, burst: list[Trace]) -> None:
        for hear in list(self._listeners):
            try:
                hear(burst)
            except BaseException:  # the loop is everybody's: no listener ends it
                log.exception("a listener of session %r failed", self.name)

    def _record(self, news: SessionEvent) -> Trace | None:
        """Make a row of an observation, and take note of what the rows after it need."""
        match news:
            case Observation(record, link, at, elapsed_ms):
                try:
                    return self._log.append(record, link, at, elapsed_ms)
                except Exception as error:
                    log.exception("session %r could not record %r", self.name, record.event)
                    said = f"{record.event} could not be recorded: {type(error).__name__}"
                    return self._log.append(Record("recording", "error", error=said), link, at, elapsed_ms)
            case Ready(conversation):
                self._log.conversation = conversation
            case Credential(value):
                self._log.hide(value)
        return None

    def _show(self, news: SessionEvent, trace: Trace | None) -> None:
        match news:
            case Observation(record) if trace:
                if trace.kind in OFFERS:
                    self._offers.append((trace, record.payload))
                self._keep(trace)
            case Conversations(talks):
                self._talks = talks
            case CallStarted(conversation=talk, turn=turn_number):
                self._calls[turn_number] = Call(news, lambda: self._hang_up(talk), self._loop)
            case CallEnded(ended_id, ended, reason):
                for call in self._calls.values():
                    if call.id == ended_id and call.running:
                        call.finish(ended, reason)
            case Persist(setting, value):
                if self._kept:
                    self._kept.keep(**{setting: value})
            case StateChange(name, error):
                self._enter(name, error)

    def _keep(self, trace: Trace) -> None:
        if self.state == "ready" and not self._opened.done():
            self._opened.set_result(None)
        if turn := self._turns.get(trace.turn):
            turn.add(trace)

    def _enter(self, state: str, error: ConnectError | None) -> None:
        self.state = state
        if self._opened.done():
            return
        if state in ("lost", "closed"):
            said = error or ConnectError("the session was closed")
            self._opened.set_exception(type(said)(self._log.mask(str(said))))

    # Checking

    def _checked(self, verb: str, fields: dict[str, Any]) -> dict[str, Any]:
        if verb not in list(self._dialect.verbs):
            raise ActionError(unknown(f"{self.platform} verb", verb, self._dialect.verbs))
        known = {field.name: field for field in self._dialect.verbs[verb].fields}
        for name, value in fields.items():
            if name not in known:
                raise ActionError(unknown(f"{verb} field", name, known))
            if known[name].type is Path:
                fields = {**fields, name: _file(verb, value)}
            elif not isinstance(value, known[name].type) or (known[name].type is int and isinstance(value, bool)):
                wanted, got = known[name].type.__name__, type(value).__name__
                raise ActionError(f"{verb}: {name} is a {wanted}, not a {got}; nothing was sent")
        try:
            json.dumps(
                {name: value for name, value in fields.items() if not isinstance(value, Choice)}, allow_nan=False
            )
        except (TypeError, ValueError, RecursionError) as error:
            raise ActionError(f"{verb} sends what JSON can hold, and this it cannot: {error}") from None
        if missing := [name for name, field in known.items() if field.required and name not in fields]:
            raise ActionError(f"{verb} needs {' and '.join(missing)}; nothing was sent")
        return fields

    def _unmasked(self, choice: Choice) -> Choice:
        """Return a button as the bot sent it: what is recorded and shown of it has its credentials masked."""
        for trace, payload in reversed(self._offers):
            shown, content = message(trace), self._dialect.content(trace.event, payload)
            if shown and content and choice in shown.choices:
                return buttons(content)[shown.choices.index(choice)]
        if MASK.search(json.dumps(choice.request)):
            raise ActionError(f"{choice.label!r} has a credential that is no longer known: press a newer button")
        return choice

    def button(self, choice: str | int | Choice) -> Choice:
        """Return a button by its label, its position from 1, or itself, of the last message that has any.

        Raises:
            ActionError: there is no such button.
        """
        if isinstance(choice, Choice):
            if choice.request is None:
                raise ActionError(f"the button {choice.label!r} has nothing to send; press one that the bot offered")
            return choice
        if isinstance(choice, bool) or not isinstance(choice, str | int):
            raise ActionError(f"press a button by its label, its position or itself, not {choice!r}")
        offered = self.choices
        if not offered:
            raise ActionError(f"{self.name}: no message has offered a button yet; nothing was sent")
        if isinstance(choice, int):
            if not 1 <= choice <= len(offered):
                raise ActionError(f"there is no button {choice}; press 1 to {len(offered)}, nothing was sent")
            return offered[choice - 1]
        wanted = choice.strip().casefold()
        found = [o for o in offered if o.label.strip().casefold() == wanted]
        if not found:
            raise ActionError(unknown("button", choice, [o.label for o in offered]) + "; nothing was sent")
        return found[0]

    # Notebook

    def __repr__(self) -> str:
        return f"<session {self.name!r}: {self.platform}, {self.state}, {self._log.turn} turns>"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        facts = html.escape(f"{self.platform} · {self.state} · {self._log.turn} turns · {self._log.seq} traces")
        head = f"<strong>{html.escape(self.name)}</strong> <small style='opacity:.65'>{facts}</small>"
        return {"text/plain": repr(self), "text/html": head + render.transcript_html(self.traces(), self.encoding)}


def _file(verb: str, value: object) -> str:
    """Return the path of a file that is there.

    Raises:
        ActionError: it is not.
    """
    try:
        path = Path(value).expanduser() if isinstance(value, str | Path) else None
        if path and path.is_file():
            return str(path.absolute())
    except (OSError, ValueError, RuntimeError):
        path = None
    raise ActionError(f"{verb} needs the path of a file, and {str(value)!r} is none; nothing was sent")
