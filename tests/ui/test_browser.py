"""The panel in a real JupyterLab and browser; `pytest --place notebook` runs it in Notebook 7, see conftest.py."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Eventually
from hostile import HOSTILE
from kernels import COUNTS
from lab import CHROMIUM, Lab, jupyter, notebook, violations
from provide import browser

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(240),
    pytest.mark.skipif(browser() is None, reason="no Chromium: install it (Debian: apt-get install chromium)"),
    pytest.mark.filterwarnings("default"),  # warnings of Playwright
]
OpenLab = Callable[..., Lab]
OpenPanel = Callable[..., tuple[Lab, Any]]
ARTEFACTS = Path(__file__).parents[2] / "test-artefacts"
CONNECT = """%load_ext socketnb
%chat connect voiceflow --simulate --name bot
%chat panel bot"""


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--place"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, place: str) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("lab")
    with jupyter(folder, app="notebook" if place == "notebook" else "lab") as url:
        yield url, folder


@pytest.fixture(scope="module")
def jupyterlab(server: tuple[str, Path]) -> Iterator[Lab]:
    """One page for all tests: to start a page and a kernel takes longer than a test."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser(), args=CHROMIUM)
        page = chromium.new_page()
        page.set_default_timeout(20_000)
        yield Lab(page, server[0])
        chromium.close()


@pytest.fixture
def file(server: tuple[str, Path], request: pytest.FixtureRequest) -> Path:
    """The notebook of the test."""
    return server[1] / f"{request.node.name}.ipynb"


@pytest.fixture
def lab(jupyterlab: Lab, file: Path, place: str) -> Iterator[OpenLab]:
    """Return a function that opens a notebook with the given cells; save a screenshot at the end of the test."""

    def opened(*cells: str) -> Lab:
        kernel = place if place.startswith("ipykernel") else "python3"
        file.write_text(json.dumps(notebook(*cells, kernel=kernel)))
        jupyterlab.page.set_viewport_size({"width": 1100, "height": 1000})
        jupyterlab.page.emulate_media(reduced_motion="no-preference")
        jupyterlab.open(file.name)
        return jupyterlab

    yield opened
    ARTEFACTS.mkdir(exist_ok=True)
    jupyterlab.page.screenshot(path=ARTEFACTS / f"{file.stem}.png")


@pytest.fixture
def panel_of(lab: OpenLab) -> OpenPanel:
    """Return a function that opens a notebook, runs its first cell, and returns the panel in its output."""

    def shown(*cells: str) -> tuple[Lab, Any]:
        page = lab(*cells)
        page.run(0)
        panel = page.output(0).locator(".snb-panel")
        panel.locator(".snb-input").wait_for()
        return page, panel

    return shown


OUTSIDE_TURNS = f"""import sys
sys.path.append({str(Path(__file__).parents[1])!r})
import socketnb as snb
from observing import observe, output, queued
from socketnb.dialects.base import warn
from socketnb.dialects.messages import Message
from socketnb.model.effects import Record
Message.data = property(lambda self: {{"order": {{"id": 4567}}}} if self.trace.text == "Here it is." else None)
bot = snb.connect("cognigy", name="bot", simulate=True)
bot.panel()"""
WAITS = "not sent: waiting for the end of turn 1"


def say(panel: Any, text: str) -> None:
    panel.locator(".snb-input").fill(text)
    panel.locator(".snb-input").press("Enter")


def test_a_user_types_and_presses_a_button_and_sees_the_replies(panel_of: OpenPanel) -> None:
    _page, panel = panel_of(CONNECT)
    say(panel, "hello")
    panel.get_by_text("I did not understand that").wait_for()
    panel.get_by_role("button", name="Track order").click()
    panel.get_by_text("What is your order number?").wait_for()
    panel.locator(".snb-input").fill("4567")
    panel.locator(".snb-send").click()
    panel.get_by_text("Tuesday before noon").wait_for()
    assert panel.locator(".snb-user").all_inner_texts() == ["hello", "Track order", "4567"]
    assert panel.locator(".snb-pressed").all_inner_texts() == ["Track order"]
    assert panel.locator(".snb-timing").count() == 3
    assert panel.locator(".snb-typing, .snb-pending").count() == 0


def test_a_cell_and_the_panel_show_the_same_conversation(panel_of: OpenPanel) -> None:
    connect = CONNECT.replace("bot", "both")  # a name that no other test uses, because turns_df has all of a name
    count = "import socketnb\nprint(len(socketnb.session('both').turns_df()))"
    page, panel = panel_of(connect, "%%chat both\nhours", count)
    page.run(1)
    panel.get_by_text("Saturday, 10 to 14").wait_for()
    say(panel, "thanks")
    panel.get_by_text("See you on the trail").wait_for()
    page.run(2)
    page.output(2).get_by_text("2", exact=True).wait_for()


def test_a_panel_opened_during_a_conversation_shows_all_of_it(panel_of: OpenPanel) -> None:
    _page, panel = panel_of(
        """import socketnb as snb
bot = snb.connect("voiceflow", name="bot", simulate=True)
bot.launch()
panel = bot.panel()
bot.press("Track order"); bot.say("4567"); bot.close()
panel"""
    )
    panel.get_by_text("Tuesday before noon").wait_for()
    assert panel.locator(".snb-user").all_inner_texts() == ["(launch)", "Track order", "4567"]
    assert panel.locator(".snb-input").is_disabled()


def test_a_streamed_answer_grows_before_the_turn_ends(panel_of: OpenPanel) -> None:
    page, panel = panel_of(
        """import socketnb as snb, threading
flow, go = snb.Flow("model"), threading.Event()
def pieces():
    yield "It is **al"; go.wait(30); yield "most** done"
@flow.otherwise
def answer(turn): turn.stream(pieces())
bot = snb.connect("voiceflow", name="bot", simulate=True, flow=flow, completion_events=True)
bot.panel()""",
        "go.set()",
    )
    say(panel, "tell me")
    panel.locator(".snb-streaming", has_text="It is **al").wait_for()
    assert panel.locator(".snb-typing").count() == 1
    page.run(1)
    panel.locator("strong", has_text="almost").wait_for()
    panel.locator(".snb-typing").wait_for(state="detached")
    assert panel.locator(".snb-bot").count() == 1
    assert panel.locator(".snb-streaming").count() == 0


def test_messages_outside_turns_data_and_warnings_are_shown_where_they_came(panel_of: OpenPanel) -> None:
    page, panel = panel_of(
        OUTSIDE_TURNS,
        "bot.say('hours')\n"
        "observe(bot, output('Your parcel has arrived.'), output('Here it is.', turn=1), warn(1, 'late'))",
    )
    page.run(1)
    panel.locator(".snb-notice[data-kind=warning]", has_text="Turn 1: late").wait_for()
    marks = panel.locator(".snb-unsolicited").all_inner_texts()
    assert [mark.partition(" · ")[2] for mark in marks] == ["unsolicited", "late message of turn 1"]
    panel.locator(".snb-data summary").click()
    assert '"id": 4567' in panel.locator(".snb-data pre").inner_text()
    assert violations(page.page, ".snb-panel") == []


def test_an_action_that_waits_is_pale_and_says_why_until_it_is_sent_or_given_up(panel_of: OpenPanel) -> None:
    action = "Record('processInput', 'action', {'text': 'me too'}, 'out', 'user', 2, 'me too')"
    given_up = "Record('timeout', 'timeout', None, 'local', turn=3, text='never sent', final=True)"
    page, panel = panel_of(
        OUTSIDE_TURNS,
        f"bot.say('hours')\nobserve(bot, queued(2, 'me too', {WAITS!r}))",
        f"observe(bot, {action}, output('and you', turn=2), elapsed_ms=1.0)",
        f"observe(bot, queued(3, 'and then', {WAITS!r}))",
        f"observe(bot, {given_up})",
    )
    page.run(1)
    panel.locator(".snb-pending", has_text="me too").get_by_text(WAITS).wait_for()
    page.run(2)
    panel.get_by_text("and you").wait_for()
    assert panel.locator(".snb-pending, .snb-state").count() == 0
    assert panel.locator(".snb-user", has_text="me too").count() == 1
    page.run(3)
    panel.locator(".snb-pending", has_text="and then").wait_for()
    page.run(4)
    panel.locator(".snb-unsent", has_text="and then").get_by_text("not sent", exact=True).wait_for()
    panel.locator(".snb-notice", has_text="never sent").wait_for()
    assert panel.locator(".snb-pending").count() == 0


def test_every_type_of_content_is_shown(panel_of: OpenPanel) -> None:
    page, panel = panel_of(COGNIGY, "bot.say('tour');")
    page.run(1)
    for selector in ("img", "audio", "video", "details", ".snb-card", ".snb-list", ".snb-chip", "strong", ".snb-date"):
        panel.locator(selector).first.wait_for(state="attached")


def test_untrusted_content_cannot_run_or_load_anything(panel_of: OpenPanel, server: tuple[str, Path]) -> None:
    page, panel = panel_of(ATTACK, "bot.say('attack');")
    requests: list[str] = []
    page.page.on("request", lambda request: requests.append(request.url))
    page.run(1)
    panel.locator(".snb-timing").wait_for()
    panel.get_by_text("the last of them").wait_for()
    panel.get_by_role("button", name="Inspector", exact=True).click()
    panel.locator(".snb-trace").first.wait_for()
    panel.locator("details").evaluate_all("(all) => all.forEach((node) => { node.open = true; })")
    panel.locator(".snb-trace pre", has_text="hacked").first.wait_for(state="attached")
    assert page.page.evaluate("window.hacked") is None
    tags = panel.evaluate("(node) => [...new Set([...node.querySelectorAll('*')].map((each) => each.localName))]")
    assert set(tags) <= ALLOWED, set(tags) - ALLOWED
    attributes = panel.locator("*").evaluate_all(
        "(all) => [...new Set(all.flatMap((node) => node.getAttributeNames()))].filter((name) => name.startsWith('on'))"
    )
    assert attributes == []
    links = panel.locator("[href], [src]").evaluate_all(
        "(all) => all.map((node) => node.getAttribute('href') ?? node.getAttribute('src'))"
    )
    assert [link for link in links if not link.startswith(("https://", "http://", "data:image/", "mailto:"))] == []
    assert panel.locator("a:not([rel~=noopener][rel~=noreferrer][target=_blank])").count() == 0
    assert [url for url in requests if not url.startswith(("/".join(server[0].split("/")[:3]), "data:", "blob:"))] == []


def test_the_panel_works_while_another_cell_is_running(panel_of: OpenPanel, file: Path) -> None:
    answered = file.with_suffix(".answered")
    cell = f"import pathlib, time\nwhile not pathlib.Path({str(answered)!r}).exists(): time.sleep(0.05)\nprint('done')"
    page, panel = panel_of(CONNECT, cell)
    page.run(1)
    page.page.locator('.jp-Notebook-ExecutionIndicator[data-status="busy"]').wait_for()
    say(panel, "hours")
    panel.get_by_text("Saturday, 10 to 14").wait_for()
    assert page.output(1).get_by_text("done").count() == 0, "the answer came only after the cell"
    answered.touch()
    page.output(1).get_by_text("done").wait_for()


def test_a_second_view_and_a_reloaded_page_show_the_whole_conversation(panel_of: OpenPanel, file: Path) -> None:
    page, first = panel_of(CONNECT, "%chat panel bot")
    say(first, "hours")
    first.get_by_text("Saturday, 10 to 14").wait_for()
    page.run(1)
    second = page.output(1).locator(".snb-panel")
    second.get_by_text("Saturday, 10 to 14").wait_for()
    assert second.inner_text() == first.inner_text()
    page.save(file, "Saturday, 10 to 14")
    page.load(file.name)
    first.get_by_text("Saturday, 10 to 14").wait_for()
    first.get_by_role("button", name="Track order").click()
    second.get_by_text("What is your order number?").wait_for()


COGNIGY = """import socketnb as snb
bot = snb.connect("cognigy", name="bot", simulate=True)
bot.panel()"""
ALLOWED = set(
    """section header footer aside div span button svg path p a b strong em i s code pre br hr ul ol li h1 h2 h3 h4
    small blockquote details summary img textarea input label fieldset legend select option form dl dt dd""".split()
)
ATTACK = f"""import socketnb as snb
HOSTILE = {HOSTILE!r}
"""
ATTACK += """flow = snb.Flow("hostile")
@flow.otherwise
def attack(turn):
    for bad in HOSTILE:
        turn.say(bad)
        turn.card(bad, bad, image=bad, choices=[bad])
        turn.choices(bad, text=bad)
        turn.custom(bad, {bad: bad})
        part = {"type": "TextBlock", "text": bad, "size": bad, "weight": bad}
        facts = {"type": "FactSet", "facts": [{"title": bad, "value": bad}]}
        choices = [{"title": bad, "value": bad}]
        field = {"type": "Input.ChoiceSet", "id": bad, "label": bad, "value": bad, "choices": choices}
        text = {"type": "Input.Text", "id": bad, "label": bad, "placeholder": bad, "errorMessage": bad}
        image = {"type": "Image", "url": bad, "altText": bad}
        more = {"type": "Action.ShowCard", "title": bad, "card": {"body": [part]}}
        send = {"type": "Action.Submit", "title": bad}
        card_ = {"type": "AdaptiveCard", "body": [part, facts, field, text, image], "actions": [more, send]}
        turn.custom("adaptive card", card_)
        turn.custom("date-picker", {"eventName": bad, "minDate": bad, "submitButtonText": bad})
        for show in (turn.image, turn.audio, turn.video, turn.file):
            show(bad, bad)
            show("javascript:window.hacked=1", bad)
    turn.say("the last of them")
bot = snb.connect("cognigy", name="bot", simulate=True, flow=flow)
bot.panel()"""
CARDS = """import socketnb as snb
from socketnb.flows.flow import card
flow = snb.Flow("shop")
@flow.on("Take 4")
def taken(turn): turn.say("Yours.")
@flow.otherwise
def show(turn): turn.carousel(*(card(f"Number {n}", choices=[f"Take {n}"]) for n in range(6)))
bot = snb.connect("voiceflow", name="bot", simulate=True, flow=flow)
bot.panel()"""


def test_arrow_keys_scroll_cards_and_a_pressed_button_disables_the_others(panel_of: OpenPanel) -> None:
    page, panel = panel_of(CARDS)
    say(panel, "show")
    cards = panel.locator(".snb-carousel")
    cards.locator(".snb-card").nth(5).wait_for(state="attached")
    for _ in range(4):
        cards.press("ArrowRight")
    page.page.wait_for_function("document.querySelector('.snb-carousel').scrollLeft > 300")
    cards.get_by_role("button", name="Take 4").click()
    panel.get_by_text("Yours.").wait_for()
    assert cards.locator("button:enabled").count() == 0
    assert cards.locator(".snb-pressed").all_inner_texts() == ["Take 4"]


def test_a_user_recalls_a_text_stops_restarts_and_exports(panel_of: OpenPanel) -> None:
    page, panel = panel_of(CONNECT, "from socketnb.hub import hub; hub._simulators[0].fault('silent')")
    box = panel.locator(".snb-input")
    box.fill("hours")
    box.press("Enter")
    panel.get_by_text("Saturday, 10 to 14").wait_for()
    box.fill("not sent yet")
    box.press("ArrowUp")
    assert box.input_value() == "hours"
    box.press("ArrowDown")
    assert box.input_value() == "not sent yet"
    page.run(1)
    box.fill("are you there?")
    box.press("Enter")
    panel.get_by_role("button", name="Stop").click()
    panel.locator('.snb-notice[data-kind="cancelled"]').wait_for()
    panel.locator(".snb-stop").wait_for(state="hidden")
    panel.get_by_role("button", name="Start over").click()
    panel.get_by_text("Welcome").last.wait_for()
    panel.get_by_role("button", name="Export the conversation").click()
    with page.page.expect_download() as download:
        panel.get_by_role("menuitem", name="Markdown").click()
    assert download.value.suggested_filename == "bot.md"
    assert "Saturday, 10 to 14" in Path(download.value.path()).read_text()


def test_the_inspector_shows_the_latest_turn_and_payloads_on_demand(panel_of: OpenPanel) -> None:
    _page, panel = panel_of(CONNECT)
    assert panel.locator(".snb-inspector").is_hidden()
    panel.get_by_role("button", name="Inspector").click()
    say(panel, "hours")
    panel.locator(".snb-trace", has_text="completed").wait_for()
    assert panel.locator(".snb-trace .snb-kind").all_inner_texts()[:2] == ["action", "status"]
    assert panel.locator(".snb-mark.snb-content").count() == 2
    panel.locator(".snb-trace", has_text="action").locator("summary").click()
    panel.locator(".snb-trace pre", has_text='"payload": "hours"').wait_for()
    assert panel.locator(".snb-facts dd").first.inner_text()
    panel.get_by_role("button", name="Inspector").click()
    panel.locator(".snb-inspector").wait_for(state="hidden")


def test_a_queued_text_that_is_stopped_stays_and_is_marked_as_not_sent(panel_of: OpenPanel) -> None:
    page, panel = panel_of(CONNECT, "from socketnb.hub import hub; hub._simulators[0].fault('silent')")
    box = panel.locator(".snb-input")
    box.wait_for()
    page.run(1)
    for words in ("first", "second in line"):
        box.fill(words)
        box.press("Enter")
    panel.locator(".snb-pending", has_text="second in line").wait_for()
    panel.get_by_role("button", name="Stop").click()
    panel.locator(".snb-pending").wait_for(state="detached")
    box.fill("third")
    box.press("Enter")
    panel.get_by_text("I did not understand that").nth(1).wait_for()  # the first turn has an answer too, but no end
    assert panel.locator(".snb-user .snb-bubble").all_inner_texts() == ["first", "second in line", "third"]
    assert panel.locator(".snb-unsent .snb-bubble").all_inner_texts() == ["second in line"]


def test_all_views_mark_the_pressed_one_of_two_buttons_with_the_same_label(panel_of: OpenPanel) -> None:
    page, first = panel_of(CARDS.replace("Take {n}", "Select"), "bot.panel()")
    say(first, "show")
    first.locator(".snb-choice").nth(5).wait_for(state="attached")
    page.run(1)
    second = page.output(1).locator(".snb-panel")
    second.locator(".snb-choice").nth(5).wait_for(state="attached")
    cells = page.page.locator(".jp-Notebook .jp-Cell").count()
    first.locator(".snb-choice").nth(1).press("Enter")
    for view in (first, second):
        view.locator(".snb-card").nth(1).locator(".snb-pressed").wait_for()
        assert view.locator(".snb-pressed").count() == 1
    first.locator(".snb-log").press("b")
    first.get_by_role("button", name="Export the conversation").press("b")
    assert page.page.locator(".jp-Notebook .jp-Cell").count() == cells, (
        "plain keys in the panel are not shortcuts of the notebook"
    )


def test_a_form_and_a_date_are_filled_in_and_sent(panel_of: OpenPanel) -> None:
    page, panel = panel_of(
        COGNIGY,
        "bot.say('tour');",
        """from socketnb.dialects.messages import parse
sent = [parse(trace.payload) for trace in bot.traces() if trace.kind == "action"]
print(sent[-3]["data"]["adaptivecards"], sent[-1]["text"])""",
    )
    page.run(1)
    form = panel.locator(".snb-framed", has_text="Stay in touch")
    form.get_by_label("Your name").fill("Grace")
    form.get_by_role("button", name="Sign up").click()
    panel.get_by_text("you are on our list").wait_for()
    assert form.evaluate("(node) => node.inert")
    say(panel, "tour")
    panel.locator(".snb-date").nth(1).wait_for(state="attached")
    picker = panel.locator(".snb-date").last
    picker.locator("input").fill("2030-05-17")
    picker.get_by_role("button", name="Submit").click()
    panel.locator(".snb-user", has_text="2030-05-17").wait_for()
    page.run(2)
    page.output(2).get_by_text("{'list': 'news', 'name': 'Grace'} 2030-05-17").wait_for()


def test_messages_of_an_agent_look_different_from_those_of_the_bot(panel_of: OpenPanel) -> None:
    page, panel = panel_of(
        COGNIGY, "from socketnb.hub import hub; hub._simulators[0].agent_says('I can change the day.')"
    )
    say(panel, "Talk to a person")
    panel.locator(".snb-agent", has_text="this is Ada").wait_for()
    panel.locator(".snb-notice", has_text="Ada").first.wait_for()
    page.run(1)
    panel.locator(".snb-agent", has_text="I can change the day.").wait_for()
    colours = panel.locator(".snb-bubble").evaluate_all("(all) => all.map((n) => getComputedStyle(n).backgroundColor)")
    assert len(set(colours)) == 3, "the user, the bot and the agent"


LONG = """import socketnb as snb
flow = snb.Flow("long")
@flow.otherwise
def many(turn):
    for n in range(250): turn.say(f"message {n} of {turn.text}")
bot = snb.connect("voiceflow", name="bot", simulate=True, flow=flow)
panel = bot.panel()
bot.say("one"); bot.say("two")
panel"""
COUNT = "document.querySelectorAll('.snb-panel .snb-item').length"


def test_a_long_conversation_scrolls_while_the_page_holds_a_part_of_it(panel_of: OpenPanel) -> None:
    page, panel = panel_of(LONG, "bot.say('three');")
    panel.get_by_text("message 249 of two").wait_for()
    log = panel.locator(".snb-log")
    most = 0
    for _ in range(200):
        log.evaluate("(node) => { node.scrollTop = 0; }")
        page.page.wait_for_timeout(20)
        most = max(most, page.page.evaluate(COUNT))
        if panel.get_by_text("message 0 of one").count():
            break
    panel.get_by_text("message 0 of one").wait_for()
    assert most <= 300
    page.run(1)  # new messages do not move the visible ones
    panel.locator(".snb-newest").wait_for()
    assert panel.get_by_text("message 0 of one").count() == 1
    for _ in range(200):
        log.evaluate("(node) => { node.scrollTop = node.scrollHeight; }")
        page.page.wait_for_timeout(20)
        if panel.get_by_text("message 249 of three").count():
            break
    panel.get_by_text("message 249 of three").wait_for()
    texts = panel.locator(".snb-bubble").evaluate_all("(all) => all.map((node) => node.innerText.trim())")
    third = [text for text in texts if text.endswith("of three")]
    assert third == [f"message {n} of three" for n in range(250 - len(third), 250)], (
        "no row is missing and none is shown twice"
    )
    assert page.page.evaluate(COUNT) <= 300


SLOW = """import socketnb as snb, time
flow = snb.Flow("slow")
@flow.otherwise
def many(turn):
    for n in range(int(turn.text)):
        turn.say(f"message {n} of {turn.text}")
        time.sleep(0.005)
bot = snb.connect("voiceflow", name="bot", simulate=True, flow=flow)
bot.panel()"""


def test_the_log_stays_at_its_end_unless_the_user_scrolls_up(panel_of: OpenPanel) -> None:
    page, panel = panel_of(SLOW, "bot.say('420');", "bot.say('60');")
    page.run(1)
    panel.get_by_text("message 419 of 420").wait_for()
    log = panel.locator(".snb-log")
    page.page.wait_for_function(
        "(() => { const n = document.querySelector('.snb-log');"
        "return n.scrollHeight - n.scrollTop - n.clientHeight < 5; })()"
    )
    log.evaluate("(node) => { node.scrollTop -= 2000; }")
    page.page.wait_for_timeout(300)
    seen = "() => document.elementFromPoint(...(({ x, y }) => [x + 80, y + 150])(document.querySelector('.snb-log')"
    seen += ".getBoundingClientRect())).closest('.snb-item').dataset.seq"
    before = page.page.evaluate(seen)
    page.run(2)
    panel.locator(".snb-newest").wait_for()
    page.page.wait_for_function("!document.querySelector('.snb-stop').checkVisibility()")
    assert page.page.evaluate(seen) == before
    panel.locator(".snb-newest").click()
    panel.get_by_text("message 59 of 60").wait_for()


def test_a_text_sent_while_older_messages_are_shown_scrolls_to_the_end(panel_of: OpenPanel) -> None:
    _page, panel = panel_of(LONG)
    panel.get_by_text("message 249 of two").wait_for()
    panel.locator(".snb-input").press("Control+f")
    panel.get_by_role("searchbox").fill("message 17 of one")
    panel.get_by_text("1 of 1").wait_for()
    panel.get_by_text("message 17 of one").wait_for()
    say(panel, "three")
    panel.get_by_text("message 249 of three").wait_for()
    panel.locator(".snb-pending").wait_for(state="detached")


def test_a_stream_that_continued_outside_the_window_is_complete_later(panel_of: OpenPanel) -> None:
    page, panel = panel_of(
        """import socketnb as snb, threading
flow, go = snb.Flow("long"), threading.Event()
def pieces():
    yield "It begins "; go.wait(30); yield "and ENDS"
@flow.otherwise
def many(turn):
    for n in range(300): turn.say(f"message {n}")
    turn.stream(pieces())
bot = snb.connect("voiceflow", name="bot", simulate=True, flow=flow, completion_events=True)
panel = bot.panel()
turn = bot.send("hi")
panel""",
        "go.set(); turn.wait();",
    )
    panel.get_by_text("It begins").wait_for()
    log = panel.locator(".snb-log")
    for _ in range(100):  # scroll up, so that the last rows are removed from the page
        log.evaluate("(node) => { node.scrollTop = 0; }")
        page.page.wait_for_timeout(20)
        if panel.get_by_text("message 0", exact=True).count():
            break
    assert panel.get_by_text("It begins").count() == 0
    page.run(1)
    page.page.wait_for_function("!document.querySelector('.snb-stop').checkVisibility()")
    for _ in range(100):
        log.evaluate("(node) => { node.scrollTop = node.scrollHeight; }")
        page.page.wait_for_timeout(20)
        if panel.get_by_text("It begins").count():
            break
    panel.get_by_text("It begins and ENDS").wait_for()
    assert panel.locator(".snb-streaming").count() == 0


def test_a_new_conversation_is_not_mixed_up_with_one_started_in_a_cell(panel_of: OpenPanel) -> None:
    page, panel = panel_of(
        """import socketnb as snb
bot = snb.connect("eusate", name="bot", simulate=True)
bot.panel()""",
        "bot.new_conversation().say('Talk to a person');",
    )
    say(panel, "hours")
    panel.get_by_text("Saturday").wait_for()
    panel.get_by_role("button", name="New", exact=True).click()
    panel.get_by_text("No messages yet").wait_for()
    page.run(1)
    panel.get_by_role("button", name="Ada").wait_for()
    assert panel.get_by_role("button", name="New", exact=True).get_attribute("aria-pressed") == "true"
    say(panel, "That was all")
    panel.get_by_text("See you on the trail").wait_for()
    assert panel.locator(".snb-user").all_inner_texts() == ["That was all"]
    panel.locator(".snb-typing").wait_for(state="detached")
    assert panel.locator(".snb-tab[aria-pressed=true]").inner_text() not in ("New", "Ada")


def test_buttons_and_forms_stay_disabled_in_a_view_that_is_opened_later(panel_of: OpenPanel) -> None:
    page, first = panel_of(COGNIGY, "bot.panel()")
    say(first, "tour")
    first.get_by_label("Your name").fill("Grace")
    first.get_by_role("button", name="Sign up").click()
    first.get_by_text("you are on our list").wait_for()
    first.get_by_role("button", name="Track order").last.click()
    first.get_by_text("What is your order number?").wait_for()
    page.run(1)
    second = page.output(1).locator(".snb-panel")
    second.get_by_text("What is your order number?").wait_for()
    assert second.locator(".snb-chip:enabled:not(.snb-date *)").count() == 0
    assert first.locator(".snb-pressed").all_inner_texts() == ["Sign up", "Track order"]
    assert second.locator(".snb-pressed").all_inner_texts() == ["Track order"]
    assert second.locator(".snb-framed[inert]").count() == 1


def test_an_error_is_shown_in_its_form_and_the_input_is_kept(panel_of: OpenPanel) -> None:
    _page, panel = panel_of(COGNIGY)
    panel.get_by_role("button", name="More actions").click()
    panel.get_by_role("menuitem", name="data").click()
    form = panel.locator(".snb-verb")
    form.get_by_label("data").fill('{"a": 1')
    form.get_by_role("button", name="data").click()
    form.get_by_text("data is not valid JSON").wait_for()
    say(panel, "hours")  # does not change the form
    panel.get_by_text("Saturday").wait_for()
    form.get_by_label("data").press("End")
    form.get_by_label("data").type("}")
    form.get_by_role("button", name="data").click()
    form.wait_for(state="detached")
    panel.locator(".snb-timing").nth(1).wait_for()


def test_a_search_finds_text_in_the_whole_conversation(panel_of: OpenPanel) -> None:
    _page, panel = panel_of(LONG)
    panel.get_by_text("message 249 of two").wait_for()
    panel.locator(".snb-input").press("Control+f")
    panel.get_by_role("searchbox").fill("message 17 ")
    panel.get_by_text("2 of 2").wait_for()
    panel.get_by_text("message 17 of two").wait_for()
    panel.get_by_role("searchbox").press("Enter")
    panel.get_by_text("1 of 2").wait_for()
    panel.locator(".snb-match", has_text="message 17 of one").wait_for()
    panel.locator(".snb-newest").click()
    panel.get_by_text("message 249 of two").wait_for()


def test_a_message_is_copied_edited_and_sent_again(panel_of: OpenPanel) -> None:
    page, panel = panel_of(CONNECT)
    page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    say(panel, "hours")
    panel.locator(".snb-timing").wait_for()
    panel.locator(".snb-item", has_text="Saturday").hover()
    panel.get_by_role("button", name="Copy").click()
    panel.get_by_text("Copied").wait_for()
    assert "Saturday, 10 to 14" in page.page.evaluate("navigator.clipboard.readText()")
    panel.locator(".snb-user").hover()
    panel.get_by_role("button", name="Edit and send again").click()
    assert panel.locator(".snb-input").input_value() == "hours"
    panel.locator(".snb-user").hover()
    panel.get_by_role("button", name="Send again").last.click()
    panel.locator(".snb-timing").nth(1).wait_for()
    assert panel.locator(".snb-user").all_inner_texts() == ["hours", "hours"]
    panel.get_by_role("button", name="Collapse").click()
    panel.locator(".snb-input").wait_for(state="hidden")


def test_everything_can_be_done_with_the_keyboard(panel_of: OpenPanel) -> None:
    page, panel = panel_of(CONNECT)
    say(panel, "hours")
    panel.locator(".snb-timing").wait_for()
    press = page.page.keyboard.press
    panel.locator(".snb-log").focus()
    press("ArrowUp")
    press("ArrowUp")
    assert "Saturday" in page.page.evaluate("document.activeElement.innerText")
    press("Tab")
    assert page.page.evaluate("document.activeElement.ariaLabel") == "Copy"
    press("Tab")
    assert page.page.evaluate("document.activeElement.innerText") == "Track order"
    press("Space")
    panel.get_by_text("What is your order number?").wait_for()
    page.page.keyboard.type("4567")
    press("Enter")
    panel.get_by_text("Tuesday before noon").wait_for()
    panel.get_by_role("button", name="Export the conversation").focus()
    press("Enter")
    press("ArrowDown")
    assert page.page.evaluate("document.activeElement.innerText") == "Markdown"
    press("Escape")
    assert page.page.evaluate("document.activeElement.ariaLabel") == "Export the conversation"


def test_several_sessions_side_by_side_share_one_input(lab: OpenLab) -> None:
    page = lab(
        """import socketnb as snb
bots = [snb.connect(platform, simulate=True) for platform in ("cognigy", "eusate", "voiceflow")]
snb.panels(*bots)"""
    )
    page.run(0)
    panels = page.output(0).locator(".snb-panel")
    panels.nth(2).wait_for()
    box = page.output(0).locator(".snb-side-by-side > .snb-composer .snb-input")
    box.fill("hours")
    box.press("Enter")
    for n in range(3):
        panels.nth(n).get_by_text("Saturday, 10 to 14").wait_for()
    panels.nth(0).get_by_role("button", name="Track order").click()
    panels.nth(0).get_by_text("What is your order number?").wait_for()
    assert panels.nth(2).get_by_text("What is your order number?").count() == 0


def test_each_conversation_of_a_session_has_a_tab(panel_of: OpenPanel) -> None:
    _page, panel = panel_of(
        """import socketnb as snb
bot = snb.connect("eusate", name="bot", simulate=True)
bot.panel()""",
    )
    say(panel, "hours")
    panel.get_by_text("Saturday, 10 to 14").wait_for()
    panel.get_by_role("button", name="New", exact=True).click()
    say(panel, "Talk to a person")
    panel.get_by_role("button", name="Ada").wait_for()
    panel.get_by_text("this is Ada").wait_for()
    assert panel.get_by_text("Saturday").count() == 0
    panel.get_by_role("button", name="Conversation 1").click()
    panel.get_by_text("Saturday").wait_for()
    assert panel.get_by_text("this is Ada").count() == 0
    panel.get_by_role("button", name="More actions").click()
    panel.get_by_role("menuitem", name="review").click()
    panel.locator(".snb-stars label").nth(3).click()
    panel.get_by_label("review", exact=True).fill("quick and friendly")
    panel.locator(".snb-verb").get_by_role("button", name="review").click()
    panel.locator(".snb-user", has_text="4 quick and friendly").wait_for()
    panel.get_by_role("button", name="More actions").click()
    panel.get_by_role("menuitem", name="close").first.click()
    panel.get_by_role("button", name="Review", exact=True).click()
    panel.locator(".snb-verb", has_text="rate the conversation").wait_for()


def test_a_click_while_the_kernel_is_blocked_is_marked_as_waiting_and_handled_later(
    panel_of: OpenPanel, file: Path, eventually: Eventually
) -> None:
    blocked = file.with_suffix(".blocked")
    # A call into C that keeps the interpreter lock, so that no thread of the kernel can run.
    block = (
        f"import ctypes, pathlib\npathlib.Path({str(blocked)!r}).touch()\nctypes.PyDLL(None).sleep(5)\nprint('done')"
    )
    page, panel = panel_of(CONNECT, block)
    say(panel, "hours")
    panel.get_by_text("Saturday").wait_for()
    page.run(1)
    eventually(blocked.exists)
    panel.get_by_role("button", name="Track order").click()
    say(panel, "4567")
    panel.locator(".snb-chip.snb-delayed").wait_for()
    panel.locator(".snb-pending.snb-delayed").wait_for()
    page.output(1).get_by_text("done").wait_for()
    panel.get_by_text("Tuesday before noon").wait_for()
    panel.locator(".snb-delayed").first.wait_for(state="detached")


def test_the_panel_shows_that_the_kernel_has_stopped_and_keeps_the_transcript(panel_of: OpenPanel, file: Path) -> None:
    page, panel = panel_of(CONNECT, "import os; os._exit(1)")
    say(panel, "hours")
    panel.get_by_text("Saturday").wait_for()
    page.save(file, "Saturday, 10 to 14")
    (view, static) = json.loads(file.read_text())["cells"][0]["outputs"][-2:]
    assert "Saturday, 10 to 14" in "".join(static["data"]["text/html"])
    assert "Saturday" not in str(view), "no widget state is saved"
    assert page.output(0).locator(".snb-static").is_hidden()
    page.run(1)
    panel.get_by_text("The kernel has stopped").wait_for()
    assert panel.get_by_text("Saturday").is_visible()
    assert panel.locator(".snb-input").is_disabled()
    page.load(file.name)
    page.page.locator(".snb-static", has_text="Saturday, 10 to 14").wait_for()


def test_a_session_that_is_opened_again_continues_in_its_panel(panel_of: OpenPanel) -> None:
    page, panel = panel_of(CONNECT, "%chat connect voiceflow --simulate --name bot")
    say(panel, "hours")
    panel.get_by_text("Saturday").wait_for()
    page.run(1)
    panel.get_by_text("No messages yet").wait_for()
    say(panel, "thanks")
    panel.get_by_text("See you on the trail").wait_for()


def test_right_to_left_text_narrow_pages_and_reduced_motion_are_supported(lab: OpenLab) -> None:
    page = lab(CONNECT)
    page.page.emulate_media(reduced_motion="reduce")
    page.page.set_viewport_size({"width": 640, "height": 900})
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    say(panel, "مرحبا بالعالم")
    panel.locator(".snb-timing").wait_for()
    assert panel.locator(".snb-user .snb-bubble").evaluate("(node) => getComputedStyle(node).direction") == "rtl"
    assert panel.evaluate("(node) => node.scrollWidth - node.clientWidth") == 0, (
        "a narrow panel has no horizontal scroll bar"
    )
    assert panel.locator(".snb-item").first.evaluate("(node) => getComputedStyle(node).animationName") == "none"


def test_the_core_panel_shows_the_same_conversation(lab: OpenLab) -> None:
    page = lab(
        """import socketnb as snb
bot = snb.connect("voiceflow", name="bot", simulate=True)
bot.panel(ui="core")"""
    )
    page.run(0)
    output = page.output(0)
    output.locator("input[type=text]").fill("hours")
    output.locator("input[type=text]").press("Enter")
    output.get_by_text("Saturday, 10 to 14").first.wait_for()
    output.get_by_role("button", name="Track order").click()
    output.get_by_text("What is your order number?").first.wait_for()


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_axe_finds_no_accessibility_problem(panel_of: OpenPanel, theme: str) -> None:
    page, panel = panel_of(COGNIGY, "bot.say('tour'); bot.say('Talk to a person');")
    page.set_theme(theme)
    page.run(1)
    panel.locator(".snb-agent").first.wait_for()
    panel.get_by_role("button", name="Inspector", exact=True).click()
    panel.locator(".snb-trace").first.wait_for()
    panel.get_by_role("button", name="Search", exact=True).click()
    found = violations(page.page, ".snb-panel")
    page.set_theme("Light")
    assert found == []


def test_the_buttons_below_a_cell_continue_the_conversation_there(lab: OpenLab) -> None:
    page = lab(
        "%load_ext socketnb\n%chat connect voiceflow --simulate --name bot", "%%chat bot\nhours", "%%chat bot\nhi"
    )
    page.run(0)
    page.run(1)
    cell = page.output(1)
    cell.locator(".snb-cell-button", has_text="Track order").click()
    cell.get_by_text("What is your order number?").wait_for()
    cell.locator(".snb-cell-button").first.wait_for(state="detached")
    assert cell.locator(".snb-labels").first.is_visible(), "labels are shown if the buttons cannot be pressed"
    page.run(2)
    cell = page.output(2)
    cell.locator(".snb-cell-button").first.wait_for()
    assert not cell.locator(".snb-labels").first.is_visible()
    cell.locator(".snb-cell-button", has_text="Opening hours").click()
    cell.get_by_text("Saturday, 10 to 14").wait_for()
    cell.locator(".snb-cell-button:enabled", has_text="Opening hours").wait_for()
    assert violations(page.page, ".snb-cell-buttons") == []


def test_an_answer_appears_piece_by_piece_also_in_a_background_cell(lab: OpenLab) -> None:
    page = lab(COUNTS, "%%chat bot\ngo", "%%chat bot --bg\ngo", "import time; time.sleep(4); print('slept')")
    page.run(0)
    page.run(1)
    page.output(1).get_by_text("word 0").wait_for()
    assert page.output(1).get_by_text("word 4").count() == 0, "the answer was shown only when it was complete"
    page.output(1).get_by_text("completed").wait_for()
    page.run(2)
    page.run(3)
    page.output(2).get_by_text("word 4").wait_for()
    page.output(2).get_by_text("completed").wait_for()
    page.output(3).get_by_text("slept").wait_for()
    assert page.output(3).get_by_text("word").count() == 0
