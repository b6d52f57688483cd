"""The panel in a real marimo app, in a real browser."""

import importlib.util
import os
import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Eventually
from lab import CHROMIUM, running
from provide import browser

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(240),
    pytest.mark.skipif(browser() is None, reason="no Chromium: install it (Debian: apt-get install chromium)"),
    pytest.mark.skipif(importlib.util.find_spec("marimo") is None, reason="no marimo: install it (pip install marimo)"),
    pytest.mark.filterwarnings("default"),  # warnings of Playwright
]
ARTEFACTS = Path(__file__).parents[2] / "test-artefacts"
APP = """import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    import socketnb as snb

    bot = snb.connect("voiceflow", name="bot", simulate=True)
    return bot, mo


@app.cell
def _(bot, mo):
    {shown}
    return
"""


@pytest.fixture
def url(tmp_path: Path, shown: str, eventually: Eventually) -> Iterator[str]:
    """Serve the app on a free port. With port 0, marimo would use its default port."""
    (tmp_path / "app.py").write_text(APP.format(shown=shown))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "marimo", "run", "--headless", "--no-token", "--host", "127.0.0.1"]
    command += ["--port", str(port), "app.py"]
    homes = ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")  # no user settings, and nothing left behind
    env = {**os.environ, **dict.fromkeys(homes, str(tmp_path))}
    log = tmp_path / "log"
    with running(command, log, cwd=tmp_path, env=env) as server:

        def is_ready() -> bool:
            assert server.poll() is None, f"marimo did not start: {log.read_text()[-2000:]}"
            try:
                with urllib.request.urlopen(f"{url}/health"):
                    return True
            except OSError:
                return False

        eventually(is_ready, 60)
        yield url


@pytest.fixture
def page(url: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Open the app; save a screenshot at the end of the test."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser(), args=CHROMIUM)
        page = chromium.new_page(viewport={"width": 1100, "height": 1000})
        page.set_default_timeout(20_000)
        page.goto(url)
        yield page
        ARTEFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTEFACTS / f"{request.node.name}.png")
        chromium.close()


@pytest.mark.parametrize("shown", ["bot.panel()", "mo.ui.anywidget(bot.panel())"], ids=["itself", "wrapped"])
def test_the_panel_works_in_a_marimo_app(page: Any, shown: str) -> None:
    panel = page.locator(".snb-panel")
    panel.locator(".snb-input").fill("hours")
    panel.locator(".snb-input").press("Enter")
    panel.get_by_text("Saturday, 10 to 14").wait_for()
    assert panel.count() == 1
    assert panel.locator(".snb-user").all_inner_texts() == ["hours"]
