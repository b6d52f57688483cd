"""Credentials among the arguments of `connect`: convert them to `Secret`, and warn the user if a cell contains them."""

from __future__ import annotations

import inspect
import linecache
import re
from typing import TYPE_CHECKING

from socketnb.dialects import registry
from socketnb.dialects.registry import PLATFORMS
from socketnb.model.secret import Secret
from socketnb.settings import environment_variable, warn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from socketnb.settings import Value, Values


def with_secrets(settings: Values) -> Values:
    """Return the settings. A string that is a credential on any platform is converted to a `Secret`."""
    secret_names = {
        name for platform in PLATFORMS for name, setting in registry.get(platform).settings.items() if setting.secret
    }
    secrets = {
        name: Secret(value.strip())
        for name, value in settings.items()
        if name in secret_names and type(value) is str and value.strip()
    }
    return {**settings, **secrets}


class CellWarnings:
    """Warns the user about credentials in a cell of the running notebook, once for each credential."""

    def __init__(self) -> None:
        self._warned: set[Secret] = set()

    def check(self, platform: str, settings: Mapping[str, Value]) -> None:
        """Warn about each `Secret` that appears in a cell, because cells are saved with the notebook."""
        for name, secret in settings.items():
            if not isinstance(secret, Secret) or secret in self._warned or not _is_in_a_cell(secret.reveal()):
                continue
            self._warned.add(secret)
            warn(
                f"{name} {secret} is typed in a cell and is saved with the notebook. Better places: the environment "
                f"variable {environment_variable(platform, name)}, a profile (profiles.toml, with {{env = …}} or "
                "{keyring = …}), or getpass.getpass()"
            )


def _is_in_a_cell(text: str) -> bool:
    """Return whether a cell of the running notebook contains the text as a whole word."""
    frame = inspect.currentframe()
    while frame:
        names = frame.f_globals
        if names.get("__name__") == "__main__" and "get_ipython" in names:
            cells = [*linecache.getlines(frame.f_code.co_filename), *map(str, names.get("In", ()))]
            word = re.compile(rf"(?<![\w.-]){re.escape(text)}(?![\w.-])")
            return any(word.search(cell) for cell in cells)
        frame = frame.f_back
    return False
