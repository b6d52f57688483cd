r'''What people type in a `%%chat` cell, or a line at a time in a terminal, as steps.

    where is my order?         is said: one turn a line
    one \                      goes on in the next line
    """                        lines between two of these are one message
    /press Track order         does something the platform knows: a verb and its fields, in order or as key=value
    /wait 2                    waits so many seconds, nothing is sent
    //press                    is said, with one slash
    ?? Saturday                the reply before must have these words; /…/ is a regular expression, /…/i in any case
    # what this is for         is left out, if comments are asked for

All else is sent byte for byte.
'''

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from socketnb.errors import ActionError, unknown
from socketnb.model.content import Choice
from socketnb.model.secret import Secret
from socketnb.settings import VALUE_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from socketnb.model.actions import Field, Verb

FENCE = '"""'
WAIT = "wait"
LONGEST_WAIT = 86_400.0
PATIENCE = 2.0
"""Seconds that a regular expression is looked for: a bot may say what takes one for ever."""
NAME = re.compile(r"\{\{(.*?)\}\}")
VERB = re.compile(r"/(\w+)(?:\s+(.*))?", re.DOTALL)
PATTERN = re.compile(r"/(.+)/(i?)", re.DOTALL)
KEY = re.compile(r"(\w+)=\s*")


def _no_json(sign: str) -> Any:
    raise ValueError(f"{sign} is no JSON")


JSON = json.JSONDecoder(parse_constant=_no_json)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `line` is the number of the line where it stands."""

    line: int
    text: str


class Say(Step):
    """Say the text."""


@dataclass(frozen=True, slots=True)
class Act(Step):
    """Do what a verb does; the text is its fields as they were typed."""

    verb: str


class Wait(Step):
    """Wait so many seconds."""

    @property
    def seconds(self) -> float:
        """How long.

        Raises:
            ActionError: it is no number, or more than a day.
        """
        try:
            seconds = float(self.text)
        except ValueError:
            seconds = -1
        if not 0 <= seconds <= LONGEST_WAIT:
            raise ActionError(f"/{WAIT} takes seconds, as in /{WAIT} 2, not {self.text!r}")
        return seconds


class Expect(Step):
    """Check the reply before: it has these words, or what a regular expression finds."""

    def met(self, reply: str) -> bool:
        """Tell whether a reply is as expected.

        Raises:
            ActionError: the regular expression is none.
        """
        found = PATTERN.fullmatch(self.text)
        if not found:
            return self.text in reply
        import regex

        try:
            flags = regex.MULTILINE | (regex.IGNORECASE if found[2] else 0)
            return bool(regex.search(found[1], reply, flags, timeout=PATIENCE))
        except TimeoutError:
            raise ActionError(f"{self.text} takes more than {PATIENCE:g} s to look for: make it simpler") from None
        except (regex.error, OverflowError, RecursionError) as error:
            raise ActionError(f"{self.text} is no regular expression ({error})") from None


def steps(
    body: str,
    *,
    first: int = 1,
    whole: bool = False,
    comments: bool = False,
    names: Mapping[str, Any] | None = None,
    secret: Callable[[str], bool] = lambda _: False,
) -> list[Step]:
    """Return what a cell's body asks for, in order.

    Args:
        body: the cell without its first line; one line end at its end is the cell's.
        first: the number of its first line.
        whole: the body is one message, whatever is in it.
        comments: leave lines that begin with # out.
        names: put these in the place of `{{name}}`.
        secret: tells whether a value has a credential in it; such a one is not said.

    Raises:
        ActionError: a line cannot be read, or a name is missing; the sentence names the line.
    """
    body = body.removesuffix("\n")
    found = (
        [Say(first, body)]
        if whole
        else list(_read([line.removesuffix("\r") for line in body.split("\n")], first, comments))
    )
    filled = [step if names is None else _filled(step, names, secret) for step in found]
    for step, before in zip(filled, [None, *filled], strict=False):
        with_line(step, _check, step, before)
    return filled


def _read(lines: list[str], first: int, comments: bool) -> Iterator[Step]:  # noqa: FBT001 (handed through)
    at = 0
    while at < len(lines):
        line, number = lines[at], at + first
        at += 1
        if line.rstrip() == FENCE:
            ends = [n for n in range(at, len(lines)) if lines[n].rstrip() == FENCE]
            if not ends:
                raise ActionError(
                    f"line {number}: {FENCE} begins a message that no later {FENCE} ends; nothing was sent"
                )
            yield Say(number, "\n".join(lines[at : ends[0]]))
            at = ends[0] + 1
        elif line.strip() and not (comments and line.startswith("#")):
            while line.endswith("\\") and at < len(lines):
                line = line[:-1] + lines[at]
                at += 1
            yield _step(number, line)


def _step(number: int, line: str) -> Step:
    if line.startswith("//"):
        return Say(number, line[1:])
    if line.startswith("??") and not line.startswith("???"):
        if not line[2:].strip():
            raise ActionError(
                f"line {number}: ?? is followed by what is expected; {FENCE} around it says it; nothing was sent"
            )
        return Expect(number, line[2:].strip())
    if not line.startswith("/"):
        return Say(number, line)
    found = VERB.fullmatch(line)
    if not found:
        raise ActionError(
            f"line {number}: /verb does something, and // says a line that begins with /; nothing was sent"
        )
    verb, rest = found[1], (found[2] or "").rstrip()
    return Wait(number, rest) if verb == WAIT else Act(number, rest, verb)


def _filled(step: Step, names: Mapping[str, Any], secret: Callable[[str], bool]) -> Step:
    def value(found: re.Match[str]) -> str:
        name = found[1].strip()
        if not name.isidentifier():
            raise ActionError(f"line {step.line}: {found[0]} is no name: give what it stands for one; nothing was sent")
        if name not in names:
            raise ActionError(f"line {step.line}: the notebook has no {name!r} for {found[0]}; nothing was sent")
        said = str(names[name])
        if isinstance(names[name], Secret) or secret(said):
            raise ActionError(f"line {step.line}: {name!r} has a credential in it, which is not said; nothing was sent")
        return said

    return replace(step, text=NAME.sub(value, step.text))


def expected(text: str) -> Expect:
    """Return what `--expect` asks for, checked.

    Raises:
        ActionError: the regular expression is none.
    """
    if not text.strip():
        raise ActionError("--expect takes what the reply must have")
    step = Expect(0, text)
    with_line(step, step.met, "")
    return step


def _check(step: Step, before: Step | None) -> None:
    match step:
        case Wait():
            _ = step.seconds
        case Expect():
            if before is None:
                raise ActionError("?? checks the reply of a turn, and there is none before it")
            step.met("")


def with_line(step: Step, do: Any, *args: Any, left: str = "nothing was sent") -> Any:
    """Call a function; what a user has done wrong is told with its line.

    Raises:
        ActionError: it does.
    """
    try:
        return do(*args)
    except ActionError as error:
        said = str(error).replace("; nothing was sent", "").replace(" (nothing was sent)", "")
        where = f"line {step.line}" if step.line else "--expect"
        raise ActionError(f"{where}: {said}; {left}") from None


def fields(verb: str, verbs: Mapping[str, Verb], text: str) -> dict[str, Any]:
    """Return a verb's fields from what was typed after it: in their order, or as key=value.

    A field takes a word, a quoted text or JSON; the last one takes all that is left.

    Raises:
        ActionError: there is no such verb or field, or a value is not of its field's type.
    """
    if verb not in verbs:
        raise ActionError(f"{unknown('verb', verb, [*verbs, WAIT])} (// says a line that begins with /)")
    left, values = list(verbs[verb].fields), dict[str, Any]()
    text = text.strip()
    while text:
        key = KEY.match(text)
        if key and not (left and left[0].type is Choice and key[1] != left[0].name):
            field = next((field for field in left if field.name == key[1]), None)
            if field is None:
                known = [field.name for field in verbs[verb].fields]
                twice = f"{verb}: {key[1]} is given twice"
                wrong = f"{unknown(f'{verb} field', key[1], known)} (a text with = in it stands in quotes)"
                raise ActionError(twice if key[1] in values else wrong)
            text = text[key.end() :]
        elif left:
            field = left[0]
        else:
            raise ActionError(f"{verb} takes {'no more' if values else 'nothing'}, and this is left over: {text!r}")
        left.remove(field)
        values[field.name], text = _taken(verb, field, text, left)
        text = text.strip()
    if missing := [field.name for field in left if field.required]:
        raise ActionError(f"{verb} needs {' and '.join(missing)}: /{usage(verb, verbs[verb])}")
    return values


def usage(verb: str, how: Verb) -> str:
    """Return how a verb is typed: `review rating [review]`."""
    return " ".join([verb, *(f.name if f.required else f"[{f.name}]" for f in how.fields)])


def completed(typed: str, known: Mapping[str, Verb], choices: Sequence[Choice]) -> tuple[str, list[str]]:
    """Return what of a line is typed of its last word, and what that may become: a verb, a button, a field."""
    if not typed.startswith("/") or typed.startswith("//"):
        return "", []
    verb, space, rest = typed[1:].partition(" ")
    if not space:
        return verb, [*(name for name in known if name != "text"), WAIT]
    fields = known[verb].fields if verb in known else ()
    if fields and fields[0].type is Choice:
        return rest.removeprefix(f"{fields[0].name}="), _pressed(choices)
    return rest.rpartition(" ")[2], [f"{field.name}=" for field in fields if f"{field.name}=" not in rest]


def _pressed(choices: Sequence[Choice]) -> list[str]:
    """Return what presses each of these: its label, or its place where that is more than a line of words."""
    return [c.label if c.label.isprintable() and c.label.strip() else str(n) for n, c in enumerate(choices, 1)]


def verbs(known: Mapping[str, Verb]) -> str:
    """Return what can be typed after a /, a line each."""
    lines = {usage(verb, how): how.help for verb, how in known.items() if verb != "text"}
    lines[f"{WAIT} seconds"] = "send nothing for so long"
    width = max(map(len, lines))
    return "\n".join(f"/{typed:<{width}}  {said}" for typed, said in lines.items())


def _taken(verb: str, field: Field, text: str, left: list[Field]) -> tuple[Any, str]:
    """Return a field's value, and what is left of the text."""
    if field.type is Choice:
        return text, ""
    if field.type in (dict, list, object) and (text.startswith(("{", "[")) or field.type is not list):
        try:
            value, end = JSON.raw_decode(text)
        except (ValueError, RecursionError) as error:
            raise ActionError(f"{verb}: {field.name} is JSON, and this is not: {error}") from None
        return value, text[end:]
    word, text = _word(text, left)
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


def _word(text: str, left: list[Field]) -> tuple[str, str]:
    """Return the first word, or a quoted text; all, up to the next key=, if no other field is left for it."""
    if text.startswith('"'):
        try:
            value, end = json.JSONDecoder().raw_decode(text)
            if not text[end:] or text[end].isspace():
                return value, text[end:]
        except ValueError:
            pass  # a text that has a quote in it
    if not left:
        return text, ""
    named = re.search(rf"\s(?={'|'.join(f'{field.name}=' for field in left)})", text)
    end = named.start() if named else (text + " ").index(" ")
    return text[:end], text[end:]
