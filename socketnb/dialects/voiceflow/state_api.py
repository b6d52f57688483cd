"""The simulator's state API: it reads and sets the variables of the flow for each user, over HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from socketnb.model.effects import HttpCall, HttpReply
from socketnb.model.json import Json, JsonObject, JsonObjectOut, JsonOut, as_dict, as_text

if TYPE_CHECKING:
    from socketnb.dialects.base import Settings

USERS = "/state/user/"


class _Refusal(NamedTuple):
    """The status and the reason of a refusal."""

    status: int
    reason: str


class StateApi:
    """The variables of every user. They outlive the sessions, as the vendor's page on session time-outs says.

    Args:
        settings: The settings of the simulator, with the credentials that clients need.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._variables: dict[str, dict[str, Json]] = {}

    def variables(self, user: str) -> dict[str, Json]:
        """Return the variables of a user. The flow changes this object."""
        return self._variables.setdefault(user, {})

    def describe(self, user: str, start: JsonObject) -> None:
        """Set the variables that `client.start` contains: `environment_id` and `user_timezone`."""
        config = as_dict(start.get("config"))
        given = {"environment_id": start.get("environmentID"), "user_timezone": config.get("userTimezone")}
        self.variables(user).update({name: value for name, value in given.items() if value is not None})

    def answer(self, call: HttpCall) -> HttpReply:
        """Answer a call: GET, PUT or DELETE of `/state/user/{user}`, or PATCH of its `/variables`."""
        if refusal := self._refusal(call):
            return HttpReply(refusal.status, {"code": refusal.status, "status": refusal.reason})
        name, _, part = call.path.removeprefix(USERS).partition("/")
        variables, body = self.variables(unquote(name)), as_dict(call.body)
        match (call.method, part):
            case ("PUT", ""):
                variables.clear()
                variables.update(as_dict(body.get("variables")))
            case ("DELETE", ""):
                variables.clear()
            case ("PATCH", "variables"):
                variables.update(body)
        return HttpReply(200, _state(variables))

    def _refusal(self, call: HttpCall) -> _Refusal | None:
        name, _, part = call.path.removeprefix(USERS).partition("/")
        if not call.path.startswith(USERS) or not name or part not in ("", "variables"):
            return _Refusal(404, "not found")
        key, headers = self._settings.get("api_key"), call.headers
        if key and headers.get("authorization") != key.reveal():
            return _Refusal(401, "Auth Key Required")
        if as_text(headers.get("projectid")) not in ("", self._settings["project_id"]):
            return _Refusal(404, "unknown project")
        if call.method not in (("PATCH",) if part else ("GET", "PUT", "DELETE")):
            return _Refusal(405, "method not allowed")
        if call.method in ("PUT", "PATCH") and not isinstance(call.body, dict):
            return _Refusal(400, "the body must be a JSON object")
        return None


def _state(variables: dict[str, Json]) -> JsonObjectOut:
    values = {str(name): _as_json(value) for name, value in list(variables.items())}
    return {"stack": [], "variables": values, "storage": {}, "turn": {}}


def _as_json(value: object) -> JsonOut:
    """Return a variable of a flow, which can be any Python object, as JSON. Other objects are described by a text."""
    try:
        copy: Json = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return repr(value)
    return copy
