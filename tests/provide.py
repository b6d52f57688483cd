"""Sees to it that the browser and the npm clients are there for the tests, or says in one line what to install."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APT = ["apt-get", "install", "-y", "--no-install-recommends"]
INTEROP = Path(__file__).parent / "interop"


def browser() -> str | None:
    """Return the path of a Chromium, if there is one."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def run(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def install(*packages: str) -> None:
    """Install Debian packages, where this user may."""
    if sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {packages[0]} for the tests", flush=True)
        run("apt-get", "update")
        run(*APT, *packages)


def npm_clients() -> bool:
    """Install what tests/interop names, unless it is there as named."""
    wanted = (INTEROP / "package.json").read_bytes()
    stamp = INTEROP / "node_modules" / ".provided"
    if stamp.is_file() and stamp.read_bytes() == wanted:
        return True
    npm = shutil.which("npm")
    if not npm or not run(npm, "install", "--prefix", str(INTEROP), "--no-package-lock", "--no-audit", "--no-fund"):
        return False
    stamp.write_bytes(wanted)
    return True


def main() -> None:
    if not browser():
        install("chromium", "fonts-dejavu-core")
    if not browser():
        print("No Chromium: install it (Debian: apt-get install chromium) to run tests/test_browser.py, skipped below")
    if not shutil.which("npm"):
        install("nodejs", "npm")
    if not npm_clients():
        print(
            "No npm: install Node.js (Debian: apt-get install nodejs npm) to run tests/test_interop.py, skipped below"
        )


if __name__ == "__main__":
    main()
