"""The displayable content of a trace (`Content`), and the steps that a flow can send (`Step`).

Content is parsed from a trace's recorded payload, so a live conversation and a reopened recording look the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from socketnb.model.json import JsonObject, JsonObjectOut, JsonOut


@dataclass(frozen=True, slots=True)
class Choice:
    """A button.

    Attributes:
        label: The label of the button.
        request: The request that is sent when the button is pressed; None if the button sends nothing.
        url: The page that the button opens, if any.
    """

    label: str
    request: JsonObjectOut | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A text. Texts of bots and agents may contain Markdown."""

    text: str


@dataclass(frozen=True, slots=True)
class Choices:
    """Buttons, with a text above them if the platform sends both together."""

    options: tuple[Choice, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Media:
    """A picture, sound, video or file, given by its URL or its bytes, with buttons below it."""

    kind: Literal["image", "audio", "video", "file"]
    url: str | None = None
    text: str = ""
    data: bytes = b""
    options: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """A card with a title, a text, a picture, buttons, and a page that it opens. Each part is optional."""

    title: str = ""
    text: str = ""
    image: str | None = None
    options: tuple[Choice, ...] = ()
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Cards:
    """Several cards side by side or in a list, with a text above them and buttons below them."""

    cards: tuple[Card, ...]
    layout: Literal["carousel", "list"] = "carousel"
    text: str = ""
    options: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """One piece of a streamed message: of its text, or of its sound.

    Attributes:
        stream: The id of the stream.
        text: The piece of text.
        sound: The piece of sound, as raw samples.
        encoding: The encoding of the sound, if the platform sends it.
        first: Whether the piece begins the stream.
        last: Whether the piece ends the stream.
    """

    stream: str
    text: str = ""
    sound: bytes = b""
    encoding: str | None = None
    first: bool = False
    last: bool = False


@dataclass(frozen=True, slots=True)
class UserInput:
    """An action of the user: the verb, the displayed text (empty for a launch), and the data sent with the action."""

    verb: str
    text: str = ""
    data: JsonOut = None


@dataclass(frozen=True, slots=True)
class Custom:
    """Content of a type that socketnb does not know.

    Attributes:
        name: The name of the type on the platform.
        payload: The payload as received.
        options: The paths that follow the content, as buttons.
        default: The index of the path that is taken if the user does not choose.
        text: The text of the content, if any.
    """

    name: str
    payload: JsonOut = None
    options: tuple[Choice, ...] = ()
    default: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class AdaptiveCard:
    """A form in the Adaptive Cards format (adaptivecards.io, schema 1.5).

    Attributes:
        card: The card as received.
        options: The submit and link actions of the card, as buttons.
        text: The text of the card.
        verb: The verb that submits the card, with the fields `values` and `title`.
    """

    card: JsonObject
    options: tuple[Choice, ...] = ()
    text: str = ""
    verb: str = "submit"


@dataclass(frozen=True, slots=True)
class DatePicker:
    """A date picker.

    Attributes:
        label: The question.
        unit: The unit of the answer.
        mode: Whether the answer is one value, a range of two values, or any number of values.
        earliest: The first allowed value in ISO form, or `yesterday`, `today` or `tomorrow`.
        latest: The last allowed value, in the same form.
        value: The initial value, in the same form.
        submit: The label of the button.
        pattern: The format of the answer, in flatpickr's format characters.
        text: The text beside the date picker.
        verb: The verb that answers the date picker, with the field `date`.
    """

    label: str = ""
    unit: Literal["date", "datetime", "time"] = "date"
    mode: Literal["single", "range", "multiple"] = "single"
    earliest: str = ""
    latest: str = ""
    value: str = ""
    submit: str = "Submit"
    pattern: str = "Y-m-d"
    text: str = ""
    verb: str = "date"


@dataclass(frozen=True, slots=True)
class RatingRequest:
    """A request to rate the conversation. `verb` answers it, with the fields `rating` and `comment`."""

    text: str = ""
    verb: str = "rate"


Content: TypeAlias = (
    Text | Choices | Media | Card | Cards | Delta | UserInput | Custom | AdaptiveCard | DatePicker | RatingRequest
)
"""The displayable content of a trace."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A flow sends a platform event exactly as given."""

    event: str
    payload: JsonOut = None


@dataclass(frozen=True, slots=True)
class End:
    """A flow ends the conversation."""


@dataclass(frozen=True, slots=True)
class Node:
    """A handler of a flow starts."""

    name: str


@dataclass(frozen=True, slots=True)
class Typing:
    """A flow shows the typing indicator, or hides it."""

    on: bool = True


@dataclass(frozen=True, slots=True)
class Queue:
    """A flow reports the user's position in the queue for an agent, and the estimated wait in seconds."""

    position: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Handover:
    """A flow hands the conversation over to an agent, or back to itself if the name is empty."""

    agent: str = ""


@dataclass(frozen=True, slots=True)
class AgentSays:
    """An agent sends a text, with or without an attachment (an object with `name`, `url` …)."""

    text: str
    attachment: JsonObjectOut | None = None


Step: TypeAlias = (
    Text | Choices | Media | Card | Cards | Delta | Custom | Raw | End | Node | Typing | Queue | Handover | AgentSays
)
"""A step that a flow passes to a server machine."""
