"""Secrets: credentials that show only a mask."""

import copy
import logging
import pickle
import pprint
import traceback

import pytest

from socketnb.model.secret import Secret, fingerprint, masked
from socketnb.model.trace import SCHEMA, Trace

KEY = "VF.DM.planted-key"


def test_a_secret_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(KEY)
    logging.getLogger("any").warning("%s %r", secret, secret)
    try:
        raise ValueError(secret)
    except ValueError:
        error = traceback.format_exc()
    texts = [str(secret), repr(secret), f"{secret:>40}", pprint.pformat({"key": secret}), caplog.text, error]
    assert [text for text in texts if "planted" in text] == []
    assert b"planted" not in pickle.dumps(secret)


def test_reveal_returns_the_value_of_a_secret() -> None:
    assert Secret(KEY).reveal() == Secret(Secret(KEY)).reveal() == KEY
    assert Secret(KEY).__getstate__() is None
    with pytest.raises(TypeError, match="Secret needs a string, got NoneType"):
        Secret(None)  # type: ignore[arg-type]


def test_secrets_are_equal_if_their_values_are_equal() -> None:
    assert Secret(KEY) == Secret(KEY) != Secret("other")
    assert len({Secret(KEY), Secret(KEY)}) == 1
    assert copy.deepcopy([Secret(KEY)]) == [Secret(KEY)]
    assert pickle.loads(pickle.dumps(Secret(KEY))) == masked(KEY), "only the mask is pickled"


def test_a_fingerprint_is_stable_and_short() -> None:
    assert fingerprint(KEY) == fingerprint(KEY) != fingerprint(KEY + " ")
    assert len(fingerprint("\ud800")) == 10


def test_a_trace_has_the_columns_of_the_schema_in_order() -> None:
    assert list(SCHEMA) == list(Trace._fields)
