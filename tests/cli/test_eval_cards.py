"""Result cards and statistics as commands: written, checked, refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.terminal import svt_here

EVAL = ("eval", "made.npy", "--window=9", "--trials=2")
CARD = (*EVAL, "--reference=true.npy", "--metric=fvd,fvd-avg,kvd,psnr", "--prime=1")


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch, cheap_features):
    """Two continuations of five clips, and the clips, as arrays in a folder of ours."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    np.save("made.npy", random.integers(0, 256, (5, 2, 11, 12, 12, 3), np.uint8))
    np.save("true.npy", random.integers(0, 200, (5, 11, 12, 12, 3), np.uint8))


def comparison(said):
    assert said.code == 0, said.err
    (found,) = json.loads(said.out)["comparisons"]
    return found


def test_a_card_holds_the_result_and_can_be_checked(capfd):
    plain = comparison(svt_here(capfd, "--json", *CARD))
    with_card = comparison(svt_here(capfd, "--json", *CARD, "--card=card.json"))
    assert with_card == plain
    card = json.loads(Path("card.json").read_text())
    assert card["results"] == [plain]
    assert len(plain["samples"]["pixels"]) == len(plain["reference"]["pixels"]) == 64
    said = svt_here(capfd, "eval", "--check", "card.json")
    assert said.code == 0, said.err
    assert "numbers agree with card.json" in said.out
    Path("made.npy").rename("moved.npy")
    moved = svt_here(capfd, "eval", "moved.npy", "--check", "card.json")
    assert moved.code == 0, moved.err


@pytest.mark.parametrize(
    ("path", "factor", "code"),
    [
        (("fvd", "distances", "fvd_avg", "mean"), 1.001, 3),
        (("fvd", "distances", "fvd_avg", "mean"), 1.00001, 0),
        (("quality", "psnr", "mean_of_k"), 1.001, 3),
        (("fvd", "constant"), 1.1, 0),
    ],
)
def test_a_number_that_differs_is_named(capfd, path, factor, code):
    svt_here(capfd, *CARD, "--card=card.json")
    card = json.loads(Path("card.json").read_text())
    *parents, last = path
    node = card["results"][0]
    for name in parents:
        node = node[name]
    node[last] *= factor
    Path("card.json").write_text(json.dumps(card))
    said = svt_here(capfd, "eval", "--check", "card.json")
    assert said.code == code, said.err
    assert (".".join(path) in said.err) == (code == 3)


def test_other_data_and_weights_are_refused_before_anything_is_computed(
    capfd, cheap_features
):
    svt_here(capfd, *CARD, "--card=card.json")
    before = len(cheap_features)
    pixels = np.load("made.npy")
    pixels[4, 1, 10, 11, 11, 2] ^= 1
    np.save("made.npy", pixels)
    said = svt_here(capfd, "eval", "--check", "card.json")
    assert said.code == 2, said.err
    assert "samples made.npy: SHA-256" in said.err
    pixels[4, 1, 10, 11, 11, 2] ^= 1
    np.save("made.npy", pixels)
    Path("others.ckpt").write_bytes(b"others")
    said = svt_here(capfd, "eval", "--check", "card.json", "--i3d", "others.ckpt")
    assert said.code == 2, said.err
    assert "weights of I3D: SHA-256" in said.err
    assert len(cheap_features) == before


def test_rows_name_every_score_and_setting(capfd):
    svt_here(capfd, *CARD, "--card=card.md")
    svt_here(capfd, *CARD, "--card=card.tex")
    heading, rule, row = Path("card.md").read_text().splitlines()
    assert heading.count("|") == rule.count("|") == row.count("|")
    for words in ("FVD (avg)", "PSNR, dB (best of 2)", "settings"):
        assert words in heading
    for words in ("window 9", "stride 1", "resize tf1", "I3D af5c50f0df57"):
        assert words in row
    assert "(x·y/400 + 1)³" in row
    comment, row = Path("card.tex").read_text().splitlines()
    assert comment.startswith("% samples & FVD")
    assert row.endswith(r"\\")
    assert "per\\_prime 1" in row


def test_statistics_stand_for_the_clips(capfd):
    metrics = "--metric=fvd,fvd-avg"
    saved = svt_here(
        capfd, "eval", "true.npy", "--window=9", metrics, "--save-stats=true.npz"
    )
    assert saved.code == 0, saved.err
    of_clips = ("--json", *EVAL, metrics, "--reference=true.npy")
    clips = comparison(svt_here(capfd, *of_clips))
    both = comparison(svt_here(capfd, *of_clips, "--save-stats=too.npz"))
    assert both == clips
    found = comparison(svt_here(capfd, "--json", *EVAL, metrics, "--reference=too.npz"))
    for name in ("fvd", "fvd_avg", "curve", "means", "covariances"):
        assert found["fvd"]["distances"][name] == clips["fvd"]["distances"][name]
    assert Path("true.npz").read_bytes() == Path("too.npz").read_bytes()


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("eval", 2, "nothing to score"),
        ("eval --check gone.json", 2, "gone.json: no such file"),
        ("eval --check made.npy", 65, "made.npy: not a result card"),
        ("eval --check card.json --window 9", 2, "--window: --check card.json takes"),
        ("eval made.npy --reference true.npy --card a.txt", 2, "its ending should be"),
        ("eval made.npy --reference true.npy --card made.md", 2, "already exists"),
        ("eval true.npy --save-stats a.npy", 2, "its ending should be .npz"),
        ("eval true.npy --save-stats a.npz --metric psnr", 2, "serve FVD alone"),
        ("eval true.npy --save-stats a.npz --card a.md", 2, "statistics of clips"),
        ("eval made.npy --reference broken.npz", 65, "broken.npz: not a whole .npz"),
    ],
)
def test_wrong_input_is_told_in_one_line(capfd, line, code, said):
    Path("made.md").touch()
    Path("broken.npz").write_bytes(b"PK\x03\x04 and no more")
    failed = svt_here(capfd, *line.split())
    assert failed.code == code, failed.err
    assert said in failed.err
    assert "Traceback" not in failed.err
