"""`svt sample` as a person types it."""

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from svtcli.recipe.schema import Sample
from svtcli.run.samples import read_facts, read_samples
from tests.cli.terminal import svt_here
from tests.trained_place import noise, write_clips


def everything(folder):
    return sorted(folder.rglob("*"))


def test_the_result_is_the_folder_of_the_samples(place, capfd):
    said = svt_here(capfd, "sample", "mine")
    assert said.code == 0
    folder = place / said.out.strip()
    assert said.out.startswith("runs/mine/samples/3-prime1-temp0.9-seed0-")
    assert read_samples(folder).video.shape == (3, 1, 4, 4, 4, 3)
    assert said.err.startswith("compiling the sampler")
    assert "sample: 100% 16/16 [" in said.err
    assert "videos 3 to 3 of 3" in said.err  # 2 at once, so one is left

    again = svt_here(capfd, "sample", "runs/mine", "--batch", "3")
    assert (again.code, again.out) == (0, said.out)
    assert again.err.splitlines() == [
        f"{said.out.strip()}: these samples already exist",
        "look at them in a browser: svt open mine",
    ]


def test_flags_come_before_the_recipe(place, capfd):
    line = "--prime 2 --frames 6 --count 2 --per-prime 2 --temp 0.5 --seed 7 --out new"
    said = svt_here(capfd, "--json", "sample", "mine@2", *line.split())
    assert json.loads(said.out) == {"samples": "new", "dry_run": False}
    samples = read_samples(place / "new")
    assert samples.video.shape == (2, 2, 6, 4, 4, 3)
    facts = samples.facts
    assert (facts.step, facts.prime, facts.frames) == (2, 2, 6)
    assert (facts.temperature, facts.seed) == (0.5, 7)
    assert not (place / "runs" / "mine" / "samples").exists()


@pytest.mark.parametrize("name", ["mine", "runs/mine", "mine@3", "runs/mine@3"])
def test_a_checkpoint_has_many_names(place, capfd, name):
    said = svt_here(capfd, "sample", name, "-n")
    assert "checkpoint   mine@3\n" in said.out
    assert said.out == svt_here(capfd, "sample", "runs/mine/checkpoints/3", "-n").out


def test_other_clips_are_named_with_their_split(place, capfd):
    videos = noise((5, 5), seed=8)
    write_clips(place / "others", {"seen": videos[:1], "novel": videos[1:]})
    said = svt_here(capfd, "sample", "mine", "--data", "others:novel", "--out", "a")
    assert said.code == 0
    samples = read_samples(place / "a")
    assert samples.facts.clips == ("novel 0",)
    assert (samples.truth[0] == videos[1][:4]).all()

    said = svt_here(capfd, "sample", "mine", "--data", ":train", "--out", "b")
    assert read_facts(place / "b").clips == ("train 0", "train 1", "train 2")

    said = svt_here(capfd, "sample", "mine", "--data", "others", "--out", "c")
    assert said.code == 2
    assert "others: no split 'test'; it has seen, novel" in said.err


def test_a_dry_run_says_what_would_be_made_and_writes_nothing(place, capfd):
    before = everything(place)
    said = svt_here(capfd, "sample", "mine", "-n", "--count", "9")
    assert said.code == 0
    name, *facts = said.out.splitlines()
    assert name.startswith("writes to    runs/mine/samples/3-prime1-")
    assert re.fullmatch(r"schedule     (sequential|parallel) \(auto\)", facts.pop(4))
    assert facts == [
        "checkpoint   mine@3",
        "clips        4 of mine, split test",
        "samples      1 of each, 1 prime frame, 3 to sample",
        "temperature  0.9, seed 0",
        "devices      1 x cpu",
        "state        to do",
    ]
    data = json.loads(svt_here(capfd, "--json", "sample", "mine", "-n").out)
    assert data.keys() >= {
        "samples",
        "checkpoint",
        "dataset",
        *vars(Sample()),
        "devices",
        "finished",
        "kept",
        "dry_run",
    }
    assert data["samples"].startswith("runs/mine/samples/")
    assert (data["finished"], data["dry_run"]) == (False, True)
    assert everything(place) == before


def test_fixed_point_sampling_changes_no_sample(place, capfd):
    in_order = ("--schedule", "sequential", "--out", "wanted")
    wanted = svt_here(capfd, "sample", "mine", *in_order)
    guess = ("sample", "mine", "--schedule", "guess", "--window", "4")
    planned = svt_here(capfd, *guess, "-n").out
    assert "schedule     guess, 4 pixels a pass\n" in planned
    said = svt_here(capfd, *guess)
    assert (wanted.code, said.code) == (0, 0)
    one, other = read_samples(place / "wanted"), read_samples(place / said.out.strip())
    assert (one.video == other.video).all()
    assert (one.facts.schedule, one.facts.pixels_per_pass) == ("sequential", 1)
    assert other.facts.schedule == "guess"
    assert 1 <= other.facts.pixels_per_pass <= 4

    again = svt_here(capfd, "sample", "mine")  # the schedule is no difference
    assert again.err.splitlines() == [
        f"{said.out.strip()}: these samples already exist",
        "look at them in a browser: svt open mine",
    ]


def test_a_window_is_refused_where_there_is_none(place, capfd):
    said = svt_here(capfd, "sample", "mine", "--window", "4")
    assert said.code == 2
    assert "--window 4: the schedule auto has no window" in said.err


def test_quiet_leaves_the_folder_alone_on_stdout(place, capfd):
    said = svt_here(capfd, "-q", "sample", "mine")
    assert (said.code, said.err) == (0, "")
    assert (place / said.out.strip() / "samples.npy").is_file()


@pytest.mark.parametrize("schedule", ["sequential", "parallel", "guess"])
def test_a_pipe_is_told_all_that_a_terminal_is(place, capfd, schedule):
    window = ("--window", "4") if schedule == "guess" else ()
    said = svt_here(capfd, "-v", "sample", "mine", "--schedule", schedule, *window)
    lines = [x for x in said.err.splitlines() if x.startswith("sample: ")]
    first, *others, last = lines
    assert len(others) == 14  # one for each slice
    assert first.startswith("sample:   6% 1/16 [")
    assert "videos 1 to 2 of 3" in first
    bar, facts = last.rstrip("]").split("slice/s, ")
    assert bar.startswith("sample: 100% 16/16 [")
    shown = [fact.rsplit(maxsplit=1) for fact in facts.split(", ")]
    assert shown[0] == ["videos 3 to 3 of", "3"]
    assert [name for name, _ in shown[1:]] == ["pixels/s", "pixels/pass"]
    assert float(shown[2][1]) >= 1


def test_a_ctrl_c_ends_in_130_and_says_what_is_kept(place, capfd):
    command = (sys.executable, "-m", "svtcli", "-v", "sample", "mine")
    endless = ("--per-prime", "20000")
    process = subprocess.Popen(
        [*command, *endless], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        for line in process.stderr:
            if " 10/" in line:  # the second batch
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (130, "")
    error, hint = [x for x in err.splitlines() if not x.startswith("sample")]
    kept = re.fullmatch(
        r"svt: interrupted; (\d+) of 60000 videos are finished and kept", error
    )
    assert hint == "hint: re-run the same command to resume"
    said = svt_here(capfd, "sample", "mine", *endless, "-n")
    so_far = f"to do, {kept[1]} of 60000 videos are finished"
    assert said.out.splitlines()[-1] == f"state        {so_far}"
    assert int(kept[1]) >= 2


def test_processes_share_the_work_and_each_takes_all_its_devices(place, capfd):
    """Two at once, with two devices and with one; the last makes the folder."""
    line = ("sample", "mine", "--schedule", "sequential", "--out", "shared")
    tasks = [
        subprocess.Popen(
            [sys.executable, "-m", "svtcli", *line, "--task-count", "2", *index],
            env={**os.environ, "JAX_NUM_CPU_DEVICES": devices},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for devices, index in (("2", ["--task-index=0"]), ("1", ["--task-index=1"]))
    ]
    ends = [(*task.communicate(timeout=300), task.returncode) for task in tasks]
    assert [(out, code) for out, _, code in ends] == [("shared\n", 0)] * 2, ends
    said = "".join(err for _, err, _ in ends)
    assert ("of 3 videos are finished so far" in said) + (
        "already sampled" in said
    ) == 1
    assert not list(place.glob(".shared*"))
    svt_here(capfd, *line[:-1], "alone")
    one, other = read_samples(place / "shared"), read_samples(place / "alone")
    assert (one.video == other.video).all()
    assert np.allclose(one.log_prob, other.log_prob, rtol=1e-5)
    assert one.facts == other.facts


def test_a_task_that_others_do_not_end_with_says_so(place, capfd):
    line = ("sample", "mine", "--task-count", "2", "--task-index")
    said = svt_here(capfd, "--json", *line, "1")
    assert json.loads(said.out)["videos"] == 1
    assert said.err.endswith("1 of 3 videos are finished so far\n")
    planned = svt_here(capfd, *line, "0", "-n").out.splitlines()
    assert planned[-2] == "devices      1 x cpu, task 0 of 2"
    assert planned[-1] == "state        to do, 1 of 3 videos are finished"
    assert svt_here(capfd, *line, "2").code == 2
    assert svt_here(capfd, "sample", "mine", "--task-index", "0").code == 2


@pytest.mark.parametrize(
    "line",
    ["sample mime", "eval mine mime", "run mien.yaml", "train mine.yaml train.stepz=1"],
)
def test_a_typo_is_answered_before_jax_is_loaded(place, line):
    code = (
        "import sys; from svtcli.cli.app import main; "
        f"code = main({line.split()!r}); print(code, 'jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "2 False\n"
    assert "did you mean" in done.stderr
