"""Runs notebooks and saves them with static output only: no widget, no state, no path. `make notebooks`."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(path: Path) -> Any:
    """Return a notebook as it is after a run in a kernel of its own; an error in a cell is raised."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=60, kernel_name="python3", store_widget_state=False)
    client.execute(cwd=str(path.parent))
    return static(notebook)


def static(notebook: Any) -> Any:
    """Leave of each output what reads anywhere, and nothing of the machine or the moment."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "outputs" in cell:  # beside a panel stands its transcript, above a cell's buttons what they are called
            cell.outputs = [output for output in cell.outputs if not _is_of_a_page(output.get("data", {}))]
    notebook.metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    return notebook


def _is_of_a_page(data: Any) -> bool:
    """Tell whether an output is a widget, or the place where one was."""
    return WIDGET in data or data == {"text/plain": ""}


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        os.environ["SOCKETNB_HOME"] = home
        for name in sys.argv[1:]:
            nbformat.write(execute(Path(name)), name)
            print("ran", name)


if __name__ == "__main__":
    main()
