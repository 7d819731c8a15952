"""FLOPs of the matrix products of a model, by part.

Products are counted as computed: whole attention blocks, although a causal one uses
half. Norms and softmax, a few percent at the paper's widths, are not counted. A product
of m×k and k×n is 2·m·k·n.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from svtcli.model.blocks import Blocks
from svtcli.model.heads import head_class
from svtcli.model.subscale import context_taps
from svtcli.recipe.model import Model


@dataclass(frozen=True)
class Part:
    """FLOPs of one part of the network, for a batch of slices."""

    name: str
    forward: float
    trained: float
    """Forward and backward: three times `forward`, as each product has two gradients;
    twice for a product with one-hot codes, which need none."""
    repeated: float = 0.0
    """Second forward pass with `train.remat`: most of the layers."""


def training_flops(config: Model, batch: int) -> float:
    """FLOPs of a training step on `batch` slices, without the repetitions of remat."""
    return sum(part.trained for part in parts(config, batch))


def hardware_flops(config: Model, batch: int, *, remat: bool) -> float:
    """FLOPs of a training step, with the layers' second forward pass under remat."""
    again = sum(part.repeated for part in parts(config, batch)) if remat else 0.0
    return training_flops(config, batch) + again


def forward_flops(config: Model, batch: int) -> float:
    """FLOPs of the logits of `batch` slices."""
    return sum(part.forward for part in parts(config, batch))


def parts(config: Model, batch: int) -> list[Part]:
    """Parts of the network, each over its rows of a training batch."""
    own = config.first_rows(batch)
    rows = (batch - own) * prod(config.slice_shape)
    found = [
        *_encoder(config, rows),
        *_decoder(config, rows, "decoder", config.decoder_layers, context=True),
    ]
    if config.first_slice_layers is not None:
        rows, depth = own * prod(config.slice_shape), config.first_slice_layers
        found += _decoder(config, rows, "first decoder", depth, context=False)
    return found


def _encoder(config: Model, rows: int) -> Iterator[Part]:
    """Convolution of earlier slices, its map to the hidden width, and the layers."""
    one_hot = context_taps(config) * config.codes * config.values
    width = config.de + config.s[0] * config.actions
    yield _part(
        "encoder convolution",
        2.0 * rows * width * config.d,
        of_one_hot=2.0 * rows * one_hot * config.de,
    )
    yield from _layers(config, rows, "encoder", config.encoder_layers)


def _decoder(
    config: Model, rows: int, name: str, depth: int, *, context: bool
) -> Iterator[Part]:
    """Masked convolution with the mapped context, the layers, and the head."""
    earlier = prod(config.masked_kernel) // 2
    taken = earlier * config.de + (config.d if context else 0)
    yield _part(
        f"{name} convolution",
        2.0 * rows * taken * config.d,
        of_one_hot=2.0 * rows * config.codes * config.values * config.de,
    )
    yield from _layers(config, rows, name, depth)
    by_states, by_one_hot = head_class(config).products(config)
    yield _part(f"{name} head", 2.0 * rows * by_states, 2.0 * rows * by_one_hot)


def _layers(config: Model, rows: int, name: str, depth: int) -> Iterator[Part]:
    attention = 0.0
    blocks, heads = config.layer_blocks(depth), config.layer_heads(depth)
    for block, na in zip(blocks, heads, strict=True):
        width = na * config.da
        length = Blocks.of(block, config.slice_shape).length
        # Queries, keys, values and the projection; then scores and weighted values.
        attention += 2.0 * rows * width * (4 * config.d + 2 * length)
    maps = 2.0 * rows * depth * 2 * config.d * config.d
    yield Part(f"{name} attention", attention, 3 * attention, repeated=attention)
    # The result of the second map is not needed in the backward pass.
    yield Part(f"{name} linear layers", maps, 3 * maps, repeated=maps / 2)


def _part(name: str, forward: float, of_one_hot: float = 0.0) -> Part:
    return Part(name, forward + of_one_hot, 3 * forward + 2 * of_one_hot)
