"""The variables of a conversation, read over the platform's HTTP interface."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from socketnb.engine.http import fetch
from socketnb.errors import ActionError, ConnectError, SessionError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from socketnb.dialects.base import Dialect
    from socketnb.engine.loop import Loop
    from socketnb.model.effects import HttpRequest, HttpResponse
    from socketnb.model.json import JsonObject

REQUEST_TIMEOUT_S = 10.0
"""How long to wait for the response, in seconds."""


def read_variables(dialect: Dialect, settings: Mapping[str, object], loop: Loop) -> JsonObject:
    """Return the variables of a conversation.

    Args:
        dialect: The dialect of the platform.
        settings: The settings of the session.
        loop: The background loop, which makes the request.

    Raises:
        ActionError: The platform has no such interface, or the settings do not say where it is. Nothing was sent.
        ConnectError: The interface cannot be reached or refuses the request.
        SessionError: A listener called this. A listener cannot wait.
    """
    if dialect.variables is None:
        raise ActionError(f"the variables of a {dialect.name} bot cannot be read")
    if loop.is_current_thread:
        raise SessionError("a listener cannot call variables, because variables waits")
    try:
        request = dialect.variables.request(settings)
    except SettingsError as error:
        raise ActionError(f"{error} (nothing was sent)") from None
    try:
        response = loop.run(_fetch(request, loop), timeout=REQUEST_TIMEOUT_S)
    except TimeoutError:
        raise ConnectError(f"the variables could not be read within {REQUEST_TIMEOUT_S:g} s") from None
    if problem := dialect.variables.refusal(response):
        raise ConnectError(f"the variables could not be read: {problem}")
    try:
        return dialect.variables.read(json.loads(response.body))
    except (ValueError, RecursionError):
        raise ConnectError("the variables could not be read: the response is not JSON") from None


async def _fetch(request: HttpRequest, loop: Loop) -> HttpResponse:
    return await fetch(request, await loop.http())
