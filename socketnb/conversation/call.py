"""A voice call: where it is, the token that opens it, how it ended. Joining needs the extra `socketnb[voice]`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from socketnb.dialects.tokens import claims_of
from socketnb.errors import ConnectError

if TYPE_CHECKING:
    from collections.abc import Callable

    from socketnb.engine.loop import Loop
    from socketnb.model.effects import CallStarted

PATIENCE = 20.0
"""Seconds that joining a room may take."""


class Call:
    """A voice call in a LiveKit room.

    Args:
        begun: what the platform said of it.
        hang_up: ends it.
        loop: where its room lives.

    Attributes:
        id, conversation, room: the platform's ids.
        token: opens the room; a `Secret`.
        started, ended: UTC; `ended` is None while the call runs.
        reason: why it ended.
    """

    def __init__(self, begun: CallStarted, hang_up: Callable[[], object], loop: Loop) -> None:
        self.id, self.conversation, self.room = begun.id, begun.conversation, begun.room
        self.token = begun.token
        self.started = _time(begun.started) or dt.datetime.now(dt.UTC)
        self.ended: dt.datetime | None = None
        self.reason: str | None = None
        self._hang_up = hang_up
        self._loop = loop

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.ended is None

    @property
    def duration(self) -> dt.timedelta:
        """How long it lasted, or has lasted so far."""
        return (self.ended or dt.datetime.now(dt.UTC)) - self.started

    @property
    def expires(self) -> dt.datetime | None:
        """When the token expires, as the token itself says; None: it does not say."""
        seconds: Any = claims_of(self.token.reveal()).get("exp")
        try:
            return dt.datetime.fromtimestamp(seconds, dt.UTC) if type(seconds) in (int, float) else None
        except (ValueError, OverflowError, OSError):
            return None

    @property
    def grants(self) -> dict[str, Any]:
        """What the token allows in the room, as the token itself says."""
        grants = claims_of(self.token.reveal()).get("video")
        return grants if isinstance(grants, dict) else {}

    def end(self) -> None:
        """End the call; one that has ended stays as it is."""
        if self.running:
            self._hang_up()

    def join(self, url: str) -> Any:
        """Join the room with LiveKit's own SDK and return its `livekit.rtc.Room`.

        Args:
            url: the LiveKit server, wss://…; the platform does not tell it.

        Raises:
            ConnectError: the call has ended, the SDK is not installed, or the room cannot be joined.
        """
        if not self.running:
            raise ConnectError("this call has ended: bot.call() begins another")
        try:
            from livekit import rtc
        except ImportError:
            raise ConnectError('joining a call needs LiveKit: pip install "socketnb[voice]"') from None

        async def join() -> Any:
            room = rtc.Room()
            await room.connect(url, self.token.reveal())
            return room

        try:
            return self._loop.run(join(), PATIENCE)
        except TimeoutError:
            raise ConnectError(f"no LiveKit server answers at {url}: check the url") from None
        except Exception as error:  # noqa: BLE001 (whatever the SDK raises; its text may have the token in it)
            said = " ".join(str(error).split()).replace(self.token.reveal(), str(self.token))
            raise ConnectError(f"the room cannot be joined at {url} ({said})") from None

    def finish(self, ended: str | None, reason: str) -> None:
        """Be over; the session says so."""
        self.ended = _time(ended or "") or dt.datetime.now(dt.UTC)
        self.reason = reason

    def __repr__(self) -> str:
        state = "running" if self.running else f"ended, {self.reason}"
        return f"<call {self.id!r} in room {self.room!r}: {state}, {self.duration.total_seconds():.0f} s>"


def _time(text: str) -> dt.datetime | None:
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or dt.UTC)
