"""What may be wrong with a session is a warning of `connect`."""

import warnings
from typing import Any

import pytest

from socketnb.dialects.base import warn
from socketnb.dialects.voiceflow.client import Client
from socketnb.flows.flow import Flow
from socketnb.hub import Hub


def test_connect_warns_of_what_the_machine_reports_before_the_session_is_ready(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Client.opened
    text = "connected, but the endpoint never said it is ready"
    report = lambda machine, now: [warn(0, text), warn(3, "about a turn"), *opened(machine, now)]  # noqa: E731
    monkeypatch.setattr(Client, "opened", report)
    with pytest.warns(RuntimeWarning) as caught:
        bot = hub.connect("voiceflow", name="bot", simulate=True, flow=flow)
    assert [str(warning.message) for warning in caught] == [f"bot: {text}"]
    assert caught[0].filename == "socketnb"  # no path of a file, and no line of code
    assert bot.state == "ready"
    assert text in bot.transcript()


@pytest.mark.parametrize(
    ("platform", "ids"),
    [
        ("cognigy", {"user_id": "ada", "session_id": "s"}),
        ("eusate", {"session_id": "s"}),
    ],
)
def test_two_open_sessions_with_the_same_ids_are_warned_of(hub: Hub, flow: Flow, platform: str, ids: Any) -> None:
    simulator = hub.simulate(platform, flow)
    one = hub.connect(platform, name="one", **simulator.settings, **ids)
    words = (
        f"two: session 'one' is open with the same {' and '.join(ids)}, so the two may receive each other's messages"
    )
    with pytest.warns(RuntimeWarning, match=words):
        hub.connect(platform, name="two", **simulator.settings, **ids).close()
    one.close()
    hub.connect(platform, name="three", **simulator.settings, **ids)


def test_sessions_with_other_ids_or_on_another_server_are_not_warned_of(hub: Hub, flow: Flow) -> None:
    simulator, other = hub.simulate("cognigy", flow), hub.simulate("cognigy", flow)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hub.connect("cognigy", **simulator.settings, user_id="ada", session_id="s")
        hub.connect("cognigy", **simulator.settings, user_id="ada")
        hub.connect("cognigy", **simulator.settings, session_id="s")
        hub.connect("cognigy", **other.settings, user_id="ada", session_id="s")
        voiceflow = hub.simulate("voiceflow", flow)
        for _ in range(2):  # each gets a session of its own
            hub.connect("voiceflow", **voiceflow.settings, user_id="ada")


def test_a_first_session_with_resume_says_that_it_starts_anew_without_a_warning(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("cognigy", simulate=True, flow=flow, resume=True)
    assert "a new conversation starts, because none is saved under this name" in bot.transcript()
