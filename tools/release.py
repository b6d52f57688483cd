"""Build a release and test what was built: `make release VERSION=1.2.3`.

The script checks that the package and the changelog have this version, and builds a wheel and an sdist into `dist/`.
Then it installs the wheel into a clean virtual environment and runs the tests against it, without the source tree, and
installs the sdist into another one and imports it. It uploads nothing.

Left out with the wheel are the tests in `tests/project`, which check the source tree itself. `--quick` leaves out
those in a browser or a kernel and slow ones, too.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
WHERE = "import sys, socketnb; print(socketnb.__version__, socketnb.__file__.startswith(sys.prefix))"
IN_SDIST = (
    "LICENSE README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md Makefile constraints.txt docs tests tools".split()
)
QUICK = ["-m", "not browser and not kernel and not slow"]


def step(title: str, *command: str | Path, cwd: Path = ROOT) -> str:
    """Run a command without the user's Python settings and return its output; if it fails, end with what it printed."""
    print(f"{title} …", flush=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(f"{done.stdout[-5000:]}{done.stderr[-5000:]}\nrelease: failed at: {title}")
    return done.stdout


def check(version: str) -> None:
    """Check that the version is well formed, and that the package and the changelog have it."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        sys.exit(f"release: VERSION must be like 1.2.3, got {version!r}")
    package = re.search(r'^__version__ = "(.+)"', (ROOT / "socketnb" / "__init__.py").read_text(), re.MULTILINE)
    if not package or package[1] != version:
        sys.exit(f"release: socketnb/__init__.py has version {package and package[1]}; set __version__ to {version}")
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)"
    entry = re.search(heading, (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE | re.DOTALL)
    if not entry or "- " not in entry[1]:
        sys.exit(f"release: CHANGELOG.md needs a section '## [{version}] - YYYY-MM-DD' that lists the changes")


def build(version: str) -> tuple[Path, Path]:
    """Build both distributions, and return the paths of the wheel and the sdist."""
    shutil.rmtree(DIST, ignore_errors=True)
    step("Building wheel and sdist", sys.executable, "-m", "build", "--outdir", DIST, ROOT)
    wheel, sdist = DIST / f"socketnb-{version}-py3-none-any.whl", DIST / f"socketnb-{version}.tar.gz"
    with tarfile.open(sdist) as archive:
        names = {Path(name).parts[1] for name in archive.getnames() if len(Path(name).parts) > 1}
    if missing := set(IN_SDIST) - names:
        sys.exit(f"release: the sdist lacks {', '.join(sorted(missing))}; see [tool.hatch.build.targets.sdist]")
    return wheel, sdist


def install(folder: Path, distribution: Path, version: str, extra: str = "") -> Path:
    """Install a distribution into a new virtual environment, check the import, and return its interpreter."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    constraints: list[str | Path] = ["--constraint", ROOT / "constraints.txt"]
    step(f"Installing {distribution.name} into a clean environment", *pip, *constraints, f"{distribution}{extra}")
    if (found := step("Importing it", python, "-c", WHERE, cwd=folder).strip()) != f"{version} True":
        sys.exit(f"release: the installed package has another version or place: {found}")
    return python


def main() -> None:
    """Check, build, install and test."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="the version, such as 1.2.3")
    parser.add_argument("--quick", action="store_true", help="leave out slow tests and those in a browser or kernel")
    options = parser.parse_args()
    check(options.version)
    wheel, sdist = build(options.version)
    if not options.quick:
        step("Installing what the tests need", sys.executable, ROOT / "tests" / "provide.py")
    with tempfile.TemporaryDirectory(prefix="socketnb-release-") as name:
        folder = Path(name)
        install(folder / "sdist", sdist, options.version)
        python = install(folder / "wheel", wheel, options.version, "[dev]")
        tree = folder / "tree"  # the tests without the package beside them, so that they import the installed one
        for part in ("tests", "notebooks", "docs"):
            shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
        for part in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / part, tree)
        node_modules = ROOT / "tests" / "interop" / "node_modules"
        if node_modules.is_dir():
            (tree / "tests" / "interop" / "node_modules").symlink_to(node_modules)
        tests: list[str | Path] = [
            python,
            "-m",
            "pytest",
            "-q",
            "-n",
            "auto",
            "--dist",
            "loadgroup",
            "--ignore",
            "tests/project",
        ]
        output = step("Testing the installed wheel", *tests, *(QUICK if options.quick else []), cwd=tree)
    print(output.strip().splitlines()[-1])
    print(f"{options.version} is ready: {wheel.relative_to(ROOT)}, {sdist.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
