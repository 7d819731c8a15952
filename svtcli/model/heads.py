"""What a decoder state predicts of its pixel (§3.3, eq. 7–9; appendix A.1).

`ChannelHead` gives each code the codes before it, as one-hot vectors that join the
state in a one-layer map; `IntensityHead` gives one scalar for Moving MNIST.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Integer

from svtcli.model import initializers as initial
from svtcli.model.kernels.norm import layer_norm, norm
from svtcli.model.linear import precise_product

Choose = Callable[[int, Float[Array, "B V"]], Int[Array, " B"]]
"""Picks a value for code k from its logits."""


class ChannelHead(nnx.Module):
    """p(code k | state, codes before k), for all Nc codes of a pixel."""

    def __init__(self, codes: int, values: int, d: int, rngs: nnx.Rngs) -> None:
        self.codes, self.values = codes, values
        self.norm = layer_norm(d, rngs)
        # U_k is cut in its part that reads the state, side by side for all k …
        fan_ins = [d + k * values for k in range(codes)]
        self.from_state = nnx.Param(
            jnp.stack(
                [initial.fan_in_normal(rngs, (d, d), n)[...] for n in fan_ins], axis=1
            )
        )
        # … and its rows for the one-hot codes: those of k are k(k−1)/2 … +k.
        rows = [
            initial.fan_in_normal(rngs, (k, values, d), fan_ins[k])[...]
            for k in range(codes)
        ]
        self.from_codes = nnx.Param(jnp.concatenate(rows))
        self.to_logits = initial.fan_in_normal(rngs, (codes, d, values), d)

    def __call__(
        self, y: Float[Array, "*any D"], codes: Integer[Array, "*any C"]
    ) -> Float[Array, "*any C V"]:
        """Logits of every code, given the true codes before it."""
        V, rows = self.values, y.reshape(-1, y.shape[-1])
        one_hot = jax.nn.one_hot(codes, V, dtype=y.dtype).reshape(len(rows), -1)
        logits = []
        for k, u in enumerate(self._read_state(rows)):
            u = u + one_hot[:, : k * V] @ self._rows(k).reshape(k * V, y.shape[-1])
            logits.append(precise_product(jax.nn.relu(u), self.to_logits[k]))
        return jnp.stack(logits, axis=1).reshape(*codes.shape, V)

    def generate(
        self,
        y: Float[Array, "B D"],
        choose: Choose,
        code_maps: tuple[Float[Array, "D V"], ...],
    ) -> tuple[Int[Array, "B C"], Float[Array, "B C V"]]:
        """The codes of one pixel, chosen one after the other, and their logits."""
        codes: list[Int[Array, " B"]] = []
        logits: list[Float[Array, "B V"]] = []
        for k, u in enumerate(self._read_state(y)):
            rows = self._rows(k)
            # Rounded once, as the product that gives their sum when all are known.
            precise = jnp.promote_types(u.dtype, jnp.float32)
            each = [rows[j][code].astype(precise) for j, code in enumerate(codes)]
            before = sum(each, jnp.zeros_like(u, precise)).astype(u.dtype)
            hidden = jax.nn.relu(u + before)
            logits.append(precise_product(hidden, code_maps[k]))
            codes.append(choose(k, logits[k]))
        return jnp.stack(codes, axis=-1), jnp.stack(logits, axis=-2)

    def code_maps(self) -> tuple[Float[Array, "D V"], ...]:
        """P_k of eq. 8, for each code by itself."""
        return tuple(jnp.unstack(self.to_logits[...]))

    def _read_state(self, y: Float[Array, "R D"]) -> list[Float[Array, "R D"]]:
        """What the state says to each code: one product, cut in Nc parts."""
        d = y.shape[-1]
        whole = norm(self.norm, y) @ self.from_state[...].reshape(d, -1)
        return jnp.split(whole, self.codes, axis=-1)

    def _rows(self, k: int) -> Float[Array, "k V D"]:
        return self.from_codes[k * (k - 1) // 2 : k * (k + 1) // 2]


class IntensityHead(nnx.Module):
    """The logit of a pixel's intensity, in place of the channel chain."""

    def __init__(self, d: int, rngs: nnx.Rngs) -> None:
        self.norm = layer_norm(d, rngs)
        self.from_state = initial.fan_in_normal(rngs, (d, d), d)
        self.to_logit = initial.fan_in_normal(rngs, (d,), d)

    def __call__(self, y: Float[Array, "*any D"]) -> Float[Array, "*any"]:
        """One logit per pixel; its sigmoid is the predicted intensity."""
        hidden = jax.nn.relu(norm(self.norm, y) @ self.from_state[...])
        return precise_product(hidden, self.to_logit[...])
