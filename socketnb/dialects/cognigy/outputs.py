"""Reading: what an `output` shows. The formats are tried in the order of Cognigy's own renderer; the first match wins.

Sources: the vendor's AI default channel formats (`_default`), and its Webchat's channel formats, which are those of
Messenger templates (`_webchat`, `_facebook`, `_defaultPreview`). Nothing here raises: what cannot be read is left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from socketnb.model.content import Card, Cards, Choice, Choices, Content, Custom, Delta, Media, Text
from socketnb.model.json import as_dict, as_list
from socketnb.model.json import as_text as only_text
from socketnb.model.trace import Sender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SENDERS: dict[Any, Sender] = {"agent": "agent", "user": "user"}
MEDIA: tuple[Literal["image", "audio", "video"], ...] = ("image", "audio", "video")
NOT_DIALLED = re.compile(r"[^\d+*#]")
NOTHING = ("", "undefined", "null")
"""What Cognigy's editor leaves in an address that nobody filled in."""


class Reading(NamedTuple):
    """What an output says: its kind, its words and its content."""

    kind: str
    text: str | None = None
    content: Content | None = None


def read(message: dict[str, Any]) -> Reading:
    """Read the `data` of an output: `{text, data, source}`."""
    try:
        return _piece(message) or _shown(message)
    except RecursionError:  # a card nested deeper than anybody can read
        return Reading("custom", "data", Custom("data", message.get("data")))


def sender_of(message: dict[str, Any]) -> Sender:
    """Return who says this: an output without a source is the bot's."""
    source = message.get("source")
    return SENDERS.get(source, "bot") if isinstance(source, str) else "bot"


def as_text(value: Any) -> str:
    """Return a text, a number as one, a list of them a line each, or an empty one."""
    return "\n".join(map(_word, value)) if isinstance(value, list) else _word(value)


def _word(value: Any) -> str:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else only_text(value)


def words(content: Content) -> str:
    """Return the words of a content, as a person would read them."""
    match content:
        case Choices(options, text):
            return _lines(text, _labels(options))
        case Cards(cards, text=text, options=options):
            said = (_lines(card.title, card.text, _labels(card.options)) for card in cards)
            return _lines(text, *said, _labels(options))
        case Media(text=text, options=options):
            return _lines(text, _labels(options))
        case Custom(name, options=options, text=text):
            return _lines(text or name, _labels(options))
        case _:
            return getattr(content, "text", "")


def _lines(*parts: str) -> str:
    return "\n".join(filter(None, parts))


def _labels(options: tuple[Choice, ...]) -> str:
    return " ".join(f"[{option.label}]" for option in options)


def _reading(kind: str, content: Content) -> Reading:
    return Reading(kind, words(content), content)


# The order of the renderer


def _piece(message: dict[str, Any]) -> Reading | None:
    """Read a piece of a streamed answer: outputs with one `_messageId`, the last with a `_finishReason`."""
    about = as_dict(as_dict(message.get("data")).get("_cognigy"))
    stream, text = about.get("_messageId"), as_text(message.get("text"))
    if not isinstance(stream, str) or not stream or sender_of(message) != "bot":
        return None
    if about.get("_finishReason"):  # Webchat passes over its text; one that comes alone is the message
        return Reading("delta", "", Delta(stream, last=True, whole=text))
    return Reading("delta", text, Delta(stream, text))


def _shown(message: dict[str, Any]) -> Reading:
    text, data = as_text(message.get("text")), as_dict(message.get("data"))
    for cognigy in _cognigies(data):
        if found := _event(as_dict(cognigy.get("_webchat3"))):
            return found
    plugin = as_dict(data.get("_plugin"))
    if found := _plugin(plugin, text):
        return found
    channel = next(_channels(data), None)
    if channel and channel.kind not in ("list", "carousel", "adaptive"):
        return channel
    if attached := [item for item in as_list(data.get("attachments")) if isinstance(item, dict)]:
        return _attachments(attached, text)
    if channel:
        return channel
    for cognigy in _cognigies(data):
        if app := as_dict(cognigy.get("_app")):
            title = only_text(as_dict(app.get("overlaySettings")).get("screenTitle")) or "Open"
            return _reading("custom", Custom("x-app", app, (Choice(title, url=_address(app.get("url"))),), text=text))
    if text.strip():
        return Reading("text", text, Text(text))
    if data:
        return Reading("custom", "data", Custom("data", data))
    return Reading("status", "an empty output")


def _cognigies(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return where the formats may be: some endpoints nest them once more, in `_data`."""
    for holder in (as_dict(data.get("_data")), data):
        if cognigy := as_dict(holder.get("_cognigy")):
            yield cognigy


def _channels(data: dict[str, Any]) -> Iterator[Reading]:
    """Read the formats of each channel, the most particular first."""
    for cognigy in _cognigies(data):
        for name in ("_webchat", "_defaultPreview", "_default", "_facebook"):
            payload = as_dict(cognigy.get(name))
            pointer = payload.get("_pointer")  # an older endpoint puts the payload under the name it points to
            payload = as_dict(payload.get(pointer)) if isinstance(pointer, str) else payload
            for formats in (_messenger, _default):
                if found := formats(payload):
                    yield found


# Both formats name the same things in their own way: `imageUrl` and `image_url`


def _of(item: dict[str, Any], *names: str) -> str:
    """Return the first of these fields that has a text, in either spelling."""
    for name in names:
        snake = "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in name)
        if found := _word(item.get(name)) or _word(item.get(snake)):
            return found
    return ""


def _address(value: Any) -> str | None:
    address = only_text(value).strip()
    return None if address in NOTHING else address.replace(" ", "%20")


def _buttons(offered: Any) -> tuple[Choice, ...]:
    """Read buttons and quick replies; one without a title is not shown."""
    items = (item for item in as_list(offered) if isinstance(item, dict))
    return tuple(_button(title, item) for item in items if (title := _of(item, "title")))


def _button(title: str, item: dict[str, Any]) -> Choice:
    """Read a button: Webchat sends the payload as a text; the label is for the eye only."""
    payload = _word(item.get("payload"))
    match _of(item, "type", "contentType"):
        case "web_url":
            return Choice(title, url=_address(item.get("url")))
        case "phone_number" | "user_phone_number":
            return Choice(title, url=f"tel:{NOT_DIALLED.sub('', payload)}" if payload else None)
        case "openXApp":
            return Choice(title, url=_address(payload))
        case "trigger_intent":
            intent = _of(item, "intentName")
            payload = payload or (f"cIntent:{intent}" if intent else "")
        case "text":
            payload = payload or title
    return Choice(title, {"text": payload, "data": None} if payload else None)


def _cards(items: Any) -> tuple[Card, ...]:
    return tuple(
        Card(
            _of(item, "title"),
            _of(item, "subtitle"),
            _address(_of(item, "imageUrl")),
            _buttons(item.get("buttons")),
            _address(_of(item, "defaultActionUrl") or as_dict(item.get("default_action")).get("url")),
        )
        for item in as_list(items)
        if isinstance(item, dict)
    )


def _default(payload: dict[str, Any]) -> Reading | None:
    """Read the AI default channel: one key a format."""
    for key, reader in DEFAULTS.items():
        if (about := as_dict(payload.get(key))) and (found := reader(about)):
            return found
    return None


def _default_media(kind: Literal["image", "audio", "video"]) -> Callable[[dict[str, Any]], Reading | None]:
    def reader(about: dict[str, Any]) -> Reading:
        url, text = _address(about.get(f"{kind}Url")), _of(about, f"{kind}AltText")
        return _reading(kind, Media(kind, url, text, options=_buttons(about.get("buttons"))))

    return reader


def _choices(name: str) -> Callable[[dict[str, Any]], Reading | None]:
    def reader(about: dict[str, Any]) -> Reading | None:
        options, text = _buttons(about.get(name)), as_text(about.get("text"))
        if not options:
            return Reading("text", text, Text(text)) if text else None
        return _reading("choices", Choices(options, text))

    return reader


def _gallery(about: dict[str, Any]) -> Reading | None:
    cards = _cards(about.get("items"))
    fallback = as_text(about.get("fallbackText"))
    if not cards:
        return Reading("text", fallback, Text(fallback)) if fallback else None
    return _reading("carousel", Cards(cards))


def _list(about: dict[str, Any]) -> Reading | None:
    cards, below = _cards(about.get("items")), _buttons([about.get("button")])
    return _reading("list", Cards(cards, "list", options=below)) if cards or below else None


DEFAULTS: dict[str, Callable[[dict[str, Any]], Reading | None]] = {
    "_quickReplies": _choices("quickReplies"),
    "_buttons": _choices("buttons"),
    **{f"_{kind}": _default_media(kind) for kind in MEDIA},
    "_list": _list,
    "_gallery": _gallery,
    "_adaptiveCard": lambda about: adaptive(about.get("adaptiveCard")),
}


def _messenger(payload: dict[str, Any]) -> Reading | None:
    """Read Messenger templates, which `_webchat` and its like have."""
    message = as_dict(payload.get("message"))
    attachment = as_dict(message.get("attachment"))
    template, text = as_dict(attachment.get("payload")), as_text(message.get("text"))
    kind = only_text(template.get("template_type"))
    if options := _buttons(message.get("quick_replies")):
        return _reading("choices", Choices(options, text))
    if kind == "button":
        return _choices("buttons")(template)
    if text:
        return Reading("text", text, Text(text))
    for media in MEDIA:
        if attachment.get("type") == media:
            options = _buttons(template.get("buttons"))
            shown = Media(media, _address(template.get("url")), _of(template, "altText"), options=options)
            return _reading(media, shown)
    cards, below = _cards(template.get("elements")), _buttons(template.get("buttons"))
    if kind == "list" and (cards or below):
        return _reading("list", Cards(cards, "list", options=below))
    if kind == "generic" and cards:
        return _reading("carousel", Cards(cards))
    return adaptive(payload.get("adaptiveCard"))


# What is no channel's


def _event(about: dict[str, Any]) -> Reading | None:
    """Read what happens around a handover: it is no message."""
    payload = as_dict(about.get("payload"))
    match about.get("type"):
        case "queueUpdate":
            position, wait = payload.get("position"), payload.get("estimatedWaitTime")
            said = f"position {position} in the queue"
            if isinstance(wait, int | float) and wait > 0:
                said += f", about {wait / 1000:.0f} s" if wait < 60_000 else f", about {wait / 60_000:.0f} min"  # noqa: PLR2004
            return Reading("queue", only_text(payload.get("alternativeText")) or said)
        case "liveAgentEvent":
            who, what = only_text(payload.get("agentName")) or "an agent", only_text(payload.get("action"))
            return Reading("handler", only_text(payload.get("text")) or f"{who} {what or 'is here'}")
        case str(kind):
            return Reading("custom", kind, Custom(kind, about.get("payload")))
        case _:
            return None


def _plugin(plugin: dict[str, Any], text: str) -> Reading | None:
    kind, data = only_text(plugin.get("type")), as_dict(plugin.get("data"))
    match kind:
        case "":
            return None
        case "date-picker":
            return _reading("date_picker", Custom(kind, data, text=text or only_text(data.get("eventName"))))
        case "adaptivecards":
            return adaptive(plugin.get("payload") or data) or _reading("custom", Custom(kind, data, text=text))
        case "x-app" if address := _address(data.get("url") or plugin.get("url")):
            return _reading("custom", Custom(kind, plugin.get("data"), (Choice("Open", url=address),), text=text))
        case _:
            return _reading("custom", Custom(kind, plugin.get("data"), text=text))


def _attachments(attached: list[dict[str, Any]], text: str) -> Reading:
    files = [_file(item) for item in attached]
    if len(files) == 1 and not text:
        return _reading(files[0].kind, files[0])
    cards = tuple(
        Card(file.text, image=file.url if file.kind == "image" else None, url=file.url, text="") for file in files
    )
    return _reading("file", Cards(cards, "list", text))


def _file(item: dict[str, Any]) -> Media:
    name, kind = _of(item, "fileName") or "file", _of(item, "mimeType").partition("/")[0]
    media: Literal["image", "audio", "video", "file"] = "file"
    for known in MEDIA:
        if kind == known:
            media = known
    if item.get("status") == "infected":
        return Media("file", None, f"{name} (infected)")
    return Media(media, _address(item.get("url")), name)


# Adaptive cards

SUBMITS = ("Action.Submit", "Action.Execute")


def adaptive(card: Any) -> Reading | None:
    """Read an adaptive card: its words, and its actions as buttons."""
    if not (card := as_dict(card)):
        return None
    text = _lines(*_card_words(card)) or _of(card, "fallbackText", "speak")
    options = []
    for action in _parts(card, "actions"):
        title = only_text(action.get("title")) or "Submit"
        if action.get("type") == "Action.OpenUrl":
            options.append(Choice(title, url=_address(action.get("url"))))
        elif action.get("type") in SUBMITS:
            options.append(Choice(title, submission(card, {}, title)))
    return _reading("adaptive", Custom("adaptive card", card, tuple(options), text=text))


def submits(card: dict[str, Any]) -> list[str]:
    """Return the titles of the buttons that submit a card."""
    actions = (a for a in _parts(card, "actions") if a.get("type") in SUBMITS)
    return [only_text(action.get("title")) or "Submit" for action in actions]


def submission(card: dict[str, Any], values: dict[str, Any], title: str | None = None) -> dict[str, Any]:
    """Return what submitting a card sends: its inputs' values, the given ones before the card's, and the action's data.

    `title` names the action; without it, it is the first.
    """
    offered = [a for a in _parts(card, "actions") if a.get("type") in SUBMITS]
    action = next((a for a in offered if title in (None, only_text(a.get("title")) or "Submit")), {})
    inputs = {
        item["id"]: item["value"]
        for item in _parts(card, "body")
        if only_text(item.get("type")).startswith("Input.") and only_text(item.get("id")) and item.get("value")
    }
    processed = {**as_dict(action.get("data")), **inputs, **values}
    return {"text": "", "data": {"adaptivecards": processed, "request": {"value": processed}}}


NESTED = ("body", "items", "columns", "rows", "cells", "actions", "card", "inlines", "selectAction")


def _parts(item: dict[str, Any], *under: str) -> Iterator[dict[str, Any]]:
    """Return the parts of a card below some of its fields, in the order of reading."""
    for name in under:
        below = item.get(name)
        for part in below if isinstance(below, list) else [below]:
            if isinstance(part, dict):
                yield part
                yield from _parts(part, *NESTED)


def _card_words(card: dict[str, Any]) -> Iterator[str]:
    for part in _parts(card, "body"):
        kind = only_text(part.get("type"))
        if kind in ("TextBlock", "TextRun") or kind.startswith("Input."):
            yield _of(part, "text", "label", "title", "placeholder")
        for fact in map(as_dict, as_list(part.get("facts"))):
            yield f"{only_text(fact.get('title'))} {only_text(fact.get('value'))}".strip()
