"""Tab completion, through IPython's own completer."""

from pathlib import Path

import pytest
from conftest import Cells
from IPython.core.completer import provisionalcompleter

from socketnb.conversation.session import Session
from socketnb.flows.flow import Flow
from socketnb.hub import Hub


def completions(cells: Cells, cell: str) -> list[str]:
    """Return what a cell can become when Tab is pressed at its end."""
    with provisionalcompleter():
        return [cell[: c.start] + c.text for c in cells.shell.Completer.completions(cell, len(cell))]


@pytest.fixture
def sessions(hub: Hub, flow: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profiles.toml").write_text('[support]\nplatform = "cognigy"\n')
    opened = [hub.connect("voiceflow", name=name, simulate=True, flow=flow) for name in ("shop", "shop-test")]
    opened[1].launch()
    return opened


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("%chat co", ["%chat connect"]),
        ("%chat re", ["%chat reset", "%chat record", "%chat recordings"]),
        ("%chat connect vo", ["%chat connect voiceflow"]),
        ("%chat connect su", ["%chat connect support"]),
        ("%chat connect --profile ", ["%chat connect --profile support"]),
        ("%chat connect voiceflow --si", ["%chat connect voiceflow --simulate"]),
        ("%chat connect voiceflow --set proj", ["%chat connect voiceflow --set project_id="]),
        ("%chat connect voiceflow --simulate --flow mi", ["%chat connect voiceflow --simulate --flow mine"]),
        ("%chat close sho", ["%chat close shop", "%chat close shop-test"]),
        ("%chat panel shop sh", ["%chat panel shop shop-test"]),
        ("%chat help con", ["%chat help connect"]),
        ("%chat simulate cog", ["%chat simulate cognigy"]),
        ("%chat df --turns sho", ["%chat df --turns shop", "%chat df --turns shop-test"]),
        ("%chat transcript shop --format mark", ["%chat transcript shop --format markdown"]),
        ("%chat record o", ["%chat record on", "%chat record off"]),
        ("%%chat sho", ["%%chat shop", "%%chat shop-test"]),
        ("%%chat --to shop,", ["%%chat --to shop,shop-test"]),
        ("%%chat shop --cont", ["%%chat shop --continue-on-error"]),
        ("%%chat shop -f ma", ["%%chat shop -f markdown"]),
        ("%%chat turns << sho", ["%%chat turns << shop", "%%chat turns << shop-test"]),
        ("%%chat turns << shop-test\n/press tr", ["%%chat turns << shop-test\n/press Track"]),
        ("%%chat -q --bg sho", ["%%chat -q --bg shop", "%%chat -q --bg shop-test"]),
        ("%%chat -o shop sho", ["%%chat -o shop shop", "%%chat -o shop shop-test"]),
        ("%%chat --to=shop,", ["%%chat --to=shop,shop-test"]),
        ("%%chat -o shop shop-test\n/press tr", ["%%chat -o shop shop-test\n/press Track"]),
        ("%%chat shop-test\n/press choice=tr", ["%%chat shop-test\n/press choice=Track"]),
        ("%chat connect --simulate vo", ["%chat connect --simulate voiceflow"]),
        ("%chat connect --name x voiceflow --set proj", ["%chat connect --name x voiceflow --set project_id="]),
        ("%chat simulate --port 0 cog", ["%chat simulate --port 0 cognigy"]),
        ("%%chat\n/lau", ["%%chat\n/launch"]),
        ("%%chat\n/wa", ["%%chat\n/wait"]),
        ("%%chat shop-test\n/press ", ["%%chat shop-test\n/press Order", "%%chat shop-test\n/press Track"]),
        ("%%chat shop-test\n/press tr", ["%%chat shop-test\n/press Track"]),
        ("%%chat shop\n/event na", ["%%chat shop\n/event name="]),
    ],
)
def test_tab_completes(cells: Cells, sessions: list[Session], typed: str, completed: list[str]) -> None:
    cells.shell.user_ns["mine"] = Flow("mine")
    assert completions(cells, typed) == completed


@pytest.mark.parametrize("typed", ["%%chat shop\npri", "%%chat\n//lau", "pri", "%chat dance x", "%chat close shop sh"])
def test_tab_offers_nothing_of_socketnb_elsewhere(cells: Cells, sessions: list[Session], typed: str) -> None:
    with provisionalcompleter():
        offered = list(cells.shell.Completer.completions(typed, len(typed)))
    assert not [c for c in offered if c.type == "socketnb"]


def test_tab_works_with_an_unreadable_profile_file(cells: Cells, sessions: list[Session], tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text("nonsense")
    assert completions(cells, "%chat close shop-") == ["%chat close shop-test"]
    assert completions(cells, "%chat connect vo") == ["%chat connect voiceflow"]


def test_tab_offers_the_card_of_buttons_with_the_same_label(
    cells: Cells, sessions: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["Blue shoes / Buy", "Red shoes / Buy", "Help", "two\nlines"]
    monkeypatch.setattr(Session, "button_names", names)
    offered = completions(cells, "%%chat shop\n/press ")
    assert offered == [f"%%chat shop\n/press {name}" for name in [*names[:3], "4"]]
    assert completions(cells, "%%chat shop\n/press blue") == ["%%chat shop\n/press Blue shoes / Buy"]
