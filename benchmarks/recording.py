"""Measure recording and frames at a million traces, each beside a comparable tool in the same run: `make bench`.

A trace has a payload of 300 bytes. Each row shows the measured value, that of the other tool, their ratio and the
target. Nothing fails, because times on a busy machine vary; compare the ratios.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pyarrow.parquet as pq

from socketnb.archive import open_recording
from socketnb.frames.query import traces_df
from socketnb.frames.table import frame_of
from socketnb.hub import Hub
from socketnb.model.effects import Record
from socketnb.recording.recorder import Log, Recorder

ROWS = 1_000_000
BATCH = 64  # traces that are written together
NEW, REFRESHES = 1_000, 5  # new rows per refresh, and the number of refreshes
CONVERSATIONS = 200  # with the demo bot
SAMPLE = 100_000  # rows for tools that would need minutes for all
AT = 1_700_000_000_000_000_000


def event(n: int) -> dict[str, Any]:
    """Return the payload of an event: 300 bytes, different for each number."""
    message = f"Order {n:07} is on its way and will be there on Tuesday before noon."
    slate = {"id": f"{n:012x}", "content": [{"children": [{"text": message}]}]}
    trace = {"type": "text", "payload": {"message": message, "slate": slate}, "time": AT // 10**6 + n}
    return {"trace": trace, "messageID": f"{n:010x}"}


def record(n: int) -> Record:
    """Return the record of such an event."""
    payload = event(n)
    text = payload["trace"]["payload"]["message"]
    return Record(
        "action.trace", "text", payload, sender="bot", turn=n // 20 + 1, text=text, node="order", server_at=AT
    )


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return how many seconds a function took, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


class Collector:
    """Adds up the time of Python's garbage collector, which interrupts the thread that allocates."""

    def __init__(self) -> None:
        self.seconds = self._since = 0.0
        gc.callbacks.append(self._callback)

    def _callback(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._since = time.perf_counter()
        else:
            self.seconds += time.perf_counter() - self._since


def write(log: Log, numbers: range) -> tuple[float, float, float, float]:
    """Record traces in batches. Return seconds, CPU seconds, and the longest batch with and without garbage collection.

    The records are made beforehand, because making them is the dialect's work.
    """
    seconds = cpu = longest = alone = 0.0
    collector = Collector()
    for first in range(numbers.start, numbers.stop, 10 * BATCH):
        records = [record(n) for n in range(first, min(first + 10 * BATCH, numbers.stop))]
        cpu_before = time.process_time()
        for start in range(0, len(records), BATCH):
            before, collected = time.perf_counter(), collector.seconds
            for n, each in enumerate(records[start : start + BATCH]):
                log.append(each, 1, AT + first + start + n, 12.5)
            log.recorder.flush()
            took = time.perf_counter() - before
            seconds += took
            longest, alone = max(longest, took), max(alone, took - (collector.seconds - collected))
        cpu += time.process_time() - cpu_before
    gc.callbacks.clear()
    return seconds, cpu, longest, alone


def peer_lines(folder: Path) -> tuple[float, float]:
    """Write the same payloads as plain JSON lines, one write per trace: equally durable, without anything else."""
    file = os.open(folder / "peer.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    rows = [{"session": "bot", "seq": n, "observed_at": AT, "payload": event(n)} for n in range(SAMPLE)]
    before, cpu = time.perf_counter(), time.process_time()
    for row in rows:
        os.write(file, orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    seconds, cpu = time.perf_counter() - before, time.process_time() - cpu
    os.close(file)
    return SAMPLE / seconds, cpu / SAMPLE


def bytes_per_row(folder: Path) -> float:
    """Return the bytes per row of a part with real conversations with the demo bot."""
    hub = Hub()
    for _ in range(CONVERSATIONS):
        with hub.connect("voiceflow", name="bot", simulate=True, record=folder) as bot:
            for text in ("hello", "Track order", "4567", "Opening hours", "Show me around"):
                bot.say(text)
    hub.close()
    recording = open_recording(folder)
    return sum(part.stat().st_size for part in folder.glob("*.parquet")) / len(recording)


def show(measure: str, ours: str, other: str, ratio: str, target: str) -> None:
    """Print a row of the table."""
    print(f"{measure:<46} {ours:>16} {other:>30} {ratio:>9}  {target}", flush=True)


def main() -> None:
    """Measure, and print the table."""
    os.environ["SOCKETNB_HOME"] = str(home := Path(tempfile.mkdtemp(prefix="socketnb-bench-")))
    show("one million traces", "socketnb", "other tool", "ratio", "target")
    bytearray(2 << 30)  # memory that was allocated before is faster: do not measure that
    gc.freeze()  # Python's collector would traverse the loaded libraries

    peer_rate, peer_cpu = peer_lines(home)
    recorder = Recorder("2026-01-01T00-00-00-bench", home / "bench")
    log = recorder.log("voiceflow", "bot", {"sessionKey", "authorization"})
    recorder.secrets.add("VF.DM.a-key-of-usual-length")
    seconds, cpu, longest, alone = write(log, range(ROWS))
    rate = ROWS / seconds
    show(
        "traces recorded per second, durable",
        f"{rate:,.0f}",
        f"JSON lines {peer_rate:,.0f}",
        f"{rate / peer_rate:.2f}",
        "≥ 200,000",
    )
    show("CPU per trace, with sealing", f"{cpu / ROWS * 1e6:.1f} µs", f"JSON lines {peer_cpu * 1e6:.1f} µs",
         f"{cpu / ROWS / peer_cpu:.1f}", "≤ 5 µs")  # fmt: skip
    collected = f"with Python's collector {longest * 1e3:.1f} ms"
    show("longest pause of the recording thread", f"{alone * 1e3:.1f} ms", collected, "", "< 20 ms")

    traces_df([])  # load the libraries before measuring
    frame: pd.DataFrame | None
    first, frame = timed(lambda: traces_df([recorder.store]))
    table: Any = recorder.store.table()
    arrow, _ = timed(lambda: frame_of(table))
    plain, _ = timed(table.to_pandas)
    normal, _ = timed(lambda: pd.json_normalize([event(n) for n in range(SAMPLE)]))
    normal *= ROWS / SAMPLE
    show("traces_df(), live", f"{first:.3f} s", f"Arrow, same dtypes {arrow:.3f} s", f"{first / arrow:.2f}", "≤ 3")
    show("", "", f"table.to_pandas() {plain:.3f} s", f"{first / plain:.2f}", "≤ 3")
    show("", "", f"json_normalize {normal:.1f} s", f"{normal / first:.0f}x", "≥ 100x")
    refreshes = []
    for start in range(ROWS, ROWS + REFRESHES * NEW, NEW):
        write(log, range(start, start + NEW))
        took, new = timed(lambda since=frame: traces_df([recorder.store], since=since))
        assert len(new) == NEW  # noqa: S101 (otherwise the figure is wrong)
        refreshes.append(took)
        frame = new
    refresh = statistics.median(refreshes)
    fraction = f"1/{first / refresh:.0f}"
    show(
        "the next 1,000 rows, since=", f"{refresh * 1e3:.1f} ms", f"the first {first * 1e3:.0f} ms", fraction, "≤ 1/100"
    )
    small, _ = timed(lambda: frame_of(table.slice(0, NEW)))
    show("", "", f"Arrow, 1,000 rows {small * 1e3:.1f} ms", f"{refresh / small:.1f}", "")
    again, _ = timed(lambda: traces_df([recorder.store]))
    show("traces_df() again, all rows", f"{again:.3f} s", "", "", "")
    recorder.close()
    frame = new = table = None

    parts = sorted((home / "bench").glob("*.parquet"))
    peer, _ = min((timed(lambda: pq.read_table(parts).to_pandas()) for _ in range(3)), key=lambda found: found[0])
    ours, found = min((timed(lambda: open_recording(home / "bench").traces_df()) for _ in range(3)), key=lambda f: f[0])
    assert len(found) == ROWS + REFRESHES * NEW  # noqa: S101
    show("reopened", f"{ours:.3f} s", f"read_table().to_pandas() {peer:.3f} s", f"{ours / peer:.2f}", "≤ 1.5")
    lines = sum(len(json.dumps(event(n))) for n in range(0, ROWS, 1_000)) / (ROWS / 1_000)
    show(
        "bytes per row of a part, demo traffic",
        f"{bytes_per_row(home / 'demo'):.1f}",
        f"payload alone {lines:.0f}",
        "",
        "≤ 60",
    )


if __name__ == "__main__":
    main()
