"""Masking: nothing secret gets in, and all else stays as it came."""

import base64
import html
import json
import logging
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import nbformat
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbclient import NotebookClient

import socketnb as snb
from socketnb.errors import SocketnbError
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.model.effects import Record
from socketnb.model.secret import Secret, fingerprint, masked
from socketnb.model.trace import NO_TIME
from socketnb.recording.masks import Mask, Secrets
from socketnb.recording.recorder import Recorder

KEY = 'planted"key/with+all\\sorts %41'
JWT = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"HS256"}', b'{"a":"planted"}', b"x" * 9)
)


DIGEST = "a='b', c='planted'"


def mask_of(*hidden: str) -> Mask:
    secrets = Secrets()
    for secret in hidden:
        secrets.add(secret)
    return Mask({"sessionKey"}, secrets)


def payload(value: Any, *hidden: str) -> Any:
    return json.loads(mask_of(*hidden).payload(value))


@pytest.mark.parametrize(
    "name",
    ["URLToken", "urlToken", "token", "authorization", "Authorization", "api_key", "apiKey", "x-api-key", "sessionKey"],
)
def test_a_field_that_holds_a_credential_is_masked_at_any_depth(name: str) -> None:
    found = payload({"deep": [{name: "planted-key", "rest": "of it"}]})
    assert found == {"deep": [{name: masked("planted-key"), "rest": "of it"}]}
    assert payload({name: ["planted", 7, 123456789]}) == {name: [masked("planted"), 7, masked("123456789")]}
    assert payload({name: {"value": "planted", "type": "bold"}}) == {name: {"value": masked("planted"), "type": "bold"}}


def test_a_header_in_a_list_of_names_and_values_is_masked() -> None:
    headers = [{"name": "Authorization", "value": "planted"}, {"key": "X-API-Key", "value": "planted"}, {"name": "a"}]
    assert [header.get("value") for header in payload(headers)] == [masked("planted"), masked("planted"), None]


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("around", ["%s", "42[%s]", "%s and more", "\n  %s"])
def test_json_within_a_text_is_looked_into_and_else_left_as_it_is(level: int, around: str) -> None:
    said = around % '{"n":  1.10, "token": "it\'s planted", "token": 7, "said": "hello"}'
    for _ in range(level - 1):
        said = json.dumps(said)
    found = payload({"body": said})["body"]
    for _ in range(level - 1):
        found = json.loads(found)
    assert (
        found
        == around % f'{{"n":  1.10, "token": "{masked("it" + chr(39) + "s planted")}", "token": 7, "said": "hello"}}'
    )


@pytest.mark.parametrize(
    ("said", "becomes"),
    [
        ("wss://h/socket?EIO=4&token=planted&x=1", f"wss://h/socket?EIO=4&token={masked('planted')}&x=1"),
        ("https://h/?api_key=planted,two#top", f"https://h/?api_key={masked('planted,two')}#top"),
        ("see https://h/?token=planted.", f"see https://h/?token={masked('planted')}."),
        ("next=%2F&token%3Dplanted", f"next=%2F&token%3D{masked('planted')}"),
        ("urlToken=planted-42;rest", f"urlToken={masked('planted-42')};rest"),
        ("token: planted-42 is it", f"token: {masked('planted-42')} is it"),
        ("Authorization: Bearer planted-42", f"Authorization: Bearer {masked('planted-42')}"),
        ("?authorization=Bearer planted-42", f"?authorization=Bearer {masked('planted-42')}"),
        ("authorization: Basic cGxhbnRlZDpw", f"authorization: Basic {masked('cGxhbnRlZDpw')}"),
        ("Authorization: VF.DM.69.planted", f"Authorization: {masked('VF.DM.69.planted')}"),
        ("X-API-Key: planted-42", f"X-API-Key: {masked('planted-42')}"),
        ("AUTHORIZATION: OAuth planted-42", f"AUTHORIZATION: OAuth {masked('planted-42')}"),
        ("authorization: Digest a='b', c='planted'", f"authorization: Digest {masked(DIGEST)}"),
        ("bad request {'token': 'planted'}", f"bad request {{'token': '{masked('planted')}'}}"),
        (f"join with {JWT} now", f"join with {masked(JWT)} now"),
    ],
)
def test_a_credential_in_an_address_a_header_or_a_text_is_masked(said: str, becomes: str) -> None:
    mask = mask_of()
    assert mask.text(said) == becomes
    assert mask.text(becomes) == becomes, "what is masked stays as it is"
    assert payload({"said": said}) == {"said": becomes}


@pytest.mark.parametrize(
    "said",
    [
        "Your token is in the post", "max_token=5", "a bearer of good news", "tokens: 7", "author: Ada", "api=1",
        "the bearer certificates are sold", "ring-bearer yesterday", "token=5 coins", "bearer 2026-01-01",
        "Pre-authorization: approved by your bank", "Authorization: please wait", "token: your ticket",
        "token: JavaScript",
        "Authorization: Basic research was done", "Authorization: pre-approved by the bank", "bearer www.example.com",
        "Authorization: +49-30-123456", "authorization: 14.30-16.00", "if (token==null)", "token=${TOKEN}",
        '{"usage": {"tokens": 12}}', "eyJust kidding", "[token](https://x/y)", "monkey=banana",
    ],
)  # fmt: skip
def test_all_else_stays_as_it_came(said: str) -> None:
    value = {"said": said, "token": 7, "tokens": "seven", "authorization": None, "apiKeys": [True]}
    value |= {"replies": ["Token", "Log in"], "field": {"name": "Token", "value": "a chip"}}
    assert payload(value) == value
    assert mask_of().text(said) == said


@pytest.mark.parametrize(
    "form",
    [
        str,
        quote,
        lambda key: quote(quote(key)),
        lambda key: quote(key, safe="!'()*~"),
        lambda key: quote(key, safe="").lower(),
        lambda key: json.dumps(key)[1:-1],
        lambda key: json.dumps(json.dumps(key))[3:-3],
        lambda key: json.dumps(key)[1:-1].replace("/", r"\/"),
        lambda key: "".join(f"\\u{ord(sign):04X}" for sign in key),
        html.escape,
        lambda key: "".join(f"&#{ord(sign)};" for sign in key),
        quote_plus,
    ],
    ids="plain quoted twice component lower json json-twice php dotnet html entities plus".split(),
)
def test_a_known_credential_is_masked_wherever_it_turns_up(form: Any) -> None:
    mask = mask_of(KEY)
    said = f"before {form(KEY)} after"
    assert mask.text(said) == f"before {masked(KEY)} after"
    assert json.loads(mask.payload({"a": [said], said: 1})) == {
        "a": [f"before {masked(KEY)} after"],
        f"before {masked(KEY)} after": 1,
    }


@pytest.mark.parametrize(
    ("secret", "value", "becomes"),
    [
        ("12345678", {"id": 12345678}, {"id": masked("12345678")}),
        ("u0000", "a\0b", "a\0b"),
        ("true", [True, "true"], [True, masked("true")]),
        ("null", None, None),
    ],
)
def test_only_texts_and_whole_numbers_are_masked_never_the_json_around_them(
    secret: str, value: Any, becomes: Any
) -> None:
    assert payload(value, secret) == becomes


def test_a_credential_that_begins_with_another_is_masked_whole() -> None:
    assert payload("it was planted-key-one", "planted-key", "planted-key-one") == f"it was {masked('planted-key-one')}"


@pytest.mark.parametrize(
    "text",
    [
        "eyJ" * 30_000, "token=" * 30_000, "api_key=-" * 20_000, "bearer " * 20_000,
        "bearer" + " " * 90_000, "authorization" + " " * 90_000 + "x",
        "\\" * 90_000, "%25" * 30_000, "&amp;" * 20_000, "VF.DM.k" * 10_000 + "%", "'token': '" * 9_000,
        "authorization: basic " * 5_000, "{" * 90_000 + "token",
    ],
    ids=lambda text: text[:12],
)  # fmt: skip
@pytest.mark.timeout(20)  # a pattern that goes back and forth would need minutes
def test_no_text_keeps_the_loop_from_everybody_else(text: str) -> None:
    mask_of("VF.DM.key%/+ " + "x" * 40).payload({"said": text})


def test_a_key_that_was_given_to_one_session_is_masked_in_all(hub: Hub, tmp_path: Path) -> None:
    plain, keys = keys_of(hub, "voiceflow")
    hub.connect("voiceflow", name="a", **plain)
    other = hub.connect("voiceflow", name="b", simulate=True, flow=parrot(), record=tmp_path)
    other.say(f"the other's key is {keys[0]}")
    assert keys[0] not in hub.traces_df().to_csv()


@pytest.mark.parametrize(
    "form",
    [lambda key: quote(html.escape(key)), lambda key: quote(json.dumps(key)), lambda key: html.escape(json.dumps(key))],
)
def test_a_known_credential_that_is_encoded_beyond_recognition_takes_the_text_with_it(form: Any) -> None:
    assert "planted" not in mask_of(KEY).text(f"before {form(KEY)} after")


def test_what_is_no_json_is_masked_too() -> None:
    found = payload(
        {"a": b"planted-key", "token": b"planted", "b": {"planted-key"}, 1: None, "big": 10**30}, "planted-key"
    )
    assert "planted" not in json.dumps(found)
    assert found["1"] is None
    assert found["big"] == 10**30


def test_a_credential_is_masked_also_while_another_becomes_known() -> None:
    secrets = Secrets()
    secrets.add("planted-known-key")
    mask = Mask((), Secrets(secrets))
    adding = threading.Thread(target=lambda: [secrets.add(f"another-{n}") for n in range(150)])
    adding.start()
    said = set()
    while adding.is_alive():
        said |= {mask.text("is planted-known-key")}
    adding.join()
    assert said <= {f"is {masked('planted-known-key')}"}


@pytest.mark.timeout(20)
def test_many_known_credentials_cost_little_in_a_long_text() -> None:
    keys = [f"VF.DM.{n:030x}" for n in range(100)]
    mask = mask_of(*keys)
    long = "lorem ipsum dolor sit amet & more %20 " * 10_000
    assert mask.text(long + keys[50]) == long + masked(keys[50])


def test_a_backslash_before_a_credential_is_not_its_own() -> None:
    assert mask_of("abcd").text("C:\\new\\abcd") == f"C:\\new\\{masked('abcd')}"


def test_credentials_may_become_known_in_several_threads() -> None:
    shared, wrong = Secrets(), []

    def meet(n: int) -> None:
        for k in range(60):
            own = Secrets(shared)
            own.add(f"wire-secret-{n}-{k}")
            if Mask((), own).text(f"wire-secret-{n}-{k}") != masked(f"wire-secret-{n}-{k}"):
                wrong.append((n, k))

    threads = [threading.Thread(target=meet, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for n in range(60):
        shared.add(f"given-{n}")
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_mask_is_a_short_stable_hash_so_that_rows_stay_joinable() -> None:
    assert payload({"token": "planted"})["token"] == f"***{fingerprint('planted')}"
    assert payload("it was planted", "planted") == f"it was ***{fingerprint('planted')}"


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("token"), inner, max_size=3),
    max_leaves=9,
)


@given(ANY, st.text(min_size=6), st.sampled_from(["token", "Authorization", "api_key"]))
def test_wherever_a_credential_is_put_it_is_not_found_again(value: Any, secret: str, field: str) -> None:
    secret = f"planted{secret}"
    found = mask_of().payload({"value": value, "nested": [{field: secret}], "inside": json.dumps({field: secret})})
    assert b"planted" not in found


def test_a_secret_is_masked_in_json_too() -> None:
    assert json.dumps({"key": Secret("planted")}) == json.dumps({"key": masked("planted")})
    assert orjson.loads(orjson.dumps([masked("planted")])) == [str(Secret("planted"))]
    assert "planted" not in "Bearer " + Secret("planted")


# Planted everywhere


def keys_of(hub: Hub, platform: str) -> tuple[dict[str, Any], list[str]]:
    """Return a simulator's settings in plain words, and its credentials."""
    simulator = hub.simulate(platform, parrot())
    plain = simulator.revealed()
    return plain, [plain[name] for name, value in simulator.settings.items() if isinstance(value, Secret)]


def parrot() -> Flow:
    flow = Flow("parrot")

    @flow.otherwise
    def parrot(turn: FlowTurn) -> None:
        turn.say(turn.text)

    return flow


@pytest.mark.parametrize("platform", ["cognigy", "eusate", "voiceflow"])
def test_no_credential_reaches_recording_frames_reprs_log_or_exported_files(
    platform: str, hub: Hub, tmp_path: Path, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    plain, keys = keys_of(hub, platform)
    bot = hub.connect(platform, name="bot", **plain, record=tmp_path / "r")
    turn = bot.say(f"is it {keys[0]}, https://x/?token=planted-one or {JWT}?")
    session_keys = list(getattr(hub._simulators[-1]._machine, "_keys", ()))
    told = ""
    for wrong in ({**plain, "url": f"http://127.0.0.1:9/{keys[0]}"}, {**plain, "nonsense": keys[0]}):
        try:
            hub.connect(platform, **wrong, timeout=0.5)
        except (SocketnbError, TypeError) as error:
            told += f"{error} {error!r}"
    traces = bot.traces_df()
    out = tmp_path / "out"
    out.mkdir()
    traces.chat.to_parquet(out / "a.parquet")
    traces.chat.to_jsonl(out / "a.jsonl")
    traces.chat.to_duckdb(out / "a.duckdb")
    traces.to_csv(out / "a.csv")
    hub.close()
    places = {str(file): file.read_bytes() for folder in (tmp_path / "r", out) for file in folder.iterdir()}
    recorded = snb.open_recording(tmp_path / "r")
    frames = [f for at in (hub, recorded) for f in (at.traces_df(), at.turns_df(), at.messages_df(), at.sessions_df())]
    places["frames"] = " ".join(frame.to_csv() for frame in frames).encode()
    shown = [turn, bot, recorded, hub._simulators, settings_of(bot)]
    places["reprs"] = " ".join(f"{s!r} {s}" for s in shown).encode()
    places["html"] = (turn._repr_mimebundle_()["text/html"] + bot._repr_mimebundle_()["text/html"]).encode()
    places["errors"] = told.encode()
    places["log"] = caplog.text.encode()
    for key in [*keys, *session_keys, "planted-one", JWT]:
        assert [where for where, text in places.items() if key.encode() in text] == []


def settings_of(bot: Any) -> str:
    return f"{bot._settings!r}"


@pytest.mark.kernel
@pytest.mark.parametrize("platform", ["cognigy", "eusate", "voiceflow"])
def test_no_credential_reaches_a_saved_notebook(
    platform: str, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, keys = keys_of(hub, platform)
    for name, value in plain.items():
        monkeypatch.setenv(f"SOCKETNB_{platform}_{name}".upper(), str(value))
    monkeypatch.setenv("PLANTED", keys[0])
    cells = [
        "import os\nimport socketnb as snb",
        f"bot = snb.connect({platform!r}, name='bot')\nbot",
        "bot.say('is it ' + os.environ['PLANTED'])",
        "bot.traces_df().to_dict('records')",
        "bot.panel()",
        "print(bot, repr(bot), bot.transcript(), vars(bot))",
        f"snb.connect({platform!r}, url='http://127.0.0.1:9/' + os.environ['PLANTED'], timeout=1)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=60, allow_errors=True, store_widget_state=True).execute()
    path = tmp_path / "saved.ipynb"
    nbformat.write(notebook, path)
    saved = path.read_text()
    assert "is it ***" in saved, "it was run"
    assert "ConnectError" in saved or "Unreachable" in saved or "SettingsError" in saved
    assert [key for key in keys if key in saved] == []


def test_a_secret_in_a_log_line_is_its_mask(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("anything").warning("key %s", {"key": Secret("planted")})
    assert "planted" not in caplog.text


# Fields of a dialect


@pytest.mark.parametrize("field", ["pin_code", "PIN_CODE", "geheimnis", "geheimzahl-für-alle", "straße", 'a"b'])
def test_a_secret_field_of_any_dialect_is_masked_without_a_list_to_keep(field: str, tmp_path: Path) -> None:
    recorder = Recorder("2026-01-01T00-00-00-r", tmp_path)
    log = recorder.log("made-up", "bot", {field})
    trace = log.append(Record("event", "custom", {"deep": [{field: "planted-pin"}]}, text="hi"), 1, 1, NO_TIME)
    shouted = log.append(Record("event", "custom", {field.upper(): "planted-pin"}), 1, 1, NO_TIME)
    recorder.close()
    assert json.loads(trace.payload) == {"deep": [{field: masked("planted-pin")}]}
    assert json.loads(shouted.payload) == {field.upper(): masked("planted-pin")}
    assert b"planted" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


def test_a_secret_field_of_any_dialect_is_masked_in_texts() -> None:
    mask = Mask({"pin_code"}, Secrets())
    for text in ("https://h/?pin_code=planted-1", 'it said {"pin_code": "planted-1"}', "pin_code: planted-1"):
        assert mask.text(text) == text.replace("planted-1", masked("planted-1"))
    assert mask.text("pin_codec=planted-1") == "pin_codec=planted-1"


def test_the_fields_of_one_session_do_not_change_those_of_another() -> None:
    Mask({"pin_code"}, Secrets())
    assert json.loads(Mask((), Secrets()).payload({"pin_code": "1234-5678"})) == {"pin_code": "1234-5678"}
