"""What every widget of ours needs of the kernel's messages."""

from __future__ import annotations

from typing import Any


def answer_at_once(widget: Any) -> None:
    """Let what the page sends to a widget be heard while a cell runs.

    ipykernel 7.4 answers a comm on the shell that last published on it; ours publish from a thread, so clicks would
    wait for the running cell. Other versions have no such name and need nothing.
    """
    if hasattr(widget.comm, "_reply_subshell_for"):
        widget.comm._reply_subshell_for = lambda _data, default: default  # noqa: SLF001
