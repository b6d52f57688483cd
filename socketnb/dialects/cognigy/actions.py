"""Actions: what a user does as `processInput`, as Cognigy's own Webchat sends it, and such an input read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from socketnb.dialects.cognigy.outputs import as_text, submission
from socketnb.model.actions import Action, Field, Verb
from socketnb.model.content import Choice, UserInput
from socketnb.model.json import as_dict, as_list

GET_STARTED = "GET_STARTED"
"""What Webchat's button "Get started" sends, unless the endpoint's settings say something else."""

VERBS: dict[str, Verb] = {
    "text": Verb("say something", (Field("text", str),)),
    "press": Verb("press a button", (Field("choice", Choice),)),
    "launch": Verb(f"start the conversation, as Webchat's button does: {GET_STARTED}"),
    "reset": Verb("start the flow over, with a text as its first or without", (Field("text", str, required=False),)),
    "data": Verb(
        "send data, with a text or alone",
        (Field("data", dict), Field("text", str, required=False)),
    ),
    "submit": Verb(
        "submit the last adaptive card: values by the ids of its inputs, and the button's title if it has several",
        (Field("values", dict), Field("title", str, required=False)),
    ),
    "date": Verb("answer a date picker, with the date as it shows it", (Field("date", str),)),
    "rate": Verb("rate the conversation", (Field("rating", int), Field("comment", str, required=False))),
    "accept_privacy": Verb("accept the privacy policy"),
    "upload": Verb("send a file", (Field("file", Path), Field("text", str, required=False))),
    "typing": Verb("show that you are typing, or (on=False) have stopped", (Field("on", bool, required=False),)),
}


def inputs_of(action: Action, card: dict[str, Any]) -> dict[str, Any]:
    """Return `resetFlow`, `text` and `data` of what the user does; `card` is the adaptive card that came last.

    A key that Cognigy's client would leave out is left out.
    """
    fields = action.fields
    match action.verb:
        case "text":
            return {"resetFlow": False, "text": fields["text"]}
        case "press":
            return {"resetFlow": False, **fields["choice"].request}
        case "launch":
            return {"resetFlow": False, "text": GET_STARTED, "data": None}
        case "reset":
            return {"resetFlow": True, **({"text": fields["text"]} if fields.get("text") else {})}
        case "data":
            return {"resetFlow": False, "text": fields.get("text", ""), "data": fields["data"]}
        case "submit":
            return {"resetFlow": False, **submission(card, fields["values"], fields.get("title"))}
        case "date":
            return {"resetFlow": False, "text": fields["date"], "data": None}
        case "rate":
            comment = {"comment": fields["comment"]} if fields.get("comment") else {}
            return _command("setRating", {"parameters": {"rating": fields["rating"], **comment}})
        case "accept_privacy":
            return _command("acceptPrivacyPolicy", {})
        case _:
            attached = {"attachments": [fields["attachment"]]}
            return {"resetFlow": False, "text": fields.get("text", ""), "data": attached}


def _command(kind: str, parameters: dict[str, Any]) -> dict[str, Any]:
    command = {"type": kind, **parameters}
    return {"resetFlow": False, "text": "", "data": {"_cognigy": {"controlCommands": [command]}}}


def label(action: Action, user_input: UserInput) -> str:
    """Return what a person would read: a button's label, where only its payload travels."""
    return action.fields["choice"].label if action.verb == "press" else user_input.text or user_input.verb


def is_reset(payload: dict[str, Any]) -> bool:
    """Tell whether an input resets the flow; the vendor's page shows the flag as a text as well."""
    reset = payload.get("resetFlow")
    return reset is True or (isinstance(reset, str) and reset.casefold() == "true")


def user_input(payload: dict[str, Any]) -> UserInput:
    """Return what the user did, read back from a `processInput`."""
    text, raw = as_text(payload.get("text")), payload.get("data")
    data = as_dict(raw)
    if values := as_dict(data.get("adaptivecards")):
        return UserInput("submit", ", ".join(f"{name}: {value}" for name, value in values.items()), data)
    if "adaptivecards" in data:
        return UserInput("submit", "", data)
    if files := [as_dict(item) for item in as_list(data.get("attachments"))]:
        names = ", ".join(as_text(file.get("fileName")) or "a file" for file in files)
        return UserInput("upload", f"{text} ({names})" if text else names, data)
    for command in map(as_dict, as_list(as_dict(data.get("_cognigy")).get("controlCommands"))):
        if command.get("type") == "setRating":
            rating = as_dict(command.get("parameters"))
            return UserInput("rate", " ".join(str(rating[k]) for k in ("rating", "comment") if k in rating), data)
        if command.get("type") == "acceptPrivacyPolicy":
            return UserInput("accept_privacy", "", data)
    if is_reset(payload):
        return UserInput("reset", text, raw)
    if text == GET_STARTED and not data:
        return UserInput("launch")
    if raw is None and "data" in payload and text:
        return UserInput("press", text)
    return UserInput("data" if data else "text", text, raw)
