"""Requests to the vendor's state API, which reads and sets the variables of a user's conversation.

The API key is sent only to the vendor's own hosts, or to the address in the setting `state_url`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from socketnb.errors import SettingsError
from socketnb.model.effects import HttpRequest, HttpResponse
from socketnb.model.json import Json, JsonObject, JsonOut, as_dict, as_list

if TYPE_CHECKING:
    from typing import Literal

    from socketnb.dialects.base import Settings

VENDOR = "voiceflow.com"
OK = range(200, 300)


def state_url(settings: Settings) -> str:
    """Return the base URL of the state API.

    Raises:
        SettingsError: It is not known: `url` is not the vendor's, and `state_url` is not set.
    """
    if settings["state_url"]:
        return str(settings["state_url"]).rstrip("/")
    parts = urlsplit(settings["url"])
    host = parts.hostname or ""
    if parts.scheme in ("https", "wss") and (host == VENDOR or host.endswith(f".{VENDOR}")):
        return f"https://{parts.netloc}"
    raise SettingsError(
        f"voiceflow: variables need state_url=…, the address of the state API, because {host or 'url'} is not "
        "Voiceflow's own server; the API key is sent there"
    )


def check_settings(settings: Settings) -> Settings:
    """Return the settings, after a check that the address of the state API is known if `variables` is set.

    Raises:
        SettingsError: It is not known.
    """
    if settings["variables"]:
        state_url(settings)
    return settings


def get_state(settings: Settings) -> HttpRequest:
    """Return the request for the state of the user's conversation.

    Raises:
        SettingsError: The address of the state API is not known.
    """
    return _request(settings, "GET")


def patch_variables(settings: Settings) -> HttpRequest:
    """Return the request that sets the variables of the setting `variables`."""
    return _request(settings, "PATCH", "/variables", settings["variables"])


def variables_of(state: Json) -> JsonObject:
    """Return the variables in a state. Those of the diagrams on the stack come after those of the project."""
    variables = dict(as_dict(as_dict(state).get("variables")))
    for frame in map(as_dict, as_list(as_dict(state).get("stack"))):
        variables |= as_dict(frame.get("variables"))
    return variables


def refusal(response: HttpResponse) -> str | None:
    """Return why a request failed, or None if it succeeded."""
    if response.status in OK:
        return None
    if response.status == 0:
        return f"the state API cannot be reached ({response.body.decode(errors='replace')}): check state_url"
    advice = {401: "check api_key", 403: "check api_key", 404: "check state_url and project_id"}
    return f"the state API answered HTTP {response.status}: {advice.get(response.status, 'see the settings')}"


def _request(settings: Settings, method: Literal["GET", "PATCH"], path: str = "", body: JsonOut = None) -> HttpRequest:
    headers = {"projectid": str(settings["project_id"])}
    if settings["api_key"]:
        headers["authorization"] = settings["api_key"].reveal()
    url = f"{state_url(settings)}/state/user/{quote(str(settings['user_id']), safe='')}{path}"
    return HttpRequest("variables", method, url, headers, json=body)
