"""`%%chat` cells in a real IPython shell: what they send, assign, check and reject."""

import json
import re
import threading
import time
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from conftest import Cells, sim
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from IPython.utils.capture import capture_output
from observing import observe, output, queued

from socketnb.conversation.session import Session
from socketnb.dialects.base import warn
from socketnb.dialects.messages import Message
from socketnb.engine.events import Observation
from socketnb.errors import CONTROLS, ExpectationFailed, SocketnbError
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.model.trace import NO_TIME, Trace
from socketnb.ui.cell.notebook_view import NotebookView
from socketnb.ui.cell.results import SessionFeed, TurnResult


def sent_texts(hub: Hub) -> list[str]:
    """Return what the user sent, over all sessions."""
    return list(hub.turns_df()["user_text"].fillna(""))


def error_of(cells: Cells, cell: str) -> str:
    """Run a cell that fails with an error of socketnb, and return the message, which is one line."""
    error = cells.run(cell).error_in_exec
    assert isinstance(error, SocketnbError), error
    message = str(error)
    assert "\n" not in message
    assert error._render_traceback_() == [f"{type(error).__name__}: {message}"]
    assert "Traceback" not in cells.text + cells.errors
    return message


def test_each_line_of_a_cell_is_a_turn(cells: Cells, hub: Hub) -> None:
    cells.run("%chat connect voiceflow --simulate --name bot")
    assert cells.run("%%chat bot\ntrack\n\n4567\n").result is None
    assert len(cells.html) == 2
    assert "order number" in cells.html[0]
    assert "Tuesday before noon" in cells.html[1]
    assert sent_texts(hub) == ["track", "4567"]


def test_a_cell_ends_each_turn_with_its_latency_and_numbers_its_buttons(cells: Cells, bot: Session) -> None:
    cells.run("%%chat\n/launch")
    assert "[1] Order  [2] Track" in cells.text
    assert cells.text.rstrip().endswith("ms)")
    assert "completed · first" in cells.html[0]


def test_lines_are_verbs_messages_and_literal_slashes(cells: Cells, hub: Hub, bot: Session) -> None:
    cells.run("%%chat bot --comments\n# a comment\n/launch\n/press Track\n/launch\n/press 1")
    cells.run('%%chat bot\n//launch\none \\\ntwo\n"""\na\n\nb\n"""')
    assert list(hub.turns_df()["action"]) == ["launch", "press", "launch", "press", "text", "text", "text"]
    assert sent_texts(hub) == ["", "Track", "", "Order", "/launch", "one two", "a\n\nb"]


def test_verbs_have_their_fields(cells: Cells, hub: Hub) -> None:
    cells.run("%chat connect cognigy --simulate")
    cells.run('%%chat\n/data {"a": 1} with words\n/rate rating=5 comment=very good')
    sent = hub.traces_df(columns=["direction", "payload", "kind"]).query("direction == 'out' and kind == 'action'")
    data, rated = (json.loads(payload) for payload in sent["payload"])
    assert (data["data"], data["text"]) == ({"a": 1}, "with words")
    assert "very good" in json.dumps(rated)


def test_a_wait_shows_messages_that_arrive_and_they_can_be_expected(cells: Cells, hub: Hub) -> None:
    hub.connect("cognigy", name="desk", simulate=True)
    cells.run("%%chat\nTalk to a person")
    simulator = sim(hub)
    threading.Timer(0.2, lambda: simulator.agent_says("Ada here")).start()
    cells.run("%%chat\n/wait 0.8\n?? Ada here")
    assert "Ada here" in cells.text
    assert "waited 0.8 s" in cells.text
    assert "✓ Ada here" in cells.text


def test_messages_outside_turns_are_shown_where_they_came_and_judged_after_a_wait(cells: Cells, hub: Hub) -> None:
    bot = hub.connect("cognigy", name="desk", simulate=True)

    def interrupt(trace: Trace) -> None:
        if trace.kind == "action":
            bot._events.take([Observation(output("news of the day"), 1, time.time_ns(), NO_TIME)])

    stop = bot.listen(interrupt)
    error = cells.run("%%chat desk\nhours\n?? news of the day").error_in_exec
    assert isinstance(error, ExpectationFailed)
    assert "news of the day" in cells.text
    stop()
    observe(bot, output("too early"))
    timer = threading.Timer(0.2, lambda: observe(bot, output("a late answer", turn=bot._log.turn)))
    timer.start()
    assert cells.run("%%chat desk --expect 'late answer'\nhours\n/wait 0.5\n?? a late answer").success
    timer.join()
    assert "too early" not in cells.text


def test_a_message_between_two_steps_is_part_of_the_second(
    cells: Cells, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = hub.connect("cognigy", name="desk", simulate=True)
    finish = TurnResult.finish

    def finish_and_receive(result: TurnResult) -> None:
        finish(result)
        observe(bot, output("at once after the turn"))

    monkeypatch.setattr(TurnResult, "finish", finish_and_receive)
    assert cells.run("%%chat desk\nhours\n/wait 0\n?? at once after the turn").success


def test_an_action_that_was_not_sent_keeps_its_words_in_its_cell(cells: Cells, hub: Hub) -> None:
    bot = hub.connect("cognigy", name="desk", simulate=True)
    feed = SessionFeed(bot)
    observe(bot, queued(1, "my words", "not sent: waiting for the end of turn 0"))
    turn = SimpleNamespace(number=1, status="running", summary="running · not sent: waiting for the end of turn 0")
    with capture_output() as shown:
        view = NotebookView("text", "my words")
        view.add([TurnResult(feed, 0, turn)])  # type: ignore[arg-type]
        view.refresh(final=True)
    text = shown.outputs[0].data["text/plain"]
    assert "user:  my words" in text
    assert "not sent: waiting for the end of turn 0" in text


def test_the_json_format_has_data_warnings_and_unsolicited_messages(
    cells: Cells, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Message, "data", property(lambda self: {"id": 1} if self.trace.text == "with data" else None))
    bot = hub.connect("cognigy", name="desk", simulate=True)
    threading.Timer(0.1, lambda: observe(bot, output("with data"), warn(1, "may be late"))).start()
    cells.run("%%chat desk -f json\n/wait 0.4\n?? data.id = 1")
    result = cells.outputs[0].data["application/json"]
    assert result["messages"] == [
        {"sender": "bot", "kind": "text", "text": "with data", "unsolicited": True, "data": {"id": 1}}
    ]
    assert result["warnings"] == ["may be late"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(body=st.text(alphabet="{}$%'\"\\#😀 a>.\n", min_size=1).filter(str.strip))
def test_a_whole_body_is_sent_unchanged(cells: Cells, ears: list[str], body: str) -> None:
    ears.clear()
    cells.run(f"%%chat bot --whole -q\n{body}")
    assert ears == [body.removesuffix("\n")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(line=st.text(alphabet="{}$%'\"\\😀 a>.?!", min_size=1).filter(str.strip))
def test_a_line_is_sent_unchanged(cells: Cells, ears: list[str], line: str) -> None:
    if line.strip() == '"""' or (line.startswith("??") and not line.startswith("???")):
        return
    ears.clear()
    cells.run(f"%%chat bot -q\n{line}")
    assert ears == [line]


def test_text_that_looks_like_a_prompt_is_sent(cells: Cells, ears: list[str]) -> None:
    cells.run("%%chat bot -q\n>>> hello\n... wait\nIn [1]: x\n...")
    assert ears == [">>> hello", "... wait", "In [1]: x", "..."]


def test_variables_of_the_notebook_are_inserted_with_vars(cells: Cells, ears: list[str]) -> None:
    cells.run("number = 4567")
    cells.run("%%chat bot -q\n{{number}}")
    cells.run("%%chat bot -q --vars\n{{number}} {{ number }} {number}")
    assert ears == ["{{number}}", "4567 4567 {number}"]
    assert error_of(cells, "%%chat bot --vars\nfirst\n{{nobody}}").startswith(
        "line 3: the notebook has no variable 'nobody'"
    )
    assert len(ears) == 2


@pytest.mark.parametrize(
    ("options", "mime", "part"),
    [
        ("-f text", "text/plain", "You said hi"),
        ("-f markdown", "text/markdown", "**bot:** You said hi"),
        ("-f html", "text/html", ">You said hi</p>"),
        ("--raw", "text/plain", "action.trace  text  {"),
    ],
)
def test_a_turn_is_shown_in_the_chosen_format(cells: Cells, bot: Session, options: str, mime: str, part: str) -> None:
    cells.run(f"%%chat bot {options}\nhi")
    assert part in cells.outputs[0].data[mime]
    assert ("text/html" in cells.outputs[0].data) is (options == "-f html")


def test_the_json_format_describes_a_turn(cells: Cells, bot: Session) -> None:
    cells.run("%%chat bot -f json\n/launch")
    data = cells.outputs[0].data["application/json"]
    assert (data["session"], data["turn"], data["status"]) == ("bot", 1, "completed")
    assert data["choices"] == ["Order", "Track"]
    assert data["first_ms"] > 0
    assert json.loads(cells.text) == data


def test_a_quiet_cell_shows_nothing(cells: Cells, bot: Session) -> None:
    cells.run("%%chat bot -q\nhi")
    assert (cells.text, cells.html) == ("", [])


@pytest.mark.parametrize("head", ["-o turns", "--output turns", "turns <<", "turns<<", "bot turns <<", "turns << bot"])
def test_turns_are_assigned_to_a_variable(cells: Cells, bot: Session, head: str) -> None:
    cells.run(f"%%chat {head}\none\ntwo")
    turns = cells.shell.user_ns["turns"]
    assert [turn.text for turn in turns] == ["You said one", "You said two"]
    assert [turn.session for turn in turns] == ["bot", "bot"]


def test_traces_are_assigned_as_a_frame(cells: Cells, bot: Session, hub: Hub) -> None:
    bot.say("before")
    cells.run("%%chat bot -q --df traces\none\ntwo")
    traces = cells.shell.user_ns["traces"]
    assert isinstance(traces, pd.DataFrame)
    assert list(traces["turn"].unique()) == [2, 3]
    assert list(map(str, traces.dtypes)) == list(map(str, hub.traces_df().dtypes))
    assert traces.chat.transcript().count("You said") == 2


def test_several_sessions_are_shown_side_by_side(cells: Cells, hub: Hub, flow: Flow) -> None:
    for name in ("a", "b"):
        hub.connect("voiceflow", name=name, simulate=True, flow=flow)
    cells.run("%%chat --to a,b -o turns\nhi\n?? You said hi")
    assert [turn.session for turn in cells.shell.user_ns["turns"]] == ["a", "b"]
    (html,) = cells.html[:1]
    assert "display:flex" in html
    assert html.count("You said hi") == 2
    assert cells.text.count("✓ You said hi") == 2


def test_a_cell_stops_at_the_first_failed_turn(cells: Cells, bot: Session, hub: Hub) -> None:
    sim(hub).fault("silent")
    assert "was not done with turn 1 within 0.2 s" in error_of(cells, "%%chat bot --timeout 0.2\nfirst\nsecond")
    assert sent_texts(hub) == ["first"]
    sim(hub).fault("silent")
    assert cells.run("%%chat bot --timeout 0.2 --continue-on-error\nfirst\nsecond").success
    assert "✗ bot: the bot was not done with turn 2" in cells.text
    assert sent_texts(hub) == ["first", "first", "second"]


def test_an_unknown_button_is_reported_with_its_line(cells: Cells, bot: Session, hub: Hub) -> None:
    line = error_of(cells, "%%chat bot -o turns\n/launch\n/press Trak\nnever")
    assert line == (
        "line 3: unknown button 'Trak'; did you mean 'Track'? available: Order, Track (this line was not sent)"
    )
    assert len(cells.shell.user_ns["turns"]) == 1
    assert cells.run("%%chat bot --continue-on-error\n/press Trak\nhi").success
    assert "✗ line 2: unknown button" in cells.text


def test_a_number_presses_the_button_at_that_position_unless_it_is_a_label(cells: Cells, hub: Hub) -> None:
    flow = Flow("numbers")

    @flow.launch
    def hello(turn: FlowTurn) -> None:
        turn.choices("2", "1", "three")

    @flow.otherwise
    def echo(turn: FlowTurn) -> None:
        turn.say(f"pressed {turn.text}")

    hub.connect("voiceflow", simulate=True, flow=flow)
    cells.run("%%chat\n/launch\n/press 1\n?? pressed 1\n/launch\n/press 3\n?? pressed three")
    assert cells.text.count("✓") == 2


def test_a_failed_expectation_is_an_error_that_shows_expected_and_actual_reply(cells: Cells, bot: Session) -> None:
    result = cells.run("%%chat bot -o turns\nhi\n?? You said hi\n?? /you SAID/i\n?? You said bye\nnever")
    error = result.error_in_exec
    assert isinstance(error, ExpectationFailed)
    assert str(error) == "line 5: expected 'You said bye', got: You said hi"
    assert (error.expected, error.got, error.turn.number) == ("You said bye", "You said hi", 1)
    assert len(cells.shell.user_ns["turns"]) == 1
    assert "expected  You said bye\n  got       You said hi" in cells.text
    assert "socketnb/" not in cells.text + cells.errors


def test_expect_options_check_the_replies_of_the_whole_cell(cells: Cells, bot: Session) -> None:
    assert cells.run("%%chat bot --expect 'said one' --expect /two$/\none\ntwo").success
    result = cells.run("%%chat bot --expect three\none\ntwo")
    assert str(result.error_in_exec) == "--expect: expected 'three', got: You said one You said two"


def test_with_continue_on_error_a_failed_expectation_is_raised_at_the_end(cells: Cells, bot: Session, hub: Hub) -> None:
    result = cells.run("%%chat bot --continue-on-error\none\n?? nothing\ntwo\n?? said two")
    assert isinstance(result.error_in_exec, ExpectationFailed)
    assert sent_texts(hub) == ["one", "two"]
    assert "✗ nothing" in cells.text
    assert "✓ said two" in cells.text


def test_repeated_runs_end_with_a_summary(cells: Cells, bot: Session) -> None:
    cells.run("%%chat bot --repeat 5 -o turns\none\n/launch")
    assert len(cells.shell.user_ns["turns"]) == 10
    assert len(cells.outputs) == 1
    lines = cells.text.splitlines()
    assert "completed" in lines[0]
    assert "p90_ms" in lines[0]
    assert lines[2].split()[:4] == ["one", "bot", "5", "5"]
    assert lines[3].split()[:4] == ["/launch", "bot", "5", "5"]
    result = cells.run("%%chat bot --repeat 3 --continue-on-error\none\n?? two")
    assert isinstance(result.error_in_exec, ExpectationFailed)
    assert ["one", "bot", "3", "3", "3"] in [line.split()[:5] for line in cells.text.splitlines()]


def test_without_a_name_a_cell_uses_the_session_used_last(cells: Cells, hub: Hub, flow: Flow) -> None:
    for name in ("a", "b", "c"):
        hub.connect("voiceflow", name=name, simulate=True, flow=flow)
    for head in ("", " a", "", " --to b,c"):
        cells.run(f"%%chat{head}\nhi")
    cells.run("%chat use b")
    cells.run("%%chat\nhi")
    assert list(hub.turns_df()["session"]) == ["c", "a", "a", "b", "c", "b"]


def test_settings_of_cells_can_be_configured(cells: Cells, bot: Session, hub: Hub) -> None:
    cells.run("%config Chat.timeout = 0.2")
    cells.run("%config Chat.format = 'markdown'")
    cells.run("%config Chat.comments = True")
    sim(hub).fault("silent")
    assert "within 0.2 s" in error_of(cells, "%%chat\n# comment\nhi")
    assert "text/markdown" in cells.outputs[0].data


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("%%chat nobody\nhi", "unknown session 'nobody'; available: bot"),
        ("%%chat --to bot,nobody\nhi", "unknown session 'nobody'; available: bot"),
        ("%%chat bot --to bot\nhi", "give either the name of one session, or several names with --to"),
        ("%%chat\n\n", "the cell is empty; each of its lines is sent as one message"),
        ("%%chat --timeout 0\nhi", "timeout "),
        ("%%chat --timeout soon\nhi", "argument --timeout: invalid float value: 'soon'"),
        ("%%chat --repeat 0\nhi", "argument --repeat: must be a whole number of at least 1, got '0'"),
        ("%%chat -o 1x\nhi", "argument -o/--output: must be a valid name of a Python variable, got '1x'"),
        ("%%chat -o class\nhi", "argument -o/--output: must be a valid name of a Python variable, got 'class'"),
        ("%%chat << bot\nhi", "argument -o/--output: must be a valid name of a Python variable, got '<<'"),
        ("%%chat --df 1x\nhi", "argument --df: must be a valid name of a Python variable, got '1x'"),
        ("%%chat -o T --df T\nhi", "--output and --df need two different names, got 'T' for both"),
        ("%%chat --to ,\nhi", "argument --to: must be names separated by commas, such as a,b"),
        ("%%chat --expect ''\nhi", "--expect needs the expected words"),
        ("%%chat --nonsense\nhi", "unrecognized arguments: --nonsense"),
        ("%%chat 'bot\nhi", "a quotation mark is not closed"),
        ("%%chat --expect /(/\nhi", "--expect: /(/ is not a valid regular expression"),
        ("%%chat\nhi\n/lunch", "line 3: unknown verb 'lunch'; did you mean 'launch'?"),
        ("%%chat\nhi\n/event", "line 3: event needs name; usage: /event name [data] (nothing was sent)"),
        ("%%chat\nhi\n/wait x", "line 3: /wait needs a number of seconds, as in /wait 2, got 'x' (nothing was sent)"),
        ('%%chat\n"""\nhi', 'line 2: no line with """ ends the message that begins here (nothing was sent)'),
        (
            "%%chat\n?? hi",
            "line 2: ?? checks the reply to the step before it, and no step comes before it (nothing was sent)",
        ),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_sent(cells: Cells, hub: Hub, bot: Session, cell: str, line: str) -> None:
    assert error_of(cells, cell).startswith(line)
    assert sent_texts(hub) == []


@pytest.mark.parametrize(
    ("cell", "error"),
    [
        ("%%chat a --continue-on-error\n/press Nope\n?? anything", "line 3: expected 'anything', got: nothing"),
        ("%%chat a --expect foo\n/wait 0.01", "--expect: expected 'foo', got: nothing"),
        ("%%chat --to a,b --continue-on-error\n/press Order\n?? size", "line 3, a: expected 'size', got: nothing"),
    ],
)
def test_the_reply_of_a_session_without_a_turn_is_empty(
    cells: Cells, hub: Hub, flow: Flow, cell: str, error: str
) -> None:
    hub.connect("voiceflow", name="a", simulate=True, flow=flow).launch()
    hub.connect("voiceflow", name="b", simulate=True, flow=flow)
    assert str(cells.run(cell).error_in_exec) == error
    assert list(hub.turns_df()["action"]) == ["launch"], "if one session lacks the button, it is pressed in no session"


def test_a_rejected_turn_ends_the_cell(cells: Cells, bot: Session, hub: Hub) -> None:
    sim(hub).fault("reject")
    assert error_of(cells, "%%chat\nfirst\nsecond").startswith("bot: turn 1 was rejected")
    assert sent_texts(hub) == ["first"]


def test_a_session_that_closes_ends_the_cell(cells: Cells, bot: Session, hub: Hub) -> None:
    for cell, line in {
        "%%chat bot\nhi\nnever": "bot: turn 1 was cancelled",
        "%%chat bot\n/wait 30\nnever": "line 2: session 'bot' closed during the wait",
    }.items():
        if bot.state == "closed":
            bot = hub.connect("voiceflow", name="bot", simulate=True)
        sim(hub).fault("silent")
        timer = threading.Timer(0.3, bot.close)
        timer.start()
        assert error_of(cells, cell).startswith(line)
        timer.join()


def test_hostile_messages_are_harmless_in_every_format(cells: Cells, hub: Hub) -> None:
    flow = Flow("hostile")

    @flow.otherwise
    def attack(turn: FlowTurn) -> None:
        turn.say("\x1b[2J\x9b0m <img src=x onerror=alert(1)> [a](javascript:alert(2)) [b]: javascript:alert(3)")
        turn.say("[ok](https://example.org)")
        turn.choices("one\n/reset", "two\x1b[31m", "<script>")

    hub.connect("voiceflow", name="bot", simulate=True, flow=flow)
    for form in ("-f markdown", "-f html", "-f text", "-f json", "--raw"):
        cells.run(f"%%chat bot {form}\nhi\n?? ok")
        for part in cells.outputs:
            for mime, shown in part.data.items():
                harmless = mime in ("application/json", "text/html") or not CONTROLS.search(shown.replace("\n", ""))
                assert harmless, (form, mime)
    cells.run("%%chat bot -f markdown\nhi")
    markdown = cells.outputs[0].data["text/markdown"]
    assert "<img" not in markdown
    assert "](javascript" not in markdown
    assert "]: javascript" not in markdown
    assert "[ok](https://example.org)" in markdown
    cells.run("%%chat bot -f markdown --continue-on-error\n/press nothing")
    assert "✗ line 2" in cells.outputs[0].data["text/markdown"]
    assert "<script" not in cells.outputs[0].data["text/markdown"]
    assert error_of(cells, "%%chat bot\n/press nothing").count("/reset") == 1
    error = cells.run("%%chat bot -q\nhi\n?? never").error_in_exec
    assert "\x1b" not in cells.text + str(error)


def test_of_a_long_turn_only_the_end_is_shown(cells: Cells, hub: Hub) -> None:
    flow = Flow("long")

    @flow.otherwise
    def talk(turn: FlowTurn) -> None:
        for n in range(1_000):
            turn.say(f"word {n} " + "x" * 100)

    hub.connect("voiceflow", name="bot", simulate=True, flow=flow)
    cells.run("%%chat bot -o turns\ngo\n?? /word 0 /")
    assert len(cells.shell.user_ns["turns"][0].messages) == 1_000
    assert "word 999" in cells.text
    assert len(cells.html[0]) < 200_000
    assert "earlier events are in the frames" in cells.html[0]


def test_a_cell_after_empty_lines_is_sent_unchanged(cells: Cells, ears: list[str]) -> None:
    cells.run("\n\n%%chat bot -q\n>>> hi\n... x")
    assert ears == [">>> hi", "... x"]


def test_traces_that_arrive_during_a_wait_are_traces_of_the_cell(cells: Cells, hub: Hub) -> None:
    hub.connect("cognigy", name="desk", simulate=True)
    cells.run("%%chat -q\nTalk to a person")
    simulator = sim(hub)
    timer = threading.Timer(0.1, lambda: simulator.agent_says("Ada here"))
    timer.start()
    cells.run("%%chat -q --df traces\n/wait 0.6")
    timer.join()
    assert "Ada here" in cells.shell.user_ns["traces"].chat.transcript()
    cells.run("%%chat\n/wait 0.01")
    assert re.fullmatch(r"\(waited \d\.\d s\)", cells.text.strip())


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "\n",
        "   \n",
        "1 +",
        "%chat connect?",
        *(f"%%chat{rest}" for rest in ("", " bot", "\n", "\nhi", "\n>>> hi\n")),
    ],
)
def test_the_extension_does_not_change_whether_a_cell_is_complete(cells: Cells, typed: str) -> None:
    with_extension = cells.shell.input_transformer_manager.check_complete(typed)
    cells.run("%unload_ext socketnb")
    assert with_extension == cells.shell.input_transformer_manager.check_complete(typed)


def test_a_cell_that_is_typed_in_a_terminal_has_a_body(cells: Cells) -> None:
    assert cells.shell.check_complete("%%chat bot")[0] == "incomplete"
    assert cells.shell.check_complete("%%chat bot\n>>> where is my order?")[0] == "incomplete"


def test_if_one_of_several_sessions_closes_the_turns_of_the_others_complete(
    cells: Cells, hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = (hub.connect("voiceflow", name=name, simulate=True, flow=flow) for name in "ab")
    send = b.send

    def closing(text: str) -> Any:
        b.close()
        return send(text)

    monkeypatch.setattr(b, "send", closing)
    assert "session 'b' is closed" in error_of(cells, "%%chat --to a,b -o turns\nhi")
    assert [turn.status for turn in cells.shell.user_ns["turns"]] == ["completed"]
    assert "You said hi" in cells.text
    assert a.running == []


def test_with_continue_on_error_a_wait_lasts_while_one_session_is_open(cells: Cells, hub: Hub, flow: Flow) -> None:
    _, b = (hub.connect("voiceflow", name=name, simulate=True, flow=flow) for name in "ab")
    timer = threading.Timer(0.1, b.close)
    timer.start()
    assert cells.run("%%chat --to a,b --continue-on-error\n/wait 0.5").success
    timer.join()
    assert "waited 0.5 s" in cells.text
    assert "✗ line 2: session 'b' closed during the wait" in cells.text


def test_a_missing_file_is_found_before_anything_is_sent(cells: Cells, hub: Hub) -> None:
    cells.run("%chat connect cognigy --simulate")
    line = error_of(cells, "%%chat\nhours\n/upload nofile.txt")
    assert line.startswith("line 3: upload ")
    assert "'nofile.txt'" in line
    assert line.endswith(" (nothing was sent)")
    assert sent_texts(hub) == []


@pytest.mark.parametrize(("head", "name"), [("T<<bot", "T"), ("T <<bot", "T"), ("bot T <<", "T")])
def test_spaces_around_an_assignment_are_optional(cells: Cells, bot: Session, head: str, name: str) -> None:
    cells.run(f"%%chat {head} -q\nhi")
    assert len(cells.shell.user_ns[name]) == 1
    cells.run('%%chat bot -q --expect "said x<<y"\nx<<y')
