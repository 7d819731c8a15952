"""The options of `train` that say how a step is computed, through the whole command."""

import numpy as np
import pytest

from svtcli.run.directory import RunFolder
from svtcli.run.metrics_log import read_metrics
from svtcli.run.progress import Silent
from svtcli.train.checkpoint import load_network, restore_params
from svtcli.train.commit_record import open_checkpoint
from svtcli.train.stage import train
from tests.train import toy
from tests.train.tiny_run import loaded, write_clips, write_recipe

pytestmark = pytest.mark.usefixtures("kept_programs")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("options")
    return write_recipe(folder, write_clips(folder / "clips"))


def losses_of(recipe, folder, *overrides: str) -> list[float]:
    run = RunFolder(folder)
    train(loaded(recipe, "train.steps=6", *overrides), run, Silent())
    return [row["loss"] for row in read_metrics(run.metrics) if "loss" in row]


def test_remat_accumulation_and_bfloat16_train_as_the_plain_step_does(
    recipe, tmp_path
) -> None:
    plain = losses_of(recipe, tmp_path / "plain")
    saving = "train.remat=true", "train.accumulate=2"
    saved = losses_of(recipe, tmp_path / "saving", *saving)
    np.testing.assert_allclose(saved, plain, rtol=1e-4)
    rounded = losses_of(recipe, tmp_path / "half", "train.precision=bfloat16")
    np.testing.assert_allclose(rounded, plain, rtol=0.02)
    assert rounded != plain


def test_samples_and_scores_use_the_average(recipe, tmp_path) -> None:
    run = RunFolder(tmp_path / "ema")
    train(loaded(recipe, "train.steps=6", "train.ema=0.9"), run, Silent())
    checkpoint = open_checkpoint(run)
    used = load_network(checkpoint).params
    folder = run.checkpoints
    average, params = (
        restore_params(folder, 6, used, part) for part in ("ema", "params")
    )
    assert toy.same(used, average)
    assert not toy.same(used, params)
