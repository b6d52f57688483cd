"""The accessor `df.chat` on frames of every platform and on parts of frames."""

from typing import Any

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from socketnb.errors import SettingsError
from socketnb.flows.flow import Flow
from socketnb.hub import Hub


@pytest.fixture(params=["cognigy", "eusate", "voiceflow"])
def traces(request: pytest.FixtureRequest, hub: Hub, flow: Flow) -> pd.DataFrame:
    """The frame of a short conversation on each platform."""
    bot = hub.connect(request.param, name="bot", simulate=True, flow=flow)
    for text in ("hi", "Order", "L"):
        bot.say(text)
    return bot.traces_df()


@pytest.fixture
def voiceflow(hub: Hub, flow: Flow) -> pd.DataFrame:
    for name in ("one", "two"):
        bot = hub.connect("voiceflow", name=name, simulate=True, flow=flow)
        bot.launch()
        bot.press("Order")
        bot.press("S")
    return hub.traces_df()


def test_the_turns_are_those_of_turns_df(hub: Hub, traces: pd.DataFrame) -> None:
    assert_frame_equal(traces.chat.turns(), hub.turns_df())


def test_filtered_concatenated_and_merged_frames_work(hub: Hub, traces: pd.DataFrame) -> None:
    halves = pd.concat([traces[traces["turn"] > 1], traces[traces["turn"] <= 1]])
    merged = halves.merge(pd.DataFrame({"turn": [1, 2, 3], "label": list("abc")}), on="turn", how="left")
    assert list(merged.chat.turns()["user_text"]) == ["hi", "Order", "L"]
    spoken = traces[traces["kind"] != "ended"]  # an end may arrive later
    assert merged[merged["kind"] != "ended"].chat.transcript() == spoken.chat.transcript()
    assert spoken.chat.transcript() in hub.session("bot").transcript()
    assert list(merged.chat.latency(by="label").index) == ["a", "b", "c"]


def test_a_path_selects_a_value_of_each_payload(voiceflow: pd.DataFrame) -> None:
    texts = voiceflow.chat.payload("trace.payload.message")
    assert list(texts.dropna())[:2] == ["Hello!", "Which size?"]
    assert texts.index.equals(voiceflow.index)
    buttons = voiceflow.chat.payload("trace.payload.buttons[1].name")
    assert list(buttons.dropna()) == ["Track", "L"] * 2
    assert voiceflow.chat.payload("trace.payload.buttons[9].name").isna().all()
    assert voiceflow.chat.payload("no.such.thing").isna().all()
    assert voiceflow.chat.payload("trace.payload.buttons.0.name").equals(
        voiceflow.chat.payload("trace.payload.buttons[0].name").rename("trace.payload.buttons.0.name")
    )


def test_the_transcript_has_several_sessions_one_after_the_other(voiceflow: pd.DataFrame) -> None:
    text = voiceflow.chat.transcript()
    assert text.index("one\n") < text.index("two\n")
    assert text.count("One S pizza.") == 2
    assert "**bot:** One S pizza." in voiceflow.chat.transcript("markdown")
    html = voiceflow.chat.transcript("html")
    assert html.count("<h4>") == 2
    assert "<p>One S pizza.</p>" in html


def test_latencies_have_quantiles_and_counts(voiceflow: pd.DataFrame) -> None:
    table = voiceflow.chat.latency(by=["session", "action"])
    assert list(table["turns"]) == [1, 2, 1, 2]
    assert list(table["first_ms"].columns) == ["p50", "p90", "p99"]
    whole = voiceflow.chat.latency()
    assert whole["turns"].to_list() == [6]
    turns = voiceflow.chat.turns()
    assert whole[("done_ms", "p50")][0] == pytest.approx(turns["done_ms"].quantile(0.5))


def test_turns_without_a_value_are_a_group_of_their_own(voiceflow: pd.DataFrame) -> None:
    assert voiceflow.chat.latency(by="error")["turns"].to_list() == [6]


def test_a_value_that_was_filtered_out_is_no_group(voiceflow: pd.DataFrame) -> None:
    part = voiceflow[voiceflow["node"] != "order"]
    assert "order" in part["node"].cat.categories
    assert part.chat.latency(by="node").index.dropna().to_list() == ["hello"]


def test_transitions_are_counted_within_a_session(voiceflow: pd.DataFrame) -> None:
    table = voiceflow.chat.transitions()
    assert table.to_dict("records") == [{"from": "hello", "to": "order", "count": 2, "share": 1.0}]


@pytest.mark.parametrize(
    ("call", "missing"),
    [
        (lambda chat: chat.turns(), "recording, platform"),
        (lambda chat: chat.transcript(), "platform, session"),
        (lambda chat: chat.latency(), "recording"),
        (lambda chat: chat.transitions(), "node"),
        (lambda chat: chat.payload("a"), "payload"),
    ],
)
def test_the_error_names_the_missing_columns(voiceflow: pd.DataFrame, call: Any, missing: str) -> None:
    with pytest.raises(SettingsError, match=rf"the frame lacks the columns .*{missing}"):
        call(voiceflow[["seq", "turn"]].chat)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda chat: chat.payload(""), "path must be a path"),
        (lambda chat: chat.payload(None), "path must be a path"),
        (lambda chat: chat.transcript("pdf"), "format 'pdf'"),
        (lambda chat: chat.latency(by="colour"), "lacks the columns colour"),
    ],
)
def test_an_invalid_argument_is_refused_in_one_sentence(voiceflow: pd.DataFrame, call: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        call(voiceflow.chat)


def test_an_empty_frame_has_an_empty_transcript_and_no_turns(voiceflow: pd.DataFrame) -> None:
    empty = voiceflow[:0]
    assert empty.chat.transcript() == ""
    assert len(empty.chat.turns()) == 0
    assert len(empty.chat.transitions()) == 0
    assert empty.chat.payload("a").empty
