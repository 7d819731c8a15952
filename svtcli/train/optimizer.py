"""The optimizer and its learning rate, from the recipe's `train` section (§4.1).

The rate is a function of the step and is passed in, so that the optimizer's state holds
no counter of its own, which a skipped step could put out of line.
"""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from svtcli.recipe.schema import Train

Scalar = Float[Array, ""]


def learning_rate(train: Train, step: Int[Array, ""] | int) -> Scalar:
    """Learning rate of `step` (from 0): linear warm-up, then constant or cosine.

    Warm-up scales step i by (i + 1) / warmup, so that no step has rate zero; the cosine
    starts after it and reaches zero at `steps`.
    """
    rate = jnp.asarray(train.learning_rate, jnp.float32)
    if train.schedule == "cosine":
        past = jnp.maximum(step - train.warmup, 0) / (train.steps - train.warmup)
        rate = rate * 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(past, 1.0)))
    if train.warmup:
        rate = rate * jnp.minimum((step + 1) / train.warmup, 1.0)
    return rate


def optimizer(train: Train, rate: Scalar | float) -> optax.GradientTransformation:
    """RMSProp, Adam or AdamW at learning rate `rate`, after clipping if asked for.

    RMSProp is TF1's: ms ← ρ ms + (1−ρ) g², ms₀ = 1; m ← μ m + rate · g / √(ms + ε).
    The shape of the optimizer's state depends on `train` only, never on `rate`.
    """
    match train.optimizer:
        case "rmsprop":
            update = optax.rmsprop(
                rate,
                decay=train.decay,
                eps=train.epsilon,
                # optax starts at 0, with a first update thousands of times larger.
                initial_scale=1.0,
                momentum=train.momentum or None,
            )
        case "adam":
            update = optax.adam(
                rate, b1=train.momentum, b2=train.decay, eps=train.epsilon
            )
        case "adamw":
            update = optax.adamw(
                rate,
                b1=train.momentum,
                b2=train.decay,
                eps=train.epsilon,
                weight_decay=train.weight_decay,
            )
    if train.clip_norm is None:
        return update
    return optax.chain(optax.clip_by_global_norm(train.clip_norm), update)
