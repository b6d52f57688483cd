"""Lookup of dialects by platform name. A dialect is imported on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from socketnb.errors import SettingsError, unknown

if TYPE_CHECKING:
    from socketnb.dialects.base import Dialect

PLATFORMS: Final = ("cognigy", "eusate", "voiceflow")
"""The platforms. Each has a package of the same name in `dialects`, which defines `DIALECT`."""


def get(name: object) -> Dialect:
    """Return the dialect of a platform.

    Raises:
        SettingsError: There is no such platform.
    """
    if name not in PLATFORMS:
        raise SettingsError(unknown("platform", name, PLATFORMS))
    dialect: Dialect = importlib.import_module(f"socketnb.dialects.{name}").DIALECT
    return dialect
