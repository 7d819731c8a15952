"""Models small enough to test exhaustively: one of each kind, with mixed blocks."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from svtcli.model.parameters import Params
from svtcli.model.svt import abstract_params, structure
from svtcli.recipe.model import Dilated, Model

SMALL = {"de": 4, "d": 16, "na": 2, "da": 3, "encoder_layers": 2, "decoder_layers": 3}
GRAY = {"channels": 1, "pixel_bits": 4, "code_bits": 2}

VARIANTS = {
    "spatiotemporal": Model(
        video=(4, 4, 4), s=(2, 2, 2), blocks=((2, 1, 2), (1, 2, 2)), **SMALL, **GRAY
    ),
    "wide context kernel": Model(
        video=(4, 4, 4), s=(2, 2, 1), k=(3, 5, 3), blocks=((2, 2, 2),), **SMALL, **GRAY
    ),
    "spatial": Model(
        video=(2, 4, 8), s=(1, 2, 2), blocks=((2, 2, 2), (1, 9, 9)), **SMALL, **GRAY
    ),
    "single frame": Model(
        video=(4, 4, 4), s=(4, 1, 1), k=(6, 1, 1), blocks=((1, 2, 4), (1, 4, 2)),
        **SMALL, **GRAY,
    ),
    "frame by frame in spatial slices": Model(
        video=(2, 4, 4), s=(2, 2, 2), k=(4, 3, 3), blocks=((1, 2, 2),), **SMALL, **GRAY
    ),
    "rgb": Model(
        video=(2, 4, 4), s=(2, 1, 2), blocks=((1, 4, 2),), pixel_bits=4, code_bits=2,
        **SMALL,
    ),
    "heads by layer": Model(
        video=(4, 4, 4), s=(2, 2, 2), blocks=((2, 2, 1),), **{**SMALL, "na": (1, 3)},
        **GRAY,
    ),
    "dilated": Model(
        video=(2, 4, 8), s=(1, 1, 2), blocks=((2, 2, 2), Dilated((1, 2, 2))),
        **SMALL, **GRAY,
    ),
    "wide masked kernel": Model(
        video=(4, 4, 4), s=(2, 1, 1), blocks=((1, 2, 2),), masked_kernel=(3, 5, 3),
        **SMALL, **GRAY,
    ),
    "first slice decoder": Model(
        video=(4, 4, 4), s=(2, 2, 2), blocks=((2, 1, 2), (1, 2, 2)),
        first_slice_layers=5, **SMALL, **GRAY,
    ),
    "actions": Model(
        video=(4, 4, 4), s=(2, 2, 2), blocks=((2, 2, 2),), actions=3, **SMALL, **GRAY
    ),
    "deterministic": Model(
        video=(4, 4, 4), s=(2, 2, 2), blocks=((2, 2, 2),), channels=1,
        loss="deterministic", **SMALL,
    ),
}  # fmt: skip


def shallow(config: Model) -> Model:
    """The same with as few layers as have each kind of block: it compiles faster."""
    kinds = len(config.blocks)
    first = config.first_slice_layers and kinds
    return replace(
        config, encoder_layers=1, decoder_layers=kinds, first_slice_layers=first
    )


def zero_params(config: Model) -> Params:
    """Parameters for which all values are equally likely."""
    shapes = abstract_params(config)
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)


def network_of(config: Model, seed: int = 0, dtype: type = jnp.float32):
    """(graphdef, params) with random parameters, none at a special initial value."""
    graphdef, params = structure(config)
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(seed)

    def moved(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        spread = 1.2 / max(1, np.prod(leaf.shape[:-1])) ** 0.5
        return jnp.asarray(spread * rng.normal(size=leaf.shape), dtype)

    params: Params = tree.unflatten([moved(leaf) for leaf in leaves])
    return graphdef, params


def random_video(config: Model, batch: int, seed: int = 0) -> jax.Array:
    """uint8 [batch, T, H, W, image channels] over the model's whole range."""
    shape = (batch, *config.video, config.channels)
    top = 2**config.pixel_bits
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.integers(0, top, shape, dtype=np.uint8))


def random_actions(config: Model, batch: int, seed: int = 0) -> jax.Array | None:
    """float32 [batch, T, A], or None for a model without."""
    if not config.actions:
        return None
    shape = (batch, config.video[0], config.actions)
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)
