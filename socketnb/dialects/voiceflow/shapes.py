"""Encoding of a flow's steps as Voiceflow's traces. `traces.py` decodes them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, assert_never

from socketnb.dialects.sound import tone
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
from socketnb.model.json import JsonObject, JsonObjectOut, as_dict, as_text

if TYPE_CHECKING:
    from socketnb.dialects.base import NewId


class Shaper:
    """Encodes the steps of one session.

    Args:
        ids: Returns a new unique string at each call.
        config: The `config` of the client's `client.start`. It says whether the client wants streams in pieces and
            speech.

    Attributes:
        config: The current `config`. It changes with each link.
    """

    def __init__(self, ids: NewId, config: JsonObject) -> None:
        self.config = config
        self._ids = ids
        self._streamed = ""  # the text of a stream so far, for a client that did not request pieces

    def traces(self, step: Step) -> list[JsonObjectOut]:
        """Return the traces of a step, without times."""
        match step:
            case Delta():
                return self._stream(step)
            case Text(text):
                return [self._text(text), *self._sound(text)]
            case Choices(options, text):
                return [*self._caption(text), {"type": "choice", "payload": {"buttons": self._buttons(options)}}]
            case Card():
                return [{"type": "cardV2", "payload": self._card(step)}]
            case Cards(cards, layout, text, options):
                items = [{"id": self._ids(), **self._card(card)} for card in cards]
                carousel: JsonObjectOut = {"layout": layout.capitalize(), "cards": items}
                buttons = self.traces(Choices(options)) if options else []
                return [*self._caption(text), {"type": "carousel", "payload": carousel}, *buttons]
            case Media("image", url, text, options=options):
                image: JsonObjectOut = {"visualType": "image", "image": url, "device": None}
                buttons = self.traces(Choices(options)) if options else []
                return [*self._caption(text), {"type": "visual", "payload": image}, *buttons]
            case Media("audio", url, ""):
                return [{"type": "stream", "payload": {"src": url, "token": self._ids(), "action": "PLAY"}}]
            case Media("audio", url, text):
                return [{"type": "speak", "payload": {"type": "audio", "message": text, "src": url}}]
            case Media(_, url, text):  # no trace type for videos or files: bots send a link
                return [self._text(text if str(url).startswith("data:") else f"[{text or url}]({url})")]
            case Node(name):
                return [{"type": "block", "payload": {"blockID": name}}]
            case Typing() | Queue():  # this platform has no event for these steps
                return []
            case Handover(agent):
                return [{"type": "handover", "payload": {"agent": agent}}]
            case AgentSays(text, attachment):
                file = as_dict(attachment)
                link = f"[{as_text(file.get('name')) or file['url']}]({file['url']})" if file.get("url") else ""
                return [trace for words in (text, link) for trace in self._caption(words)]
            case Custom(name, payload, paths):
                events: list[JsonObjectOut] = [{"label": path.label, "event": {"type": path.label}} for path in paths]
                return [{"type": name, "payload": payload, **({"paths": events, "defaultPath": 0} if events else {})}]
            case End():
                return [{"type": "end", "payload": None}]
            case Raw():  # sent as given
                return []
            case _:
                assert_never(step)

    def rest(self) -> list[JsonObjectOut]:
        """Return the traces of an unfinished stream, and remove the stream."""
        text, self._streamed = self._streamed, ""
        return [self._text(text)] if text else []

    def _caption(self, text: str) -> list[JsonObjectOut]:
        """Return the traces of a text beside other content, which has no field for it. An empty text has none."""
        return self.traces(Text(text)) if text else []

    def _text(self, text: str) -> JsonObjectOut:
        slate: JsonObjectOut = {"id": self._ids(), "content": [{"children": [{"text": text}]}]}
        return {"type": "text", "payload": {"slate": slate, "message": text, "delay": 0}}

    def _buttons(self, options: tuple[Choice, ...]) -> list[JsonObjectOut]:
        return [{"name": o.label, "request": o.request or self._path(o)} for o in options]

    def _path(self, option: Choice) -> JsonObjectOut:
        opens: JsonObjectOut = {"actions": [{"type": "open_url", "payload": {"url": option.url}}]} if option.url else {}
        return {"type": f"path-{self._ids()}", "payload": {"label": option.label, **opens}}

    def _card(self, card: Card) -> JsonObjectOut:
        description: JsonObjectOut = {"text": card.text, "slate": [{"children": [{"text": card.text}]}]}
        buttons = self._buttons(card.options)
        return {"title": card.title, "description": description, "imageUrl": card.image, "buttons": buttons}

    def _stream(self, piece: Delta) -> list[JsonObjectOut]:
        """Return the trace of a piece or, if the client did not request pieces, of the whole text at the end."""
        if self.config.get("completionEvents") is not True:
            unfinished = self.rest() if piece.first else []  # the stream begins again
            self._streamed += piece.text
            if not piece.last:
                return unfinished
            text, self._streamed = self._streamed, ""
            return [*unfinished, *([self._text(text), *self._sound(text)] if text else [])]
        states = [state for state, is_set in (("start", piece.first), ("end", piece.last)) if is_set] or ["content"]
        texts = [piece.text, *[""] * (len(states) - 1)]
        return [
            {"type": "completion", "payload": {"state": state, **({"content": text} if text else {})}}
            for state, text in zip(states, texts, strict=True)
        ]

    def _sound(self, text: str) -> list[JsonObjectOut]:
        """Return a tone as long as the spoken text, in three chunks, if the client requested speech."""
        encoding = as_text(self.config.get("audioEncoding"))
        if self.config.get("audioEvents") is not True or not encoding:
            return []
        samples = tone(encoding, min(2.0, 0.2 * len(text.split())))
        third = len(samples) // 6 * 2 + 2
        chunks = [samples[at : at + third] for at in range(0, len(samples), third)]
        pieces = [{"state": "content", "content": base64.b64encode(chunk).decode()} for chunk in chunks]
        states = [{"state": "start", "messageID": self._ids()}, *pieces, {"state": "end"}]
        return [{"type": "audio", "payload": state} for state in states]
