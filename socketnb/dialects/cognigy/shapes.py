"""Shapes: what a flow shows, as the `data` of outputs, in the vendor's formats. `outputs.py` is the other direction."""

from __future__ import annotations

from typing import Any

from socketnb.model.content import (
    AgentSays,
    Card,
    Cards,
    Choice,
    Choices,
    Custom,
    Delta,
    Handover,
    Media,
    Queue,
    Step,
    Text,
)

FORMATS = {"default": "_default", "webchat": "_webchat", "facebook": "_facebook", "preview": "_defaultPreview"}
"""Option → key. The first is the AI default channel's format, the others are Messenger templates."""


def shape(step: Step, channel: str) -> dict[str, Any] | None:
    """Return `{text, data}` of the output for a step, in a channel's format, or None if nothing is shown of it."""
    match step:
        case Text(text):
            return {"text": text, "data": {}}
        case AgentSays(text, attachment):
            data = {"attachments": [attachment]} if attachment else {}
            return {"text": text, "data": data, "source": "agent"}
        case Delta(stream, text, last=last):
            about = {"_messageId": stream, **({"_finishReason": "stop"} if last else {})}
            return {"text": text, "data": {"_cognigy": about}} if text or last else None
        case Media("file", url, text):
            name = text or (url or "").rpartition("/")[2]
            return {"text": "", "data": {"attachments": [{"fileName": name, "url": url, "status": "scanned"}]}}
        case Queue(position, seconds):
            payload = {"position": position, "estimatedWaitTime": round(seconds * 1000), "alternativeText": ""}
            return _event("queueUpdate", payload)
        case Handover(agent):
            said = f"{agent} has joined" if agent else "the agent has left"
            return _event("liveAgentEvent", {"text": said, "action": "joined" if agent else "left", "agentName": agent})
        case Custom("adaptive card", payload):
            if channel == "_default":
                return _rich("_default", {"_adaptiveCard": {"type": "adaptiveCard", "adaptiveCard": payload}})
            return _rich(channel, {"adaptiveCard": payload})
        case Custom("adaptivecards" as name, payload, text=text):
            return {"text": text, "data": {"_plugin": {"type": name, "payload": payload}}}
        case Custom("x-app overlay", payload, text=text):
            return {"text": text, "data": {"_cognigy": {"_app": payload}}}
        case Custom(name, payload, text=text):
            return {"text": text, "data": {"_plugin": {"type": name, "data": payload}}}
        case Choices() | Media() | Card() | Cards():
            rich = _default(step) if channel == "_default" else {"message": _messenger(step)}
            return _rich(channel, rich)
        case _:
            return None


def _rich(channel: str, rich: dict[str, Any]) -> dict[str, Any]:
    return {"text": None, "data": {"_cognigy": {channel: rich}}}


def _event(kind: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {"text": None, "data": {"_cognigy": {"_webchat3": {"type": kind, "payload": payload}}}}


def payload_of(option: Choice) -> str:
    """Return what a button sends: what it was given, or its label."""
    if isinstance(option.request, dict):
        return str(option.request.get("text", option.label))
    return str(option.request or option.label)


def _button(option: Choice) -> dict[str, Any]:
    if option.url:
        if option.url.startswith("tel:"):
            return {"title": option.label, "type": "phone_number", "payload": option.url[4:]}
        return {"title": option.label, "type": "web_url", "url": option.url, "target": "_blank"}
    return {"title": option.label, "type": "postback", "payload": payload_of(option)}


def _buttons(options: tuple[Choice, ...]) -> list[dict[str, Any]]:
    return [{"id": n, **_button(option)} for n, option in enumerate(options, 1)]


# The AI default channel


def _default(step: Choices | Media | Card | Cards) -> dict[str, Any]:
    match step:
        case Choices(options, text) if any(option.url for option in options):
            return {"_buttons": {"type": "buttons", "text": text, "buttons": _buttons(options)}}
        case Choices(options, text):
            replies = [
                {"id": n, "title": o.label, "contentType": "postback", "payload": payload_of(o)}
                for n, o in enumerate(options, 1)
            ]
            return {"_quickReplies": {"type": "quick_replies", "text": text, "quickReplies": replies}}
        case Media(kind, url, text, options=options):
            buttons = {"buttons": _buttons(options)} if options else {}
            return {f"_{kind}": {"type": kind, f"{kind}Url": url, f"{kind}AltText": text, **buttons}}
        case Card():
            return _default(Cards((step,)))
        case Cards(cards, "list", options=below):
            items = [{**_item(n, card), "defaultActionUrl": card.url or ""} for n, card in enumerate(cards, 1)]
            button = {"button": {**_button(below[0]), "condition": ""}} if below else {}
            return {"_list": {"type": "list", "items": items, **button}}
        case Cards(cards, text=text):
            items = [_item(n, card) for n, card in enumerate(cards, 1)]
            return {"_gallery": {"type": "carousel", "items": items, "fallbackText": text}}


def _item(number: int, card: Card) -> dict[str, Any]:
    buttons = _buttons(card.options) or None
    return {"id": number, "title": card.title, "subtitle": card.text, "imageUrl": card.image or "", "buttons": buttons}


# Messenger templates


def _messenger(step: Choices | Media | Card | Cards) -> dict[str, Any]:
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
        case Cards(cards, "list", options=below):
            buttons = {"buttons": _buttons(below)} if below else {}
            return _template("list", elements=list(map(_element, cards)), top_element_style="compact", **buttons)
        case Cards(cards):
            return _template("generic", elements=list(map(_element, cards)))


def _template(kind: str, **payload: Any) -> dict[str, Any]:
    return {"attachment": {"type": "template", "payload": {"template_type": kind, **payload}}}


def _element(card: Card) -> dict[str, Any]:
    action = {"default_action": {"type": "web_url", "url": card.url}} if card.url else {}
    buttons = _buttons(card.options) or None
    return {"title": card.title, "subtitle": card.text, "image_url": card.image or "", "buttons": buttons, **action}
