"""Parsing of the traces in `action.trace`. `READERS` has one parser per type; an unknown type is a custom action.

Sources: the vendor's trace types page, its older DM API for `card` and `choices`, its runtime for `completion-*`,
`knowledgeBase`, `goto` and `entity-filling`. No function here raises an error: unreadable parts are omitted.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from socketnb.dialects.sound import ENCODINGS
from socketnb.dialects.ssml import ssml_words
from socketnb.model.content import Card, Cards, Choice, Choices, Content, Custom, Delta, Media, Text
from socketnb.model.json import Json, JsonObject, JsonObjectOut, as_dict, as_list, as_text

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SECONDS = 9e9
"""The year 2255 in seconds since 1970. Larger times are in milliseconds. Both fit into 64 bits as nanoseconds."""


AGENT_MESSAGE = "live-agent-message"
"""The event with a message of a live agent, in the protocol of the vendor's web widget."""


class ParsedTrace(NamedTuple):
    """A parsed trace: its kind and text, its displayable content, its node, its intent and its error.

    A node is named by its id: of a step, a block, or else a diagram.
    """

    kind: str
    text: str | None = None
    content: Content | None = None
    node: str | None = None
    intent: str | None = None
    error: str | None = None

    @property
    def is_failure(self) -> bool:
        """Whether the trace reports that the bot failed. An unreadable trace is an error, but the bot may continue."""
        return self.kind == "error" and self.text is not None


def parse_trace(trace: JsonObject, message_id: str = "") -> ParsedTrace:
    """Parse one trace. A piece of a stream belongs to the stream of its messageID.

    An unknown type is a custom action. Its content has the kind `custom`.
    """
    kind, payload = str(trace["type"]), as_dict(trace.get("payload"))
    reader = READERS.get(kind)
    try:
        parsed = reader(payload) if reader else _custom(kind, trace)
    except RecursionError:  # a rich text that is nested too deeply
        parsed = _custom(kind, trace)
    if isinstance(piece := parsed.content, Delta) and message_id:
        parsed = parsed._replace(content=replace(piece, stream=f"{piece.stream} {message_id}"))
    return parsed if parsed.node else parsed._replace(node=_node(payload.get("ref")))


def time_of(trace: JsonObject) -> int | None:
    """Return the `time` of a trace in nanoseconds. In the vendor's samples it is in seconds or in milliseconds."""
    time = trace.get("time")
    if isinstance(time, bool) or not isinstance(time, int | float) or not 0 < time < MAX_SECONDS * 1000:
        return None
    return int(time * (10**9 if time < MAX_SECONDS else 10**6))


def slate(rich_text: Json) -> str:
    """Return the text of a rich text: a tree of nodes with `children`, whose leaves have `text`; one line per node."""

    def words(value: Json) -> str:
        node = as_dict(value)
        return as_text(node.get("text")) + "".join(map(words, as_list(node.get("children"))))

    return "\n".join(map(words, as_list(as_dict(rich_text).get("content")))).strip()


def buttons(value: Json) -> tuple[Choice, ...]:
    """Parse buttons: `{name, request}`. Buttons without a request are omitted."""
    options = []
    for button in map(as_dict, as_list(value)):
        request, name = as_dict(button.get("request")), as_text(button.get("name"))
        label = name or as_text(as_dict(request.get("payload")).get("label"))
        if label and request.get("type"):
            options.append(Choice(label, request, _opens(request)))
    return tuple(options)


def _opens(request: JsonObject) -> str | None:
    """Return the page that a request opens (action `open_url`), or None."""
    for action in map(as_dict, as_list(as_dict(request.get("payload")).get("actions"))):
        if action.get("type") == "open_url":
            return as_text(as_dict(action.get("payload")).get("url")) or None
    return None


def _node(value: Json) -> str | None:
    """Return the node of a trace. In newer payloads it is in a `ref`, which has several formats."""
    ref = as_dict(value)
    names = ("nodeID", "id", "agentID", "functionID", "promptID", "name")
    return next((text for name in names if (text := as_text(ref.get(name)))), None)


def _labels(options: tuple[Choice, ...]) -> str:
    return " ".join(f"[{option.label}]" for option in options)


def _text(payload: JsonObject) -> ParsedTrace:
    message = payload.get("message")
    words = message if isinstance(message, str) else slate(payload.get("slate"))
    return ParsedTrace("text", words, Text(words))


AUDIO_TAG = re.compile(r"""<audio\s+src=["']([^"']+)["']\s*/?>""")


def _speak(payload: JsonObject) -> ParsedTrace:
    message, source = as_text(payload.get("message")), as_text(payload.get("src"))
    if tag := AUDIO_TAG.search(message):
        source = source or tag[1]
    words = ssml_words(AUDIO_TAG.sub("", message))
    return ParsedTrace("speak", words, Media("audio", source, words) if source else Text(words))


def _visual(payload: JsonObject) -> ParsedTrace:
    image = as_text(payload.get("image"))
    return ParsedTrace("visual", None, Media("image", image) if image else Custom("visual", payload))


def _choice(payload: JsonObject) -> ParsedTrace:
    options = buttons(payload.get("buttons")) or _legacy_choices(payload.get("choices"))
    return ParsedTrace("choices", _labels(options), Choices(options))


def _legacy_choices(value: Json) -> tuple[Choice, ...]:
    """Parse buttons in the older format `{name, intent?}`. Pressing one sends the intent, or the name as a text."""
    options = []
    for choice in map(as_dict, as_list(value)):
        name, intent = as_text(choice.get("name")), choice.get("intent")
        intent = as_text(as_dict(intent).get("name")) or as_text(intent)
        if name and intent:
            payload: JsonObjectOut = {"intent": {"name": intent}, "query": name, "entities": []}
            options.append(Choice(name, {"type": "intent", "payload": payload}))
        elif name:
            options.append(Choice(name, {"type": "text", "payload": name}))
    return tuple(options)


def _card_of(card: JsonObject) -> Card:
    description = card.get("description")
    fields = as_dict(description)
    text = as_text(description) or as_text(fields.get("text")) or slate(fields.get("slate"))
    image = as_text(card.get("imageUrl")) or None
    return Card(as_text(card.get("title")), text, image, buttons(card.get("buttons")))


def _words(card: Card) -> str:
    return "\n".join(part for part in (card.title, card.text, _labels(card.options)) if part)


def _card_v2(payload: JsonObject) -> ParsedTrace:
    card = _card_of(payload)
    return ParsedTrace("card", _words(card), card)


def _card(payload: JsonObject) -> ParsedTrace:
    images = as_dict(payload.get("image"))
    image = as_text(images.get("largeImageUrl")) or as_text(images.get("smallImageUrl")) or None
    card = Card(as_text(payload.get("title")), as_text(payload.get("text")), image, buttons(payload.get("buttons")))
    return ParsedTrace("card", _words(card), card)


def _carousel(payload: JsonObject) -> ParsedTrace:
    cards = tuple(_card_of(card) for card in map(as_dict, as_list(payload.get("cards"))))
    if as_text(payload.get("layout")).casefold() == "list":
        return ParsedTrace("list", "\n".join(map(_words, cards)), Cards(cards, "list"))
    return ParsedTrace("carousel", "\n".join(map(_words, cards)), Cards(cards, "carousel"))


def _completion(payload: JsonObject) -> ParsedTrace:
    state, piece = payload.get("state"), as_text(payload.get("content"))
    return ParsedTrace("delta", piece, Delta("completion", piece, first=state == "start", last=state == "end"))


def _older_completion(*, first: bool = False, last: bool = False) -> Callable[[JsonObject], ParsedTrace]:
    def reader(payload: JsonObject) -> ParsedTrace:
        piece = as_text(payload.get("completion"))
        return ParsedTrace("delta", piece, Delta("completion", piece, first=first, last=last))

    return reader


def _audio(payload: JsonObject) -> ParsedTrace:
    """Parse a chunk of sound: bytes, or base64. The vendor does not document its field name: likely ones are tried."""
    state = payload.get("state")
    encoding = as_text(payload.get("encoding")) or None
    if encoding and encoding not in ENCODINGS:
        return _unreadable_sound(f"unknown encoding {encoding!r}")
    names = ("content", "audio", "chunk", "data")
    value = next((value for name in names if (value := payload.get(name)) is not None), "")
    chunk = as_dict(value).get("base64", value)
    if not isinstance(chunk, str):
        return _unreadable_sound("the sound is neither bytes nor base64")
    try:
        sound = base64.b64decode(chunk + "=" * (-len(chunk) % 4), validate=True)
    except (binascii.Error, ValueError):
        return _unreadable_sound("the sound is not base64")
    delta = Delta("audio", sound=sound, encoding=encoding, first=state == "start", last=state == "end")
    return ParsedTrace("delta", None, delta)


def _unreadable_sound(problem: str) -> ParsedTrace:
    return ParsedTrace("error", error=f"audio chunk: {problem}")


def _no_reply(payload: JsonObject) -> ParsedTrace:
    return ParsedTrace("no_reply", f"the bot continues after {payload.get('timeout')} s without a reply")


MATCHED = re.compile(r"matched intent \*\*(.+?)\*\*(?:.*?_([\d.]+)%_)?")
FAILURES = ("An internal error occurred", "ERROR: turn timeout")
"""How the runtime's reports of its own failure begin, in debug traces."""


def _debug(payload: JsonObject) -> ParsedTrace:
    message = as_text(payload.get("message"))
    if message.startswith(FAILURES):
        return ParsedTrace("error", message, error=message)
    intent = MATCHED.search(message)
    return ParsedTrace("debug", message, intent=intent[1] if intent else None)


def _log(payload: JsonObject) -> ParsedTrace:
    message = as_dict(payload.get("message"))
    text = " ".join(part for part in (as_text(payload.get("kind")), as_text(payload.get("level"))) if part)
    return ParsedTrace("log", text, node=as_text(message.get("stepID")) or as_text(message.get("nodeID")) or None)


def _block(payload: JsonObject) -> ParsedTrace:
    return ParsedTrace("block", node=as_text(payload.get("blockID")) or None)


def _flow(payload: JsonObject) -> ParsedTrace:
    name, diagram = as_text(payload.get("name")), as_text(payload.get("diagramID"))
    return ParsedTrace("flow", name or diagram, node=diagram or name or None)


def _path(payload: JsonObject) -> ParsedTrace:
    path = as_text(payload.get("path"))
    return ParsedTrace("path", path)


def _goto(payload: JsonObject) -> ParsedTrace:
    request = as_dict(payload.get("request"))
    return ParsedTrace("path", f"continues with {as_text(request.get('type'))}", intent=_intent(request))


def _intent(request: Json) -> str | None:
    """Return the name of the intent in an intent request. A string is returned as the name."""
    payload = as_dict(as_dict(request).get("payload"))
    name = as_dict(payload.get("intent")).get("name") or as_dict(request).get("name") or request
    return name if isinstance(name, str) and name else None


def _entity_filling(payload: JsonObject) -> ParsedTrace:
    entity = as_text(payload.get("entityToFill"))
    return ParsedTrace("debug", f"asks for {entity}", intent=_intent(payload.get("intent")))


def _stream(payload: JsonObject) -> ParsedTrace:
    """Parse a step of the audio player. LOOP and PLAY start a sound; PAUSE and END stop it."""
    action, title = as_text(payload.get("action")), as_text(payload.get("title"))
    if action in ("PAUSE", "END") or not as_text(payload.get("src")):
        return ParsedTrace("status", action or "stream")
    return ParsedTrace("audio", title, Media("audio", as_text(payload.get("src")), title))


def _knowledge(payload: JsonObject) -> ParsedTrace:
    """Parse an answer in the runtime's format (`chunks`, `query`) or in the FAQ format (`faqQuestion`, `faqAnswer`)."""
    output = as_text(as_dict(payload.get("query")).get("output"))
    answer = as_text(payload.get("faqAnswer")) or as_text(payload.get("message"))
    return ParsedTrace("knowledge", output or answer or None)


def parse_agent_message(payload: object) -> str:
    """Return the text of a message of a live agent, or an empty one. The vendor does not document its fields."""
    fields = as_dict(payload)
    texts = (fields.get("message"), fields.get("text"), as_dict(fields.get("payload")).get("message"), payload)
    return next((text for value in texts if (text := as_text(value))), "")


def parse_error(payload: Json) -> str:
    """Return the text of the event `error`, with its code."""
    fields = as_dict(payload)
    text, code = str(fields.get("error") or payload), fields.get("code")
    return f"{text} ({code})" if code else text


def _channel_action(payload: JsonObject) -> ParsedTrace:
    name = as_text(payload.get("name")) or "channel-action"
    return ParsedTrace("custom", name, Custom(name, payload.get("payload")))


def _custom(name: str, trace: JsonObject) -> ParsedTrace:
    """Parse a custom action with any name and payload. Sending the event type of a path selects the path."""
    options: list[Choice] = []
    default = None
    for number, path in enumerate(map(as_dict, as_list(trace.get("paths")))):
        if event := as_text(as_dict(path.get("event")).get("type")):
            if number == trace.get("defaultPath"):
                default = len(options)
            options.append(Choice(as_text(path.get("label")) or event, {"type": event}))
    return ParsedTrace("custom", name, Custom(name, trace.get("payload"), tuple(options), default))


READERS: dict[str, Callable[[JsonObject], ParsedTrace]] = {
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
    "end": lambda _: ParsedTrace("flow_ended", "the bot ended the conversation"),
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
"""Trace type → the parser of its payload."""
