"""The abstract machines: a platform that lacks a method is noticed when its class is defined."""

from __future__ import annotations

from typing import Any

import pytest

from socketnb.dialects import registry
from socketnb.dialects.base import ClientMachine, ServerMachine
from socketnb.model.actions import Action
from socketnb.model.content import Choice

CLIENT = ("abandon", "act", "closed", "dial", "opened", "received", "timer")
SERVER = ("closed", "done", "fault", "opened", "put", "received", "timer")


def methods(*names: str) -> dict[str, Any]:
    return {name: lambda *_: [] for name in names}


@pytest.mark.parametrize(("machine", "names"), [(ClientMachine, CLIENT), (ServerMachine, SERVER)])
def test_a_machine_that_lacks_a_method_cannot_be_defined(machine: type, names: tuple[str, ...]) -> None:
    for missing in names:
        rest = methods(*(name for name in names if name != missing))
        with pytest.raises(TypeError, match=f"^Toy must define the methods {missing}$"):
            type("Toy", (machine,), rest)
    with pytest.raises(TypeError, match=f"^Toy must define the methods {', '.join(names)}$"):
        type("Toy", (machine,), {})


@pytest.mark.parametrize(("machine", "names"), [(ClientMachine, CLIENT), (ServerMachine, SERVER)])
def test_a_machine_with_all_methods_can_be_defined_and_made(machine: type, names: tuple[str, ...]) -> None:
    toy = type("Toy", (machine,), methods(*names))
    assert toy().deadline is None
    assert type("Derived", (toy,), {})().deadline is None, "a subclass inherits the methods"


def test_a_method_that_a_base_class_provides_need_not_be_defined() -> None:
    base = type("Base", (), methods("dial"))
    rest = methods(*(name for name in CLIENT if name != "dial"))
    type("Toy", (base, ClientMachine), rest)


@pytest.mark.parametrize("platform", registry.PLATFORMS)
def test_every_platform_defines_its_machines(platform: str) -> None:
    dialect = registry.get(platform)
    assert issubclass(dialect.client, ClientMachine)  # type: ignore[arg-type] # it is a class on all three
    assert issubclass(dialect.server, ServerMachine)  # type: ignore[arg-type]


def test_the_ids_that_connect_generates_are_named_by_the_dialects() -> None:
    generated = {
        (platform, name): setting.generate
        for platform in registry.PLATFORMS
        for name, setting in registry.get(platform).settings.items()
        if setting.generate
    }
    assert generated == {
        ("cognigy", "user_id"): "user",
        ("cognigy", "session_id"): "session",
        ("eusate", "session_id"): "session",
        ("voiceflow", "user_id"): "user",
    }


def test_a_dialect_without_hooks_leaves_actions_and_urls_as_they_are() -> None:
    eusate = registry.get("eusate")
    action = Action("text", {"text": "Yes"})
    assert eusate.prepare(action, [Choice("Yes", {})], {}) is action
    assert eusate.sound_encoding({}) == "audio/x-mulaw"
    assert eusate.secret_in_url("https://host/" + "0a" * 32) is False
    assert eusate.read_transcript is None
