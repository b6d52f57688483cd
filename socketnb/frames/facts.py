"""What platforms report about turns and conversations, combined from the `Facts` of their traces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from socketnb.dialects import registry
from socketnb.dialects.base import no_facts
from socketnb.dialects.messages import parse
from socketnb.frames.table import json_text

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    import pandas as pd

    from socketnb.dialects.base import Facts
    from socketnb.model.json import JsonOut

TURN_FACTS = ("intent", "confidence", "variables", "knowledge", "tokens", "path")
"""The columns of turns that contain facts."""
CONVERSATION_FACTS = ("handler", "agent", "suggested", "closed_at", "closed_by", "rating")
"""The columns of conversations that contain facts."""


@dataclass(slots=True)
class _TurnFacts:
    intent: str | None = None
    confidence: float | None = None
    variables: dict[str, JsonOut] = field(default_factory=dict)
    knowledge: list[str] = field(default_factory=list)
    tokens: int | None = None
    path: list[str] = field(default_factory=list)

    def add(self, facts: Facts) -> None:
        if facts.intent is not None:
            self.intent, self.confidence = facts.intent, None
        if facts.confidence is not None:
            self.confidence = facts.confidence
        self.variables.update(facts.variables or {})
        self.knowledge += [source for source in facts.knowledge if source not in self.knowledge]
        if facts.tokens is not None:
            self.tokens = (self.tokens or 0) + facts.tokens
        for node in facts.path:
            if self.path[-1:] != [node]:
                self.path.append(node)

    def row(self) -> tuple[object, ...]:
        variables = json_text(self.variables) if self.variables else None
        knowledge, path = " | ".join(self.knowledge) or None, " > ".join(self.path) or None
        return self.intent, self.confidence, variables, knowledge, self.tokens, path


def turn_facts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per turn with the columns `TURN_FACTS`. The index of the traces identifies their turn."""
    import pandas as pd

    turns: dict[Hashable, _TurnFacts] = {}
    for turn, _, facts in _facts_of(rows[rows["direction"] != "local"]):
        turns.setdefault(turn, _TurnFacts()).add(facts)
    found = [turn.row() for turn in turns.values()]
    return pd.DataFrame(found, index=list(turns), columns=list(TURN_FACTS), dtype=object)


@dataclass(slots=True)
class _ConversationFacts:
    handler: str | None = None
    agent: str | None = None
    suggested: bool = False
    closed_at: object = None
    closed_by: str | None = None
    rating: float | None = None

    def add(self, facts: Facts, at: object) -> None:
        self.handler = facts.handler or self.handler
        self.agent = facts.agent or self.agent
        self.suggested = self.suggested if facts.suggested is None else facts.suggested
        if facts.closed_by and not self.closed_by:
            self.closed_at, self.closed_by = at, facts.closed_by
        self.rating = self.rating if facts.rating is None else facts.rating

    def row(self) -> tuple[object, ...]:
        return self.handler, self.agent, self.suggested, self.closed_at, self.closed_by, self.rating


def conversation_facts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per conversation with the columns `CONVERSATION_FACTS`. The index identifies the conversation."""
    import pandas as pd

    conversations: dict[Hashable, _ConversationFacts] = {}
    for conversation, at, facts in _facts_of(rows[rows["direction"] != "local"]):
        conversations.setdefault(conversation, _ConversationFacts()).add(facts, at)
    found = [conversation.row() for conversation in conversations.values()]
    return pd.DataFrame(found, index=list(conversations), columns=list(CONVERSATION_FACTS), dtype=object)


def _facts_of(rows: pd.DataFrame) -> Iterator[tuple[Hashable, object, Facts]]:
    """Yield the index, the time and the facts of each trace that reports something."""
    for platform in rows["platform"].unique():
        dialect = registry.get(platform)
        read = dialect.facts
        if read is no_facts:
            continue
        some = rows[rows["platform"] == platform]
        if dialect.fact_kinds is not None:
            some = some[some["kind"].isin(dialect.fact_kinds) | some["node"].notna()]
        cells = zip(some.index, some["observed_at"], some["event"], some["payload"], strict=True)
        for index, at, event, payload in cells:
            if facts := read(event, parse(payload)):
                yield index, at, facts
