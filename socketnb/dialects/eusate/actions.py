"""The customer's actions and the corresponding events (the vendor's page "Socket.IO Events")."""

from __future__ import annotations

from socketnb.dialects.eusate.messages import CLOSE, read_files
from socketnb.model.actions import Action, Field, Verb
from socketnb.model.content import Choice, UserInput
from socketnb.model.json import JsonObjectOut, as_list, as_text

VERBS: dict[str, Verb] = {
    "text": Verb("send a text", (Field("text", str),)),
    "press": Verb("press a button", (Field("choice", Choice),)),
    "attach": Verb(
        "send one or more files to an agent, each as a URL or as a description (url, name, size_kb, extension)",
        (Field("files", list), Field("text", str, required=False)),
    ),
    "read": Verb("mark the conversation as read"),
    "leave": Verb("leave the room of the conversation; its broadcasts are no longer received"),
    "call": Verb("start a voice call"),
    "hang_up": Verb("end the voice call"),
    "close": Verb("close the conversation"),
    "review": Verb(
        "rate the conversation from 1 to 5",
        (Field("rating", int, stars=True), Field("review", str, required=False, long=True)),
        after_close=True,
    ),
}
EVENTS = {
    "text": "support",
    "attach": "support",
    "read": "mark_conversation_read",
    "leave": "leave_support",
    "call": "call_support",
    "hang_up": "close_call_support",
    "close": "close_support",
    "review": "review_support",
}
"""The event for each verb. A `press` is sent as the verb of its button."""
MIN_RATING, MAX_RATING = 1, 5
"""The allowed ratings of a review."""


def payload_of(action: Action, session_id: str, conversation: str | None) -> JsonObjectOut:
    """Return the payload of an action. Without a conversation id, the helpdesk starts a new conversation."""
    chat = conversation or None
    match action.verb:
        case "text":
            text = action.text("text")
            return {"session_id": session_id, "message": text, "attachment": False, "ticket_chat_id": chat}
        case "attach":
            files = [_describe(file) if isinstance(file, str) else file for file in as_list(action.json("files"))]
            message: JsonObjectOut = {"session_id": session_id, "message": action.text("text"), "attachment": True}
            return {**message, "attachment_metadata": files[0] if len(files) == 1 else files, "ticket_chat_id": chat}
        case "call":
            return {"session_id": session_id, "ticket_chat_id": chat}
        case "read":
            return {"ticket_chat_id": chat, "entity": "customer"}
        case "review":
            review = {"review": text} if (text := action.text("review")) else {}
            return {"ticket_chat_id": chat, "rating": str(action.json("rating")), **review}
        case _:
            return {"ticket_chat_id": chat}


def _describe(url: str) -> JsonObjectOut:
    """Return a file description for a URL."""
    name = url.split("?", maxsplit=1)[0].rstrip("/").rpartition("/")[2] or "file"
    return {"url": url, "name": name, "size_kb": 0, "extension": name.rpartition(".")[2] if "." in name else ""}


def user_input(event: str, payload: JsonObjectOut) -> UserInput:
    """Return the customer's action from an event."""
    match event:
        case "support":
            files = [file.text for file in read_files(payload)]
            text = as_text(payload.get("message"))
            if not files:
                return UserInput("text", text)
            data = payload.get("attachment_metadata")
            return UserInput("attach", f"{text} ({', '.join(files)})" if text else ", ".join(files), data)
        case "review_support":
            words = str(payload.get("rating")), as_text(payload.get("review"))
            return UserInput("review", " ".join(filter(None, words)))
        case "close_support":
            return UserInput("close", CLOSE)
        case _:
            return UserInput(next((verb for verb, name in EVENTS.items() if name == event), event))


def is_request(payload: JsonObjectOut) -> bool:
    """Return whether a client sent this payload. An answer has a `status_code`, and its content is in `data`."""
    return "status_code" not in payload and "data" not in payload
