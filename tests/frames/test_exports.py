"""Export formats: every entry of the table writes a file, and the text formats return a text."""

import json
from pathlib import Path

import pandas as pd
import pytest

import socketnb as snb
from socketnb.errors import RecordingError, SettingsError
from socketnb.flows.flow import Flow
from socketnb.frames import exports
from socketnb.frames.exports import EXPORTS, Export
from socketnb.hub import Hub
from socketnb.model.trace import VERSION


@pytest.fixture
def traces(hub: Hub, flow: Flow) -> pd.DataFrame:
    bot = hub.connect("voiceflow", name="bot", simulate=True, flow=flow)
    bot.say("2 < 3")
    return bot.traces_df()


@pytest.mark.parametrize("name", EXPORTS)
def test_every_format_writes_a_file_by_its_name_or_suffix(name: str, traces: pd.DataFrame, tmp_path: Path) -> None:
    if name == "duckdb":
        pytest.importorskip("duckdb")
    for suffix in EXPORTS[name].suffixes:
        traces.chat.export(tmp_path / f"a{suffix.upper()}")
        assert (tmp_path / f"a{suffix.upper()}").stat().st_size > 0
    exports.write(traces, tmp_path / "without-suffix", name)
    assert (tmp_path / "without-suffix").stat().st_size > 0


def test_no_two_formats_have_the_same_suffix() -> None:
    suffixes = [suffix for export in EXPORTS.values() for suffix in export.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert all(export.suffixes and (export.text or export.file) for export in EXPORTS.values())


def test_an_exported_text_is_that_of_the_transcript(traces: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("text", "markdown"):
        exports.write(traces, tmp_path / "a", name)
        assert (tmp_path / "a").read_text(encoding="utf-8") == traces.chat.transcript(name) + "\n"
    assert "user:  2 < 3" in traces.chat.transcript()
    assert "**user:** 2 &lt; 3" in traces.chat.transcript("markdown")


def test_html_with_a_title_is_a_page_and_otherwise_a_fragment(traces: pd.DataFrame, tmp_path: Path) -> None:
    fragment = exports.text(traces, "html")
    assert fragment.startswith("<div")
    page = exports.text(traces, "html", title="<shop>")
    assert page.startswith("<!doctype html>")
    assert "<title>&lt;shop&gt;</title>" in page
    assert fragment in page
    exports.write(traces, tmp_path / "shop.html")
    assert "<title>shop</title>" in (tmp_path / "shop.html").read_text()
    exports.write(traces, tmp_path / "a.html", title="My shop")
    assert "<title>My shop</title>" in (tmp_path / "a.html").read_text()


def test_traces_as_text_are_those_in_the_file(traces: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("jsonl", "csv"):
        exports.write(traces, tmp_path / "a", name)
        assert (tmp_path / "a").read_text(encoding="utf-8") == exports.text(traces, name)
    assert len(exports.text(traces, "jsonl").splitlines()) == len(traces)
    assert all(json.loads(line)["v"] == VERSION for line in exports.text(traces, "jsonl").splitlines())
    assert len(pd.read_csv(tmp_path / "a")) == len(traces)


def test_an_unknown_format_is_refused_and_the_error_lists_those_that_exist(
    traces: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=r"has no known suffix: name the format, or use one of \.txt"):
        exports.write(traces, tmp_path / "a.pdf")
    for wrong in ("pdf", 7):
        with pytest.raises(SettingsError, match="format .*markdown, parquet, text"):
            exports.write(traces, tmp_path / "a", wrong)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="format 'parquet'.*csv, html, jsonl, markdown, text"):
        exports.text(traces, "parquet")
    assert not list(tmp_path.glob("a*"))


def test_a_file_that_cannot_be_written_is_one_sentence(traces: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"a\.md cannot be written: No such file"):
        exports.write(traces, tmp_path / "no" / "a.md")


def test_a_new_format_is_one_entry(traces: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def count(traces: pd.DataFrame, title: str) -> str:
        return f"{title}: {len(traces)}"

    monkeypatch.setitem(EXPORTS, "count", Export("Count", (".count",), count))
    assert traces.chat.transcript("count") == f": {len(traces)}"
    traces.chat.export(tmp_path / "a.count")
    assert (tmp_path / "a.count").read_text() == f"a: {len(traces)}\n"


def test_an_exported_recording_reads_back_as_it_was(traces: pd.DataFrame, tmp_path: Path) -> None:
    traces.chat.export(tmp_path / "a.jsonl")
    pd.testing.assert_frame_equal(snb.from_jsonl(tmp_path / "a.jsonl"), traces)
