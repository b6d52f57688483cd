"""DataFrames: the same schema for all traces."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest

from socketnb.dialects.registry import PLATFORMS
from socketnb.errors import SettingsError
from socketnb.flows.flow import Flow
from socketnb.frames import derived, query
from socketnb.frames.columns import CONVERSATION_COLUMNS, MESSAGE_COLUMNS, SESSION_COLUMNS, TURN_COLUMNS
from socketnb.hub import Hub
from socketnb.model.effects import Record
from socketnb.model.trace import NO_TIME, SCHEMA, Column
from socketnb.recording.folder import Folder
from socketnb.recording.recorder import Recorder

STRING = pd.StringDtype("pyarrow")


def dtypes(frame: pd.DataFrame) -> dict[str, str]:
    assert all(frame[name].dtype == STRING for name in frame if frame[name].dtype == "string")
    return {name: str(dtype) for name, dtype in frame.dtypes.items()}


def dtypes_of(columns: Mapping[str, Column]) -> dict[str, str]:
    return {name: column.dtype for name, column in columns.items()}


@pytest.fixture
def used(hub: Hub, flow: Flow) -> Hub:
    bot = hub.connect("voiceflow", name="bot", simulate=True, flow=flow)
    bot.launch()
    bot.press("Order")
    bot.press("L")
    hub.connect("voiceflow", name="other", simulate=True, flow=flow).send("sorry").over(10)
    return hub


def test_traces_have_the_columns_and_dtypes_of_the_schema(used: Hub) -> None:
    assert dtypes(used.traces_df()) == dtypes_of(SCHEMA)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_columns_and_dtypes_are_the_same_on_every_platform(platform: str, hub: Hub) -> None:
    bot = hub.connect(platform, simulate=True)
    bot.say("Track order")
    bot.say("4567")
    assert dtypes(bot.traces_df()) == dtypes_of(SCHEMA)
    assert dtypes(bot.turns_df()) == dtypes_of(TURN_COLUMNS)
    assert dtypes(bot.messages_df()) == dtypes_of(MESSAGE_COLUMNS)
    assert dtypes(hub.conversations_df()) == dtypes_of(CONVERSATION_COLUMNS)
    assert dtypes(hub.sessions_df()) == dtypes_of(SESSION_COLUMNS)
    turns = bot.turns_df()
    assert turns["user_text"].tolist() == ["Track order", "4567"]
    assert turns["reply_text"].str.contains("Tuesday before noon").tolist() == [False, True]
    assert (turns["first_ms"] <= turns["done_ms"]).all()


def test_a_frame_without_rows_has_the_same_columns_and_dtypes(used: Hub) -> None:
    for make in (query.traces_df, query.messages_df, query.turns_df, query.conversations_df, query.sessions_df):
        assert dtypes(make([])) == dtypes(make(used._stores()))
        assert make([]).empty


def test_seq_is_unique_and_gapless_in_each_session(used: Hub) -> None:
    for _, rows in used.traces_df().groupby("session", observed=True):
        assert list(rows["seq"]) == list(range(len(rows)))


def test_times_are_in_order_and_in_utc(used: Hub) -> None:
    traces = used.traces_df(session="bot")
    assert str(traces["observed_at"].dt.tz) == "UTC"
    assert traces["observed_at"].is_monotonic_increasing
    assert (traces["observed_at"] - traces["server_at"].dropna()).abs().max() < pd.Timedelta("1min")


def test_a_frame_can_be_limited_to_a_session_a_platform_and_columns(used: Hub) -> None:
    assert set(used.traces_df(session="other")["session"]) == {"other"}
    assert used.traces_df(platform="cognigy").empty
    assert list(used.traces_df(columns=["kind", "text"])) == ["kind", "text"]
    assert list(used.turns_df(columns=["action"])) == ["action"]
    assert used.traces_df(recording="other").empty
    assert len(used.traces_df(recording=used.traces_df()["recording"].iloc[0])) == len(used.traces_df())
    nothing = used.traces_df(columns=[])
    assert used.traces_df(since=nothing).empty
    for wrong in ("text", 5):
        with pytest.raises(SettingsError, match="columns must be a list of names"):
            used.traces_df(columns=wrong)
    with pytest.raises(SettingsError, match=r"unknown column 'txt'; did you mean 'text'\?"):
        used.traces_df(columns=["txt"])


def test_a_cursor_returns_only_new_traces(used: Hub) -> None:
    first = used.traces_df()
    assert used.traces_df(since=first).empty
    used.session("bot").say("hi")
    new = used.traces_df(since=first.attrs["cursor"])
    assert list(new["turn"].unique())[-1] == 4
    assert len(first) + len(new) == len(used.traces_df())
    assert used.turns_df(since=used.messages_df(since=first)).empty
    assert len(used.traces_df(since={"another recording": 0})) == len(first) + len(new)
    for wrong in (-1, "x", {"r": -1}, {"r": True}, pd.DataFrame()):
        with pytest.raises(SettingsError, match="since must be an earlier frame"):
            used.traces_df(since=wrong)


def test_a_cursor_of_a_saved_recording_returns_only_new_traces(tmp_path: Path) -> None:
    recorder = Recorder("2026-01-02T03-04-05-006-r", tmp_path)
    log = recorder.log("voiceflow", "bot", ())
    frames: list[pd.DataFrame] = []
    for number in range(3):
        log.append(Record("event", "custom", number), 1, number, NO_TIME)
        recorder.flush()
        frames.append(query.traces_df([Folder(tmp_path)], since=frames[-1] if frames else None))
    recorder.close()
    assert [frame["seq"].to_list() for frame in frames] == [[0], [1], [2]]


def test_turns_show_action_reply_choices_and_latencies(used: Hub) -> None:
    turns = used.turns_df(session="bot")
    assert list(turns["turn"]) == [1, 2, 3]
    assert list(turns["action"]) == ["launch", "press", "press"]
    assert turns["user_text"].tolist()[1:] == ["Order", "L"]
    assert pd.isna(turns["user_text"][0])
    assert turns["reply_text"].tolist() == ["Hello!", "Which size?", "One L pizza."]
    assert turns["choices"].tolist()[:2] == ["Order | Track", "S | L"]
    assert turns["messages"].tolist() == [2, 2, 1]
    assert set(turns["status"]) == {"completed"}
    assert (turns["first_ms"] <= turns["last_ms"]).all()
    assert (turns["last_ms"] <= turns["done_ms"]).all()


def test_a_turn_is_running_until_it_ends_and_shows_its_error(
    hub: Hub, flow: Flow, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    simulator = hub.simulate("voiceflow", flow)
    bot = hub.connect("voiceflow", **simulator.settings)
    simulator.fault("silent")
    turn = bot.send("sorry")
    eventually(lambda: turn.error is not None)
    assert list(bot.turns_df()["status"]) == ["running"]
    turn.cancel()
    (row,) = bot.turns_df().to_dict("records")
    assert (row["status"], row["error"]) == ("cancelled", "too many tokens (quota)")


def test_messages_are_those_that_a_person_sees(used: Hub) -> None:
    messages = used.messages_df(session="bot")
    assert messages["text"].tolist()[-3:] == ["[S] [L]", "L", "One L pizza."]
    assert messages["sender"].tolist()[-2:] == ["user", "bot"]


def test_the_conversations_of_a_session_are_apart(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("eusate", name="help", simulate=True, flow=flow)
    bot.say("hi")
    bot.new_conversation()
    bot.say("other")
    first, second = bot.conversations_df().to_dict("records")
    assert (first["session"], first["handler"], first["turns"], first["messages"]) == ("help", "bot", 1, 1)
    assert first["opened"] < second["opened"]
    assert first["first_bot_ms"] > 0
    assert pd.isna(first["first_human_ms"])
    assert bot.turns_df()["conversation"].tolist() == [first["conversation"], second["conversation"]]
    assert bot.messages_df(columns=["conversation"])["conversation"].notna().all()
    assert bot.transcript(first["conversation"]).splitlines()[:2] == ["user:  hi", "bot:   You said hi"]
    assert "other" not in bot.transcript(conversation=first["conversation"])
    traces = hub.traces_df()
    assert "user:  other" in traces.chat.transcript(conversation=second["conversation"])
    assert "user:  hi" not in traces.chat.transcript(conversation=second["conversation"])
    pd.testing.assert_frame_equal(traces.chat.conversations(), hub.conversations_df())
    with pytest.raises(SettingsError, match="unknown conversation 'nosuch'"):
        bot.transcript("nosuch")


def test_sessions_are_summarized(used: Hub) -> None:
    bot, other = used.sessions_df().to_dict("records")
    assert (bot["session"], bot["turns"], bot["links"], bot["errors"]) == ("bot", 3, 1, 0)
    assert (other["session"], other["turns"], other["errors"]) == ("other", 1, 1)
    assert bot["start"] < bot["end"]


def test_turns_can_be_computed_from_a_part_of_the_traces(used: Hub) -> None:
    traces = used.traces_df()
    assert len(derived.turns(traces[traces["turn"] == 2])) == 1
    assert len(derived.turns(pd.concat([traces[:5], traces[5:]]))) == 4


def test_the_sessions_of_several_recordings_are_in_one_frame(used: Hub, flow: Flow, tmp_path: Path) -> None:
    first = used.traces_df()
    elsewhere = used.connect("voiceflow", name="elsewhere", simulate=True, flow=flow, record=tmp_path)
    nowhere = used.connect("voiceflow", name="nowhere", simulate=True, flow=flow, record=False)
    elsewhere.say("hi")
    nowhere.say("hi")
    traces = used.traces_df()
    assert traces["recording"].nunique() == 3
    assert list(used.sessions_df()["session"]) == ["bot", "other", "elsewhere", "nowhere"]
    new = used.traces_df(since=first)
    assert set(new["session"]) == {"elsewhere", "nowhere"}
    assert len(first) + len(new) == len(traces)
    assert used.traces_df(since=traces).empty
    assert set(elsewhere.traces_df()["session"]) == {"elsewhere"}
