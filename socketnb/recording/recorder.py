"""The recorder gives every observation its row: a gapless `seq`, a masked payload; then journals and keeps it.

Rows are written in bursts: what came together goes to disk together, and only then is anybody shown it. Full
segments are sealed in a thread of their own; the one that records never waits for that.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from array import array
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from socketnb.model.effects import Record
from socketnb.model.trace import Trace
from socketnb.recording.columns import BATCH, Columns
from socketnb.recording.journal import Journal, part_of
from socketnb.recording.masks import Mask, Secrets
from socketnb.recording.parts import Row, line_of, traces_of, write_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

log = logging.getLogger(__name__)

ROWS = 65_536
"""Rows of a part."""
BYTES = 64 << 20
"""Bytes of payloads after which a part is full in any case."""
EARLIEST, LATEST = -(1 << 63), 1 << 63
"""Nanoseconds since 1970 between which a time has its place in a column: 1677 to 2262. Others are in the payload."""


class Recorder:
    """One recording.

    Args:
        recording: its id.
        folder: where it is written, or None: in memory only.
        keep: rows that stay in memory.
        secrets: the credentials of all sessions of the kernel.

    Attributes:
        rows: how many there are, those included that are not written yet.
        trouble: why the recording has stopped or is not as it should be, or None.

    Raises:
        RecordingError: another process writes into the folder.
    """

    def __init__(
        self, recording: str, folder: Path | None = None, keep: int = 1_000_000, secrets: Secrets | None = None
    ) -> None:
        self.recording = recording
        self.folder = folder
        self.columns = Columns(recording, keep)
        self.secrets = secrets or Secrets()
        self.trouble: str | None = None
        self._closed = False
        self._warned = False
        self._journal: Journal | None = None
        self._logs: dict[str, Log] = {}
        self._burst: list[Row] = []  # not written yet
        self._lines: list[bytes] = []
        self.rows = self._start = self._bytes = 0  # where the part begins that is being filled, and its payloads
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
        if self._journal:
            self._lines.append(line_of(fields, payload))
        self._burst.append(row)
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
        filled = self.rows - self._start
        if self._sealer is None and filled >= BATCH:
            self._sealer = ThreadPoolExecutor(1, "socketnb-sealer")
            self._submit(self.columns.prepare)
        if filled >= ROWS or self._bytes >= BYTES:
            self._next()

    def _next(self) -> None:
        """Let what is full be sealed, and go on in the next part."""
        start, path, self._start, self._bytes = self._start, None, self.rows, 0
        if self._journal:
            path = self._journal.path
            try:
                self._journal.next()
            except OSError as error:
                self._fail(error)
        self._sealer = self._sealer or ThreadPoolExecutor(1, "socketnb-sealer")
        self._submit(self._seal, start, self.rows, path)

    def _submit(self, work: Callable[..., None], *args: Any) -> None:
        """Let the sealer do something, as long as there is one: at the interpreter's end its lines stay as they are."""
        if self._sealer:
            with contextlib.suppress(RuntimeError):
                self._sealer.submit(work, *args)

    def _seal(self, start: int, stop: int, lines: Path | None) -> None:
        """Make the rows of a full segment a part; the segment stays where that cannot be done."""
        try:
            table = self.columns.seal(start, stop)
            if lines:
                path = part_of(lines)
                write_part(table, path)
                self.columns.written(start, path)
                lines.unlink()
        except Exception as error:
            log.exception("what is in %s could not be sealed", lines)
            why = getattr(error, "strerror", None) or error
            self.trouble = self.trouble or f"{lines} could not become a Parquet part ({why}): it stays as lines"

    def _fail(self, error: OSError) -> None:
        """Go on in memory only."""
        self.trouble = f"the recording in {self.folder} stops here ({error.strerror or error})"
        self.trouble += "; the session goes on in memory"
        log.warning("%s", self.trouble)
        if self._journal:
            self._journal.close()
            self._journal = None

    @property
    def stopped(self) -> bool:
        """Whether it is closed, or can no longer be written: a new session needs another."""
        return self._closed or bool(self.folder and not self._journal)

    def warn(self) -> None:
        """Warn, once, that something is wrong with the recording: in a call of the user's, not in the background."""
        if self.trouble and not self._warned:
            self._warned = True
            warnings.warn(self.trouble, RuntimeWarning, stacklevel=4)

    def close(self) -> None:
        """Seal what is left, and let go of the folder. Closing again does nothing."""
        self._closed = True
        self.flush()
        if self._sealer:
            self._sealer.shutdown()
            self._sealer = None
        if self._journal:
            path = self._journal.path
            self._journal.close()
            self._journal = None
            if self.rows > self._start:
                self._seal(self._start, self.rows, path)
                self._start = self.rows
            else:
                path.unlink(missing_ok=True)
        self.warn()


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
        self._met = Secrets(recorder.secrets)
        self._mask = Mask((), self._met)

    def begin(self, platform: str, secret_fields: Iterable[str]) -> None:
        """Begin, or begin again under this name, on a platform."""
        self._fields = {"recording": self.recorder.recording, "platform": platform, "session": self.session}
        self._mask = Mask(secret_fields, self._met)

    def hide(self, secret: str) -> None:
        """Mask a credential that came over the wire, from here on."""
        self._met.add(secret)

    def mask(self, text: str) -> str:
        """Return a text without credentials."""
        return self._mask.text(text)

    def trouble(self) -> str | None:
        """Say, once, that the recording has stopped."""
        if self._told or not self.recorder.trouble:
            return None
        self._told = True
        return self.recorder.trouble

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
        fields["observed_at"] = at
        fields["server_at"] = server_at if type(server_at) is int and EARLIEST < server_at < LATEST else None
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
        place = self.recorder.rows
        self.recorder.add(row, fields, payload)
        self._places.append(place)
        self.seq += 1
        self.link = max(self.link, link)
        return Trace._make(row)

    def traces(self, since: int = 0, count: int | None = None, *, payloads: bool = True) -> list[Trace]:
        """Return the session's traces from `seq` number `since` on, at most so many, with payloads or faster.

        Raises:
            RecordingError: they are no longer in memory, and cannot be read.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        if since >= len(self._places):
            return []
        start, until = self._places[max(0, since)], None
        if count is not None:
            until = self._places[min(max(0, since) + count, len(self._places)) - 1] + 1
        rows = self.recorder.columns.table(start, until=until)
        if not payloads:
            place = rows.schema.get_field_index("payload")
            rows = rows.set_column(place, rows.field(place), pa.repeat(pa.scalar("", pa.large_string()), rows.num_rows))
        return traces_of(rows.filter(pc.equal(rows["session"], self.session)))
