"""Actions: what a user does as the `action` of `action.send`, and such a request read back.

Request types as the vendor's interaction API lists them. A button's request is sent as it is.
"""

from __future__ import annotations

from typing import Any

from socketnb.model.actions import Action, Field, Verb
from socketnb.model.content import Choice, UserInput
from socketnb.model.json import as_dict, as_text

VERBS: dict[str, Verb] = {
    "text": Verb("say something", (Field("text", str),)),
    "press": Verb("press a button", (Field("choice", Choice),)),
    "launch": Verb("start the conversation from the beginning"),
    "intent": Verb(
        "say what an intent stands for, without its words",
        (Field("name", str), Field("entities", dict, required=False)),
    ),
    "event": Verb("trigger an event of the project by its name", (Field("name", str),)),
    "no_reply": Verb("let the bot know that the user says nothing"),
    "custom": Verb(
        "answer a custom action with a request of any type, such as `done`",
        (Field("type", str), Field("payload", object, required=False)),
    ),
    "end": Verb("end the conversation"),
}


def request_of(action: Action) -> dict[str, Any]:
    """Return the request for what the user does."""
    fields = action.fields
    match action.verb:
        case "text":
            return {"type": "text", "payload": fields["text"]}
        case "press":
            return dict(fields["choice"].request)  # "send the button's request": verbatim
        case "intent":
            entities = [{"name": name, "value": value} for name, value in fields.get("entities", {}).items()]
            intent = {"intent": {"name": fields["name"]}, "query": "", "entities": entities}
            return {"type": "intent", "payload": intent}
        case "event":
            return {"type": "event", "payload": {"event": {"name": fields["name"]}}}
        case "custom":
            payload = {"payload": fields["payload"]} if fields.get("payload") is not None else {}
            return {"type": fields["type"], **payload}
        case "launch":
            return {"type": "launch", "payload": {}}
        case verb:
            return {"type": verb.replace("_", "-")}


def user_input(request: dict[str, Any]) -> UserInput:
    """Return what the user did, read back from a request."""
    kind, payload = as_text(request.get("type")), request.get("payload")
    about = as_dict(payload)
    if kind == "text":
        return UserInput("text", as_text(payload))
    if kind in ("event", "intent") and not about.get("label"):
        return UserInput(kind, as_text(about.get("query")) or as_text(as_dict(about.get(kind)).get("name")))
    if label := as_text(about.get("label")):
        return UserInput("press", label)
    if kind in ("launch", "end", "no-reply"):
        return UserInput(kind.replace("-", "_"))
    return UserInput("press" if kind.startswith("path-") else "custom", "" if kind.startswith("path-") else kind)
