"""One daemon thread with one asyncio loop, started on first use.

A socket on the kernel's main loop dies while a cell blocks; on this one it answers every ping. Stopping cancels
and gathers all tasks, then stops the loop, then joins the thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import logging
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from socketnb.errors import SocketnbError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import aiohttp

T = TypeVar("T")
log = logging.getLogger(__name__)
SLICE = 0.1
"""Seconds: Windows delivers no keyboard interrupt inside a wait, so every wait is made of short ones."""


class Loop:
    """A background event loop.

    Attributes:
        name: the name of its thread.
    """

    def __init__(self, name: str = "socketnb") -> None:
        self.name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._http: aiohttp.ClientSession | None = None

    @property
    def here(self) -> bool:
        """Whether this is the loop's own thread."""
        return threading.current_thread() is self._thread

    def submit(self, coro: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start a coroutine on the loop, from any thread."""
        return asyncio.run_coroutine_threadsafe(coro, self._running())

    def post(self, call: Callable[..., object], *args: object) -> None:
        """Call a function on the loop's thread, soon, in order. Once the loop has stopped, nothing happens."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop closed between the check and the call
                loop.call_soon_threadsafe(call, *args)

    def later(self, seconds: float, call: Callable[[], object]) -> bool:
        """Call a function on the loop's thread after so many seconds; tell whether the loop runs."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(loop.call_later, seconds, call)
                return True
        return False

    def run(self, coro: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine on the loop and wait for its result; an interrupt cancels it.

        Raises:
            TimeoutError: `timeout` seconds passed.
            SocketnbError: called on the loop itself, which would wait for ever.
        """
        if self.here:
            coro.close()
            raise SocketnbError(f"this waits for the {self.name} loop, and cannot be called from a coroutine on it")
        future = self.submit(coro)
        try:
            return wait(future, timeout)
        except BaseException:
            future.cancel()
            raise

    async def http(self) -> aiohttp.ClientSession:
        """Return the HTTP session that all links share: no limit of connections, no cookies between them."""
        import aiohttp

        if self._http is None or self._http.closed:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                ws_response_class=_websocket_class(),
            )
        return self._http

    def close(self, timeout: float = 2.0) -> None:
        """Cancel and gather all tasks, stop the loop, join the thread. Calling it again does nothing."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return
        with contextlib.suppress(RuntimeError):  # it has stopped by itself
            loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or not (self._thread and self._thread.is_alive()):
                self._loop = asyncio.new_event_loop()
                self._loop.set_exception_handler(_log_exception)
                self._thread = threading.Thread(target=self._serve, args=(self._loop,), name=self.name, daemon=True)
                self._thread.start()
            return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(self._settle())
            loop.close()

    async def _settle(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()
        loop = asyncio.get_running_loop()
        await loop.shutdown_asyncgens()


@functools.cache
def _websocket_class() -> Any:
    """Return aiohttp's websocket, but for one thing: closing it lets go of its connection when that is lost, too."""
    import aiohttp

    class WebSocket(aiohttp.ClientWebSocketResponse):
        def __init__(self, reader: Any, writer: Any, protocol: Any, response: Any, *args: Any, **more: Any) -> None:
            super().__init__(reader, writer, protocol, response, *args, **more)
            self._answer = response

        async def close(self, **how: Any) -> bool:
            try:
                return await super().close(**how)
            finally:
                self._answer.close()

    return WebSocket


def wait(future: concurrent.futures.Future[T], timeout: float | None = None) -> T:
    """Wait for a future so that a keyboard interrupt is heard on every system.

    Raises:
        TimeoutError: `timeout` seconds passed.
    """
    left = float("inf") if timeout is None else timeout
    while True:
        try:
            return future.result(max(0.0, min(SLICE, left)))
        except concurrent.futures.TimeoutError:
            left -= SLICE
            if future.done():  # the coroutine's own TimeoutError
                return future.result()
            if left <= 0:
                raise


def run(coro: Coroutine[Any, Any, T]) -> T:
    """Run a user's own coroutine to its end, also from a cell whose loop already runs.

    Raises:
        SocketnbError: the running loop cannot be nested (uvloop).
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coro)
    import nest_asyncio2

    try:
        nest_asyncio2.apply(loop)
    except ValueError as error:
        coro.close()
        kind = f"{type(loop).__module__}.{type(loop).__name__}"
        raise SocketnbError(f"snb.run cannot nest in a {kind}: use top-level `await` instead") from error
    return loop.run_until_complete(coro)


def _log_exception(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    log.error("%s", context.get("message"), exc_info=context.get("exception"))
