"""`svt.load_run`: samples and scores are those of the commands, to the bit."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import svtcli as svt
from svtcli.api.inputs import choose
from svtcli.project import imports
from svtcli.recipe.resolve import Lengths
from svtcli.run import directory
from svtcli.run.samples import read_samples
from svtcli.sample import stage
from svtcli.train.checkpoint import load_network
from tests.cli.terminal import svt_here

LONG_ENOUGH = (0, 1, 3, 4)
"""Clips of split `test` with the four frames of the model."""


MANY = SimpleNamespace(video=np.zeros((4, 3, 2), np.uint8))


@pytest.fixture
def clips(place):
    there = svt.open_clips("clips/mine")["test"]
    return [there[number] for number in LONG_ENOUGH]


def stacked(clips, name="frames", frames=4):
    return np.stack([getattr(clip, name)[:frames] for clip in clips])


def test_clips_are_sampled_as_the_command_samples_them(clips, capfd):
    line = "sample mine --count 9 --prime 2 --per-prime 2 --temp 0.7 --seed 3 --out s"
    assert svt_here(capfd, *line.split()).code == 0
    wanted = read_samples(Path("s")).video
    given = {"prime": 2, "temperature": 0.7, "seed": 3}
    run = svt.load_run("mine")
    assert (run.sample(clips, **given, per_prime=2) == wanted).all()
    assert (run.sample(clips, **given) == wanted[:, 0]).all()
    # The noise is a clip's, whichever others are sampled beside it.
    assert (run.sample(clips[1:3], **given) == wanted[1:3, 0]).all()


def test_one_sample_is_drawn_of_each_video_whatever_the_recipe_says(clips, monkeypatch):
    plans = []
    monkeypatch.setattr(
        stage, "sample_in_memory", lambda plan, progress: plans.append(plan) or MANY
    )
    run = svt.load_run("mine")
    recipe = replace(run.recipe, sample=replace(run.recipe.sample, per_prime=5))
    run = replace(run, checkpoint=replace(run.checkpoint, recipe=recipe))
    assert run.sample(clips).shape == (4, 2)
    assert run.sample(clips, per_prime=3).shape == (4, 3, 2)
    assert [plan.videos for plan in plans] == [4, 12]


def test_arrays_are_sampled_as_the_command_samples_files(clips, capfd):
    line = ["sample", "mine", "--prime", "2", "--out", "s", "--frames", "6"]
    for number, clip in enumerate(clips[:3]):
        np.save(f"{number}.npy", clip.frames)
        line += ["--video", f"{number}.npy"]
    assert svt_here(capfd, *line).code == 0
    wanted = read_samples(Path("s")).video[:, 0]
    run, video = svt.load_run("runs/mine"), stacked(clips[:3])
    found = run.sample(video, prime=2, frames=6)
    assert found.dtype == np.uint8
    assert (found == wanted).all()
    assert (run.sample(video[:, :2], prime=2, frames=6) == wanted).all()
    one = choose(video[0], None, run.recipe, Lengths(2, 4, 2), 2)
    assert (one.clips.read(0) == video[0]).all()
    assert one.numbers == (0,)


def test_scores_are_those_of_the_command(clips, capfd):
    said = svt_here(capfd, "--json", "eval", "mine@2", "--prime", "2")
    wanted = json.loads(said.out)["evaluations"][0]["rows"][0]
    run = svt.load_run("mine@2")
    found = run.score(clips, prime=2)
    assert [found.mean, found.error] == [wanted["mean"], wanted["error"]]
    assert list(found.per_frame) == wanted["per_frame"]
    assert found.unit == "bits/dim"
    assert found.per_video.mean() == found.mean
    bits = -found.log_prob[:, 2:].sum(axis=1) / np.log(2) / (2 * 4 * 4 * 3)
    assert np.allclose(found.per_video, bits, rtol=1e-12)
    assert not found.log_prob[:, :2].any()
    assert (run.score(stacked(clips), prime=2).log_prob == found.log_prob).all()
    # The weights are read once.
    assert [*run.checkpoint.networks] == ["float32"]
    assert load_network(run.checkpoint) is run.checkpoint.networks["float32"]
    assert load_network(run.checkpoint, "bfloat16") is not load_network(run.checkpoint)


def test_actions_are_the_clips_own_or_given(acting_place, capfd):
    there = svt.open_clips("clips/mine")["test"]
    clips = [there[number] for number in LONG_ENOUGH]
    line = "sample mine --count 9 --prime 2 --actions own,reverse --out s"
    assert svt_here(capfd, *line.split()).code == 0
    own, reverse = read_samples(Path("s")).video.swapaxes(0, 1)
    run, video = svt.load_run("mine"), stacked(clips)
    actions = stacked(clips, "actions", 6)
    assert (run.sample(clips, prime=2) == own).all()
    assert (run.sample(clips, prime=2, actions=-actions) == reverse).all()
    mixed = np.where(np.arange(6)[:, None] < 2, actions, -actions)
    numbers = run.sample(video[:2], prime=2, actions=actions[:2])
    assert (numbers == own[:2]).all()  # rows 0 and 1 have the numbers of their clips
    assert (run.sample(video[:2], prime=2, actions=mixed[:2]) == reverse[:2]).all()
    all_alike = run.sample(video[:2], prime=2, actions=actions[0])
    assert (all_alike[0] == own[0]).all()
    scored = run.score(clips, prime=2).log_prob
    assert (run.score(video, prime=2, actions=actions).log_prob == scored).all()
    assert (run.score(clips, prime=2, actions=-actions).log_prob != scored).any()
    wrong = {
        "takes 2 numbers with each frame": None,
        r"its axes are \[4, 3\]": np.zeros((4, 3)),
        r"its axes are \[3, 2\]": np.zeros((3, 2)),
        r"its axes are \[4, 1, 4, 2\]": np.zeros((4, 1, 4, 2)),
        "actions of 3 clips, and 4 are continued": np.zeros((3, 4, 2)),
        "holds NaN or infinity": np.full((4, 2), np.nan),
        "actions: not an array of numbers": "up",
    }
    for sentence, given in wrong.items():
        with pytest.raises(svt.Refused, match=sentence):
            run.sample(video, prime=2, actions=given)


def test_an_exported_file_and_a_shipped_model_are_runs_too(clips, capfd, monkeypatch):
    shipped = []
    monkeypatch.setattr(directory, "SHIPPED", Path("ships"))
    monkeypatch.setattr(imports, "import_shipped", lambda *given: shipped.append(given))
    wanted = svt.load_run("mine").sample(clips, prime=2)
    line = "runs export mine small.safetensors --clips 1"
    assert svt_here(capfd, *line.split()).code == 0
    run = svt.load_run(Path("small.safetensors"))
    assert (run.sample(clips, prime=2) == wanted).all()
    assert len(svt.open_clips(run.clips)["test"]) == 1
    Path("hub").mkdir()
    Path("hub/model.safetensors").symlink_to(Path("small.safetensors").resolve())
    assert (svt.load_run("hub").sample(clips, prime=2) == wanted).all()
    folder = run.checkpoint.run.path
    del run
    assert not folder.exists()  # it was never a run of this person's
    Path("ships").mkdir()
    Path("small.safetensors").rename("ships/mine.safetensors")
    assert svt.load_run("mine@2").step == 2
    assert shipped[0][:2] == ("mine", Path("ships/mine.safetensors"))


PIXELS = np.zeros((2, 4, 4, 4, 3), np.uint8)
WRONG_VIDEO = {
    "numbers are float64, the first of them from 0 to 0": PIXELS / 255,
    "numbers are int64": PIXELS.astype(int),
    "frames are 8 by 8, model.video wants 4 by 4": np.zeros((4, 8, 8, 3), np.uint8),
    "frames have 1 channel, model.channels is 3": PIXELS[..., :1],
    "looks like gray videos without a channel": PIXELS[..., 0],
    r"looks like \[N, T, C, H, W\]": PIXELS.transpose(0, 1, 4, 2, 3),
    "looks like continuations": PIXELS[None],
    "holds no pixels": PIXELS[:0],
    "1 frame; expected 2 or more": PIXELS[:, :1],
    "parts have several shapes": [PIXELS, PIXELS[0]],
    "video: not an array of numbers": "mine",
}
WRONG_SETTINGS = {
    "sample.temperature: should be greater than or equal to 0, not -1": {
        "temperature": -1.0
    },
    "sample.prime: should be greater than 0, not 0": {"prime": 0},
    "none is left to predict": {"prime": 4},
    "sample.frames: should be greater than or equal to 2, not 1": {"frames": 1},
    "sample.seed: should be less than 4294967296": {"seed": 2**40},
    "sample.top_p: should be less than or equal to 1, not 7": {"top_p": 7.0},
    "model takes none": {"actions": PIXELS},
}


def test_a_wrong_array_or_setting_is_refused_in_one_line(clips):
    run, there = svt.load_run("mine"), svt.open_clips("clips/mine")
    calls = [({"prime": 2}, video, what) for what, video in WRONG_VIDEO.items()]
    calls += [({"prime": 2} | keys, PIXELS, x) for x, keys in WRONG_SETTINGS.items()]
    calls += [
        ({}, there["test"][2], "clip test 2 has 3 frames; expected 4 or more"),
        ({}, [clips[0], there["train"][0]], "clips of several splits"),
    ]
    for keys, video, sentence in calls:
        with pytest.raises(svt.Refused, match=sentence) as error:
            run.sample(video, **keys)
        assert "\n" not in str(error.value)
    with pytest.raises(svt.Refused, match="3 frames; expected 4 or more"):
        run.score(PIXELS[:, :3])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("mime", "no run called 'mime'"),
        ("mine@7", "no checkpoint of step 7"),
        ("mine.yaml", "mine.yaml: not a whole safetensors file"),
        ("clips/mine", "not a run folder"),
    ],
)
def test_an_unknown_run_is_refused(place, name, sentence):
    with pytest.raises(svt.Failure, match=sentence):
        svt.load_run(name)
