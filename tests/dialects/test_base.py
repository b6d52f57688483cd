"""The abstract machines: a platform that lacks a method is noticed when its class is defined."""

from __future__ import annotations

from typing import Any

import pytest

from socketnb.dialects import registry
from socketnb.dialects.base import ClientMachine, ServerMachine

CLIENT = ("abandon", "act", "closed", "dial", "opened", "received", "timer")
SERVER = ("closed", "done", "fault", "opened", "put", "received", "timer")


def methods(*names: str) -> dict[str, Any]:
    return {name: lambda *_: [] for name in names}


@pytest.mark.parametrize(("machine", "names"), [(ClientMachine, CLIENT), (ServerMachine, SERVER)])
def test_a_machine_that_lacks_a_method_cannot_be_defined(machine: type, names: tuple[str, ...]) -> None:
    for missing in names:
        rest = methods(*(name for name in names if name != missing))
        with pytest.raises(TypeError, match=f"^Toy lacks the methods {missing}$"):
            type("Toy", (machine,), rest)
    with pytest.raises(TypeError, match=f"^Toy lacks the methods {', '.join(names)}$"):
        type("Toy", (machine,), {})


@pytest.mark.parametrize(("machine", "names"), [(ClientMachine, CLIENT), (ServerMachine, SERVER)])
def test_a_machine_with_all_methods_can_be_defined_and_made(machine: type, names: tuple[str, ...]) -> None:
    toy = type("Toy", (machine,), methods(*names))
    assert toy().deadline is None
    assert type("Smaller", (toy,), {})().deadline is None  # a subclass inherits the methods


def test_a_method_that_a_base_class_provides_need_not_be_defined() -> None:
    base = type("Base", (), methods("dial"))
    rest = methods(*(name for name in CLIENT if name != "dial"))
    type("Toy", (base, ClientMachine), rest)


@pytest.mark.parametrize("platform", registry.PLATFORMS)
def test_every_platform_defines_its_machines(platform: str) -> None:
    dialect = registry.get(platform)
    assert issubclass(dialect.client, ClientMachine)  # type: ignore[arg-type] # it is a class on all three
    assert issubclass(dialect.server, ServerMachine)  # type: ignore[arg-type]
