import jax
import numpy as np
import pytest

from svtcli.clips.loader import training_batches
from svtcli.clips.reader import open_clips
from svtcli.model.likelihood import training_loss
from svtcli.model.svt import create
from svtcli.model.windows import slice_choices
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Train
from svtcli.train.loop import model_inputs
from svtcli.train.state import first_state
from svtcli.train.step import jit_update, make_update
from tests.train import tiny_run

SIZES = {"de": 16, "d": 48, "na": 2, "da": 16, "encoder_layers": 1, "decoder_layers": 1}


@pytest.mark.parametrize(
    "first_slice_layers", [None, pytest.param(1, marks=pytest.mark.slow)]
)
def test_one_batch_of_noise_is_overfitted(tmp_path, first_slice_layers) -> None:
    """8 bits/dim of noise can only be lowered by remembering which noise it was."""
    model = Model(
        video=(4, 4, 4),
        s=(2, 2, 2),
        blocks=((2, 2, 2),),
        first_slice_layers=first_slice_layers,
        **SIZES,
    )
    train = Train(optimizer="adam", learning_rate=1e-2, decay=0.99, batch=8, steps=300)
    clips = open_clips(tiny_run.write_clips(tmp_path / "clips"), "train")
    choices = slice_choices(model, train.prime, train.batch)
    batch = model_inputs(training_batches(clips, 4, choices, seed=0)[0])
    graphdef, params = create(model, jax.random.key(0))

    def loss(params, inputs):
        return training_loss(graphdef, params, model, train.prime, **inputs)

    state, scores = first_state(params, train), []
    update = jit_update(make_update(loss, train), state, batch)
    for _ in range(train.steps):
        state, metrics = update(state, batch)
        scores.append(float(metrics.score))
    assert scores[0] > 8
    assert scores[-1] < 0.1
    assert np.isfinite(scores).all()
