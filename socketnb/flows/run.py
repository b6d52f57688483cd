"""Runs a flow in one conversation: calls its handlers in order, and passes on their steps."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
import traceback
from typing import TYPE_CHECKING, Any

from socketnb.errors import FlowError
from socketnb.flows.flow import FlowTurn
from socketnb.model.content import Node

if TYPE_CHECKING:
    from collections.abc import Callable

    from socketnb.flows.flow import Flow, Handler
    from socketnb.model.content import Step, UserInput


class FlowRun:
    """The run of a flow with one user, on the simulator's loop.

    Args:
        flow: The flow. The newest flow of its name answers each turn.
        variables: The variables of the conversation, or None for new ones.
        show: A function that is called on the loop with each step.
        done: A function that is called on the loop at the end of each turn, with the error message if the handler
            failed.

    Attributes:
        vars: The variables of the conversation.
        can_ask: Whether the current handler can wait for the user's next input.
    """

    def __init__(
        self,
        flow: Flow,
        variables: dict[str, Any] | None,
        show: Callable[[Step], None],
        done: Callable[[str | None], None],
    ) -> None:
        self.vars = {} if variables is None else variables
        self.can_ask = False
        self._turn: FlowTurn | None = None  # the current turn; steps from earlier turns are discarded
        self._flow = flow
        self._show = show
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._question: asyncio.Future[UserInput] | None = None

    def put(self, turn: FlowTurn, step: Step) -> None:
        """Show a step, from the loop or from a handler's thread, in order."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._show_if_current, turn, step)

    def _show_if_current(self, turn: FlowTurn, step: Step) -> None:
        if turn is self._turn:
            self._show(step)

    def handle(self, user_input: UserInput) -> None:
        """Pass an input to the handler that is waiting for an answer, or to the handler for this input."""
        if self._question and not self._question.done() and user_input.verb != "launch":
            self._question.set_result(user_input)
            return
        self.stop()
        self._task = asyncio.create_task(self._run(user_input))

    def stop(self) -> None:
        """Stop the current handler, if any. A handler in a thread keeps running, but its steps are discarded."""
        self._turn = None
        if self._task:
            self._task.cancel()

    async def next_text(self, turn: FlowTurn) -> str:
        """End this turn, wait for the user's next input, and return its text."""
        if self._question:
            raise FlowError("await the answer to turn.ask before calling it again")
        self._question = self._loop.create_future()
        self._loop.call_soon(self._end_turn, turn, None)
        try:
            user_input = await self._question
        finally:
            self._question = None
        turn.text, turn.verb, turn.data = user_input.text, user_input.verb, user_input.data
        return user_input.text

    async def _run(self, user_input: UserInput) -> None:
        handler = self._flow.newest.handler(user_input)
        turn = self._turn = FlowTurn(self, user_input)
        self.put(turn, Node(getattr(handler, "__name__", "handler").strip("_")))
        self.can_ask = _is_async(handler)
        error = None
        try:
            result = handler(turn) if self.can_ask else _run_in_thread(handler, turn)
            if inspect.isawaitable(result):
                await result
        except BaseException as raised:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            error = _describe(self._flow.name, handler, raised)
        self._loop.call_soon(self._end_turn, turn, error)

    def _end_turn(self, turn: FlowTurn, error: str | None) -> None:
        """Report the end of a turn, unless another turn has begun."""
        if turn is self._turn:
            self._done(error)


def _is_async(handler: Handler) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)


async def _run_in_thread(handler: Handler, turn: FlowTurn) -> None:
    """Run a handler in a daemon thread, so that it does not keep the process alive."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    raised: list[BaseException] = []

    def run() -> None:
        try:
            handler(turn)
        except BaseException as error:  # noqa: BLE001 (raised again by the coroutine)
            raised.append(error)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=run, name=f"socketnb-flow-{turn.verb}", daemon=True).start()
    await done.wait()
    if raised:
        raise raised[0]


def _describe(flow: str, handler: Handler, raised: BaseException) -> str:
    """Return the error message for an exception in a handler, with the line of the handler."""
    name = getattr(handler, "__name__", "handler")
    lines = [frame.lineno for frame in traceback.extract_tb(raised.__traceback__) if frame.name == name]
    line = f", line {lines[-1]}" if lines else ""
    try:
        message = str(raised)
    except Exception:  # noqa: BLE001 (an exception whose __str__ fails)
        message = "(no message)"
    return f"{name}() of flow {flow!r} raised {type(raised).__name__}: {message}{line}"
