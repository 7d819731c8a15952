"""Heads: the distribution of a pixel given its decoder state (§3.3, eq. 7–9; A.1).

A head is one object. Everything that depends on `Model.loss` is here: a new head is a
class in this file, registered in `HEADS`, and its name in the type of `Model.loss`.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import log

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Integer, UInt8

from svtcli.model.kernels import LayerNorm, precise, precise_product
from svtcli.model.parameters import Keys, fan_in_normal
from svtcli.model.subscale import codes_from_video, video_from_codes
from svtcli.recipe.model import Model

Choose = Callable[[int, Float[Array, "R V"]], Int[Array, " R"]]
"""Picks a value for code k from its logits."""

Weights = tuple[Float[Array, "D V"], ...]
"""Slices of parameters, cut once before a loop: XLA moves no slice out of a loop."""


@dataclass(frozen=True)
class Unit:
    """Unit of a score."""

    name: str
    """Key of the score in files: `bits_per_dim` or `nats_per_frame`."""
    per_nat: float
    """Score of a mean NLL of one nat per pixel."""
    scored: int
    """Scored numbers of a pixel: its codes, or its one intensity."""


class Head(nnx.Module):
    """Distribution of a pixel's codes given its state."""

    @classmethod
    @abstractmethod
    def unit(cls, config: Model) -> Unit:
        """Unit of the score."""

    @classmethod
    @abstractmethod
    def uniform_nll(cls, config: Model) -> float:
        """NLL in nats of any pixel where all logits are equal."""

    @classmethod
    @abstractmethod
    def products(cls, config: Model) -> tuple[int, int]:
        """Multiplications of a pixel's logits: by states, and by one-hot codes."""

    @classmethod
    def logits_shape(cls, config: Model) -> tuple[int, ...]:
        """Shape of a pixel's logits."""
        return config.codes, config.values

    @abstractmethod
    def logits(
        self, y: Float[Array, "*any D"], codes: Integer[Array, "*any C"]
    ) -> Float[Array, "..."]:
        """Logits of pixels, teacher-forced; float32 at least."""

    @abstractmethod
    def sample(
        self, y: Float[Array, "R D"], choose: Choose, weights: Weights
    ) -> tuple[UInt8[Array, "R C"], Float[Array, "R ..."]]:
        """Return the codes of pixels, chosen one after the other, and their logits."""

    @abstractmethod
    def nll(
        self, logits: Float[Array, "..."], codes: Integer[Array, "*any C"]
    ) -> Float[Array, "*any"]:
        """Negative log-likelihood of pixels in nats; float32 at least."""

    def loop_weights(self) -> Weights:
        """Parameters that `sample` takes cut."""
        return ()


class ChannelHead(Head):
    """p(code k | state, codes before k) for all Nc codes of a pixel (eq. 7–9)."""

    def __init__(self, config: Model, rngs: Keys) -> None:
        C, V, d = config.codes, config.values, config.d
        self.codes, self.values = C, V
        self.norm = LayerNorm(d, rngs)
        # U_k is stored in two parts: the one that reads the state, side by side for
        # all k, …
        fan_ins = [d + k * V for k in range(C)]
        self.from_state = nnx.Param(
            jnp.stack([fan_in_normal(rngs, (d, d), n)[...] for n in fan_ins], axis=1)
        )
        # … and its rows for the one-hot codes: rows k(k−1)/2 … k(k+1)/2 are of code k.
        rows = [fan_in_normal(rngs, (k, V, d), fan_ins[k])[...] for k in range(C)]
        self.from_codes = nnx.Param(jnp.concatenate(rows))
        self.to_logits = fan_in_normal(rngs, (C, d, V), d)

    @classmethod
    def unit(cls, config: Model) -> Unit:
        """Return bits/dim: nats / ln 2 / image channels."""
        return Unit("bits_per_dim", 1 / (log(2) * config.channels), config.codes)

    @classmethod
    def uniform_nll(cls, config: Model) -> float:
        """All values of every code are equally likely."""
        return config.codes * log(config.values)

    @classmethod
    def products(cls, config: Model) -> tuple[int, int]:
        """U_k and P_k of every code; the one-hot rows of U_k."""
        C, V, d = config.codes, config.values, config.d
        return C * d * (d + V), C * (C - 1) // 2 * V * d

    def logits(
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

    def sample(
        self, y: Float[Array, "R D"], choose: Choose, weights: Weights
    ) -> tuple[UInt8[Array, "R C"], Float[Array, "R C V"]]:
        """Return the codes of pixels, chosen one after the other, and their logits."""
        codes: list[Int[Array, " R"]] = []
        logits: list[Float[Array, "R V"]] = []
        for k, u in enumerate(self._read_state(y)):
            rows = self._rows(k)
            # Rounded once, as the product that gives their sum in `logits`.
            each = [precise(rows[j][code]) for j, code in enumerate(codes)]
            before = sum(each, jnp.zeros_like(precise(u))).astype(u.dtype)
            logits.append(precise_product(jax.nn.relu(u + before), weights[k]))
            codes.append(choose(k, logits[k]))
        return jnp.stack(codes, axis=-1).astype(jnp.uint8), jnp.stack(logits, axis=-2)

    def nll(
        self, logits: Float[Array, "*any C V"], codes: Integer[Array, "*any C"]
    ) -> Float[Array, "*any"]:
        """−Σ over the codes of a pixel of ln p(code)."""
        logits = precise(logits)
        # A product with the one-hot code: the gradient of a look-up is a slow scatter.
        one_hot = jax.nn.one_hot(codes, logits.shape[-1], dtype=logits.dtype)
        nll = jax.nn.logsumexp(logits, axis=-1) - (logits * one_hot).sum(-1)
        return nll.sum(axis=-1)

    def loop_weights(self) -> Weights:
        """P_k of eq. 8 for each code."""
        return tuple(jnp.unstack(self.to_logits[...]))

    def _read_state(self, y: Float[Array, "R D"]) -> list[Float[Array, "R D"]]:
        """U_k times the state, for each code: one product, split in Nc parts."""
        d = y.shape[-1]
        whole = self.norm(y) @ self.from_state[...].reshape(d, -1)
        return jnp.split(whole, self.codes, axis=-1)

    def _rows(self, k: int) -> Float[Array, "k V D"]:
        return self.from_codes[k * (k - 1) // 2 : k * (k + 1) // 2]


class IntensityHead(Head):
    """One predicted intensity per pixel in place of the channel chain (A.1)."""

    def __init__(self, config: Model, rngs: Keys) -> None:
        d = config.d
        self.config = config
        self.norm = LayerNorm(d, rngs)
        self.from_state = fan_in_normal(rngs, (d, d), d)
        self.to_logit = fan_in_normal(rngs, (d,), d)

    @classmethod
    def unit(cls, config: Model) -> Unit:
        """Return nats/frame: a sum over the pixels of a frame."""
        _, H, W = config.video
        return Unit("nats_per_frame", float(H * W), 1)

    @classmethod
    def uniform_nll(cls, config: Model) -> float:
        """H(z, ½), which is ln 2 for every z."""
        return log(2)

    @classmethod
    def products(cls, config: Model) -> tuple[int, int]:
        """Two maps of the state."""
        return config.d * (config.d + 1), 0

    @classmethod
    def logits_shape(cls, config: Model) -> tuple[int, ...]:
        """One logit."""
        return ()

    def logits(
        self, y: Float[Array, "*any D"], codes: Integer[Array, "*any C"]
    ) -> Float[Array, "*any"]:
        """Logit of each pixel; its sigmoid is the predicted intensity y."""
        hidden = jax.nn.relu(self.norm(y) @ self.from_state[...])
        return precise_product(hidden, self.to_logit[...])

    def sample(
        self, y: Float[Array, "R D"], choose: Choose, weights: Weights
    ) -> tuple[UInt8[Array, "R C"], Float[Array, " R"]]:
        """Return the codes of round(255·y), and the logits."""
        logit = self.logits(y, jnp.empty((len(y), 0), jnp.uint8))
        pixel = jnp.round(self._brightest * jax.nn.sigmoid(logit)).astype(jnp.uint8)
        return codes_from_video(pixel[:, None], self.config), logit

    def nll(
        self, logits: Float[Array, "*any"], codes: Integer[Array, "*any C"]
    ) -> Float[Array, "*any"]:
        """H(z, y) = −[z ln y + (1−z) ln(1−y)], z = pixel / 255, y = σ(logit)."""
        logit = precise(logits)
        pixel = video_from_codes(codes, self.config)[..., 0]
        z = pixel.astype(logit.dtype) / self._brightest
        return z * jax.nn.softplus(-logit) + (1 - z) * jax.nn.softplus(logit)

    @property
    def _brightest(self) -> int:
        return 2**self.config.pixel_bits - 1


HEADS: dict[str, type[Head]] = {"codes": ChannelHead, "deterministic": IntensityHead}


def head_class(config: Model) -> type[Head]:
    """Class of the model's head."""
    return HEADS[config.loss]


def unit_of(config: Model) -> Unit:
    """Unit of the model's score."""
    return head_class(config).unit(config)
