"""The upload of a file: the client requests a token, sends the file, and receives the description of the attachment."""

from __future__ import annotations

import json
from typing import Literal, NamedTuple
from urllib.parse import quote

from socketnb.model.effects import HttpRequest, HttpResponse
from socketnb.model.json import JsonObject, as_dict, as_text
from socketnb.model.secret import Secret


class UploadStep(NamedTuple):
    """The purpose of an HTTP request: one step in the upload of a turn's file."""

    step: Literal["token", "file"]
    turn: int


class UploadRefused(Exception):
    """The endpoint did not answer an upload step as expected. The message says why."""


def token_request(turn: int, url: str, token: Secret) -> HttpRequest:
    """Return the request for an upload token."""
    path = f"{quote(token.reveal(), safe='')}/fileuploadtoken"
    return HttpRequest(UploadStep("token", turn), "GET", f"{url}/{path}", turn=turn)


def file_request(turn: int, answer: JsonObject, file: str) -> HttpRequest:
    """Return the request that sends the file, built from the response to the token request."""
    headers = {"Authorization": f"Bearer {as_text(answer.get('token'))}"}
    return HttpRequest(UploadStep("file", turn), "POST", as_text(answer.get("fileUploadUrl")), headers, file, turn=turn)


def answer_of(step: UploadStep, response: HttpResponse) -> JsonObject:
    """Return the JSON object in the endpoint's response.

    Raises:
        UploadRefused: There was no response, the response is not an object, or it is an error.
    """
    try:
        answer = as_dict(json.loads(response.body)) if response.status else {}
    except ValueError:
        answer = {}
    if 200 <= response.status < 300 and answer:  # noqa: PLR2004 (success, as in HTTP)
        return answer
    cause = f"HTTP {response.status}" if response.status else response.body.decode(errors="replace")
    problem = "did not return an upload token" if step.step == "token" else "did not accept the file"
    raise UploadRefused(f"the endpoint {problem} ({cause})")
