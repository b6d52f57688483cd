"""One output of a cell: it belongs to that cell, and is brought up to date in its place, from any thread."""

from __future__ import annotations

import uuid
from typing import Any

from IPython.core.getipython import get_ipython

OFTEN = 0.1
"""Seconds between two updates of what still grows."""


class Output:
    """An output of the cell that runs now. Make it while that cell runs; fill it whenever.

    Attributes:
        live: whether what is shown can be replaced; a terminal would print it anew.
    """

    def __init__(self) -> None:
        shell = get_ipython()
        self._publish = shell.display_pub.publish if shell else None  # this cell's: another may be captured meanwhile
        self._id = f"socketnb-{uuid.uuid4().hex[:12]}"
        self._there = False
        self.live = bool(getattr(shell, "kernel", None))

    def show(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        """Show this, in the place of what was shown."""
        if self._publish:
            transient = {"display_id": self._id}
            self._publish(data=data, metadata=metadata or {}, transient=transient, update=self._there)
            self._there = self.live
