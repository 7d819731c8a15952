"""Many draws of all that can follow one frame, and how narrowly each was decided."""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from svtcli.model.parameters import Params, for_products_in
from svtcli.model.subscale import codes_from_video, scored_frames, take_slice
from svtcli.model.svt import network
from svtcli.model.windows import scored_slices
from svtcli.recipe.model import Model
from svtcli.sample.jacobi import Jacobi
from svtcli.sample.sampler import Continuation, Sampler
from svtcli.sample.sampling_rule import SamplingRule, row_keys, slice_noise
from svtcli.sample.schedules import Parallel, Sequential
from tests.model.test_probability import ENUMERABLE
from tests.tiny import network_of

DRAWS = 4000
SCHEDULES = {
    "sequential": Sequential(),
    "parallel": Parallel(),
    "guess": Jacobi(2),
}
CONFIGS = {
    name: replace(ENUMERABLE[name], pixel_bits=4, code_bits=2)
    for name in ("subscaled", "first slice decoder")
}
"""With 256 continuations of a frame: two pixels of two codes of four values."""
FREE = (1.0, 4, 1.0)
"""A rule that leaves all values; one program for it and for those that leave fewer."""


def sharp_network(
    config: Model, precision: str = "float32"
) -> tuple[nnx.GraphDef, Params]:
    """A network in which the second pixel depends on the first, and not a little.

    At random, what reads pixels is drowned by what does not: then a sampler that takes
    a wrong first pixel for true could not be told from a right one.
    """
    graphdef, params = network_of(config, seed=1)
    factors = {
        0.1: ("bias", "positions", "slice_embedding"),
        10: ("masked_conv", "code_embedding", "context_kernel"),
        2: ("to_logits",),
    }

    def sharper(path: tuple[jax.tree_util.DictKey, ...], leaf: jax.Array) -> jax.Array:
        names = {key.key for key in path}
        found = [by for by, named in factors.items() if names & {*named}]
        return leaf * found[0] if found else leaf

    sharp = jax.tree_util.tree_map_with_path(sharper, params)
    return graphdef, for_products_in(graphdef, sharp, jnp.dtype(precision))


def one_frame(config: Model, rows: int = DRAWS) -> np.ndarray:
    """The frame that is continued, so many times."""
    given = np.zeros((rows, *config.video, 1), np.uint8)
    given[:, 0] = [[[1], [2]]]
    return given


def keys_of_draws(rows: int = DRAWS) -> jax.Array:
    """The keys of so many continuations of one clip."""
    return row_keys(0, np.zeros(rows, int), np.arange(rows))


@cache
def drawn(
    name: str,
    schedule: str,
    rule: tuple[float, int | None, float | None],
    precision: str = "float32",
) -> Continuation:
    """Continuations of one frame by a rule and a schedule; made once in a process."""
    config = CONFIGS[name]
    parts = sharp_network(config, precision)
    return Sampler(config, *parts, SCHEDULES[schedule]).continue_video(
        one_frame(config), 1, 1, keys_of_draws(), SamplingRule.of(*rule)
    )


def slices_with_margins(
    parts: tuple[nnx.GraphDef, Params],
    config: Model,
    video: np.ndarray,
    given: int,
    keys: jax.Array,
    temperature: float,
    actions: np.ndarray | None = None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Codes `[B, P, C]` of every sampled slice of a window, and their margins.

    A code's margin is by how much the best of its perturbed logits, teacher-forced, is
    above the second; without bounds for given pixels. With the deterministic loss it is
    how far a logit is, at least, from one that gives another intensity.
    """

    @partial(jax.jit, static_argnames="first")
    def of_slice(index, codes, params, *, first):
        rows = jnp.full(len(codes), index)
        logits = network(parts[0], params)(codes, rows, actions, first=first)
        noise = slice_noise(keys, config, index, jnp.array(0))
        B, P, C = noise.shape[:3]
        if config.loss == "deterministic":
            level = 255 * jax.nn.sigmoid(logits).reshape(B, P, 1)
            margin = (0.5 - jnp.abs(level - jnp.round(level))) / (255 / 4)
        else:
            perturbed = logits.reshape(noise.shape) + temperature * noise
            best = jnp.sort(perturbed, axis=-1)
            margin = best[..., -1] - best[..., -2]
        made = scored_frames(config, rows, given)[:, :, None, None]
        made = jnp.broadcast_to(made, (B, *config.slice_shape)).reshape(B, P, 1)
        own = take_slice(codes, rows, config.s).reshape(B, P, C)
        return own, jnp.where(made, margin, jnp.inf)

    codes = codes_from_video(jnp.asarray(video), config)
    return [
        jax.tree.map(
            np.asarray,
            of_slice(
                jnp.array(index), codes, parts[1],
                first=index == 0 and config.first_slice_layers is not None,
            ),
        )
        for index in scored_slices(config, given, config.video[0])
    ]  # fmt: skip


def first_differences(
    slices: list[tuple[np.ndarray, np.ndarray]],
    config: Model,
    other: np.ndarray,
    given: int,
) -> np.ndarray:
    """Margin of the first code of each video that differs from `slices`."""
    codes = codes_from_video(jnp.asarray(other), config)
    B = len(codes)
    found = np.full(B, np.nan)
    indices = scored_slices(config, given, config.video[0])
    for index, (own, margin) in zip(indices, slices, strict=True):
        theirs = np.asarray(take_slice(codes, jnp.full(B, index), config.s))
        differ = (own != theirs.reshape(own.shape)).reshape(B, -1)
        whole = np.broadcast_to(margin, own.shape).reshape(B, -1)
        here = whole[np.arange(B), differ.argmax(axis=1)]
        found = np.where(np.isnan(found) & differ.any(axis=1), here, found)
    return found[~np.isnan(found)]
