"""Flows: bots written as Python functions and coroutines, for every platform alike.

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

A plain function runs in a thread, so that it may block; a coroutine runs on the simulator's loop and may ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import json
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar
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
    Node,
    Queue,
    Raw,
    Step,
    Text,
    Typing,
    UserInput,
)

Handler = Callable[["FlowTurn"], Any]
H = TypeVar("H", bound=Handler)
Options = Sequence[str | Choice]

# The newest flow of each name: a cell that is run again makes a new Flow, and running simulators follow it. A name
# is the only thing that the two share, so this is the one module-level state outside hub.py.
_newest: WeakValueDictionary[str, Flow] = WeakValueDictionary()


class Flow:
    """A bot. Handlers are chosen by what the user does; a newer flow of the same name takes over its next turn.

    Args:
        name: its name.
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise FlowError('a flow has a name: Flow("pizza")')
        self.name = name
        self._launch: Handler | None = None
        self._on: dict[str, Handler] = {}
        self._otherwise: Handler | None = None
        _newest[name] = self

    def launch(self, handler: H) -> H:
        """Decorate what answers the start of a conversation."""
        self._launch = _checked(handler)
        return handler

    def on(self, *texts: str) -> Callable[[H], H]:
        """Decorate what answers these words: a text, a button's label or an event's name, in any case.

        Raises:
            FlowError: no words were given.
        """
        if not texts or not all(isinstance(text, str) for text in texts):
            raise FlowError('flow.on needs the words it answers: @flow.on("Order")')

        def decorate(handler: H) -> H:
            for text in texts:
                self._on[_key(text)] = _checked(handler)
            return handler

        return decorate

    def otherwise(self, handler: H) -> H:
        """Decorate what answers everything else."""
        self._otherwise = _checked(handler)
        return handler

    @property
    def newest(self) -> Flow:
        """The flow that was made last under this name."""
        return _newest.get(self.name, self)

    def handler(self, user_input: UserInput) -> Handler:
        """Return what answers this."""
        if user_input.verb == "launch" and self._launch:
            return self._launch
        return self._on.get(_key(user_input.text)) or self._otherwise or _lost

    def __repr__(self) -> str:
        return f"<flow {self.name!r}: {len(self._on)} answers>"


def card(title: str, text: str = "", *, image: str | None = None, choices: Options = ()) -> Card:
    """Return a card for `turn.carousel` and `turn.list`: a title, a text, a picture's address and buttons."""
    return Card(title, text, image, _options(choices))


def _options(choices: Options) -> tuple[Choice, ...]:
    return tuple(each if isinstance(each, Choice) else Choice(str(each)) for each in choices)


def _only_cards(verb: str, cards: tuple[Card, ...]) -> tuple[Card, ...]:
    for each in cards:
        if not isinstance(each, Card):
            raise FlowError(f"{verb} shows cards, as socketnb.flow.card(title, text) makes them, not {each!r:.80}")
    return cards


class FlowTurn:
    """What a handler is given: what the user did, and what it can do.

    Attributes:
        text: what the user said, or the label of the button.
        verb: what the user did: `text`, `press`, `launch`, `event` …
        data: what came beside the words, where the platform sends data; or None.
        vars: the conversation's variables: a dict that lasts from turn to turn.
    """

    def __init__(self, conversation: FlowRun, user_input: UserInput) -> None:
        self.text, self.verb, self.data = user_input.text, user_input.verb, user_input.data
        self.vars = conversation.vars
        self._conversation = conversation

    def say(self, text: str) -> None:
        """Say something; Markdown is shown as such."""
        self._put(Text(str(text)))

    def choices(self, *labels: str | Choice | list[str], text: str = "") -> None:
        """Offer buttons, by their labels, below a text; a `Choice(label, url=…)` opens a page besides.

        Raises:
            FlowError: no labels were given.
        """
        flat = [label for each in labels for label in (each if isinstance(each, list) else [each])]
        if not flat:
            raise FlowError('turn.choices needs labels: turn.choices("Yes", "No")')
        self._put(Choices(_options(flat), text))

    def ask(self, text: str, choices: list[str] | tuple[str, ...] = ()) -> Awaitable[str]:
        """Ask, and return the user's next words: `size = await turn.ask("Which size?", choices=["S", "L"])`.

        Raises:
            FlowError: the handler is no coroutine.
        """
        if not self._conversation.can_ask:
            raise FlowError("turn.ask waits for the user: write the handler as `async def`")
        if choices:
            self.choices(*choices, text=text)
        else:
            self.say(text)
        return self._conversation.next_words(self)

    def stream(self, pieces: Iterable[str]) -> None:
        """Say something piece by piece, as language models do; each piece is sent as it comes."""
        name = f"stream {id(pieces)}"
        self._put(Delta(name, first=True))
        for piece in pieces:
            self._put(Delta(name, str(piece)))
        self._put(Delta(name, last=True))

    def card(self, title: str, text: str = "", *, image: str | None = None, choices: Options = ()) -> None:
        """Show a card: a title, a text, a picture's address and buttons."""
        self._put(card(title, text, image=image, choices=choices))

    def carousel(self, *cards: Card) -> None:
        """Show cards beside each other: `turn.carousel(card("One"), card("Two"))`."""
        self._put(Cards(_only_cards("carousel", cards), "carousel"))

    def list(self, *cards: Card) -> None:
        """Show cards below each other."""
        self._put(Cards(_only_cards("list", cards), "list"))

    def image(self, url: str, text: str = "") -> None:
        """Show a picture."""
        self._put(Media("image", url, text))

    def audio(self, url: str, text: str = "") -> None:
        """Play a sound."""
        self._put(Media("audio", url, text))

    def video(self, url: str, text: str = "") -> None:
        """Show a film."""
        self._put(Media("video", url, text))

    def file(self, url: str, text: str = "") -> None:
        """Offer a file."""
        self._put(Media("file", url, text))

    def custom(self, name: str, payload: Any = None, paths: Sequence[str] = ()) -> None:
        """Send a custom action: any name, any payload, and the names of the ways on from it."""
        self._put(Custom(name, payload, tuple(Choice(path) for path in paths)))

    def typing(self, on: bool = True) -> None:  # noqa: FBT001, FBT002 (reads as a switch)
        """Show that somebody is typing, or stop showing it."""
        self._put(Typing(bool(on)))

    def queue(self, position: int, seconds: float) -> None:
        """Tell the user's place in the line for an agent, and the seconds that it will take."""
        self._put(Queue(position, seconds))

    def handover(self, agent: str = "", greeting: str = "") -> None:
        """Hand the conversation over to an agent, by name, who may begin with a greeting; without one, take it back.

        What the user says then goes to the agent, who answers with the simulator's `agent_says`.
        """
        self._put(Handover(agent))
        if agent and greeting:
            self._put(AgentSays(greeting))

    def raw(self, event: str, payload: Any = None) -> None:
        """Send an event of the platform exactly as given."""
        self._put(Raw(event, payload))

    def end(self) -> None:
        """End the conversation."""
        self._put(End())

    def _put(self, step: Step) -> None:
        try:
            json.dumps(dataclasses.asdict(step), default=_bytes)
        except (TypeError, ValueError, RecursionError) as error:
            raise FlowError(f"a flow shows what JSON can hold, and this it cannot: {error}") from None
        self._conversation.put(self, step)


def _bytes(value: object) -> str:
    if isinstance(value, bytes):
        return ""
    raise TypeError(f"{type(value).__name__} is no JSON")


class FlowRun:
    """One run of a flow with one user, on the simulator's loop.

    Args:
        flow: the flow; the newest of its name answers.
        show: called on the loop with each step.
        done: called on the loop when a turn is over, with what went wrong, if anything.
    """

    def __init__(self, flow: Flow, show: Callable[[Step], None], done: Callable[[str | None], None]) -> None:
        self.vars: dict[str, Any] = {}
        self.can_ask = False
        self._turn: FlowTurn | None = None  # the one that may show something: a handler left behind may not
        self._flow = flow
        self._show = show
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._asked: asyncio.Future[UserInput] | None = None

    def put(self, turn: FlowTurn, step: Step) -> None:
        """Show a step, from the loop or from a handler's thread, in order."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._pass_on, turn, step)

    def _pass_on(self, turn: FlowTurn, step: Step) -> None:
        if turn is self._turn:
            self._show(step)

    def take(self, user_input: UserInput) -> None:
        """Answer what the user did: the question that was asked, or a handler's turn."""
        if self._asked and not self._asked.done() and user_input.verb != "launch":
            self._asked.set_result(user_input)
            return
        self.stop()
        self._task = asyncio.create_task(self._run(user_input))

    def stop(self) -> None:
        """Stop the handler that is under way, if any; one in a thread shows nothing any more."""
        self._turn = None
        if self._task:
            self._task.cancel()

    async def next_words(self, turn: FlowTurn) -> str:
        """End this turn and wait for the user's next."""
        if self._asked:
            raise FlowError("one question at a time: await the answer before turn.ask asks again")
        self._asked = self._loop.create_future()
        self._loop.call_soon(self._over, turn, None)
        try:
            user_input = await self._asked
        finally:
            self._asked = None
        turn.text, turn.verb, turn.data = user_input.text, user_input.verb, user_input.data
        return user_input.text

    async def _run(self, user_input: UserInput) -> None:
        handler = self._flow.newest.handler(user_input)
        turn = self._turn = FlowTurn(self, user_input)
        self.put(turn, Node(getattr(handler, "__name__", "handler").strip("_")))
        self.can_ask = _is_async(handler)
        error = None
        try:
            if self.can_ask:
                await handler(turn)
            else:
                await _in_thread(handler, turn)
        except BaseException as raised:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            error = _where(self._flow.name, handler, raised)
        self._loop.call_soon(self._over, turn, error)

    def _over(self, turn: FlowTurn, error: str | None) -> None:
        """Tell that a turn is over, unless it was left behind."""
        if turn is self._turn:
            self._done(error)


def _lost(turn: FlowTurn) -> None:
    turn.say(f"I have no answer to “{turn.text or turn.verb}”.")


def _key(text: str) -> str:
    return " ".join(text.split()).casefold()


def _is_async(handler: Handler) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)


def _checked(handler: H) -> H:
    if not callable(handler):
        raise FlowError('write @flow.on("words") and @flow.launch above a function that takes the turn')
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise FlowError("a handler does not yield: it calls turn.say(…)")
    return handler


async def _in_thread(handler: Handler, turn: FlowTurn) -> None:
    """Run a plain handler in a thread that a kernel does not wait for when it ends."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    raised: list[BaseException] = []

    def run() -> None:
        try:
            handler(turn)
        except BaseException as error:  # noqa: BLE001 (raised again where it is awaited)
            raised.append(error)
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=run, name=f"socketnb-flow-{turn.verb}", daemon=True).start()
    await done.wait()
    if raised:
        raise raised[0]


def _where(flow: str, handler: Handler, raised: BaseException) -> str:
    """Return one sentence for a handler's mistake: what, and on which line of the handler."""
    name = getattr(handler, "__name__", "handler")
    lines = [f.lineno for f in traceback.extract_tb(raised.__traceback__) if f.name == name]
    line = f", line {lines[-1]}" if lines else ""
    try:
        said = str(raised)
    except Exception:  # noqa: BLE001 (an exception that cannot even be printed)
        said = "(it cannot be printed)"
    return f"{name}() of flow {flow!r} raised {type(raised).__name__}: {said}{line}"
