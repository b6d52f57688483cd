"""Runs `socketnb …` in this process: a process of its own takes a second, most of it for imports."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from socketnb.hub import Hub
from socketnb.ui import cli


@dataclass(frozen=True)
class Done:
    """What a command printed, and its exit status."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class CommandLine:
    """Runs commands with a hub; see the fixture `command_line` of the test modules."""

    hub: Hub
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def run(self, *words: str, stdin: str = "", in_terminal: bool = False) -> Done:
        """Run a command to its end, with input from a pipe or from a terminal of prompt_toolkit."""
        with self.monkeypatch.context() as patch, imports_undone():
            patch.setattr("socketnb.hub.hub", self.hub)
            patch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True) if in_terminal else io.StringIO(stdin))
            self.capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                cli.main(words)
        printed = self.capsys.readouterr()
        return Done(int(ended.value.code or 0), printed.out, printed.err)


@contextmanager
def imports_undone() -> Iterator[None]:
    """Forget the modules that a command imported from the current folder."""
    folder, path = Path.cwd(), list(sys.path)
    yield
    sys.path[:] = path
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "/").parent == folder:
            del sys.modules[name]
