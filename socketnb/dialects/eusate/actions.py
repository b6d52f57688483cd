"""What a customer does, as the events of the vendor's page "Socket.IO Events", and what events say, read back."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal, NamedTuple

from socketnb.model.actions import Action, Field, Verb
from socketnb.model.content import Card, Cards, Choice, Choices, Content, Media, Text, UserInput
from socketnb.model.json import as_dict, as_list, as_text
from socketnb.model.trace import Sender

VERBS: dict[str, Verb] = {
    "text": Verb("say something", (Field("text", str),)),
    "press": Verb("press a button", (Field("choice", Choice),)),
    "attach": Verb(
        "send one or more files by their addresses, or descriptions (url, name, size_kb, extension), to an agent",
        (Field("files", list), Field("text", str, required=False)),
    ),
    "read": Verb("mark the conversation as read"),
    "leave": Verb("leave the conversation's room: its broadcasts stop"),
    "call": Verb("begin a voice call"),
    "hang_up": Verb("end the voice call"),
    "close": Verb("close the conversation"),
    "review": Verb(
        "rate the conversation, from 1 to 5",
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
CLOSE = "Close conversation"
SENDERS: dict[str, Sender] = {"sate": "bot", "agent": "agent", "customer": "user"}
MEDIA: dict[str, Literal["image", "audio", "video"]] = {
    **dict.fromkeys("png jpg jpeg gif webp svg".split(), "image"),
    **dict.fromkeys("mp3 wav ogg m4a".split(), "audio"),
    **dict.fromkeys("mp4 webm mov".split(), "video"),
}


class Said(NamedTuple):
    """A message: its kind, its words and its content."""

    kind: str
    text: str
    content: Content


def payload_of(action: Action, session: str, conversation: str) -> dict[str, Any]:
    """Return the payload of what the customer does; a conversation without an id is a new one."""
    fields, chat = action.fields, conversation or None
    match action.verb:
        case "text":
            message = {"session_id": session, "message": fields["text"], "attachment": False}
            return {**message, "ticket_chat_id": chat}
        case "attach":
            files = [_described(file) if isinstance(file, str) else file for file in fields["files"]]
            message = {"session_id": session, "message": fields.get("text", ""), "attachment": True}
            return {**message, "attachment_metadata": files[0] if len(files) == 1 else files, "ticket_chat_id": chat}
        case "call":
            return {"session_id": session, "ticket_chat_id": chat}
        case "read":
            return {"ticket_chat_id": chat, "entity": "customer"}
        case "review":
            review = {"review": fields["review"]} if fields.get("review") else {}
            return {"ticket_chat_id": chat, "rating": str(fields["rating"]), **review}
        case _:
            return {"ticket_chat_id": chat}


def _described(url: str) -> dict[str, Any]:
    """Return the description of a file of which only the address is known."""
    name = url.split("?", maxsplit=1)[0].rstrip("/").rpartition("/")[2] or "file"
    return {"url": url, "name": name, "size_kb": 0, "extension": name.rpartition(".")[2] if "." in name else ""}


def user_input(event: str, payload: dict[str, Any]) -> UserInput:
    """Return what the customer did, read back from an event."""
    match event:
        case "support":
            files = [file.text for file in _files(payload)]
            text = as_text(payload.get("message"))
            if not files:
                return UserInput("text", text)
            data = payload.get("attachment_metadata")
            return UserInput("attach", f"{text} ({', '.join(files)})" if text else ", ".join(files), data)
        case "review_support":
            return UserInput(
                "review", " ".join(filter(None, (str(payload.get("rating")), as_text(payload.get("review")))))
            )
        case "close_support":
            return UserInput("close", CLOSE)
        case _:
            return UserInput(next((verb for verb, name in EVENTS.items() if name == event), event))


def is_request(payload: dict[str, Any]) -> bool:
    """Tell whether this is what a client sends: an answer has a `status_code` and its content in `data`."""
    return "status_code" not in payload and "data" not in payload


def said(data: dict[str, Any]) -> Said:
    """Read a message: of an event's `data`, or of the HTTP interface, which calls two fields differently."""
    text, files = as_text(data.get("message")), _files(data)
    if data.get("close_support") is True and data.get("closed_support") is not True:
        button = Choice(CLOSE, {"close": as_text(data.get("ticket_chat_id"))})
        return Said("choices", f"{text}\n[{CLOSE}]", Choices((button,), text))
    if len(files) == 1 and not text:
        return Said(files[0].kind, files[0].text, files[0])
    if files:
        cards = (Card(f.text, image=f.url if f.kind == "image" else None, url=f.url) for f in files)
        return Said("file", "\n".join([text, *(f.text for f in files)]).strip(), Cards(tuple(cards), "list", text))
    return Said("text", text, Text(text))


def _files(data: dict[str, Any]) -> list[Media]:
    if not (data.get("attachment") or data.get("is_attachment")):
        return []
    found = data.get("attachment_metadata") or data.get("attachment_meta")  # an earlier build's name
    files = [as_dict(file) for file in (as_list(found) or [found])]
    return [_file(file) for file in files if file]


def _file(file: dict[str, Any]) -> Media:
    url, name = as_text(file.get("url")), as_text(file.get("name"))
    extension = as_text(file.get("extension")) or name.rpartition(".")[2]
    return Media(MEDIA.get(extension.strip(".").casefold(), "file"), url or None, name or url or "file")


def time_of(data: dict[str, Any]) -> int | None:
    """Return `date_created` in nanoseconds since 1970."""
    try:
        at = dt.datetime.fromisoformat(as_text(data.get("date_created")))
        return int(at.replace(tzinfo=at.tzinfo or dt.UTC).timestamp() * 10**6) * 1000
    except (ValueError, OverflowError):
        return None
