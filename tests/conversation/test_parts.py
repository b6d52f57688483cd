"""The parts of a session without a socket: public names, the choice of a conversation, checks of arguments."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from socketnb.conversation.conversations import SessionConversations
from socketnb.conversation.session import Session
from socketnb.conversation.verbs import check_fields
from socketnb.dialects import registry
from socketnb.errors import ActionError
from socketnb.flows.flow import Flow
from socketnb.hub import Hub
from socketnb.model.actions import Action, Conversation, Field, Verb
from socketnb.model.content import Choice

PUBLIC = """
    act button button_names call choices close common_ids conversation conversations
    conversations_df disown encoding event follow ids
    later launch listen messages messages_df new_conversation next_message open panel press reconnect reset running
    say send seq start state stream traces traces_df transcript turns_df variables verbs
""".split()


def test_the_public_names_of_a_session_are_these() -> None:
    assert [name for name in dir(Session) if not name.startswith("_") and name != "timeout"] == PUBLIC
    assert all(getattr(Session, name).__doc__ for name in PUBLIC)


@pytest.fixture
def conversations() -> SessionConversations:
    conversations = SessionConversations("eusate", 3)
    conversations.current = (Conversation("a"), Conversation("b"))
    return conversations


def test_a_chosen_conversation_is_taken_once(conversations: SessionConversations) -> None:
    conversations.choose("a")
    assert [conversations.take_chosen() for _ in range(2)] == ["a", None]


def test_each_thread_chooses_its_own_conversation(conversations: SessionConversations) -> None:
    conversations.choose("a")
    taken: list[str | None] = []
    thread = threading.Thread(target=lambda: taken.append(conversations.take_chosen()))
    thread.start()
    thread.join()
    assert taken == [None]
    assert conversations.take_chosen() == "a"


def test_a_failed_choice_leaves_the_earlier_one(conversations: SessionConversations) -> None:
    conversations.choose("b")
    with pytest.raises(ActionError, match="unknown conversation 'c'"):
        conversations.choose("c")
    assert conversations.take_chosen() == "b"


@pytest.mark.parametrize("make", [str, Path])
def test_the_path_of_a_file_is_sent_as_an_absolute_path(
    make: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("hi")
    monkeypatch.chdir(tmp_path)
    fields = check_fields(registry.get("cognigy"), "upload", {"file": make("a.txt")})
    assert fields["file"] == str(tmp_path / "a.txt")


@pytest.mark.parametrize("value", ["missing.txt", "", ".", 7, None, "a\0b"])
def test_a_path_that_is_not_a_file_is_rejected(value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ActionError, match="upload needs the path of an existing file"):
        check_fields(registry.get("cognigy"), "upload", {"file": value})


def with_data(bot: Session) -> Session:
    """Let the verb `text` of a session take data, as on Cognigy and Voiceflow."""
    text = Verb("send a text", (Field("text", str), Field("data", object, required=False)))
    bot._dialect = replace(bot._dialect, verbs={**bot._dialect.verbs, "text": text})
    return bot


@pytest.mark.parametrize("data", [{"order": {"id": 4567}}, [1, None], "words", 0, False])
def test_data_is_sent_with_a_text(bot: Session, data: Any) -> None:
    with_data(bot)
    turns = [bot.say("hi", data=data), bot.send("hi", data=data).wait()]
    assert [turn.action.fields for turn in turns] == [{"text": "hi", "data": data}] * 2
    assert [message.text for message in bot.stream("hi", data=data)] == ["You said hi"]
    assert bot.say("hi").action.fields == {"text": "hi"}


def test_data_that_is_not_json_is_refused(bot: Session) -> None:
    with pytest.raises(ActionError, match="the fields must be JSON values"):
        with_data(bot).say("hi", data={1, 2})  # type: ignore[arg-type]


@pytest.mark.parametrize("call", ["say", "send", "stream"])
def test_data_is_refused_on_a_platform_without_it(hub: Hub, flow: Flow, call: str) -> None:
    bot = hub.connect("eusate", simulate=True, flow=flow)
    with pytest.raises(ActionError, match=r"on eusate a text carries no data: leave out data= \(nothing was sent\)"):
        getattr(bot, call)("hi", data={"order": 1})
    with pytest.raises(ActionError, match=r"on eusate a text carries no data: leave out data= \(nothing was sent\)"):
        bot.act("text", text="hi", data={"order": 1})
    assert bot.turns_df().empty


@pytest.mark.parametrize(
    ("verb", "fields", "words"),
    [
        ("text", {"text": "hi", "data": {"a": 1}}, "hi"),
        ("press", {"choice": Choice("Buy", {"type": "text"})}, "Buy"),
        ("launch", {}, ""),
        ("review", {"rating": 5, "review": "good"}, "5 good"),
        ("upload", {"file": Path("folder/a.txt")}, "a.txt"),
        ("upload", {"file": "/folder/a.txt", "text": "see"}, "a.txt see"),
        ("typing", {"on": True}, ""),
        ("submit", {"values": {"size": "L"}, "title": "Order"}, "Order"),
    ],
)
def test_an_action_has_words(verb: str, fields: Any, words: str) -> None:
    assert Action(verb, fields).words == words
