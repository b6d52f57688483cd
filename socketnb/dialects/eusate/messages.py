"""Messages from the helpdesk: their text and content, parsed from events and from the HTTP interface.

Two fields have other names in the HTTP interface: `is_attachment` for `attachment`, `ticket_chat` for `ticket_chat_id`.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal, NamedTuple

from socketnb.model.content import Card, Cards, Choice, Choices, Content, Media, Text
from socketnb.model.json import JsonObject, JsonObjectOut, as_dict, as_list, as_text
from socketnb.model.trace import Sender

CLOSE = "Close conversation"
"""The label of the button that a message with `close_support` offers."""
SENDERS: dict[str, Sender] = {"sate": "bot", "agent": "agent", "customer": "user"}
"""The helpdesk's name of a sender → the sender of the trace."""
MEDIA: dict[str, Literal["image", "audio", "video"]] = {
    **dict.fromkeys("png jpg jpeg gif webp svg".split(), "image"),
    **dict.fromkeys("mp3 wav ogg m4a".split(), "audio"),
    **dict.fromkeys("mp4 webm mov".split(), "video"),
}
"""Kinds of media by file extension. Any other file is a `file`."""


class Message(NamedTuple):
    """A parsed message.

    Attributes:
        kind: The kind of the trace.
        text: The text, with one line per file or button.
        content: The content.
    """

    kind: str
    text: str
    content: Content


def read_message(data: JsonObject) -> Message:
    """Parse a message from the `data` of an event or from the HTTP interface."""
    text, files = as_text(data.get("message")), read_files(data)
    if data.get("close_support") is True and data.get("closed_support") is not True:
        button = Choice(CLOSE, {"close": as_text(data.get("ticket_chat_id"))})
        return Message("choices", f"{text}\n[{CLOSE}]", Choices((button,), text))
    if len(files) == 1 and not text:
        return Message(files[0].kind, files[0].text, files[0])
    if files:
        cards = (Card(f.text, image=f.url if f.kind == "image" else None, url=f.url) for f in files)
        return Message("file", "\n".join([text, *(f.text for f in files)]).strip(), Cards(tuple(cards), "list", text))
    return Message("text", text, Text(text))


def read_files(data: JsonObjectOut) -> list[Media]:
    """Return the attachments of a message."""
    if not (data.get("attachment") or data.get("is_attachment")):
        return []
    metadata = data.get("attachment_metadata") or data.get("attachment_meta")  # the second: sent by an earlier build
    files = [as_dict(file) for file in as_list(metadata)] or [as_dict(metadata)]
    return [_media(file) for file in files if file]


def _media(file: JsonObject) -> Media:
    url, name = as_text(file.get("url")), as_text(file.get("name"))
    extension = as_text(file.get("extension")) or name.rpartition(".")[2]
    return Media(MEDIA.get(extension.strip(".").casefold(), "file"), url or None, name or url or "file")


def created_at(data: JsonObject) -> int | None:
    """Return `date_created` of a message in nanoseconds since 1970, or None if it is missing or malformed."""
    try:
        time = dt.datetime.fromisoformat(as_text(data.get("date_created")))
        return int(time.replace(tzinfo=time.tzinfo or dt.UTC).timestamp() * 10**6) * 1000
    except (ValueError, OverflowError):
        return None
