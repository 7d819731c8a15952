"""The Subscale Video Transformer (§3): encode the context, decode the slice.

p(x) = Π over slices Π over pixels Π over codes  p(code | all before it)     (eq. 1)
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8

from svtcli.model.decoder import Decoder
from svtcli.model.encoder import Encoder
from svtcli.model.parameters import Params
from svtcli.model.subscale import take_slice
from svtcli.recipe.model import Model


class SVT(nnx.Module):
    """The whole network; with a first-slice decoder if the recipe has one (§4.3)."""

    def __init__(self, config: Model, rngs: nnx.Rngs) -> None:
        self.config = config
        self.encoder = Encoder(config, rngs)
        self.decoder = Decoder(config, config.decoder_layers, context=True, rngs=rngs)
        if config.first_slice_layers:
            self.first_decoder = Decoder(
                config, config.first_slice_layers, context=False, rngs=rngs
            )

    def __call__(
        self,
        codes: UInt8[Array, "B T H W C"],
        index: Int[Array, " B"],
        actions: Float[Array, "B T A"] | None = None,
        *,
        first: bool = False,
        remat: bool = False,
    ) -> Float[Array, "B t h w *logits"]:
        """Logits of slice `index` of each video, teacher-forced.

        With `first`, every row is slice (0, 0, 0) and takes the first-slice decoder.
        `remat` saves memory in the backward pass (`kernels.apply_remat`).
        """
        slice_codes = take_slice(codes, index, self.config.s)
        context = None if first else self.encoder(codes, index, actions, remat=remat)
        return self.decoder_of(first=first)(slice_codes, context, remat=remat)

    def decoder_of(self, *, first: bool) -> Decoder:
        """Decoder of the first slice, or of all others."""
        return self.first_decoder if first else self.decoder


def create(config: Model, key: PRNGKeyArray) -> tuple[nnx.GraphDef, Params]:
    """Return the structure of a new network, and its initial parameters."""
    graphdef, state = nnx.split(SVT(config, nnx.Rngs(params=key)))
    return graphdef, nnx.to_pure_dict(state)


def structure(config: Model) -> tuple[nnx.GraphDef, Params]:
    """Return the structure of a network, and the shapes of its parameters.

    Nothing is computed or allocated.
    """
    graphdef, params = _structure(config, jnp.result_type(float))
    return graphdef, jax.tree.map(lambda shape: shape, params)  # the caller's own tree


@lru_cache(maxsize=64)  # one command asks several times, and it is slow to trace
def _structure(config: Model, number: DTypeLike) -> tuple[nnx.GraphDef, Params]:
    """`number` is JAX's type of a float, which depends on `jax_enable_x64`."""
    graphdef, state = nnx.split(
        nnx.eval_shape(lambda: SVT(config, nnx.Rngs(params=jax.random.key(0))))
    )
    return graphdef, nnx.to_pure_dict(state)


def abstract_params(config: Model) -> Params:
    """Shapes and types of all parameters."""
    return structure(config)[1]


def network(graphdef: nnx.GraphDef, params: Params) -> SVT:
    """Return the network with these parameters; it computes in their precision."""
    return nnx.merge(graphdef, params)


def parameter_count(config: Model) -> int:
    """Number of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(abstract_params(config)))


def uniform_params(config: Model) -> Params:
    """Zeros: a network for which all values of a code are equally likely."""
    shapes = abstract_params(config)
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
