"""A prompt that asks the user of a notebook for a missing setting."""

from __future__ import annotations

import getpass

from IPython.core.error import StdinNotImplementedError
from IPython.core.getipython import get_ipython


def ask(what: str) -> str | None:
    """Ask the user for a text, which is neither shown nor saved.

    Args:
        what: What to ask for.

    Returns:
        The text, or None if the text is empty or no user can be asked.
    """
    if not getattr(get_ipython(), "kernel", None):
        return None
    try:
        return getpass.getpass(f"{what}: ").strip() or None
    except StdinNotImplementedError:  # a program runs the notebook
        return None
