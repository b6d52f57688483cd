"""The recorder: it numbers every observation, masks it, and writes it to the journal and the store.

Rows are written in batches: rows that were received together are written together before they are shown. A separate
thread seals full segments, so that the recording thread never waits for sealing.
"""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from array import array
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from socketnb.model.effects import Record
from socketnb.model.json import as_dict
from socketnb.model.trace import SCHEMA, Trace
from socketnb.recording.journal import Journal, part_of
from socketnb.recording.lines import line_of
from socketnb.recording.masks import Mask, Secrets
from socketnb.recording.parts import write_part
from socketnb.recording.schema import TRACES, traces_of
from socketnb.recording.store import CONVERSION_ROWS, TraceStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from socketnb.model.json import JsonObject, JsonOut
    from socketnb.recording.schema import TraceValues

log = logging.getLogger(__name__)

PART_ROWS = 65_536
"""The number of rows of a part."""
PART_BYTES = 64 << 20
"""The number of payload bytes after which a part is full."""
MIN_TIME_NS, MAX_TIME_NS = -(1 << 63), 1 << 63
"""The minimum and maximum time of a column, in nanoseconds since 1970 (years 1677 to 2262)."""


class Recorder:
    """One recording.

    Args:
        recording: The id of the recording.
        folder: The folder to write to, or None to record in memory only.
        memory_rows: The number of rows to keep in memory.
        secrets: The credentials of all sessions of the kernel.

    Attributes:
        store: The recorded traces.
        rows: The number of rows, including rows that are not written yet.
        trouble: Why the recording has stopped or is incomplete, or None.

    Raises:
        RecordingError: Another process writes into the folder.
    """

    def __init__(
        self, recording: str, folder: Path | None = None, memory_rows: int = 1_000_000, secrets: Secrets | None = None
    ) -> None:
        self.recording = recording
        self.folder = folder
        self.store = TraceStore(recording, memory_rows)
        self.secrets = secrets or Secrets()
        self.trouble: str | None = None
        self._closed = False
        self._warned = False
        self._journal: Journal | None = None
        self._logs: dict[str, Log] = {}
        self._batch: list[TraceValues] = []  # the rows that are not written yet
        self._lines: list[bytes] = []
        self.rows = self._start = self._bytes = 0  # the current part begins at row _start and has _bytes of payloads
        self._sealer: ThreadPoolExecutor | None = None
        if folder:
            try:
                self._journal = Journal(folder, recording)
            except OSError as error:
                self._fail(error)
                self.warn()

    def log(self, platform: str, session: str, secret_fields: Iterable[str]) -> Log:
        """Return the log of the session with this name. A reopened session continues its log."""
        log = self._logs.get(session)
        if log is None:
            log = self._logs[session] = Log(self, session)
        log.begin(platform, secret_fields)
        return log

    def add(self, row: TraceValues, fields: JsonObject, payload: bytes) -> None:
        """Add a row to the batch.

        Args:
            row: The values of the row.
            fields: The values by column name, without the payload.
            payload: The payload as JSON.
        """
        if self._journal:
            self._lines.append(line_of(fields, payload))
        self._batch.append(row)
        self._bytes += len(payload)
        self.rows += 1

    def flush(self) -> None:
        """Write the batch to the journal and the store. Rows are shown only after this."""
        batch, lines = self._batch, self._lines
        self._batch, self._lines = [], []
        if self._journal and lines:
            try:
                self._journal.write(b"".join(lines))
            except OSError as error:
                self._fail(error)
        self.store.extend(batch)
        part_rows = self.rows - self._start
        if self._sealer is None and part_rows >= CONVERSION_ROWS:
            self._sealer = ThreadPoolExecutor(1, "socketnb-sealer")
            self._submit(self.store.prepare)
        if part_rows >= PART_ROWS or self._bytes >= PART_BYTES:
            self._begin_part()

    def _begin_part(self) -> None:
        """Start sealing the full part, and begin the next part."""
        start, path, self._start, self._bytes = self._start, None, self.rows, 0
        if self._journal:
            path = self._journal.path
            try:
                self._journal.next()
            except OSError as error:
                self._fail(error)
        self._sealer = self._sealer or ThreadPoolExecutor(1, "socketnb-sealer")
        self._submit(self._seal, start, self.rows, path)

    def _submit(self, work: Callable[..., None], *args: object) -> None:
        """Run a function in the sealing thread. At interpreter exit, do nothing, and the segment stays."""
        if self._sealer:
            with contextlib.suppress(RuntimeError):
                self._sealer.submit(work, *args)

    def _seal(self, start: int, stop: int, segment: Path | None) -> None:
        """Write the rows of a full segment as a part. If this fails, the segment stays."""
        try:
            table = self.store.seal(start, stop)
            if segment:
                path = part_of(segment)
                write_part(table, path)
                self.store.written(start, path)
                segment.unlink()
        except Exception as error:
            log.exception("%s could not be sealed", segment)
            why = getattr(error, "strerror", None) or error
            self.trouble = (
                self.trouble or f"{segment} could not be converted to Parquet ({why}): it stays as JSON lines"
            )

    def _fail(self, error: OSError) -> None:
        """Stop writing to disk, and continue in memory."""
        self.trouble = f"the recording in {self.folder} stops here ({error.strerror or error})"
        self.trouble += "; the session continues in memory"
        log.warning("%s", self.trouble)
        if self._journal:
            self._journal.close()
            self._journal = None

    @property
    def stopped(self) -> bool:
        """Whether the recorder is closed or can no longer write. A new session then needs another recorder."""
        return self._closed or bool(self.folder and not self._journal)

    def warn(self) -> None:
        """Warn once if the recording has a problem. Call this only on a thread of the user."""
        if self.trouble and not self._warned:
            self._warned = True
            warnings.warn(self.trouble, RuntimeWarning, stacklevel=4)

    def close(self) -> None:
        """Seal the remaining rows and unlock the folder. Closing again does nothing."""
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


RECORDED = [name for name in SCHEMA if name in Record._fields and name != "payload"]
"""The columns that are filled from a `Record`."""
VALUES = itemgetter(*map(Record._fields.index, RECORDED))
"""A function that returns the values of these columns from a record."""
MASKED_NAMES = [name for name in RECORDED if SCHEMA[name].mask == "name"]
MASKED_TEXTS = [name for name in RECORDED if SCHEMA[name].mask == "text"]
TIMES = [name for name in RECORDED if name in TRACES.times]


class Log:
    """The rows of one session.

    Attributes:
        seq: The number of the next row.
        link: The highest link number so far.
        turn: The number of the last turn.
        conversation: The conversation of records that have none.
    """

    def __init__(self, recorder: Recorder, session: str) -> None:
        self.session = session
        self.recorder = recorder
        self.seq = self.link = self.turn = 0
        self.conversation: str | None = None
        self._trouble_reported = False
        self._fields: dict[str, Any] = {}  # the type of a value depends on its column
        self._places = array("q")  # seq → number of the row in the recording
        self._secrets = Secrets(recorder.secrets)
        self._mask = Mask((), self._secrets)

    def begin(self, platform: str, secret_fields: Iterable[str]) -> None:
        """Start or restart the log for a session on a platform."""
        self._fields = {name: column.blank for name, column in SCHEMA.items() if name != "payload"}
        self._fields |= {"recording": self.recorder.recording, "platform": platform, "session": self.session}
        self._mask = Mask(secret_fields, self._secrets)

    def hide(self, secret: str) -> None:
        """Mask a credential from now on."""
        self._secrets.add(secret)

    def mask(self, text: str) -> str:
        """Return a text with credentials masked."""
        return self._mask.text(text)

    def mask_json(self, value: JsonOut) -> JsonObject:
        """Return a JSON object with credentials masked; empty if the value is no object."""
        return as_dict(json.loads(self._mask.payload(value)))

    def trouble(self) -> str | None:
        """Return why the recording has stopped. Only the first call returns the reason; later calls return None."""
        if self._trouble_reported or not self.recorder.trouble:
            return None
        self._trouble_reported = True
        return self.recorder.trouble

    def append(self, record: Record, link: int, observed_at: int, elapsed_ms: float) -> Trace:
        """Add one row and return it; `flush` writes it. This runs for every event and is optimised for speed.

        Args:
            record: The event.
            link: The number of the link.
            observed_at: The time of the observation, in nanoseconds since 1970.
            elapsed_ms: Milliseconds since the turn's action was sent, or NaN.
        """
        mask, words, fields = self._mask, self._mask.words, self._fields
        payload = mask.payload(record.payload)
        for name, value in zip(RECORDED, VALUES(record)):  # noqa: B905 (a strict zip is slower)
            fields[name] = value
        for name in MASKED_NAMES:
            if (word := fields[name]) is not None:
                fields[name] = words[word]
        for name in MASKED_TEXTS:
            if text := fields[name]:
                fields[name] = mask.text(text)
        for name in TIMES:
            if (time := fields[name]) is not None and (type(time) is not int or not MIN_TIME_NS < time < MAX_TIME_NS):
                fields[name] = None
        if not record.conversation:
            fields["conversation"] = words[self.conversation]
        fields["seq"] = self.seq
        fields["link"] = link
        fields["observed_at"] = observed_at
        fields["elapsed_ms"] = elapsed_ms
        fields["bytes"] = 0 if record.payload is None else len(payload)
        row = (*fields.values(), payload.decode())
        self._places.append(self.recorder.rows)
        self.recorder.add(row, fields, payload)
        self.seq += 1
        self.link = max(self.link, link)
        return Trace._make(row)

    def traces(self, since: int = 0, count: int | None = None, *, payloads: bool = True) -> list[Trace]:
        """Return the session's traces from `seq` number `since` on.

        Args:
            since: The first `seq`.
            count: The maximum number of traces. By default all.
            payloads: Whether to include payloads. It is faster without.

        Raises:
            RecordingError: The traces are no longer in memory and cannot be read from disk.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        if since >= len(self._places):
            return []
        start, until = self._places[max(0, since)], None
        if count is not None:
            until = self._places[min(max(0, since) + count, len(self._places)) - 1] + 1
        rows = self.recorder.store.table(start, until=until)
        if not payloads:
            place = rows.schema.get_field_index("payload")
            rows = rows.set_column(place, rows.field(place), pa.repeat(pa.scalar("", pa.large_string()), rows.num_rows))
        return traces_of(rows.filter(pc.equal(rows["session"], self.session)))
