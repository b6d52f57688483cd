"""The tables of columns, and the docstrings that show them."""

import inspect
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from socketnb.frames import accessor, columns, query
from socketnb.model.trace import SCHEMA, Column

FRAMES = [
    (query.traces_df, columns.TRACE_COLUMNS),
    (query.messages_df, columns.MESSAGE_COLUMNS),
    (query.turns_df, columns.TURN_COLUMNS),
    (query.conversations_df, columns.CONVERSATION_COLUMNS),
    (query.sessions_df, columns.SESSION_COLUMNS),
    (accessor.Chat.turns, columns.TURN_COLUMNS),
]


@pytest.mark.parametrize(("function", "table"), FRAMES)
def test_help_shows_every_column_with_its_dtype_and_description(
    function: Callable[..., Any], table: Mapping[str, Column]
) -> None:
    doc = inspect.getdoc(function)
    assert doc
    section = doc.split("\n\nColumns:\n")[1].splitlines()
    assert [line.split()[0] for line in section] == list(table)
    for line, column in zip(section, table.values(), strict=True):
        assert f"  {column.dtype} " in line
        assert column.description in line
        assert line.endswith(" May be missing.") == column.nullable


def test_frame_functions_have_named_parameters() -> None:
    for function in (query.traces_df, query.messages_df, query.turns_df, query.conversations_df, query.sessions_df):
        names = list(inspect.signature(function).parameters)
        assert names == ["stores", "session", "platform", "recording", "since", "columns"]


def test_every_column_is_described_in_a_sentence() -> None:
    for table in (columns.MESSAGE_COLUMNS, columns.TURN_COLUMNS, columns.SESSION_COLUMNS, columns.RECORDING_COLUMNS):
        assert all(column.description.endswith((".", "…")) for column in table.values())
    assert all(column.description for column in SCHEMA.values())


def test_a_function_without_a_docstring_is_left_as_it_is() -> None:
    def frame() -> None: ...

    assert columns.document_columns(SCHEMA)(frame).__doc__ is None


def test_the_tables_are_imported_without_pandas() -> None:
    code = "import sys, socketnb.frames.columns; print({'pandas', 'pyarrow'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
