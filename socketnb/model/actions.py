"""What a user can do and set: actions, verbs with their fields, settings, and the conversations of a session."""

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
        fields: The values of its fields by name.
        at_once: Whether to send it without waiting for the end of the turn before.
        conversation: The id of the conversation it is for, "" for a new one, None for the one used last.
    """

    verb: str
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    at_once: bool = False
    conversation: str | None = None

    @property
    def choice(self) -> Choice | None:
        """The button that is pressed, if it is a press."""
        choice = self.fields.get("choice")
        return choice if isinstance(choice, Choice) else None

    @property
    def request(self) -> JsonObjectOut:
        """The request of the button that is pressed, or an empty object."""
        return {} if self.choice is None or self.choice.request is None else self.choice.request

    def text(self, name: str) -> str:
        """Return a field that is a text, or an empty one if the field is not set."""
        return as_text(self.fields.get(name))

    def json(self, name: str) -> JsonOut:
        """Return a field that is sent as JSON, or None if the field is not set."""
        value = self.fields.get(name)
        return None if isinstance(value, Choice | Path) else value


@dataclass(frozen=True, slots=True)
class Conversation:
    """One of the conversations that a session holds.

    Attributes:
        id: The platform's id of the conversation.
        handler: Who answers, `bot` or `agent`.
        agent: The agent's name, if an agent answers.
        unread: How many messages are not marked as read.
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
        type: The type of its values.
        required: Whether the verb needs it.
        long: Whether a form offers several lines for it.
        stars: Whether a form offers stars from 1 to 5 for it.
    """

    name: str
    type: type
    required: bool = True
    long: bool = False
    stars: bool = False


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that users of a platform can do.

    Attributes:
        help: One line of help.
        fields: Its fields in order.
        after_close: Whether it is offered once a conversation is closed.
    """

    help: str
    fields: tuple[Field, ...] = ()
    after_close: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a dialect, or an option of its simulator.

    Attributes:
        help: What the setting means, in a few words.
        type: What a value is converted to: a class, or `Callable`. `tuple` means several of `among`, in order.
        default: The value if none is given.
        required: Whether a value must be given.
        secret: Whether the value is a credential and is held as a `Secret`.
        among: The allowed values, if there are only a few.
        generate: If not empty and no value is given, a value is generated that begins with this word.
    """

    help: str
    type: Hashable = str
    default: str | float | tuple[str, ...] | None = None
    required: bool = False
    secret: bool = False
    among: tuple[str, ...] = ()
    generate: str = ""
