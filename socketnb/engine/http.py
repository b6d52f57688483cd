"""The HTTP requests of a client machine."""

from __future__ import annotations

import asyncio
import contextlib
import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from socketnb.model.effects import HttpResponse

if TYPE_CHECKING:
    import aiohttp

    from socketnb.engine.loop import Loop
    from socketnb.model.effects import HttpRequest

MAX_BODY_BYTES = 2**20
"""The maximum number of bytes to read from a response body."""
CHUNK_BYTES = 2**16
"""The number of bytes of a response body to read in one step."""


async def fetch(request: HttpRequest, http: aiohttp.ClientSession) -> HttpResponse:
    """Make an HTTP request and return the response. If there is none, the status is 0 and the body is the reason."""
    import aiohttp

    try:
        with contextlib.ExitStack() as stack:
            form = None
            if request.file:
                path = Path(request.file)
                media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
                form = aiohttp.FormData(quote_fields=False)  # file names are not quoted, as in browsers
                file = stack.enter_context(path.open("rb"))  # noqa: ASYNC230 (aiohttp reads it in a thread)
                form.add_field("file", file, filename=path.name, content_type=media_type)
            http_request = http.request(
                request.method, request.url, headers=request.headers, data=form, json=request.json
            )
            async with http_request as response:
                body = b""
                async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        break
                return HttpResponse(request.purpose, response.status, body)
    except Exception as error:  # noqa: BLE001 (a file name or a response can make the library raise anything)
        # The text of aiohttp's errors may contain the URL with its credentials. The text of an OSError does not.
        is_os_error = isinstance(error, OSError) and not isinstance(error, aiohttp.ClientError)
        reason = (is_os_error and getattr(error, "strerror", None)) or type(error).__name__
        return HttpResponse(request.purpose, 0, reason.encode())


class HttpRequests:
    """The running HTTP requests of a session.

    Args:
        loop: The background loop, which holds the HTTP session.
        on_response: Called with each response, on the loop's thread.
    """

    def __init__(self, loop: Loop, on_response: Callable[[HttpResponse], None]) -> None:
        self._loop = loop
        self._on_response = on_response
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, request: HttpRequest) -> None:
        """Make a request in its own task."""
        task = asyncio.create_task(self._make(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Stop all requests."""
        for task in self._tasks:
            task.cancel()

    async def _make(self, request: HttpRequest) -> None:
        self._on_response(await fetch(request, await self._loop.http()))
