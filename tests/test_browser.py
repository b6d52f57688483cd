"""The panel in real JupyterLab, in a real browser."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import CHROMIUM, Lab, jupyterlab, notebook
from provide import browser

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(240),
    pytest.mark.skipif(browser() is None, reason="no Chromium: install it (Debian: apt-get install chromium)"),
    pytest.mark.filterwarnings("default"),  # playwright's own
]
ARTEFACTS = Path(__file__).parent.parent / "test-artefacts"
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
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("lab")
    with jupyterlab(folder) as url:
        yield url, folder


@pytest.fixture
def lab(chromium: Any, server: tuple[str, Path], request: pytest.FixtureRequest) -> Iterator[Any]:
    """Open a notebook with the given cells; keep a screenshot of how it ends."""
    url, folder = server
    pages = []

    def opened(*cells: str) -> Lab:
        path = f"{request.node.name}.ipynb"
        (folder / path).write_text(json.dumps(notebook(*cells)))
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
    assert panel.locator(".snb-bot").count() == 1
    assert panel.locator(".snb-streaming").count() == 0


def test_every_kind_of_content_is_shown_and_hostile_content_does_nothing(lab: Any) -> None:
    page = lab(
        """import socketnb as snb
bot = snb.connect("voiceflow", name="bot", simulate=True, completion_events=True)
bot.panel()""",
        "bot.say('tour');",
        """flow = snb.Flow("demo shop")
@flow.otherwise
def attack(turn):
    turn.say("<img src=x onerror=window.hacked=1><script>window.hacked=1</script>")
    turn.card("<img src=x onerror=window.hacked=1>", "[x](javascript:x)", image="javascript:window.hacked=1")
    turn.image("javascript:window.hacked=1", "\\" onerror=window.hacked=1 x=")
    turn.custom("<script>window.hacked=1</script>", {"a": "</pre><script>window.hacked=1</script>"})
    turn.choices("<img src=x onerror=window.hacked=1>")
bot.say("attack");""",
    )
    requests: list[str] = []
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    page.run(1)
    for found in ("img", "audio", "details", ".snb-card", ".snb-chip", "strong"):
        panel.locator(found).first.wait_for(state="attached")
    page.page.on("request", lambda request: requests.append(request.url))
    page.run(2)
    panel.locator(".snb-under").nth(1).wait_for()
    assert page.page.evaluate("window.hacked") is None
    assert panel.locator("script, iframe, [onerror], a[href^='javascript']").count() == 0
    assert [url for url in requests if "/api/" not in url and "/x" in url] == []


def test_the_panel_answers_while_another_cell_blocks(lab: Any) -> None:
    page = lab(CONNECT, "import time; time.sleep(8); print('slept')")
    page.run(0)
    panel = page.output(0).locator(".snb-panel")
    panel.locator(".snb-input").wait_for()
    page.run(1)
    say(panel, "hours")
    panel.get_by_text("Saturday, 10 to 14").wait_for(timeout=5000)
    assert page.output(1).get_by_text("slept").count() == 0, "the answer came only after the cell"
    page.output(1).get_by_text("slept").wait_for()


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


CARDS = """import socketnb as snb
from socketnb.flow import card
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
