"""Processing of session events: write them to the journal, update the session, call listeners, and end turns."""

from __future__ import annotations

import concurrent.futures
import logging
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, assert_never

from socketnb.conversation.buttons import OfferedButtons
from socketnb.conversation.conversations import SessionConversations
from socketnb.conversation.unsolicited import UnsolicitedMessages
from socketnb.engine.events import Observation, SessionEvent, State, StateChange
from socketnb.engine.loop import wait
from socketnb.errors import ConnectError
from socketnb.model.effects import CallEnded, CallStarted, Conversations, Credential, Persist, Ready, Record, TurnDone
from socketnb.model.trace import CONTENT_KINDS, NO_TIME, Trace

if TYPE_CHECKING:
    from socketnb.conversation.call import Calls
    from socketnb.conversation.saved import SavedSession
    from socketnb.conversation.turn import Turn
    from socketnb.dialects.base import Dialect
    from socketnb.recording.recorder import Log

log = logging.getLogger(__name__)

Listener: TypeAlias = Callable[[list[Trace]], None]
"""A function that is called with the traces of each batch."""


class EventIntake:
    """Processes the session events of a driver on the loop's thread, and holds the state of the session.

    Args:
        session: The name of the session.
        dialect: The dialect of the platform.
        rows: The log of the session, which writes its traces.
        saved: The values that a later kernel needs to resume the session, or None if the session is not saved.
        calls: The voice calls of the session.

    Attributes:
        state: The state of the session.
        buttons: The buttons that can be pressed.
        unsolicited: The unsolicited messages that were not taken yet.
        conversations: The conversations of the session.
        calls: The voice calls of the session.
        turns: The turns that have not ended, by number.
        listeners: The functions to call with each batch of traces.
    """

    def __init__(self, session: str, dialect: Dialect, rows: Log, saved: SavedSession | None, calls: Calls) -> None:
        self.state: State = "connecting"
        self.buttons = OfferedButtons(session, dialect.content)
        self.unsolicited = UnsolicitedMessages(dialect.content, rows.traces)
        if saved and saved.buttons:
            self.buttons.restore(saved.buttons, rows.mask_json)
        self.conversations = SessionConversations(dialect.name, dialect.max_conversations)
        self.calls = calls
        self.turns: dict[int, Turn] = {}
        self.listeners: list[Listener] = []
        self._session = session
        self._rows = rows
        self._saved = saved
        self._opened: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._warnings: list[str] = []  # about the session, until it is ready
        self._ended: weakref.WeakValueDictionary[int, Turn] = weakref.WeakValueDictionary()

    def wait_until_ready(self) -> list[str]:
        """Wait until the session is ready for the first time, and return the warnings about the session so far.

        Raises:
            ConnectError: The session cannot become ready.
        """
        wait(self._opened)
        return self._warnings

    def take(self, events: list[SessionEvent]) -> None:
        """Record a batch of events, then update the session, call the listeners and finish the turns that ended."""
        recorded = [(event, self._record(event)) for event in events]
        self._rows.recorder.flush()
        if trouble := self._rows.trouble():
            note = Record("recording", "error", direction="local", error=trouble)
            warning = Observation(note, self._rows.link, time.time_ns(), NO_TIME)
            recorded.append((warning, self._record(warning)))
            self._rows.recorder.flush()
        for event, trace in recorded:
            try:
                self._update(event, trace)
            except Exception:
                log.exception("session %r could not handle %r", self._session, type(event).__name__)
        self.notify([trace for _, trace in recorded if trace])
        for event in events:
            if isinstance(event, TurnDone) and (turn := self.turns.pop(event.turn, None)):
                self._ended[event.turn] = turn
                turn.finish(event.status, event.reason and self._rows.mask(event.reason))

    def notify(self, traces: list[Trace]) -> None:
        """Call the listeners with the traces of a batch. If only the state has changed, the list is empty."""
        for listener in list(self.listeners):
            try:
                listener(traces)
            except BaseException:  # no listener may stop the loop, which all sessions share
                log.exception("a listener of session %r failed", self._session)

    def _record(self, event: SessionEvent) -> Trace | None:
        """Record an observation as a trace, or apply an event that changes how later traces are recorded."""
        match event:
            case Observation(record, link, observed_at, elapsed_ms):
                try:
                    return self._rows.append(record, link, observed_at, elapsed_ms)
                except Exception as error:
                    log.exception("session %r could not record %r", self._session, record.event)
                    text = f"{record.event} could not be recorded: {type(error).__name__}"
                    note = Record("recording", "error", error=text)
                    return self._rows.append(note, link, observed_at, elapsed_ms)
            case Ready(conversation):
                self._rows.conversation = conversation
            case Credential(value):
                self._rows.hide(value)
            case _:
                pass
        return None

    def _update(self, event: SessionEvent, trace: Trace | None) -> None:
        """Update the session after an event was recorded."""
        match event:
            case Observation(record):
                if trace:
                    if trace.direction == "in" and (trace.kind in CONTENT_KINDS or trace.kind == "delta"):
                        self.buttons.add(trace, record.payload)
                        self.unsolicited.add(trace, record.payload)
                    self._add(trace)
            case Conversations(conversations):
                self.conversations.current = conversations
            case CallStarted():
                self.calls.start(event)
            case CallEnded():
                self.calls.end(event)
            case Persist(setting, value):
                is_new = self._saved and self._saved.persist(setting, value)
                if is_new and not self._opened.done():  # the saved conversation is not resumed
                    self.buttons.clear()
            case StateChange(state, error):
                self._enter(state, error)
            case TurnDone():  # `take` finishes the turn
                if self._saved:
                    self._saved.save_buttons(self.buttons.dump())
            case Ready() | Credential():
                pass  # handled in `_record`
            case _:
                assert_never(event)

    def _add(self, trace: Trace) -> None:
        if trace.kind == "warning" and trace.turn == 0 and not self._opened.done():
            self._warnings.append(trace.text or "")
        if self.state == "ready" and not self._opened.done():
            self._opened.set_result(None)
        if turn := self.turns.get(trace.turn) or self._ended.get(trace.turn):
            turn.add(trace)

    def _enter(self, state: State, error: ConnectError | None) -> None:
        self.state = state
        if state == "closed":
            self.unsolicited.close()
        if state in ("lost", "closed") and not self._opened.done():
            error = error or ConnectError("the session was closed")
            self._opened.set_exception(type(error)(self._rows.mask(str(error))))
