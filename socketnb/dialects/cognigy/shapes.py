"""Encoding of a flow's steps as the `data` of outputs, in the vendor's formats. `outputs.py` decodes them."""

from __future__ import annotations

from typing import assert_never

from socketnb.model.content import (
    AgentSays,
    Card,
    Cards,
    Choice,
    Choices,
    Custom,
    Delta,
    End,
    Handover,
    Media,
    Node,
    Queue,
    Raw,
    Step,
    Text,
    Typing,
)
from socketnb.model.json import JsonObjectOut, JsonOut

FORMATS = {"default": "_default", "webchat": "_webchat", "facebook": "_facebook", "preview": "_defaultPreview"}
"""Option → key of the format. The first is the AI default channel's format; the others are Messenger templates."""


def shape(step: Step, channel: str) -> JsonObjectOut | None:
    """Return `{text, data}` of the output for a step in a channel's format, or None if the step sends no output."""
    match step:
        case Text(text):
            return {"text": text, "data": {}}
        case AgentSays(text, attachment):
            return {"text": text, "data": {"attachments": [attachment]} if attachment else {}, "source": "agent"}
        case Delta(stream, text, last=last):
            piece = {"_messageId": stream, **({"_finishReason": "stop"} if last else {})}
            return {"text": text, "data": {"_cognigy": piece}} if text or last else None
        case Media("file", url, text):
            name = text or (url or "").rpartition("/")[2]
            return {"text": "", "data": {"attachments": [{"fileName": name, "url": url, "status": "scanned"}]}}
        case Queue(position, seconds):
            wait_ms = round(seconds * 1000)
            return _event("queueUpdate", {"position": position, "estimatedWaitTime": wait_ms, "alternativeText": ""})
        case Handover(agent):
            text = f"{agent} has joined" if agent else "the agent has left"
            return _event("liveAgentEvent", {"text": text, "action": "joined" if agent else "left", "agentName": agent})
        case Custom(name, payload, text=text):
            return _custom(name, payload, text, channel)
        case Choices() | Media() | Card() | Cards():
            return _rich(channel, _default(step) if channel == "_default" else {"message": _messenger(step)})
        case Raw() | End() | Node() | Typing():
            return None
        case _:
            assert_never(step)


def _custom(name: str, payload: JsonOut, text: str, channel: str) -> JsonObjectOut:
    match name:
        case "adaptive card" if channel == "_default":
            return _rich("_default", {"_adaptiveCard": {"type": "adaptiveCard", "adaptiveCard": payload}})
        case "adaptive card":
            return _rich(channel, {"adaptiveCard": payload})
        case "adaptivecards":
            return {"text": text, "data": {"_plugin": {"type": name, "payload": payload}}}
        case "x-app overlay":
            return {"text": text, "data": {"_cognigy": {"_app": payload}}}
        case _:
            return {"text": text, "data": {"_plugin": {"type": name, "data": payload}}}


def _rich(channel: str, content: JsonObjectOut) -> JsonObjectOut:
    return {"text": None, "data": {"_cognigy": {channel: content}}}


def _event(kind: str, payload: JsonObjectOut) -> JsonObjectOut:
    return {"text": None, "data": {"_cognigy": {"_webchat3": {"type": kind, "payload": payload}}}}


def payload_of(option: Choice) -> str:
    """Return the payload of a button: its request, or its label if it has no request."""
    if isinstance(option.request, dict):
        return str(option.request.get("text", option.label))
    return str(option.request or option.label)


def _button(option: Choice) -> JsonObjectOut:
    if option.url and option.url.startswith("tel:"):
        return {"title": option.label, "type": "phone_number", "payload": option.url.removeprefix("tel:")}
    if option.url:
        return {"title": option.label, "type": "web_url", "url": option.url, "target": "_blank"}
    return {"title": option.label, "type": "postback", "payload": payload_of(option)}


def _buttons(options: tuple[Choice, ...]) -> list[JsonObjectOut]:
    return [{"id": n, **_button(option)} for n, option in enumerate(options, 1)]


# The AI default channel


def _default(step: Choices | Media | Card | Cards) -> JsonObjectOut:
    match step:
        case Choices(options, text) if any(option.url for option in options):
            return {"_buttons": {"type": "buttons", "text": text, "buttons": _buttons(options)}}
        case Choices(options, text):
            replies: list[JsonObjectOut] = [
                {"id": n, "title": option.label, "contentType": "postback", "payload": payload_of(option)}
                for n, option in enumerate(options, 1)
            ]
            return {"_quickReplies": {"type": "quick_replies", "text": text, "quickReplies": replies}}
        case Media(kind, url, text, options=options):
            buttons = {"buttons": _buttons(options)} if options else {}
            return {f"_{kind}": {"type": kind, f"{kind}Url": url, f"{kind}AltText": text, **buttons}}
        case Card():
            return _default(Cards((step,)))
        case Cards(cards, "list", options=options):
            items = [_list_item(n, card) for n, card in enumerate(cards, 1)]
            button = {"button": {**_button(options[0]), "condition": ""}} if options else {}
            return {"_list": {"type": "list", "items": items, **button}}
        case Cards(cards, text=text):
            items = [_item(n, card) for n, card in enumerate(cards, 1)]
            return {"_gallery": {"type": "carousel", "items": items, "fallbackText": text}}


def _item(number: int, card: Card) -> JsonObjectOut:
    buttons = _buttons(card.options) or None
    return {"id": number, "title": card.title, "subtitle": card.text, "imageUrl": card.image or "", "buttons": buttons}


def _list_item(number: int, card: Card) -> JsonObjectOut:
    return {**_item(number, card), "defaultActionUrl": card.url or ""}


# Messenger templates


def _messenger(step: Choices | Media | Card | Cards) -> JsonObjectOut:
    match step:
        case Choices(options, text) if any(option.url for option in options):
            return _template("button", text=text, buttons=_buttons(options))
        case Choices(options, text):
            replies = [{"content_type": "postback", "title": o.label, "payload": payload_of(o)} for o in options]
            return {"text": text, "quick_replies": replies}
        case Media(kind, url, text, options=options):
            buttons = {"buttons": _buttons(options)} if options else {}
            return {"attachment": {"type": kind, "payload": {"url": url, "altText": text, **buttons}}}
        case Card():
            return _messenger(Cards((step,)))
        case Cards(cards, "list", options=options):
            buttons = {"buttons": _buttons(options)} if options else {}
            return _template("list", elements=list(map(_element, cards)), top_element_style="compact", **buttons)
        case Cards(cards):
            return _template("generic", elements=list(map(_element, cards)))


def _template(kind: str, **payload: JsonOut) -> JsonObjectOut:
    return {"attachment": {"type": "template", "payload": {"template_type": kind, **payload}}}


def _element(card: Card) -> JsonObjectOut:
    action = {"default_action": {"type": "web_url", "url": card.url}} if card.url else {}
    buttons = _buttons(card.options) or None
    return {"title": card.title, "subtitle": card.text, "image_url": card.image or "", "buttons": buttons, **action}
