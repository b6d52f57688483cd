"""`%%chat` cells in a real kernel: streamed, interrupted, and in the background, each in its own output."""

from typing import Any

import pytest
from kernels import CONNECT, COUNTS, Kernel

pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("default")]  # warnings of jupyter_client
WAIT_FOR_CELL = """import threading, time
for _ in range(100):
    if "socketnb-cell" not in [thread.name for thread in threading.enumerate()]: break
    time.sleep(0.05)
else: print("still running")"""
IN_BACKGROUND = "%%chat bot --bg -o turns --df traces\n/wait 0.5\ntrack\n4567\n?? Tuesday"


def outputs(messages: list[Any]) -> list[tuple[str, str]]:
    """Return the type and the text of the messages that show or update an output."""
    return [(m["msg_type"], m["content"]["data"]["text/plain"]) for m in messages if "data" in m["content"]]


def display_id(message: Any) -> str:
    return str(message["content"]["transient"]["display_id"])


def test_a_turn_is_shown_while_it_arrives(kernel: Kernel) -> None:
    kernel.run(COUNTS)
    seen = outputs(kernel.messages(kernel.client.execute("%%chat bot\ncount")))
    kinds = [kind for kind, _ in seen]
    assert kinds[0] == "display_data"
    assert set(kinds[1:-1]) == {"update_display_data"}
    grown = [text.count("word") for _, text in seen]
    assert grown[: len(set(grown))] == sorted(set(grown))
    assert any(0 < words < 5 for words in grown)
    assert "completed" in seen[-2][1] or "completed" in seen[-1][1]


def test_a_cell_in_the_background_updates_its_own_output(kernel: Kernel) -> None:
    kernel.run(CONNECT)
    first = kernel.messages(kernel.client.execute(IN_BACKGROUND))
    assert [text for _, text in outputs(first)] == ["… /wait 0.5", "… track", "… 4567"]
    second = kernel.messages(kernel.client.execute(WAIT_FOR_CELL + "\nprint('mine')"))
    updates = [m for m in kernel.other_messages + second if m["msg_type"] == "update_display_data"]
    last = {display_id(m): m["content"]["data"]["text/plain"] for m in updates}
    assert set(last) == {display_id(m) for m in first if m["msg_type"] == "display_data"}
    assert "✓ Tuesday" in list(last.values())[-1]
    assert {m["msg_type"] for m in second} <= {"status", "execute_input", "stream", "update_display_data"}
    assert [m["content"]["text"] for m in second if m["msg_type"] == "stream"] == ["mine\n"]
    kept = kernel.run("print([turn.status for turn in turns], traces['turn'].unique())")
    assert kept == "['completed', 'completed'] [1 2]\n"


def test_an_error_in_the_background_is_shown_at_its_step(kernel: Kernel) -> None:
    kernel.run(CONNECT)
    kernel.run("%%chat bot --bg -o turns\n/launch\n/press Nothing\nnever")
    second = kernel.messages(kernel.client.execute(WAIT_FOR_CELL))
    texts = [text for _, text in outputs(kernel.other_messages + second)]
    assert any("✗ line 3: unknown button 'Nothing'" in text for text in texts)
    assert kernel.run("print(len(turns))") == "1\n"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("-q", "✗ nothing"),
        ("", "… never\n✗ not run"),
        ("--repeat 3", "✗ after 1 turns: line 3: expected 'nothing', got: Gladly."),
        ("-q --repeat 3", "✗ after 1 turns: line 3: expected 'nothing'"),
    ],
)
def test_a_failure_in_the_background_is_shown_in_every_display_mode(kernel: Kernel, options: str, text: str) -> None:
    kernel.run(CONNECT)
    first = kernel.messages(kernel.client.execute(f"%%chat bot --bg {options}\ntrack\n?? nothing\nnever"))
    second = kernel.messages(kernel.client.execute(f"%%capture mine\n{WAIT_FOR_CELL}"))
    updates = [m for m in kernel.other_messages + first + second if m["msg_type"] == "update_display_data"]
    assert {display_id(m) for m in updates} <= {display_id(m) for m in first if m["msg_type"] == "display_data"}
    assert any(text in m["content"]["data"]["text/plain"] for m in updates)
    assert kernel.run("print(len(mine.outputs))") == "0\n"


def test_an_error_in_the_background_contains_no_credential(kernel: Kernel) -> None:
    kernel.run(CONNECT)
    key = kernel.run("print(sim.revealed()['api_key'])").strip()
    kernel.run("bot.launch()")
    for options in ("", "--repeat 2"):
        cell = kernel.messages(kernel.client.execute(f"%%chat bot --bg {options}\n/press {key}\n?? {key}"))
        after = kernel.messages(kernel.client.execute(WAIT_FOR_CELL))
        texts = "".join(text for _, text in outputs(cell + kernel.other_messages + after))
        assert "unknown button '***" in texts
        assert key not in texts
        kernel.other_messages.clear()


def test_fifty_runs_leave_no_widget_thread_or_listener_behind(kernel: Kernel) -> None:
    kernel.run(CONNECT)
    count = (
        "from ipywidgets import Widget; from ipywidgets.widgets.widget import _instances; import threading\n"
        "print(len(_instances), threading.active_count(), len(bot._listeners))"
    )
    kernel.run("%%chat bot\nhours")
    before = kernel.run(count)
    for _ in range(50):
        kernel.run("%%chat bot\nhours")
    assert kernel.run(count) == before
    kernel.run("bot.close()")
    assert kernel.run(count).split()[0] == "0"


def test_a_cell_in_the_background_ends_when_its_session_closes(kernel: Kernel) -> None:
    kernel.run(CONNECT)
    kernel.run("%%chat bot --bg\n/wait 100\nhi")
    kernel.run("bot.close()")
    assert "still running" not in kernel.run(WAIT_FOR_CELL)


def test_an_interrupted_cell_keeps_its_messages_and_the_session_stays_usable(kernel: Kernel) -> None:
    kernel.run(CONNECT)
    kernel.run("sim.fault('silent'); bot.listen(lambda trace: print(trace.kind, flush=True))")
    request = kernel.client.execute("%%chat bot -o turns\nhours\nnever")
    while "choices" not in kernel.client.get_iopub_msg(timeout=60)["content"].get("text", ""):
        pass
    kernel.manager.interrupt_kernel()
    shown = kernel.finish(request)
    assert "interrupted: the turn was cancelled, the session stays usable" in shown
    assert "Traceback" not in shown
    assert "socketnb/" not in shown
    assert "Saturday" in shown
    assert kernel.run("print([t.status for t in turns], bot.say('thanks').status)").endswith(
        "['cancelled'] completed\n"
    )


def test_a_repeated_cell_shows_progress_and_then_a_summary(kernel: Kernel) -> None:
    kernel.run(CONNECT)
    seen = outputs(kernel.messages(kernel.client.execute("%%chat bot --repeat 20\nhours")))
    assert seen[0][0] == "display_data"
    assert seen[0][1].endswith("0/20")
    assert seen[-1][0] == "update_display_data"
    assert "p90_ms" in seen[-1][1]


def test_the_buttons_of_a_cell_are_removed_by_the_next_cell(kernel: Kernel) -> None:
    kernel.run(CONNECT)
    view = "application/vnd.jupyter.widget-view+json"
    first = kernel.messages(kernel.client.execute("%%chat bot\nhours"))
    (buttons,) = [m for m in first if m["msg_type"] == "display_data" and view in m["content"]["data"]]
    second = kernel.messages(kernel.client.execute("%%chat bot\ntrack"))
    emptied = [
        m for m in second if m["msg_type"] == "update_display_data" and m["content"]["data"] == {"text/plain": ""}
    ]
    assert [m["content"]["transient"] for m in emptied] == [buttons["content"]["transient"]]
    assert [m["msg_type"] for m in second if m["msg_type"] == "comm_close"] == ["comm_close"] * 2, (
        "of the widget and of its layout"
    )


def test_a_missing_setting_is_asked_for_and_neither_shown_nor_recorded(kernel: Kernel) -> None:
    kernel.run("%load_ext socketnb\nimport socketnb as snb\nsim = snb.simulate('eusate')")
    key = kernel.run("print(sim.revealed()['api_key'])").strip()
    request = kernel.client.execute("bot = snb.connect('eusate', url=sim.url); print(bot.state)", allow_stdin=True)
    question = kernel.client.get_stdin_msg(timeout=60)
    assert question["content"]["prompt"] == "eusate needs api_key (the organisation's API key): "
    assert question["content"]["password"] is True
    kernel.client.input(key)
    assert kernel.finish(request) == "ready\n"
    assert key not in kernel.run("print(bot, bot.traces_df().to_string(), _ih[-2:])")
    shown = kernel.run("snb.connect('eusate', url=sim.url)")
    assert "SettingsError: eusate needs api_key" in shown
    assert "Traceback" not in shown
    assert 'File "/' not in shown.replace('File "/tmp/ipykernel', "")
