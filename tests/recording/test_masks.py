"""Masking: no credential is recorded, and everything else is unchanged."""

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
from socketnb.recording import masks
from socketnb.recording.masks import Mask, Secrets
from socketnb.recording.recorder import Recorder

KEY = 'planted"key/with+all\\sorts %41'
JWT = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"HS256"}', b'{"a":"planted"}', b"x" * 9)
)


DIGEST = "a='b', c='planted'"


def mask_of(*known: str) -> Mask:
    secrets = Secrets()
    for secret in known:
        secrets.add(secret)
    return Mask({"sessionKey"}, secrets)


def payload(value: Any, *known: str) -> Any:
    return json.loads(mask_of(*known).payload(value))


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
def test_credentials_in_json_inside_a_text_are_masked_and_the_rest_is_unchanged(level: int, around: str) -> None:
    text = around % '{"n":  1.10, "token": "it\'s planted", "token": 7, "text": "hello"}'
    for _ in range(level - 1):
        text = json.dumps(text)
    found = payload({"body": text})["body"]
    for _ in range(level - 1):
        found = json.loads(found)
    assert (
        found
        == around % f'{{"n":  1.10, "token": "{masked("it" + chr(39) + "s planted")}", "token": 7, "text": "hello"}}'
    )


@pytest.mark.parametrize(
    ("text", "expected"),
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
def test_a_credential_in_a_url_a_header_or_a_text_is_masked(text: str, expected: str) -> None:
    mask = mask_of()
    assert mask.text(text) == expected
    assert mask.text(expected) == expected, "a mask is not masked again"
    assert payload({"text": text}) == {"text": expected}


@pytest.mark.parametrize(
    "text",
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
def test_texts_that_only_resemble_credentials_are_unchanged(text: str) -> None:
    value = {"text": text, "token": 7, "tokens": "seven", "authorization": None, "apiKeys": [True]}
    value |= {"replies": ["Token", "Log in"], "field": {"name": "Token", "value": "a chip"}}
    assert payload(value) == value
    assert mask_of().text(text) == text


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
        lambda key: "".join(f"\\u{ord(char):04X}" for char in key),
        html.escape,
        lambda key: "".join(f"&#{ord(char)};" for char in key),
        quote_plus,
    ],
    ids="plain quoted twice component lower json json-twice php dotnet html entities plus".split(),
)
def test_a_known_credential_is_masked_in_every_encoding(form: Any) -> None:
    mask = mask_of(KEY)
    text = f"before {form(KEY)} after"
    assert mask.text(text) == f"before {masked(KEY)} after"
    assert json.loads(mask.payload({"a": [text], text: 1})) == {
        "a": [f"before {masked(KEY)} after"],
        f"before {masked(KEY)} after": 1,
    }


@pytest.mark.parametrize(
    ("secret", "value", "expected"),
    [
        ("12345678", {"id": 12345678}, {"id": masked("12345678")}),
        ("u0000", "a\0b", "a\0b"),
        ("true", [True, "true"], [True, masked("true")]),
        ("null", None, None),
    ],
)
def test_only_texts_and_numbers_are_masked_and_never_the_json_around_them(
    secret: str, value: Any, expected: Any
) -> None:
    assert payload(value, secret) == expected


def test_a_credential_that_begins_with_another_is_masked_completely() -> None:
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
@pytest.mark.timeout(20)  # a pattern that backtracks would take minutes
def test_no_text_blocks_the_event_loop(text: str) -> None:
    mask_of("VF.DM.key%/+ " + "x" * 40).payload({"text": text})


def test_a_key_given_to_one_session_is_masked_in_all_sessions(hub: Hub, tmp_path: Path) -> None:
    plain, keys = keys_of(hub, "voiceflow")
    hub.connect("voiceflow", name="a", **plain)
    other = hub.connect("voiceflow", name="b", simulate=True, flow=echo_flow(), record=tmp_path)
    other.say(f"the other's key is {keys[0]}")
    assert keys[0] not in hub.traces_df().to_csv()


@pytest.mark.parametrize(
    "form",
    [lambda key: quote(html.escape(key)), lambda key: quote(json.dumps(key)), lambda key: html.escape(json.dumps(key))],
)
def test_a_text_is_masked_completely_if_a_credential_in_it_cannot_be_located(form: Any) -> None:
    assert "planted" not in mask_of(KEY).text(f"before {form(KEY)} after")


def test_values_that_are_not_json_are_masked_too() -> None:
    found = payload(
        {"a": b"planted-key", "token": b"planted", "b": {"planted-key"}, 1: None, "big": 10**30}, "planted-key"
    )
    assert "planted" not in json.dumps(found)
    assert found["1"] is None
    assert found["big"] == 10**30


def test_a_credential_is_masked_while_another_thread_adds_one() -> None:
    secrets = Secrets()
    secrets.add("planted-known-key")
    mask = Mask((), Secrets(secrets))
    adding = threading.Thread(target=lambda: [secrets.add(f"another-{n}") for n in range(150)])
    adding.start()
    texts = set()
    while adding.is_alive():
        texts |= {mask.text("is planted-known-key")}
    adding.join()
    assert texts <= {f"is {masked('planted-known-key')}"}


@pytest.mark.timeout(20)
def test_many_known_credentials_are_masked_quickly_in_a_long_text() -> None:
    keys = [f"VF.DM.{n:030x}" for n in range(100)]
    mask = mask_of(*keys)
    long = "lorem ipsum dolor sit amet & more %20 " * 10_000
    assert mask.text(long + keys[50]) == long + masked(keys[50])


def test_a_backslash_before_a_credential_is_not_masked_with_it() -> None:
    assert mask_of("abcd").text("C:\\new\\abcd") == f"C:\\new\\{masked('abcd')}"


def test_credentials_can_be_added_in_several_threads() -> None:
    shared, wrong = Secrets(), []

    def add(n: int) -> None:
        for k in range(60):
            own = Secrets(shared)
            own.add(f"wire-secret-{n}-{k}")
            if Mask((), own).text(f"wire-secret-{n}-{k}") != masked(f"wire-secret-{n}-{k}"):
                wrong.append((n, k))

    threads = [threading.Thread(target=add, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for n in range(60):
        shared.add(f"given-{n}")
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_mask_is_a_short_stable_hash_so_that_rows_can_be_joined() -> None:
    assert payload({"token": "planted"})["token"] == f"***{fingerprint('planted')}"
    assert payload("it was planted", "planted") == f"it was ***{fingerprint('planted')}"


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("token"), inner, max_size=3),
    max_leaves=9,
)


@given(ANY, st.text(min_size=6), st.sampled_from(["token", "Authorization", "api_key"]))
def test_a_credential_in_a_secret_field_never_appears_in_the_payload(value: Any, secret: str, field: str) -> None:
    secret = f"planted{secret}"
    found = mask_of().payload({"value": value, "nested": [{field: secret}], "inside": json.dumps({field: secret})})
    assert b"planted" not in found


def test_a_secret_is_masked_in_json_too() -> None:
    assert json.dumps({"key": Secret("planted")}) == json.dumps({"key": masked("planted")})
    assert orjson.loads(orjson.dumps([masked("planted")])) == [str(Secret("planted"))]
    assert "planted" not in "Bearer " + Secret("planted")


# Credentials in every place


def keys_of(hub: Hub, platform: str) -> tuple[dict[str, Any], list[str]]:
    """Return the settings of a simulator with its credentials revealed, and the credentials alone."""
    simulator = hub.simulate(platform, echo_flow())
    plain = simulator.revealed()
    return plain, [plain[name] for name, value in simulator.settings.items() if isinstance(value, Secret)]


def echo_flow() -> Flow:
    flow = Flow("echo")

    @flow.otherwise
    def echo(turn: FlowTurn) -> None:
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
    errors = ""
    for wrong in ({**plain, "url": f"http://127.0.0.1:9/{keys[0]}"}, {**plain, "nonsense": keys[0]}):
        try:
            hub.connect(platform, **wrong, timeout=0.5)
        except (SocketnbError, TypeError) as error:
            errors += f"{error} {error!r}"
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
    frames = [
        frame
        for source in (hub, recorded)
        for frame in (source.traces_df(), source.turns_df(), source.messages_df(), source.sessions_df())
    ]
    places["frames"] = " ".join(frame.to_csv() for frame in frames).encode()
    objects = [turn, bot, recorded, hub._simulators, settings_of(bot)]
    places["reprs"] = " ".join(f"{each!r} {each}" for each in objects).encode()
    places["html"] = (turn._repr_mimebundle_()["text/html"] + bot._repr_mimebundle_()["text/html"]).encode()
    places["errors"] = errors.encode()
    places["log"] = caplog.text.encode()
    for key in [*keys, *session_keys, "planted-one", JWT]:
        assert [place for place, content in places.items() if key.encode() in content] == []


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
    assert "is it ***" in saved, "the notebook was executed"
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


# Limits


@pytest.mark.parametrize(("number", "is_masked"), [(12345, False), (123456, True), (-12345, True), (1234.5, True)])
def test_a_number_in_a_secret_field_is_masked_from_six_characters_on(number: float, is_masked: object) -> None:
    assert payload({"token": number}) == {"token": masked(str(number)) if is_masked else number}


def test_a_known_credential_is_masked_from_four_characters_on() -> None:
    assert payload(["abc", "abcd"], "abc", "abcd") == ["abc", masked("abcd")]


def test_the_cache_of_short_texts_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masks, "MAX_CACHED_WORDS", 3)
    words = mask_of().words
    for n in range(10):
        assert words[f"event {n}"] == f"event {n}"
        assert len(words) <= 3


def test_a_cached_text_is_masked_again_when_a_credential_becomes_known() -> None:
    secrets = Secrets()
    mask = Mask((), secrets)
    assert mask.words["is planted-key"] == "is planted-key"
    secrets.add("planted-key")
    assert mask.words["is planted-key"] == f"is {masked('planted-key')}"
