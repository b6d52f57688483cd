"""Plant small faults in the code, one at a time, and print which of them the tests notice: `make mutants`.

Cosmic Ray makes the mutants. This script draws a random sample of them (the same for the same seed), at most one for
each place in the code, and runs the tests of the mutant's package against each. Mutants that change nothing when the
program runs, such as those of annotations, are left out. A mutant is

* killed: a test failed, which is what should happen;
* survived: all tests passed, so either a test is missing or the mutant is equivalent to the code;
* timeout: the tests hung, which counts as noticed.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db

ROOT = Path(__file__).parents[1]
PACKAGES = ("dialects", "recording", "frames")
"""The packages that are mutated. The tests of each are in the folder of the same name in `tests`."""
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "dist", "node_modules", "test-artefacts"
)
PYTEST = ("-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--hypothesis-profile=mutants")
MARKS = ("-m", "not slow and not kernel and not browser")
BASELINE_TIMEOUT_S = 900.0
Outcome = Literal["killed", "survived", "timeout"]


class Mutant(NamedTuple):
    """One changed place. `path` is relative to the root of the project."""

    path: str
    line: int
    operator: str
    code: str

    @property
    def package(self) -> str:
        """The package that the mutant is in."""
        return Path(self.path).parts[1]

    def diff(self) -> str:
        """Return what was changed, as a unified diff without context."""
        before = (ROOT / self.path).read_text().splitlines()
        lines = difflib.unified_diff(before, self.code.splitlines(), lineterm="", n=0)
        return "\n".join(f"    {line}" for line in list(lines)[3:])


class Annotations(ast.NodeTransformer):
    """Removes what has no effect when the program runs: annotations, docstrings, the condition of typing imports."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """Keep the target and the value."""
        self.generic_visit(node)
        node.annotation = ast.Constant(None)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Remove the annotation of an argument."""
        node.annotation = None
        return node

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        """Ignore the signs `/` and `*` between parameters, which look like operators."""
        self.generic_visit(node)
        node.args = [*node.posonlyargs, *node.args, *node.kwonlyargs]
        node.defaults = [*node.defaults, *filter(None, node.kw_defaults)]
        node.posonlyargs, node.kwonlyargs, node.kw_defaults = [], [], []
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Remove the annotation of the result."""
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """Remove the annotation of the result."""
        node.returns = None
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST:
        """Ignore the condition of imports that only the type checker sees."""
        if "TYPE_CHECKING" in ast.unparse(node.test):
            node.test = ast.Constant(None)
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """Empty a docstring."""
        if isinstance(node.value, ast.Constant):
            node.value = ast.Constant(None)
        return self.generic_visit(node)


def effect(code: str | None) -> str | None:
    """Return a text that is equal for programs that differ only in annotations, docstrings or layout.

    None means that there is no such program: some mutations are no valid Python.
    """
    try:
        return ast.dump(Annotations().visit(ast.parse(code or "")))
    except SyntaxError:
        return None


def sample(packages: list[str], size: int, seed: int) -> list[Mutant]:
    """Return a random sample of the mutants of some packages."""
    paths = [path for package in packages for path in sorted((ROOT / "socketnb" / package).rglob("*.py"))]
    with tempfile.TemporaryDirectory() as folder, use_db(Path(folder) / "mutants.sqlite", WorkDB.Mode.create) as db:
        init(paths, db, {})
        found = [mutation for item in db.work_items for mutation in item.mutations]
    found.sort(key=lambda m: (str(m.module_path), m.start_pos, m.operator_name, m.occurrence))
    random.Random(seed).shuffle(found)  # noqa: S311 (a sample, not a secret)
    effects = {path: effect(path.read_text()) for path in paths}
    mutants: dict[tuple[Path, tuple[int, int]], Mutant] = {}
    for mutation in found:
        path, place = Path(mutation.module_path), (Path(mutation.module_path), mutation.start_pos)
        if place in mutants:
            continue
        operator = get_operator(mutation.operator_name)(**mutation.operator_args)
        code = mutate_code(path.read_text(), operator, mutation.occurrence)
        if code and effect(code) not in (None, effects[path]):
            name = mutation.operator_name.removeprefix("core/")
            mutants[place] = Mutant(str(path.relative_to(ROOT)), mutation.start_pos[0], name, code)
        if len(mutants) == size:
            break
    return sorted(mutants.values())


def test(copy: Path, package: str, path: str, timeout: float) -> Outcome:
    """Run the tests of a package in a copy of the project, those that are nearest to the changed file first."""
    files = sorted((copy / "tests" / package).glob("test_*.py"))
    words = {part.removesuffix(".py") for part in Path(path).parts[2:]} - {"__init__"}
    files.sort(key=lambda file: not any(word in file.stem for word in words))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(copy), os.environ.get("PYTHONPATH")])),
        "PYTHONDONTWRITEBYTECODE": "1",  # the bytecode of a mutant must not be used for the next one
    }
    with subprocess.Popen(  # noqa: S603 (our own tests)
        [sys.executable, *PYTEST, *MARKS, *map(str, files)],
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return "timeout"
    if not path and process.returncode:
        sys.exit(f"the tests in tests/{package} fail without any mutant:\n{output[-3000:]}")
    return "killed" if process.returncode else "survived"


def main() -> None:
    """Draw the sample, test each mutant, and print the table and the survivors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=200, help="how many mutants to test (default: 200)")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the random sample (default: 1)")
    parser.add_argument("--processes", type=int, default=2, help="how many to test at the same time (default: 2)")
    parser.add_argument("--package", action="append", choices=PACKAGES, help="only this package (may be repeated)")
    options = parser.parse_args()
    packages = options.package or list(PACKAGES)
    started = time.monotonic()

    mutants = sample(packages, options.sample, options.seed)
    outcomes: Counter[tuple[str, str]] = Counter()
    survivors: list[Mutant] = []
    with tempfile.TemporaryDirectory(prefix="socketnb-mutants-") as folder:
        copies: queue.Queue[Path] = queue.Queue()
        for number in range(options.processes):
            copies.put(shutil.copytree(ROOT, Path(folder) / str(number), ignore=NOT_COPIED))
        timeouts = {}
        for package in packages:  # the tests must pass without a mutant; their time decides what a hang is
            copy, before = copies.get(), time.monotonic()
            test(copy, package, "", BASELINE_TIMEOUT_S)
            timeouts[package] = 30 + 3 * (time.monotonic() - before)
            print(f"tests/{package} pass in {time.monotonic() - before:.0f} s", flush=True)
            copies.put(copy)

        def run(mutant: Mutant) -> tuple[Mutant, Outcome]:
            copy = copies.get()
            original = (copy / mutant.path).read_text()
            try:
                (copy / mutant.path).write_text(mutant.code)
                return mutant, test(copy, mutant.package, mutant.path, timeouts[mutant.package])
            finally:
                (copy / mutant.path).write_text(original)
                copies.put(copy)

        with ThreadPoolExecutor(options.processes) as pool:
            for number, (mutant, outcome) in enumerate(pool.map(run, mutants), 1):
                outcomes[mutant.package, outcome] += 1
                survivors += [mutant] if outcome == "survived" else []
                place = f"{mutant.path}:{mutant.line}"
                print(f"{number:>4}/{len(mutants)}  {outcome:<9} {place}  {mutant.operator}", flush=True)

    print(f"\n{'package':<12} {'mutants':>8} {'killed':>8} {'timeout':>8} {'survived':>9}")
    for package in [*packages, "all"]:
        count = {
            name: sum(n for (where, what), n in outcomes.items() if package in (where, "all") and what == name)
            for name in ("killed", "timeout", "survived")
        }
        total = sum(count.values())
        print(f"{package:<12} {total:>8} {count['killed']:>8} {count['timeout']:>8} {count['survived']:>9}")
    print(f"\nseed {options.seed}, {time.monotonic() - started:.0f} s, {len(survivors)} survivors")
    for mutant in survivors:
        print(f"\n{mutant.path}:{mutant.line}  {mutant.operator}\n{mutant.diff()}")


if __name__ == "__main__":
    main()
