"""The examples in docstrings run, and close what they open."""

import doctest
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import socketnb
from socketnb.hub import hub

PACKAGE = Path(socketnb.__file__).parent
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules_with_examples() -> list[str]:
    """Return the names of the modules with lines that begin with >>>."""
    paths = [path for path in sorted(PACKAGE.rglob("*.py")) if re.search(r"^ *>>> ", path.read_text(), re.MULTILINE)]
    return [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__") for path in paths
    ]


def reset_hub() -> None:
    """Make the hub of the process as new, so that no example finds the sessions or traces of another."""
    hub.close()
    hub.forget()


@pytest.fixture
def examples(request: pytest.FixtureRequest, home: Path) -> Iterator[list[doctest.DocTest]]:
    """The examples of a module."""
    reset_hub()
    module = importlib.import_module(request.param)
    found = doctest.DocTestFinder().find(module, extraglobs={"snb": socketnb})
    yield [docstring for docstring in found if docstring.examples]
    reset_hub()


@pytest.mark.parametrize("examples", modules_with_examples(), indirect=True)
def test_the_examples_of_a_module_run_and_close_what_they_open(
    examples: list[doctest.DocTest], capsys: pytest.CaptureFixture[str]
) -> None:
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for docstring in examples:
        result = runner.run(docstring)
        assert not result.failed, capsys.readouterr().out
        assert not hub.sessions(), f"{docstring.name} leaves a session open"
        assert not hub._simulators, f"{docstring.name} leaves a simulator running"
        reset_hub()


@pytest.mark.parametrize(
    "name",
    "conversation.open_sessions conversation.reading conversation.session conversation.turn engine.loop flows.flow "
    "frames.trace_frames hub simulator.server".split(),
)
def test_what_users_call_has_examples(name: str) -> None:
    assert f"socketnb.{name}" in modules_with_examples()
