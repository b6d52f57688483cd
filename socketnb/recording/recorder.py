"""The recorder gives every observation its row: a gapless `seq`, a masked payload; then journals and keeps it.

Rows are written in bursts: what came together goes to disk together, and only then is anybody shown it. Full
segments are sealed in a thread of their own; the one that records never waits for that.
"""

from __future__ import annotations

import logging
import warnings
from array import array
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from socketnb.recording.columns import BATCH, Columns
from socketnb.recording.journal import Journal, part, segment
from socketnb.recording.masks import Mask
from socketnb.recording.parts import Row, line_of, traces_of, write_part
from socketnb.records import Record, Trace

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

log = logging.getLogger(__name__)

ROWS = 65_536
"""Rows of a part."""
BYTES = 64 << 20
"""Bytes of payloads after which a part is full in any case."""


class Recorder:
    """One recording.

    Args:
        recording: its id.
        folder: where it is written, or None: in memory only.
        keep: rows that stay in memory.

    Raises:
        RecordingError: another process writes into the folder.
    """

    def __init__(self, recording: str, folder: Path | None = None, keep: int = 1_000_000) -> None:
        self.recording = recording
        self.folder = folder
        self.columns = Columns(recording, keep)
        self.trouble: str | None = None
        self.closed = False
        self._warned = False
        self._journal: Journal | None = None
        self._logs: dict[str, Log] = {}
        self._burst: list[Row] = []  # not written yet
        self._lines: list[bytes] = []
        self._number = self._rows = self._bytes = self.rows = 0  # rows and bytes are those of the part begun
        self._sealer: ThreadPoolExecutor | None = None
        if folder:
            try:
                self._journal = Journal(folder, recording)
            except OSError as error:
                self._fail(error)
                self.warn()

    def log(self, platform: str, session: str, secret_fields: Iterable[str]) -> Log:
        """Return the log of the session of this name; one opened again under its name goes on counting."""
        log = self._logs.get(session)
        if log is None:
            log = self._logs[session] = Log(self, session)
        log.begin(platform, secret_fields)
        return log

    def add(self, row: Row, fields: dict[str, Any], payload: bytes) -> None:
        """Take a row into the burst."""
        self._burst.append(row)
        if self._journal:
            self._lines.append(line_of(fields, payload))
        self._bytes += len(payload)
        self.rows += 1

    def flush(self) -> None:
        """Write the burst through; what is in it may be shown now."""
        burst, lines = self._burst, self._lines
        self._burst, self._lines = [], []
        if self._journal and lines:
            try:
                self._journal.write(b"".join(lines))
            except OSError as error:
                self._fail(error)
        self.columns.extend(burst)
        self._rows += len(burst)
        full = self._rows >= ROWS or self._bytes >= BYTES
        if self._sealer is None and (full or self._rows >= BATCH):
            self._sealer = ThreadPoolExecutor(1, "socketnb-sealer")
            self._sealer.submit(self.columns.prepare)
        if full:
            self._next()

    def _next(self) -> None:
        """Let what is full be sealed, and go on in the next part."""
        number, rows, written = self._number, self._rows, self._journal is not None
        self._number, self._rows, self._bytes = number + 1, 0, 0
        if self._journal:
            try:
                self._journal.next()
            except OSError as error:
                self._fail(error)
        if self._sealer:
            self._sealer.submit(self._seal, number, rows, written=written)

    def _seal(self, number: int, rows: int, *, written: bool) -> None:
        """Make a full segment a part; the segment stays where that cannot be done."""
        table = self.columns.seal(rows)
        if not (written and self.folder):
            return
        path = part(self.folder, self.recording, number)
        try:
            write_part(table, path)
        except OSError:
            log.warning("%s could not be written: its lines stay as they are", path, exc_info=True)
            return
        segment(self.folder, self.recording, number).unlink(missing_ok=True)
        self.columns.written(number, path)

    def _fail(self, error: OSError) -> None:
        """Go on in memory only."""
        self.trouble = f"the recording in {self.folder} stops here ({error.strerror or error})"
        self.trouble += "; the session goes on in memory"
        log.warning("%s", self.trouble)
        if self._journal:
            self._journal.close()
            self._journal = None

    def warn(self) -> None:
        """Warn, once, that the recording has stopped: in a call of the user's, not in the background."""
        if self.trouble and not self._warned:
            self._warned = True
            warnings.warn(self.trouble, RuntimeWarning, stacklevel=4)

    def close(self) -> None:
        """Seal what is left, and let go of the folder. Closing again does nothing."""
        self.closed = True
        self.flush()
        if self._journal and self._rows:
            number, rows = self._number, self._rows
            self._journal.close()
            self._drain()
            self._seal(number, rows, written=True)
            self._rows = 0
        self._drain()
        if self._journal:
            self._journal.close()
            self._journal = None

    def _drain(self) -> None:
        if self._sealer:
            self._sealer.shutdown()
            self._sealer = None


class Log:
    """The rows of one session.

    Attributes:
        seq: the number of its next row. link, turn: the last that were used.
    """

    def __init__(self, recorder: Recorder, session: str) -> None:
        self.session = session
        self.recorder = recorder
        self.seq = self.link = self.turn = 0
        self.conversation: str | None = None
        self._told = False
        self._fields: dict[str, Any] = {}
        self._places = array("q")  # seq → number of the row in the recording
        self._mask = Mask(())

    def begin(self, platform: str, secret_fields: Iterable[str]) -> None:
        """Begin, or begin again under this name, on a platform."""
        self._fields = {"recording": self.recorder.recording, "platform": platform, "session": self.session}
        self._mask = Mask(secret_fields, self._mask)

    def hide(self, secret: str) -> None:
        """Mask this credential from here on."""
        self._mask.hide(secret)

    def mask(self, text: str) -> str:
        """Return a text without credentials."""
        return self._mask.text(text)

    def trouble(self) -> str | None:
        """Say, once, that the recording has stopped."""
        said, self._told = None if self._told else self.recorder.trouble, self._told or bool(self.recorder.trouble)
        return said

    def append(self, record: Record, link: int, at: int, elapsed_ms: float) -> Trace:
        """Make one row and return it; `flush` writes it. Flat, for it is what every event costs."""
        event, kind, content, direction, sender, turn, text, node, intent, server_at, final, error, conversation = (
            record
        )
        mask, words, fields = self._mask, self._mask.words, self._fields
        payload = mask.payload(content)
        fields["conversation"] = words[conversation or self.conversation]
        fields["seq"] = self.seq
        fields["link"] = link
        fields["turn"] = turn
        fields["at"] = at
        fields["server_at"] = server_at
        fields["elapsed_ms"] = elapsed_ms
        fields["direction"] = direction
        fields["event"] = words[event]
        fields["kind"] = kind
        fields["sender"] = sender
        fields["text"] = text and mask.text(text)
        fields["node"] = words[node]
        fields["intent"] = words[intent]
        fields["final"] = final
        fields["error"] = error and mask.text(error)
        fields["bytes"] = 0 if content is None else len(payload)
        row = (*fields.values(), payload.decode())
        self._places.append(self.recorder.rows)
        self.recorder.add(row, fields, payload)
        self.seq += 1
        self.link = max(self.link, link)
        return Trace._make(row)

    def traces(self, since: int = 0) -> list[Trace]:
        """Return the session's traces from `seq` number `since` on.

        Raises:
            RecordingError: they are no longer in memory, and cannot be read.
        """
        import pyarrow.compute as pc

        if since >= len(self._places):
            return []
        rows = self.recorder.columns.table(self._places[max(0, since)])
        return traces_of(rows.filter(pc.equal(rows["session"], self.session)))
