"""The parts of a session without a socket: public names, the choice of a conversation, checks of arguments."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from socketnb.conversation.conversations import SessionConversations
from socketnb.conversation.session import Session
from socketnb.conversation.verbs import check_fields
from socketnb.dialects import registry
from socketnb.errors import ActionError
from socketnb.model.actions import Conversation

PUBLIC = """
    act button call choices close common_ids conversation conversations disown encoding event follow ids later launch
    listen messages messages_df new_conversation next_message open panel press reconnect reset running say send seq
    start state stream traces traces_df transcript turns_df verbs
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
