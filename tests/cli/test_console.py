"""Results on stdout; progress as a bar, as lines on a pipe, as nothing with -q."""

import io
import json
import os
import sys
import termios

import pytest

from svtcli.cli import console
from svtcli.cli.progress import TqdmProgress
from svtcli.failure import Refused
from svtcli.recipe.document import BadRecipe, Place, Problem
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


@pytest.fixture
def clock(monkeypatch):
    """The time that tqdm sees."""
    clock = Clock()
    monkeypatch.setattr("tqdm.std.time", clock)
    return clock


class Terminal:
    """A terminal of some columns on stderr."""

    def __init__(self, monkeypatch, columns, encoding="utf-8"):
        self._master, slave = os.openpty()
        termios.tcsetwinsize(slave, (24, columns))
        stream = os.fdopen(slave, "w", encoding=encoding)
        monkeypatch.setattr(sys, "stderr", stream)
        self._stream = stream

    def read(self):
        """Everything written, as lines; each is a list of what it showed in turn."""
        self._stream.close()
        written = b""
        try:
            while piece := os.read(self._master, 1 << 16):
                written += piece
        except OSError:  # read to its end
            pass
        os.close(self._master)
        lines = written.decode().replace("\r\n", "\n").split("\n")
        return [line.split("\r") for line in lines]


def work(progress):
    """A task of which half is done."""
    progress.begin("download robot-push of all splits", 1000, "steps")
    progress.advance(0)
    progress.advance(500, {"bits/dim": "5.1"})


def test_a_result_is_text_or_one_json_object(capsys):
    console.show("words", {"a": (1, 2)})
    console.configure(console.Settings(json=True))
    console.show("words", {"a": (1, 2)})
    first, second = capsys.readouterr().out.splitlines()
    assert first == "words"
    assert json.loads(second) == {"a": [1, 2]}


def test_a_table_aligns_words_left_and_numbers_right():
    rows = [("model", "4.21"), ("uniform", "10.00")]
    assert console.table(("OF", "TEST"), rows).splitlines() == [
        "OF        TEST",
        "model     4.21",
        "uniform  10.00",
    ]


def test_a_table_without_rows_is_its_header():
    assert console.table(("A", "B"), []) == "A  B"


def test_facts_are_lines_of_names_and_values():
    said = console.facts({"run": "[red]a", "parameters": "1,234"})
    assert said.splitlines() == ["run         [red]a", "parameters  1,234"]


def test_notes_go_to_stderr_and_not_with_quiet(capsys):
    console.note("seen")
    console.configure(console.Settings(quiet=True))
    console.note("unseen")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "seen\n")


def kind(progress):
    """What `progress` is: a bar or lines."""
    return "bar" if progress._live else "lines"


def test_progress_is_lines_on_a_pipe_and_nothing_with_quiet():
    assert kind(console.progress()) == "lines"
    console.configure(console.Settings(quiet=True))
    assert isinstance(console.progress(), Silent)


def test_a_line_comes_every_5_percent(capsys, clock):
    lines = TqdmProgress(live=False)
    lines.begin("train", 1000, "steps")
    for step in range(1001):
        clock.now = float(step)
        lines.advance(step)
    lines.end()
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "train"
    assert said[1] == "train:   3% 30/1000 [00:30<16:10,  1.00step/s]"
    assert said[-1] == "train: 100% 1000/1000 [16:40<00:00,  1.00step/s]"
    assert len(said) == 1 + 34
    clock.now = 2000.0
    fast = TqdmProgress(live=False)
    fast.begin("train", 1000, "steps")
    for step in range(1001):
        clock.now = 2000 + step / 10
        fast.advance(step)
    said = capsys.readouterr().err.splitlines()
    assert said[1] == "train:   5% 50/1000 [00:05<01:35, 10.00step/s]"
    assert len(said) == 1 + 20


def test_a_short_task_says_its_end_once_and_no_more_than_a_line_a_second(capsys, clock):
    lines = TqdmProgress(live=False)
    lines.begin("draw", 4, "pictures")
    for now, done in ((0.0, 0), (0.3, 1), (1.2, 2), (1.3, 3), (1.4, 4), (60.0, 4)):
        clock.now = now
        lines.advance(done)
    lines.end()
    said = [line.split(" [")[0] for line in capsys.readouterr().err.splitlines()]
    assert said == ["draw", "draw:  50% 2/4", "draw: 100% 4/4"]


def test_a_line_comes_every_30_seconds_with_rate_and_time_left(capsys, clock):
    lines = TqdmProgress(live=False)
    lines.begin("train", 100_000, "steps")
    for step in range(100):
        clock.now = float(step)
        lines.advance(2 * step, {"bits/dim": "5.1"})
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 + 3
    assert said[1] == (
        "train:   0% 60/100000 [00:30<13:52:50,  2.00step/s, bits/dim 5.1]"
    )


def test_every_update_is_a_line_with_verbose(capsys, clock):
    console.configure(console.Settings(verbose=True))
    lines = console.progress()
    lines.begin("draw", 4, "pictures")
    for done in range(5):
        lines.advance(done)
    assert len(capsys.readouterr().err.splitlines()) == 1 + 5


def test_the_rate_of_a_resumed_task_leaves_out_what_was_done_before(capsys, clock):
    lines = TqdmProgress(live=False)
    lines.begin("train", 1000, "steps")
    clock.now = 60.0
    lines.advance(900)
    clock.now = 70.0
    lines.advance(950)
    said = capsys.readouterr().err.splitlines()
    assert said[1] == "train:  95% 950/1000 [00:10<00:10,  5.00step/s]"


def test_a_task_of_unknown_length_counts(capsys, clock):
    lines = TqdmProgress(live=False)
    lines.begin("decode", unit="videos")
    lines.advance(0)
    clock.now = 2.0
    lines.advance(3)
    lines.end()
    lines.advance(4)
    said = capsys.readouterr().err.splitlines()
    assert said == ["decode", "decode: 3 [00:02,  1.50video/s]"]


def test_bytes_are_rounded_and_shares_of_a_clip_too(capsys, clock):
    lines = TqdmProgress(live=False)
    lines.begin("download", 30_000_000_000, "bytes")
    lines.advance(0)
    clock.now = 10.0
    lines.advance(1_200_000_000)
    lines.begin("score", 3, "clips")
    lines.advance(0)
    clock.now = 20.0
    lines.advance(1.0 + 1 / 3)
    lines.end()
    assert capsys.readouterr().err.splitlines() == [
        "download",
        "download:   4% 1.20G/30.0G [00:10<04:00, 120MB/s]",
        "score",
        "score:  44% 1/3 [00:10<00:12,  7.50s/clip]",
    ]


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_the_bar_is_one_line_on_any_terminal(monkeypatch, columns):
    terminal = Terminal(monkeypatch, columns)
    bar = console.progress()
    assert kind(bar) == "bar"
    work(bar)
    bar.end()
    lines = terminal.read()
    assert len(lines) == 2
    assert lines[1] == [""]
    assert all(len(shown) <= columns for shown in lines[0])
    shown = lines[0][-1]
    for words in ("download", "50%", "500/1000"):
        assert words in shown
    assert ("bits/dim 5.1" in shown) == (columns >= 100)


def test_a_bar_is_ascii_where_the_terminal_is(monkeypatch):
    terminal = Terminal(monkeypatch, 120, "ascii")
    bar = console.progress()
    work(bar)
    bar.end()
    assert "50%|####" in terminal.read()[0][-1]


def test_a_note_stands_above_the_bar_and_a_bar_is_closed_twice_without_harm(
    monkeypatch,
):
    terminal = Terminal(monkeypatch, 120)
    bar = console.progress()
    work(bar)
    bar.note("saved [step 5]")
    bar.end()
    bar.end()
    bar.advance(600)
    note, shown, rest = terminal.read()
    assert note[-1] == "saved [step 5]"
    assert "500/1000" in shown[-1]
    assert "600/1000" not in shown[-1]
    assert rest == [""]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no good")])
def test_an_error_stands_below_a_closed_bar(monkeypatch, error):
    terminal = Terminal(monkeypatch, 120)
    work(console.progress())
    console.report(error)
    bar, line, *_ = terminal.read()
    assert "500/1000" in bar[-1]
    assert line[-1].startswith(("\x1b[1;31msvt:", "svt:"))


def test_the_bar_has_no_colour_and_hides_no_cursor(monkeypatch):
    terminal = Terminal(monkeypatch, 80)
    bar = console.progress()
    work(bar)
    bar.end()
    assert "\x1b" not in str(terminal.read())


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
    assert kind(console.progress()) == "bar"
    monkeypatch.setenv("TERM", "dumb")
    assert kind(console.progress()) == "lines"


def test_the_last_column_of_a_table_is_broken_where_a_terminal_is_narrow(monkeypatch):
    rows = [("quickstart", "three real clips and a small model"), ("b", "-")]
    whole = console.table(("RECIPE", "WHAT"), rows)
    assert len(whole.splitlines()) == 3  # a pipe has no width
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")
    assert console.table(("RECIPE", "WHAT"), rows).splitlines() == [
        "RECIPE      WHAT",
        "quickstart  three real clips",
        "            and a small model",
        "b           -",
    ]
    monkeypatch.setenv("COLUMNS", "20")
    least = console.table(("RECIPE", "WHAT"), rows)
    monkeypatch.setenv("COLUMNS", "28")
    assert least == console.table(("RECIPE", "WHAT"), rows)


def test_signs_that_an_encoding_lacks_are_spelled_and_file_names_are_kept():
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii")
    console.replace_unencodable(stream)
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


HOSTILE = "a\x1b[2J\r\nsvt: b\x9b\u202e.mp4"
PLAIN = "a\\x1b[2J\\r\\nsvt: b\\x9b\\u202e.mp4"


def test_names_of_files_do_not_steer_the_terminal(capsys):
    progress = console.progress()
    progress.note(f"{HOSTILE}: open")
    progress.begin(HOSTILE, 1)
    progress.end()
    console.note(HOSTILE)
    console.report(Refused(HOSTILE, HOSTILE))
    console.configure(console.Settings(debug=True))
    console.report(OSError(2, "gone", HOSTILE))
    console.show(f"\u2026\n\t{console.table(('',), [[HOSTILE]])}", {})
    said = capsys.readouterr()
    assert said.err.splitlines()[:5] == [
        *(f"{PLAIN}: open", PLAIN, PLAIN, f"svt: error: {PLAIN}", f"hint: {PLAIN}"),
    ]
    assert said.out == f"\u2026\n\t{PLAIN}\n"
    assert not console.CONTROL.search("".join((said.err + said.out).split()))


def test_a_recipe_error_keeps_its_lines(capsys):
    problem = Problem(Place("a\x1b.yaml", 1, 1, "\tx: 1"), "x: unknown key")
    console.report(BadRecipe([problem]))
    assert capsys.readouterr().err == (
        "svt: error: a\\x1b.yaml:1:1: x: unknown key\n    \tx: 1\n    ^\n"
    )
