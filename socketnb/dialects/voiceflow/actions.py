"""Encoding of the user's actions as the `action` of `action.send`, and decoding of such requests.

The request types are those of the vendor's interaction API. A button's request is sent unchanged.
"""

from __future__ import annotations

from socketnb.model.actions import Action, Field, Verb
from socketnb.model.content import Choice, UserInput
from socketnb.model.json import JsonObjectOut, as_dict, as_text

VERBS: dict[str, Verb] = {
    "text": Verb("send a text", (Field("text", str),)),
    "press": Verb("press a button", (Field("choice", Choice),)),
    "launch": Verb("start the conversation from the beginning"),
    "intent": Verb(
        "send an intent without an utterance",
        (Field("name", str), Field("entities", dict, required=False)),
    ),
    "event": Verb("trigger an event of the project by its name", (Field("name", str),)),
    "no_reply": Verb("tell the bot that the user says nothing"),
    "custom": Verb(
        "answer a custom action with a request of any type, such as `done`",
        (Field("type", str), Field("payload", object, required=False)),
    ),
    "end": Verb("end the conversation"),
}


def request_of(action: Action) -> JsonObjectOut:
    """Return the request of an action."""
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
            return {"type": "launch", "payload": {}}
        case verb:
            return {"type": verb.replace("_", "-")}


def user_input(request: JsonObjectOut) -> UserInput:
    """Return the user's action from a request."""
    kind, payload = as_text(request.get("type")), request.get("payload")
    fields = as_dict(payload)
    if kind == "text":
        return UserInput("text", as_text(payload))
    if kind in ("event", "intent") and not fields.get("label"):
        return UserInput(kind, as_text(fields.get("query")) or as_text(as_dict(fields.get(kind)).get("name")))
    if label := as_text(fields.get("label")):
        return UserInput("press", label)
    if kind in ("launch", "end", "no-reply"):
        return UserInput(kind.replace("-", "_"))
    return UserInput("press") if kind.startswith("path-") else UserInput("custom", kind)
