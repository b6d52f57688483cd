"""What a person sees of a trace (`Content`), and what a flow can show (`Step`).

Content is read back from a trace's recorded payload, so a live conversation and a reopened recording look the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from socketnb.model.json import JsonObject, JsonObjectOut, JsonOut


@dataclass(frozen=True, slots=True)
class Choice:
    """A button.

    Attributes:
        label: The words on the button.
        request: What the dialect sends when the button is pressed; None if it sends nothing.
        url: The page that the button opens, if it opens one.
    """

    label: str
    request: JsonObjectOut | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A text. Bots and agents may use Markdown."""

    text: str


@dataclass(frozen=True, slots=True)
class Choices:
    """Buttons, below a text if the platform sends both at once."""

    options: tuple[Choice, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Media:
    """A picture, sound, film or file, given by its URL or its bytes, with buttons below it."""

    kind: Literal["image", "audio", "video", "file"]
    url: str | None = None
    text: str = ""
    data: bytes = b""
    options: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """A card: a title, a text, a picture, buttons, and a page that it opens. Any of them may be missing."""

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
        stream: Which stream the piece belongs to.
        text: The piece of text.
        sound: The piece of sound, as raw samples.
        encoding: How the sound is encoded, if the platform says so.
        first: Whether the piece begins the stream.
        last: Whether the piece ends the stream.
        whole: The whole text of the message, used if no piece has text.
    """

    stream: str
    text: str = ""
    sound: bytes = b""
    encoding: str | None = None
    first: bool = False
    last: bool = False
    whole: str = ""


@dataclass(frozen=True, slots=True)
class UserInput:
    """What the user did: the verb, the words a person would read (none for a launch), and the data sent with it."""

    verb: str
    text: str = ""
    data: JsonOut = None


@dataclass(frozen=True, slots=True)
class Custom:
    """Content of a type that socketnb does not know.

    Attributes:
        name: The name of the type on the platform.
        payload: The payload as it came.
        options: The paths that lead on from it, as buttons.
        default: The index of the path that is taken if nobody chooses.
        text: The words in it, if any.
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
        card: The card as it came.
        options: Its submit and link actions, as buttons.
        text: The words of the card.
        verb: The verb that submits it, with `values` and `title`.
    """

    card: JsonObject
    options: tuple[Choice, ...] = ()
    text: str = ""
    verb: str = "submit"


@dataclass(frozen=True, slots=True)
class DatePicker:
    """A question for a date.

    Attributes:
        label: What is asked for.
        unit: What is picked.
        mode: One value, a range of two, or any number.
        earliest: The first allowed value in ISO form, or `yesterday`, `today` or `tomorrow`.
        latest: The last allowed value, in the same form.
        value: The value picked at first, in the same form.
        submit: The label of the button.
        pattern: How the answer is written, in flatpickr's format characters.
        text: The words beside it.
        verb: The verb that answers it, with `date`.
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
    """A request to rate the conversation. `verb` answers it, with `rating` and `comment`."""

    text: str = ""
    verb: str = "rate"


Content: TypeAlias = (
    Text | Choices | Media | Card | Cards | Delta | UserInput | Custom | AdaptiveCard | DatePicker | RatingRequest
)
"""What a person sees of a trace."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A flow sends an event of the platform exactly as given."""

    event: str
    payload: JsonOut = None


@dataclass(frozen=True, slots=True)
class End:
    """A flow ends the conversation."""


@dataclass(frozen=True, slots=True)
class Node:
    """A flow enters a handler."""

    name: str


@dataclass(frozen=True, slots=True)
class Typing:
    """A flow shows the typing indicator, or hides it."""

    on: bool = True


@dataclass(frozen=True, slots=True)
class Queue:
    """A flow tells the user's position in the queue for an agent, and the estimated wait in seconds."""

    position: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Handover:
    """A flow hands the conversation over to an agent, or takes it back if the name is empty."""

    agent: str = ""


@dataclass(frozen=True, slots=True)
class AgentSays:
    """An agent sends a text, with or without an attachment (an object with `name`, `url` …)."""

    text: str
    attachment: JsonObjectOut | None = None


Step: TypeAlias = (
    Text | Choices | Media | Card | Cards | Delta | Custom | Raw | End | Node | Typing | Queue | Handover | AgentSays
)
"""What a flow hands to a server machine."""
