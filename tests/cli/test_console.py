"""What is shown: results on stdout, progress in lines on a pipe, nothing with -q."""

import json

import pytest

from svtcli.cli import console
from svtcli.cli.bar import Bar, Lines
from svtcli.cli.quantities import duration
from svtcli.run.progress import Silent


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
    lines = Lines(clock=Clock())
    lines.begin("train", 1000, "steps")
    for step in range(1001):
        lines.advance(step)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "train"
    assert said[1] == "train: 50/1000 steps (5%)"
    assert len(said) == 1 + 20


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
