"""metrics.jsonl: survives a killed process and a resumed run."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtcli.failure import BadData
from svtcli.run.metrics_log import MetricsLog, read_metrics


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "metrics.jsonl"


def write(path, *rows):
    with MetricsLog(path) as log:
        for step, loss in rows:
            log.append(step, loss=loss)


def test_rows_come_back_as_written(path):
    write(path, (1, 0.5), (2, 0.25))
    assert read_metrics(path) == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}]


def test_no_file_means_no_rows(path):
    assert read_metrics(path) == []


def test_a_row_is_in_the_file_before_the_log_is_closed(path):
    with MetricsLog(path) as log:
        log.append(7, loss=1.0)
        assert read_metrics(path) == [{"step": 7, "loss": 1.0}]


def test_the_last_row_of_a_repeated_step_counts(path):
    write(path, (1, 1.0), (2, 2.0), (3, 3.0))
    write(path, (2, 20.0))
    assert [row["loss"] for row in read_metrics(path)] == [1.0, 20.0, 3.0]


def test_a_number_that_is_not_finite_is_null_in_the_file_and_nan_when_read(path):
    write(path, (1, math.inf))
    assert json.loads(path.read_text())["loss"] is None
    (row,) = read_metrics(path)
    assert math.isnan(row["loss"])


@given(st.integers(0, 60))
def test_a_file_cut_anywhere_keeps_its_whole_lines(tmp_path_factory, size):
    path: Path = tmp_path_factory.mktemp("cut") / "metrics.jsonl"
    write(path, (1, 0.5), (2, 0.25), (3, 0.125))
    whole = path.read_bytes()
    path.write_bytes(whole[:size])
    kept = whole[:size].count(b"\n")
    assert [row["step"] for row in read_metrics(path)] == [1, 2, 3][:kept]
    write(path, (9, 9.0))
    assert [row["step"] for row in read_metrics(path)] == [*[1, 2, 3][:kept], 9]


@pytest.mark.parametrize("line", ["{", "[1]", '{"loss": 1}', '{"step": "x"}'])
def test_a_broken_line_in_the_middle_is_named(path, line):
    write(path, (1, 0.5))
    path.write_text(path.read_text() + line + "\n" + path.read_text())
    with pytest.raises(BadData, match=r"metrics\.jsonl:2: not a row"):
        read_metrics(path)


def synced(path):
    """A log of three rows on the disk."""
    with MetricsLog(path) as log:
        for step in (1, 2, 3):
            log.append(step, loss=step / 2)
        log.sync()
    return path.read_text().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        ((1, 2), ":1: this row, or one before it"),
        ((0, 2), ":2: this row, or one before it"),
        ((0, 1), ": the last rows were lost: 2 are left of 3"),
        ((0,), ": the last rows were lost: 1 are left of 3"),
        ((), ": the last rows were lost: 0 are left of 3"),
        ((0, 1, 1, 2), ":3: this row, or one before it"),
    ],
)
def test_lost_and_repeated_rows_are_told(path, lines, where):
    rows = synced(path)
    path.write_text("".join(rows[number] for number in lines))
    for read in (read_metrics, lambda path: write(path, (4, 2.0))):
        with pytest.raises(BadData, match=r"metrics\.jsonl" + where) as told:
            read(path)
        assert "metrics.end.json away" in (told.value.hint or "")
    path.unlink()
    with pytest.raises(BadData, match="the last rows were lost: 0"):
        read_metrics(path)
    path.with_name("metrics.end.json").unlink()
    assert read_metrics(path) == []


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_flip_is_told_or_nothing_has_changed(tmp_path_factory, place, flip):
    path: Path = tmp_path_factory.mktemp("flip") / "metrics.jsonl"
    synced(path)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= flip
    path.write_bytes(content)
    with pytest.raises(BadData):
        read_metrics(path)


def test_rows_of_an_older_svt_are_read_and_covered_from_then_on(path):
    path.parent.mkdir()
    path.write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25}\n')
    write(path, (3, 0.125))
    assert [row["loss"] for row in read_metrics(path)] == [0.5, 0.25, 0.125]
    path.write_text(path.read_text().replace("0.25", "0.75"))
    with pytest.raises(BadData, match=":3: this row, or one before it"):
        read_metrics(path)
