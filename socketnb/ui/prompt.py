"""Asks the user of a notebook for a setting that is not configured."""

from __future__ import annotations

import getpass

from IPython.core.error import StdinNotImplementedError
from IPython.core.getipython import get_ipython


def ask(what: str) -> str | None:
    """Return what the user types, which is neither shown nor saved.

    Args:
        what: What to ask for.

    Returns:
        The text, or None if it is empty or if nobody can be asked.
    """
    if not getattr(get_ipython(), "kernel", None):
        return None
    try:
        return getpass.getpass(f"{what}: ").strip() or None
    except StdinNotImplementedError:  # a program runs the notebook
        return None
