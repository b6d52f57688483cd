"""Takes the screenshots of the panel for the README: `make pictures`."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab import CHROMIUM, Lab, jupyter, notebook
from playwright.sync_api import sync_playwright
from provide import browser

DOCS = Path(__file__).parent.parent / "docs"
CELL = """import socketnb as snb
bot = snb.connect("{}", name="shop", simulate=True)
bot.panel()"""


def say(panel: Any, text: str, answer: str) -> None:
    panel.locator(".snb-input").fill(text)
    panel.locator(".snb-input").press("Enter")
    panel.get_by_text(answer).last.wait_for()


def voiceflow(panel: Any) -> None:
    """Track an order, and inspect the turn."""
    panel.get_by_role("button", name="Track order").click()
    panel.get_by_text("What is your order number?").wait_for()
    say(panel, "4567", "Tuesday before noon")
    panel.get_by_role("button", name="Inspector", exact=True).click()
    panel.locator(".snb-trace", has_text="completed").wait_for()


def cognigy(panel: Any) -> None:
    """Show a carousel of cards and a form."""
    panel.get_by_role("button", name="Show me around").click()
    panel.locator(".snb-framed").last.wait_for(state="attached")
    panel.locator(".snb-carousel").evaluate("(node) => node.scrollIntoView({ block: 'center' })")


def eusate(panel: Any) -> None:
    """Let an agent take over one of two conversations."""
    panel.get_by_role("button", name="New", exact=True).click()
    say(panel, "Talk to a person", "this is Ada")
    panel.get_by_role("button", name="Ada").wait_for()


SCENES: dict[str, Callable[[Any], None]] = {"voiceflow": voiceflow, "cognigy": cognigy, "eusate": eusate}


def main() -> None:
    with (
        sync_playwright() as playwright,
        tempfile.TemporaryDirectory() as folder,
        jupyter(Path(folder)) as url,
        playwright.chromium.launch(executable_path=browser(), args=CHROMIUM) as chromium,
    ):
        lab = Lab(chromium.new_page(viewport={"width": 1400, "height": 900}), url)
        for theme in ("Light", "Dark"):
            for platform, scene in SCENES.items():
                start = "bot.say('Opening hours');" if platform == "eusate" else "bot.launch();"
                path = f"{platform}-{theme}.ipynb"
                (Path(folder) / path).write_text(json.dumps(notebook(CELL.format(platform), start)))
                lab.open(path)
                lab.set_theme(theme)
                lab.run(0)
                panel = lab.output(0).locator(".snb-panel")
                panel.wait_for()
                lab.run(1)
                panel.locator(".snb-timing").wait_for()
                scene(panel)
                lab.page.mouse.move(0, 0)
                panel.locator(".snb-tools").evaluate_all("(tools) => tools.forEach((node) => node.remove())")
                lab.page.wait_for_timeout(500)  # until animations have ended
                panel.screenshot(path=DOCS / f"{platform}-{theme.lower()}.png")


if __name__ == "__main__":
    main()
