"""`svt sample --top-k --top-p --precision` as a person types it."""

import json

import numpy as np
import pytest

from svtcli.run.samples import read_samples
from svtcli.sample import stage as stage
from tests.cli.terminal import svt_here


def test_codes_are_drawn_from_the_likeliest_values(place, capfd, monkeypatch):
    asked = []
    whole = stage.load_network
    monkeypatch.setattr(
        stage, "load_network", lambda *given: asked.append(given[1:]) or whole(*given)
    )
    flags = "--top-k 1 --top-p 0.8 --precision bfloat16 --count 2"
    line = ("sample", "mine", *flags.split())
    planned = svt_here(capfd, *line, "-n").out
    facts = ["top-k        1", "top-p        0.8", "precision    bfloat16"]
    assert "\n".join(["temperature  0.9, seed 0", *facts, "schedule "]) in planned
    data = json.loads(svt_here(capfd, "--json", *line, "-n").out)
    assert (data["top_k"], data["top_p"], data["precision"]) == (1, 0.8, "bfloat16")

    one, other = (svt_here(capfd, *line, "--seed", seed) for seed in ("0", "1"))
    assert (one.code, other.code) == (0, 0)
    assert asked == [("bfloat16",)] * 2
    one, other = (read_samples(place / each.out.strip()) for each in (one, other))
    assert (one.facts.top_k, one.facts.top_p) == (1, 0.8)
    assert one.facts.precision == "bfloat16"
    assert np.array_equal(one.video, other.video)  # the likeliest, whatever the noise
    path = next((place / "runs/mine/samples").glob("*/samples.json"))
    said = json.loads(path.read_text())
    assert (said["top_k"], said["top_p"], said["precision"]) == (1, 0.8, "bfloat16")


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--top-p", "0"], "--top-p 0: must be greater than 0 and at most 1"),
        (["--top-p", "1.5"], "--top-p 1.5: must be greater than 0 and at most 1"),
        (["--top-p", "nan"], "--top-p nan: must be greater than 0 and at most 1"),
        (["--top-k", "0"], "--top-k 0: must be greater than 0"),
        (["--top-k", "many"], "Invalid value for '--top-k'"),
        (["--precision", "fp8"], "for '--precision': 'fp8' is not one of 'float32', "),
    ],
)
def test_a_choice_that_leaves_nothing_is_refused_in_one_line(place, capfd, flags, why):
    said = svt_here(capfd, "sample", "mine", *flags)
    assert (said.code, said.out) == (2, "")
    assert why in said.err
    first, *hint = said.err.splitlines()
    assert first.startswith("svt: error: ")
    assert all(line.startswith("hint: ") for line in hint)
