"""Reading: what a trace of `action.trace` says. One reader a type, in `READERS`; an unknown type is a custom action.

Sources: the vendor's trace types page, its older DM API for `card` and `choices`, its runtime for `completion-*`,
`knowledgeBase`, `goto` and `entity-filling`. Nothing here raises: what cannot be read is left out.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from socketnb.model.content import Card, Cards, Choice, Choices, Content, Custom, Delta, Media, Text
from socketnb.model.json import as_dict, as_list, as_text

if TYPE_CHECKING:
    from collections.abc import Callable


LATEST = 9e9
"""Seconds since 1970, in 2255: larger numbers are milliseconds, and nanoseconds still fit into 64 bits."""


class Reading(NamedTuple):
    """What a trace says: its kind, its words, its content, and where in the project it came from."""

    kind: str
    text: str | None = None
    content: Content | None = None
    node: str | None = None
    intent: str | None = None


def read(trace: dict[str, Any], message_id: str = "") -> Reading:
    """Read one trace; a streamed piece belongs to the stream of its messageID.

    A type that is not known is content of kind `custom`: custom actions bring their own.
    """
    kind, payload = str(trace["type"]), as_dict(trace.get("payload"))
    reader = READERS.get(kind)
    try:
        reading = reader(payload) if reader else _custom(kind, trace)
    except RecursionError:  # a rich text nested deeper than anybody can read
        reading = _custom(kind, trace)
    if isinstance(piece := reading.content, Delta) and message_id:
        reading = reading._replace(content=replace(piece, stream=f"{piece.stream} {message_id}"))
    return reading if reading.node else reading._replace(node=_node(payload.get("ref")))


def time_of(trace: dict[str, Any]) -> int | None:
    """Return a trace's `time` in nanoseconds: the vendor's samples have it in seconds and in milliseconds."""
    time = trace.get("time")
    if isinstance(time, bool) or not isinstance(time, int | float) or not 0 < time < LATEST * 1000:
        return None
    return int(time * (10**9 if time < LATEST else 10**6))


def slate(rich: Any) -> str:
    """Join the words of a rich text: a tree of nodes with `children`, whose leaves have `text`, a line a node."""

    def words(node: Any) -> str:
        node = as_dict(node)
        return as_text(node.get("text")) + "".join(map(words, as_list(node.get("children"))))

    return "\n".join(map(words, as_list(as_dict(rich).get("content")))).strip()


def buttons(offered: Any) -> tuple[Choice, ...]:
    """Read buttons: `{name, request}`; one without a request, or that only opens a page, cannot be pressed."""
    options = []
    for button in map(as_dict, as_list(offered)):
        request, name = as_dict(button.get("request")), as_text(button.get("name"))
        label = name or as_text(as_dict(request.get("payload")).get("label"))
        if label and request.get("type"):
            options.append(Choice(label, request, _opens(request)))
    return tuple(options)


def _opens(request: dict[str, Any]) -> str | None:
    """Return the page that a request opens, if that is what it does (action `open_url`)."""
    for action in map(as_dict, as_list(as_dict(request.get("payload")).get("actions"))):
        if action.get("type") == "open_url":
            return as_text(as_dict(action.get("payload")).get("url")) or None
    return None


def _node(ref: Any) -> str | None:
    """Return where in the project a trace came from: newer payloads have a `ref` of several kinds."""
    ref = as_dict(ref)
    names = ("name", "nodeID", "id", "agentID", "functionID", "promptID")
    return next((ref[name] for name in names if isinstance(ref.get(name), str) and ref[name]), None)


def _labels(options: tuple[Choice, ...]) -> str:
    return " ".join(f"[{option.label}]" for option in options)


def _text(payload: dict[str, Any]) -> Reading:
    message = payload.get("message")
    words = message if isinstance(message, str) else slate(payload.get("slate"))
    return Reading("text", words, Text(words))


AUDIO_TAG = re.compile(r"""<audio\s+src=["']([^"']+)["']\s*/?>""")


def _speak(payload: dict[str, Any]) -> Reading:
    message, source = as_text(payload.get("message")), as_text(payload.get("src"))
    if tag := AUDIO_TAG.search(message):
        source = source or tag[1]
    words = AUDIO_TAG.sub("", message).strip()
    return Reading("speak", words, Media("audio", source, words) if source else Text(words))


def _visual(payload: dict[str, Any]) -> Reading:
    image = as_text(payload.get("image"))
    return Reading("visual", None, Media("image", image) if image else Custom("visual", payload))


def _choice(payload: dict[str, Any]) -> Reading:
    options = buttons(payload.get("buttons")) or _legacy_choices(payload.get("choices"))
    return Reading("choices", _labels(options), Choices(options))


def _legacy_choices(offered: Any) -> tuple[Choice, ...]:
    """Read the older `{name, intent?}`: pressing sends the intent, or the name as a text."""
    options = []
    for choice in map(as_dict, as_list(offered)):
        name, intent = as_text(choice.get("name")), choice.get("intent")
        intent = as_text(as_dict(intent).get("name")) or as_text(intent)
        if name and intent:
            payload = {"intent": {"name": intent}, "query": name, "entities": []}
            options.append(Choice(name, {"type": "intent", "payload": payload}))
        elif name:
            options.append(Choice(name, {"type": "text", "payload": name}))
    return tuple(options)


def _card_of(card: dict[str, Any]) -> Card:
    described = card.get("description")
    text = as_text(described) or as_text(as_dict(described).get("text")) or slate(as_dict(described).get("slate"))
    image = as_text(card.get("imageUrl")) or None
    return Card(as_text(card.get("title")), text, image, buttons(card.get("buttons")))


def _words(card: Card) -> str:
    return "\n".join(part for part in (card.title, card.text, _labels(card.options)) if part)


def _card_v2(payload: dict[str, Any]) -> Reading:
    card = _card_of(payload)
    return Reading("card", _words(card), card)


def _card(payload: dict[str, Any]) -> Reading:
    pictures = as_dict(payload.get("image"))
    image = as_text(pictures.get("largeImageUrl")) or as_text(pictures.get("smallImageUrl")) or None
    card = Card(as_text(payload.get("title")), as_text(payload.get("text")), image, buttons(payload.get("buttons")))
    return Reading("card", _words(card), card)


def _carousel(payload: dict[str, Any]) -> Reading:
    cards = tuple(_card_of(card) for card in map(as_dict, as_list(payload.get("cards"))))
    if as_text(payload.get("layout")).casefold() == "list":
        return Reading("list", "\n".join(map(_words, cards)), Cards(cards, "list"))
    return Reading("carousel", "\n".join(map(_words, cards)), Cards(cards, "carousel"))


def _completion(payload: dict[str, Any]) -> Reading:
    state, piece = payload.get("state"), as_text(payload.get("content"))
    return Reading("delta", piece, Delta("completion", piece, first=state == "start", last=state == "end"))


def _older_completion(first: bool = False, last: bool = False) -> Callable[[dict[str, Any]], Reading]:  # noqa: FBT001, FBT002
    def reader(payload: dict[str, Any]) -> Reading:
        piece = as_text(payload.get("completion"))
        return Reading("delta", piece, Delta("completion", piece, first=first, last=last))

    return reader


def _audio(payload: dict[str, Any]) -> Reading:
    """Read a chunk of sound. The vendor does not publish the chunk's field name: the likely ones are tried."""
    state = payload.get("state")
    names = ("content", "audio", "chunk", "data")
    chunk = next((payload[name] for name in names if isinstance(payload.get(name), str)), "")
    try:
        sound = base64.b64decode(chunk + "=" * (-len(chunk) % 4), validate=True)
    except (binascii.Error, ValueError):
        sound = b""
    encoding = as_text(payload.get("encoding")) or None
    delta = Delta("audio", sound=sound, encoding=encoding, first=state == "start", last=state == "end")
    return Reading("delta", None, delta)


def _no_reply(payload: dict[str, Any]) -> Reading:
    return Reading("no_reply", f"the bot goes on by itself after {payload.get('timeout')} s")


MATCHED = re.compile(r"matched intent \*\*(.+?)\*\*")


def _debug(payload: dict[str, Any]) -> Reading:
    message = as_text(payload.get("message"))
    intent = MATCHED.search(message)
    return Reading("debug", message, intent=intent[1] if intent else None)


def _log(payload: dict[str, Any]) -> Reading:
    about = as_dict(payload.get("message"))
    said = " ".join(part for part in (as_text(payload.get("kind")), as_text(payload.get("level"))) if part)
    return Reading("log", said, node=as_text(about.get("stepID")) or as_text(about.get("nodeID")) or None)


def _block(payload: dict[str, Any]) -> Reading:
    return Reading("block", node=as_text(payload.get("blockID")) or None)


def _flow(payload: dict[str, Any]) -> Reading:
    name, diagram = as_text(payload.get("name")), as_text(payload.get("diagramID"))
    return Reading("flow", name or diagram, node=name or diagram or None)


def _path(payload: dict[str, Any]) -> Reading:
    path = as_text(payload.get("path"))
    return Reading("path", path, node=path or None)


def _goto(payload: dict[str, Any]) -> Reading:
    request = as_dict(payload.get("request"))
    return Reading("path", f"goes on with {as_text(request.get('type'))}", intent=_intent(request))


def _intent(request: Any) -> str | None:
    """Return the intent's name, of an intent request or a bare name."""
    payload = as_dict(as_dict(request).get("payload"))
    name = as_dict(payload.get("intent")).get("name") or as_dict(request).get("name") or request
    return name if isinstance(name, str) and name else None


def _entity_filling(payload: dict[str, Any]) -> Reading:
    entity = as_text(payload.get("entityToFill"))
    return Reading("debug", f"asks for {entity}", intent=_intent(payload.get("intent")))


def _stream(payload: dict[str, Any]) -> Reading:
    """Read an audio player's step: LOOP and PLAY start a sound, PAUSE and END only stop one."""
    action, title = as_text(payload.get("action")), as_text(payload.get("title"))
    if action in ("PAUSE", "END") or not as_text(payload.get("src")):
        return Reading("status", action or "stream")
    return Reading("audio", title, Media("audio", as_text(payload.get("src")), title))


def _knowledge(payload: dict[str, Any]) -> Reading:
    """Read either shape: the runtime's (`chunks`, `query`) or the FAQ's (`faqQuestion`, `faqAnswer`)."""
    output = as_text(as_dict(payload.get("query")).get("output"))
    answer = as_text(payload.get("faqAnswer")) or as_text(payload.get("message"))
    return Reading("knowledge", output or answer or None)


def _channel_action(payload: dict[str, Any]) -> Reading:
    name = as_text(payload.get("name")) or "channel-action"
    return Reading("custom", name, Custom(name, payload.get("payload")))


def _custom(name: str, trace: dict[str, Any]) -> Reading:
    """Read a custom action: any name, any payload; each of its paths may be taken by its event's type."""
    ways = [
        (as_text(as_dict(path.get("event")).get("type")), path) for path in map(as_dict, as_list(trace.get("paths")))
    ]
    paths = tuple(Choice(as_text(path.get("label")) or kind, {"type": kind}) for kind, path in ways if kind)
    default = trace.get("defaultPath")
    default = default if isinstance(default, int) and 0 <= default < len(ways) else None
    return Reading("custom", name, Custom(name, trace.get("payload"), paths, default))


READERS: dict[str, Callable[[dict[str, Any]], Reading]] = {
    "text": _text,
    "speak": _speak,
    "visual": _visual,
    "choice": _choice,
    "cardV2": _card_v2,
    "card": _card,
    "carousel": _carousel,
    "completion": _completion,
    "completion-start": _older_completion(first=True),
    "completion-continue": _older_completion(),
    "completion-end": _older_completion(last=True),
    "audio": _audio,
    "no-reply": _no_reply,
    "end": lambda _: Reading("ended", "the bot ended the conversation"),
    "debug": _debug,
    "log": _log,
    "block": _block,
    "flow": _flow,
    "path": _path,
    "goto": _goto,
    "entity-filling": _entity_filling,
    "stream": _stream,
    "channel-action": _channel_action,
    "knowledgeBase": _knowledge,
}
