"""What is shown: results on stdout, progress in lines on a pipe, nothing with -q."""

import io
import json
import sys

import pytest
from rich.console import Console

from svtcli.cli import ascii as signs
from svtcli.cli import console
from svtcli.cli.bar import Bar, Lines
from svtcli.cli.quantities import duration
from svtcli.run.progress import Silent
from tests.cli.terminal import svt


@pytest.fixture(autouse=True)
def _settings_end_with_the_test():
    yield
    console.configure(console.Settings())


class Clock:
    """Time that passes only when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_a_result_is_text_or_one_json_object(capsys):
    console.show("words", {"a": (1, 2)})
    console.configure(console.Settings(json=True))
    console.show("words", {"a": (1, 2)})
    first, second = capsys.readouterr().out.splitlines()
    assert first == "words"
    assert json.loads(second) == {"a": [1, 2]}


def test_a_table_aligns_words_left_and_numbers_right():
    rows = [("model", "4.21"), ("uniform", "10.00")]
    assert console.table("bits/dim", ("OF", "TEST"), rows).splitlines() == [
        "bits/dim",
        "OF        TEST",
        "model     4.21",
        "uniform  10.00",
    ]


def test_a_table_without_rows_is_its_header():
    assert console.table("", ("A", "B"), []) == "A  B"


def test_notes_go_to_stderr_and_not_with_quiet(capsys):
    console.note("seen")
    console.configure(console.Settings(quiet=True))
    console.note("unseen")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "seen\n")


def test_progress_is_lines_on_a_pipe_and_nothing_with_quiet():
    assert isinstance(console.progress(), Lines)
    console.configure(console.Settings(quiet=True))
    assert isinstance(console.progress(), Silent)


def test_a_line_comes_every_5_percent(capsys):
    clock = Clock()
    lines = Lines(clock=clock)
    lines.begin("train", 1000, "steps")
    for step in range(1001):
        clock.now = float(step)
        lines.advance(step)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "train"
    assert said[1] == "train: 30/1000 steps (3%) · 1/s · 16:10 left"
    assert said[-1] == "train: 1000/1000 steps (100%) · 1/s · 0:00 left"
    assert len(said) == 1 + 34
    clock.now = 2000.0
    fast = Lines(clock=clock)
    fast.begin("train", 1000, "steps")
    for step in range(1001):
        clock.now = 2000 + step / 10
        fast.advance(step)
    said = capsys.readouterr().err.splitlines()
    assert said[1] == "train: 50/1000 steps (5%) · 10/s · 1:35 left"
    assert len(said) == 1 + 20


def test_a_short_task_says_its_end_once_and_no_more_than_a_line_a_second(capsys):
    clock = Clock()
    lines = Lines(clock=clock)
    lines.begin("draw", 4, "pictures")
    for now, done in ((0.0, 0), (0.3, 1), (1.2, 2), (1.3, 3), (1.4, 4), (60.0, 4)):
        clock.now = now
        lines.advance(done)
    said = [line.split(" (")[0] for line in capsys.readouterr().err.splitlines()]
    assert said == ["draw", "draw: 2/4 pictures", "draw: 4/4 pictures"]


def test_a_line_comes_every_30_seconds_with_rate_and_time_left(capsys):
    clock = Clock()
    lines = Lines(clock=clock)
    lines.begin("train", 100_000, "steps")
    for step in range(100):
        clock.now = float(step)
        lines.advance(2 * step, {"bits/dim": "5.1"})
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 + 3
    assert said[1] == (
        "train: 60/100000 steps (0%) · 2/s · 13:52:50 left · bits/dim 5.1"
    )


def test_the_rate_of_a_resumed_task_leaves_out_what_was_done_before(capsys):
    clock = Clock()
    lines = Lines(clock=clock)
    lines.begin("train", 1000, "steps")
    lines.advance(900)
    clock.now = 10.0
    lines.advance(950)
    assert "5/s · 0:10 left" in capsys.readouterr().err


def test_a_task_of_unknown_length_counts(capsys):
    lines = Lines(every_update=True, clock=Clock())
    lines.begin("decode", unit="videos")
    lines.advance(3)
    lines.end()
    lines.advance(4)
    assert capsys.readouterr().err.splitlines() == ["decode", "decode: 3 videos"]


def test_durations_are_read_as_clocks():
    assert [duration(5.0), duration(65.4), duration(3600.0)] == [
        "0:05",
        "1:05",
        "1:00:00",
    ]


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_the_bar_is_one_line_on_any_terminal(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.delenv("NO_COLOR", raising=False)
    bar = Bar(color=False)
    bar.begin("download robot-push of all splits", 1000, "steps")
    bar.advance(500, {"bits/dim": "5.1"})
    assert bar._live is not None
    shown = Console(file=io.StringIO(), width=columns)
    shown.print(bar._live.get_renderable())
    bar.end()
    lines = shown.file.getvalue().rstrip("\n").split("\n")
    assert len(lines) == 1
    assert len(lines[0]) <= columns
    for words in ("download", "50%", "500/1000"):
        assert words in lines[0]
    assert ("5.1" in lines[0]) == (columns >= 100)


def test_no_color_in_the_environment_or_as_a_flag_makes_the_bar_plain(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert not Bar()._console.no_color
    assert Bar(color=False)._console.no_color
    monkeypatch.setenv("NO_COLOR", "1")
    assert Bar()._console.no_color


def test_words_are_painted_on_a_terminal_that_wants_colour_alone(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert console.paint("error", "1") == "error"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert console.paint("error", "1") == "\x1b[1merror\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert console.paint("error", "1") == "error"
    monkeypatch.delenv("NO_COLOR")
    console.configure(console.Settings(color=False))
    assert console.paint("error", "1") == "error"


def test_a_dumb_terminal_gets_lines(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(console.progress(), Bar)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(console.progress(), Lines)


def test_the_last_column_of_a_table_is_broken_where_a_terminal_is_narrow(monkeypatch):
    rows = [("quickstart", "three real clips and a small model"), ("b", "-")]
    assert console.table("", ("RECIPE", "WHAT"), rows, width=30).splitlines() == [
        "RECIPE      WHAT",
        "quickstart  three real clips",
        "            and a small model",
        "b           -",
    ]
    whole = console.table("", ("RECIPE", "WHAT"), rows)
    assert len(whole.splitlines()) == 3  # a pipe has no width
    assert console.table("", ("RECIPE", "WHAT"), rows, width=20) == whole
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")
    narrow = console.table("", ("RECIPE", "WHAT"), rows)
    assert narrow == console.table("", ("RECIPE", "WHAT"), rows, width=30)


def test_signs_that_an_encoding_lacks_are_spelled_and_file_names_are_kept():
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii")
    signs.spell_out(stream)
    stream.write("1 ± 2 · 3… \N{GREEK SMALL LETTER BETA} a\udcff.npy")
    stream.flush()
    assert written.getvalue() == b"1 +- 2 - 3... ? a\xff.npy"


def test_svt_speaks_to_a_terminal_that_knows_ascii_alone(tmp_path):
    plain = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "COLUMNS": "40"}
    (tmp_path / "±.yaml").write_text("about: 1 ± 1\ntrain: {stepp: 1}\n", "utf-8")
    said = svt("recipes", "check", "±.yaml", cwd=tmp_path, **plain)
    assert said.code == 3
    assert "+-.yaml:2:9: train.stepp: unknown key" in said.err
    assert "Traceback" not in said.err


def test_the_bar_shows_share_facts_and_notes_and_is_closed_twice_without_harm(capsys):
    bar = Bar(color=False)
    bar.begin("train", 10, "steps")
    bar.advance(5, {"bits/dim": "5.1"})
    bar.note("saved [step 5]")
    bar.end()
    bar.end()
    bar.advance(6)
    said = capsys.readouterr().err
    for words in ("train", "50%", "5/10", "bits/dim 5.1", "saved [step 5]"):
        assert words in said
