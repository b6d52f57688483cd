"""The panel in real Jupyter, in a real browser: `pytest --place notebook` runs it in Notebook 7, see conftest.py."""

import json
from collections.abc import Iterator
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
    pytest.mark.filterwarnings("default"),  # playwright's own
]
ARTEFACTS = Path(__file__).parents[2] / "test-artefacts"
CONNECT = """%load_ext socketnb
%chat connect voiceflow --simulate --name bot
%chat panel bot"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser(), args=CHROMIUM)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--place"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, place: str) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("lab")
    with jupyter(folder, app="notebook" if place == "notebook" else "lab") as url:
        yield url, folder


@pytest.fixture
def lab(chromium: Any, server: tuple[str, Path], place: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Open a notebook with the given cells; keep a screenshot of how it ends."""
    url, folder = server
    pages = []

    def opened(*cells: str) -> Lab:
        path = f"{request.node.name}.ipynb"
        kernel = place if place.startswith("ipykernel") else "python3"
        (folder / path).write_text(json.dumps(notebook(*cells, kernel=kernel)))
        page = chromium.new_page(viewport={"width": 1100, "height": 1000})
        page.set_default_timeout(20_000)
        pages.append(page)
        return Lab(page, url, path)

    yield opened
    ARTEFACTS.mkdir(exist_ok=True)
    for page in pages:
        page.screenshot(path=ARTEFACTS / f"{request.node.name}.png")
        page.close()


def say(panel: Any, words: str) -> None:
    panel.locator(".snb-input").fill(words)
    panel.locator(".snb-input").press("Enter")


def test_a_person_types_presses_a_button_and_sees_the_replies(lab: Any) -> None:
    page = lab(CONNECT)
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    say(panel, "hello")
    panel.get_by_text("I did not understand that").wait_for()
    panel.get_by_role("button", name="Track order").click()
    panel.get_by_text("What is your order number?").wait_for()
    panel.locator(".snb-input").fill("4567")
    panel.locator(".snb-send").click()
    panel.get_by_text("Tuesday before noon").wait_for()
    assert panel.locator(".snb-user").all_inner_texts() == ["hello", "Track order", "4567"]
    assert panel.locator(".snb-used").all_inner_texts() == ["Track order"]
    assert panel.locator(".snb-under").count() == 3
    assert panel.locator(".snb-typing, .snb-waiting").count() == 0


def test_a_cell_and_the_panel_show_the_same_conversation(lab: Any) -> None:
    page = lab(CONNECT, "%%chat bot\nhours", "bot_turns = len(__import__('socketnb').turns_df()); print(bot_turns)")
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    page.run(1)
    panel.get_by_text("Saturday, 10 to 14").wait_for()
    say(panel, "thanks")
    panel.get_by_text("See you on the trail").wait_for()
    page.run(2)
    page.output(2).get_by_text("2", exact=True).wait_for()


def test_a_panel_opened_in_the_middle_of_a_conversation_shows_all_of_it(lab: Any) -> None:
    page = lab(
        """import socketnb as snb
bot = snb.connect("voiceflow", name="bot", simulate=True)
bot.launch()
panel = bot.panel()
bot.press("Track order"); bot.say("4567"); bot.close()
panel"""
    )
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    panel.get_by_text("Tuesday before noon").wait_for()
    assert panel.locator(".snb-user").all_inner_texts() == ["(launch)", "Track order", "4567"]
    assert panel.locator(".snb-input").is_disabled()


def test_a_streamed_answer_grows_in_the_panel_before_the_turn_is_over(lab: Any) -> None:
    page = lab(
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
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    say(panel, "tell me")
    panel.locator(".snb-streaming", has_text="It is **al").wait_for()
    assert panel.locator(".snb-typing").count() == 1
    page.run(1)
    panel.locator("strong", has_text="almost").wait_for()
    panel.locator(".snb-typing").wait_for(state="detached")
    assert panel.locator(".snb-bot").count() == 1
    assert panel.locator(".snb-streaming").count() == 0


def test_every_kind_of_content_is_shown(lab: Any) -> None:
    page = lab(COGNIGY, "bot.say('tour');")
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    page.run(1)
    for found in ("img", "audio", "video", "details", ".snb-card", ".snb-list", ".snb-chip", "strong", ".snb-date"):
        panel.locator(found).first.wait_for(state="attached")


def test_what_a_bot_sends_can_do_nothing(lab: Any, server: tuple[str, Path]) -> None:
    page = lab(ATTACK, "bot.say('attack');")
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    panel.locator(".snb-input").wait_for()
    requests: list[str] = []
    page.page.on("request", lambda request: requests.append(request.url))
    page.run(1)
    panel.locator(".snb-under").wait_for()
    panel.get_by_text("the last of them").wait_for()
    for folded in panel.locator("details > summary").all():
        folded.click()
    panel.get_by_role("button", name="Inspector", exact=True).click()
    panel.locator(".snb-trace").first.wait_for()
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


def test_the_panel_answers_while_another_cell_blocks(lab: Any) -> None:
    page = lab(CONNECT, "import time; time.sleep(20); print('slept')")
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    panel.locator(".snb-input").wait_for()
    page.run(1)
    say(panel, "hours")
    panel.get_by_text("Saturday, 10 to 14").wait_for(timeout=15_000)
    assert page.output(1).get_by_text("slept").count() == 0, "the answer came only after the cell"
    page.output(1).get_by_text("slept").wait_for(timeout=60_000)


def test_a_second_view_and_a_reloaded_page_show_the_whole_conversation(
    lab: Any, server: tuple[str, Path], request: pytest.FixtureRequest
) -> None:
    page = lab(CONNECT, "%chat panel bot")
    page.run(0)
    first = page.output(0).locator(".snb-panel")
    say(first, "hours")
    first.get_by_text("Saturday, 10 to 14").wait_for()
    page.run(1)
    second = page.output(1).locator(".snb-panel")
    second.get_by_text("Saturday, 10 to 14").wait_for()
    assert second.inner_text() == first.inner_text()
    page.save(server[1] / f"{request.node.name}.ipynb", having="Saturday, 10 to 14")
    page.page.reload()
    page.page.wait_for_selector(".snb-panel", timeout=60_000)
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


def test_cards_scroll_with_the_arrow_keys_and_their_buttons_are_spent_once_pressed(lab: Any) -> None:
    page = lab(CARDS)
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    say(panel, "show")
    cards = panel.locator(".snb-carousel")
    cards.locator(".snb-card").nth(5).wait_for(state="attached")
    for _ in range(4):
        cards.press("ArrowRight")
    page.page.wait_for_function("document.querySelector('.snb-carousel').scrollLeft > 300")
    cards.get_by_role("button", name="Take 4").click()
    panel.get_by_text("Yours.").wait_for()
    assert cards.locator("button:enabled").count() == 0
    assert cards.locator(".snb-used").all_inner_texts() == ["Take 4"]


def test_a_person_recalls_stops_starts_over_and_exports(lab: Any) -> None:
    page = lab(CONNECT, "from socketnb.hub import hub; hub._simulators[0].fault('silent')")
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
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
    panel.get_by_text("nobody waits any more").wait_for()
    panel.locator(".snb-stop").wait_for(state="hidden")
    panel.get_by_role("button", name="Start over").click()
    panel.get_by_text("Welcome").last.wait_for()
    panel.get_by_role("button", name="Export the conversation").click()
    with page.page.expect_download() as download:
        panel.get_by_role("menuitem", name="Markdown").click()
    assert download.value.suggested_filename == "bot.md"
    assert "Saturday, 10 to 14" in Path(download.value.path()).read_text()


def test_the_inspector_shows_the_last_turn_as_it_comes_and_each_payload_on_demand(lab: Any) -> None:
    page = lab(CONNECT)
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    assert panel.locator(".snb-insp").is_hidden()
    panel.get_by_role("button", name="Inspector").click()
    say(panel, "hours")
    panel.locator(".snb-trace", has_text="completed").wait_for()
    assert panel.locator(".snb-trace .snb-kind").all_inner_texts()[:2] == ["action", "status"]
    assert panel.locator(".snb-mark.snb-shown").count() == 2
    panel.locator(".snb-trace", has_text="action").locator("summary").click()
    panel.locator(".snb-trace pre", has_text='"payload": "hours"').wait_for()
    assert panel.locator(".snb-facts dd").first.inner_text()
    panel.get_by_role("button", name="Inspector").click()
    panel.locator(".snb-insp").wait_for(state="hidden")


def test_what_waited_in_line_and_was_stopped_does_not_stay(lab: Any) -> None:
    page = lab(CONNECT, "from socketnb.hub import hub; hub._simulators[0].fault('silent')")
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    box = panel.locator(".snb-input")
    box.wait_for()
    page.run(1)
    for words in ("first", "second in line"):
        box.fill(words)
        box.press("Enter")
    panel.locator(".snb-waiting", has_text="second in line").wait_for()
    panel.get_by_role("button", name="Stop").click()
    panel.locator(".snb-waiting").wait_for(state="detached")
    box.fill("third")
    box.press("Enter")
    panel.get_by_text("I did not understand that").nth(1).wait_for()  # the first turn had one, and no end
    assert panel.locator(".snb-user").all_inner_texts() == ["first", "third"]


def test_all_views_know_which_of_two_buttons_with_the_same_words_was_pressed(lab: Any) -> None:
    page = lab(CARDS.replace("Take {n}", "Select"), "bot.panel()")
    page.run(0)
    first = page.output(0).locator(".snb-panel")
    say(first, "show")
    first.locator(".snb-choice").nth(5).wait_for(state="attached")
    page.run(1)
    second = page.output(1).locator(".snb-panel")
    second.locator(".snb-choice").nth(5).wait_for(state="attached")
    cells = page.page.locator(".jp-Notebook .jp-Cell").count()
    first.locator(".snb-choice").nth(1).press("Enter")
    for view in (first, second):
        view.locator(".snb-card").nth(1).locator(".snb-used").wait_for()
        assert view.locator(".snb-used").count() == 1
    first.locator(".snb-log").press("b")
    first.get_by_role("button", name="Export the conversation").press("b")
    assert page.page.locator(".jp-Notebook .jp-Cell").count() == cells, "plain keys are not the notebook's here"


def test_a_form_and_a_date_are_filled_in_and_sent(lab: Any) -> None:
    page = lab(
        COGNIGY,
        "bot.say('tour');",
        """from socketnb.dialects.messages import parse
sent = [parse(trace.payload) for trace in bot.traces() if trace.kind == "action"]
print(sent[-3]["data"]["adaptivecards"], sent[-1]["text"])""",
    )
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
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


def test_an_agent_is_told_apart_from_the_bot(lab: Any) -> None:
    page = lab(COGNIGY, "from socketnb.hub import hub; hub._simulators[0].agent_says('I can change the day.')")
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
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
    for n in range(400): turn.say(f"message {n} of {turn.text}")
bot = snb.connect("voiceflow", name="bot", simulate=True, flow=flow)
panel = bot.panel()
bot.say("one"); bot.say("two")
panel"""
COUNT = "document.querySelectorAll('.snb-panel .snb-item').length"


def test_a_long_conversation_is_scrolled_through_while_the_page_holds_little_of_it(lab: Any) -> None:
    page = lab(LONG, "bot.say('three');")
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    panel.get_by_text("message 399 of two").wait_for()
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
    page.run(1)  # what comes meanwhile moves nothing
    panel.locator(".snb-down").wait_for()
    assert panel.get_by_text("message 0 of one").count() == 1
    for _ in range(200):
        log.evaluate("(node) => { node.scrollTop = node.scrollHeight; }")
        page.page.wait_for_timeout(20)
        if panel.get_by_text("message 399 of three").count():
            break
    panel.get_by_text("message 399 of three").wait_for()
    numbers = panel.locator(".snb-bubble").evaluate_all("(all) => all.map((node) => node.innerText.trim())")
    said = [text for text in numbers if text.endswith("of three")]
    assert said == [f"message {n} of three" for n in range(400 - len(said), 400)], "no gap and nothing twice"
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


def test_the_end_stays_in_sight_and_who_reads_what_is_older_is_left_there(lab: Any) -> None:
    page = lab(SLOW, "bot.say('420');", "bot.say('60');")
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    panel.locator(".snb-input").wait_for()
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
    panel.locator(".snb-down").wait_for()
    page.page.wait_for_function("!document.querySelector('.snb-stop').checkVisibility()")
    assert page.page.evaluate(seen) == before
    panel.locator(".snb-down").click()
    panel.get_by_text("message 59 of 60").wait_for()


def test_what_is_said_while_older_messages_are_shown_is_seen(lab: Any) -> None:
    page = lab(LONG)
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    panel.get_by_text("message 399 of two").wait_for()
    panel.locator(".snb-input").press("Control+f")
    panel.get_by_role("searchbox").fill("message 17 of one")
    panel.get_by_text("1 of 1").wait_for()
    panel.get_by_text("message 17 of one").wait_for()
    say(panel, "three")
    panel.get_by_text("message 399 of three").wait_for()
    panel.locator(".snb-waiting").wait_for(state="detached")


def test_a_stream_that_went_on_out_of_sight_is_whole_when_it_is_looked_at_again(lab: Any) -> None:
    page = lab(
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
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    panel.get_by_text("It begins").wait_for()
    log = panel.locator(".snb-log")
    for _ in range(20):  # up, until rows are let go of at the end
        log.evaluate("(node) => { node.scrollTop = 0; }")
        page.page.wait_for_timeout(100)
    page.run(1)
    page.page.wait_for_function("!document.querySelector('.snb-stop').checkVisibility()")
    for _ in range(20):
        log.evaluate("(node) => { node.scrollTop = node.scrollHeight; }")
        page.page.wait_for_timeout(100)
    panel.get_by_text("It begins and ENDS").wait_for()
    assert panel.locator(".snb-streaming").count() == 0


def test_a_new_conversation_is_ones_own_whoever_else_begins_one(lab: Any) -> None:
    page = lab(
        """import socketnb as snb
bot = snb.connect("eusate", name="bot", simulate=True)
bot.panel()""",
        "bot.new_conversation().say('Talk to a person');",
    )
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    say(panel, "hours")
    panel.get_by_text("Saturday").wait_for()
    panel.get_by_role("button", name="New", exact=True).click()
    panel.get_by_text("Nothing was said yet").wait_for()
    page.run(1)
    panel.get_by_role("button", name="Ada").wait_for()
    assert panel.get_by_role("button", name="New", exact=True).get_attribute("aria-pressed") == "true"
    say(panel, "That was all")
    panel.get_by_text("See you on the trail").wait_for()
    assert panel.locator(".snb-user").all_inner_texts() == ["That was all"]
    panel.locator(".snb-typing").wait_for(state="detached")
    assert panel.locator(".snb-talk[aria-pressed=true]").inner_text() not in ("New", "Ada")


def test_spent_buttons_and_forms_stay_so_in_a_view_that_is_opened_later(lab: Any) -> None:
    page = lab(COGNIGY, "bot.panel()")
    page.run(0)
    first = page.output(0).locator(".snb-panel")
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
    assert first.locator(".snb-used").all_inner_texts() == ["Sign up", "Track order"]
    assert second.locator(".snb-used").all_inner_texts() == ["Track order"]
    assert second.locator(".snb-framed[inert]").count() == 1


def test_what_is_wrong_in_a_form_is_said_there_and_nothing_typed_is_lost(lab: Any) -> None:
    page = lab(COGNIGY)
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    panel.get_by_role("button", name="More actions").click()
    panel.get_by_role("menuitem", name="data").click()
    form = panel.locator(".snb-verb")
    form.get_by_label("data").fill('{"a": 1')
    form.get_by_role("button", name="data").click()
    form.get_by_text("data is no JSON").wait_for()
    say(panel, "hours")  # is no matter of the form's
    panel.get_by_text("Saturday").wait_for()
    form.get_by_label("data").press("End")
    form.get_by_label("data").type("}")
    form.get_by_role("button", name="data").click()
    form.wait_for(state="detached")
    panel.locator(".snb-under").nth(1).wait_for()


def test_words_are_found_in_all_of_the_conversation(lab: Any) -> None:
    page = lab(LONG)
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    panel.get_by_text("message 399 of two").wait_for()
    panel.locator(".snb-input").press("Control+f")
    panel.get_by_role("searchbox").fill("message 17 ")
    panel.get_by_text("2 of 2").wait_for()
    panel.get_by_text("message 17 of two").wait_for()
    panel.get_by_role("searchbox").press("Enter")
    panel.get_by_text("1 of 2").wait_for()
    panel.locator(".snb-found", has_text="message 17 of one").wait_for()
    panel.locator(".snb-down").click()
    panel.get_by_text("message 399 of two").wait_for()


def test_a_message_is_copied_edited_and_sent_again(lab: Any) -> None:
    page = lab(CONNECT)
    page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    say(panel, "hours")
    panel.locator(".snb-under").wait_for()
    panel.locator(".snb-item", has_text="Saturday").hover()
    panel.get_by_role("button", name="Copy").click()
    panel.get_by_text("Copied.").wait_for()
    assert "Saturday, 10 to 14" in page.page.evaluate("navigator.clipboard.readText()")
    panel.locator(".snb-user").hover()
    panel.get_by_role("button", name="Edit and send again").click()
    assert panel.locator(".snb-input").input_value() == "hours"
    panel.locator(".snb-user").hover()
    panel.get_by_role("button", name="Send again").last.click()
    panel.locator(".snb-under").nth(1).wait_for()
    assert panel.locator(".snb-user").all_inner_texts() == ["hours", "hours"]
    panel.get_by_role("button", name="Collapse").click()
    panel.locator(".snb-input").wait_for(state="hidden")


def test_the_keyboard_is_enough(lab: Any) -> None:
    page = lab(CONNECT)
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    say(panel, "hours")
    panel.locator(".snb-under").wait_for()
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
    assert page.page.evaluate("document.activeElement.innerText") == "HTML"
    press("Escape")
    assert page.page.evaluate("document.activeElement.ariaLabel") == "Export the conversation"


def test_several_sessions_answer_one_input_side_by_side(lab: Any) -> None:
    page = lab(
        """import socketnb as snb
bots = [snb.connect(platform, simulate=True) for platform in ("cognigy", "eusate", "voiceflow")]
snb.panels(*bots)"""
    )
    page.run(0)
    panels = page.output(0).locator(".snb-panel")
    panels.nth(2).wait_for()
    box = page.output(0).locator(".snb-beside > .snb-foot .snb-input")
    box.fill("hours")
    box.press("Enter")
    for n in range(3):
        panels.nth(n).get_by_text("Saturday, 10 to 14").wait_for()
    panels.nth(0).get_by_role("button", name="Track order").click()
    panels.nth(0).get_by_text("What is your order number?").wait_for()
    assert panels.nth(2).get_by_text("What is your order number?").count() == 0


def test_several_conversations_of_one_customer_have_a_tab_each(lab: Any) -> None:
    page = lab(
        """import socketnb as snb
bot = snb.connect("eusate", name="bot", simulate=True)
bot.panel()""",
    )
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
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
    panel.get_by_role("button", name="Rate it").click()
    panel.locator(".snb-verb", has_text="rate the conversation").wait_for()


def test_a_click_that_the_kernel_cannot_hear_waits_visibly_and_is_not_lost(
    lab: Any, server: tuple[str, Path], eventually: Eventually
) -> None:
    # One call that lets no other thread run, once the page knows that the cell runs: else `run` would press again.
    counts = "import pathlib, time; time.sleep(1); pathlib.Path('counts').touch(); sum(range(3 * 10**8)); print('done')"
    page = lab(CONNECT, counts)
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    say(panel, "hours")
    panel.get_by_text("Saturday").wait_for()
    page.run(1)
    eventually((server[1] / "counts").exists)
    panel.get_by_role("button", name="Track order").click()
    panel.locator(".snb-chip.snb-late").wait_for()
    say(panel, "4567")
    panel.locator(".snb-waiting.snb-late").wait_for()
    page.output(1).get_by_text("done").wait_for(timeout=60_000)
    panel.get_by_text("Tuesday before noon").wait_for()
    panel.locator(".snb-late").first.wait_for(state="detached")


def test_when_the_kernel_goes_the_panel_says_so_and_the_transcript_stays(
    lab: Any, server: tuple[str, Path], request: pytest.FixtureRequest
) -> None:
    page = lab(CONNECT, "import os; os._exit(1)")
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    say(panel, "hours")
    panel.get_by_text("Saturday").wait_for()
    file = server[1] / f"{request.node.name}.ipynb"
    page.save(file, having="Saturday, 10 to 14")
    (view, static) = json.loads(file.read_text())["cells"][0]["outputs"][-2:]
    assert "Saturday, 10 to 14" in "".join(static["data"]["text/html"])
    assert "Saturday" not in str(view), "no widget state"
    assert page.output(0).locator(".snb-static").is_hidden()
    page.run(1)
    panel.get_by_text("The kernel has gone").wait_for()
    assert panel.get_by_text("Saturday").is_visible()
    assert panel.locator(".snb-input").is_disabled()
    page.page.reload()
    page.page.locator(".snb-static", has_text="Saturday, 10 to 14").wait_for()


def test_a_session_opened_again_goes_on_in_its_panel(lab: Any) -> None:
    page = lab(CONNECT, "%chat connect voiceflow --simulate --name bot")
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    say(panel, "hours")
    panel.get_by_text("Saturday").wait_for()
    page.run(1)
    panel.get_by_text("Nothing was said yet").wait_for()
    say(panel, "thanks")
    panel.get_by_text("See you on the trail").wait_for()


def test_what_is_written_from_right_to_left_is_shown_so_and_nothing_moves_where_it_should_not(lab: Any) -> None:
    page = lab(CONNECT)
    page.page.emulate_media(reduced_motion="reduce")
    page.page.set_viewport_size({"width": 640, "height": 900})
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    say(panel, "مرحبا بالعالم")
    panel.locator(".snb-under").wait_for()
    assert panel.locator(".snb-user .snb-bubble").evaluate("(node) => getComputedStyle(node).direction") == "rtl"
    assert panel.evaluate("(node) => node.scrollWidth - node.clientWidth") == 0, "a narrow one has no scroll bar"
    assert panel.locator(".snb-item").first.evaluate("(node) => getComputedStyle(node).animationName") == "none"


def test_the_core_panel_shows_the_same_conversation(lab: Any) -> None:
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


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_a_screen_reader_finds_nothing_in_its_way(chromium: Any, tmp_path: Path, theme: str) -> None:
    (tmp_path / "a.ipynb").write_text(json.dumps(notebook(COGNIGY, "bot.say('tour'); bot.say('Talk to a person');")))
    with jupyter(tmp_path, f"JupyterLab {theme}") as url:
        page = chromium.new_page(viewport={"width": 1100, "height": 1000})
        lab = Lab(page, url, "a.ipynb")
        lab.run(0)
        panel = lab.output(0).locator(".snb-panel")
        panel.wait_for()
        lab.run(1)
        panel.locator(".snb-agent").first.wait_for()
        panel.get_by_role("button", name="Inspector", exact=True).click()
        panel.locator(".snb-trace").first.wait_for()
        panel.get_by_role("button", name="Search", exact=True).click()
        found = violations(page, ".snb-panel")
        page.screenshot(path=ARTEFACTS / f"axe-{theme.lower()}.png")
        page.close()
    assert found == []


def test_the_buttons_under_a_cell_go_on_with_the_conversation_there(lab: Any) -> None:
    page = lab(
        "%load_ext socketnb\n%chat connect voiceflow --simulate --name bot", "%%chat bot\nhours", "%%chat bot\nhi"
    )
    page.run(0)
    page.run(1)
    cell = page.output(1)
    cell.locator(".snb-cell-button", has_text="Track order").click()
    cell.get_by_text("What is your order number?").wait_for()
    cell.locator(".snb-cell-button").first.wait_for(state="detached")
    assert cell.locator(".snb-labels").first.is_visible(), "where nothing can be pressed the labels stand"
    page.run(2)
    cell = page.output(2)
    cell.locator(".snb-cell-button").first.wait_for()
    assert not cell.locator(".snb-labels").first.is_visible()
    cell.locator(".snb-cell-button", has_text="Opening hours").click()
    cell.get_by_text("Saturday, 10 to 14").wait_for()
    cell.locator(".snb-cell-button:enabled", has_text="Opening hours").wait_for()
    assert violations(page.page, ".snb-cell-buttons") == []


def test_a_cell_grows_as_the_answer_comes_and_one_behind_fills_its_own_place(lab: Any) -> None:
    page = lab(COUNTS, "%%chat bot\ngo", "%%chat bot --bg\ngo", "import time; time.sleep(6); print('slept')")
    page.run(0)
    page.run(1)
    page.output(1).get_by_text("word 0").wait_for()
    assert page.output(1).get_by_text("word 4").count() == 0, "it was shown only when it was whole"
    page.output(1).get_by_text("completed").wait_for()
    page.run(2)
    page.run(3)
    page.output(2).get_by_text("word 4").wait_for()
    page.output(2).get_by_text("completed").wait_for()
    page.output(3).get_by_text("slept").wait_for()
    assert page.output(3).get_by_text("word").count() == 0
