"""One daemon thread with one asyncio loop, started on first use.

While a cell blocks, the kernel's main loop cannot answer pings, and a connection on it would be closed. This loop
always answers pings.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import logging
import math
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from socketnb.errors import SocketnbError

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")
Coro: TypeAlias = Coroutine[Any, Any, T]
"""A coroutine with the result type T."""
log = logging.getLogger(__name__)
WAIT_SLICE_S = 0.1
"""The length of one wait, in seconds. On Windows a wait cannot be interrupted, so long waits consist of short ones."""
STOP_TIMEOUT_S = 2.0
"""How long `Loop.close` waits for the end of the thread, in seconds."""


class Loop:
    """A background event loop.

    Attributes:
        name: The name of its thread.
    """

    def __init__(self, name: str = "socketnb") -> None:
        self.name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._http: aiohttp.ClientSession | None = None

    @property
    def is_current_thread(self) -> bool:
        """Whether the caller runs on the loop's own thread."""
        return threading.current_thread() is self._thread

    def submit(self, coro: Coro[T]) -> concurrent.futures.Future[T]:
        """Start a coroutine on the loop, from any thread."""
        return asyncio.run_coroutine_threadsafe(coro, self._running())

    def post(self, call: Callable[..., object], *args: object) -> None:
        """Call a function on the loop's thread soon, in order. If the loop has stopped, do nothing."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed after the check
                loop.call_soon_threadsafe(call, *args)

    def later(self, seconds: float, call: Callable[[], object]) -> bool:
        """Call a function on the loop's thread after a delay in seconds. Return whether the loop is running."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(loop.call_later, seconds, call)
                return True
        return False

    def responds(self, timeout: float) -> bool:
        """Return whether the loop answers within `timeout` seconds. A listener that blocks its thread delays it."""
        answer: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.post(answer.set_result, None)
        try:
            wait(answer, timeout)
        except TimeoutError:
            return False
        return True

    def run(self, coro: Coro[T], timeout: float | None = None) -> T:
        """Run a coroutine on the loop and wait for its result. A keyboard interrupt cancels it.

        Args:
            coro: The coroutine.
            timeout: Seconds to wait at most (default: no limit).

        Raises:
            TimeoutError: The coroutine did not end in time and was cancelled.
            SocketnbError: The caller runs on the loop itself, so the wait would never end.
        """
        if self.is_current_thread:
            coro.close()
            raise SocketnbError(f"a coroutine on the {self.name} loop cannot wait for that loop: await instead")
        future = self.submit(coro)
        try:
            return wait(future, timeout)
        except BaseException:
            future.cancel()
            raise

    async def http(self) -> aiohttp.ClientSession:
        """Return the shared HTTP session of all links. It has no connection limit and stores no cookies."""
        import aiohttp

        if self._http is None or self._http.closed:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                ws_response_class=_websocket_class(),
            )
        return self._http

    def close(self, timeout: float = STOP_TIMEOUT_S) -> None:
        """Cancel all tasks, stop the loop, and join the thread. Closing again does nothing."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has stopped already
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
def _websocket_class() -> type[aiohttp.ClientWebSocketResponse]:
    """Return a subclass of aiohttp's websocket that releases the connection when a lost websocket is closed."""
    import aiohttp

    class WebSocket(aiohttp.ClientWebSocketResponse):
        def __init__(self, reader: Any, writer: Any, protocol: Any, response: Any, *args: Any, **options: Any) -> None:
            super().__init__(reader, writer, protocol, response, *args, **options)
            self._http_response: aiohttp.ClientResponse = response

        async def close(self, *, code: int = aiohttp.WSCloseCode.OK, message: bytes = b"") -> bool:
            try:
                return await super().close(code=code, message=message)
            finally:
                self._http_response.close()

    return WebSocket


def wait(future: concurrent.futures.Future[T], timeout: float | None = None) -> T:
    """Wait for a future. A keyboard interrupt ends the wait on every operating system.

    Args:
        future: The future.
        timeout: Seconds to wait at most (default: no limit).

    Returns:
        The result of the future.

    Raises:
        TimeoutError: The future was not done in time.
    """
    left = math.inf if timeout is None else timeout
    while True:
        try:
            return future.result(max(0.0, min(WAIT_SLICE_S, left)))
        except concurrent.futures.TimeoutError:
            left -= WAIT_SLICE_S
            if future.done():  # the coroutine itself raised the TimeoutError
                return future.result()
            if left <= 0:
                raise


async def until_done(future: concurrent.futures.Future[T]) -> T:
    """Wait for a future in any event loop. If the waiting task is cancelled, the future is cancelled too."""
    return await asyncio.wrap_future(future)


def run(coro: Coro[T]) -> T:
    """Run a coroutine until it ends, even if an event loop is already running, as in a notebook cell.

    Args:
        coro: The coroutine.

    Returns:
        The result of the coroutine.

    Raises:
        SocketnbError: The running event loop, such as uvloop, cannot be nested.

    Example:
        >>> import asyncio
        >>> snb.run(asyncio.sleep(0.01, result="done"))
        'done'
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
        name = f"{type(loop).__module__}.{type(loop).__name__}"
        raise SocketnbError(f"snb.run cannot nest in the running loop ({name}): use top-level `await`") from error
    return loop.run_until_complete(coro)


def _log_exception(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    log.error("%s", context.get("message"), exc_info=context.get("exception"))
