"""The kernel's side of the panel: the messages to and from a page, without a browser."""

import base64
import json
import queue
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ipywidgets import widget
from observing import observe, output, queued

import socketnb.ui.panel as panel_module
from socketnb import render
from socketnb.conversation.session import Session
from socketnb.dialects.base import warn
from socketnb.dialects.messages import Message
from socketnb.errors import SessionError, SettingsError
from socketnb.flows.flow import Flow, FlowTurn, card
from socketnb.frames.exports import EXPORTS
from socketnb.hub import Hub
from socketnb.model.effects import Record
from socketnb.ui.panel import Panel, session_view
from socketnb.ui.panel.panel_rows import PAGE_ROWS
from socketnb.ui.panel.session_view import STATIC_ROWS, SessionView

Eventually = Callable[[Callable[[], bool]], None]


class Page:
    """A page that shows a panel: it sends requests and keeps the messages that the kernel sends."""

    def __init__(self, panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.panel = panel
        self._messages: list[dict[str, Any]] = []
        monkeypatch.setattr(panel, "send", self._messages.append)
        self.request("fetch", anchor="last", seq=0)
        self.messages.clear()

    @property
    def messages(self) -> list[dict[str, Any]]:
        """All messages so far. Waits until the panel has nothing left to send."""
        deadline = time.monotonic() + 10
        while any(map(self._is_waiting, self.panel._views)) and time.monotonic() < deadline:
            time.sleep(0.005)
        return self._messages

    def _is_waiting(self, view: SessionView) -> bool:
        with view._lock:
            return view._waiting and view.session.state != "closed"

    def request(self, type_: str, *buffers: bytes, **fields: Any) -> None:
        self.receive({"type": type_, "view": "v", **fields}, *buffers)

    def receive(self, message: object, *buffers: bytes) -> None:
        self.panel._receive(self.panel, message, list(buffers))

    def fetch(self, anchor: str, seq: int = 0, conversation: str | None = None) -> dict[str, Any]:
        """Fetch rows, and return the page of rows together with the status and the info."""
        self.messages.clear()
        target = {"conversation": conversation} if conversation else {}
        self.request("fetch", anchor=anchor, seq=seq, **target)
        (answer,) = self.of_type("page")
        assert (answer["view"], answer["anchor"]) == ("v", anchor)
        self.messages.clear()
        return {"status": answer["status"], "info": answer["info"], **answer["page"]}

    def of_type(self, type_: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == type_]

    def last(self, type_: str) -> dict[str, Any]:
        return self.of_type(type_)[-1]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for message in self.of_type("rows") for row in message["rows"]]


@pytest.fixture
def bot(hub: Hub, flow: Flow) -> Session:
    return hub.connect("voiceflow", name="bot", simulate=True, flow=flow)


@pytest.fixture
def page(bot: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    panel = bot.panel()
    yield Page(panel, monkeypatch)
    panel.close()


def contents(rows: list[dict[str, Any]]) -> list[Any]:
    return [row.get("html") or row.get("choices") or row.get("text") for row in rows]


def offer_of(page: Page) -> dict[str, Any]:
    """Return the last row with buttons."""
    return [row for row in page.rows if "choices" in row][-1]


def has_html(page: Page, html: str) -> bool:
    return any(row.get("html") == html for row in page.rows)


# Messages outside turns, actions that wait, warnings and data


@pytest.fixture
def desk(hub: Hub) -> Session:
    return hub.connect("cognigy", name="desk", simulate=True)


@pytest.fixture
def desk_page(desk: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    panel = desk.panel()
    yield Page(panel, monkeypatch)
    panel.close()


def test_messages_that_no_turn_waited_for_are_marked_where_they_came(desk: Session, desk_page: Page) -> None:
    desk.say("hours")
    observe(desk, output("Your parcel has arrived."), output("I am late.", turn=1))
    for rows in (desk_page.rows, desk_page.fetch("last")["rows"]):
        marked = [(row["html"], row["turn"]) for row in rows if row.get("unsolicited")]
        assert marked == [("<p>Your parcel has arrived.</p>\n", 0), ("<p>I am late.</p>\n", 1)]
        assert rows[-2:] == [row for row in rows if row.get("unsolicited")]
    assert desk_page.fetch("last")["running"] == []


def action_of(turn: int, text: str) -> Record:
    return Record("processInput", "action", {"text": text}, "out", "user", turn, text)


def test_an_action_that_waits_shows_why_until_it_is_sent(desk: Session, desk_page: Page) -> None:
    observe(desk, queued(1, "hi", "not sent: waiting for the end of turn 0"))
    (row,) = desk_page.rows
    assert (row["text"], row["queued"]) == ("hi", "not sent: waiting for the end of turn 0")
    assert desk_page.fetch("last")["rows"][1:] == [row]  # after the ids of the session
    assert desk_page.fetch("last")["running"] == [1]
    observe(desk, action_of(1, "hi"), elapsed_ms=0.0)
    observe(desk, output("yes", turn=1), elapsed_ms=5.0)
    rows = desk_page.fetch("last")["rows"][1:]
    assert [row.get("text") or row["html"] for row in rows] == ["hi", "<p>yes</p>\n"]
    assert "queued" not in rows[0]


def test_an_action_that_was_never_sent_keeps_its_words(desk: Session, desk_page: Page) -> None:
    refused = Record("turn", "error", None, "local", turn=1, text="failed", error="too large", final=True)
    observe(desk, queued(1, "hi", "not sent"), refused)
    for rows in (desk_page.rows, desk_page.fetch("last")["rows"][1:]):
        assert [(row.get("text"), row.get("queued"), row.get("notice")) for row in rows] == [
            ("hi", "", None),
            (None, None, "too large"),
        ]
    assert desk_page.fetch("last")["running"] == []


def test_a_warning_names_its_turn(desk: Session, desk_page: Page) -> None:
    desk.say("hours")
    observe(desk, warn(1, "the answer may belong to another input"), warn(0, "the endpoint never said it is ready"))
    assert [(row["notice"], row["kind"]) for row in desk_page.rows if "notice" in row] == [
        ("Turn 1: the answer may belong to another input", "warning"),
        ("the endpoint never said it is ready", "warning"),
    ]


def test_the_data_of_a_message_is_part_of_its_row(
    desk: Session, desk_page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Message, "data", property(lambda _: {"order": {"id": 4567}}))
    observe(desk, output("Here it is.", {"order": {"id": 4567}}))
    (row,) = desk_page.rows
    assert json.loads(row["data"]) == {"order": {"id": 4567}}
    assert row["html"] == "<p>Here it is.</p>\n"


# Fetching rows


def test_a_new_page_fetches_the_whole_conversation(bot: Session, page: Page) -> None:
    bot.launch()
    answer = page.fetch("last")
    assert (answer["from"], answer["to"]) == (0, len(bot.traces()))
    assert contents(answer["rows"]) == ["(launch)", "<p>Hello!</p>\n", ["Order", "Track"], None]
    assert (answer["older"], answer["newer"], answer["running"]) == (False, False, [])
    assert answer["status"] == {"state": "ready"}
    info = answer["info"]
    assert (info["name"], info["platform"], info["can_restart"]) == ("bot", "Voiceflow", True)
    assert info["max_conversations"] == 1


def test_live_rows_cover_all_traces_without_gaps(bot: Session, page: Page) -> None:
    bot.launch()
    bot.say("hi")
    ranges = [(message["from"], message["to"]) for message in page.of_type("rows")]
    assert all(start == end for (_, end), (start, _) in pairwise(ranges))
    assert ranges[-1][1] == len(bot.traces())


def test_live_rows_of_a_panel_that_is_opened_late_begin_at_that_moment(
    bot: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot.launch()
    before = len(bot.traces())
    page = Page(bot.panel(), monkeypatch)
    bot.say("hi")
    assert page.of_type("rows")[0]["from"] == before
    page.panel.close()


@pytest.fixture
def long(bot: Session, page: Page) -> list[dict[str, Any]]:
    """A conversation of more rows than one page, and all of its rows."""
    for n in range(PAGE_ROWS):
        bot.say(f"number {n}")
    return page.rows


def test_pages_of_a_long_conversation_follow_each_other(page: Page, long: list[dict[str, Any]]) -> None:
    answer = page.fetch("last")
    rows = answer["rows"]
    assert len(rows) == PAGE_ROWS
    while answer["older"]:
        answer = page.fetch("before", rows[0]["seq"])
        assert answer["rows"][-1]["seq"] < rows[0]["seq"] == answer["to"]
        rows = answer["rows"] + rows
    assert rows == long
    assert answer["from"] == 0
    after = page.fetch("after", 0)
    assert (after["rows"], after["newer"]) == (long[:PAGE_ROWS], True)
    assert (after["from"], after["to"]) == (0, long[PAGE_ROWS]["seq"])


def test_a_page_that_missed_many_rows_gets_the_last_ones(page: Page, long: list[dict[str, Any]]) -> None:
    few = page.fetch("since", long[-3]["seq"])
    assert (few["rows"], few["from"]) == (long[-3:], long[-3]["seq"])
    many = page.fetch("since", 0)
    assert (many["rows"], many["older"]) == (long[-PAGE_ROWS:], True)


def test_a_search_returns_seqs_and_a_page_around_a_match_can_be_fetched(page: Page, long: list[dict[str, Any]]) -> None:
    page.request("find", text="NUMBER 7")
    (answer,) = page.of_type("found")
    expected = [row["seq"] for row in long if "number 7" in (row.get("text") or row.get("html", ""))]
    assert answer["seqs"] == expected
    around = page.fetch("around", expected[0])
    assert expected[0] in [row["seq"] for row in around["rows"]]
    assert around["newer"]


def test_the_size_of_a_row_does_not_grow_with_the_conversation(page: Page, long: list[dict[str, Any]]) -> None:
    sizes = [len(json.dumps(row)) for row in long if "html" in row]
    early, late = statistics.mean(sizes[:20]), statistics.mean(sizes[-20:])
    assert late <= 1.1 * early


def test_a_status_is_sent_only_when_it_changes(bot: Session, page: Page) -> None:
    bot.say("hi")
    assert not [message for message in page.messages if "status" in message]
    bot.close()
    assert page.last("rows")["status"] == {"state": "closed"}


# Requests


def test_a_page_sends_a_text_and_presses_a_button(bot: Session, page: Page, eventually: Eventually) -> None:
    page.request("say", text="hi")
    eventually(lambda: has_html(page, "<p>You said hi</p>\n"))
    bot.launch()
    page.request("press", seq=offer_of(page)["seq"], option=0)
    eventually(lambda: has_html(page, "<p>Which size?</p>\n"))


def test_the_last_row_of_a_turn_has_its_duration(bot: Session, page: Page) -> None:
    turn = bot.say("hi")
    assert page.rows[-1]["done_ms"] == round(turn.done_ms, 1)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": "say", "text": ""},
        {"type": "say", "text": 7},
        {"type": "fetch", "anchor": "x", "seq": 0, "view": "v"},
        {"type": "say", "text": "hi", "session": 7},
        {"type": "press", "seq": 0},
        {"type": "export", "format": "parrot", "view": "v"},
        {"type": 7},
        7,
        None,
        [],
    ],
)
def test_a_malformed_request_is_ignored(bot: Session, page: Page, message: Any) -> None:
    page.receive(message)
    assert bot.turns_df().empty
    assert page.messages == []


@pytest.mark.parametrize(("seq", "option"), [(0, 0), (10**6, 0), (-1, 9)])
def test_pressing_a_button_that_does_not_exist_is_an_error(bot: Session, page: Page, seq: int, option: int) -> None:
    page.request("press", seq=seq, option=option)
    (error,) = page.of_type("error")
    assert "no such button" in error["error"]


def test_a_page_learns_the_turn_of_its_text_and_which_button_was_pressed(bot: Session, page: Page) -> None:
    page.request("say", text="hi", id="a-0")
    assert {"session": 0, "type": "sent", "id": "a-0", "turn": 1} in page.messages
    bot.launch()
    offer = offer_of(page)
    page.request("press", seq=offer["seq"], option=1)
    assert {"session": 0, "type": "pressed", "seq": offer["seq"], "option": 1} in page.messages
    page.request("press", seq=offer["seq"], option=1)
    for turn in bot.running:
        turn.wait()
    assert bot.turns_df()["action"].tolist().count("press") == 1, "two views must not press twice"
    bot.launch()
    later = offer_of(page)
    bot.close()
    page.request("press", seq=later["seq"], option=1)
    assert page.last("error")["request"]["seq"] == later["seq"], "so that its buttons are enabled again"


def test_a_text_that_cannot_be_sent_comes_back(bot: Session, page: Page) -> None:
    bot.close()
    page.request("say", text="hi")
    error = page.last("error")
    assert error["request"]["text"] == "hi"
    assert "closed" in error["error"]


def test_each_card_has_its_html_and_its_buttons(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = Flow("cards")

    @flow.otherwise
    def cards(turn: FlowTurn) -> None:
        turn.carousel(
            card("One", "**first**", image="https://x/1.png", choices=["A", "B"]),
            card("<b>Two</b>", choices=["C"], image="javascript:x"),
        )

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    page = Page(bot.panel(), monkeypatch)
    bot.say("hi")
    (row,) = [row for row in page.rows if "cards" in row]
    assert (row["layout"], row["choices"]) == ("carousel", ["A", "B", "C"])
    assert [card["options"] for card in row["cards"]] == [[0, 1], [2]]
    assert '<img src="https://x/1.png"' in row["cards"][0]["html"]
    assert "<strong>first</strong>" in row["cards"][0]["html"]
    assert row["cards"][1]["html"] == '<div class="snb-title"><strong>&lt;b&gt;Two&lt;/b&gt;</strong></div>'
    page.panel.close()


def test_traces_that_come_together_are_sent_together(bot: Session, page: Page) -> None:
    bot.launch()
    assert 0 < len(page.messages) < len(bot.traces())


def test_a_page_stops_waiting_and_restarts(hub: Hub, bot: Session, page: Page, eventually: Eventually) -> None:
    hub._simulators[-1].fault("silent")
    turn = bot.send("hi")
    assert bot.running == [turn]
    page.request("stop")
    assert turn.status == "cancelled"
    assert bot.running == []
    page.request("restart")
    eventually(lambda: has_html(page, "<p>Hello!</p>\n"))


@pytest.mark.parametrize(
    ("name", "suffix", "part"),
    [
        ("text", "txt", "bot:   Hello!"),
        ("markdown", "md", "**bot:** Hello!"),
        ("html", "html", '<meta charset="utf-8">'),
        ("jsonl", "jsonl", '"seq":0'),
        ("csv", "csv", "Hello!"),
    ],
)
def test_a_page_exports_the_conversation(bot: Session, page: Page, name: str, suffix: str, part: str) -> None:
    bot.launch()
    page.request("export", format=name)
    file = page.last("file")
    assert file["name"] == f"bot.{suffix}"
    assert part in file["content"]


def test_the_export_menu_has_every_text_format(page: Page) -> None:
    menu = page.fetch("last")["info"]["exports"]
    assert menu == [[name, export.description] for name, export in EXPORTS.items() if export.is_text]


def test_the_inspector_shows_the_session_and_the_traces_of_a_turn(bot: Session, page: Page) -> None:
    bot.launch()
    begin = next(row["seq"] for row in page.rows if "text" in row)
    page.request("inspect", turn=0, known=[0, -1])
    answer = page.last("inspected")
    facts = dict(answer["facts"])
    assert facts["turns"].startswith("1 · p50")
    assert facts["reconnects"] == "0"
    assert facts["traces"] == str(len(bot.traces()))
    assert [trace["kind"] for trace in answer["traces"]] == [trace.kind for trace in bot.traces(begin)]
    assert answer["traces"][0]["direction"] == "out"
    assert [trace["label"] for trace in answer["traces"] if trace["content"]] == ["Hello!", "[Order] [Track]"]
    bot.say("hi")
    page.request("inspect", turn=1, known=[2, 5])
    expected = {trace.seq for trace in bot.traces() if trace.turn == 1}
    assert {trace["seq"] for trace in page.last("inspected")["traces"]} == expected
    page.request("inspect", turn=10**9, known=[0, -1])
    assert page.last("inspected")["traces"] == []


# Panels and sessions


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> dict[object, str]:
    """The listeners that follow a session now, each with the name of the session."""
    listeners: dict[object, str] = {}
    follow = Session.follow

    def counted(session: Session, listener: Callable[..., None]) -> Callable[[], None]:
        stop = follow(session, listener)
        listeners[stop] = session.name

        def stop_counted() -> None:
            listeners.pop(stop, None)
            stop()

        return stop_counted

    monkeypatch.setattr(Session, "follow", counted)
    return listeners


def test_a_session_has_one_panel_however_often_it_is_shown(listening: dict[object, str], bot: Session) -> None:
    panels = {id(bot.panel()) for _ in range(50)}
    assert (len(panels), len(listening)) == (1, 1)
    bot.panel().close()


def test_a_closed_panel_stops_listening_and_is_replaced(listening: dict[object, str], bot: Session) -> None:
    panel = bot.panel()
    panel.close()
    assert not listening
    new = bot.panel()
    assert new is not panel
    new.close()


def test_running_a_cell_again_leaks_no_widget_thread_or_listener(listening: dict[object, str], hub: Hub) -> None:
    def run_cell() -> None:
        bot = hub.connect("voiceflow", name="bot", simulate=True)
        bot.panel()
        bot.panel(ui="core")
        hub.panels(bot)

    def counts() -> tuple[int, int, int]:
        return len(widget._instances), threading.active_count(), len(listening)

    run_cell()
    before = counts()
    for _ in range(20):
        run_cell()
    assert counts() == before
    assert len(listening) == 2


def test_a_session_that_is_opened_again_takes_over_its_panel(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = hub.connect("voiceflow", name="bot", simulate=True, flow=flow)
    page = Page(first.panel(), monkeypatch)
    first.say("before")
    second = hub.connect("voiceflow", name="bot", simulate=True, flow=flow)
    assert {"session": 0, "type": "replaced"} in page.messages
    assert second.panel() is page.panel
    second.say("after")
    assert contents(page.fetch("last")["rows"])[0] == "after"
    page.request("say", text="hi")
    assert [turn.number for turn in second.running] or len(second.turns_df()) > 2


def test_several_sessions_share_a_panel(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    one, two = (hub.connect("voiceflow", simulate=True, flow=flow) for _ in range(2))
    page = Page(hub.panels(one, two.name), monkeypatch)
    assert page.panel._sessions == 2
    page.request("say", text="only to the second", session=1)
    eventually(lambda: not two.running and len(two.turns_df()) == 1)
    assert one.turns_df().empty
    assert {message["session"] for message in page.messages} == {1}


@pytest.mark.parametrize(
    ("names", "pattern"), [((), "sessions"), (("bot", "bot"), "once"), (("no",), "unknown session")]
)
def test_wrong_arguments_of_panels_are_errors(hub: Hub, bot: Session, names: tuple[str, ...], pattern: str) -> None:
    with pytest.raises(SessionError, match=pattern):
        hub.panels(*names)


def test_an_unknown_ui_is_an_error(bot: Session) -> None:
    with pytest.raises(SettingsError, match="core, rich"):
        bot.panel(ui="corr")  # type: ignore[call-overload]


# The saved notebook


def test_the_saved_transcript_is_updated_after_a_pause(
    bot: Session, page: Page, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    published: list[dict[str, str]] = []
    monkeypatch.setattr(panel_module, "publish_display_data", lambda *_: None)
    monkeypatch.setattr(panel_module, "display", lambda data, **_: published.append(data))
    monkeypatch.setattr(panel_module, "update_display", lambda data, **_: published.append(data))
    monkeypatch.setattr(panel_module, "SAVE_DELAY_S", 0.05)
    bot.say("before it is shown")
    shell = SimpleNamespace(kernel=True, events=SimpleNamespace(register=lambda *_: None, unregister=lambda *_: None))
    monkeypatch.setattr(panel_module, "get_ipython", lambda: shell)
    page.panel._ipython_display_()
    for n in range(3):
        bot.say(f"number {n}")
    eventually(lambda: len(published) > 1 and "You said number 2" in published[-1]["text/plain"])
    assert len(published) < 5
    assert "<p>You said number 2</p>" in published[-1]["text/html"]


def test_the_saved_transcript_has_a_limit(bot: Session, page: Page) -> None:
    for n in range(STATIC_ROWS):
        bot.say(f"number {n}")
    text = page.panel._static()["text/plain"]
    assert "earlier traces" in text
    assert text.count("\n") <= STATIC_ROWS + 2


# Verbs and forms


def test_an_uploaded_file_is_sent_and_then_deleted(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    bot = hub.connect("cognigy", name="bot", simulate=True)
    page = Page(bot.panel(), monkeypatch)
    fields = {"file": "../../secret.txt", "text": "look"}
    page.request("act", b"the content", verb="upload", fields=fields, id="a")
    eventually(lambda: any("Got it" in row.get("html", "") for row in page.rows))
    assert any(row.get("text", "").endswith("look (secret.txt)") for row in page.rows)
    assert page.last("accepted")["id"] == "a"
    (view,) = page.panel._views
    assert view._files
    folder = Path(view._files.name)
    assert [file.name for file in folder.rglob("*.txt")] == ["secret.txt"]
    page.panel.close()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("verb", "fields", "part"),
    [
        ("dance", {}, "dance"),
        ("data", {"data": "{broken"}, "data is not valid JSON"),
        ("rate", {}, "rate needs rating"),
        ("upload", {"text": "no file"}, "upload needs file"),
    ],
)
def test_a_verb_that_cannot_be_started_is_an_error(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, verb: str, fields: dict[str, Any], part: str
) -> None:
    bot = hub.connect("cognigy", simulate=True)
    page = Page(bot.panel(), monkeypatch)
    page.request("act", verb=verb, fields=fields, id="a")
    error = page.last("error")
    assert part in error["error"]
    assert error["request"]["id"] == "a"


def test_a_form_is_submitted_with_its_values(hub: Hub, monkeypatch: pytest.MonkeyPatch, eventually: Eventually) -> None:
    bot = hub.connect("cognigy", simulate=True)
    page = Page(bot.panel(), monkeypatch)
    bot.say("tour")
    (form,) = [row for row in page.rows if "card" in row.get("form", {})]
    page.request("submit", seq=form["seq"], option=0, values={"name": "Grace"})
    eventually(lambda: any("on our list" in row.get("html", "") for row in page.rows))
    (sent,) = [trace for trace in bot.traces() if "adaptivecards" in trace.payload and trace.direction == "out"]
    assert json.loads(sent.payload)["data"]["adaptivecards"] == {"list": "news", "name": "Grace"}
    page.request("submit", seq=form["seq"], option=7, values={})
    assert "no such button" in page.last("error")["error"]


def test_a_date_picker_is_answered_and_only_where_there_is_one(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    bot = hub.connect("cognigy", simulate=True)
    page = Page(bot.panel(), monkeypatch)
    bot.say("tour")
    (picker,) = [row for row in page.rows if "date" in row.get("form", {})]
    page.request("date", seq=picker["seq"], values=["2030-05-17"])
    eventually(lambda: any(row.get("text") == "2030-05-17" for row in page.rows))
    page.request("date", seq=0, values=["2030-05-17"])
    assert "no date picker" in page.last("error")["error"]


def test_a_rating_is_sent_with_the_verb_of_its_request(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    flow = Flow("rating")

    @flow.otherwise
    def ask(turn: FlowTurn) -> None:
        turn.custom("request-rating")

    bot = hub.connect("cognigy", simulate=True, flow=flow)
    page = Page(bot.panel(), monkeypatch)
    bot.say("hi")
    (row,) = [row for row in page.rows if "form" in row]
    verb = row["form"]["rating"]
    page.request("act", verb=verb, fields={"rating": 4, "comment": "good"}, seq=row["seq"], id="a")
    eventually(lambda: any(row.get("text", "").endswith("4 good") for row in page.rows))
    assert page.last("pressed")["seq"] == row["seq"]


# Several conversations


def test_the_rows_of_each_conversation_are_fetched_separately(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    bot = hub.connect("eusate", simulate=True)
    page = Page(bot.panel(), monkeypatch)
    bot.say("hours")
    bot.new_conversation().say("Talk to a person")
    eventually(lambda: any(each.agent for each in bot.conversations()))
    first, second = (each.id for each in sorted(bot.conversations(), key=lambda each: bool(each.agent)))
    eventually(lambda: any(row.get("sender") == "agent" for row in page.rows))
    tabs = [message["status"]["conversations"] for message in page.messages if "status" in message][-1]
    assert [tab["agent"] for tab in tabs if tab["id"] == second] == ["Ada"]
    texts = {
        each: " ".join(map(str, contents(page.fetch("last", conversation=each)["rows"]))) for each in (first, second)
    }
    assert ["Saturday" in texts[each] for each in (first, second)] == [True, False]
    assert ["Ada" in texts[each] for each in (first, second)] == [False, True]
    assert "hours" in texts[first], "the text that started a conversation belongs to it"
    page.request("say", text="hours", conversation=second)

    def spoken_in() -> list[str | None]:
        return [trace.conversation for trace in bot.traces() if trace.kind == "action"]

    eventually(lambda: len(spoken_in()) == 3)
    assert spoken_in()[-1] == second


def test_the_verb_to_offer_after_a_conversation_was_closed_is_marked(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    bot = hub.connect("eusate", simulate=True)
    verbs = Page(bot.panel(), monkeypatch).fetch("last")["info"]["verbs"]
    assert [verb["verb"] for verb in verbs if verb["after_close"]] == ["review"]


# Lost links and closed sessions


def test_a_lost_session_is_reconnected_from_its_panel(hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = hub.simulate("voiceflow", flow)
    bot = hub.connect("voiceflow", name="bot", **simulator.settings, reconnection=False)
    page = Page(bot.panel(), monkeypatch)
    states: queue.Queue[str] = queue.Queue()
    bot.follow(lambda _: states.put(bot.state))
    simulator.fault("drop")
    while states.get(timeout=10) != "lost":
        pass
    page.request("reconnect")
    while states.get(timeout=10) != "ready":
        pass
    assert bot.say("hi").status == "completed"


def test_a_button_whose_turn_was_never_sent_can_be_pressed_again(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    simulator = hub.simulate("voiceflow", flow)
    bot = hub.connect("voiceflow", name="bot", **simulator.settings, reconnection=False)
    page = Page(bot.panel(), monkeypatch)
    bot.launch()
    offer = offer_of(page)
    simulator.stop()
    eventually(lambda: bot.state == "lost")
    page.request("press", seq=offer["seq"], option=0)
    eventually(lambda: {"session": 0, "type": "restored", "seq": offer["seq"]} in page.messages)


def test_two_views_that_press_at_the_same_time_press_once(bot: Session, page: Page) -> None:
    bot.launch()
    offer = offer_of(page)
    views = [
        threading.Thread(target=page.request, args=("press",), kwargs={"seq": offer["seq"], "option": option})
        for option in (0, 1)
    ]
    for view in views:
        view.start()
    for view in views:
        view.join()
    for turn in bot.running:
        turn.wait()
    assert bot.turns_df()["action"].tolist().count("press") == 1


def test_a_page_is_told_that_the_session_is_closed_when_the_hub_closes(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = hub.connect("voiceflow", name="bot", simulate=True, flow=flow)
    page = Page(bot.panel(), monkeypatch)
    bot.say("hi")
    hub.close()
    assert page.last("rows")["status"]["state"] == "closed"


# Limits and untrusted content


def test_too_many_traces_at_once_are_left_to_be_fetched(
    bot: Session, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_view, "MAX_LIVE_TRACES", 0)
    bot.say("hi")
    assert page.rows == []
    last = page.last("rows")
    assert (last["overflow"], last["to"]) == (True, len(bot.traces()))
    assert len(page.fetch("since", 0)["rows"]) == 3


def test_a_row_that_cannot_be_made_becomes_a_notice(bot: Session, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    working = render.parts

    def fail_for_bots(message: Any, *more: Any) -> Any:
        if message.trace.sender == "bot":
            raise RuntimeError("does not work")
        return working(message, *more)

    monkeypatch.setattr(render, "parts", fail_for_bots)
    bot.say("hi")
    rows = page.fetch("last")["rows"]
    assert [row.get("notice") for row in rows] == [None, "This cannot be shown: RuntimeError", None]


@pytest.mark.parametrize(
    ("send", "max_chars"),
    [
        (lambda turn: turn.choices(*[f"button {n}" for n in range(2_000)]), 5_000),
        (lambda turn: turn.choices(*["x" * 1_000] * 90), 25_000),
        (lambda turn: turn.carousel(*[card("title", "*a* " * 50)] * 200), 50_000),
        (lambda turn: turn.card("title", "*a* " * 4_000), 12_000),
        (lambda turn: turn.card("t" * 90_000), 65_000),
        (lambda turn: turn.say("*a* " * 4_000), 17_000),
        (lambda turn: turn.say("x" * 90_000), 25_000),
        (lambda turn: turn.raw("action.trace", {"trace": {"type": "odd", "payload": "x" * 90_000}}), 25_000),
        (lambda turn: turn.image("https://x/" + "a" * 9_000), 1_000),
    ],
    ids=[
        "number of buttons",
        "label of a button",
        "number of cards",
        "text of a card",
        "title of a card",
        "length of Markdown",
        "length of a text",
        "payload of an unknown type",
        "length of a URL",
    ],
)
def test_a_bot_cannot_make_a_row_larger_than_the_limits(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, send: Callable[[FlowTurn], None], max_chars: int
) -> None:
    flow = Flow("heavy")
    flow.otherwise(send)
    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    page = Page(bot.panel(), monkeypatch)
    assert bot.say("hi").messages, "the message did not arrive"
    sizes = [len(json.dumps(row)) for row in page.rows if row["sender"] == "bot"]
    assert 0 < max(sizes) < max_chars


def test_a_page_with_much_html_has_fewer_rows(bot: Session, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    from socketnb.ui.panel import rows

    for n in range(4):
        bot.say(f"{n}" * 500)
    all_rows = page.fetch("last")["rows"]
    monkeypatch.setattr(rows, "MAX_PAGE_CHARS", 1_200)
    last = page.fetch("last")
    assert (last["rows"], last["older"]) == (all_rows[-len(last["rows"]) :], True)
    assert sum(len(row.get("html", "")) for row in last["rows"]) <= 1_200
    before = page.fetch("before", last["from"])
    assert before["rows"][-1]["seq"] < last["from"] == before["to"]
    first = page.fetch("after", 0)
    assert (first["rows"], first["newer"]) == (all_rows[: len(first["rows"])], True)
    assert first["to"] == all_rows[len(first["rows"])]["seq"]


def test_a_typing_event_is_sent_but_is_not_a_row(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    bot = hub.connect("cognigy", simulate=True)
    page = Page(bot.panel(), monkeypatch)
    bot.say("hours")
    assert [row["typing"] for row in page.rows if "typing" in row] == [True, False]
    assert not [row for row in page.fetch("last")["rows"] if "typing" in row]


def test_untrusted_text_is_sent_as_text_or_sanitised(bot: Session, page: Page) -> None:
    bot.say("<img src=x onerror=alert(1)>")
    user, reply = [row for row in page.rows if "text" in row or "html" in row]
    assert user["text"] == "<img src=x onerror=alert(1)>", "the page inserts it as text"
    assert "<img" not in reply["html"]


def test_the_widget_state_has_only_the_code(page: Page) -> None:
    state = page.panel.get_state()
    assert {name for name, value in state.items() if value and not name.startswith("_")} <= {"layout", "tabbable"}


# Streams and sound


def test_a_panel_that_is_opened_during_a_stream_shows_all_of_it(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    flow, go = Flow("model"), threading.Event()

    def pieces() -> Iterator[str]:
        yield "first half "
        go.wait(10)
        yield "second half"

    @flow.otherwise
    def answer(turn: FlowTurn) -> None:
        turn.stream(pieces())

    bot = hub.connect("voiceflow", simulate=True, flow=flow, completion_events=True)
    messages = bot.stream("hi")
    assert next(messages).text == "first half "
    page = Page(bot.panel(), monkeypatch)
    half = len(bot.traces())
    (open_stream,) = [row for row in page.fetch("last")["rows"] if "stream" in row]
    assert open_stream["delta"] == "first half "
    go.set()
    assert [message.text for message in messages] == ["second half"]
    live = [row["html"] for row in page.rows if "html" in row]
    (continued,) = [row["html"] for row in page.fetch("since", half - 1)["continued"]]
    assert live == [continued] == ["<p>first half second half</p>\n"]
    page.panel.close()


@pytest.mark.parametrize("encoding", ["audio/x-mulaw", "audio/pcm"])
def test_sound_is_the_same_in_the_panel_and_in_cells(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow, audio_events=True, audio_encoding=encoding)
    page = Page(bot.panel(), monkeypatch)
    turn = bot.say("hi there")
    (sound,) = [message.audio for message in turn.messages if message.audio]
    data = base64.b64encode(sound).decode()
    outputs = [turn._repr_mimebundle_()["text/html"], bot._repr_mimebundle_()["text/html"]]
    outputs += [row["html"] for row in page.rows if "<audio" in row.get("html", "")]
    assert len(outputs) == 3
    assert all(data in html for html in outputs)
    page.panel.close()
