"""`svt sample --video` as a person types it."""

import json
from pathlib import Path

import numpy as np
import pytest

from svtcli.run.samples import read_samples
from tests.cli.terminal import svt_here
from tests.video.video_files import moving_square, write_video


def test_ones_own_videos_are_continued_drawn_and_not_scored(place, capfd):
    write_video(place / "long.mp4", moving_square(9))
    np.save(place / "short.npy", moving_square(3))
    line = ("sample", "mine", "--video", "long.mp4", "--video", "short.npy")
    flags = ("--prime", "2", "--per-prime", "2", "--seed", "7")
    planned = svt_here(capfd, *line, *flags, "-n")
    assert "\nclips        long.mp4, short.npy\n" in planned.out
    said = svt_here(capfd, "--json", *line, *flags, "--render")
    assert said.code == 0
    data = json.loads(said.out)
    samples = read_samples(Path(data["samples"]))
    assert samples.facts.clips == ("long.mp4", "short.npy")
    assert samples.facts.truth_frames == (4, 3)
    assert samples.video.shape == (2, 2, 4, 4, 4, 3)
    assert (samples.video[:, :, :2] == samples.truth[:, None, :2]).all()
    assert (samples.truth[1, 3:] == 255).all()
    assert [Path(name).name for name in data["files"]] == ["strip.png"]
    again = svt_here(capfd, *line, *flags)
    assert f"{data['samples']}: these samples already exist\n" in again.err
    assert svt_here(capfd, "render", data["samples"], "--diversity").code == 0

    scored = svt_here(capfd, "eval", data["samples"], "--metric", "psnr")
    assert scored.code == 2
    assert "ground truth of 3 frames, and samples of 4" in scored.err
    scored = svt_here(
        capfd, "eval", data["samples"], "--metric", "psnr", "--frames", "3"
    )
    assert scored.code == 0


def test_a_video_that_is_long_enough_has_all_of_its_ground_truth(place, capfd):
    np.save(place / "own.npy", moving_square(9))
    said = svt_here(capfd, "-q", "sample", "mine", "--video", "own.npy", "--out", "a")
    assert (said.code, said.out) == (0, "a\n")
    assert read_samples(Path("a")).facts.truth_frames == ()
    assert svt_here(capfd, "eval", "a", "--metric", "psnr").code == 0


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ("--split test", "--split: chooses clips"),
        ("--count 2", "--count: chooses clips"),
        ("--match x", "--match: chooses clips"),
        ("--data clips/mine", "--data: chooses clips"),
        ("--prime 4", "none is left to predict"),
        ("--prime 4 --frames 6", "3 frames, and 4 prime frames are continued"),
        ("--video gone.mp4", "gone.mp4: no such file"),
    ],
)
def test_what_does_not_go_with_a_video_is_refused(place, capfd, flags, why):
    np.save(place / "own.npy", moving_square(3))
    said = svt_here(capfd, "sample", "mine", "--video", "own.npy", *flags.split())
    assert (said.code, said.out) == (2, "")
    assert why in said.err
    assert not (place / "runs/mine/samples").exists()
