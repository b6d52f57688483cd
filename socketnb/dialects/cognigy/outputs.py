"""Parsing of the `data` of an `output`. Formats are tried in the order of Cognigy's own renderer; the first match wins.

Sources: the vendor's AI default channel formats (`_default`), and its Webchat's channel formats, which are Messenger
templates (`_webchat`, `_facebook`, `_defaultPreview`). No function here raises an error: unreadable parts are omitted.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Literal, get_args

from socketnb.dialects.cognigy.forms import adaptive, date_picker
from socketnb.dialects.cognigy.parsed import ParsedOutput, address, field_text, joined_text, parsed, scalar_text
from socketnb.model.content import Card, Cards, Choice, Choices, Custom, Delta, Media, RatingRequest, Text
from socketnb.model.json import Json, JsonObject, as_dict, as_list, as_text
from socketnb.model.trace import Sender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SENDERS: dict[str, Sender] = {"agent": "agent", "user": "user"}
"""The `source` of an output → its sender. Any other source means the bot."""
MediaKind = Literal["image", "audio", "video"]
MEDIA: tuple[MediaKind, ...] = get_args(MediaKind)
VOICE_CHANNELS = ("_voiceGateway2", "_voiceGateway")
CHANNELS = ("_webchat", "_defaultPreview", "_default", "_facebook")
"""The keys of the channels' formats, the most specific first."""
RENDERED = frozenset({"_cognigy", "_data", "_plugin", "_webchat", "attachments"})
"""The keys of an output's data that are content or concern its display."""
LEFT = frozenset({"left", "ended", "closed", "resolved"})
"""The actions of a live agent event after which the bot handles the conversation again."""
SPEECH_TAG = re.compile(r"</?(?:speak|voice|prosody|break|say-as|emphasis|phoneme|amazon:[\w-]+|mstts:[\w-]+)\b[^<>]*>")
TAG = re.compile(r"<[^<>]*>")
NOT_IN_TEL_URL = re.compile(r"[^\d+*#]")


def parse_output(message: JsonObject) -> ParsedOutput:
    """Parse the `data` of an output: `{text, data, source}`."""
    try:
        return _stream_piece(message) or _message(message)
    except (RecursionError, OverflowError):  # a deeply nested card, a waiting time of 400 digits
        return ParsedOutput("custom", None, Custom("data", message.get("data")))


def data_of(message: JsonObject) -> Json:
    """Return the data of an output that is not part of its content, or None."""
    data = message.get("data")
    if isinstance(data, dict):
        data = {key: value for key, value in data.items() if key not in RENDERED}
    return data or None


def handover_of(message: JsonObject) -> tuple[str, str] | None:
    """Return who handles the conversation after a live agent event: `agent` or `bot`, and the agent's name."""
    for cognigy in _cognigy_objects(as_dict(message.get("data"))):
        event = as_dict(cognigy.get("_webchat3"))
        if event.get("type") == "liveAgentEvent":
            payload = as_dict(event.get("payload"))
            return "bot" if as_text(payload.get("action")) in LEFT else "agent", as_text(payload.get("agentName"))
    return None


def sender_of(message: JsonObject) -> Sender:
    """Return the sender of a message. Without a source, the sender is the bot."""
    return SENDERS.get(as_text(message.get("source")), "bot")


# The order of the renderer


def _stream_piece(message: JsonObject) -> ParsedOutput | None:
    """Parse a piece of a streamed answer. Its outputs share a `_messageId`, and the last one has a `_finishReason`.

    Cognigy's client shows the text of each piece; only Webchat ignores the text of the last one. A piece with more than
    text, such as buttons, is a message of its own.
    """
    cognigy = as_dict(as_dict(message.get("data")).get("_cognigy"))
    stream, text = as_text(cognigy.get("_messageId")), joined_text(message.get("text"))
    if not stream or sender_of(message) != "bot":
        return None
    if (parsed := _message(message)).text is not None and not isinstance(parsed.content, Text | None):
        return None
    return ParsedOutput("delta", text, Delta(stream, text, last=bool(cognigy.get("_finishReason"))))


def _message(message: JsonObject) -> ParsedOutput:
    text, data = _words(message.get("text")), as_dict(message.get("data"))
    for cognigy in _cognigy_objects(data):
        if event := _handover_event(as_dict(cognigy.get("_webchat3"))):
            return event
    if plugin := _plugin(as_dict(data.get("_plugin")), text):
        return plugin
    channel = next(_channel_formats(data), None)
    if channel and channel.kind not in ("list", "carousel", "adaptive"):
        return channel
    if files := [item for item in as_list(data.get("attachments")) if isinstance(item, dict)]:
        return _attachments(files, text)
    if channel:
        return channel
    for cognigy in _cognigy_objects(data):
        if app := as_dict(cognigy.get("_app")):
            title = as_text(as_dict(app.get("overlaySettings")).get("screenTitle")) or "Open"
            return parsed("custom", Custom("x-app", app, (Choice(title, url=address(app.get("url"))),), text=text))
    if text.strip():
        return parsed("text", Text(text))
    for cognigy in _cognigy_objects(data):
        if text := _voice_words(cognigy):
            return parsed("text", Text(text))
    if data:
        return ParsedOutput("custom", None, Custom("data", data))
    return ParsedOutput("status", "an empty output")


def _cognigy_objects(data: JsonObject) -> Iterator[JsonObject]:
    """Yield the objects that may contain formats. Some endpoints nest them one level deeper, in `_data`."""
    for holder in (as_dict(data.get("_data")), data):
        if cognigy := as_dict(holder.get("_cognigy")):
            yield cognigy


def _channel_formats(data: JsonObject) -> Iterator[ParsedOutput]:
    """Read the formats of each channel, the most specific channel first."""
    for cognigy in _cognigy_objects(data):
        for channel in CHANNELS:
            payload = as_dict(cognigy.get(channel))
            pointer = payload.get("_pointer")  # older endpoints put the payload under the name that the key contains
            payload = as_dict(payload.get(pointer)) if isinstance(pointer, str) else payload
            for read_format in (_messenger, _default):
                if output := read_format(payload):
                    yield output


# Words


def _words(value: Json) -> str:
    """Return a text as a person hears or reads it, without the tags of SSML."""
    text = joined_text(value)
    if not SPEECH_TAG.search(text):
        return text
    tag = TAG if "<speak" in text else SPEECH_TAG
    return " ".join(html.unescape(tag.sub(" ", text)).split())


def _voice_words(cognigy: JsonObject) -> str:
    """Return what a voice gateway is told to say: in a command, in its settings, or in a list of activities."""
    found: list[str] = []
    for name in VOICE_CHANNELS:
        command = as_dict(as_dict(cognigy.get(name)).get("json"))
        says = [as_dict(command.get(part)) for part in ("channelConfig", "say")]
        gathers = as_dict(as_dict(command.get("gather")).get("say"))
        for part in (command, *says, gathers, *map(as_dict, as_list(command.get("activities")))):
            found += filter(None, [_words(part.get("text"))])
    return "\n".join(dict.fromkeys(found))


# Shared by both formats


def _buttons(value: Json) -> tuple[Choice, ...]:
    """Parse buttons and quick replies. Buttons without a title are omitted."""
    items = (item for item in as_list(value) if isinstance(item, dict))
    return tuple(_button(title, item) for item in items if (title := field_text(item, "title")))


def _button(title: str, item: JsonObject) -> Choice:
    """Parse a button. The user sees the title; Webchat sends the payload as a text."""
    payload = scalar_text(item.get("payload"))
    match field_text(item, "type", "contentType"):
        case "web_url":
            return Choice(title, url=address(item.get("url")))
        case "phone_number" | "user_phone_number":
            return Choice(title, url=f"tel:{NOT_IN_TEL_URL.sub('', payload)}" if payload else None)
        case "openXApp":
            return Choice(title, url=address(payload))
        case "trigger_intent":
            intent = field_text(item, "intentName")
            payload = payload or (f"cIntent:{intent}" if intent else "")
        case "text":
            payload = payload or title
    return Choice(title, {"text": payload, "data": None} if payload else None)


def _cards(items: Json) -> tuple[Card, ...]:
    return tuple(
        Card(
            field_text(item, "title"),
            field_text(item, "subtitle"),
            address(field_text(item, "imageUrl")),
            _buttons(item.get("buttons")),
            address(field_text(item, "defaultActionUrl") or as_dict(item.get("default_action")).get("url")),
        )
        for item in as_list(items)
        if isinstance(item, dict)
    )


# The AI default channel: an object with one key, the name of the format


def _default(payload: JsonObject) -> ParsedOutput | None:
    for key, reader in DEFAULT_READERS.items():
        if (value := as_dict(payload.get(key))) and (output := reader(value)):
            return output
    text = payload.get("_text", payload.get("text"))
    if words := _words(as_dict(text).get("text") if isinstance(text, dict) else text):
        return parsed("text", Text(words))
    return None


def _default_media(kind: MediaKind) -> Callable[[JsonObject], ParsedOutput | None]:
    def reader(value: JsonObject) -> ParsedOutput:
        url, text = address(value.get(f"{kind}Url")), field_text(value, f"{kind}AltText")
        return parsed(kind, Media(kind, url, text, options=_buttons(value.get("buttons"))))

    return reader


def _choices(name: str) -> Callable[[JsonObject], ParsedOutput | None]:
    def reader(value: JsonObject) -> ParsedOutput | None:
        options, text = _buttons(value.get(name)), _words(value.get("text"))
        if not options:
            return parsed("text", Text(text)) if text else None
        return parsed("choices", Choices(options, text))

    return reader


def _gallery(value: JsonObject) -> ParsedOutput | None:
    cards = _cards(value.get("items"))
    fallback = _words(value.get("fallbackText"))
    if not cards:
        return parsed("text", Text(fallback)) if fallback else None
    return parsed("carousel", Cards(cards))


def _list(value: JsonObject) -> ParsedOutput | None:
    cards, options = _cards(value.get("items")), _buttons([value.get("button")])
    return parsed("list", Cards(cards, "list", options=options)) if cards or options else None


DEFAULT_READERS: dict[str, Callable[[JsonObject], ParsedOutput | None]] = {
    "_quickReplies": _choices("quickReplies"),
    "_buttons": _choices("buttons"),
    **{f"_{kind}": _default_media(kind) for kind in MEDIA},
    "_list": _list,
    "_gallery": _gallery,
    "_adaptiveCard": lambda value: adaptive(value.get("adaptiveCard")),
}
"""Key → the parser of the format."""


# Messenger templates


def _messenger(payload: JsonObject) -> ParsedOutput | None:
    """Parse a Messenger template, which `_webchat` and similar channels use."""
    message = as_dict(payload.get("message"))
    attachment = as_dict(message.get("attachment"))
    template, text = as_dict(attachment.get("payload")), _words(message.get("text"))
    kind = as_text(template.get("template_type"))
    if replies := _buttons(message.get("quick_replies")):
        return parsed("choices", Choices(replies, text))
    if kind == "button":
        return _choices("buttons")(template)
    if text:
        return parsed("text", Text(text))
    cards, options = _cards(template.get("elements")), _buttons(template.get("buttons"))
    for media in MEDIA:
        if attachment.get("type") == media:
            url, alt = address(template.get("url")), field_text(template, "altText")
            return parsed(media, Media(media, url, alt, options=options))
    if kind == "list" and (cards or options):
        return parsed("list", Cards(cards, "list", options=options))
    if kind == "generic" and cards:
        return parsed("carousel", Cards(cards))
    return adaptive(payload.get("adaptiveCard"))


# Outputs that are independent of the channel


def _handover_event(event: JsonObject) -> ParsedOutput | None:
    """Parse a handover event, which is not a message."""
    payload = as_dict(event.get("payload"))
    match event.get("type"):
        case "queueUpdate":
            text = as_text(payload.get("alternativeText"))
            return ParsedOutput("queue", text or _queue_text(payload.get("position"), payload.get("estimatedWaitTime")))
        case "liveAgentEvent":
            agent, action = as_text(payload.get("agentName")) or "an agent", as_text(payload.get("action"))
            return ParsedOutput("handler", as_text(payload.get("text")) or f"{agent} {action or 'is here'}")
        case str(kind):
            return ParsedOutput("custom", kind, Custom(kind, event.get("payload")))
        case _:
            return None


def _queue_text(position: Json, wait_ms: Json) -> str:
    text = f"position {position} in the queue"
    if not isinstance(wait_ms, int | float) or wait_ms <= 0:
        return text
    return f"{text}, about {wait_ms / 1000:.0f} s" if wait_ms < 60_000 else f"{text}, about {wait_ms / 60_000:.0f} min"  # noqa: PLR2004 (a minute)


def _plugin(plugin: JsonObject, text: str) -> ParsedOutput | None:
    kind, data = as_text(plugin.get("type")), as_dict(plugin.get("data"))
    match kind:
        case "":
            return None
        case "date-picker":
            return parsed("date_picker", date_picker(data, text))
        case "request-rating":
            return parsed("custom", RatingRequest(text))
        case "adaptivecards":
            return adaptive(plugin.get("payload") or data) or parsed("custom", Custom(kind, data, text=text))
        case "x-app" if url := address(data.get("url") or plugin.get("url")):
            return parsed("custom", Custom(kind, plugin.get("data"), (Choice("Open", url=url),), text=text))
        case _:
            return parsed("custom", Custom(kind, plugin.get("data"), text=text))


def _attachments(items: list[JsonObject], text: str) -> ParsedOutput:
    files = [_file(item) for item in items]
    if len(files) == 1 and not text:
        return parsed(files[0].kind, files[0])
    cards = tuple(Card(file.text, image=file.url if file.kind == "image" else None, url=file.url) for file in files)
    return parsed("file", Cards(cards, "list", text))


def _file(item: JsonObject) -> Media:
    name, media_type = field_text(item, "fileName") or "file", field_text(item, "mimeType").partition("/")[0]
    if item.get("status") == "infected":
        return Media("file", None, f"{name} (infected)")
    kind: MediaKind | Literal["file"] = next((known for known in MEDIA if known == media_type), "file")
    return Media(kind, address(item.get("url")), name)
