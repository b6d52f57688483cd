"""What Voiceflow's events report about a turn besides messages: intent, variables, knowledge, tokens and path."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from socketnb.dialects.base import Facts
from socketnb.dialects.voiceflow.traces import MATCHED, parse_trace
from socketnb.model.json import Json, JsonObject, as_dict, as_list, as_text

if TYPE_CHECKING:
    from collections.abc import Callable


def facts(event: str, payload: Json) -> Facts | None:
    """Return what a recorded event reports about its turn, or None.

    The path consists of the ids of steps, blocks and diagrams, as in the column `node`, and of the decisions that the
    runtime reports, such as `choice:2`, or `choice:else` if nothing matched.
    """
    fields = as_dict(payload)
    if event == "action.send":
        return _request(as_dict(fields.get("action")))
    trace = as_dict(fields.get("trace"))
    kind = as_text(trace.get("type"))
    if event != "action.trace" or not kind:
        return None
    details = as_dict(trace.get("payload"))
    found = READERS[kind](details) if kind in READERS else Facts()
    node = parse_trace(trace).node if kind in WITH_NODE or "ref" in details else None
    found = found if found.path or not node else replace(found, path=(node,))
    return None if found == Facts() else found


def _request(request: JsonObject) -> Facts | None:
    """Read a request of type `intent`, which names the intent that was recognised elsewhere."""
    payload = as_dict(request.get("payload"))
    name = as_text(as_dict(payload.get("intent")).get("name"))
    if request.get("type") != "intent" or not name:
        return None
    return Facts(intent=name, confidence=_share(payload.get("confidence")))


def _goto(payload: JsonObject) -> Facts:
    return _request(as_dict(payload.get("request"))) or Facts()


def _debug(payload: JsonObject) -> Facts:
    matched = MATCHED.search(as_text(payload.get("message")))
    if not matched:
        return Facts()
    return Facts(intent=matched[1], confidence=_share(float(matched[2]) if matched[2] else None))


def _share(confidence: Json) -> float | None:
    """Return a confidence from 0 to 1. Above 1, it is a percentage."""
    if isinstance(confidence, bool) or not isinstance(confidence, int | float):
        return None
    share = confidence / 100 if confidence > 1 else float(confidence)
    return share if 0 <= share <= 1 else None


def _log(payload: JsonObject) -> Facts:
    changed = as_dict(as_dict(payload.get("message")).get("changedVariables"))
    variables = {name: as_dict(change).get("after") for name, change in changed.items()}
    return Facts(variables=variables or None)


def _knowledge(payload: JsonObject) -> Facts:
    sources = [_source(as_dict(chunk)) for chunk in as_list(payload.get("chunks"))] + [payload.get("faqQuestion")]
    return Facts(knowledge=tuple(dict.fromkeys(text for source in sources if (text := as_text(source)))))


def _source(chunk: JsonObject) -> str:
    """Return the name, address or id of the document of a chunk."""
    document = as_dict(chunk.get("documentData"))
    values = (document.get("name"), document.get("url"), chunk.get("documentID"))
    return next((text for value in values if (text := as_text(value))), "")


def _tokens(payload: JsonObject) -> Facts:
    tokens = payload.get("tokens", payload.get("usage"))
    counts = as_dict(tokens)
    total = counts.get("total", counts.get("totalTokens", counts.get("total_tokens", tokens)))
    if total is counts:  # no total
        total = sum(count for name in ("query", "answer") if isinstance(count := counts.get(name), int)) or None
    return Facts(tokens=int(total) if isinstance(total, int | float) and not isinstance(total, bool) else None)


def _path(payload: JsonObject) -> Facts:
    path = as_text(payload.get("path"))
    return Facts(path=(path,) if path else ())


WITH_NODE = ("block", "flow", "log")
"""The types of traces that name a node without a `ref`."""
READERS: dict[str, Callable[[JsonObject], Facts]] = {
    "goto": _goto,
    "debug": _debug,
    "log": _log,
    "knowledgeBase": _knowledge,
    "completion": _tokens,
    "completion-start": _tokens,
    "completion-continue": _tokens,
    "completion-end": _tokens,
    "path": _path,
}
"""Trace type → the reader of its facts."""
