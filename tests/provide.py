"""Sees to it that a browser is there for the browser tests, or says in one line what to install."""

import os
import shutil
import subprocess
import sys

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APT = ["apt-get", "install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"]


def browser() -> str | None:
    """Return the path of a Chromium, if there is one."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def main() -> None:
    if browser():
        return
    if sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Chromium for the browser tests", flush=True)
        done = subprocess.run(["apt-get", "update"], capture_output=True, check=False).returncode == 0
        done = done and subprocess.run(APT, capture_output=True, check=False).returncode == 0
        if done and browser():
            return
    print("No Chromium: install it (Debian: apt-get install chromium) to run tests/test_browser.py, skipped below")


if __name__ == "__main__":
    main()
