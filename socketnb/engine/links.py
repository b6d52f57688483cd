"""The links of a session: they are opened one after another, and events on the current link are reported."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

from socketnb.engine.link import Link, LinkCallbacks, open_link
from socketnb.errors import ConnectError, Unreachable

if TYPE_CHECKING:
    from socketnb.engine.loop import Loop
    from socketnb.model.effects import Address
    from socketnb.model.json import Json, JsonOut

Step: TypeAlias = Callable[[], Awaitable[None]]
"""An item in the inbox of a driver."""


class LinkListener(Protocol):
    """Handles events on the current link. Times are in nanoseconds since 1970 and monotonic seconds."""

    async def link_opened(self) -> None:
        """Handle the opening of the link."""

    async def link_failed(self, error: ConnectError) -> None:
        """Handle a failed attempt to open the link."""

    async def link_closed(self, reason: str) -> None:
        """Handle the loss of the open link."""

    async def event_received(self, event: str, payload: Json, observed_at: int, now: float) -> None:
        """Handle an event. `payload` is its argument, a list of its arguments, or None."""

    async def packet_broken(self, reason: str) -> None:
        """Handle a packet that is not a Socket.IO packet."""

    async def acknowledged(self, key: Hashable, args: tuple[Json, ...]) -> None:
        """Handle the acknowledgement of the event that was sent with this key."""


class Links:
    """Opens the links of a session. At most one link is current. Events on other links are ignored.

    Args:
        loop: The background loop.
        put: Puts a step into the inbox of the driver, on the loop's thread.
        listener: Handles events on the current link. It is called from the inbox.
        number: The number of earlier links of the session.

    Attributes:
        current: The open link, or None.
        number: The number of the current or last link.
    """

    def __init__(self, loop: Loop, put: Callable[[Step], None], listener: LinkListener, number: int) -> None:
        self.current: Link | None = None
        self.number = number
        self._loop = loop
        self._put = put
        self._listener = listener
        self._opening: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no link is open or being opened."""
        return self.current is None and self._opening is None

    def open(self, address: Address) -> None:
        """Open the next link in a task, so that the inbox is still processed."""
        self.number += 1
        self._opening = asyncio.create_task(self._open(self.number, address))

    def cancel(self) -> None:
        """Stop opening a link."""
        if self._opening:
            self._opening.cancel()
            self._opening = None

    async def close(self) -> None:
        """Close the current link, if there is one."""
        link, self.current = self.current, None
        if link:
            await link.close()

    async def emit(self, event: str, args: tuple[JsonOut, ...], key: Hashable) -> None:
        """Send an event over the current link, if there is one. Unless `key` is None, ask for an acknowledgement."""
        if self.current:
            on_ack = None if key is None else partial(self._on_ack, self.number, key)
            await self.current.emit(event, args, on_ack)

    def _on_ack(self, number: int, key: Hashable, *args: Json) -> None:
        self._put(partial(self._deliver, number, partial(self._listener.acknowledged, key, args)))

    async def _open(self, number: int, address: Address) -> None:
        early: list[Step] = []  # events that arrive before `_opened` are in the inbox
        put = early.append

        def on_event(event: str, args: list[Json]) -> None:
            payload = args[0] if len(args) == 1 else args or None
            handle = partial(self._listener.event_received, event, payload, time.time_ns(), time.monotonic())
            put(partial(self._deliver, number, handle))

        def on_broken(reason: str) -> None:
            put(partial(self._deliver, number, partial(self._listener.packet_broken, reason)))

        callbacks = LinkCallbacks(on_event, on_broken, lambda reason: put(partial(self._closed, number, reason)))
        try:
            link = await open_link(address, await self._loop.http(), callbacks)
        except Exception as raised:  # noqa: BLE001 (a hostile server can make the library raise anything)
            message = f"no Socket.IO server answers at {address.url} ({type(raised).__name__}: {raised})"
            error = raised if isinstance(raised, ConnectError) else Unreachable(message)
            self._put(partial(self._failed, number, error))
            return
        put = self._put
        put(partial(self._opened, number, link))
        for step in early:
            put(step)

    async def _opened(self, number: int, link: Link) -> None:
        if number != self.number or self._opening is None:  # cancelled while it was being opened
            await link.close()
            return
        self.current, self._opening = link, None
        await self._listener.link_opened()

    async def _failed(self, number: int, error: ConnectError) -> None:
        if number == self.number and self._opening:
            self._opening = None
            await self._listener.link_failed(error)

    async def _closed(self, number: int, reason: str) -> None:
        if number == self.number and self.current:
            self.current = None
            await self._listener.link_closed(reason)

    async def _deliver(self, number: int, handle: Step) -> None:
        """Call a method of the listener, unless the link is no longer current."""
        if number == self.number:
            await handle()
