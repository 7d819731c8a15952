"""The optimizer and its rate, from the recipe's `train` section (§4.1).

The rate is a function of the step and comes in from outside, so that the optimizer's
state holds no counter of its own and a skipped step cannot put the two out of line.
"""

from collections.abc import Callable

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from svtcli.recipe.schema import Train

Scalar = Float[Array, ""]


def learning_rate(train: Train, step: Int[Array, ""] | int) -> Scalar:
    """The rate of `step` (from 0): linear warm-up, then constant or cosine.

    Warm-up gives step i the share (i + 1) / warmup, so that no step is wasted at zero;
    the cosine starts after it and reaches zero at `steps`.
    """
    rate = jnp.asarray(train.learning_rate, jnp.float32)
    if train.schedule == "cosine":
        past = jnp.maximum(step - train.warmup, 0) / (train.steps - train.warmup)
        rate = rate * 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(past, 1.0)))
    if train.warmup:
        rate = rate * jnp.minimum((step + 1) / train.warmup, 1.0)
    return rate


def optimizer(train: Train, rate: Scalar | float) -> optax.GradientTransformation:
    """What turns gradients into updates at learning rate `rate`.

    The shape of its state depends on `train` only, never on `rate`.
    """
    update = _UPDATES[train.optimizer](train, rate)
    if train.clip_norm is None:
        return update
    return optax.chain(optax.clip_by_global_norm(train.clip_norm), update)


def _rmsprop(train: Train, rate: Scalar | float) -> optax.GradientTransformation:
    """TF1's RMSProp: ms ← ρ ms + (1−ρ) g², ms₀ = 1; m ← μ m + rate · g / √(ms + ε).

    `initial_scale` is what makes it TF1's: optax starts the squares at 0, and its first
    update would be thousands of times larger.
    """
    return optax.rmsprop(
        rate,
        decay=train.decay,
        eps=train.epsilon,
        initial_scale=1.0,
        momentum=train.momentum or None,
    )


def _adam(train: Train, rate: Scalar | float) -> optax.GradientTransformation:
    return optax.adam(rate, b1=train.momentum, b2=train.decay, eps=train.epsilon)


def _adamw(train: Train, rate: Scalar | float) -> optax.GradientTransformation:
    return optax.adamw(
        rate,
        b1=train.momentum,
        b2=train.decay,
        eps=train.epsilon,
        weight_decay=train.weight_decay,
    )


_UPDATES: dict[str, Callable[..., optax.GradientTransformation]] = {
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": _adamw,
}
