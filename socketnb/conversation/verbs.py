"""Checks of the arguments of session methods before anything is sent: verbs, fields, buttons, files, timeouts."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from socketnb.dialects.messages import buttons, message
from socketnb.errors import ActionError, unknown
from socketnb.model.content import Choice
from socketnb.model.secret import MASK
from socketnb.settings import is_timeout

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from socketnb.dialects.base import Dialect, ReadContent
    from socketnb.model.actions import FieldValue
    from socketnb.model.json import JsonOut
    from socketnb.model.trace import Trace

MAX_OFFERS = 8
"""The number of traces with buttons that a session remembers."""


def check_timeout(timeout: float | None) -> None:
    """Check the timeout of a turn.

    Raises:
        ActionError: The timeout is neither None nor a number of seconds above 0.
    """
    if timeout is not None and not is_timeout(timeout):
        raise ActionError(f"timeout must be a number of seconds above 0, got {timeout!r}")


def check_fields(dialect: Dialect, verb: str, fields: Mapping[str, FieldValue]) -> dict[str, FieldValue]:
    """Check the fields of an action.

    Returns:
        The fields to send. File paths are absolute. A single text or object is accepted for a list, and digits for a
        whole number.

    Raises:
        ActionError: The platform has no such verb, a field is unknown, missing or of the wrong type, or JSON cannot
            represent it.
    """
    if verb not in list(dialect.verbs):
        raise ActionError(unknown(f"{dialect.name} verb", verb, dialect.verbs))
    known = {field.name: field for field in dialect.verbs[verb].fields}
    checked: dict[str, FieldValue] = {}
    for name, given in fields.items():
        if name not in known:
            raise ActionError(unknown(f"{verb} field", name, known))
        wanted = known[name].type
        value = _converted(given, wanted)
        if wanted is Path:
            checked[name] = _existing_file(verb, value)
        elif not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            got = type(value).__name__
            raise ActionError(f"{verb}: {name} must be of type {wanted.__name__}, got {got} (nothing was sent)")
        else:
            checked[name] = value
    try:
        values = {name: value for name, value in checked.items() if known[name].type is not Choice}
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ActionError(f"{verb}: the fields must be JSON values: {error} (nothing was sent)") from None
    if missing := [name for name, field in known.items() if field.required and name not in checked]:
        raise ActionError(f"{verb} needs {' and '.join(missing)} (nothing was sent)")
    return checked


def _converted(value: FieldValue, wanted: type) -> FieldValue:
    """Return a single text or object as a list, and digits as a whole number, if a field has that type."""
    if wanted is list and isinstance(value, str | dict):
        return [value]
    return int(value) if wanted is int and isinstance(value, str) and value.isdecimal() else value


def _existing_file(verb: str, value: object) -> str:
    """Return the absolute path of an existing file.

    Raises:
        ActionError: There is no such file.
    """
    try:
        path = Path(value).expanduser() if isinstance(value, str | Path) else None
        if path and path.is_file():
            return str(path.absolute())
    except (OSError, ValueError, RuntimeError):
        path = None
    raise ActionError(f"{verb} needs the path of an existing file, got {str(value)!r} (nothing was sent)")


def choices_of(traces: Iterable[Trace]) -> list[Choice]:
    """Return the buttons of the last trace that has buttons."""
    for trace in reversed(list(traces)):
        shown = message(trace)
        if shown and shown.choices:
            return list(shown.choices)
    return []


class OfferedButtons:
    """The buttons that the bot offered last.

    Traces are kept with their unmasked payloads, so that a button is sent exactly as the bot defined it.

    Args:
        session: The name of the session.
        read: Reads the content of an event.
    """

    def __init__(self, session: str, read: ReadContent) -> None:
        self._session = session
        self._read = read
        self._offers: deque[tuple[Trace, JsonOut]] = deque(maxlen=MAX_OFFERS)

    def add(self, trace: Trace, payload: JsonOut) -> None:
        """Keep a trace that may have buttons, with its unmasked payload."""
        self._offers.append((trace, payload))

    @property
    def choices(self) -> list[Choice]:
        """The buttons of the last message that has buttons."""
        return choices_of(trace for trace, _ in list(self._offers))

    def of_turn(self, turn: int) -> list[Choice]:
        """Return the buttons of the last message in a turn that has buttons."""
        return choices_of(trace for trace, _ in list(self._offers) if trace.turn == turn)

    def find(self, choice: FieldValue) -> Choice:
        """Return the button with this label or position (from 1). A `Choice` is returned as it is.

        Raises:
            ActionError: There is no such button, or the button sends nothing.
        """
        if isinstance(choice, Choice):
            if choice.request is None:
                raise ActionError(f"the button {choice.label!r} sends nothing: press a button that the bot offered")
            return choice
        if isinstance(choice, bool) or not isinstance(choice, str | int):
            raise ActionError(f"choice must be the label of a button, its position or a Choice, got {choice!r}")
        offered = self.choices
        if not offered:
            raise ActionError(f"{self._session}: no message has offered a button yet (nothing was sent)")
        if isinstance(choice, int):
            if not 1 <= choice <= len(offered):
                raise ActionError(f"there is no button {choice}: press 1 to {len(offered)} (nothing was sent)")
            return offered[choice - 1]
        label = choice.strip().casefold()
        for option in offered:
            if option.label.strip().casefold() == label:
                return option
        known = [option.label for option in offered]
        raise ActionError(f"{unknown('button', choice, known)} (nothing was sent)")

    def unmask(self, choice: Choice) -> Choice:
        """Return a button with its unmasked credentials. In traces and messages they are masked.

        Raises:
            ActionError: The credentials are no longer known.
        """
        for trace, payload in reversed(list(self._offers)):
            shown, content = message(trace), self._read(trace.event, payload)
            if shown and content and choice in shown.choices:
                return buttons(content)[shown.choices.index(choice)]
        if MASK.search(json.dumps(choice.request)):
            raise ActionError(f"the credential in the button {choice.label!r} is no longer known: press a newer button")
        return choice
