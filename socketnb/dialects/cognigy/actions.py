"""Encoding of the user's actions as `processInput`, as Cognigy's Webchat sends them, and decoding of inputs."""

from __future__ import annotations

from pathlib import Path

from socketnb.dialects.cognigy.forms import submission
from socketnb.dialects.cognigy.parsed import joined_text
from socketnb.model.actions import Action, Field, Verb
from socketnb.model.content import Choice, UserInput
from socketnb.model.json import JsonObject, JsonObjectOut, as_dict, as_list, as_text

GET_STARTED = "GET_STARTED"
"""The default text that Webchat's button "Get started" sends."""

VERBS: dict[str, Verb] = {
    "text": Verb("send a text, optionally with data", (Field("text", str), Field("data", dict, required=False))),
    "press": Verb("press a button", (Field("choice", Choice),)),
    "launch": Verb(
        f"start the conversation as Webchat's button does, with {GET_STARTED} or the endpoint's own text and data",
        (Field("text", str, required=False), Field("data", dict, required=False)),
    ),
    "reset": Verb(
        "start the flow over, optionally with a first text and data",
        (Field("text", str, required=False), Field("data", dict, required=False)),
    ),
    "data": Verb(
        "send data, optionally with a text",
        (Field("data", dict), Field("text", str, required=False)),
    ),
    "submit": Verb(
        "submit the last adaptive card: values by input id, and the button's title if it has several",
        (Field("values", dict), Field("title", str, required=False)),
    ),
    "date": Verb("answer a date picker; write the date in the picker's format", (Field("date", str),)),
    "rate": Verb(
        "rate the conversation",
        (Field("rating", int, stars=True), Field("comment", str, required=False, long=True)),
    ),
    "accept_privacy": Verb("accept the privacy policy"),
    "upload": Verb("send a file", (Field("file", Path), Field("text", str, required=False))),
    "typing": Verb("send the typing indicator; on=False hides it", (Field("on", bool, required=False),)),
}


def input_fields(action: Action, card: JsonObject) -> JsonObjectOut:
    """Return `resetFlow`, `text` and `data` of an action. Keys that Cognigy's client omits are omitted.

    Args:
        action: The action.
        card: The last adaptive card, for `submit`.
    """
    match action.verb:
        case "text":
            return {"resetFlow": False, "text": action.text("text"), **_data(action)}
        case "press":
            return {"resetFlow": False, **action.request}
        case "launch":
            return {"resetFlow": False, "text": action.text("text") or GET_STARTED, "data": action.json("data")}
        case "reset":
            return {"resetFlow": True, **({"text": text} if (text := action.text("text")) else {}), **_data(action)}
        case "data":
            return {"resetFlow": False, "text": action.text("text"), "data": action.json("data")}
        case "submit":
            return {
                "resetFlow": False,
                **submission(card, as_dict(action.json("values")), action.text("title") or None),
            }
        case "date":
            return {"resetFlow": False, "text": action.text("date"), "data": None}
        case "rate":
            comment = {"comment": text} if (text := action.text("comment")) else {}
            return _command("setRating", {"parameters": {"rating": action.json("rating"), **comment}})
        case "accept_privacy":
            return _command("acceptPrivacyPolicy", {})
        case _:
            attachments = {"attachments": [action.json("attachment")]}
            return {"resetFlow": False, "text": action.text("text"), "data": attachments}


def _data(action: Action) -> JsonObjectOut:
    """Return the key `data`, or nothing if the action has no data."""
    return {} if (data := action.json("data")) is None else {"data": data}


def _command(kind: str, more: JsonObjectOut) -> JsonObjectOut:
    return {"resetFlow": False, "text": "", "data": {"_cognigy": {"controlCommands": [{"type": kind, **more}]}}}


def rating_of(payload: JsonObjectOut) -> float | None:
    """Return the rating in an input, or None."""
    for command in map(as_dict, as_list(as_dict(as_dict(payload.get("data")).get("_cognigy")).get("controlCommands"))):
        rating = as_dict(command.get("parameters")).get("rating")
        if command.get("type") == "setRating" and isinstance(rating, int | float):
            return float(rating)
    return None


def label(action: Action, user_input: UserInput) -> str:
    """Return the text of an action. For a button it is the label, because only the payload is sent."""
    return action.choice.label if action.choice else user_input.text or user_input.verb


def is_reset(payload: JsonObjectOut) -> bool:
    """Return whether an input resets the flow. The vendor's page shows the flag as a boolean and as a string."""
    reset = payload.get("resetFlow")
    return reset is True or (isinstance(reset, str) and reset.casefold() == "true")


def user_input(payload: JsonObjectOut) -> UserInput:
    """Return the user's action from a `processInput` event."""
    text, raw = joined_text(payload.get("text")), payload.get("data")
    data = as_dict(raw)
    if "adaptivecards" in data:
        values = as_dict(data["adaptivecards"])
        return UserInput("submit", ", ".join(f"{name}: {value}" for name, value in values.items()), data)
    if files := [as_dict(item) for item in as_list(data.get("attachments"))]:
        names = ", ".join(as_text(file.get("fileName")) or "a file" for file in files)
        return UserInput("upload", f"{text} ({names})" if text else names, data)
    if command := _command_input(data):
        return command
    if is_reset(payload):
        return UserInput("reset", text, raw)
    if text == GET_STARTED and not data:
        return UserInput("launch")
    return UserInput("data" if data else "text", text, raw)


def _command_input(data: JsonObject) -> UserInput | None:
    for command in map(as_dict, as_list(as_dict(data.get("_cognigy")).get("controlCommands"))):
        if command.get("type") == "setRating":
            rating = as_dict(command.get("parameters"))
            return UserInput("rate", " ".join(str(rating[k]) for k in ("rating", "comment") if k in rating), data)
        if command.get("type") == "acceptPrivacyPolicy":
            return UserInput("accept_privacy", "", data)
    return None
