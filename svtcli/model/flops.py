"""How much arithmetic a model is: the FLOPs of its matrix products, part by part.

Counted are the products as `model/` computes them, so whole attention blocks although
a causal one uses half; not counted is what is done number by number (norms, softmax),
a few percent of the time at the paper's widths. A product of m×k and k×n is 2·m·k·n.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from svtcli.model.blocks import Blocks
from svtcli.recipe.model import Model


@dataclass(frozen=True)
class Part:
    """The products of one part of the network, for a whole batch of slices."""

    name: str
    forward: float
    trained: float
    """Forward and backward: three times `forward`, as each product has two gradients;
    twice for a product with one-hot codes, which need none."""
    repeated: float = 0.0
    """What `train.remat` computes again in the backward pass: most of the layers."""


def training_flops(config: Model, batch: int) -> float:
    """Of one training step on `batch` slices; what remat repeats is not counted."""
    return sum(part.trained for part in parts(config, batch))


def hardware_flops(config: Model, batch: int, *, remat: bool) -> float:
    """As `training_flops`, with the layers' second forward pass under remat."""
    again = sum(part.repeated for part in parts(config, batch)) if remat else 0.0
    return training_flops(config, batch) + again


def forward_flops(config: Model, batch: int) -> float:
    """Of the logits of `batch` slices."""
    return sum(part.forward for part in parts(config, batch))


def parts(config: Model, batch: int) -> list[Part]:
    """Every part of the network, over the rows of a training batch that it sees."""
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
    """The convolution of earlier slices, its map to the hidden width, the layers."""
    one_hot = prod(config.context_kernel) * config.codes * config.values
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
    """The masked convolution and the mapped context, the layers, the head."""
    earlier = prod(config.masked_kernel) // 2
    taken = earlier * config.de + (config.d if context else 0)
    yield _part(
        f"{name} convolution",
        2.0 * rows * taken * config.d,
        of_one_hot=2.0 * rows * config.codes * config.values * config.de,
    )
    yield from _layers(config, rows, name, depth)
    yield _head(config, rows, name)


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
    # What the second map gives, a layer's result, is not needed to go back through it.
    yield Part(f"{name} maps", maps, 3 * maps, repeated=maps / 2)


def _head(config: Model, rows: int, name: str) -> Part:
    """The channel head, or the one intensity of the deterministic loss."""
    d, codes, values = config.d, config.codes, config.values
    if config.loss == "deterministic":
        return _part(f"{name} head", 2.0 * rows * d * (d + 1))
    earlier_codes = codes * (codes - 1) // 2
    return _part(
        f"{name} head",
        2.0 * rows * codes * d * (d + values),
        of_one_hot=2.0 * rows * earlier_codes * values * d,
    )


def _part(name: str, forward: float, of_one_hot: float = 0.0) -> Part:
    return Part(name, forward + of_one_hot, 3 * forward + 2 * of_one_hot)
