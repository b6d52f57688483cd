"""Flows: bots written as Python functions and coroutines, which work on all platforms.

    flow = Flow("pizza")

    @flow.launch
    def hello(turn):
        turn.say("Welcome!")
        turn.choices("Order", "Track")

    @flow.on("Order")
    async def order(turn):
        size = await turn.ask("Which size?", choices=["S", "L"])     # waits for the user's next turn
        turn.say(f"One {size} pizza.")
        turn.end()

A function runs in a thread of its own, so it may block. A coroutine runs on the simulator's loop and may call `ask`.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from socketnb.errors import FlowError
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
    Queue,
    Raw,
    Step,
    Text,
    Typing,
    UserInput,
)
from socketnb.model.json import JsonOut

Handler: TypeAlias = Callable[["FlowTurn"], object]
"""A function or coroutine function that answers a turn."""
AnyHandler = TypeVar("AnyHandler", bound=Handler)
Options: TypeAlias = Sequence[str | Choice]

_newest: WeakValueDictionary[str, Flow] = WeakValueDictionary()
"""The newest flow of each name. Running a cell again creates a new Flow, which running simulators must use.
Only the name identifies the flow, so this is the only module-level state outside `hub.py`."""


class Flow:
    """A bot. The action of the user determines which handler answers a turn.

    If you run the cell of a flow again, the new flow of the same name answers the next turn in all running simulators.

    Args:
        name: The name of the flow.

    Raises:
        FlowError: The name is not a string or is empty.

    Example:
        >>> import socketnb as snb
        >>> flow = snb.Flow("pizza")
        >>> @flow.launch
        ... def hello(turn):
        ...     turn.say("Welcome!")
        >>> @flow.on("Order")
        ... async def order(turn):
        ...     size = await turn.ask("Which size?", choices=["S", "L"])
        ...     turn.say(f"One {size} pizza.")
        >>> bot = snb.connect("voiceflow", simulate=True, flow=flow)
        >>> bot.launch().text
        'Welcome!'
        >>> bot.say("Order").text
        'Which size?'
        >>> bot.press("L").text
        'One L pizza.'
        >>> bot.close()
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise FlowError('a flow needs a name: Flow("pizza")')
        self.name = name
        self._launch: Handler | None = None
        self._on: dict[str, Handler] = {}
        self._otherwise: Handler | None = None
        _newest[name] = self

    def launch(self, handler: AnyHandler) -> AnyHandler:
        """Register the handler that starts a conversation. Use it as a decorator.

        Raises:
            FlowError: The handler is not a function or is a generator.

        Example:
            >>> import socketnb as snb
            >>> flow = snb.Flow("hello")
            >>> @flow.launch
            ... def hello(turn):
            ...     turn.say("Welcome!")
        """
        self._launch = _checked(handler)
        return handler

    def on(self, *texts: str) -> Callable[[AnyHandler], AnyHandler]:
        """Return a decorator that registers a handler for certain texts.

        Args:
            *texts: The texts, button labels or event names that the handler answers. Case and repeated spaces are
                ignored.

        Raises:
            FlowError: No text is given, or the handler is not a function or is a generator.

        Example:
            >>> import socketnb as snb
            >>> flow = snb.Flow("hours")
            >>> @flow.on("Opening hours", "hours")
            ... def hours(turn):
            ...     turn.say("9 to 18")
        """
        if not texts or not all(isinstance(text, str) for text in texts):
            raise FlowError('flow.on needs the texts that it answers: @flow.on("Order")')

        def decorate(handler: AnyHandler) -> AnyHandler:
            for text in texts:
                self._on[_key(text)] = _checked(handler)
            return handler

        return decorate

    def otherwise(self, handler: AnyHandler) -> AnyHandler:
        """Register the handler for all turns that no other handler answers. Use it as a decorator.

        Raises:
            FlowError: The handler is not a function or is a generator.

        Example:
            >>> import socketnb as snb
            >>> flow = snb.Flow("echo")
            >>> @flow.otherwise
            ... def echo(turn):
            ...     turn.say(f"You said {turn.text}")
        """
        self._otherwise = _checked(handler)
        return handler

    @property
    def newest(self) -> Flow:
        """The newest flow with this name."""
        return _newest.get(self.name, self)

    def handler(self, user_input: UserInput) -> Handler:
        """Return the handler for the action of the user."""
        if user_input.verb == "launch" and self._launch:
            return self._launch
        return self._on.get(_key(user_input.text)) or self._otherwise or _no_answer

    def __repr__(self) -> str:
        return f"<flow {self.name!r}: {len(self._on)} answers>"


def card(title: str, text: str = "", *, image: str | None = None, choices: Options = ()) -> Card:
    """Return a card for `turn.carousel` and `turn.list`.

    Args:
        title: The title of the card.
        text: The text below the title.
        image: The URL of a picture.
        choices: The buttons: labels, or `Choice` objects.

    Example:
        >>> import socketnb as snb
        >>> flow = snb.Flow("bottles")
        >>> @flow.otherwise
        ... def bottles(turn):
        ...     turn.carousel(snb.card("Small", "€18", choices=["Buy"]), snb.card("Large", "€24"))
        >>> with snb.connect("voiceflow", simulate=True, flow=flow) as bot:
        ...     turn = bot.say("bottles")
        >>> [choice.label for choice in turn.choices]
        ['Buy']
    """
    return Card(title, text, image, _to_choices(choices))


class ShowSteps(Protocol):
    """The interface through which a handler shows its steps. `FlowRun` implements it."""

    vars: dict[str, Any]
    can_ask: bool

    def put(self, turn: FlowTurn, step: Step) -> None:
        """Show a step of the current turn."""

    def next_text(self, turn: FlowTurn) -> Awaitable[str]:
        """End this turn, wait for the user's next input, and return its text."""


class FlowTurn:
    """The argument of a handler: the action of the user, and methods to answer it.

    Attributes:
        text: The user's text, or the label of the button.
        verb: The action of the user: `text`, `press`, `launch`, `event` …
        data: The data that was sent with the text, if the platform supports it, or None.
        vars: The variables of the conversation, a dict that is kept between turns.
    """

    def __init__(self, run: ShowSteps, user_input: UserInput) -> None:
        self.text, self.verb, self.data = user_input.text, user_input.verb, user_input.data
        self.vars = run.vars
        self._run = run

    def say(self, text: str) -> None:
        """Send a text. Markdown is supported."""
        self._put(Text(str(text)))

    def choices(self, *labels: str | Choice | list[str], text: str = "") -> None:
        """Show buttons.

        Args:
            *labels: The labels of the buttons. Pass `Choice(label, url=…)` for a button that opens a page.
            text: A text above the buttons.

        Raises:
            FlowError: No label is given.
        """
        flat = [label for item in labels for label in (item if isinstance(item, list) else [item])]
        if not flat:
            raise FlowError('turn.choices needs labels: turn.choices("Yes", "No")')
        self._put(Choices(_to_choices(flat), text))

    def ask(self, text: str, choices: list[str] | tuple[str, ...] = ()) -> Awaitable[str]:
        """Ask a question and return the user's next text: `size = await turn.ask("Which size?", choices=["S", "L"])`.

        Args:
            text: The question.
            choices: The labels of buttons below it.

        Raises:
            FlowError: The handler is not a coroutine function.
        """
        if not self._run.can_ask:
            raise FlowError("turn.ask waits for the user: write the handler as `async def`")
        if choices:
            self.choices(*choices, text=text)
        else:
            self.say(text)
        return self._run.next_text(self)

    def stream(self, pieces: Iterable[str]) -> None:
        """Stream a text, as language models do. Each piece is sent when the iterable yields it."""
        stream_id = f"stream {id(pieces)}"
        self._put(Delta(stream_id, first=True))
        for piece in pieces:
            self._put(Delta(stream_id, str(piece)))
        self._put(Delta(stream_id, last=True))

    def card(self, title: str, text: str = "", *, image: str | None = None, choices: Options = ()) -> None:
        """Show a card. The arguments are those of `socketnb.card`."""
        self._put(card(title, text, image=image, choices=choices))

    def carousel(self, *cards: Card) -> None:
        """Show cards side by side: `turn.carousel(card("One"), card("Two"))`."""
        self._put(Cards(_checked_cards("carousel", cards), "carousel"))

    def list(self, *cards: Card) -> None:
        """Show cards below each other."""
        self._put(Cards(_checked_cards("list", cards), "list"))

    def image(self, url: str, text: str = "") -> None:
        """Send a picture."""
        self._put(Media("image", url, text))

    def audio(self, url: str, text: str = "") -> None:
        """Send a sound."""
        self._put(Media("audio", url, text))

    def video(self, url: str, text: str = "") -> None:
        """Send a video."""
        self._put(Media("video", url, text))

    def file(self, url: str, text: str = "") -> None:
        """Send a file."""
        self._put(Media("file", url, text))

    def custom(self, name: str, payload: JsonOut = None, paths: Sequence[str] = ()) -> None:
        """Send content of a custom type, with any JSON payload and the names of the paths that follow it."""
        self._put(Custom(name, payload, tuple(Choice(path) for path in paths)))

    def typing(self, on: bool = True) -> None:  # noqa: FBT001, FBT002 (a switch)
        """Show the typing indicator, or hide it."""
        self._put(Typing(bool(on)))

    def queue(self, position: int, seconds: float) -> None:
        """Show the user's position in the queue for an agent, and the estimated wait in seconds."""
        self._put(Queue(position, seconds))

    def handover(self, agent: str = "", greeting: str = "") -> None:
        """Hand the conversation over to an agent. The agent then answers with `agent_says` of the simulator.

        Args:
            agent: The name of the agent; empty to return the conversation to the flow.
            greeting: The first message of the agent.
        """
        self._put(Handover(agent))
        if agent and greeting:
            self._put(AgentSays(greeting))

    def raw(self, event: str, payload: JsonOut = None) -> None:
        """Send a platform event exactly as given."""
        self._put(Raw(event, payload))

    def end(self) -> None:
        """End the conversation."""
        self._put(End())

    def _put(self, step: Step) -> None:
        try:
            json.dumps(dataclasses.asdict(step), default=_accept_bytes)
        except (TypeError, ValueError, RecursionError) as error:
            raise FlowError(f"a flow can send only JSON values: {error}") from None
        self._run.put(self, step)


def _to_choices(options: Options) -> tuple[Choice, ...]:
    return tuple(option if isinstance(option, Choice) else Choice(str(option)) for option in options)


def _checked_cards(method: str, cards: tuple[Card, ...]) -> tuple[Card, ...]:
    for item in cards:
        if not isinstance(item, Card):
            raise FlowError(f"turn.{method} takes cards made with socketnb.card(title, text), got {item!r:.80}")
    return cards


def _accept_bytes(value: object) -> str:
    if isinstance(value, bytes):
        return ""
    raise TypeError(f"{type(value).__name__} is not JSON")


def _no_answer(turn: FlowTurn) -> None:
    turn.say(f"I have no answer to “{turn.text or turn.verb}”.")


def _key(text: str) -> str:
    return " ".join(text.split()).casefold()


def _checked(handler: AnyHandler) -> AnyHandler:
    if not callable(handler):
        raise FlowError('write @flow.on("words") or @flow.launch above a function that takes the turn')
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise FlowError("a handler must not yield: call turn.say(…) instead")
    return handler
