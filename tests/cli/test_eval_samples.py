"""`svt eval` on samples: a run's own trials, and anyone's arrays and frames."""

import json
import pickle
import re
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from svtcli.run.durable import read_record
from tests.cli.terminal import svt_here
from tests.trained_place import noise, write_clips

SHORT = ("--trials", "2", "--frames", "6")


@pytest.fixture
def arrays(tmp_path, monkeypatch):
    """Two continuations of four clips, and the clips, as arrays in a folder of ours."""
    monkeypatch.chdir(tmp_path)
    for name, shape in (("made", (4, 2, 6, 12, 12, 3)), ("true", (4, 6, 12, 12, 3))):
        pixels = np.random.default_rng(len(shape)).integers(0, 256, shape, np.uint8)
        np.save(f"{name}.npy", pixels)


def pixels_sha256(name, axes):
    """Hash of few clips: continuation by continuation."""
    video = np.load(name)
    assert video.shape == axes
    digest = sha256(repr(axes).encode())
    for k in range(axes[1]):
        digest.update(video[:, k].tobytes())
    return digest.hexdigest()


def test_samples_of_anyone_are_measured_in_one_command(arrays, capfd):
    said = svt_here(
        capfd,
        *("eval", "made.npy", "--reference", "true.npy", "--prime", "2"),
        *("--metric", "psnr,ssim", "--per-frame"),
    )
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0].split()[:4] == ["samples", "metric", "value", "±"]
    assert re.search(r"averaged over +samples per clip$", lines[0])
    assert [line.split()[1] for line in lines[1:5]] == [
        "PSNR,",
        "PSNR,",
        "SSIM",
        "SSIM",
    ]
    assert lines[1].endswith("4 clips (s.e.)  mean of 2")
    assert lines[2].endswith("4 clips (s.e.)  best of 2")
    assert "made.npy: 4 samples per trial, compared with 4 clips of true.npy" in lines
    assert "  samples of 6 frames, 2 prime frames" in lines
    frames = [line.split()[0] for line in lines[-4:]]
    assert frames == ["2", "3", "4", "5"]


def test_json_has_all_that_numbers_depend_on(arrays, capfd):
    line = ("eval", "made.npy", "--reference=true.npy", "--prime=2", "--metric=psnr")
    said = svt_here(capfd, "--json", *line)
    (found,) = json.loads(said.out)["comparisons"]
    assert found["kind"] == "comparison"
    assert found["samples"] == {
        "name": "made.npy",
        "clips": 4,
        "frames": 6,
        "lossy": False,
        "converted": "",
        "pixels": pixels_sha256("made.npy", (4, 2, 6, 12, 12, 3)),
        "fps": None,
        "statistics": None,
    }
    assert (found["prime"], found["trials"], found["fvd"]) == (2, 2, None)
    assert found["quality"]["psnr"]["k"] == 2
    assert len(found["quality"]["psnr"]["mean_per_frame"]) == 4
    written = svt_here(capfd, *line, "--out", "numbers.json")
    assert written.err.endswith("written to numbers.json\n")
    assert read_record(Path("numbers.json"), "") == found


def test_frames_and_lossy_files_can_be_the_clips(arrays, capfd, tmp_path):
    for clip, video in enumerate(np.load("true.npy")):
        for kind in ("png", "jpg"):
            folder = tmp_path / kind / f"clip{clip}"
            folder.mkdir(parents=True)
            for frame, pixels in enumerate(video):
                Image.fromarray(pixels).save(folder / f"{frame}.{kind}")
    numbers = {}
    line = ("--json", "eval", "made.npy", "--prime=2", "--metric=psnr", "--reference")
    for clips in ("true.npy", "png"):
        (found,) = json.loads(svt_here(capfd, *line, clips).out)["comparisons"]
        numbers[clips] = found["quality"]["psnr"]["mean_of_k"]
    assert numbers["png"] == numbers["true.npy"]
    refused = svt_here(capfd, *line, "jpg")
    assert refused.code == 2
    assert "lossy; FVD of re-encoded video has been wrong" in refused.err
    allowed = svt_here(capfd, *line, "jpg", "--allow-lossy")
    assert "jpg is lossy" in json.loads(allowed.out)["comparisons"][0]["warnings"][0]


def test_a_run_is_measured_by_samples_that_are_made_once(place, capfd):
    line = ("eval", "mine", "--metric", "psnr", *SHORT)
    dry = svt_here(capfd, *line, "-n")
    assert (
        "would measure psnr of mine@3: 8 samples of 6 frames, 2 trials of 4" in dry.out
    )
    assert not (place / "runs" / "mine" / "samples").exists()
    first = svt_here(capfd, *line)
    assert first.code == 0, first.err
    (samples,) = (place / "runs" / "mine" / "samples").iterdir()
    (result,) = (place / "runs" / "mine" / "eval").iterdir()
    assert result.name.startswith("3-test-samples-")
    video, truth = (np.load(samples / f"{name}.npy") for name in ("samples", "truth"))
    assert video.shape == (4, 2, 6, 4, 4, 3)
    error = np.square(video[:, :, 1:] / 255 - truth[:, None, 1:] / 255).mean((3, 4, 5))
    psnr = -10 * np.log10(error)
    found = json.loads(result.read_text())["quality"]["psnr"]
    assert found["mean_of_k"] == pytest.approx(psnr.mean())
    assert found["best_of_k"] == pytest.approx(psnr.mean(axis=2).max(axis=1).mean())
    again = svt_here(capfd, *line)
    assert again.out == first.out
    assert "already measured" in again.err
    assert svt_here(capfd, *line, "-n").out.endswith("(done)\n")
    beside = svt_here(capfd, "eval", str(samples), "--metric", "psnr")
    assert [row.split()[-7:] for row in beside.out.splitlines()[1:3]] == [
        row.split()[-7:] for row in first.out.splitlines()[1:3]
    ]


def test_a_trial_can_have_several_samples_of_a_clip(place, capfd):
    line = (
        "eval",
        "mine",
        "--metric=psnr",
        "--frames=6",
        "--trials=2",
        "--per-prime=3",
    )
    said = svt_here(capfd, "--json", *line, "--split=train", "--clips=2")
    (found,) = json.loads(said.out)["comparisons"]
    assert (found["trials"], found["per_prime"]) == (2, 3)
    assert (found["samples"]["clips"], found["reference"]["clips"]) == (6, 2)
    assert found["made"]["split"] == "train"
    (samples,) = (place / "runs" / "mine" / "samples").iterdir()
    assert np.load(samples / "samples.npy").shape[:2] == (2, 6)


@pytest.mark.slow
def test_precision_is_that_of_the_samples_too(place, capfd):
    line = ("eval", "mine", "--metric=psnr", *SHORT, "--clips=2", "--batch=1")
    said = svt_here(capfd, "--json", *line, "--precision=bfloat16")
    assert json.loads(said.out)["comparisons"][0]["made"]["precision"] == "bfloat16"


def test_likelihood_and_samples_stand_in_one_answer(place, capfd):
    said = svt_here(capfd, "--json", "eval", "mine", "--metric", "bits,psnr", *SHORT)
    data = json.loads(said.out)
    assert [each["unit"] for each in data["evaluations"]] == ["bits_per_dim"]
    assert list(data["comparisons"][0]["quality"]) == ["psnr"]


def test_recipes_can_ask_for_metrics_of_samples(place, capfd):
    line = ("run", "mine.yaml", "--from", "eval", "--to", "eval")
    keys = ("eval.metrics=[psnr]", "eval.trials=2", "eval.videos=3")
    todo = svt_here(capfd, *line, "-n", *keys)
    assert "to do" in todo.out
    said = svt_here(capfd, *line, *keys)
    assert said.code == 0, said.err
    assert "PSNR, dB" in said.out
    assert "bits/dim" not in said.out
    assert "done" in svt_here(capfd, *line, "-n", *keys).out


def test_the_table_shows_what_is_on_disk_beside_the_paper(place, capfd):
    svt_here(capfd, "eval", "mine", "--metric", "psnr", *SHORT)
    said = svt_here(capfd, "eval", "mine", "--table")
    header, ours = said.out.splitlines()
    assert header.split("  ")[0] == "model"
    assert ours.startswith("mine@3  test")
    assert "no FVD yet" in ours


def test_floats_of_another_layout_score_as_their_bytes(arrays, capfd):
    """Typed by whoever follows the hints, from the array as a model left it."""
    np.save("floats.npy", np.moveaxis(np.load("made.npy") / 127.5 - 1, -1, 2))
    np.save("clips.npy", np.moveaxis(np.load("true.npy") / 255, -1, 1))
    line = ("--prime=2", "--metric=psnr,ssim")
    bytes_ = svt_here(capfd, "eval", "made.npy", "--reference=true.npy", *line)
    typed = ["eval", "floats.npy", "--reference", "clips.npy", *line]
    for _ in range(2):
        refused = svt_here(capfd, *typed)
        assert refused.code == 2
        typed += refused.err.split("state it: ")[1].split()
    said = svt_here(capfd, *typed)
    assert said.code == 0, said.err
    assert "  samples read as NMCTHW, -1..1 rounded to 0..255" in said.out
    assert "  clips read as NCTHW, 0..1 rounded to 0..255" in said.out
    scores = [re.findall(r"\d+\.\d{3}", each.out) for each in (said, bytes_)]
    assert scores[0] == scores[1] != []


@pytest.mark.parametrize(
    ("line", "said", "hint"),
    [
        ("eval made.npy", "no ground truth beside them", "--reference"),
        ("eval made.npy --reference gone.npy", "gone.npy", ""),
        (
            "eval made.npy --reference made.npy",
            "made.npy: 2 videos of each clip; a reference has one",
            "x[:, 0]",
        ),
        ("eval mad.npy --reference true.npy", "mad.npy", "made.npy"),
        (
            "eval made.npy --reference true.npy --metric psnr",
            "number of prime frames",
            "--prime",
        ),
        ("eval made.npy --reference true.npy --metric fvd", "6 frames, and FVD", "9"),
        (
            "eval made.npy --reference true.npy --metric bits",
            "no likelihood",
            "the run",
        ),
        (
            "eval made.npy --reference true.npy --temp 1",
            "--temp: made.npy is a set",
            "leave",
        ),
        ("eval made.npy --reference true.npy --metric psnt", "'psnt'", "mean psnr?"),
        (
            "eval made.npy --reference true.npy --metric psnr --resize tf1",
            "--resize: none of the requested metrics",
            "--metric fvd",
        ),
        ("eval made.npy made.npy --reference true.npy --out a", "one file, and 2", ""),
        (
            "eval made.npy --reference true.npy --layout NCHW",
            "--layout NCHW: not the axes of videos",
            "T, H and W are needed",
        ),
        (
            "eval made.npy mine --reference true.npy",
            "mine is a run, made.npy is not",
            "",
        ),
    ],
)
def test_wrong_input_is_told_in_one_line(arrays, capfd, line, said, hint):
    failed = svt_here(capfd, *line.split())
    assert failed.code == 2, failed.err
    assert said in failed.err
    assert hint in failed.err
    assert "Traceback" not in failed.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--reference clips/mine", "--reference: mine is a run"),
        ("--metric nats", "the loss of mine@3 gives bits/dim"),
        ("--temp 1", "--temp: none of the requested metrics"),
        ("--trials 3", "--trials: none of the requested metrics"),
        ("--metric psnr --window 9", "--window: none of the requested metrics"),
        ("--metric fvd --stride 2", "--stride: none of the requested metrics"),
        ("--metric psnr --gray", "--gray: none of the requested metrics"),
        (
            "--metric ssim --lpips-net vgg16",
            "--lpips-net: none of the requested metrics",
        ),
        ("--metric psnr --i3d mine.yaml", "--i3d: none of the requested metrics"),
        ("--metric psnr --task-index 0 --task-count 2", "only likelihoods are shared"),
        ("--metric ssim --frames 6", "ssim needs 11x11 pixels"),
        ("--metric fvd --frames 6", "6 frames, and FVD's window has 16"),
        ("--prime 0", "one frame or more"),
        ("--layout NCTHW", "--layout: mine is a run"),
        ("--reference-range -1..1", "--reference-range: mine is a run"),
        ("--metric psnr --exclude-prime", "--exclude-prime: none of the requested"),
    ],
)
def test_what_a_run_cannot_be_asked_is_refused(place, capfd, line, said):
    failed = svt_here(capfd, "eval", "mine", *line.split())
    assert failed.code == 2, failed.err
    assert said in failed.err


class CreatesAFile:
    """What a pickle does that should not be loaded."""

    def __reduce__(self):
        return Path.touch, (Path("created"),)


def test_weights_that_are_a_program_are_not_run(arrays, capfd):
    Path("weights.ckpt").write_bytes(pickle.dumps(CreatesAFile(), protocol=4))
    line = ("eval", "made.npy", "--reference", "true.npy", "--metric", "fvd")
    said = svt_here(capfd, *line, "--frames=6", "--window=9", "--i3d=weights.ckpt")
    assert said.code == 2  # six frames are too few: nothing is read before
    for name, shape in (("made", (4, 9, 12, 12, 3)), ("true", (4, 9, 12, 12, 3))):
        np.save(f"{name}.npy", np.zeros(shape, np.uint8))
    said = svt_here(capfd, *line, "--window=9", "--i3d=weights.ckpt")
    assert said.code == 65
    assert "asks for" in said.err
    assert "Traceback" not in said.err
    assert not Path("created").exists()
    pickle.loads(Path("weights.ckpt").read_bytes())
    assert Path("created").exists()


@pytest.mark.slow
def test_fvd_of_the_real_network_from_a_run(place, capfd, monkeypatch):
    """Nine frames, three clips: the whole way with the published weights."""
    monkeypatch.setenv("SVT_CACHE", str(place / "cache"))
    write_clips(place / "clips" / "long", {"test": noise((9, 9, 9, 9, 9, 9), 1)})
    line = ("eval", "mine", "--data", "clips/long", "--metric", "fvd,kvd", "--frames=9")
    said = svt_here(capfd, *line, "--window=9", "--trials=1", "--clips=3")
    assert said.code == 0, said.err
    assert "self-test passed" in said.err
    assert "3 clips, and covariances of 400 features" in said.err
    table = said.out.splitlines()
    assert [row.split()[1] for row in table[1:3]] == ["FVD", "KVD"]
    assert "tf1 resizing to 224, I3D af5c50f0df57, self-test 152.90" in said.out
    assert "floor of unpaired clips" in said.out


def test_prepared_clips_and_folders_of_ours_can_be_the_clips(place, capfd):
    """Of split test, one clip has fewer frames than the samples: it is passed over."""
    svt_here(capfd, "sample", "mine", "--frames", "6", "--count", "4")
    (samples,) = (str(each) for each in (place / "runs" / "mine" / "samples").iterdir())
    numbers = {}
    for clips in ("", samples, "clips/mine", "clips/mine:test"):
        reference = ("--reference", clips) if clips else ()
        line = ("--json", "eval", samples, "--metric", "psnr", *reference)
        (found,) = json.loads(svt_here(capfd, *line).out)["comparisons"]
        numbers[clips] = (found["reference"]["clips"], found["quality"])
    assert numbers[""][0] == 4
    assert all(each == numbers[""] for each in numbers.values())
