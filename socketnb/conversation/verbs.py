"""Checks of the arguments of session methods before anything is sent: verbs, fields, files, data, timeouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from socketnb.errors import ActionError, unknown
from socketnb.model.content import Choice
from socketnb.settings import is_timeout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from socketnb.dialects.base import Dialect
    from socketnb.model.actions import FieldValue
    from socketnb.model.json import JsonOut


def check_timeout(timeout: float | None) -> None:
    """Check the timeout of a turn.

    Raises:
        ActionError: The timeout is neither None nor a number of seconds above 0.
    """
    if timeout is not None and not is_timeout(timeout):
        raise ActionError(f"timeout must be a number of seconds above 0, got {timeout!r}")


def text_fields(dialect: Dialect, text: str, data: JsonOut) -> dict[str, FieldValue]:
    """Check a text and the data that is sent with it, and return them as the fields of the verb `text`.

    Raises:
        ActionError: The platform sends no data with a text, or a value is of the wrong type.
    """
    return check_fields(dialect, "text", {"text": text} if data is None else {"text": text, "data": data})


def check_fields(dialect: Dialect, verb: str, fields: Mapping[str, FieldValue]) -> dict[str, FieldValue]:
    """Check the fields of an action.

    Returns:
        The fields to send. File paths are absolute. A single text or object is accepted for a list, and digits for a
        whole number.

    Raises:
        ActionError: The platform has no such verb, a field is unknown, missing or of the wrong type, or JSON cannot
            represent it.
    """
    if verb not in list(dialect.verbs):
        raise ActionError(unknown(f"{dialect.name} verb", verb, dialect.verbs))
    known = {field.name: field for field in dialect.verbs[verb].fields}
    checked: dict[str, FieldValue] = {}
    for name, given in fields.items():
        if name not in known and (verb, name) == ("text", "data"):
            raise ActionError(f"on {dialect.name} a text carries no data: leave out data= (nothing was sent)")
        if name not in known:
            raise ActionError(unknown(f"{verb} field", name, known))
        wanted = known[name].type
        value = _converted(given, wanted)
        if wanted is Path:
            checked[name] = _existing_file(verb, value)
        elif not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            got = type(value).__name__
            raise ActionError(f"{verb}: {name} must be of type {wanted.__name__}, got {got} (nothing was sent)")
        else:
            checked[name] = value
    try:
        values = {name: value for name, value in checked.items() if known[name].type is not Choice}
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ActionError(f"{verb}: the fields must be JSON values: {error} (nothing was sent)") from None
    if missing := [name for name, field in known.items() if field.required and name not in checked]:
        raise ActionError(f"{verb} needs {' and '.join(missing)} (nothing was sent)")
    return checked


def _converted(value: FieldValue, wanted: type) -> FieldValue:
    """Return a single text or object as a list, and digits as a whole number, if a field has that type."""
    if wanted is list and isinstance(value, str | dict):
        return [value]
    return int(value) if wanted is int and isinstance(value, str) and value.isdecimal() else value


def _existing_file(verb: str, value: object) -> str:
    """Return the absolute path of an existing file.

    Raises:
        ActionError: There is no such file.
    """
    try:
        path = Path(value).expanduser() if isinstance(value, str | Path) else None
        if path and path.is_file():
            return str(path.absolute())
    except (OSError, ValueError, RuntimeError):
        path = None
    raise ActionError(f"{verb} needs the path of an existing file, got {str(value)!r} (nothing was sent)")
