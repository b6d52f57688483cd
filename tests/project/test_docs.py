"""The pages in docs/ and the README agree with the code: tables, links, names and examples."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from socketnb.hub import hub

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
README = (ROOT / "README.md").read_text()
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(colors="nocolor")
    shell.autoawait = True
    yield shell
    hub.close()
    shell.history_manager.end_session()
    InteractiveShell.clear_instance()


def examples(page: Path) -> list[str]:
    """Return the Python cells of a page. Cells marked `no-run` need a real platform."""
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


def run(shell: Any, cells: list[str]) -> str:
    shown = ""
    for cell in cells:
        with capture_output() as output:
            result = shell.run_cell(cell)
        assert result.success, f"{cell}\n{result.error_before_exec or result.error_in_exec}"
        shown += output.stdout + "".join(out.data.get("text/plain", "") for out in output.outputs)
    return shown


def test_the_tour_in_the_readme_runs_cell_by_cell(shell: Any) -> None:
    cells = examples(ROOT / "README.md")
    assert len(cells) >= 7
    shown = run(shell, cells)
    assert "Tuesday before noon" in shown
    assert "One L pizza." in shown


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "docs" in page.parts and examples(page)], ids=lambda page: page.stem
)
def test_the_examples_of_a_page_run_cell_by_cell(shell: Any, page: Path) -> None:
    run(shell, examples(page))


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200


@each_page
def test_the_generated_tables_are_up_to_date(page: Path, generate: ModuleType) -> None:
    text = page.read_text()
    assert generate.generated(text) == text, "run `make docs`"


def test_every_kind_of_table_is_used(generate: ModuleType) -> None:
    markers = re.findall(r"<!-- begin: (.+?) -->", "".join(page.read_text() for page in PAGES))
    assert {block for block in generate.BLOCKS if any(f"{m} ".startswith(f"{block} ") for m in markers)} == set(
        generate.BLOCKS
    )


def test_an_outdated_table_is_generated_anew(generate: ModuleType) -> None:
    page = "before\n<!-- begin: faults eusate -->\n| old |\n<!-- end -->\nafter\n"
    text = generate.generated(page)
    assert text.startswith("before\n<!-- begin: faults eusate -->\n| fault | effect |\n")
    assert text.endswith("|\n<!-- end -->\nafter\n")
    assert "old" not in text


def test_every_platform_has_its_tables(generate: ModuleType) -> None:
    from socketnb.dialects.registry import PLATFORMS

    docs = "".join(page.read_text() for page in PAGES)
    for platform in PLATFORMS:
        assert {f"{block} {platform}" for block in ("settings", "verbs", "faults", "options")} <= set(
            re.findall(r"<!-- begin: (.+?) -->", docs)
        )


@each_page
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    for link in links:
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}, link


@each_page
def test_the_make_targets_that_a_page_names_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = (
        re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL) if page != ROOT / "README.md" else page.read_text()
    )
    assert set(re.findall(r"`make ([a-z]+)", text) + re.findall(r"^    make ([a-z]+)", text, re.MULTILINE)) <= targets


def test_every_make_target_is_described() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert targets == set(re.findall(r"^([a-z]+):.*## \w", makefile, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == targets
