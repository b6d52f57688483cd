"""A driver runs one client machine over one link after another.

Everything that happens to a session (an event, an action, a timer, a lost link) is put into one inbox; one task
takes it out and lets the machine answer. So order is strict, and an exception in a machine becomes an `error`
trace at once instead of a time-out. News leave through one callable, on the loop's thread, in bursts: what one
pass through the inbox brought, and before anything is waited for or sent, what there is until then.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import logging
import math
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from socketnb.engine.link import Link, LinkCallbacks, fetch, open_link
from socketnb.engine.loop import wait
from socketnb.errors import ConnectError, ConnectTimeout, Refused, Unreachable
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
    SessionUpdate,
    TurnDone,
)
from socketnb.model.trace import NO_TIME

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence

    from socketnb.dialects.base import ClientMachine
    from socketnb.engine.loop import Loop
    from socketnb.model.actions import Action
    from socketnb.model.effects import Address

log = logging.getLogger(__name__)
RECONNECT_INTERVAL_S = 10.0
"""Seconds within which a second order to reconnect is obeyed with the pauses of a lost link."""
STEPS_PER_YIELD = 64
"""Steps after which a session with a full inbox lets the others have the loop."""


@dataclass(frozen=True, slots=True)
class Observation:
    """News: one thing to record. `at` is nanoseconds since 1970."""

    record: Record
    link: int
    at: int
    elapsed_ms: float


@dataclass(frozen=True, slots=True)
class StateChange:
    """News: what the session is now; `error` says why it is lost."""

    name: str  # connecting · ready · reconnecting · ended · lost · closed
    error: ConnectError | None = None


SessionEvent = Observation | StateChange | SessionUpdate


class Driver:
    """Runs one machine.

    Args:
        machine: the conversation's client machine.
        loop: the background loop.
        news: called with news in bursts, in order, on the loop's thread.
        links: how many links the session has had before.
    """

    def __init__(
        self, machine: ClientMachine, loop: Loop, news: Callable[[list[SessionEvent]], None], links: int = 0
    ) -> None:
        self.link: Link | None = None
        self._machine = machine
        self._loop = loop
        self._tell = news
        self._untold: list[SessionEvent] = []
        self._number = links
        self._inbox: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self._state = "connecting"
        self._address: Address | None = None
        self._attempt = 0
        self._reconnected = -RECONNECT_INTERVAL_S
        self._was_ready = False
        self._lost_at: float | None = None
        self._sent_at: dict[int, float] = {}  # open turns → when their action was sent (NaN: not yet)
        self._due: dict[int, asyncio.TimerHandle] = {}  # open turns → when they are given up
        self._timer: asyncio.TimerHandle | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._fetching: set[asyncio.Task[None]] = set()
        self._now = time.monotonic()
        self._task: concurrent.futures.Future[None] = concurrent.futures.Future()

    # From any thread

    def start(self) -> None:
        """Open the first link."""
        self._task = self._loop.submit(self._run())

    def act(self, turn: int, action: Action, timeout: float) -> None:
        """Let the user act; the turn is given up after so many seconds, whether anybody waits or not."""
        self._post(self._act, turn, action)
        self.allow(turn, timeout)

    def allow(self, turn: int, timeout: float) -> None:
        """Give a turn so many seconds from now."""
        self._post(self._allow, turn, time.monotonic() + timeout)

    def reconnect(self) -> None:
        """Try a lost link again now."""
        self._post(partial(self._redial, waiting=True))

    def abandon(self, turn: int, kind: str) -> None:
        """Give a turn up; `kind` is `timeout` or `cancelled`."""
        self._post(self._abandon, turn, kind)

    def close(self, timeout: float = 2.0) -> None:
        """Leave the link for good, and wait until it is left."""
        self._post(self._close)
        if self._loop.here:  # in a listener: it ends when the listener is done
            return
        with contextlib.suppress(Exception, concurrent.futures.CancelledError):  # what it was, is logged
            wait(self._task, timeout)

    def _post(self, step: Callable[..., Awaitable[None]], *args: object) -> None:
        self._loop.post(self._inbox.put_nowait, partial(step, *args))

    # The one task

    async def _run(self) -> None:
        self._dial()
        try:
            for n in itertools.count():
                if self._state == "closed":
                    break
                if n % STEPS_PER_YIELD == 0:
                    self._flush()
                    await asyncio.sleep(0)
                if self._inbox.empty():
                    self._flush()
                step = await self._inbox.get()
                self._now = time.monotonic()
                try:
                    await step()
                except Exception as error:
                    log.exception("the %s machine failed", type(self._machine).__module__)
                    with contextlib.suppress(Exception):
                        self._local("exception", "error", error=f"{type(error).__name__}: {error}")
                self._arm()
        finally:
            self._flush()
            for timer in [self._timer, *self._due.values()]:
                if timer:
                    timer.cancel()
            for task in [*self._fetching, *([self._dialling] if self._dialling else [])]:
                task.cancel()
            if self.link:
                await self.link.close()

    def _news(self, news: SessionEvent) -> None:
        self._untold.append(news)

    def _flush(self) -> None:
        """Tell what there is."""
        if self._untold:
            news, self._untold = self._untold, []
            try:
                self._tell(news)
            except Exception:
                log.exception("news could not be told")

    def _dial(self) -> None:
        """Open the next link, as a task of its own: the inbox stays open meanwhile."""
        self._number += 1
        self._now = time.monotonic()
        self._address = self._machine.dial(self._now)
        self._arm()
        self._dialling = asyncio.create_task(self._open(self._number, self._address))

    async def _open(self, number: int, address: Address) -> None:
        early: list[Callable[[], Awaitable[None]]] = []  # what arrives before the connection is handed to us
        put = early.append

        def event_came(event: str, args: list[Any]) -> None:
            put(partial(self._received, number, event, args, time.time_ns(), time.monotonic()))

        ears = LinkCallbacks(
            event_came,
            lambda what: put(partial(self._broken, number, what)),
            lambda reason: put(partial(self._closed, number, reason)),
        )
        try:
            link = await open_link(address, await self._loop.http(), ears)
        except Exception as raised:  # noqa: BLE001 (a hostile server can make the library raise anything)
            what = f"no Socket.IO server answers at {address.url} ({type(raised).__name__}: {raised})"
            error = raised if isinstance(raised, ConnectError) else Unreachable(what)
            self._inbox.put_nowait(partial(self._not_opened, number, error))
            return
        put = self._inbox.put_nowait
        put(partial(self._opened, number, link))
        for step in early:
            put(step)

    async def _not_opened(self, number: int, error: ConnectError) -> None:
        if number == self._number and self._dialling:
            await self._failed(error)

    async def _opened(self, number: int, link: Link) -> None:
        if number != self._number or not self._dialling:  # given up in the very moment that it opened
            await link.close()
            return
        self.link, self._dialling = link, None
        self._local("connected", "connected", text=f"link {self._number} over {link.transport}")
        if self._lost_at is not None:
            gap = self._now - self._lost_at
            self._lost_at = None
            self._local("gap", "gap", text=f"{gap:.1f} s without a link")
        await self._do(self._machine.opened(self._now))

    async def _received(self, number: int, event: str, args: list[Any], at: int, now: float) -> None:
        if number == self._number:
            self._now = now
            payload = args[0] if len(args) == 1 else args or None
            await self._do(self._machine.received(event, payload, self._now), at)

    async def _broken(self, number: int, what: str) -> None:
        if number == self._number:
            self._local("packet", "error", error=f"not a Socket.IO packet: {what}")

    async def _act(self, turn: int, action: Action) -> None:
        self._sent_at[turn] = NO_TIME
        try:
            await self._do(self._machine.act(turn, action, self._now))
        except Exception as error:
            log.exception("the %s machine could not act", type(self._machine).__module__)
            self._machine.abandon(turn, self._now)
            await self._fail(turn, f"this could not be sent: {type(error).__name__}: {error}")
            return
        await self._redial()  # the user tries again: so do we

    async def _redial(self, *, waiting: bool = False) -> None:
        pausing = self._state == "reconnecting" and not self._dialling and not self.link
        if self._state == "lost" or (waiting and pausing):
            self._enter("reconnecting")
            self._attempt = 0
            self._dial()

    async def _allow(self, turn: int, due: float) -> None:
        if turn in self._sent_at:
            if timer := self._due.pop(turn, None):
                timer.cancel()
            give_up = partial(self._abandon, turn, "timeout")
            delay = max(0.0, due - time.monotonic())
            self._due[turn] = asyncio.get_running_loop().call_later(delay, self._inbox.put_nowait, give_up)

    async def _fail(self, turn: int, said: str) -> None:
        self._local("turn", "error", turn=turn, text="failed", error=said, final=True)
        await self._do([TurnDone(turn, "failed", said)])

    async def _abandon(self, turn: int, kind: str) -> None:
        if turn in self._sent_at:
            effects = self._machine.abandon(turn, self._now)
            said = "nobody waits any more" if kind == "cancelled" else "the bot was not done in time"
            self._local(kind, kind, turn=turn, text=said, final=True)
            await self._do([TurnDone(turn, "cancelled" if kind == "cancelled" else "timeout", said)])
            await self._do(effects)

    async def _closed(self, number: int, reason: str) -> None:
        """The current link is gone: reconnect, unless the conversation is over."""
        if number != self._number or self.link is None:
            return
        self.link = None
        if self._state != "ended":
            self._enter("reconnecting")
        self._local("disconnected", "disconnected", text=reason)
        await self._do(self._machine.closed(self._now))
        if self._state == "ended":
            return
        self._lost_at = self._now
        self._attempt = 0
        error = ConnectError(f"the link was lost ({reason})")
        if self._was_ready:
            await self._retry(error)
        else:
            await self._give_up(ConnectError(f"{self._address and self._address.url}: {error} before it was ready"))

    async def _failed(self, error: ConnectError) -> None:
        """This link cannot be made ready."""
        if self._dialling:
            self._dialling.cancel()
            self._dialling = None
        if link := self.link:
            self.link = None
            self._flush()
            await link.close()
        await self._do(self._machine.closed(self._now))
        if self._was_ready and not isinstance(error, Refused):
            await self._retry(error)
        else:
            await self._give_up(error)

    async def _retry(self, error: ConnectError) -> None:
        attempts = self._address.attempts if self._address else 0
        if not self._address or self._attempt >= attempts:
            await self._give_up(error)
            return
        delay = self._address.pause(self._attempt)
        self._attempt += 1
        if self._state != "reconnecting":
            self._enter("reconnecting")
        said = f"attempt {self._attempt}{f' of {attempts:g}' if math.isfinite(attempts) else ''} in {delay:g} s"
        self._local("reconnecting", "reconnecting", text=said)
        again = partial(self._again, self._number)
        asyncio.get_running_loop().call_later(delay, self._inbox.put_nowait, again)

    async def _again(self, number: int) -> None:
        if number == self._number and self._state == "reconnecting" and not self._dialling and not self.link:
            self._dial()

    async def _give_up(self, error: ConnectError) -> None:
        """End every open turn as failed; the next action will try the link again."""
        said = str(error)
        self._enter("lost", error)
        self._local("connect_error", "error", error=said)
        for turn in list(self._sent_at):
            self._machine.abandon(turn, self._now)
            await self._fail(turn, said)

    async def _close(self) -> None:
        for turn in reversed(list(self._sent_at)):  # the newest first: none of them is to be sent now
            await self._abandon(turn, "cancelled")
        self._enter("closed")
        self._local("disconnected", "disconnected", text="closed")

    async def _tick(self) -> None:
        if self._machine.deadline is not None and self._machine.deadline <= self._now:
            await self._do(self._machine.timer(self._now))

    # Effects

    async def _do(self, effects: Sequence[ClientEffect], at: int | None = None) -> None:
        for effect in effects:
            match effect:
                case Emit(event, args, ack=ack):
                    self._flush()  # what is sent is on disk before
                    if self.link:
                        await self.link.emit(event, args, self._ack_callback(ack))
                case Record():
                    self._record(effect, at)
                case Ready():
                    self._was_ready = True
                    self._news(effect)
                    self._enter("ready")
                case TurnDone(turn):
                    self._sent_at.pop(turn, None)
                    if timer := self._due.pop(turn, None):
                        timer.cancel()
                    self._news(effect)
                case Credential() | Persist() | Conversations() | CallStarted() | CallEnded():
                    self._news(effect)
                case HttpRequest():
                    task = asyncio.create_task(self._fetch(effect))
                    self._fetching.add(task)
                    task.add_done_callback(self._fetching.discard)
                case Failed(reason, how):
                    kind = {"refused": Refused, "timeout": ConnectTimeout}.get(how, ConnectError)
                    await self._failed(kind(f"{self._address and self._address.url}: {reason}"))
                case Reconnect(reason, wanted):
                    await self._reconnect(reason, wanted=wanted)
                case Ended():
                    self._enter("ended")

    def _ack_callback(self, key: Hashable) -> Callable[..., None] | None:
        return None if key is None else partial(self._acked, self._number, key)

    def _acked(self, number: int, key: Hashable, *args: Any) -> None:
        self._inbox.put_nowait(partial(self._acknowledged, number, key, args))

    async def _acknowledged(self, number: int, key: Hashable, args: tuple[Any, ...]) -> None:
        if number == self._number:
            await self._do(self._machine.acked(key, args, self._now))

    async def _fetch(self, wanted: HttpRequest) -> None:
        response = await fetch(wanted, await self._loop.http())
        self._inbox.put_nowait(partial(self._http_response, response))

    async def _http_response(self, response: HttpResponse) -> None:
        await self._do(self._machine.http_response(response, self._now))

    async def _reconnect(self, reason: str, *, wanted: bool) -> None:
        if link := self.link:
            self.link = None
            self._local("disconnected", "disconnected", text=reason)
            self._flush()
            await link.close()
            await self._do(self._machine.closed(self._now))
        self._enter("reconnecting")
        before = self._reconnected
        if not wanted:
            self._reconnected = self._now
        # A server that sends everybody away at once is not to be hammered.
        if self._now - before < RECONNECT_INTERVAL_S and not wanted:
            await self._retry(ConnectError(f"the server sends every link away ({reason})"))
        else:
            self._attempt = 0
            self._dial()

    def _record(self, record: Record, at: int | None = None) -> None:
        turn = record.turn
        if record.kind == "action" and turn in self._sent_at:
            self._sent_at[turn] = self._now
        elapsed = (self._now - self._sent_at.get(turn, NO_TIME)) * 1000
        self._news(Observation(record, self._number, at or time.time_ns(), elapsed))

    def _local(self, event: str, kind: str, turn: int = 0, **said: Any) -> None:
        self._record(Record(event, kind, direction="local", turn=turn, **said))

    def _enter(self, state: str, error: ConnectError | None = None) -> None:
        self._state = state
        self._news(StateChange(state, error))

    def _arm(self) -> None:
        """Keep one timer, for the machine's deadline."""
        due = self._machine.deadline
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            delay = max(0.0, due - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._inbox.put_nowait, self._tick)
