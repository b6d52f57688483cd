"""A driver runs one client machine, over one link after another.

Everything that happens to a session (an event, an action, a timer, a lost link) is put into one inbox as a step. One
task processes the steps in order and performs the effects that the machine returns. If the machine raises an exception,
an `error` trace is recorded immediately, so that the session does not wait for a timeout.

Session events are delivered on the loop's thread, in batches: after each pass through the inbox, and before anything
is sent or awaited. Every event is therefore in the journal before its effects are visible.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import logging
import math
import time
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, assert_never

from socketnb.engine.events import EventBatch, Observation, SessionEvent, State, StateChange
from socketnb.engine.http import HttpRequests
from socketnb.engine.link import TOO_LARGE
from socketnb.engine.links import Links, Step
from socketnb.engine.loop import wait
from socketnb.engine.open_turns import OpenTurns
from socketnb.engine.reasons import NOT_SENT, EndReason, Reasons, is_refused, queued, with_cause
from socketnb.engine.reconnect import ReconnectPolicy, Reconnects, backoff
from socketnb.errors import ConnectError, ConnectTimeout, Refused
from socketnb.model.effects import (
    CallEnded,
    CallStarted,
    ClientEffect,
    Conversations,
    Credential,
    Emit,
    Ended,
    Failed,
    HttpRequest,
    HttpResponse,
    Persist,
    Ready,
    Reconnect,
    Record,
    TurnDone,
)

if TYPE_CHECKING:
    from socketnb.dialects.base import ClientMachine
    from socketnb.engine.link import Link
    from socketnb.engine.loop import Loop
    from socketnb.model.actions import Action
    from socketnb.model.effects import Address
    from socketnb.model.json import Json

log = logging.getLogger(__name__)

STEPS_PER_YIELD = 64
"""The number of steps after which a driver with a full inbox lets other tasks of the loop run."""
CLOSE_TIMEOUT_S = 2.0
"""How long `Driver.close` waits for the end of the task, in seconds."""
_FAILED_ERRORS: Final[dict[Literal["refused", "timeout", "lost"], type[ConnectError]]] = {
    "refused": Refused,
    "timeout": ConnectTimeout,
    "lost": ConnectError,
}


class Driver:
    """Runs one client machine.

    Args:
        machine: The client machine of the session.
        loop: The background loop.
        on_events: Called with each batch of session events, in order, on the loop's thread.
        links: The number of earlier links of the session.
        policy: The delays before the attempts to reconnect.
    """

    def __init__(
        self,
        machine: ClientMachine,
        loop: Loop,
        on_events: Callable[[list[SessionEvent]], None],
        links: int = 0,
        policy: ReconnectPolicy = backoff,
    ) -> None:
        self._machine = machine
        self._loop = loop
        self._inbox: asyncio.Queue[Step] = asyncio.Queue()
        self._events = EventBatch(on_events)
        self._links = Links(loop, self._inbox.put_nowait, self, links)
        self._turns = OpenTurns(lambda turn: self._inbox.put_nowait(partial(self._abandon, turn, "timeout")))
        self._reasons = Reasons(machine, self._turns)
        self._requests = HttpRequests(loop, lambda r: self._inbox.put_nowait(partial(self._http_response, r)))
        self._reconnects = Reconnects(policy)
        self._state: State = "connecting"
        self._address: Address | None = None
        self._was_ready = False
        self._lost_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._now = time.monotonic()
        self._task: concurrent.futures.Future[None] = concurrent.futures.Future()

    @property
    def link(self) -> Link | None:
        """The open link, or None."""
        return self._links.current

    # Called from any thread

    def start(self, first: Sequence[Record] = ()) -> None:
        """Open the first link, after the first traces are recorded."""
        self._task = self._loop.submit(self._run(first))

    @property
    def state(self) -> State:
        """The state of the session."""
        return self._state

    def act(self, turn: int, action: Action, timeout: float) -> None:
        """Perform an action of the user. The turn times out `timeout` seconds after the action is sent.

        The turn times out even if nothing waits for it. If the session is not ready, the time counts from now.
        """
        self._post(partial(self._act, turn, action, timeout))

    def allow(self, turn: int, timeout: float) -> None:
        """Set the timeout of a turn to `timeout` seconds from now, or from its sending if it is not sent yet."""
        self._post(partial(self._allow, turn, timeout))

    def reconnect(self) -> None:
        """Reconnect a lost link now."""
        self._post(partial(self._redial, waiting=True))

    def abandon(self, turn: int, reason: EndReason) -> None:
        """End a turn without waiting for the bot any longer."""
        self._post(partial(self._abandon, turn, reason))

    def close(self, timeout: float = CLOSE_TIMEOUT_S) -> None:
        """Close the link for good, and wait at most `timeout` seconds until it is closed."""
        self._post(self._close)
        if self._loop.is_current_thread:  # called by a listener: the task ends after the listener returns
            return
        with contextlib.suppress(Exception, concurrent.futures.CancelledError):  # the task logs its errors
            wait(self._task, timeout)

    def _post(self, step: Step) -> None:
        self._loop.post(self._inbox.put_nowait, step)

    # The task

    async def _run(self, first: Sequence[Record]) -> None:
        for record in first:
            self._record(record)
        self._dial()
        try:
            for n in itertools.count():
                if self._state == "closed":
                    break
                if n % STEPS_PER_YIELD == 0:
                    self._events.flush()
                    await asyncio.sleep(0)
                if self._inbox.empty():
                    self._events.flush()
                step = await self._inbox.get()
                self._now = time.monotonic()
                try:
                    await step()
                except Exception as error:
                    log.exception("the %s machine failed", type(self._machine).__module__)
                    with contextlib.suppress(Exception):
                        self._note("exception", "error", error=f"{type(error).__name__}: {error}")
                self._set_timer()
                self._set_clocks()
        finally:
            self._events.flush()
            self._turns.stop_timers()
            if self._timer:
                self._timer.cancel()
            self._requests.cancel()
            self._links.cancel()
            await self._links.close()

    def _set_timer(self) -> None:
        """Set the timer for the machine's deadline."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if (deadline := self._machine.deadline) is not None:
            delay = max(0.0, deadline - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._inbox.put_nowait, self._tick)

    def _set_clocks(self) -> None:
        """Let the clocks of unsent turns run while the session is not ready, or while nothing else ends their wait."""
        waits = self._turns.any_started or self._machine.deadline is not None
        self._turns.run_unsent(run=self._state != "ready" or not waits)

    async def _tick(self) -> None:
        if self._machine.deadline is not None and self._machine.deadline <= self._now:
            await self._perform(self._machine.timer(self._now))

    # Turns

    async def _act(self, turn: int, action: Action, limit: float) -> None:
        self._turns.begin(turn, limit)
        try:
            effects = self._machine.act(turn, action, self._now)
            if is_refused(turn, effects):
                self._record(queued(turn, action, NOT_SENT))
            await self._perform(effects)
        except Exception as error:
            log.exception("the %s machine could not act", type(self._machine).__module__)
            await self._fail_turn(turn, f"the action could not be sent: {type(error).__name__}: {error}")
            self._machine.abandon(turn, self._now)
            return
        await self._redial()  # an action of the user reconnects a lost session
        if self._turns.is_unsent(turn):
            self._record(queued(turn, action, self._reasons.cause(turn, self._state) or NOT_SENT))

    async def _allow(self, turn: int, limit: float) -> None:
        self._turns.set_limit(turn, limit)

    async def _fail_turn(self, turn: int, error: str) -> None:
        self._note("turn", "error", turn=turn, text="failed", error=error, final=True)
        await self._perform([TurnDone(turn, "failed", error)])

    async def _abandon(self, turn: int, reason: EndReason) -> None:
        if turn in self._turns:
            text = self._reasons.ending(turn, reason, self._state)
            self._note(reason, reason, turn=turn, text=text, final=True)
            await self._perform([TurnDone(turn, reason, text)])
            await self._perform(self._machine.abandon(turn, self._now))

    async def _close(self) -> None:
        for turn in reversed(self._turns.numbers):  # newest first, so that no queued turn is sent now
            await self._abandon(turn, "cancelled")
        self._enter("closed")
        self._note("disconnected", "disconnected", text="closed")

    # Reports of the links

    async def link_opened(self) -> None:
        """Start the handshake of the machine."""
        if link := self._links.current:
            self._note("connected", "connected", text=f"link {self._links.number} over {link.transport}")
        if self._lost_at is not None:
            gap = self._now - self._lost_at
            self._lost_at = None
            self._note("gap", "gap", text=f"{gap:.1f} s without a link")
        await self._perform(self._machine.opened(self._now))

    async def link_failed(self, error: ConnectError) -> None:
        """Close a link that cannot become ready. Retry, unless the server refused the client."""
        self._links.cancel()
        self._events.flush()
        await self._links.close()
        await self._perform(self._machine.closed(self._now))
        if self._was_ready and not isinstance(error, Refused):
            await self._retry(error)
        else:
            await self._give_up(error)

    async def link_closed(self, reason: str) -> None:
        """Reconnect after the loss of the current link, unless the conversation has ended."""
        if self._state != "ended":
            self._enter("reconnecting")
        self._note("disconnected", "disconnected", text=reason)
        effects = self._machine.closed(self._now)
        await self._perform(with_cause(effects, reason) if reason == TOO_LARGE else effects)
        if self._state == "ended":
            return
        self._lost_at = self._now
        self._reasons.link_lost(self._now, reason)
        self._reconnects.reset()
        message = f"the link was lost ({reason})"
        if self._was_ready:
            await self._retry(ConnectError(message))
        else:
            advice = f": {self._address.advice}" if self._address and self._address.advice else ""
            await self._give_up(ConnectError(f"{self._url}: {message} before it was ready{advice}"))

    async def event_received(self, event: str, payload: Json, observed_at: int, now: float) -> None:
        """Pass an event to the machine."""
        self._now = now
        await self._perform(self._machine.received(event, payload, now), observed_at)

    async def acknowledged(self, key: Hashable, args: tuple[Json, ...]) -> None:
        """Pass an acknowledgement to the machine."""
        await self._perform(self._machine.acked(key, args, self._now))

    async def packet_broken(self, reason: str) -> None:
        """Record a packet that is not a Socket.IO packet."""
        self._note("packet", "error", error=f"not a Socket.IO packet: {reason}")

    # Reconnecting

    @property
    def _url(self) -> str:
        return self._address.url if self._address else ""

    def _dial(self) -> None:
        """Open the next link."""
        self._now = time.monotonic()
        self._address = self._machine.dial(self._now)
        self._set_timer()
        self._links.open(self._address)

    async def _retry(self, error: ConnectError) -> None:
        """Open the next link after a delay, or give up if no attempt is left."""
        delay = self._reconnects.next_delay(self._address) if self._address else None
        if not self._address or delay is None:
            await self._give_up(error)
            return
        if self._state != "reconnecting":
            self._enter("reconnecting")
        attempts = self._address.attempts
        total = f" of {attempts:g}" if math.isfinite(attempts) else ""
        seconds = float(f"{delay:.2g}")
        self._note("reconnecting", "reconnecting", text=f"attempt {self._reconnects.attempt}{total} in {seconds:g} s")
        dial = partial(self._dial_again, self._links.number)
        asyncio.get_running_loop().call_later(delay, self._inbox.put_nowait, dial)

    async def _dial_again(self, number: int) -> None:
        if number == self._links.number and self._state == "reconnecting" and self._links.is_idle:
            self._dial()

    async def _redial(self, *, waiting: bool = False) -> None:
        """Open the next link now if the session is lost or, with `waiting`, if it is waiting for the next attempt."""
        is_waiting = self._state == "reconnecting" and self._links.is_idle
        if self._state == "lost" or (waiting and is_waiting):
            self._enter("reconnecting")
            self._reconnects.reset()
            self._dial()

    async def _reconnect(self, reason: str, *, wanted: bool) -> None:
        """Close the link and open the next one. If the server orders this too often, delay the next link."""
        if self._links.current:
            self._note("disconnected", "disconnected", text=reason)
            self._events.flush()
            await self._links.close()
            await self._perform(self._machine.closed(self._now))
        self._enter("reconnecting")
        if not wanted and self._reconnects.is_ordered_too_often(self._now):
            await self._retry(ConnectError(f"the server keeps ordering reconnects ({reason})"))
        else:
            self._reconnects.reset()
            self._dial()

    async def _give_up(self, error: ConnectError) -> None:
        """End every open turn as failed. The next action tries to open a link again."""
        message = str(error)
        self._enter("lost", error)
        self._note("connect_error", "error", error=message)
        for turn in self._turns.numbers:
            await self._fail_turn(turn, f"{NOT_SENT}: {message}" if self._turns.is_unsent(turn) else message)
            self._machine.abandon(turn, self._now)

    # Effects

    async def _perform(self, effects: Sequence[ClientEffect], observed_at: int | None = None) -> None:
        for effect in effects:
            match effect:
                case Emit(event, args, ack=ack):
                    self._events.flush()  # all earlier events are on disk before this one is sent
                    await self._links.emit(event, args, ack)
                case Record():
                    self._record(effect, observed_at)
                case Ready():
                    self._was_ready = True
                    self._events.add(effect)
                    self._enter("ready")
                case TurnDone(turn):
                    self._turns.end(turn)
                    self._events.add(effect)
                case Credential() | Persist() | Conversations() | CallStarted() | CallEnded():
                    self._events.add(effect)
                case HttpRequest():
                    self._turns.mark_started(effect.turn)
                    self._requests.start(effect)
                case Failed(reason, how):
                    await self.link_failed(_FAILED_ERRORS[how](f"{self._url}: {reason}"))
                case Reconnect(reason, wanted):
                    await self._reconnect(reason, wanted=wanted)
                case Ended():
                    self._enter("ended")
                case _:
                    assert_never(effect)

    async def _http_response(self, response: HttpResponse) -> None:
        await self._perform(self._machine.http_response(response, self._now))

    def _record(self, record: Record, observed_at: int | None = None) -> None:
        if record.kind == "action":
            self._turns.mark_sent(record.turn, self._now)
        if not self._turns.is_new_error(record.turn, record.error) and record.final:
            record = record._replace(kind="status", error=None)  # the event with the error is recorded already
        elapsed_ms = self._turns.elapsed_ms(record.turn, self._now)
        self._events.add(Observation(record, self._links.number, observed_at or time.time_ns(), elapsed_ms))

    def _note(
        self,
        event: str,
        kind: str,
        *,
        turn: int = 0,
        text: str | None = None,
        error: str | None = None,
        final: bool = False,
    ) -> None:
        """Record an event of the engine itself."""
        self._record(Record(event, kind, direction="local", turn=turn, text=text, error=error, final=final))

    def _enter(self, state: State, error: ConnectError | None = None) -> None:
        self._state = state
        self._events.add(StateChange(state, error))
