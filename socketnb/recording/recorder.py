"""The recorder gives every observation its row: a gapless `seq`, a masked payload; then journals and keeps it.

Credentials are masked here: the fields that a dialect names, and every known credential wherever it turns up.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import orjson

from socketnb.records import Record, Trace, clean, masked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from socketnb.recording.columns import Columns
    from socketnb.recording.journal import Journal

NOT_A_SECRET = 4
"""A credential shorter than this is masked as a field only: it would turn up everywhere by chance."""


def to_json(payload: Any) -> str:
    """Return a payload as JSON text, whatever it holds."""
    try:
        return orjson.dumps(payload).decode()
    except TypeError:  # lone surrogates, integers over 64 bits
        return json.dumps(payload, default=repr)


class Recorder:
    """One recording.

    Args:
        recording: its id.
        columns: where rows are kept.
        journal: where they are written, or None: in memory only.
    """

    def __init__(self, recording: str, columns: Columns, journal: Journal | None) -> None:
        self.recording = recording
        self.columns = columns
        self.journal = journal
        self._logs: dict[str, Log] = {}

    def log(self, platform: str, session: str, secret_fields: Iterable[str]) -> Log:
        """Return the log of the session of this name; one opened again under its name goes on counting."""
        log = self._logs.get(session)
        if log is None:
            log = self._logs[session] = Log(self, session)
        log.platform = platform
        names = "|".join(map(re.escape, sorted(secret_fields)))
        log.fields = re.compile(rf'"({names})"\s*:\s*"((?:[^"\\]|\\.)+)"') if names else None
        return log

    def close(self) -> None:
        """Close the journal."""
        if self.journal:
            self.journal.close()


class Log:
    """The rows of one session.

    Attributes:
        seq: the number of its next row. link, turn: the last that were used.
    """

    def __init__(self, recorder: Recorder, session: str) -> None:
        self.session = session
        self.platform = ""
        self.fields: re.Pattern[str] | None = None
        self.seq = self.link = self.turn = 0
        self.conversation: str | None = None
        self._recorder = recorder
        self._secrets: dict[str, str] = {}

    def hide(self, secret: str) -> None:
        """Mask this credential from here on, in plain text and as it stands in JSON."""
        if len(secret) >= NOT_A_SECRET:
            self._secrets[secret] = masked(secret)
            self._secrets[json.dumps(secret)[1:-1]] = masked(secret)

    def mask(self, text: str) -> str:
        """Return a text without the credentials that are known."""
        for secret, mask in self._secrets.items():
            if secret in text:
                text = text.replace(secret, mask)
        return text

    def append(self, record: Record, link: int, at: int, elapsed_ms: float) -> Trace:
        """Write one row and return it: what anybody is shown comes from here."""
        payload = to_json(record.payload)
        if self.fields:
            payload = self.fields.sub(lambda m: f'"{m[1]}":"{masked(m[2])}"', payload)
        payload = self.mask(payload)
        trace = Trace(
            recording=self._recorder.recording,
            platform=self.platform,
            session=self.session,
            conversation=record.conversation or self.conversation,
            seq=self.seq,
            link=link,
            turn=record.turn,
            at=at,
            server_at=record.server_at,
            elapsed_ms=elapsed_ms,
            direction=record.direction,
            event=self._words(record.event) or "",
            kind=record.kind,
            sender=record.sender,
            text=self._words(record.text),
            node=self._words(record.node),
            intent=self._words(record.intent),
            final=record.final,
            error=self._words(record.error),
            bytes=0 if record.payload is None else len(payload.encode()),
            payload=payload,
        )
        if self._recorder.journal:
            self._recorder.journal.append(trace)
        self._recorder.columns.append(trace)
        self.seq += 1
        self.link = max(self.link, link)
        return trace

    def _words(self, text: str | None) -> str | None:
        return None if text is None else clean(self.mask(text))
