"""The shortest schedule: the samples that one pixel at a time gives, in its steps."""

from collections.abc import Iterator

import numpy as np
import pytest

from svtcli.model.connectivity import connectivity, schedule
from svtcli.model.windows import passes
from svtcli.recipe.model import Model
from svtcli.sample.schedules import Parallel
from svtcli.sample.slice_state import sample_slice
from tests.sample.continued import assert_same, continuations
from tests.tiny import GRAY, SMALL, VARIANTS

REVISITED = Model(
    video=(2, 4, 8), s=(1, 1, 1), blocks=((2, 4, 1), (1, 2, 4)),
    **{**SMALL, "decoder_layers": 2}, **GRAY,
)  # fmt: skip
"""A pixel reads keys of a position that is itself made later: it is computed twice."""


def test_a_position_that_is_needed_early_is_computed_twice_for_the_same_samples():
    visits = schedule(REVISITED)
    assert max(np.bincount(np.concatenate([np.unique(row) for row in visits]))) > 1
    true, made = continuations(REVISITED, [Parallel()])
    assert_same(made, true)
    assert (made.passes < true.passes).all()


def test_passes_are_the_planned_steps_of_one_program():
    """Whatever is given of a slice; and one more for the first slice's decoder."""
    config = VARIANTS["first slice decoder"]
    sample_slice.clear_cache()
    true, made = continuations(config, [Parallel()], dtype="float32")
    assert_same(made, true)
    assert sample_slice._cache_size() == 4  # each schedule, and its first slices
    assert set(made.passes) == {sum(planned_steps(config, frames=5))}


def planned_steps(config: Model, frames: int) -> Iterator[int]:
    """Steps of each slice that is sampled after one prime frame."""
    _, h, w = config.slice_shape
    for each in passes(config, frames, 1, 1):
        known = each.prime_frames * h * w
        yield connectivity(config, known, first=each.first).steps


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_samples_do_not_depend_on_the_schedule(config, dtype):
    for temperature in (0.0, 1.0):
        true, made = continuations(config, [Parallel()], dtype, temperature)
        assert_same(made, true)
