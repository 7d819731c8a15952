"""Masked 3×3×3 convolution of the decoder (§3.2).

All taps are stored, as the paper's parameter counts need; only the first half, which
comes before the centre in raster order, is used.
"""

from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from svtcli.model.kernels import linear
from svtcli.model.parameters import fan_in_normal
from svtcli.recipe.model import Triple


class MaskedConv(nnx.Module):
    """`de → d` over the neighbours before a pixel in raster order, never itself."""

    def __init__(self, kernel: Triple, de: int, d: int, rngs: nnx.Rngs) -> None:
        self.extent = kernel
        taps = prod(kernel)
        self.kernel = fan_in_normal(rngs, (taps, de, d), taps * de)

    @property
    def earlier(self) -> int:
        """Number of taps before the centre."""
        return prod(self.extent) // 2

    def __call__(
        self, embedded: Float[Array, "B t h w E"]
    ) -> Float[Array, "B t h w D"]:
        """Apply to a whole slice, zero-padded."""
        _, t, h, w, _ = embedded.shape
        padded = self.pad(embedded)
        places = list(np.ndindex(*self.extent))[: self.earlier]
        neighbours = jnp.concatenate(
            [padded[:, i : i + t, j : j + h, m : m + w] for i, j, m in places], axis=-1
        )
        return linear(neighbours, self.earlier_taps())

    def pad(self, embedded: Float[Array, "B t h w E"]) -> Float[Array, "B tt hh ww E"]:
        """Pad a slice for the kernel; no later frame is needed."""
        pt, ph, pw = (extent // 2 for extent in self.extent)
        return jnp.pad(embedded, ((0, 0), (pt, 0), (ph, ph), (pw, pw), (0, 0)))

    def put(
        self,
        padded: Float[Array, "B tt hh ww E"],
        embedded: Float[Array, "B E"],
        position: Int[Array, "3"],
    ) -> Float[Array, "B tt hh ww E"]:
        """Return `padded` with the pixel at `position` (t, h, w) written."""
        centre = position + np.array(self.extent) // 2
        return jax.lax.dynamic_update_slice(
            padded, embedded[:, None, None, None], (0, *centre, 0)
        )

    def step(
        self,
        padded: Float[Array, "B tt hh ww E"],
        position: Int[Array, "3"],
        taps: Float[Array, "nE D"],
    ) -> Float[Array, "B D"]:
        """Apply at one `position` (t, h, w)."""
        B, _, _, _, E = padded.shape
        kt, kh, kw = self.extent
        zone = jax.lax.dynamic_slice(
            padded, (0, *position, 0), (B, kt // 2 + 1, kh, kw, E)
        )
        return zone.reshape(B, -1)[:, : self.earlier * E] @ taps

    def put_runs(
        self,
        padded: Float[Array, "B tt hh ww E"],
        embedded: Float[Array, "B M U E"],
        runs: Int[Array, "B M 3"],
    ) -> Float[Array, "B tt hh ww E"]:
        """Return `padded` with runs of U pixels of a line, from `runs` (t, h, w) on."""
        B, M, _ = runs.shape
        rows = jnp.broadcast_to(jnp.arange(B)[:, None, None], (B, M, 1))
        centre = runs + np.array(self.extent) // 2
        return jax.lax.scatter(
            padded,
            jnp.concatenate([rows, centre], axis=-1),
            embedded,
            jax.lax.ScatterDimensionNumbers(
                update_window_dims=(2, 3),
                inserted_window_dims=(0, 1, 2),
                scatter_dims_to_operand_dims=(0, 1, 2, 3),
            ),
            mode=jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS,
        )

    def steps(
        self,
        padded: Float[Array, "B tt hh ww E"],
        runs: Int[Array, "B M 3"],
        length: int,
        taps: Float[Array, "nE D"],
    ) -> Float[Array, "B M U D"]:
        """Apply to runs of `length` pixels of a line."""
        kt, kh, kw = self.extent
        zone = (kt // 2 + 1, kh, length + kw - 1, padded.shape[-1])

        def of_run(row: Float[Array, "tt hh ww E"], at: Int[Array, "3"]) -> Array:
            return jax.lax.dynamic_slice(row, (*at, 0), zone)

        zones = jax.vmap(jax.vmap(of_run, (None, 0)))(padded, runs)
        places = list(np.ndindex(*self.extent))[: self.earlier]
        neighbours = jnp.concatenate(
            [zones[:, :, i, j, m : m + length] for i, j, m in places], axis=-1
        )
        return linear(neighbours, taps)

    def earlier_taps(self) -> Float[Array, "nE D"]:
        """Taps before the centre as one matrix."""
        kernel = self.kernel[...]
        return kernel[: self.earlier].reshape(-1, kernel.shape[-1])
