"""Sees to it that the tests have a browser, npm packages and older kernels, or says in one line what to install."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APT = ["apt-get", "install", "-y", "--no-install-recommends"]
INTEROP = Path(__file__).parent / "interop"
IPYKERNELS = {  # beside the one that constraints.txt pins
    "7.3": ["ipykernel==7.3.*"],
    "6.31": ["ipykernel==6.31.*", "nest_asyncio==1.6.*"],
}


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


def ipykernel(version: str) -> Path:
    """Return the folder in which another version of ipykernel is, once it is provided."""
    return Path(__file__).parent.parent / ".venv" / f"ipykernel-{version}"


def older_kernel(version: str) -> bool:
    """Install a version of ipykernel into a folder of its own, unless it is there as named."""
    wanted = "\n".join(IPYKERNELS[version])
    stamp = ipykernel(version) / ".provided"
    if stamp.is_file() and stamp.read_text() == wanted:
        return True
    shutil.rmtree(stamp.parent, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    # Without what it depends on: all of that is in .venv, and a second traitlets or pyzmq would be in its way.
    if not run(*pip, "--no-deps", "--target", str(stamp.parent), *IPYKERNELS[version]):
        return False
    stamp.write_text(wanted)
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
    for version in IPYKERNELS:
        if not older_kernel(version):
            print(f"No ipykernel {version}: pip could not install it, the tests with that kernel are skipped below")


if __name__ == "__main__":
    main()
