"""Makes the README's pictures of the panel, from the real thing: `make pictures`."""

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


def say(panel: Any, words: str, answer: str) -> None:
    panel.locator(".snb-input").fill(words)
    panel.locator(".snb-input").press("Enter")
    panel.get_by_text(answer).last.wait_for()


def voiceflow(panel: Any) -> None:
    """An order is tracked, and the turn inspected."""
    panel.get_by_role("button", name="Track order").click()
    panel.get_by_text("What is your order number?").wait_for()
    say(panel, "4567", "Tuesday before noon")
    panel.get_by_role("button", name="Inspector", exact=True).click()
    panel.locator(".snb-trace", has_text="completed").wait_for()


def cognigy(panel: Any) -> None:
    """Cards beside each other, and a form."""
    panel.get_by_role("button", name="Show me around").click()
    panel.locator(".snb-framed").last.wait_for(state="attached")
    panel.locator(".snb-carousel").evaluate("(node) => node.scrollIntoView({ block: 'center' })")


def eusate(panel: Any) -> None:
    """An agent has taken one of two conversations over."""
    panel.get_by_role("button", name="New", exact=True).click()
    say(panel, "Talk to a person", "this is Ada")
    panel.get_by_role("button", name="Ada").wait_for()


SCENES: dict[str, Callable[[Any], None]] = {"voiceflow": voiceflow, "cognigy": cognigy, "eusate": eusate}


def main() -> None:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser(), args=CHROMIUM)
        for theme in ("light", "dark"):
            with tempfile.TemporaryDirectory() as folder, jupyter(Path(folder), f"JupyterLab {theme.title()}") as url:
                for platform, scene in SCENES.items():
                    start = "bot.say('Opening hours');" if platform == "eusate" else "bot.launch();"
                    (Path(folder) / f"{platform}.ipynb").write_text(json.dumps(notebook(CELL.format(platform), start)))
                    page = chromium.new_page(viewport={"width": 1400, "height": 900})
                    lab = Lab(page, url, f"{platform}.ipynb")
                    lab.run(0)
                    panel = lab.output(0).locator(".snb-panel")
                    panel.wait_for()
                    lab.run(1)
                    panel.locator(".snb-timing").wait_for()
                    scene(panel)
                    page.mouse.move(0, 0)
                    page.wait_for_timeout(500)  # what moves has come to rest
                    panel.screenshot(path=DOCS / f"{platform}-{theme}.png")
                    page.close()
        chromium.close()


if __name__ == "__main__":
    main()
