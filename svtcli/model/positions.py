"""Learned position embeddings, one table per axis (§3.2)."""

from flax import nnx
from jaxtyping import Array, Float

from svtcli.model import initializers as initial
from svtcli.recipe.model import Triple


class PositionEmbedding(nnx.Module):
    """A vector for every (t, h, w): the sum of one vector per axis."""

    def __init__(self, shape: Triple, width: int, rngs: nnx.Rngs) -> None:
        self.time, self.height, self.width = (
            initial.embedding(rngs, extent, width) for extent in shape
        )

    def __call__(self) -> Float[Array, "t h w D"]:
        return (
            self.time[:, None, None]
            + self.height[None, :, None]
            + self.width[None, None, :]
        )
