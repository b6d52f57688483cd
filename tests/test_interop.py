"""The platforms' own clients, from npm, against the simulator."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from socketnb.hub import Hub

HERE = Path(__file__).parent / "interop"
pytestmark = pytest.mark.skipif(
    not (shutil.which("node") and (HERE / "node_modules").is_dir()),
    reason="no Node.js 18+ with npm: install it (Debian: apt-get install nodejs npm), then run `make test`",
)


def node(script: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Run a client and return what it saw."""
    command = ["node", str(HERE / script), json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_client_after_voiceflows_page_talks_to_the_simulator(hub: Hub) -> None:
    seen = node("voiceflow.mjs", hub.simulate("voiceflow").revealed())
    assert seen["newSession"] is True
    assert seen["newSessionAgain"] is False, "the stored key goes on with the session"
    assert seen["errors"] == []
    assert seen["statuses"] == ["accepted", "completed"] * 4 + ["rejected"] + ["accepted", "completed"]
    assert sum(trace["type"] == "show_map" for trace in seen["traces"]) == 1, "nothing comes twice after a goodbye"
    assert seen["rejected"]["reason"] == "the payload of a text action is a string"
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
        "end",
    } == {trace["type"] for trace in seen["traces"]}
    assert all(trace["messageID"] and trace["time"] > 1.6e12 for trace in seen["traces"])
