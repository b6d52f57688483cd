"""Write the tables that repeat facts of the code into the pages of this folder: `make docs`.

A page marks the place of a table with two comments, and what is between them is replaced:

    <!-- begin: settings cognigy -->
    <!-- end -->

The words after `begin:` are a function of `BLOCKS` and its arguments. `python docs/generate.py --check` writes nothing
and fails if a page is out of date.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

import socketnb
import socketnb.frames.columns
import socketnb.frames.exports
from socketnb import errors, frames
from socketnb.dialects import registry
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.frames.accessor import Chat as Accessor
from socketnb.hub import Hub
from socketnb.model.actions import Field, Setting
from socketnb.model.content import Choice
from socketnb.model.trace import Column
from socketnb.ui import cli
from socketnb.ui.commands import COMMANDS
from socketnb.ui.magic import Chat

DOCS = Path(__file__).parent
ROOT = DOCS.parent
BLOCK = re.compile(r"(<!-- begin: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
OBJECTS = {
    "Session": socketnb.Session,
    "Turn": socketnb.Turn,
    "Message": socketnb.Message,
    "Conversation": socketnb.Conversation,
    "Call": socketnb.Call,
    "Simulator": socketnb.Simulator,
    "Recording": socketnb.Recording,
    "Flow": Flow,
    "FlowTurn": FlowTurn,
    "chat": Accessor,
}
"""What `members` can describe, by the name in the page."""
TYPES = {str: "text", int: "whole number", float: "number", bool: "True or False", dict: "object", list: "list"}
"""The types of fields in words."""


def table(head: str, rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table. `head` has the titles of its columns, separated by `|`."""
    titles = [title.strip() for title in head.split("|")]
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def code(value: object) -> str:
    """Return a value as Markdown code."""
    return f"`{value}`"


def summary(thing: object) -> str:
    """Return the first sentence of a docstring."""
    text = inspect.cleandoc(getattr(thing, "__doc__", "") or "").split("\n\n")[0]
    return sentence(" ".join(text.split()))


def sentence(text: str) -> str:
    """Return the first sentence of a text."""
    return re.split(r"(?<=\w\w[.!?])\s|(?<=[`)][.!?])\s", text)[0]


def settings(platform: str) -> str:
    """Return the settings of a platform."""
    return _settings(registry.get(platform).settings)


def options(platform: str) -> str:
    """Return the options of a platform's simulator."""
    return _settings(registry.get(platform).options)


def _settings(known: Mapping[str, Setting]) -> str:
    rows = []
    for name, setting in known.items():
        among = f" ({', '.join(code(word) for word in setting.among)})" if setting.among else ""
        if setting.required:
            default = "required"
        elif setting.generate:
            default = "generated"
        elif isinstance(setting.default, tuple):
            default = ", ".join(code(word) for word in setting.default)
        elif setting.default in (None, ""):
            default = ""
        else:
            default = code(setting.default)
        rows.append([code(name), setting.help + among, default])
    return table("name | meaning | default", rows)


def verbs(platform: str) -> str:
    """Return the verbs of a platform with their fields."""
    known = registry.get(platform).verbs
    return table(
        "verb | fields | meaning",
        ([code(name), ", ".join(map(_field, verb.fields)), verb.help] for name, verb in known.items()),
    )


def _field(field: Field) -> str:
    words = {**TYPES, Choice: "button", Path: "file", object: "any JSON"}
    kind = words.get(field.type, field.type.__name__)
    return f"`{field.name}` ({kind}{'' if field.required else ', optional'})"


def faults(platform: str) -> str:
    """Return the faults of a platform's simulator."""
    known = {"drop": "every link is cut, as if a cable was pulled", **registry.get(platform).faults}
    return table("fault | effect", ([code(name), text] for name, text in known.items()))


def columns(frame: str) -> str:
    """Return the columns of a frame: traces, messages, turns, sessions or recordings."""
    known: Mapping[str, Column] = getattr(frames.columns, f"{frame[:-1].upper()}_COLUMNS")
    rows = ([code(n), code(c.dtype), "yes" if c.nullable else "", c.description] for n, c in known.items())
    return table("column | dtype | may be missing | meaning", rows)


def commands() -> str:
    """Return the commands of `%chat`."""
    rows = []
    command: Any
    for name, command in COMMANDS.items():
        usage = " ".join(command.parser.format_usage().split()).partition(name)[2].replace("[-h]", "").strip()
        text = " ".join((command.parser.description or "").strip().split("\n\n")[0].split())
        rows.append([code(f"{name} {usage}".strip()), text])
    return table("`%chat …` | what it does", rows)


def cell() -> str:
    """Return the options of `%%chat`."""
    rows = []
    talk: Any = Chat.talk
    for action in talk.parser._actions:  # noqa: SLF001 (argparse has no public list)
        value = action.metavar or ("|".join(action.choices) if action.choices else action.dest.upper())
        value = "" if action.nargs == 0 else f" {value}"
        names = [f"{name}{value}" for name in action.option_strings] or [action.dest.upper()]
        rows.append([", ".join(map(code, names)), action.help or ""])
    return table("option of `%%chat` | meaning", rows)


def config() -> str:
    """Return the settings of the magics."""
    traits = Chat.class_own_traits(config=True)
    return table(
        "setting | meaning | default",
        ([code(f"Chat.{name}"), trait.help, code(trait.default_value)] for name, trait in traits.items()),
    )


def formats() -> str:
    """Return the formats of exports."""
    rows = (
        [code(name), export.description, ", ".join(map(code, export.suffixes)), "yes" if export.is_text else ""]
        for name, export in frames.exports.EXPORTS.items()
    )
    return table("format | content | suffix | can be printed", rows)


def command_line() -> str:
    """Return the commands of the command line."""
    rows = []
    for name, command in cli.commands.commands.items():
        context = click.Context(command, info_name=name)
        usage = " ".join(command.collect_usage_pieces(context)).replace("[OPTIONS]", "").strip()
        rows.append([code(f"socketnb {name} {usage}".strip()), command.get_short_help_str(200)])
    return table("command | what it does", rows)


def members(name: str, *left_out: str) -> str:
    """Return the public attributes, properties and methods of a class. A name after a `-` is left out."""
    owner = OBJECTS[name]
    found = {attribute: (attribute, text) for attribute, text in _attributes(owner).items()}
    methods = {name: value for base in reversed(owner.__mro__[:-1]) for name, value in vars(base).items()}
    for method, value in methods.items():
        if isinstance(value, property):
            found[method] = (method, summary(value))
        elif callable(value):
            found[method] = (f"{method}{_signature(value)}", summary(value))
    hidden = {word.removeprefix("-") for word in left_out}
    return table(
        "name | meaning",
        ([code(title), text] for key, (title, text) in found.items() if key[0] != "_" and key not in hidden),
    )


def _attributes(owner: type) -> dict[str, str]:
    """Return the attributes that a class docstring lists."""
    found = re.search(r"^Attributes:\n(.*?)(?=^\S|\Z)", inspect.cleandoc(owner.__doc__ or ""), re.MULTILINE | re.DOTALL)
    lines = re.sub(r"\n\s{5,}", " ", found[1]) if found else ""
    pairs = (line.strip().partition(": ") for line in lines.splitlines() if ": " in line)
    return {name: text for names, _, text in pairs for name in names.split(", ")}


def _signature(function: Callable[..., Any]) -> str:
    """Return the parameters of a function without annotations."""
    signature = inspect.signature(function)
    own = [p.replace(annotation=p.empty) for name, p in signature.parameters.items() if name != "self"]
    return str(signature.replace(parameters=own, return_annotation=signature.empty))


def names() -> str:
    """Return the public names of the package."""
    rows = []
    for name in socketnb.__all__:
        value = getattr(socketnb, name)
        if not (inspect.isclass(value) and issubclass(value, Exception)):
            rows.append([code(f"snb.{name}"), summary(value)])
    return table("name | meaning", rows)


def parameters(name: str) -> str:
    """Return the parameters of a method of the hub, as its docstring describes them."""
    doc = inspect.cleandoc(getattr(Hub, name).__doc__ or "")
    found = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", doc, re.MULTILINE | re.DOTALL)
    lines = re.sub(r"\n\s{5,}", " ", found[1]) if found else ""
    pairs = (line.strip().partition(": ") for line in lines.splitlines() if ": " in line)
    known = inspect.signature(getattr(Hub, name)).parameters
    rows = []
    for parameter, _, text in pairs:
        if (plain := parameter.lstrip("*")) == parameter and plain in known:
            default = known[plain].default
            rows.append([code(parameter), text, "" if default in (inspect.Parameter.empty, None) else code(default)])
    return table("name | meaning | default", rows)


def tree() -> str:
    """Return the tree of errors."""
    lines = (errors.__doc__ or "").splitlines()
    return "```text\n" + "".join(f"{line[4:]}\n" for line in lines if line.startswith("    ")) + "```\n"


def layers() -> str:
    """Return the layers from top to bottom, with the first sentence of each module or package."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = (contract for contract in contracts if contract["type"] == "layers")
    rows = []
    for number, layer in enumerate(contract["layers"]):
        for module in layer.split(" | "):
            place = ROOT / "socketnb" / module
            file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
            text = " ".join((ast.get_docstring(ast.parse(file.read_text())) or "").split("\n\n")[0].split())
            rows.append(
                [str(len(contract["layers"]) - number), code(module + ("/" if place.is_dir() else ".py")), text]
            )
    return table("layer | module | content", rows)


BLOCKS: dict[str, Callable[..., str]] = {
    block.__name__.replace("_", " "): block
    for block in (
        *(settings, options, verbs, faults, columns, commands, cell, config, formats, command_line, members, names),
        *(parameters, tree, layers),
    )
}
"""What a page can contain, by the first words of its marker."""


def generated(page: str) -> str:
    """Return the text of a page with its tables made anew.

    Raises:
        KeyError: A marker names no function of `BLOCKS`.
    """

    def block(found: re.Match[str]) -> str:
        name = next((name for name in BLOCKS if f"{found[2]} ".startswith(f"{name} ")), found[2])
        return f"{found[1]}{BLOCKS[name](*found[2].removeprefix(name).split())}{found[3]}"

    return BLOCK.sub(block, page)


def main() -> None:
    """Write the pages, or check them."""
    importlib.import_module("socketnb.frames.accessor")
    old = [page for page in sorted(DOCS.glob("*.md")) if generated(page.read_text()) != page.read_text()]
    if "--check" in sys.argv:
        sys.exit(f"out of date, run `make docs`: {', '.join(page.name for page in old)}" if old else 0)
    for page in old:
        page.write_text(generated(page.read_text()))
        print("wrote", page.name)


if __name__ == "__main__":
    main()
