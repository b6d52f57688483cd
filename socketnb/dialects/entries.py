"""Entries of a transcript: messages with the names of agents and the numbers of buttons, and notices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from socketnb.dialects import registry
from socketnb.dialects.base import DEFAULT_ENCODING
from socketnb.dialects.messages import Message, messages, parse
from socketnb.model.content import UserInput
from socketnb.model.trace import Trace

SAYING_VERBS = frozenset({"text", "press", "data"})
"""The verbs of actions with which the user says the text."""


class Entry(NamedTuple):
    """A trace in a transcript.

    Attributes:
        trace: The trace.
        message: Its message, or None for a notice.
        notice: The text of the notice.
        sender: The sender, with the name of an agent if it is known, and a mark if the message is unsolicited.
        mark: The name of an action that does not say its text, such as `event`; otherwise empty.
        first: The number of the message's first button. `press` counts buttons in the same way.
    """

    trace: Trace
    message: Message | None
    notice: str
    sender: str
    mark: str
    first: int


def entries(traces: Iterable[Trace], encoding: str = DEFAULT_ENCODING) -> Iterator[Entry]:
    """Yield the messages and notices of the traces of one session, in order.

    The first message of the reply to a newer turn starts the numbers of buttons again.
    """
    traces = list(traces)
    by_seq = {message.trace.seq: message for message in messages(traces, encoding)}
    turn, offered = 0, 0
    agents: dict[str | None, str] = {}  # conversation → the name of its agent
    for trace in traces:
        message, sender = by_seq.get(trace.seq), str(trace.sender)
        if trace.kind == "handler" or sender == "agent":
            facts = registry.get(trace.platform).facts(trace.event, parse(trace.payload))
            name = facts.agent if facts else None
            agents[trace.conversation] = name or agents.get(trace.conversation, "")
        if sender == "agent" and (name := agents.get(trace.conversation)):
            sender = f"agent {name}"
        if message and (arrived := arrival(trace)):
            sender = f"{sender} ({arrived})"
        if message and trace.is_reply and trace.turn > turn:
            turn, offered = trace.turn, 0
        text = "" if message else notice(trace)
        if message or text:
            yield Entry(trace, message, text or "", sender, _mark(message), offered + 1)
        offered += len(message.choices) if message else 0


def _mark(message: Message | None) -> str:
    match message and message.content:
        case UserInput(verb, text) if text and verb not in SAYING_VERBS:
            return verb.replace("_", " ")
        case _:
            return ""


def arrival(trace: Trace) -> str:
    """Return how an unsolicited message arrived; empty for any other message."""
    if not trace.is_unsolicited:
        return ""
    return f"late message of turn {trace.turn}" if trace.turn else "unsolicited"


def notice(trace: Trace) -> str | None:
    """Return the text of a notice, which is displayed for a trace that is not a message; None if there is none."""
    match trace.kind:
        case "error":
            return trace.error
        case "ended":
            return f"The conversation ended ({trace.text})"
        case "gap":
            return f"The connection was lost and restored: {trace.text}"
        case "timeout" | "cancelled" | "queue" | "handler" | "call" if trace.direction != "out":
            return trace.text
        case "status" if trace.text == "rejected":
            return "The bot rejected this"
        case "warning":
            return f"Turn {trace.turn}: {trace.text}" if trace.turn else trace.text
        case "session":
            return trace.text
        case _:
            return None


def in_conversation(traces: Iterable[Trace], conversation: str) -> list[Trace]:
    """Return the traces of a conversation, with those that have no conversation but belong to its turns.

    The action that starts a conversation has none, because the id is not known yet. It belongs to the conversation that
    the first later trace of its turn names.
    """
    traces = list(traces)
    first: dict[int, str] = {}  # turn → the first conversation that a trace names
    for trace in traces:
        if trace.turn and trace.conversation:
            first.setdefault(trace.turn, trace.conversation)
    return [trace for trace in traces if (trace.conversation or first.get(trace.turn)) == conversation]
