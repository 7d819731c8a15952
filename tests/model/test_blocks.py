import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.model.blocks import Blocks
from svtcli.recipe.model import Dilated, Model

SHAPE = (2, 4, 6)
POSITIONS = jnp.arange(48).reshape(1, *SHAPE)


def split_positions(blocks: Blocks) -> np.ndarray:
    """The positions of each block, [N, L]."""
    return np.asarray(blocks.split(POSITIONS[..., None, None, None]))[0, 0, :, 0, :, 0]


@pytest.mark.parametrize("block", [(2, 2, 3), (1, 4, 2), (9, 9, 9), Dilated((2, 2, 3))])
def test_merging_the_blocks_of_a_slice_gives_it_back(block):
    blocks = Blocks.of(block, SHAPE)
    heads = jnp.stack([POSITIONS, -POSITIONS], -1)[..., None, :, None]
    (split,) = blocks.split(heads)
    assert (blocks.merge(split) == heads[..., 0, :, :]).all()


@pytest.mark.parametrize("block", [(2, 2, 3), (9, 1, 9), Dilated((1, 2, 3))])
def test_places_say_where_split_puts_each_position(block):
    blocks = Blocks.of(block, SHAPE)
    positions = split_positions(blocks)
    block_of, place_of = blocks.places()
    assert (positions[block_of, place_of] == np.arange(np.prod(SHAPE))).all()
    # Raster order within a block is the slice's own: one triangular mask is enough.
    assert (np.diff(positions, axis=1) > 0).all()


@pytest.mark.parametrize(
    ("block", "lengths"),
    [
        ((2, 2, 3), [1, 3, 6]),
        ((9, 1, 9), [1, 2, 3, 6]),
        (Dilated((1, 2, 3)), [1, 3, 6]),
        (Dilated((2, 2, 1)), [1, 2, 3, 6]),
    ],
)
def test_a_run_of_positions_is_a_box_of_blocks_and_places(block, lengths):
    blocks = Blocks.of(block, SHAPE)
    block_of, place_of = blocks.places()
    boxes = {length: blocks.run(length) for length in (1, 2, 3, 6)}
    assert [length for length, box in boxes.items() if box] == lengths
    for length in lengths:
        number, places = boxes[length]
        for begin in range(0, 48, length):
            run = np.arange(begin, begin + length).reshape(1, 1, length, 1, 1, 1)
            (box,) = np.asarray(blocks.split_runs(jnp.asarray(run)))
            assert (
                np.asarray(blocks.merge_runs(jnp.asarray(box))) == run[..., 0]
            ).all()
            for n, place in np.ndindex(number, places):
                position = box[0, 0, n, 0, place, 0]
                assert block_of[position] == block_of[begin] + n
                assert place_of[position] == place_of[begin] + place


def test_a_block_larger_than_an_axis_is_clipped():
    assert Blocks.of((9, 2, 9), SHAPE).extent == (2, 2, 6)


def test_a_dilated_layer_joins_the_same_place_of_every_block():
    blocks = Blocks.of(Dilated((1, 2, 3)), SHAPE)
    assert blocks.extent == (2, 2, 2)
    t, h, w = np.unravel_index(split_positions(blocks), SHAPE)
    assert (h % 2 == h[:, :1] % 2).all()
    assert (w % 3 == w[:, :1] % 3).all()
    assert (t[:, [0, -1]] == [0, 1]).all()


def test_layers_cycle_through_the_blocks_and_back():
    a, b, c = (1, 1, 2), (1, 2, 1), (2, 1, 1)
    config = Model(video=(2, 2, 2), s=(1, 1, 1), blocks=(a, b, c))
    assert config.layer_blocks(8) == (a, b, c, c, b, a, a, b)


def test_a_list_of_heads_stretches_over_a_deeper_stack():
    config = Model(na=(8, 8, 8, 8, 16, 16, 16, 16))
    assert config.layer_heads(8) == (8,) * 4 + (16,) * 4
    assert config.layer_heads(16) == (8,) * 8 + (16,) * 8
