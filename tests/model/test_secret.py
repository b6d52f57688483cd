"""The vocabulary: secrets that keep to themselves."""

import copy
import logging
import pickle
import pprint
import traceback

import pytest

from socketnb.model.secret import Secret, fingerprint, masked
from socketnb.model.trace import COLUMNS, Trace

KEY = "VF.DM.planted-key"


def test_a_secret_shows_itself_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(KEY)
    logging.getLogger("any").warning("%s %r", secret, secret)
    try:
        raise ValueError(secret)
    except ValueError:
        told = traceback.format_exc()
    shown = [str(secret), repr(secret), f"{secret:>40}", pprint.pformat({"key": secret}), caplog.text, told]
    assert [text for text in shown if "planted" in text] == []
    assert b"planted" not in pickle.dumps(secret)


def test_a_secret_gives_itself_to_who_asks() -> None:
    assert Secret(KEY).reveal() == Secret(Secret(KEY)).reveal() == KEY
    assert Secret(KEY).__getstate__() is None
    with pytest.raises(TypeError, match="a Secret holds a string, not a NoneType"):
        Secret(None)  # type: ignore[arg-type]


def test_two_secrets_are_equal_if_their_values_are() -> None:
    assert Secret(KEY) == Secret(KEY) != Secret("other")
    assert len({Secret(KEY), Secret(KEY)}) == 1
    assert copy.deepcopy([Secret(KEY)]) == [Secret(KEY)]
    assert pickle.loads(pickle.dumps(Secret(KEY))) == masked(KEY), "what leaves the process is the mask"


def test_a_fingerprint_is_stable_and_short() -> None:
    assert fingerprint(KEY) == fingerprint(KEY) != fingerprint(KEY + " ")
    assert len(fingerprint("\ud800")) == 10


def test_a_trace_has_the_fields_of_the_schema_in_its_order() -> None:
    assert list(COLUMNS) == list(Trace._fields)
