"""Comm messages of widgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipywidgets import Widget


def answer_at_once(widget: Widget) -> None:
    """Let the kernel handle messages from a widget's page while a cell is running.

    ipykernel 7.4 handles a comm message on the subshell that last published on the comm. The widgets publish from a
    background thread, so without this change a click would wait until the running cell ends. Other versions of
    ipykernel do not have this attribute and need no change.
    """
    if hasattr(widget.comm, "_reply_subshell_for"):
        widget.comm._reply_subshell_for = lambda _data, default: default  # noqa: SLF001 (ipykernel has no public way)
