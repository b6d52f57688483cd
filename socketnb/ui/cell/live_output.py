"""One output of a cell that can be updated in place, from any thread."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from IPython.core.getipython import get_ipython

if TYPE_CHECKING:
    from socketnb.model.json import JsonObjectOut

UPDATE_INTERVAL_S = 0.1
"""The interval between updates of a growing output, in seconds."""


class LiveOutput:
    """An output of the cell that is running when the object is created. It can be updated at any time.

    Attributes:
        is_live: Whether the output can be replaced. A terminal prints every update below the one before.
    """

    def __init__(self) -> None:
        shell = get_ipython()
        # Keep this cell's publisher: `%%capture` in a later cell replaces the shell's.
        self._publish = shell.display_pub.publish if shell else None
        self._display_id = f"socketnb-{uuid.uuid4().hex[:12]}"
        self._is_shown = False
        self.is_live = bool(getattr(shell, "kernel", None))

    def show(self, data: JsonObjectOut, metadata: JsonObjectOut | None = None) -> None:
        """Replace the output with data by MIME type."""
        if self._publish:
            transient = {"display_id": self._display_id}
            self._publish(data=data, metadata=metadata or {}, transient=transient, update=self._is_shown)
            self._is_shown = self.is_live
