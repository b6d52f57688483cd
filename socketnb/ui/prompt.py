"""Asks for a setting that is nowhere else, in a notebook whose reader can type."""

from __future__ import annotations

import getpass

from IPython.core.error import StdinNotImplementedError
from IPython.core.getipython import get_ipython


def ask(what: str) -> str | None:
    """Return what the user types, which is neither shown nor saved; None where nobody can be asked, or said nothing.

    Args:
        what: what to ask for.
    """
    if not getattr(get_ipython(), "kernel", None):
        return None
    try:
        return getpass.getpass(f"{what}: ").strip() or None
    except StdinNotImplementedError:  # a notebook that is run by a program
        return None
