"""Drives a real JupyterLab or Notebook 7 in a real browser: a server of its own, a notebook, keys and clicks."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from provide import INTEROP, IPYKERNELS, ipykernel

CHROMIUM = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run"]
CHROMIUM += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
TOKEN = "lab-of-a-test"
READY = 60
APPS = {  # how to start each, and under which address it opens a notebook
    "lab": (["jupyterlab", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"], "lab/tree/"),
    "notebook": (["notebook"], "notebooks/"),
}
AXE = INTEROP / "node_modules" / "axe-core" / "axe.min.js"


def notebook(*cells: str, kernel: str = "python3") -> dict[str, Any]:
    """Return a notebook with a kernel named, `ipykernel-7.3` say: without one a dialog blocks every click."""
    return {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{n}",
                "metadata": {},
                "source": cell,
                "outputs": [],
                "execution_count": None,
            }
            for n, cell in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@contextmanager
def jupyter(folder: Path, theme: str = "JupyterLab Light", app: Literal["lab", "notebook"] = "lab") -> Iterator[str]:
    """Serve a folder and yield the address below which its notebooks open; the server chooses its port."""
    own = folder / ".jupyter"
    settings = own / "config" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}))
    (settings / "notification.jupyterlab-settings").write_text(json.dumps({"fetchNews": "false"}))
    _offer_older_kernels(own / "data" / "kernels")
    files = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
    env = {**os.environ, **{name: str(own / part) for name, part in files.items()}}
    env["IPYTHONDIR"] = str(own / "ipython")
    module, opens = APPS[app]
    command = [sys.executable, "-m", *module, "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0"]
    command += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"]
    with running(command, own / "log", env=env) as server:
        yield _address(own / "runtime", server) + opens


@contextmanager
def running(command: list[str], log: Path, **how: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server that writes a log, and end it afterwards."""
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out, **how) as server:
        try:
            yield server
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def _offer_older_kernels(kernels: Path) -> None:
    for version in IPYKERNELS:
        folder = ipykernel(version)
        if not folder.is_dir():
            continue
        spec = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": folder.name,
            "language": "python",
            # Before site-packages, so that this ipykernel is found and not the one beside it.
            "env": {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))},
        }
        (kernels / folder.name).mkdir(parents=True)
        (kernels / folder.name / "kernel.json").write_text(json.dumps(spec))


def _address(runtime: Path, server: "subprocess.Popen[bytes]") -> str:
    due = time.monotonic() + READY
    while time.monotonic() < due and server.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            try:
                url = str(json.loads(file.read_text())["url"])
                with urllib.request.urlopen(f"{url}api?token={TOKEN}"):
                    return url
            except (OSError, ValueError):
                continue
        time.sleep(0.1)
    raise RuntimeError(f"Jupyter did not start: {(runtime.parent / 'log').read_text()[-2000:]}")


class Lab:
    """An open notebook."""

    def __init__(self, page: Any, url: str, path: str) -> None:
        self.page = page
        self._address = f"{url}{path}?token={TOKEN}&reset"
        self._used = False
        # On a busy machine Jupyter sometimes asks which kernel, though the notebook names one: take that.
        self._accept = page.locator(".jp-Dialog button.jp-mod-accept")
        page.add_locator_handler(page.locator(".jp-Dialog"), lambda _: self._accept.click())
        self._open()

    def _open(self) -> None:
        page = self.page
        idle = page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
        for _ in range(3):  # and sometimes it misses that the kernel is there: a page opened again sees it
            page.goto(self._address)
            page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=READY * 1000)
            page.wait_for_selector(".jp-Spinner", state="detached", timeout=READY * 1000)
            for _ in range(READY * 2):
                if self._accept.count():
                    self._accept.click()
                elif idle.count():
                    return
                page.wait_for_timeout(200)
        raise AssertionError("the kernel did not start")

    def run(self, cell: int) -> None:
        """Run a cell. While the page and the kernel settle, the first keystroke is sometimes lost, and so is what it
        asks of the kernel (the prompt waits, the kernel idles): press until a kernel works on it. If none does, and
        nothing was run yet that would be lost, open the page again.
        """
        for _ in range(3):
            if self._pressed(cell):
                self._used = True
                return
            if not self._used:
                self._open()
        raise AssertionError(f"cell {cell} did not run")

    def _pressed(self, cell: int) -> bool:
        code = self.page.locator(".jp-Notebook .jp-CodeCell").nth(cell)
        prompt = code.locator(".jp-InputPrompt")
        busy = self.page.locator('.jp-Notebook-ExecutionIndicator[data-status="busy"]')
        before = prompt.inner_text()
        for _ in range(5):
            code.locator(".cm-content").click()
            self.page.keyboard.press("Control+Enter")
            for _ in range(30):
                now = prompt.inner_text()
                if ("*" in now and busy.count()) or (now != before and "*" not in now):
                    return True
                self.page.wait_for_timeout(100)
        return False

    def output(self, cell: int) -> Any:
        """Return the output area of a cell."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(cell).locator(".jp-OutputArea")

    def save(self, file: Path, having: str) -> None:
        """Save the notebook, and wait until the file on disk has these words."""
        for _ in range(100):
            self.page.keyboard.press("Control+s")
            self.page.wait_for_timeout(200)
            if having in file.read_text():
                return
        raise AssertionError(f"{file} was not saved")


def violations(page: Any, selector: str) -> list[str]:
    """Return what axe finds seriously or critically wrong in these elements alone, a rule a line."""
    page.wait_for_selector(selector, state="attached")  # without any element axe would judge the whole page
    page.evaluate(AXE.read_text())
    # Found by Playwright, not by axe: its selectors see into the shadow roots in which marimo shows widgets.
    found = page.locator(selector).evaluate_all("async (nodes) => (await axe.run({ include: nodes })).violations")
    return [_sentence(rule) for rule in found if rule["impact"] in {"serious", "critical"}]


def _sentence(rule: dict[str, Any]) -> str:
    where = ", ".join(" ".join(map(str, node["target"])) for node in rule["nodes"])
    why = dict.fromkeys(" ".join(node["failureSummary"].split()) for node in rule["nodes"])
    return f"{rule['id']} ({rule['impact']}) at {where}: {' | '.join(why)}"
