"""The notebooks run, and they are committed with output that can be read without a kernel."""

import json
from pathlib import Path

import pytest

from notebooks import WIDGET, execute

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@each
@pytest.mark.kernel
@pytest.mark.filterwarnings("default")  # warnings of the kernel client itself
def test_a_notebook_runs_from_top_to_bottom(path: Path) -> None:
    notebook = execute(path)
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


@each
def test_a_notebook_is_committed_with_static_output_of_a_complete_run(path: Path) -> None:
    text = path.read_text()
    notebook = json.loads(text)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1)), "run `make notebooks`"
    assert WIDGET not in text
    assert "widgets" not in notebook["metadata"]
    assert str(ROOT) not in text
    assert "/home/" not in text
    assert "VF.DM." not in text
    assert sum("text/html" in output.get("data", {}) for cell in code for output in cell["outputs"]) > 3
