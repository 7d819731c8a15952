"""Sampling and scoring in bfloat16: `sample.precision`, `eval.precision`.

All schedules sample the bfloat16 model, which is not quite the float32 one. Its
rounding depends on the shape of a pass, so where values nearly tie, as far as bfloat16
can tell, schedules may differ, as much as from float32: 27 of 4,000 samples here.
"""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.model.likelihood import Scorer
from svtcli.model.parameters import for_products_in
from svtcli.model.subscale import codes_from_video
from svtcli.model.svt import network
from svtcli.run.directory import RunFolder
from svtcli.sample.sampler import Sampler
from svtcli.sample.sampling_rule import SamplingRule
from svtcli.sample.schedules import Sequential
from svtcli.sample.slice_state import SliceInputs, sample_slice, set_up
from svtcli.train.checkpoint import load_network
from svtcli.train.commit_record import open_checkpoint
from tests.products import equations
from tests.sample.enumerated import (
    CONFIGS,
    DRAWS,
    FREE,
    SCHEDULES,
    drawn,
    first_differences,
    keys_of_draws,
    sharp_network,
    slices_with_margins,
)
from tests.tiny import VARIANTS, network_of, random_actions, random_video
from tests.train.test_precision import ADDED, SENSITIVE
from tests.trained_place import RUN

BFLOAT16, FLOAT32 = jnp.dtype(jnp.bfloat16), jnp.dtype(jnp.float32)
ROWS = 7  # no axis of a weight is as long


def traced(name: str, schedule: str):
    """The program of a slice with bfloat16 weights, and these."""
    config = VARIANTS[name]
    graphdef, params = network_of(config)
    params = for_products_in(graphdef, params, jnp.bfloat16)
    codes = codes_from_video(random_video(config, ROWS), config)
    rule = SamplingRule.of(0.9, 3, 0.9)
    numbers = (jnp.array(1), jnp.array(1), jnp.array(0))
    inputs = SliceInputs(
        *numbers, keys_of_draws(ROWS), rule, random_actions(config, ROWS)
    )
    program = jax.make_jaxpr(
        lambda params, codes, inputs: sample_slice(
            graphdef, params, config, codes, inputs, schedule=SCHEDULES[schedule]
        )
    )
    model = network(graphdef, params)
    begun = jax.eval_shape(partial(set_up, model, first=False), codes, inputs)
    return program(params, codes, inputs), params, begun


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        ("rgb", "sequential"),
        pytest.param("rgb", "parallel", marks=pytest.mark.slow),
        ("rgb", "guess"),
        ("deterministic", "sequential"),
    ],
)
def test_caches_are_bfloat16_and_no_weight_is_cast_to_float32(name, schedule):
    program, params, begun = traced(name, schedule)
    for layer in begun.cache.layers:
        assert layer.keys_values.dtype == BFLOAT16
        assert layer.bias.dtype == FLOAT32
    assert begun.cache.embedded.dtype == BFLOAT16
    assert begun.noise.dtype == begun.position_and_context.dtype == FLOAT32

    weights = {leaf.shape for leaf in jax.tree.leaves(params) if leaf.dtype == BFLOAT16}
    caches = {leaf.shape for leaf in jax.tree.leaves(begun.cache.layers)}
    names = set()
    for equation, _ in equations(program.jaxpr):
        names.add(equation.primitive.name)
        given = [each.aval for each in equation.invars if hasattr(each.aval, "dtype")]
        if equation.primitive.name == "convert_element_type":
            (value,) = given
            if value.dtype == BFLOAT16:
                assert value.shape not in weights | caches, equation
        if equation.primitive.name == "dot_general":
            assert {each.dtype for each in given} == {BFLOAT16}, equation
        if equation.primitive.name in SENSITIVE:
            assert BFLOAT16 not in {each.dtype for each in given}, equation
    assert {"dot_general", "convert_element_type", "exp", "rsqrt"} <= names


@pytest.mark.parametrize(
    "name",
    ["spatiotemporal"]
    + [pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS],
)
def test_logits_in_bfloat16_are_those_of_float32_but_for_rounding(name):
    """Within 5 % of the logits' spread, and 2 % on average."""
    # Random networks as narrow as the others here blow rounding up to tens of percent.
    config = replace(VARIANTS[name], d=64, de=64)
    graphdef, params = network_of(config)
    codes = codes_from_video(random_video(config, 2), config)
    index, actions = jnp.array([1, config.slices - 1]), random_actions(config, 2)

    @jax.jit
    def logits(params):
        return network(graphdef, params)(codes, index, actions)

    precise = np.asarray(logits(params))
    rounded = np.asarray(logits(for_products_in(graphdef, params, jnp.bfloat16)))
    assert rounded.dtype == np.float32
    off = np.abs(rounded - precise) / precise.std()
    assert 0 < off.max() < 0.05
    assert off.mean() < 0.02


def test_the_log_probability_of_samples_is_their_score_in_the_same_precision():
    """Within 0.1 of some six nats a frame, and within 0.001 on average."""
    config = CONFIGS["subscaled"]
    made = drawn("subscaled", "parallel", FREE, "bfloat16")
    scorer = Scorer(config, *sharp_network(config, "bfloat16"))
    off = made.nll - scorer.frame_nll(made.video, 1, 1)
    assert made.nll.dtype == np.float32
    assert np.abs(off).max() < 0.1
    assert np.abs(off.mean(axis=0)).max() < 1e-3


@pytest.mark.slow
def test_schedules_sample_the_same_bfloat16_model():
    config = CONFIGS["subscaled"]
    parts = sharp_network(config, "bfloat16")
    true = drawn("subscaled", "sequential", FREE, "bfloat16").video
    slices = slices_with_margins(parts, config, true, 1, keys_of_draws(), 1.0)
    precise = drawn("subscaled", "sequential", FREE).video
    for schedule in ("parallel", "guess"):
        other = drawn("subscaled", schedule, FREE, "bfloat16").video
        at = first_differences(slices, config, other, 1)
        from_precise = (precise != other).any((1, 2, 3, 4)).sum()
        print(
            f"{schedule}: {len(at)} of {DRAWS} differ, at margins up to "
            f"{at.max(initial=0):.4f}; {from_precise} from float32"
        )
        assert len(at) < DRAWS / 100
        assert len(at) < 2 * from_precise
        assert (at < 0.1).all()


def test_products_of_float32_round_alike_in_all_schedules():
    """An accelerator's own choice may be TF32, which hangs on the shape of a pass."""
    config, asked = VARIANTS["rgb"], []
    parts = network_of(config)

    class Traced(Sequential):
        """Notes the precision of the products of another schedule."""

        def __call__(self, decoder, start, *, first):
            other = partial(SCHEDULES["guess"], decoder, first=first)
            asked.extend(
                equation.params["precision"]
                for equation, _ in equations(jax.make_jaxpr(other)(start).jaxpr)
                if equation.primitive.name == "dot_general"
            )
            return super().__call__(decoder, start, first=first)

    video = np.asarray(random_video(config, 1))
    Sampler(config, *parts, Traced()).continue_video(
        video, 1, 1, keys_of_draws(1), SamplingRule.of(1.0)
    )
    highest = jax.lax.Precision.HIGHEST
    assert set(asked) == {(highest, highest)}


def test_weights_are_loaded_in_the_precision_that_is_asked_for(place):
    checkpoint = open_checkpoint(RunFolder(RUN))
    loaded = load_network(checkpoint)
    short = load_network(checkpoint, "bfloat16").params
    for path, leaf in jax.tree_util.tree_leaves_with_path(short):
        added = ADDED & {key.key for key in path}
        assert leaf.dtype == (FLOAT32 if added else BFLOAT16), path
        assert not leaf.committed
    rounded = for_products_in(loaded.graphdef, loaded.params, jnp.bfloat16)
    for one, other in zip(
        jax.tree.leaves(short), jax.tree.leaves(rounded), strict=True
    ):
        assert (np.asarray(one) == np.asarray(other)).all()
