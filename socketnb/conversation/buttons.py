"""The buttons that can be pressed: those of the last answered turn, and of unsolicited messages since."""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from socketnb.dialects.messages import OFFERS, buttons, message
from socketnb.errors import ActionError, unknown
from socketnb.model.content import Card, Cards, Choice, Content
from socketnb.model.json import as_dict, as_list, as_text
from socketnb.model.secret import MASK

if TYPE_CHECKING:
    from collections.abc import Callable

    from socketnb.dialects.base import ReadContent
    from socketnb.model.actions import FieldValue
    from socketnb.model.json import JsonObject, JsonOut
    from socketnb.model.trace import Trace

MAX_OFFERED = 1000
"""The maximum number of buttons that a session remembers, for the last turn and for older turns."""
MAX_NAMED = 5
"""The maximum number of buttons that an error names."""
MAX_SAVED_CHARS = 200_000
"""Buttons are not saved for a later kernel if their JSON is longer."""


@dataclass(frozen=True, slots=True)
class Button:
    """An offered button.

    Attributes:
        card: The title of its card; empty if it is on no card.
        choice: The button as it is shown, with masked credentials.
        request: The request as the bot sent it.
    """

    card: str
    choice: Choice
    request: JsonOut

    @property
    def name(self) -> str:
        """The label, after the title of the card if there is one."""
        return f"{self.card} / {self.choice.label}" if self.card else self.choice.label


class OfferedButtons:
    """The buttons of the last turn with an answer and of the unsolicited messages since, in order.

    Args:
        session: The name of the session.
        read: Reads the content of an event.
    """

    def __init__(self, session: str, read: ReadContent) -> None:
        self._session = session
        self._read = read
        self._turn = 0
        self._current: deque[Button] = deque(maxlen=MAX_OFFERED)
        self._older: deque[Button] = deque(maxlen=MAX_OFFERED)

    def add(self, trace: Trace, payload: JsonOut) -> None:
        """Add the buttons of a message. The first message of a newer turn replaces the buttons of the older turn.

        Args:
            trace: The trace of the message.
            payload: The payload with unmasked credentials, so that a button is sent exactly as the bot defined it.
        """
        if trace.is_reply and trace.turn > self._turn:
            self._turn = trace.turn
            self.clear()
        sent = buttons(self._read(trace.event, payload)) if trace.kind in OFFERS else ()
        if sent and (shown := message(trace)):
            cards = _cards(shown.content)
            requests = [option.request for option in sent]
            if len(cards) == len(shown.choices) == len(requests):
                self._current.extend(map(Button, cards, shown.choices, requests))

    def clear(self) -> None:
        """Move the buttons to those of older turns."""
        self._older.extend(self._current)
        self._current.clear()

    @property
    def choices(self) -> list[Choice]:
        """The buttons that can be pressed by label or position, in order."""
        return [button.choice for button in list(self._current)]

    @property
    def names(self) -> list[str]:
        """The text that presses each of `choices`: its label, or `card / label` if several have this label."""
        offered = list(self._current)
        labels = Counter(_key(button.choice.label) for button in offered)
        return [b.choice.label if labels[_key(b.choice.label)] == 1 else b.name for b in offered]

    def find(self, choice: FieldValue) -> Choice:
        """Return the button with this label, this `card / label`, or this position from 1.

        A `Choice` is returned as it is, also if it is from an older turn.

        Raises:
            ActionError: There is no such button, several buttons fit, or the button sends nothing.
        """
        if isinstance(choice, Choice):
            if choice.request is None:
                raise ActionError(f"the button {choice.label!r} sends nothing: press a button that the bot offered")
            return choice
        if isinstance(choice, bool) or not isinstance(choice, str | int):
            raise ActionError(f"choice must be the label of a button, its position or a Choice, got {choice!r}")
        offered = list(self._current)
        if isinstance(choice, str):
            return self._labelled(choice, offered).choice
        if not offered:
            raise ActionError(f"{self._session}: {self._none_offered} (nothing was sent)")
        if not 1 <= choice <= len(offered):
            raise ActionError(f"there is no button {choice}: press 1 to {len(offered)} (nothing was sent)")
        return offered[choice - 1].choice

    @property
    def _none_offered(self) -> str:
        return "the last turn offered no button" if self._older else "no message has offered a button yet"

    def _labelled(self, label: str, offered: list[Button]) -> Button:
        """Return the one button with this label or `card / label`.

        Raises:
            ActionError: No button or several buttons fit.
        """
        fits = _fitting(label, offered)
        if len({(button.choice.label, json.dumps(button.request)) for button in fits}) == 1:
            return fits[0]
        if fits:
            named = [f"{button.name!r} ({offered.index(button) + 1})" for button in fits[:MAX_NAMED]]
            more = f" or {len(fits) - MAX_NAMED:,} more" if len(fits) > MAX_NAMED else ""
            names = f"{', '.join(named[:-1])} or {named[-1]}{more}"
            how = "by name or position" if len({button.name for button in fits}) == len(fits) else "by position"
            raise ActionError(f"{len(fits)} buttons fit {label!r}: press {names}, {how} (nothing was sent)")
        if _fitting(label, list(self._older)):
            problem = f"the button {label!r} is from an older turn: pass the Choice itself, such as turn.choices[0]"
        elif offered:
            known = [button.name if "/" in label else button.choice.label for button in offered]
            problem = unknown("button", label, known)
        else:
            problem = f"{self._session}: {self._none_offered}"
        raise ActionError(f"{problem} (nothing was sent)")

    def unmask(self, choice: Choice) -> Choice:
        """Return a button with its unmasked credentials. In traces and messages they are masked.

        Raises:
            ActionError: The credentials are no longer known.
        """
        for button in [*reversed(self._current), *reversed(self._older)]:
            if button.choice == choice:
                return replace(choice, request=as_dict(button.request) or choice.request)
        if MASK.search(json.dumps(choice.request)):
            raise ActionError(f"the credential in the button {choice.label!r} is no longer known: press a newer button")
        return choice

    def dump(self) -> str:
        """Return the buttons as JSON for a later kernel; empty if there are none or they are too large."""
        rows = [[b.card, b.choice.label, b.request, b.choice.url] for b in self._current]
        text = json.dumps(rows)
        return text if rows and len(text) <= MAX_SAVED_CHARS else ""

    def restore(self, text: str, mask: Callable[[JsonOut], JsonObject]) -> None:
        """Offer the buttons of an earlier kernel.

        Args:
            text: The JSON that `dump` returned. Invalid JSON is ignored.
            mask: Masks the credentials in a request.
        """
        try:
            rows = as_list(json.loads(text or "[]"))
        except ValueError:
            return
        for row in map(as_list, rows):
            match row:
                case [str(card), str(label), request, None | str() as url]:
                    self._current.append(Button(card, Choice(label, mask(request), as_text(url) or None), request))
                case _:
                    pass


def _fitting(label: str, offered: list[Button]) -> list[Button]:
    """Return the buttons with this label, or with this `card / label` if there are none."""
    wanted = _key(label)
    by_label = [button for button in offered if _key(button.choice.label) == wanted]
    return by_label or [button for button in offered if button.card and _key(button.name) == wanted]


def _key(name: str) -> str:
    """Return a name in a form in which case, and spaces around a slash, do not count."""
    return "/".join(part.strip() for part in name.strip().casefold().split("/"))


def _cards(content: Content) -> list[str]:
    """Return the title of the card of each button that `messages.buttons` returns, or an empty one."""
    match content:
        case Card(title=title):
            return [title for _ in buttons(content)]
        case Cards(cards):
            titles = [card.title for card in cards for _ in buttons(card)]
            return titles + [""] * (len(buttons(content)) - len(titles))
        case _:
            return [""] * len(buttons(content))
