"""Makes the README's pictures of the panel, from the real thing: `make pictures`."""

import json
import tempfile
from pathlib import Path

from lab import CHROMIUM, Lab, jupyter, notebook
from playwright.sync_api import sync_playwright
from provide import browser

DOCS = Path(__file__).parent.parent / "docs"
CELL = """import socketnb as snb
bot = snb.connect("voiceflow", name="shop", simulate=True)
bot.panel()"""


def main() -> None:
    for theme in ("Light", "Dark"):
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=browser(), args=CHROMIUM)
            (Path(folder) / "a.ipynb").write_text(json.dumps(notebook(CELL, "bot.launch();")))
            with jupyter(Path(folder), f"JupyterLab {theme}") as url:
                page = chromium.new_page(viewport={"width": 1500, "height": 900})
                lab = Lab(page, url, "a.ipynb")
                lab.run(0)
                panel = lab.output(0).locator(".snb-panel")
                panel.wait_for()
                lab.run(1)
                panel.get_by_role("button", name="Track order").click()
                panel.get_by_text("What is your order number?").wait_for()
                panel.locator(".snb-input").fill("4567")
                panel.locator(".snb-input").press("Enter")
                panel.get_by_text("Tuesday before noon").wait_for()
                panel.locator(".snb-typing").wait_for(state="detached")
                panel.get_by_role("button", name="Inspector").click()
                panel.locator(".snb-trace", has_text="completed").wait_for()
                panel.screenshot(path=DOCS / f"panel-{theme.lower()}.png")
            chromium.close()


if __name__ == "__main__":
    main()
