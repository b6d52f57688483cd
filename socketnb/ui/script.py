r'''Parsing of a `%%chat` cell, or of a line in a terminal, into steps.

    where is my order?         sends this message; each line is one turn
    one \                      continues in the next line
    """                        the lines between two of these are one message
    /press Track order         runs a verb of the platform; its fields follow in order or as key=value
    /wait 2                    waits 2 seconds and sends nothing
    //press                    sends a message that begins with one slash
    ?? Saturday                checks that the last reply contains these words
    ?? /Sat.*day/i             checks that the last reply matches a regular expression; /…/i ignores case
    ?? data.order.id = 4567    checks a value in the data of the last reply; 0 is the first element of a list
    # a comment                is ignored, if comments are enabled

All other text is sent byte for byte.
'''

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from socketnb.errors import ActionError, unknown
from socketnb.model.content import Choice
from socketnb.model.secret import Secret
from socketnb.settings import VALUE_TYPES
from socketnb.ui.expectation import Reply, is_met

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from socketnb.model.actions import Field, Verb
    from socketnb.model.json import Json

FENCE = '"""'
WAIT = "wait"
MAX_WAIT_S = 86_400.0
"""The maximum duration of /wait, in seconds."""
PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}")
VERB = re.compile(r"/(\w+)(?:\s+(.*))?", re.DOTALL)
KEY = re.compile(r"(\w+)=\s*")
NOTHING_SENT = " (nothing was sent)"


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON")


JSON = json.JSONDecoder(parse_constant=_reject_constant)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a cell.

    Attributes:
        line: The number of its first line in the cell.
        text: The text to send, check or parse, depending on the type of step.
    """

    line: int
    text: str


class Say(Step):
    """Send the text as a message."""


@dataclass(frozen=True, slots=True)
class Act(Step):
    """Run a verb of the platform. The text contains the fields as typed."""

    verb: str


class Wait(Step):
    """Wait for a number of seconds."""

    @property
    def seconds(self) -> float:
        """The duration of the wait, in seconds.

        Raises:
            ActionError: The text is not a number of seconds, or it is more than a day.
        """
        try:
            seconds = float(self.text)
        except ValueError:
            seconds = -1
        if not 0 <= seconds <= MAX_WAIT_S:
            raise ActionError(f"/{WAIT} needs a number of seconds, as in /{WAIT} 2, got {self.text!r}")
        return seconds


class Expect(Step):
    """Check the reply to the step before, see `expectation.is_met`."""


def parse_steps(
    body: str,
    *,
    first: int = 1,
    whole: bool = False,
    comments: bool = False,
    variables: Mapping[str, object] | None = None,
    has_credential: Callable[[str], bool] = lambda _: False,
) -> list[Step]:
    """Return the steps of a cell's body, in order.

    Args:
        body: The cell without its first line. One newline at its end is ignored.
        first: The number of the body's first line in the cell.
        whole: Whether the whole body is one message.
        comments: Whether to ignore lines that begin with #.
        variables: The values for `{{name}}`; None leaves these placeholders as they are.
        has_credential: Returns whether a value contains a credential. Such a value is not sent.

    Raises:
        ActionError: A line is invalid, or a variable does not exist; the message names the line.
    """
    body = body.removesuffix("\n")
    if whole:
        steps: list[Step] = [Say(first, body)]
    else:
        lines = [line.removesuffix("\r") for line in body.split("\n")]
        steps = list(_read_steps(lines, first, comments=comments))
    if variables is not None:
        steps = [_with_values(step, variables, has_credential) for step in steps]
    for step, previous in zip(steps, [None, *steps], strict=False):
        with error_at_line(step):
            _check(step, previous)
    return steps


def _read_steps(lines: list[str], first: int, *, comments: bool) -> Iterator[Step]:
    index = 0
    while index < len(lines):
        line, number = lines[index], index + first
        index += 1
        if line.rstrip() == FENCE:
            end = next((n for n in range(index, len(lines)) if lines[n].rstrip() == FENCE), None)
            if end is None:
                raise _invalid(number, f"no line with {FENCE} ends the message that begins here")
            yield Say(number, "\n".join(lines[index:end]))
            index = end + 1
        elif line.strip() and not (comments and line.startswith("#")):
            while line.endswith("\\") and index < len(lines):
                line = line[:-1] + lines[index]
                index += 1
            yield _read_step(number, line)


def _read_step(number: int, line: str) -> Step:
    if line.startswith("//"):
        return Say(number, line[1:])
    if line.startswith("??") and not line.startswith("???"):
        if not line[2:].strip():
            raise _invalid(number, f"?? needs the expected words; to send ?? itself, put it between {FENCE}")
        return Expect(number, line[2:].strip())
    if not line.startswith("/"):
        return Say(number, line)
    match = VERB.fullmatch(line)
    if not match:
        raise _invalid(number, "a verb must follow /; to send a message that begins with /, type //")
    verb, rest = match[1], (match[2] or "").rstrip()
    return Wait(number, rest) if verb == WAIT else Act(number, rest, verb)


def _with_values(step: Step, variables: Mapping[str, object], has_credential: Callable[[str], bool]) -> Step:
    """Return a step with its placeholders replaced by values."""

    def value_of(match: re.Match[str]) -> str:
        name = match[1].strip()
        if not name.isidentifier():
            raise _invalid(step.line, f"{match[0]} must contain only the name of a variable")
        if name not in variables:
            raise _invalid(step.line, f"the notebook has no variable {name!r} for {match[0]}")
        text = str(variables[name])
        if isinstance(variables[name], Secret) or has_credential(text):
            raise _invalid(step.line, f"variable {name!r} contains a credential, which must not be sent")
        return text

    return replace(step, text=PLACEHOLDER.sub(value_of, step.text))


def parse_expectation(text: str) -> Expect:
    """Return the check of an `--expect` option.

    Raises:
        ActionError: The text is empty, or the regular expression is invalid.
    """
    if not text.strip():
        raise ActionError("--expect needs the expected words")
    step = Expect(0, text)
    with error_at_line(step):
        is_met(step.text, Reply("", []))
    return step


def _check(step: Step, previous: Step | None) -> None:
    """Check a step as far as possible before the cell runs."""
    match step:
        case Wait():
            _ = step.seconds
        case Expect():
            if previous is None:
                raise ActionError("?? checks the reply to the step before it, and no step comes before it")
            is_met(step.text, Reply("", []))


@contextmanager
def error_at_line(step: Step, note: str = "nothing was sent") -> Iterator[None]:
    """Add the line of a step, and a note, to the message of an ActionError that is raised in this context."""
    try:
        yield
    except ActionError as error:
        place = f"line {step.line}" if step.line else "--expect"
        raise ActionError(f"{place}: {str(error).removesuffix(NOTHING_SENT)} ({note})") from None


def _invalid(line: int, message: str) -> ActionError:
    return ActionError(f"line {line}: {message} (nothing was sent)")


def parse_fields(verb: str, verbs: Mapping[str, Verb], text: str) -> dict[str, Json]:
    """Return the fields of a verb from the text after it.

    The fields follow in their order or as key=value. The value of a field is a word, a quoted text or JSON. The last
    field takes the rest of the text.

    Raises:
        ActionError: The verb or a field is unknown, or a value does not have its field's type.
    """
    if verb not in verbs:
        message = unknown("verb", verb, [*verbs, WAIT])
        raise ActionError(f"{message} (to send a message that begins with /, type //)")
    left, values = list(verbs[verb].fields), dict[str, "Json"]()
    text = text.strip()
    while text:
        field, text = _next_field(verb, verbs[verb], left, values, text)
        left.remove(field)
        values[field.name], text = _take_value(verb, field, text, left)
        text = text.strip()
    if missing := [field.name for field in left if field.required]:
        raise ActionError(f"{verb} needs {' and '.join(missing)}; usage: /{usage(verb, verbs[verb])}")
    return values


def _next_field(verb: str, spec: Verb, left: list[Field], values: Mapping[str, Json], text: str) -> tuple[Field, str]:
    """Return the next field in the text, and the text without `key=`."""
    key = KEY.match(text)
    if key and not (left and left[0].type is Choice and key[1] != left[0].name):
        field = next((field for field in left if field.name == key[1]), None)
        if field is not None:
            return field, text[key.end() :]
        if key[1] in values:
            raise ActionError(f"{verb}: {key[1]} is given twice")
        message = unknown(f"{verb} field", key[1], [field.name for field in spec.fields])
        raise ActionError(f"{message} (put a text that contains = in quotes)")
    if not left:
        raise ActionError(f"{verb} takes no {'more ' if values else ''}fields, got {text!r}")
    return left[0], text


def usage(verb: str, spec: Verb) -> str:
    """Return the usage of a verb, such as `review rating [review]`."""
    return " ".join([verb, *(field.name if field.required else f"[{field.name}]" for field in spec.fields)])


def complete_line(line: str, verbs: Mapping[str, Verb], buttons: Sequence[str]) -> tuple[str, list[str]]:
    """Return the last word of a line, and its completions: verbs, buttons or fields.

    Args:
        line: The line before the cursor.
        verbs: The verbs of the platform.
        buttons: The names of the buttons that can be pressed, in order.
    """
    if not line.startswith("/") or line.startswith("//"):
        return "", []
    verb, space, rest = line[1:].partition(" ")
    if not space:
        return verb, [*(name for name in verbs if name != "text"), WAIT]
    fields = verbs[verb].fields if verb in verbs else ()
    if fields and fields[0].type is Choice:
        return rest.removeprefix(f"{fields[0].name}="), _button_words(buttons)
    return rest.rpartition(" ")[2], [f"{field.name}=" for field in fields if f"{field.name}=" not in rest]


def _button_words(buttons: Sequence[str]) -> list[str]:
    """Return the text to type for each button: its name, or its number if the name is not one unique line of text."""
    count = Counter(buttons)
    return [
        name if name.isprintable() and name.strip() and count[name] == 1 else str(n)
        for n, name in enumerate(buttons, 1)
    ]


def describe_verbs(verbs: Mapping[str, Verb]) -> str:
    """Return the help of the verbs, one line each."""
    lines = {usage(verb, spec): spec.help for verb, spec in verbs.items() if verb != "text"}
    lines[f"{WAIT} seconds"] = "wait without sending anything"
    width = max(map(len, lines))
    return "\n".join(f"/{typed:<{width}}  {text}" for typed, text in lines.items())


def _take_value(verb: str, field: Field, text: str, left: list[Field]) -> tuple[Json, str]:
    """Return the value of a field, and the rest of the text."""
    if field.type is Choice:
        return text, ""
    if field.type in (dict, list, object) and (text.startswith(("{", "[")) or field.type is not list):
        try:
            value, end = JSON.raw_decode(text)
        except (ValueError, RecursionError) as error:
            raise ActionError(f"{verb}: {field.name} must be JSON: {error}") from None
        return value, text[end:]
    word, text = _take_word(text, left)
    if field.type is list:
        return [each.strip() for each in word.split(",")], text
    if field.type in (int, float, bool):
        try:
            return VALUE_TYPES[field.type].convert(word), text
        except (ValueError, KeyError, OverflowError):
            raise ActionError(
                f"{verb}: {field.name} must be {VALUE_TYPES[field.type].description}, got {word!r}"
            ) from None
    return word, text


def _take_word(text: str, left: list[Field]) -> tuple[str, str]:
    """Return the first word or quoted text, and the rest.

    The last field takes the whole text. A text before `key=` of another field ends there.
    """
    if text.startswith('"'):
        try:
            value, end = json.JSONDecoder().raw_decode(text)
            if not text[end:] or text[end].isspace():
                return str(value), text[end:]
        except ValueError:
            pass  # a text that begins with a quotation mark
    if not left:
        return text, ""
    next_key = re.search(rf"\s(?={'|'.join(f'{field.name}=' for field in left)})", text)
    end = next_key.start() if next_key else (text + " ").index(" ")
    return text[:end], text[end:]
