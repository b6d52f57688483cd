"""Variables and data: the state API, the data of actions and messages, and what events report about a turn."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from conftest import sim
from test_voiceflow import OPTIONS, SETTINGS, START, ids

from socketnb.dialects import voiceflow
from socketnb.dialects.base import Facts
from socketnb.dialects.voiceflow.actions import data_of, request_of, user_input
from socketnb.dialects.voiceflow.traces import parse_trace
from socketnb.dialects.voiceflow.variables import check_settings, refusal, state_url, variables_of
from socketnb.errors import ActionError, ConnectError, Refused, SettingsError
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.model.actions import Action
from socketnb.model.effects import Failed, HttpCall, HttpReply, HttpRequest, HttpResponse, Ready

VENDOR = "https://general-runtime.voiceflow.com"


@pytest.fixture
def seen() -> list[Any]:
    """What the flow `listener` saw: the verb, the text, the data and the variables of each turn."""
    return []


@pytest.fixture
def listener(seen: list[Any]) -> Flow:
    flow = Flow("listener")

    @flow.launch
    @flow.otherwise
    def listen(turn: FlowTurn) -> None:
        seen.append((turn.verb, turn.text, turn.data, dict(turn.vars)))
        turn.vars["turns"] = turn.vars.get("turns", 0) + 1

    return flow


def call(method: str, path: str, body: Any = None, **headers: str) -> Any:
    return HttpCall(method, path, "http://127.0.0.1", {"authorization": "VF.DM.planted-key", **headers}, body)


# Variables


def test_a_session_starts_with_variables_and_reads_them_after_a_turn(hub: Hub, listener: Flow, seen: list[Any]) -> None:
    settings = {"variables": {"name": "Ana"}, "user_timezone": "Europe/Berlin", "environment_id": "staging"}
    bot = hub.connect("voiceflow", simulate=True, flow=listener, **settings)
    bot.launch()
    described = {"name": "Ana", "user_timezone": "Europe/Berlin", "environment_id": "staging"}
    assert seen[0][-1] == described
    assert bot.variables() == {**described, "turns": 1}


def test_variables_are_set_before_the_session_is_ready_and_the_key_goes_to_the_state_api_only() -> None:
    client = voiceflow.DIALECT.client({**SETTINGS, "variables": {"a": 1}, "state_url": "https://state.example"}, ids())
    client.dial(0.0)
    client.opened(0.0)
    client.received("client.started", {"newSessionRequired": True}, 0.0)
    effects = client.received("session.created", {"sessionKey": "key"}, 0.0)
    (request,) = [effect for effect in effects if isinstance(effect, HttpRequest)]
    assert (request.method, request.json) == ("PATCH", {"a": 1})
    assert request.url == "https://state.example/state/user/ana%40example.org/variables"
    assert request.headers == {"authorization": "VF.DM.planted-key", "projectid": "project-1"}
    assert not [effect for effect in effects if isinstance(effect, Ready)]
    assert any(isinstance(e, Ready) for e in client.http_response(HttpResponse("variables", 204, b""), 0.0))
    assert client.http_response(HttpResponse("variables", 204, b""), 0.0) == []


def test_variables_that_cannot_be_set_fail_the_connection_with_the_reason(hub: Hub, listener: Flow) -> None:
    client = voiceflow.DIALECT.client({**SETTINGS, "variables": {"a": 1}, "state_url": VENDOR}, ids())
    client.dial(0.0)
    client.opened(0.0)
    client.received("client.started", {"newSessionRequired": True}, 0.0)
    client.received("session.created", {"sessionKey": "key"}, 0.0)
    reason = "the variables could not be set: the state API answered HTTP 401: check api_key"
    assert client.http_response(HttpResponse("variables", 401, b""), 0.0) == [Failed(reason, "refused")]
    with pytest.raises(Refused, match="the state API cannot be reached"):
        hub.connect(
            "voiceflow", simulate=True, flow=listener, variables={"a": 1}, state_url="http://127.0.0.1:9", timeout=5
        )


@pytest.mark.parametrize(
    ("url", "given", "used"),
    [
        (VENDOR, None, VENDOR),
        ("wss://eu.voiceflow.com:8443/x", None, "https://eu.voiceflow.com:8443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
        ("http://general-runtime.voiceflow.com", None, None),
        ("http://127.0.0.1:8080", None, None),
        ("https://voiceflow.com.example.org", None, None),
        ("https://notvoiceflow.com", None, None),
    ],
)
def test_the_api_key_is_sent_only_to_the_vendor_or_to_the_given_address(
    url: str, given: str | None, used: str | None
) -> None:
    settings = {**SETTINGS, "url": url, "state_url": given, "variables": {"a": 1}}
    if used:
        assert state_url(check_settings(settings)) == used
    else:
        with pytest.raises(SettingsError, match="variables need state_url="):
            check_settings(settings)


def test_settings_without_variables_need_no_state_api() -> None:
    assert check_settings({**SETTINGS, "url": "http://127.0.0.1:8080"})


def test_variables_cannot_be_read_where_the_platform_or_the_address_is_missing(hub: Hub, listener: Flow) -> None:
    with pytest.raises(ActionError, match="the variables of a eusate bot cannot be read"):
        hub.connect("eusate", simulate=True, flow=listener).variables()
    simulator = hub.simulate("voiceflow", listener)
    settings = {name: value for name, value in simulator.settings.items() if name != "state_url"}
    with pytest.raises(ActionError, match=r"state_url=.* \(nothing was sent\)"):
        hub.connect("voiceflow", **settings).variables()
    bot = hub.connect("voiceflow", **{**simulator.settings, "state_url": "http://127.0.0.1:9"})
    with pytest.raises(ConnectError, match="the variables could not be read: the state API cannot be reached"):
        bot.variables()


@pytest.mark.parametrize("other", ["[1]", "[" * 100_000])
def test_variables_are_a_json_object(hub: Hub, other: str) -> None:
    with pytest.raises(SettingsError, match="variables must be a JSON object"):
        hub.connect("voiceflow", simulate=True, variables=other)
    with hub.connect("voiceflow", simulate=True, variables='{"a": 1}') as bot:
        assert bot.variables() == {"a": 1}


def test_the_simulator_serves_the_state_api() -> None:
    server: Any = voiceflow.DIALECT.server(SETTINGS, ids(), OPTIONS)
    server.received("a", "client.start", START, 0.0)
    server.received("a", "session.create", {}, 0.0)

    def ask(method: str, path: str = "", body: Any = None, **headers: str) -> Any:
        (reply,) = server.request(call(method, f"/state/user/a{path}", body, **headers), 0.0)
        assert isinstance(reply, HttpReply)
        return reply.status, reply.body.get("variables")

    assert ask("PATCH", "/variables", {"x": 1, "y": 2}) == (200, {"x": 1, "y": 2})
    (*_, run) = server.received("a", "action.send", {"action": {"type": "launch"}}, 0.0)
    run.vars["y"] = object
    assert ask("GET") == (200, {"x": 1, "y": "<class 'object'>"})
    assert ask("PUT", "", {"variables": {"z": 3}}) == (200, {"z": 3})
    assert run.vars == {"z": 3}, "the flow sees what the API sets"
    assert ask("DELETE") == (200, {})
    assert [ask("GET", authorization="VF.DM.wrong")[0], ask("GET", projectid="other")[0]] == [401, 404]
    assert [ask("POST")[0], ask("GET", "/storage")[0], ask("PATCH", "/variables", [1])[0]] == [405, 404, 400]


def test_the_variables_of_a_user_outlive_the_session(hub: Hub, listener: Flow) -> None:
    with hub.connect("voiceflow", simulate=True, flow=listener) as bot:
        bot.launch()
        sim(hub).fault("expire")
        bot.launch()
        assert bot.variables() == {"turns": 2}


def test_the_variables_in_a_state_are_those_of_the_project_and_of_its_diagrams() -> None:
    state = {"variables": {"a": 1, "b": 1}, "stack": [{"variables": {"b": 2}}, {"variables": None}]}
    assert variables_of(json.loads(json.dumps(state))) == {"a": 1, "b": 2}
    assert variables_of([]) == {}


def test_a_refusal_of_the_state_api_names_the_setting() -> None:
    assert refusal(HttpResponse("v", 200, b"{}")) is None
    assert refusal(HttpResponse("v", 404, b"")) == "the state API answered HTTP 404: check state_url and project_id"
    assert refusal(HttpResponse("v", 500, b"")) == "the state API answered HTTP 500: see the settings"


# Data

ENTITIES = [{"name": "size", "value": "L"}]


@pytest.mark.parametrize(
    ("action", "data"),
    [
        (Action("text", {"text": "hi", "data": {"a": 1}}), {"a": 1}),
        (Action("launch", {"payload": {"persona": "Ada"}}), {"persona": "Ada"}),
        (
            Action("launch", {"payload": {"persona": "Ada"}, "data": 7}),
            {"metadata": 7, "payload": {"persona": "Ada"}},
        ),
        (
            Action("custom", {"type": "done", "payload": {"entities": ENTITIES, "x": 1}}),
            {"entities": ENTITIES, "x": 1},
        ),
        (Action("intent", {"name": "order", "entities": {"size": "L"}}), {"size": "L"}),
        (Action("event", {"name": "checkout", "data": [1]}), [1]),
        (Action("text", {"text": "hi"}), None),
        (Action("launch"), None),
    ],
)
def test_the_data_of_an_action_reaches_the_flow(
    hub: Hub, listener: Flow, seen: list[Any], action: Action, data: Any
) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=listener)
    bot.act(action.verb, **action.fields)
    assert (seen[0][0], seen[0][2]) == (action.verb, data)
    (sent,) = [trace for trace in bot.traces() if trace.kind == "action"]
    assert voiceflow.DIALECT.data("action.send", json.loads(sent.payload)) == action.fields.get("data")


def test_the_data_of_a_text_is_the_metadata_of_the_action() -> None:
    request = request_of(Action("text", {"text": "hi", "data": {"a": 1}}))
    assert request == {"type": "text", "payload": "hi", "metadata": {"a": 1}}
    assert user_input(request).data == {"a": 1}


def test_a_pressed_button_has_no_data_besides_its_metadata() -> None:
    assert data_of({"type": "path-1", "payload": {"label": "Go"}}) is None
    assert data_of({"type": "path-1", "payload": {"label": "Go"}, "metadata": {"a": 1}}) == {"a": 1}


def test_the_data_of_a_message_is_the_payload_of_a_custom_action() -> None:
    read: Callable[..., Any] = voiceflow.DIALECT.data
    assert read("action.trace", {"trace": {"type": "order", "payload": {"id": 4567}}}) == {"id": 4567}
    channel = {"type": "channel-action", "payload": {"name": "dial", "payload": {"to": 1}}}
    assert read("action.trace", {"trace": channel}) == {"to": 1}
    assert read("action.trace", {"trace": {"type": "text", "payload": {"message": "Hi"}}}) is None
    assert read("action.status", {"status": "accepted"}) is None


# Facts


@pytest.mark.parametrize(
    ("kind", "payload", "facts"),
    [
        ("block", {"blockID": "b1"}, Facts(path=("b1",))),
        ("flow", {"diagramID": "d1", "name": "Main"}, Facts(path=("d1",))),
        ("text", {"message": "Hi", "ref": {"nodeID": "n1"}}, Facts(path=("n1",))),
        ("text", {"message": "Hi"}, None),
        ("path", {"path": "choice:else"}, Facts(path=("choice:else",))),
        (
            "debug",
            {"message": "matched intent **order** - confidence interval _90%_"},
            Facts(intent="order", confidence=0.9),
        ),
        ("debug", {"message": "matched intent **order**"}, Facts(intent="order")),
        ("debug", {"message": "anything"}, None),
        (
            "goto",
            {"request": {"type": "intent", "payload": {"intent": {"name": "order"}, "confidence": 0.8}}},
            Facts(intent="order", confidence=0.8),
        ),
        (
            "log",
            {"kind": "step.set", "message": {"stepID": "s1", "changedVariables": {"n": {"before": 1, "after": 2}}}},
            Facts(variables={"n": 2}, path=("s1",)),
        ),
        (
            "knowledgeBase",
            {
                "chunks": [
                    {"score": 0.9, "documentID": "1", "documentData": {"name": "faq.pdf", "url": "https://x"}},
                    {"documentID": "2", "documentData": {"url": "https://y"}},
                    {"documentID": "3"},
                    {"documentID": "3"},
                ],
                "query": {"messages": [], "output": "42"},
            },
            Facts(knowledge=("faq.pdf", "https://y", "3")),
        ),
        ("knowledgeBase", {"contextType": "faq", "faqQuestion": "q?", "faqAnswer": "a"}, Facts(knowledge=("q?",))),
        ("completion", {"state": "end", "tokens": {"query": 5, "answer": 7, "total": 12}}, Facts(tokens=12)),
        ("completion-end", {"tokens": {"query": 5, "answer": 7}}, Facts(tokens=12)),
        ("completion", {"state": "end", "tokens": 9}, Facts(tokens=9)),
        ("completion", {"state": "content", "content": "x"}, None),
    ],
)
def test_a_trace_reports_facts_about_its_turn(kind: str, payload: Any, facts: Facts | None) -> None:
    trace = {"type": kind, "payload": payload}
    assert voiceflow.DIALECT.facts("action.trace", {"trace": trace}) == facts
    parsed = parse_trace(trace)
    fact_kinds = voiceflow.DIALECT.fact_kinds or ()
    assert facts is None or parsed.node or parsed.kind in fact_kinds, "the frames call facts for this trace"


def test_an_intent_request_names_the_intent_of_its_turn() -> None:
    payload = {"action": {"type": "intent", "payload": {"intent": {"name": "order"}, "confidence": 0.7}}}
    assert voiceflow.DIALECT.facts("action.send", payload) == Facts(intent="order", confidence=0.7)
    assert voiceflow.DIALECT.facts("action.send", {"action": {"type": "text", "payload": "hi"}}) is None
    assert voiceflow.DIALECT.facts("action.status", {}) is None


def test_the_nodes_of_the_path_are_those_of_the_column_node() -> None:
    trace = {"type": "text", "payload": {"message": "Hi", "ref": {"nodeID": "n1", "name": "Ada"}}}
    found = voiceflow.DIALECT.facts("action.trace", {"trace": trace})
    assert found
    assert found.path == (parse_trace(trace).node,)
