"""The platforms' own npm clients against the simulator."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.model.content import Handover

HERE = Path(__file__).parents[1] / "interop"
pytestmark = pytest.mark.skipif(
    not (shutil.which("node") and (HERE / "node_modules").is_dir()),
    reason="needs Node.js 18 or newer with npm: apt-get install nodejs npm, then make test",
)


def node(script: str, *arguments: Any) -> dict[str, Any]:
    """Run a client and return its report, the last line that it prints."""
    texts = [each if isinstance(each, str) else json.dumps(each) for each in arguments]
    done = subprocess.run(["node", str(HERE / script), *texts], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_client_written_from_voiceflows_documentation_works_with_the_simulator(hub: Hub) -> None:
    seen = node("voiceflow.mjs", hub.simulate("voiceflow").revealed())
    assert seen["newSession"] is True
    assert seen["newSessionAgain"] is False, "the stored key resumes the session"
    assert seen["errors"] == []
    assert seen["statuses"] == ["accepted", "completed"] * 4 + ["rejected"] + ["accepted", "completed"]
    assert sum(trace["type"] == "show_map" for trace in seen["traces"]) == 1, (
        "no trace is sent again after a disconnect"
    )
    assert seen["rejected"]["reason"] == "the payload of a text action must be a string"
    assert seen["ended"] == {"reason": "end_of_diagram"}
    assert (
        "Tuesday"
        in next(t for t in seen["traces"] if "4567" in str(t) and t["type"] == "text" and "#" in str(t))["payload"][
            "message"
        ]
    )
    assert {
        "text",
        "choice",
        "block",
        "completion",
        "cardV2",
        "carousel",
        "visual",
        "speak",
        "stream",
        "show_map",
        "date-picker",
        "adaptive card",
        "end",
    } == {trace["type"] for trace in seen["traces"]}
    assert all(trace["messageID"] and trace["time"] > 1.6e12 for trace in seen["traces"])


@pytest.fixture
def echo() -> Flow:
    """A bot that repeats what the user says, with its data."""
    flow = Flow("interop")

    @flow.launch
    def hello(turn: FlowTurn) -> None:
        turn.choices("Yes", "No", text="Well?")

    @flow.on("bye")
    def bye(turn: FlowTurn) -> None:
        turn.end()

    @flow.otherwise
    def otherwise(turn: FlowTurn) -> None:
        turn.say(f"You said {turn.text} {json.dumps(turn.data, ensure_ascii=False)}")

    return flow


RELEASES = [
    "cognigy-socket-client-4",
    "cognigy-socket-client-5",
]  # Engine.IO 3: the stable release; Engine.IO 4: the one in Webchat
PAGE = {
    "userId": "user@cognigy.com",
    "sessionId": "session123",
    "forceWebsockets": True,
}  # the example of the vendor's page


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("options", "endpoint"),
    [
        (PAGE, {}),
        ({}, {"prefix": "/bots/eu"}),
        ({"disableWebsockets": True}, {}),
        ({"disableWebsockets": True}, {"prefix": "bots", "final_ping": "wrapped"}),
        ({"enableInnerSocketHandshake": True}, {"final_ping": "wrapped"}),
        ({"enableInnerSocketHandshake": True, "disableWebsockets": True}, {}),
        ({"emitWithAck": False, "testMode": True}, {"format": "webchat"}),
    ],
)
def test_cognigys_client_works_with_the_simulator(
    hub: Hub, echo: Flow, release: str, options: dict[str, Any], endpoint: dict[str, Any]
) -> None:
    seen = node("cognigy.cjs", release, hub.simulate("cognigy", echo, **endpoint).revealed(), options)
    assert seen["ready"] is not options.get("enableInnerSocketHandshake", False), (
        "with this option, connect() resolves before the endpoint is ready"
    )
    assert seen["errors"] == seen["locals"] == []
    assert seen["pings"] == ["regular"] * 4 + ["cognigyStopFlow"]
    assert seen["typing"] == ["typingOn", "typingOff"] * 5
    rich, *texts = seen["outputs"]
    assert [output["text"] for output in texts] == [
        "You said Hello from test! null",
        'You said with data {"key": "ä→😀 value"}',
        "You said 😀😀😀 null",
    ]
    assert "Well?" in json.dumps(rich["data"]["_cognigy"]["_webchat" if "format" in endpoint else "_default"])
    assert all(output["source"] == "bot" for output in seen["outputs"])
    assert len({output["traceId"] for output in seen["outputs"]}) == 4, "each input has its own traceId"


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("options", [{}, {"disableWebsockets": True}])
def test_cognigys_client_is_refused_with_a_wrong_token(
    hub: Hub, echo: Flow, release: str, options: dict[str, Any]
) -> None:
    settings = {**hub.simulate("cognigy", echo).revealed(), "token": "wrong"}
    seen = node("cognigy.cjs", release, settings, options)
    assert seen["refused"] == ("waits" if release.endswith("4") else "[SocketClient] Error connecting")
    assert seen["locals"] == ["unknown URL token: check the Endpoint URL"]


@pytest.mark.parametrize("release", RELEASES)
def test_cognigys_client_receives_errors(hub: Hub, release: str) -> None:
    flow = Flow("interop errors")

    @flow.otherwise
    def broken(turn: FlowTurn) -> None:
        raise ZeroDivisionError(turn.text or turn.verb)

    seen = node("cognigy.cjs", release, hub.simulate("cognigy", flow).revealed(), {})
    assert len(seen["errors"]) == len(seen["pings"]) == 5
    assert "ZeroDivisionError: with data" in seen["errors"][2]["message"]


@pytest.mark.parametrize("release", RELEASES)
def test_cognigys_client_receives_missed_outputs_after_a_reconnect(hub: Hub, release: str) -> None:
    flow = Flow("interop lost")
    simulator = hub.simulate("cognigy", flow)

    @flow.otherwise
    def cut(turn: FlowTurn) -> None:
        if turn.text.startswith("Hello"):
            simulator.fault("drop")
        turn.say(f"You said {turn.text or turn.verb}")

    seen = node("cognigy.cjs", release, simulator.revealed(), {"reconnection": False})  # the script reconnects once
    texts = ["Hello from test!", "with data", "😀😀😀", "bye"]
    assert [output["text"] for output in seen["outputs"]] == [f"You said {text}" for text in ["launch", *texts]]
    assert len(seen["pings"]) == 5


def test_a_client_written_from_eusates_complete_example_works_with_the_simulator(hub: Hub) -> None:
    flow = Flow("interop desk")
    simulator = hub.simulate("eusate", flow)

    @flow.on("agent please")
    def hand_over(turn: FlowTurn) -> None:
        turn.say("One moment.")
        turn.handover("Ada", "Hello, this is Ada.")

    @flow.on("thanks")
    def thanks(turn: FlowTurn) -> None:
        turn.say("Was that all?")
        turn.end()

    @flow.otherwise
    def otherwise(turn: FlowTurn) -> None:
        turn.say(f"You said {turn.text}")

    say = simulator._machine._support  # type: ignore[attr-defined]

    def support(link: str, about: dict[str, Any], at: str) -> Any:
        """Let the agent leave after the photo was sent."""
        effects = say(link, about, at)
        if about.get("attachment"):
            here = simulator._machine.conversation(None)
            effects += simulator._machine.put(here, Handover(), time.time())
        return effects

    simulator._machine._support = support  # type: ignore[attr-defined]
    seen = node("eusate.mjs", simulator.revealed())
    assert seen["shown"] == [
        ["sate", "You said I need help"],
        ["sate", "One moment."],
        ["agent", "Hello, this is Ada."],
        ["sate", "Was that all?"],
    ]
    assert seen["banners"] == [["agent", "Ada"], ["sate", None]]
    assert seen["echoes"] == 5
    assert seen["call"]["room"] == seen["asked"] == seen["conversation"] == seen["closed"]["ticket_chat_id"]
    assert seen["call"]["token"].count(".") == 2
    assert all(seen["summary"])
    assert (seen["closed"]["close_support"], seen["closed"]["closed_support"]) == (True, True)
    assert seen["review"] == {"rating": "5", "review": "Great", "ticket_chat_id": seen["conversation"]}
