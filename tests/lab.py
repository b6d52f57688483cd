"""Runs notebooks in a real JupyterLab or Notebook 7, in a real browser."""

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
TOKEN = "test-token"
READY_TIMEOUT_S = 60
APPS = {  # how to start each, and the path below which it opens a notebook
    "lab": (
        ["jupyterlab", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"],
        ["--LabApp.expose_app_in_browser=True"],
        "lab/tree/",
    ),
    "notebook": (["notebook"], ["--JupyterNotebookApp.expose_app_in_browser=True"], "notebooks/"),
}
AXE = INTEROP / "node_modules" / "axe-core" / "axe.min.js"


def notebook(*cells: str, kernel: str = "python3") -> dict[str, Any]:
    """Return a notebook. It names its kernel, such as `ipykernel-7.3`, because otherwise a dialog asks for one."""
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
    """Start a server for a folder, and yield the URL below which its notebooks open."""
    own = folder / ".jupyter"
    settings = own / "config" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}))
    (settings / "notification.jupyterlab-settings").write_text(json.dumps({"fetchNews": "false"}))
    _offer_older_kernels(own / "data" / "kernels")
    files = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
    env = {**os.environ, **{name: str(own / part) for name, part in files.items()}}
    env["IPYTHONDIR"] = str(own / "ipython")
    module, options, path = APPS[app]
    command = [sys.executable, "-m", *module, *options, "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0"]
    command += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"]
    with running(command, own / "log", env=env) as server:
        yield _server_url(own / "runtime", server) + path


@contextmanager
def running(command: list[str], log: Path, **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server that writes a log, and stop it at the end; options as for `Popen`."""
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out, **options) as server:
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
            # Before site-packages, so that this version of ipykernel is imported and not the installed one.
            "env": {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))},
        }
        (kernels / folder.name).mkdir(parents=True)
        (kernels / folder.name / "kernel.json").write_text(json.dumps(spec))


def _server_url(runtime: Path, server: "subprocess.Popen[bytes]") -> str:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            try:
                url = str(json.loads(file.read_text())["url"])
                with urllib.request.urlopen(f"{url}api?token={TOKEN}"):
                    return url
            except (OSError, ValueError):
                continue
        time.sleep(0.1)
    raise RuntimeError(f"Jupyter did not start: {(runtime.parent / 'log').read_text()[-2000:]}")


OPEN = """async ([path, kernelId, cleanUp]) => {
    const app = window.jupyterapp;
    await app.restored;
    const before = app.shell.currentWidget;
    const reused = kernelId && before?.sessionContext?.session?.kernel;
    if (reused) await reused.requestExecute({ code: cleanUp, silent: true }).done;
    const options = reused ? { path, kernel: { id: kernelId } } : { path };
    const widget = await app.commands.execute("docmanager:open", options);
    for (const other of [...app.shell.widgets("main")]) if (other !== widget) other.dispose();
    await widget.context.ready;
    await widget.sessionContext.ready;
    const { kernel } = widget.sessionContext.session;
    await kernel.info;
    return kernel.id;
}"""
READY = """async () => {
    await window.jupyterapp.restored;
    const widget = window.jupyterapp.shell.currentWidget;
    await widget.context.ready;
    await widget.sessionContext.ready;
    await widget.sessionContext.session.kernel.info;
    return widget.sessionContext.session.kernel.id;
}"""
RUN = """(index) => {
    const app = window.jupyterapp;
    app.shell.currentWidget.content.activeCellIndex = index;
    app.commands.execute("notebook:run-cell");
}"""
CLEAN_UP = """
import ipywidgets, socketnb
for session in socketnb.sessions():
    session.close()
ipywidgets.Widget.close_all()
get_ipython().run_line_magic("reset", "-f")
"""
"""Closes everything that a notebook left in its kernel, so that the next notebook can use the kernel."""


class Lab:
    """A page of JupyterLab with one open notebook.

    In JupyterLab the next notebook is opened in the same page and with the same kernel, which is much faster than a
    new page and a new kernel. Notebook 7 opens each notebook in a new page.

    Args:
        page: A page of Playwright.
        url: The URL below which notebooks open.
    """

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self._url = url
        self._kernel = ""
        # On a busy machine Jupyter sometimes asks which kernel to use, though the notebook names one: accept.
        accept = page.locator(".jp-Dialog button.jp-mod-accept")
        page.add_locator_handler(page.locator(".jp-Dialog"), lambda _: accept.click())

    def open(self, path: str, *, new_kernel: bool = False) -> None:
        """Open a notebook, and wait until its kernel is ready."""
        if new_kernel:
            self._kernel = ""
        if self._kernel and "/lab/" in self._url:
            self._kernel = self.page.evaluate(OPEN, [path, self._kernel, CLEAN_UP])
        else:
            self.load(path)

    def load(self, path: str) -> None:
        """Load the page with a notebook, and wait until its kernel is ready.

        `reset` keeps JupyterLab from restoring the notebooks that were open: it may do so long after the page is
        ready, and would show one of them in front of the notebook that a test opens next.
        """
        self.page.goto(f"{self._url}{path}?token={TOKEN}&reset")
        self.page.wait_for_function(
            "window.jupyterapp?.shell.currentWidget?.sessionContext", timeout=READY_TIMEOUT_S * 1000
        )
        self._kernel = self.page.evaluate(READY)

    def run(self, cell: int) -> None:
        """Start a cell."""
        self.page.evaluate(RUN, cell)

    def output(self, cell: int) -> Any:
        """Return the output area of a cell."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(cell).locator(".jp-OutputArea")

    def save(self, file: Path, text: str) -> None:
        """Save the notebook until the file contains a text."""
        for _ in range(100):
            self.page.evaluate("window.jupyterapp.shell.currentWidget.context.save()")
            if text in file.read_text():
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"{file} was not saved")

    def set_theme(self, theme: str) -> None:
        """Switch to `Light` or `Dark`."""
        self.page.evaluate(
            "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", f"JupyterLab {theme}"
        )
        is_light = str(theme == "Light").lower()
        self.page.wait_for_selector(f'body[data-jp-theme-light="{is_light}"]', state="attached")


def violations(page: Any, selector: str) -> list[str]:
    """Return the serious and critical problems that axe finds in these elements, one line per rule."""
    page.wait_for_selector(selector, state="attached")  # without an element axe would check the whole page
    page.evaluate(AXE.read_text())
    # Playwright finds the elements, because its selectors reach into the shadow roots in which marimo shows widgets.
    rules = page.locator(selector).evaluate_all("async (nodes) => (await axe.run({ include: nodes })).violations")
    return [_sentence(rule) for rule in rules if rule["impact"] in {"serious", "critical"}]


def _sentence(rule: dict[str, Any]) -> str:
    targets = ", ".join(" ".join(map(str, node["target"])) for node in rule["nodes"])
    reasons = dict.fromkeys(" ".join(node["failureSummary"].split()) for node in rule["nodes"])
    return f"{rule['id']} ({rule['impact']}) at {targets}: {' | '.join(reasons)}"
