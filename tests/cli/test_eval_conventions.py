"""FVD as other projects compute it, and by number of clips, as commands."""

import json

import numpy as np
import pytest

from tests.cli.terminal import svt_here

EVAL = ("eval", "made.npy", "--reference", "true.npy", "--window=9")
ALL = (*EVAL, "--convention=all", "--by-clips")


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch, cheap_features):
    """Nine samples of nine clips, as arrays in a folder of ours."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    np.save("made.npy", random.integers(0, 256, (9, 9, 12, 12, 3), np.uint8))
    np.save("true.npy", random.integers(0, 200, (9, 9, 12, 12, 3), np.uint8))


def fvd_of(said):
    assert said.code == 0, said.err
    (found,) = json.loads(said.out)["comparisons"]
    return found["fvd"]


def test_all_conventions_stand_beside_the_default_number(capfd):
    plain = fvd_of(svt_here(capfd, "--json", *EVAL))
    every = fvd_of(svt_here(capfd, "--json", *ALL))
    assert every["distances"] == plain["distances"]
    found = {name: each["mean"] for name, each in every["conventions"].items()}
    assert list(found) == ["tf", "stylegan-v", "cd-fvd", "videogpt"]
    assert found["tf"] == plain["distances"]["fvd"]["mean"]
    assert found["cd-fvd"] == found["stylegan-v"] != found["tf"]
    by = every["by_clips"]
    assert by["clips"][-1] == 9
    assert by["fvd"][-1] == pytest.approx(found["tf"])
    assert by["interval"][0] <= found["tf"] <= by["interval"][1]
    alone = fvd_of(svt_here(capfd, "--json", *EVAL, "--convention=cd-fvd"))
    assert alone["distances"]["fvd"]["mean"] == pytest.approx(found["cd-fvd"])


@pytest.mark.parametrize("flag", ["-q", "-n"])
def test_warnings_stand_beside_the_number(capfd, flag):
    said = svt_here(capfd, *(("-q", *ALL) if flag == "-q" else (*ALL, "-n")))
    assert said.code == 0, said.err
    assert "  ! 9 clips, and covariances of 400 features" in said.out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ((*EVAL, "--by-clips", "--clips=7"), "--by-clips takes 8 clips or more, not 7"),
        ((*EVAL, "--convention=all", "--resize=half-pixel"), "has its own rule"),
        ((*EVAL, "--convention=cd-fvd", "--save-stats=s.npz"), "saved under tf alone"),
        (
            ("eval", "made.npy", "--reference=t.npz", "--by-clips"),
            "no features of single",
        ),
        (
            ("eval", "made.npy", "--reference=t.npz", "--convention=all"),
            "convention tf in these statistics, and all here",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(capfd, line, said):
    saved = svt_here(capfd, *("eval", "true.npy", "--window=9", "--save-stats=t.npz"))
    assert saved.code == 0, saved.err
    line = (*line, "--window=9") if "--window=9" not in line else line
    refused = svt_here(capfd, *line)
    assert refused.code == 2, refused.out
    assert said in refused.err
