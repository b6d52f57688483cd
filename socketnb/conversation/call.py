"""Voice calls: the room, the token and the end of a call. Joining a call needs the extra `socketnb[voice]`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING

from socketnb.dialects.tokens import claims_of
from socketnb.errors import ConnectError
from socketnb.model.json import JsonObject, as_dict

if TYPE_CHECKING:
    from livekit import rtc

    from socketnb.engine.loop import Loop
    from socketnb.model.effects import CallEnded, CallStarted

JOIN_TIMEOUT_S = 20.0
"""The timeout for joining a room, in seconds."""


class Call:
    """A voice call in a LiveKit room. `Session.call` starts one.

    Args:
        started: The details of the call, as the platform reported them.
        hang_up: Ends the call.
        loop: The background loop that runs the room.

    Attributes:
        id: The platform's id of the call.
        conversation: The id of the conversation of the call.
        room: The name of the LiveKit room.
        token: The credential for the room, a `Secret`.
        started: When the call started, in UTC.
        ended: When the call ended, in UTC; None while it is running.
        reason: Why the call ended; None while it is running.
    """

    def __init__(self, started: CallStarted, hang_up: Callable[[], object], loop: Loop) -> None:
        self.id, self.conversation, self.room = started.id, started.conversation, started.room
        self.token = started.token
        self.started = _time(started.started) or dt.datetime.now(dt.UTC)
        self.ended: dt.datetime | None = None
        self.reason: str | None = None
        self._hang_up = hang_up
        self._loop = loop

    @property
    def running(self) -> bool:
        """Whether the call is running."""
        return self.ended is None

    @property
    def duration(self) -> dt.timedelta:
        """The duration of the call, up to now if it is still running."""
        return (self.ended or dt.datetime.now(dt.UTC)) - self.started

    @property
    def expires(self) -> dt.datetime | None:
        """When the token expires, in UTC; None if the token has no expiry time."""
        seconds = claims_of(self.token.reveal()).get("exp")
        try:
            return (
                dt.datetime.fromtimestamp(seconds, dt.UTC) if type(seconds) is int or type(seconds) is float else None
            )
        except (ValueError, OverflowError, OSError):
            return None

    @property
    def grants(self) -> JsonObject:
        """The permissions of the token in the room (LiveKit's video grants)."""
        return as_dict(claims_of(self.token.reveal()).get("video"))

    def end(self) -> None:
        """End the call. Ending it again does nothing.

        Raises:
            TurnError: The platform did not end the call.
        """
        if self.running:
            self._hang_up()

    def join(self, url: str) -> rtc.Room:
        """Join the room with LiveKit's own SDK.

        Args:
            url: The URL of the LiveKit server, such as wss://…; the platform does not send it.

        Returns:
            The `livekit.rtc.Room`.

        Raises:
            ConnectError: The call has ended, the SDK is not installed, or the room cannot be joined.

        Example:
            >>> call = bot.call()  # doctest: +SKIP
            >>> room = call.join("wss://my-project.livekit.cloud")  # doctest: +SKIP
        """
        if not self.running:
            raise ConnectError("this call has ended: start another one with bot.call()")
        try:
            from livekit import rtc
        except ImportError:
            raise ConnectError('joining a call needs LiveKit: pip install "socketnb[voice]"') from None

        async def join() -> rtc.Room:
            room = rtc.Room()
            await room.connect(url, self.token.reveal())
            return room

        try:
            return self._loop.run(join(), JOIN_TIMEOUT_S)
        except TimeoutError:
            raise ConnectError(f"no LiveKit server answers at {url}: check the url") from None
        except Exception as error:  # noqa: BLE001 (the SDK may raise anything, and its text may contain the token)
            reason = " ".join(str(error).split()).replace(self.token.reveal(), str(self.token))
            raise ConnectError(f"the room cannot be joined at {url} ({reason})") from None

    def finish(self, ended: str | None, reason: str) -> None:
        """Mark the call as ended, at the time that the platform reported, or now."""
        self.ended = _time(ended or "") or dt.datetime.now(dt.UTC)
        self.reason = reason

    def __repr__(self) -> str:
        state = "running" if self.running else f"ended, {self.reason}"
        return f"<call {self.id!r} in room {self.room!r}: {state}, {self.duration.total_seconds():.0f} s>"


class Calls:
    """The voice calls of a session.

    Args:
        hang_up: Ends the call of a conversation.
        loop: The background loop.
    """

    def __init__(self, hang_up: Callable[[str], object], loop: Loop) -> None:
        self._hang_up = hang_up
        self._loop = loop
        self._by_turn: dict[int, Call] = {}

    def start(self, started: CallStarted) -> None:
        """Add a call."""
        self._by_turn[started.turn] = Call(started, lambda: self._hang_up(started.conversation), self._loop)

    def of_turn(self, turn: int) -> Call | None:
        """Return the call that the turn started, or None."""
        return self._by_turn.get(turn)

    def end(self, ended: CallEnded) -> None:
        """Mark a call as ended."""
        for call in self._by_turn.values():
            if call.id == ended.id and call.running:
                call.finish(ended.ended, ended.reason)

    def end_all(self, reason: str) -> None:
        """Mark all calls as ended."""
        for call in self._by_turn.values():
            if call.running:
                call.finish(None, reason)


def _time(text: str) -> dt.datetime | None:
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.replace(tzinfo=time.tzinfo or dt.UTC)
