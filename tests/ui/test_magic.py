"""The magics in a real IPython shell."""

from pathlib import Path

import pytest
from conftest import Cells
from IPython.core.error import UsageError

from socketnb.conversation.session import Session
from socketnb.flows.flow import Flow
from socketnb.frames.exports import EXPORTS
from socketnb.hub import Hub
from socketnb.ui.commands import COMMANDS
from socketnb.ui.magic import Chat


@pytest.mark.parametrize("platform", ["cognigy", "eusate", "voiceflow"])
def test_a_session_is_opened_listed_and_closed(cells: Cells, hub: Hub, platform: str) -> None:
    assert cells.run(f"%chat connect {platform} --simulate --name bot").result is hub.session("bot")
    assert hub.session("bot").state == "ready"
    cells.run("%chat")
    assert cells.text == f"<session 'bot': {platform}, ready, 0 turns>\n"
    cells.run("%chat close bot")
    cells.run("%chat list")
    assert cells.text == "no session is open\n"


def test_the_name_of_the_only_session_can_be_omitted(cells: Cells) -> None:
    cells.run("%chat connect voiceflow --simulate")
    cells.run("%%chat\nhours")
    assert "Saturday" in cells.html[0]


def test_a_panel_comes_with_a_static_transcript(cells: Cells) -> None:
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
    ("cell", "message"),
    [
        ("%chat connect", "name a platform or profile, as in: %chat connect cognigy --simulate"),
        ("%chat connect voicflow --simulate", "did you mean 'voiceflow'"),
        ("%chat connect voiceflow", "needs project_id"),
        ("%chat connect voiceflow --simulate --set user_id", "--set takes KEY=VALUE"),
        ("%chat connect voiceflow --simulate --set user=x", "did you mean 'user_id'"),
        ("%chat connect voiceflow --set project_id=x --url nowhere", "url must look like https://host"),
        ("%chat connect voiceflow --simulate --set VF.DM.planted", "--set takes KEY=VALUE"),
        ("%chat help dance", "unknown %chat command 'dance'"),
        ("%chat use", "the following arguments are required: name"),
        ("%chat use nobody", "no session is open"),
        ("%chat close bot --all", "give either the name of a session or --all"),
        ("%chat df nobody", "unknown session 'nobody'"),
        ("%chat simulate voicflow", "invalid choice: 'voicflow'"),
        ("%chat transcript --format sheet", "invalid choice: 'sheet'"),
        ("%chat simulate voiceflow --port 99999", "port must be a number from 0"),
        ("%chat simulate voiceflow --flow nobody", "unknown Flow 'nobody'; available: none"),
        ("%chat connect voiceflow --flow nobody", "unknown Flow 'nobody'"),
        ("%chat connect --profile nobody", "unknown profile 'nobody'"),
        ("%chat connect 'voiceflow", "a quotation mark is not closed"),
        ("%chat reset", "no session is open"),
        ("%chat verbs nobody", "no session is open"),
        ("%chat dance", "unknown %chat command 'dance'"),
        ("%chat list --nonsense", "unrecognized arguments"),
        ("%chat panel", "no session is open"),
        ("%chat close bot", "no session is open"),
    ],
)
def test_a_mistake_in_a_line_is_one_line_without_a_traceback(cells: Cells, cell: str, message: str) -> None:
    result = cells.run(cell)
    assert isinstance(result.error_in_exec, UsageError)
    assert message in str(result.error_in_exec)
    assert "Traceback" not in cells.text + cells.errors
    assert "\n" not in str(result.error_in_exec).strip()
    assert "planted" not in str(result.error_in_exec)


def test_a_turn_that_times_out_shows_the_messages_that_arrived(cells: Cells, hub: Hub) -> None:
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


def test_the_extension_can_be_loaded_twice_reloaded_and_unloaded(cells: Cells, hub: Hub) -> None:
    cells.run("%chat connect voiceflow --simulate --name bot")
    before = len(cells.shell.Completer.custom_matchers), len(cells.shell.input_transformers_cleanup)
    for line in ("%load_ext socketnb", "%reload_ext socketnb", "%reload_ext socketnb"):
        cells.run(line)
        assert (len(cells.shell.Completer.custom_matchers), len(cells.shell.input_transformers_cleanup)) == before
        assert [type(each).__name__ for each in cells.shell.configurables].count("Chat") == 1
        cells.run("%%chat\nhours\n?? Saturday")
        assert "✓ Saturday" in cells.text
    cells.run("%unload_ext socketnb")
    assert "chat" not in cells.shell.magics_manager.magics["line"]
    assert "chat" not in cells.shell.magics_manager.magics["cell"]
    assert [each for each in cells.shell.configurables if type(each).__name__ == "Chat"] == []
    assert hub.session("bot").say("hours").status == "completed"
    cells.run("%load_ext socketnb")
    assert cells.run("%%chat bot\nhours").success


def test_settings_are_read_from_the_configuration_of_ipython(cells: Cells, hub: Hub) -> None:
    cells.shell.config.Chat.format = "markdown"
    cells.run("%reload_ext socketnb")
    cells.run("%chat connect voiceflow --simulate")
    cells.run("%%chat\nhours")
    assert "text/markdown" in cells.outputs[0].data
    cells.run("%config Chat")
    assert "Chat.timeout" in cells.text
    cells.run("%config Chat.format = 'nonsense'")
    assert cells.run("%config Chat.format").result == "markdown"


def test_each_command_has_its_own_help(cells: Cells) -> None:
    cells.run("%chat?")
    for name, command in COMMANDS.items():
        assert f"%chat {name} " in cells.text or f"%chat {name}\n" in cells.text
        cells_of_one = Cells(cells.shell)
        for question in (f"%chat {name}?", f"%chat help {name}", f"%chat {name} --help"):
            cells_of_one.run(question)
            assert f"%chat {name}" in cells_of_one.text.splitlines()[0]
            for option in command.parser._actions:
                assert not option.option_strings or option.option_strings[-1] in cells_of_one.text


def test_the_help_of_a_cell_names_every_option(cells: Cells) -> None:
    cells.run("%%chat?")
    for option in Chat.talk.parser._actions:
        assert not option.option_strings or option.option_strings[-1] in cells.text


def test_commands_return_objects_and_frames(cells: Cells, hub: Hub) -> None:
    cells.run("bot = %chat connect cognigy --simulate --name bot --set user_id=me")
    cells.run("%chat connect eusate --simulate --name desk")
    assert cells.shell.user_ns["bot"] is hub.session("bot")
    assert hub.session("bot").ids["user_id"] == "me"
    cells.run("%chat list")
    assert cells.text.splitlines() == [repr(hub.session("bot")), f"→ {hub.session('desk')!r}"]
    cells.run("%chat use bot")
    cells.run("%%chat\nhours")
    assert list(cells.run("%chat df").result["session"].unique()) == ["bot", "desk"]
    assert list(cells.run("%chat df bot --turns").result["user_text"]) == ["hours"]
    assert cells.run("%chat df --messages").result.shape[0] >= 2
    assert list(cells.run("%chat df --sessions").result["session"]) == ["bot", "desk"]
    cells.run("%chat transcript bot")
    assert "user:  hours\nbot:   We are here" in cells.text
    cells.run("%chat transcript bot --format markdown")
    assert "**bot:** We are here" in cells.text
    cells.run("%chat verbs bot")
    assert "/rate rating [comment]" in cells.text
    assert "/wait seconds" in cells.text
    assert cells.run("%chat reset").result.status == "completed"
    assert cells.run("%chat recordings").result.shape[0] == 1
    cells.run("%chat close --all")
    assert hub.sessions() == []


@pytest.mark.parametrize("format_name", EXPORTS)
def test_a_conversation_is_exported_in_every_format(
    cells: Cells, bot: Session, tmp_path: Path, format_name: str
) -> None:
    bot.say("hi")
    for file, options in {"plain": f" --format {format_name}", f"a{EXPORTS[format_name].suffixes[0]}": ""}.items():
        cells.run(f"%chat transcript bot --output {tmp_path / file}{options}")
        assert cells.text == f"exported bot to {tmp_path / file}\n"
        assert (tmp_path / file).stat().st_size > 0


def test_a_simulator_runs_a_flow_of_the_notebook(cells: Cells, hub: Hub, flow: Flow) -> None:
    cells.shell.user_ns["mine"] = flow
    sim = cells.run("sim = %chat simulate voiceflow --flow mine").result or cells.shell.user_ns["sim"]
    assert hub.connect("voiceflow", name="a", **sim.settings).say("hi").text == "You said hi"
    cells.run("%chat connect voiceflow --simulate --flow mine --name b")
    assert hub.session("b").say("hi").text == "You said hi"


def test_record_sets_and_prints_where_sessions_are_recorded(cells: Cells, hub: Hub, tmp_path: Path, home: Path) -> None:
    cells.run("%chat record")
    assert str(home / "recordings") in cells.text
    cells.run(f"%chat record {tmp_path / 'mine'}")
    cells.run("%chat connect voiceflow --simulate")
    assert list((tmp_path / "mine").iterdir())
    cells.run("%chat record off")
    assert "memory" in cells.text
    cells.run("%chat connect voiceflow --simulate --name quiet")
    assert not (home / "recordings").exists()
    cells.run("%chat record on")
    cells.run("%chat connect voiceflow --simulate --name loud")
    assert list((home / "recordings").iterdir())
