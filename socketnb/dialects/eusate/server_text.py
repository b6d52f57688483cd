"""The text that the simulator's bot sends for a step of the flow. A message of the helpdesk has no buttons or cards."""

from __future__ import annotations

from typing import TypeAlias, assert_never

from socketnb.model.content import Card, Cards, Choice, Choices, Custom, Media, Queue, Text

TextStep: TypeAlias = Text | Choices | Card | Cards | Media | Custom | Queue
"""A step that is sent as text."""


def text_of(step: TextStep) -> str:
    """Return the text of a step in Markdown: buttons become list items, links and media become links."""
    match step:
        case Text(text):
            return text
        case Choices(options, text):
            return "\n".join(filter(None, [text, *map(_option, options)]))
        case Card():
            return _card(step)
        case Cards(cards, text=text, options=options):
            return "\n\n".join(filter(None, [text, *map(_card, cards), *map(_option, options)]))
        case Media(_, url, text):
            return f"[{text or url}]({url})" if url and not url.startswith("data:") else text
        case Custom(name, text=text):
            return text or f"({name})"
        case Queue(position, seconds):
            return f"You are number {position} in the queue. The estimated wait is {seconds:.0f} s."
        case _:
            assert_never(step)


def _option(option: Choice) -> str:
    return f"• [{option.label}]({option.url})" if option.url else f"• {option.label}"


def _card(card: Card) -> str:
    title = f"**{card.title}**" if card.title else ""
    return "\n".join(filter(None, [title, card.text, *map(_option, card.options)]))
