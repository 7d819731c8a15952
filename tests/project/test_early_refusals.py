"""Refusals before the work, and extreme numbers in a recipe."""

import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from svtcli.failure import CheckFailed, Refused
from svtcli.model.windows import count_passes, passes
from svtcli.project.estimate import estimate
from svtcli.project.survey import refusals, refuse_early, survey
from svtcli.recipe.data import BairData, FolderData, KineticsData, MovingMnistData
from svtcli.recipe.load import load_recipe
from svtcli.recipe.schema import SECTIONS, STAGES
from svtcli.recipe.setting import settings_of
from svtcli.run.directory import RunFolder
from tests.idx_files import write_mnist
from tests.tiny import VARIANTS
from tests.train.tiny_run import write_clips, write_recipe

SECONDS = 5
EXTREME = (0, 1, 2, 3, 7, 1000, 2**16, 10**6, 10**9, 2**31 - 1, 2**31, 10**18, 10**30)


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> str:
    return f"data.source={write_mnist(tmp_path_factory.mktemp('digits'), 40, 10)}"


@pytest.fixture
def mine(tmp_path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    return str(write_recipe(tmp_path, tmp_path / "clips"))


REFUSED = {
    "eval.metrics=[ssim]": "ssim needs 11x11",
    "eval.metrics=[lpips]": "lpips needs 31x31",
    "eval.metrics=[psnr] eval.sampled_frames=3": "shorter than the model's window",
    "render.frames=[99]": "frame 99",
    "render.scale=1000000": "pixels in a picture",
    "render.diversity=true render.each=video": "diversity",
    "sample.frames=3": "shorter than the model's window",
    "train.batch=6 mesh.shard=4": "cannot be divided evenly",
    "train.validate_every=1 eval.metrics=[] eval.frames=3": "shorter than the model's",
}


@pytest.mark.parametrize("overrides", REFUSED)
def test_what_a_later_stage_refuses_is_refused_before_the_first(mine, overrides):
    loaded = load_recipe(mine, overrides.split())
    with pytest.raises(Refused) as refused:
        refuse_early(loaded, RunFolder(Path("runs/mine")), STAGES)
    assert REFUSED[overrides] in refused.value.sentence
    assert not Path("runs").exists()


def test_devices_that_are_not_here_are_refused_before_the_first_stage(mine):
    write_clips(Path("clips"), held_out=("test",))
    Path("videos").mkdir()
    loaded = load_recipe(mine, ["mesh.data=4"])
    with pytest.raises(Refused, match="4 devices, but there are 1"):
        refuse_early(loaded, RunFolder(Path("runs/mine")), ("train", "sample"))


def test_a_fitting_recipe_is_not_refused(mine):
    assert list(refusals(load_recipe(mine).recipe)) == []


@pytest.mark.parametrize("key", ["runs", "clips"])
def test_places_that_cannot_be_written_are_refused(mine, key):
    Path("runs" if key == "runs" else "clips").write_text("a file")
    loaded = load_recipe("quickstart")
    with pytest.raises(Refused, match="file"):
        refuse_early(loaded, RunFolder(Path("runs/mine")), STAGES)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize(("frames", "prime", "overlap"), [(4, 1, 1), (11, 3, 2)])
def test_passes_are_counted_as_they_are_walked(name, frames, prime, overlap):
    config = VARIANTS[name]
    frames = max(frames, config.video[0])
    overlap = min(overlap, config.video[0] - 1)
    found = count_passes(config, frames, prime, overlap)
    walked = [
        (each.first, each.prime_frames)
        for each in passes(config, frames, prime, overlap)
    ]
    assert found == {kind: walked.count(kind) for kind in set(walked)}


@contextmanager
def within(seconds: float, what: object) -> Iterator[None]:
    """Fail where the block takes longer."""

    def late(*_: object) -> None:
        pytest.fail(f"{what}: more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 4 * seconds)
    begun = time.process_time()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.process_time() - begun < seconds, what


def numeric_keys(data: type = MovingMnistData) -> list[tuple[str, int]]:
    """Every key that takes numbers, and how many."""
    sections = {**SECTIONS, "data": data}
    found = []
    for name, section in sections.items():
        triples = {
            each.name: 3
            for each in fields(section)
            if "Triple" in str(each.type) and "Block" not in str(each.type)
        }
        found += [
            (f"{name}.{each.name}", triples.get(each.name, 1))
            for each in settings_of(section)
            if int in each.types or float in each.types
        ]
    return found


def answered(recipe: str, overrides: list[str]) -> str:
    """Answer of `recipes check`, `plan` and `run -n` to these overrides."""
    run = RunFolder(Path("runs/mine"))
    try:
        loaded = load_recipe(recipe, overrides)
        list(refusals(loaded.recipe))
        estimate(loaded.recipe)
        survey(loaded, run)
        refuse_early(loaded, run, STAGES)
    except (Refused, CheckFailed) as refused:
        return refused.sentence
    return "ok"


def one(key: str, count: int, rng: random.Random) -> str:
    values = [rng.choice(EXTREME) for _ in range(count)]
    return f"{key}={values if count > 1 else values[0]}"


@pytest.mark.parametrize("key", [name for name, _ in numeric_keys()][::4])
def test_an_extreme_number_is_answered(mine, digits, key):
    override = one(key, dict(numeric_keys())[key], random.Random(key))
    with within(SECONDS, override):
        answered("moving_mnist_small", [digits, override])


@pytest.mark.slow
def test_the_deepest_model_is_answered(mine):
    depth = [f"model.{name}_layers=64" for name in ("encoder", "decoder")]
    with within(SECONDS, depth):
        estimate(load_recipe("kinetics_spatial", depth).recipe)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(400))
def test_any_extreme_numbers_are_answered(mine, digits, seed):
    rng = random.Random(seed)
    name, data, given = rng.choice(
        (
            ("moving_mnist_small", MovingMnistData, [digits]),
            ("quickstart", FolderData, []),
            ("bair_large", BairData, []),
            ("kinetics_spatiotemporal", KineticsData, []),
        )
    )
    keys = rng.sample(numeric_keys(data), rng.choice((1, 1, 1, 2, 3)))
    overrides = [*given, *(one(key, count, rng) for key, count in keys)]
    with within(SECONDS, (name, overrides)):
        answered(name, overrides)
