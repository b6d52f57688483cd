"""Actions of a user, verbs with their fields, settings, and the conversations of a session."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from socketnb.model.content import Choice
from socketnb.model.json import JsonObjectOut, JsonOut, as_text

FieldValue: TypeAlias = "Choice | Path | JsonOut"
"""A value of a field of an action: a button, the path of a file, or JSON."""


@dataclass(frozen=True, slots=True)
class Action:
    """One action of the user.

    Attributes:
        verb: A verb of the dialect.
        fields: The values of the fields by name.
        at_once: Whether to send the action without waiting for the end of the previous turn.
        conversation: The id of the conversation, "" for a new one, or None for the conversation used last.
    """

    verb: str
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    at_once: bool = False
    conversation: str | None = None

    @property
    def choice(self) -> Choice | None:
        """The pressed button, or None if the action presses no button."""
        choice = self.fields.get("choice")
        return choice if isinstance(choice, Choice) else None

    @property
    def request(self) -> JsonObjectOut:
        """The request of the button that is pressed, or an empty object."""
        return {} if self.choice is None or self.choice.request is None else self.choice.request

    @property
    def words(self) -> str:
        """What the user typed or pressed, for display; empty for an action without words, such as a launch."""
        if self.choice:
            return self.choice.label
        words = {name: value for name, value in self.fields.items() if name != "data" and not isinstance(value, bool)}
        if file := words.get("file"):
            words["file"] = Path(str(file)).name
        return " ".join(str(word) for word in words.values() if isinstance(word, str | int | float) and word != "")

    def text(self, name: str) -> str:
        """Return a field that is a text, or an empty one if the field is not set."""
        return as_text(self.fields.get(name))

    def json(self, name: str) -> JsonOut:
        """Return a field that is sent as JSON, or None if the field is not set."""
        value = self.fields.get(name)
        return None if isinstance(value, Choice | Path) else value


@dataclass(frozen=True, slots=True)
class Conversation:
    """One of the conversations of a session.

    Attributes:
        id: The platform's id of the conversation.
        handler: Who answers: `bot` or `agent`.
        agent: The agent's name, if an agent answers.
        unread: The number of unread messages.
        suggested: Whether the platform suggests to close the conversation.
        closed: Whether the conversation is closed.
    """

    id: str
    handler: Literal["bot", "agent"] = "bot"
    agent: str = ""
    unread: int = 0
    suggested: bool = False
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a verb.

    Attributes:
        name: The name of the field.
        type: The type of the values.
        required: Whether the field is required.
        long: Whether a form shows a text box with several lines for the field.
        stars: Whether a form shows stars from 1 to 5 for the field.
    """

    name: str
    type: type
    required: bool = True
    long: bool = False
    stars: bool = False


@dataclass(frozen=True, slots=True)
class Verb:
    """An action that a platform supports.

    Attributes:
        help: One line of help.
        fields: The fields in order.
        after_close: Whether the verb is offered after a conversation was closed.
    """

    help: str
    fields: tuple[Field, ...] = ()
    after_close: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a dialect, or an option of its simulator.

    Attributes:
        help: A short description of the setting.
        type: The type that a value is converted to: a class or `Callable`. `tuple` means a selection from `among`, in
            order.
        default: The value if none is given.
        required: Whether a value must be given.
        secret: Whether the value is a credential, which is stored as a `Secret`.
        among: The allowed values, if they are limited.
        generate: If not empty, a missing value is generated, with this prefix.
    """

    help: str
    type: Hashable = str
    default: str | float | tuple[str, ...] | None = None
    required: bool = False
    secret: bool = False
    among: tuple[str, ...] = ()
    generate: str = ""
