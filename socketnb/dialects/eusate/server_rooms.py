"""The links and personal rooms of the simulated helpdesk, and how it answers and broadcasts."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from socketnb.dialects.base import Settings
from socketnb.dialects.eusate.server_conversations import HelpdeskConversation, Problem
from socketnb.model.effects import Acknowledge, Emit, ServerEffect
from socketnb.model.json import JsonObjectOut


def envelope(link: str, message: str, data: JsonObjectOut | None = None, code: int = 200) -> JsonObjectOut:
    """Return the envelope of an event of the helpdesk."""
    return {"status_code": code, "sid": link, "message": message, "data": data or {}}


class Rooms:
    """The links of agents and customers.

    Args:
        options: The options of the simulator.
        faults: The injected faults.

    Attributes:
        agents: The links of agents.
    """

    def __init__(self, options: Settings, faults: AbstractSet[str]) -> None:
        self.agents: set[str] = set()
        self._options = options
        self._faults = faults
        self._customers: dict[str, set[str]] = {}  # session → links in its personal room
        self._missed: dict[str, list[tuple[str, JsonObjectOut]]] = {}  # session → missed events with their envelopes

    def enter(self, link: str, session: str) -> list[ServerEffect]:
        """Add a link to a customer's personal room, and send the messages that the customer has missed."""
        self.add_customer(link, session)
        return [Emit(event, ({**data, "sid": link},), link) for event, data in self._missed.pop(session, [])]

    def add_customer(self, link: str, session: str) -> None:
        """Add a link to a customer's personal room."""
        self._customers.setdefault(session, set()).add(link)

    def links_of(self, session: str) -> AbstractSet[str]:
        """Return the links in a customer's personal room."""
        return self._customers.get(session, set())

    def remove(self, link: str) -> None:
        """Remove a lost link."""
        for links in (self.agents, *self._customers.values()):
            links.discard(link)

    def answer(
        self, link: str, event: str, message: str, data: JsonObjectOut | None = None, code: int = 200
    ) -> list[ServerEffect]:
        """Answer a request with an event, an acknowledgement or both, as selected by the option `answers`."""
        body, mode = envelope(link, message, data, code), self._options["answers"]
        events: list[ServerEffect] = [Emit(event, (body,), link)] if mode != "ack" else []
        return [*events, Acknowledge(body)] if mode != "event" else events

    def reject(self, link: str, event: str, problem: Problem) -> list[ServerEffect]:
        """Answer a request with an error."""
        return self.answer(link, event, problem.message, code=problem.code)

    def broadcast(self, links: AbstractSet[str], event: str, message: str, data: JsonObjectOut) -> list[ServerEffect]:
        """Send an event to several links."""
        times = 2 if "duplicate" in self._faults else 1
        return [Emit(event, (envelope(to, message, data),), to) for to in sorted(links) for _ in range(times)]

    def to_customer(
        self, conversation: HelpdeskConversation, event: str, message: str, data: JsonObjectOut
    ) -> list[ServerEffect]:
        """Send an event to the customer's personal room, or keep it until the customer reconnects."""
        links = self.links_of(conversation.session)
        if not links and not self._options["strict"]:
            links = conversation.room - self.agents
        if not links and self._options["keep_missed"]:
            self._missed.setdefault(conversation.session, []).append((event, envelope("", message, data)))
        return self.broadcast(links, event, message, data)
