"""The randomness of a sample, addressed by what it decides.

The noise of a pixel depends on the seed, the clip, the
continuation and the pixel's absolute frame, row and column: not on the batch, the
slice, the window, the schedule or the device.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from svtcli.model.subscale import slice_offsets
from svtcli.recipe.model import Model


def row_keys(
    seed: int, clips: Int[np.ndarray, " B"], continuations: Int[np.ndarray, " B"]
) -> Key[Array, " B"]:
    """One key for each video that is sampled."""
    root = jax.random.key(seed)
    return jax.vmap(
        lambda clip, m: jax.random.fold_in(jax.random.fold_in(root, clip), m)
    )(clips, continuations)


def slice_noise(
    keys: Key[Array, " B"],
    config: Model,
    index: Int[Array, ""],
    first_frame: Int[Array, ""],
) -> Float[Array, "B P C V"]:
    """Gumbel noise for every code of slice `index` of a window at `first_frame`."""
    t, h, w = config.slice_shape
    _, H, W = config.video
    place = np.indices((t, h, w)).reshape(3, -1).T * np.array(config.s)
    frame, row, column = (place + jnp.asarray(slice_offsets(config.s))[index]).T
    pixel = ((first_frame + frame) * H + row) * W + column  # [P]
    shape = (config.codes, config.values)

    def of_pixel(key: Key[Array, ""], number: Int[Array, ""]) -> Float[Array, "C V"]:
        return jax.random.gumbel(jax.random.fold_in(key, number), shape, jnp.float32)

    return jax.vmap(lambda key: jax.vmap(lambda p: of_pixel(key, p))(pixel))(keys)
