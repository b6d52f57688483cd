"""The magics, in a real IPython shell."""

import pytest
from conftest import Cells
from IPython.core.error import UsageError

from socketnb.hub import Hub


@pytest.mark.parametrize("platform", ["cognigy", "eusate", "voiceflow"])
def test_a_session_is_opened_listed_and_closed(cells: Cells, hub: Hub, platform: str) -> None:
    assert cells.run(f"%chat connect {platform} --simulate --name bot").result is hub.session("bot")
    assert hub.session("bot").state == "ready"
    cells.run("%chat")
    assert cells.text == f"<session 'bot': {platform}, ready, 0 turns>\n"
    cells.run("%chat close bot")
    cells.run("%chat list")
    assert cells.text == "no session is open\n"


def test_a_name_may_be_left_out_when_there_is_only_one_session(cells: Cells) -> None:
    cells.run("%chat connect voiceflow --simulate")
    cells.run("%%chat\nhours")
    assert "Saturday" in cells.html[0]


def test_a_panel_is_shown_with_a_transcript_beside_it(cells: Cells) -> None:
    cells.run("%chat connect voiceflow --simulate --name bot")
    cells.run("%%chat bot\nhours")
    panel = cells.run("%chat panel bot").result
    data, _ = panel._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    static = panel._static()["text/html"]
    assert "Saturday" in static
    assert "<script" not in static
    panel.close()


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%chat connect", "connect to which platform"),
        ("%chat connect voicflow --simulate", "did you mean 'voiceflow'"),
        ("%chat connect voiceflow", "needs project_id"),
        ("%chat connect voiceflow --simulate --set user_id", "--set takes KEY=VALUE"),
        ("%chat connect voiceflow --simulate --set user=x", "did you mean 'user_id'"),
        ("%chat connect voiceflow --set project_id=x --url nowhere", "url is like https://host"),
        ("%chat connect voiceflow --simulate --set VF.DM.planted", "--set takes KEY=VALUE"),
        ("%chat dance", "there is no command of %chat 'dance'"),
        ("%chat list --nonsense", "unrecognized arguments"),
        ("%chat panel", "no session is open"),
        ("%chat close bot", "no session is open"),
        ("%%chat bot\nhi", "no session is open: snb.connect"),
        ("%%chat --timeout soon\nhi", "invalid float value"),
    ],
)
def test_a_mistake_is_one_line_without_a_traceback(cells: Cells, cell: str, said: str) -> None:
    result = cells.run(cell)
    assert isinstance(result.error_in_exec, UsageError)
    assert said in str(result.error_in_exec)
    assert "Traceback" not in cells.text + cells.errors
    assert "\n" not in str(result.error_in_exec).strip()
    assert "planted" not in str(result.error_in_exec)


def test_a_turn_that_times_out_shows_what_came_and_says_so(cells: Cells, hub: Hub) -> None:
    simulator = hub.simulate("voiceflow")
    hub.connect("voiceflow", **simulator.settings)
    simulator.fault("silent")
    result = cells.run("%%chat --timeout 0.3\nhours")
    assert "Saturday" in cells.html[0]
    assert "stays usable" in str(result.error_in_exec)


def test_the_magics_document_their_arguments(cells: Cells) -> None:
    for name, kind in (("%chat", "line"), ("%%chat", "cell")):
        doc = cells.shell.magics_manager.magics[kind]["chat"].__doc__
        assert doc
        assert f"{name} " in doc


def test_loading_twice_and_reloading_do_no_harm(cells: Cells) -> None:
    cells.run("%load_ext socketnb")
    cells.run("%reload_ext socketnb")
    cells.run("%chat")
    assert cells.text == "no session is open\n"
