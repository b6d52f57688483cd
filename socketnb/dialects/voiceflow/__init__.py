"""Voiceflow's socket runtime: the client and the server side of the vendor's page "Interact (socket)".

`traces.py` parses the bot's traces, `actions.py` encodes and decodes the user's actions, and `transcript.py` parses
saved transcripts. `client.py` and `server.py` are the machines. `accounts.py` decides which action an event answers,
and `received.py` recognises events that a server repeats. `facts.py` reads what events report about a turn, and
`variables.py` encodes the requests to the state API.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from socketnb.dialects.base import DEFAULT_ENCODING, Dialect, VariablesApi
from socketnb.dialects.sound import RATES
from socketnb.dialects.turns import LATE_ANSWER_TIMEOUT
from socketnb.dialects.voiceflow.actions import VERBS, user_input
from socketnb.dialects.voiceflow.client import Client
from socketnb.dialects.voiceflow.facts import facts
from socketnb.dialects.voiceflow.faults import FAULTS, OPTIONS
from socketnb.dialects.voiceflow.server import Server
from socketnb.dialects.voiceflow.traces import AGENT_MESSAGE, READERS, parse_agent_message, parse_trace
from socketnb.dialects.voiceflow.transcript import read_transcript
from socketnb.dialects.voiceflow.variables import check_settings, get_state, refusal, variables_of
from socketnb.model.actions import Action, Setting
from socketnb.model.content import Custom, Text
from socketnb.model.json import Json, JsonOut, as_dict, as_text
from socketnb.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from socketnb.dialects.base import NewId, Settings
    from socketnb.model.content import Choice, Content

TRANSPORTS = ("websocket", "polling")  # the page's order; its third, webtransport, is missing in python-socketio

SETTINGS: dict[str, Setting] = {
    "url": Setting("the URL of the runtime", default="https://general-runtime.voiceflow.com"),
    "project_id": Setting("the id of the project, from its settings page", required=True),
    "api_key": Setting("the project's API key, VF.DM.…; public projects need none", secret=True),
    "user_id": Setting("the id of the user; generated if not given", generate="user"),
    "environment_id": Setting("the environment's alias; if not given, the project's traffic split decides"),
    "session_key": Setting("the key of a stored session to resume", secret=True),
    "completion_events": Setting("stream the text of language models in pieces", type=bool, default=False),
    "audio_events": Setting("stream speech", type=bool, default=False),
    "audio_encoding": Setting("the encoding of speech", default=DEFAULT_ENCODING, among=tuple(RATES)),
    "variables": Setting("the variables to set when a session begins, a JSON object; needs the state API", type=dict),
    "state_url": Setting("the address of the state API; by default, `url` if that is Voiceflow's own server"),
    "user_timezone": Setting("the user's time zone, an IANA name such as Europe/Berlin", type=ZoneInfo),
    "press_typed": Setting("if a text equals the label of a button, press the button", type=bool, default=False),
    "no_reply": Setting("report to the bot when the user says nothing", type=bool, default=False),
    "transports": Setting("the transports to try, in order", type=tuple, default=TRANSPORTS, among=TRANSPORTS),
    "try_all": Setting("try the next transport if one fails", type=bool, default=True),
    "late_answer_timeout": LATE_ANSWER_TIMEOUT,
    "timeout": Setting("seconds until a connection attempt times out", type=float, default=10.0),
    "reconnection": Setting("reconnect after a lost link", type=bool, default=True),
    "reconnection_attempts": Setting("the number of attempts to reconnect", type=int, default=5),
    "reconnection_delay": Setting(
        "seconds before the first attempt to reconnect; doubles with each attempt", type=float, default=1.0
    ),
    "reconnection_delay_max": Setting(
        "the maximum delay before an attempt to reconnect, in seconds", type=float, default=5.0
    ),
}


def content(event: str, payload: JsonOut) -> Content | None:
    """Return the displayable content of a recorded event, or None."""
    fields = as_dict(payload)
    if event == "action.send":
        return user_input(as_dict(fields.get("action")))
    trace = as_dict(fields.get("trace"))
    if event == "action.trace" and as_text(trace.get("type")):
        return parse_trace(trace, as_text(fields.get("messageID"))).content
    if event == AGENT_MESSAGE and (text := parse_agent_message(payload)):
        return Text(text)
    return None


def data(event: str, payload: Json) -> Json:
    """Return the data of a message: the `metadata` of an action, or the payload of a custom action of the bot."""
    fields = as_dict(payload)
    if event == "action.send":
        return as_dict(fields.get("action")).get("metadata")
    trace = as_dict(fields.get("trace"))
    kind = as_text(trace.get("type"))
    if event != "action.trace" or not kind or (kind in READERS and kind not in ("visual", "channel-action")):
        return None  # only custom actions have data; most traces need not be parsed for it
    if not isinstance(parse_trace(trace).content, Custom):
        return None
    payload = trace.get("payload")
    return as_dict(payload).get("payload") if kind == "channel-action" else payload


def prepare(action: Action, offered: Sequence[Choice], settings: Settings) -> Action:
    """Return the action to send. With `press_typed`, a text that equals a button's label presses the button."""
    if action.verb != "text" or not settings["press_typed"]:
        return action
    text = action.text("text").strip().casefold()
    choice = next((option for option in offered if option.label.strip().casefold() == text), None)
    return replace(action, verb="press", fields={"choice": choice}) if choice else action


def sound_encoding(settings: Settings) -> str:
    """Return the encoding of streamed sound whose pieces do not contain the encoding."""
    return str(settings["audio_encoding"])


def simulated(ids: NewId) -> dict[str, str | Secret]:
    """Return the settings of a simulator, as `connect` takes them, without its URL."""
    return {"project_id": f"project-{ids()}", "api_key": Secret(f"VF.DM.{ids()}")}


DIALECT = Dialect(
    name="voiceflow",
    title="Voiceflow",
    settings=SETTINGS,
    verbs=VERBS,
    client=Client,
    server=Server,
    content=content,
    simulated=simulated,
    data=data,
    facts=facts,
    data_kinds=frozenset({"action", "custom", "visual"}),
    fact_kinds=frozenset({"action", "debug", "delta", "knowledge", "log", "path"}),
    settle=check_settings,
    variables=VariablesApi(get_state, refusal, variables_of),
    prepare=prepare,
    sound_encoding=sound_encoding,
    secret_fields=frozenset({"sessionKey", "authorization"}),
    resume_scope=("url", "project_id", "environment_id"),
    resume_settings=("user_id", "session_key"),
    read_transcript=read_transcript,
    faults=FAULTS,
    options=OPTIONS,
)
