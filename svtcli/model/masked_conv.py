"""The decoder's masked 3×3×3 convolution (§3.2): a pixel sees what is just before it.

All taps are stored, as the paper's parameter counts need; in raster order those before
the centre are simply the first half, and only they are ever used.
"""

from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from svtcli.model import initial
from svtcli.model.linear import linear
from svtcli.recipe.model import Triple


class MaskedConv(nnx.Module):
    """`de → d` over the neighbours that come earlier in raster order, never itself."""

    def __init__(self, kernel: Triple, de: int, d: int, rngs: nnx.Rngs) -> None:
        self.extent = kernel
        taps = prod(kernel)
        self.kernel = initial.fan_in_normal(rngs, (taps, de, d), taps * de)

    @property
    def earlier(self) -> int:
        """How many taps come before the centre."""
        return prod(self.extent) // 2

    def __call__(
        self, embedded: Float[Array, "B t h w E"]
    ) -> Float[Array, "B t h w D"]:
        """The convolution of a whole slice; outside of it there is nothing."""
        _, t, h, w, _ = embedded.shape
        padded = self.pad(embedded)
        taps = list(np.ndindex(*self.extent))[: self.earlier]
        neighbours = jnp.concatenate(
            [padded[:, i : i + t, j : j + h, m : m + w] for i, j, m in taps], axis=-1
        )
        return linear(neighbours, self._used())

    def pad(self, embedded: Float[Array, "B t h w E"]) -> Float[Array, "B tt hh ww E"]:
        """The slice with room for the kernel at its borders; never a later frame."""
        pt, ph, pw = (extent // 2 for extent in self.extent)
        return jnp.pad(embedded, ((0, 0), (pt, 0), (ph, ph), (pw, pw), (0, 0)))

    def put(
        self,
        padded: Float[Array, "B tt hh ww E"],
        embedded: Float[Array, "B E"],
        position: Int[Array, "3"],
    ) -> Float[Array, "B tt hh ww E"]:
        """`padded` with the pixel at `position` (t, h, w) filled in."""
        centre = position + np.array(self.extent) // 2
        return jax.lax.dynamic_update_slice(
            padded, embedded[:, None, None, None], (0, *centre, 0)
        )

    def step(
        self, padded: Float[Array, "B tt hh ww E"], position: Int[Array, "3"]
    ) -> Float[Array, "B D"]:
        """The convolution at `position` (t, h, w) alone."""
        B, _, _, _, E = padded.shape
        kt, kh, kw = self.extent
        zone = jax.lax.dynamic_slice(
            padded, (0, *position, 0), (B, kt // 2 + 1, kh, kw, E)
        )
        return zone.reshape(B, -1)[:, : self.earlier * E] @ self._used()

    def _used(self) -> Float[Array, "nE D"]:
        """The taps before the centre, as one matrix."""
        kernel = self.kernel[...]
        return kernel[: self.earlier].reshape(-1, kernel.shape[-1])
