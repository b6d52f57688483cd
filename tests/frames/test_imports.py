"""Saved transcripts as frames."""

from typing import Any

import pytest

from socketnb.frames.imports import from_voiceflow

START = "2026-01-01T10:00:00"


def log(kind: str, fraction: str) -> dict[str, Any]:
    payload = "hi" if kind == "action" else {"message": "Hello"}
    return {"type": kind, "data": {"type": "text", "payload": payload}, "createdAt": f"{START}.{fraction}Z"}


def test_the_latencies_of_a_transcript_are_exact_and_begin_with_each_action() -> None:
    logs = [log("action", "000000"), log("trace", "001500"), log("action", "700000"), log("trace", "702250")]
    frame = from_voiceflow({"id": "t", "logs": logs})
    assert frame[frame["kind"] == "text"]["elapsed_ms"].to_list() == [1.5, 2.25]


def test_a_trace_before_the_first_action_has_no_latency() -> None:
    frame = from_voiceflow({"id": "t", "logs": [log("trace", "000000")]})
    assert frame["elapsed_ms"].isna().to_list() == [True]


@pytest.mark.parametrize("turns", [1, 3])
def test_the_turns_of_a_transcript_are_numbered_from_one(turns: int) -> None:
    logs = [log("trace", "000000"), *(log(kind, f"{n}00000") for n in range(turns) for kind in ("action", "trace"))]
    frame = from_voiceflow({"id": "t", "logs": logs})
    assert frame[frame["kind"] == "text"]["turn"].to_list() == list(range(turns + 1))
