"""Runs notebooks and saves them with static output only, without widgets, widget state and paths. `make notebooks`."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(path: Path) -> Any:
    """Run a notebook in a new kernel and return it. An error in a cell is raised."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=60, kernel_name="python3", store_widget_state=False)
    client.execute(cwd=str(path.parent))
    return static(notebook)


def static(notebook: Any) -> Any:
    """Remove outputs that need a kernel, and metadata of the machine and the run."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "outputs" in cell:  # the transcript beside a panel and the labels above a cell's buttons stay
            cell.outputs = [output for output in cell.outputs if not _needs_kernel(output.get("data", {}))]
    notebook.metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    return notebook


def _needs_kernel(data: Any) -> bool:
    """Return whether an output is a widget, or empty because its widget was closed."""
    return WIDGET in data or data == {"text/plain": ""}


def main() -> None:
    """Run the notebooks that are named on the command line."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["SOCKETNB_HOME"] = home
        for name in sys.argv[1:]:
            nbformat.write(execute(Path(name)), name)
            print("ran", name)


if __name__ == "__main__":
    main()
