"""`svt run moving_mnist_small` on real handwritten digits, cut down to seconds."""

import json
from math import log

import pytest

from svtcli.clips.format import read_manifest
from svtcli.run.samples import read_samples
from tests.cli.terminal import svt_here
from tests.idx_files import write_mnist

SMALL = (
    "data.source=digits",
    "data.clips=clips",
    "data.size=32",
    "data.train=8",
    "data.val=3",
    "data.test=3",
    "model.video=[3,32,32]",
    "model.d=8",
    "model.de=4",
    "model.na=1",
    "model.da=4",
    "model.encoder_layers=1",
    "train.steps=3",
    "train.warmup=0",
    "train.batch=2",
    "sample.count=2",
    "eval.batch=3",
)


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """A working directory with MNIST's idx files in `digits`."""
    write_mnist(tmp_path / "digits", train=200, t10k=50)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SVT_RUNS", raising=False)
    return tmp_path


@pytest.mark.slow
def test_the_recipe_runs_from_idx_files_to_pictures(digits, capfd):
    said = svt_here(capfd, "--json", "run", "moving_mnist_small", *SMALL)
    assert said.code == 0, said.err
    result = json.loads(said.out)

    samples = read_samples(digits / result["samples"])
    assert samples.video.shape == (2, 1, 20, 32, 32, 1)
    assert (samples.video[:, 0, :10] == samples.truth[:, :10]).all()
    assert (samples.video[:, 0, 10:] != samples.truth[:, 10:]).any()
    for picture in result["pictures"]:
        assert (digits / picture).stat().st_size > 1000

    scores = result["evaluation"]
    assert (scores["unit"], scores["prime"], scores["frames"]) == (
        "nats_per_frame",
        10,
        20,
    )
    means = {row["model"]: row["mean"] for row in scores["rows"]}
    assert means["uniform"] == pytest.approx(log(2) * 32 * 32, rel=1e-5)
    counted = read_manifest(digits / "clips").lower_bound["test"]
    assert scores["lower_bound"] == pytest.approx(counted)  # all clips, second half
    assert counted < means["trained"]

    again = svt_here(capfd, "run", "moving_mnist_small", *SMALL)
    assert again.code == 0
    assert "lower bound" in again.out
    assert "compil" not in again.err

    fewer = svt_here(capfd, "--json", "eval", "moving_mnist_small", "--clips", "1")
    (evaluation,) = json.loads(fewer.out)["evaluations"]
    assert evaluation["lower_bound"] != pytest.approx(counted)

    bounds = read_manifest(digits / "clips").lower_bound
    both = svt_here(capfd, "eval", "moving_mnist_small", "--split=val", "--split=test")
    told = [line.split() for line in both.out.splitlines() if "lower bound" in line]
    assert [(row[3], row[5]) for row in told] == [
        (f"{bounds[split]:.3f}", split) for split in ("val", "test")
    ]


def test_prepare_takes_the_same_digits(digits, capfd):
    few = ("--train", "4", "--val", "2", "--test", "3")
    said = svt_here(capfd, "prepare", "moving-mnist", "--source", "digits", *few)
    assert (said.code, said.out) == (0, "clips/moving-mnist\n")
    assert "test: 3 clips, 60 frames, lower bound" in said.err
