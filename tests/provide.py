"""Install what the tests need beyond Python packages: a browser, npm packages and older kernels.

What cannot be installed is printed in one line each, and the tests that need it are skipped.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APT_INSTALL = ["apt-get", "install", "-y", "--no-install-recommends"]
INTEROP = Path(__file__).parent / "interop"
IPYKERNELS = {  # besides the version that constraints.txt pins
    "7.3": ["ipykernel==7.3.*"],
    "6.31": ["ipykernel==6.31.*", "nest_asyncio==1.6.*"],
}


def browser() -> str | None:
    """Return the path of a Chromium, or None."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def run(*command: str) -> bool:
    """Run a command without output, and return whether it succeeded."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def install(*packages: str) -> None:
    """Install Debian packages if this user may do so."""
    if sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {packages[0]} for the tests", flush=True)
        run("apt-get", "update")
        run(*APT_INSTALL, *packages)


def npm_clients() -> bool:
    """Install the npm packages of tests/interop unless the same versions are installed already."""
    wanted = (INTEROP / "package.json").read_bytes()
    stamp = INTEROP / "node_modules" / ".provided"
    if stamp.is_file() and stamp.read_bytes() == wanted:
        return True
    shutil.rmtree(stamp.parent, ignore_errors=True)  # npm may leave out new packages beside older ones
    npm = shutil.which("npm")
    if not npm or not run(npm, "install", "--prefix", str(INTEROP), "--no-package-lock", "--no-audit", "--no-fund"):
        return False
    stamp.write_bytes(wanted)
    return True


def ipykernel(version: str) -> Path:
    """Return the folder for another version of ipykernel."""
    return Path(__file__).parent.parent / ".venv" / f"ipykernel-{version}"


def older_kernel(version: str) -> bool:
    """Install another version of ipykernel into its own folder unless it is installed already."""
    wanted = "\n".join(IPYKERNELS[version])
    stamp = ipykernel(version) / ".provided"
    if stamp.is_file() and stamp.read_text() == wanted:
        return True
    shutil.rmtree(stamp.parent, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    # Without dependencies: .venv has them all, and a second traitlets or pyzmq would conflict with those.
    if not run(*pip, "--no-deps", "--target", str(stamp.parent), *IPYKERNELS[version]):
        return False
    stamp.write_text(wanted)
    return True


def main() -> None:
    """Install everything, and print what is missing."""
    if not browser():
        install("chromium", "fonts-dejavu-core")
    if not browser():
        print("No Chromium (Debian: apt-get install chromium): the tests in a browser are skipped.")
    if not shutil.which("npm"):
        install("nodejs", "npm")
    if not npm_clients():
        print("No npm (Debian: apt-get install nodejs npm): tests/simulator/test_interop*.py are skipped.")
    for version in IPYKERNELS:
        if not older_kernel(version):
            print(f"pip could not install ipykernel {version}: the tests with that kernel are skipped.")


if __name__ == "__main__":
    main()
