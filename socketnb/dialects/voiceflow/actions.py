"""Encoding of the user's actions as the `action` of `action.send`, and decoding of such requests.

The request types are those of the vendor's interaction API. A button's request is sent unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from socketnb.model.actions import Action, Field, Verb
from socketnb.model.content import Choice, UserInput
from socketnb.model.effects import ClientEffect, Emit, Record
from socketnb.model.json import JsonObjectOut, JsonOut, as_dict, as_list, as_text

if TYPE_CHECKING:
    from socketnb.dialects.voiceflow.accounts import Sent
    from socketnb.model.trace import Sender

DATA = Field("data", object, required=False)
"""The field of a verb that becomes the action's `metadata`."""
VERBS: dict[str, Verb] = {
    "text": Verb("send a text", (Field("text", str), DATA)),
    "press": Verb("press a button", (Field("choice", Choice),)),
    "launch": Verb("start the conversation from the beginning", (Field("payload", dict, required=False), DATA)),
    "intent": Verb(
        "send an intent without an utterance",
        (Field("name", str), Field("entities", dict, required=False), DATA),
    ),
    "event": Verb("trigger an event of the project by its name", (Field("name", str), DATA)),
    "no_reply": Verb("tell the bot that the user says nothing"),
    "custom": Verb(
        "answer a custom action with a request of any type, such as `done`",
        (Field("type", str), Field("payload", object, required=False), DATA),
    ),
    "end": Verb("end the conversation"),
}


def request_of(action: Action) -> JsonObjectOut:
    """Return the request of an action. The field `data` is its `metadata`."""
    data = action.json("data")
    return _request(action) | ({} if data is None else {"metadata": data})


def _request(action: Action) -> dict[str, JsonOut]:
    match action.verb:
        case "text":
            return {"type": "text", "payload": action.text("text")}
        case "press":
            return dict(action.request)  # "send the button's request": verbatim
        case "intent":
            values = as_dict(action.json("entities"))
            entities: list[JsonObjectOut] = [{"name": name, "value": value} for name, value in values.items()]
            intent: JsonObjectOut = {"intent": {"name": action.text("name")}, "query": "", "entities": entities}
            return {"type": "intent", "payload": intent}
        case "event":
            return {"type": "event", "payload": {"event": {"name": action.text("name")}}}
        case "custom":
            payload = action.json("payload")
            return {"type": action.text("type"), **({"payload": payload} if payload is not None else {})}
        case "launch":
            return {"type": "launch", "payload": as_dict(action.json("payload"))}
        case verb:
            return {"type": verb.replace("_", "-")}


def user_input(request: JsonObjectOut) -> UserInput:
    """Return the user's action from a request, with its data."""
    kind, payload = as_text(request.get("type")), request.get("payload")
    fields = as_dict(payload)
    if kind == "text":
        return UserInput("text", as_text(payload), data_of(request))
    if kind in ("event", "intent") and not fields.get("label"):
        text = as_text(fields.get("query")) or as_text(as_dict(fields.get(kind)).get("name"))
        return UserInput(kind, text, data_of(request))
    if label := as_text(fields.get("label")):
        return UserInput("press", label, data_of(request))
    if kind in ("launch", "end", "no-reply"):
        return UserInput(kind.replace("-", "_"), "", data_of(request))
    if kind.startswith("path-"):
        return UserInput("press", "", data_of(request))
    return UserInput("custom", kind, data_of(request))


def data_of(request: JsonObjectOut) -> JsonOut:
    """Return the data that a request carries, or None.

    It is the `metadata`, or otherwise the payload of a launch or of a custom action, or the entities of an intent by
    name. If a request has both, the result has the keys `metadata` and `payload`.
    """
    kind, metadata = as_text(request.get("type")), request.get("metadata")
    payload = request.get("payload")
    fields = as_dict(payload)
    if kind == "intent":
        entities = map(as_dict, as_list(fields.get("entities")))
        payload = {as_text(entity.get("name")): entity.get("value") for entity in entities}
    elif kind in ("text", "event", "end", "no-reply") or kind.startswith("path-") or fields.get("label"):
        payload = None
    if not payload:
        return metadata
    return payload if metadata is None else {"metadata": metadata, "payload": payload}


def send_action(sent: Sent, kind: str, text: str) -> list[ClientEffect]:
    """Record and send `action.send` for an action."""
    payload: JsonObjectOut = {"action": sent.request, "messageID": sent.message_id}
    return emit("action.send", payload, kind, sent.turn, text)


def emit(event: str, payload: JsonObjectOut, kind: str, turn: int = 0, text: str | None = None) -> list[ClientEffect]:
    """Record an event and then send it, so that every event is recorded before it is sent."""
    sender: Sender = "user" if kind == "action" else "system"
    return [Record(event, kind, payload, "out", sender, turn, text), Emit(event, (payload,))]
