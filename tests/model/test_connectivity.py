"""The relation of a slice's pixels against its definition, the network, and a schedule
that is carried out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svtcli.model.blocks import Blocks
from svtcli.model.connectivity import (
    chains,
    connectivity,
    relation,
    schedule,
)
from svtcli.model.svt import network
from svtcli.recipe.model import Dilated, Model
from tests.model.test_causality import within_slice
from tests.tiny import GRAY, SMALL, VARIANTS, network_of

SHAPES = ((1, 4, 4), (2, 4, 4), (4, 2, 4), (3, 2, 6), (1, 1, 1), (2, 1, 8))


def blind_spots(config: Model, position: int) -> np.ndarray:
    """Earlier pixels of the slice that `position` cannot see, in raster order."""
    seen = np.unpackbits(relation(config)[position], count=position)
    return np.flatnonzero(seen == 0)


def sliced(shape, blocks, layers: int, kernel=(3, 3, 3)) -> Model:
    """A model whose one slice has this shape."""
    sizes = {**SMALL, "decoder_layers": layers}
    return Model(
        video=shape, s=(1, 1, 1), blocks=blocks, masked_kernel=kernel, **sizes, **GRAY
    )


def unpacked(config: Model, first: bool = False) -> np.ndarray:
    P = int(np.prod(config.slice_shape))
    return np.unpackbits(relation(config, first=first), axis=1, count=P).astype(bool)


@st.composite
def stacks(draw):
    """Arguments of `sliced`: a slice, any blocks that divide it, a kernel."""
    shape = draw(st.sampled_from(SHAPES))
    cuts = [[n for n in range(1, whole + 1) if whole % n == 0] for whole in shape]
    size = st.tuples(*(st.sampled_from(axis) for axis in cuts))
    kinds = st.lists(st.tuples(st.booleans(), size), min_size=1, max_size=3)
    kernel = st.tuples(*[st.sampled_from([1, 3, 5])] * 3)
    return shape, draw(kinds), draw(st.integers(1, 5)), draw(kernel)


def built(stack) -> Model:
    """Outside of the strategy: beartype's checks draw random numbers."""
    shape, kinds, layers, kernel = stack
    blocks = tuple(Dilated(size) if dilated else size for dilated, size in kinds)
    return sliced(shape, blocks, layers, kernel)


def defined(config: Model) -> np.ndarray:
    """[P, P]: the relation by products of matrices, from the places alone."""
    shape = config.slice_shape
    place = np.indices(shape).reshape(3, -1).T
    here, there = place[:, None], place[None]
    half = np.array(config.masked_kernel) // 2
    order = np.arange(len(place))
    seen = (abs(here - there) <= half).all(-1) & (order < order[:, None])
    for block in config.layer_blocks(config.decoder_layers):
        if isinstance(block, Dilated):
            same = (here % block.dilated == there % block.dilated).all(-1)
        else:
            same = (here // block == there // block).all(-1)
        seen = (same & (order <= order[:, None])) @ seen
    return seen


@settings(max_examples=60)
@given(stacks())
def test_the_relation_is_the_product_of_the_layers(stack):
    config = built(stack)
    depends = unpacked(config)
    assert (depends == defined(config)).all()
    assert not np.triu(depends).any()  # never on itself, nor on what comes later
    found = connectivity(config)
    assert (found.reached == depends.sum(axis=1)).all()
    for position in {0, len(depends) // 2, len(depends) - 1}:
        hidden = np.flatnonzero(~depends[position, :position])
        assert (blind_spots(config, position) == hidden).all()
        assert found.blind[position] == len(hidden)
    pairs = np.tri(len(depends), k=-1, dtype=bool)
    assert found.share == (depends[pairs].mean() if pairs.any() else 1)


@settings(max_examples=60)
@given(stacks(), st.integers(0, 40))
def test_a_level_is_the_longest_chain_that_leads_to_a_pixel(stack, known):
    config = built(stack)
    depends = defined(config)
    known = min(known, len(depends))
    depends[:, :known] = False  # given pixels are waited for by nobody
    found = connectivity(config, known)
    levels = found.levels
    chain, expected = np.eye(len(depends), dtype=bool), np.zeros(len(depends), int)
    while chain.any():  # chains of 0, 1, 2 … dependencies
        expected += chain.any(axis=1)
        chain = depends @ chain
    expected[:known] = 0
    assert (levels == expected).all()
    made = expected[known:].tolist()
    assert found.steps == max(made, default=0)
    assert found.widest == max(map(made.count, made), default=0)
    later, sooner = np.nonzero(depends[known:])
    assert (levels[later + known] > levels[sooner]).all()


@settings(max_examples=60)
@given(stacks(), st.integers(1, 20))
def test_chains_are_the_dependencies_within_a_window(stack, window):
    config = built(stack)
    depends = defined(config)
    P = len(depends)
    for end in range(1, P + 1):  # of the window: no chain leaves it and comes back
        begin = max(0, end - 1 - window)
        within, reached = depends[begin:end, begin:end], np.zeros(end - begin, bool)
        step = within[-1]
        while (step & ~reached).any():
            reached |= step
            step = within[reached].any(axis=0)
        found = chains(config, window)[end - 1]
        assert (found[: end - 1 - begin] == reached[:-1][::-1]).all()
        assert not found[end - 1 - begin :].any()


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_the_relation_is_how_changed_pixels_change_the_network(config):
    """`test_causality` holds `within_slice` to be what the network does."""
    of, _ = within_slice(config, config.decoder_layers)
    assert (unpacked(config) == of).all()
    if config.first_slice_layers is not None:
        of, _ = within_slice(config, config.first_slice_layers)
        assert (unpacked(config, first=True) == of).all()
    else:
        with pytest.raises(ValueError, match="no decoder of its own"):
            connectivity(config, first=True)


# The others' gradients take their time: `test_causality` has them by changes.
TELLING = {"first slice decoder", "single frame", "dilated", "wide masked kernel"}


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(config, id=name, marks=() if name in TELLING else pytest.mark.slow)
        for name, config in VARIANTS.items()
    ],
)
def test_the_relation_is_where_gradients_of_the_network_are_not_zero(config):
    """A state's gradient with respect to a pixel it cannot see is exactly zero."""
    model = network(*network_of(config))
    for first in {False, config.first_slice_layers is not None}:
        decoder = model.decoder_of(first=first)
        draw = np.random.default_rng(0)
        seeds = draw.normal(size=(4, *config.slice_shape, config.de))
        embedded = jnp.asarray(seeds, jnp.float32)

        def probe(embedded: jax.Array, decoder=decoder) -> jax.Array:
            y = decoder.masked_conv(embedded) + decoder.positions()[None]
            for layer in decoder.layers.values():
                y, _ = layer(y)
            return jnp.sin(y).sum(axis=-1).reshape(len(y), -1).sum(axis=0)

        slopes = np.asarray(jax.jit(jax.jacrev(probe))(embedded))
        P = len(slopes)
        moved = (slopes.reshape(P, 4, P, -1) != 0).any(axis=(1, 3))
        assert (moved == unpacked(config, first)).all()


PAPER = ((4, 8, 4), (4, 4, 8), (1, 32, 4), (1, 4, 32))
SINGLE_FRAME = ((1, 8, 16), (1, 16, 8), (1, 2, 64), (1, 64, 2))


@pytest.mark.parametrize(
    ("shape", "blocks", "steps", "widest"),
    [
        ((4, 32, 32), PAPER, 1373, 8),
        ((1, 64, 64), SINGLE_FRAME, 2474, 2),
        ((4, 32, 32), ((4, 8, 4), (4, 4, 8), (2, 16, 4), (2, 4, 16)), 892, 9),
        ((4, 32, 32), ((4, 4, 8), (4, 8, 4), (4, 4, 4)), 362, 23),
    ],
)
def test_slices_of_4096_pixels_take_the_known_numbers_of_steps(
    shape, blocks, steps, widest
):
    config = sliced(shape, blocks, 2 * len(blocks))
    found = connectivity(config)
    assert (found.steps, found.widest) == (steps, widest)
    turns = schedule(config)
    assert turns.shape == (steps, widest)
    assert (np.unique(turns) == np.arange(4096)).all()


def test_the_papers_example_of_a_blind_spot_is_one():
    """Appendix C: the first pixel of a frame cannot see the last of the one before.

    A block with both does not do here: a state has seen what is before it, so only a
    position between the two could tell of the earlier one. A wider convolution does.
    """
    config = sliced((4, 32, 32), PAPER, 8)
    first_of_second, last_of_first = 1024, 1023
    assert last_of_first in blind_spots(config, first_of_second)
    joined = sliced((4, 32, 32), (*PAPER, (2, 32, 32)), 10)
    assert blind_spots(joined, first_of_second).tolist() == [last_of_first]
    wide = sliced((4, 32, 32), (*PAPER, (2, 32, 32)), 10, kernel=(3, 63, 63))
    assert not len(blind_spots(wide, first_of_second))


def test_cached_arrays_are_read_only():
    config = VARIANTS["spatial"]
    found = connectivity(config)
    assert found is connectivity(config)
    for array in (found.levels, found.reached, relation(config)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


PRIME = 2**31 - 1


class Toy:
    """The decoder's connections with numbers modulo a prime in place of vectors.

    A state is a product with the sum of what it sees, so any wrong part shows. Caches
    begin with rubbish, but for the given pixels.
    """

    def __init__(self, config: Model, known: int, seed: int) -> None:
        self.P = int(np.prod(config.slice_shape))
        blocks = config.layer_blocks(config.decoder_layers)
        order = np.arange(self.P)
        self.near = defined(sliced(config.slice_shape, ((1, 1, 1),), 1,
                                   config.masked_kernel))  # fmt: skip
        self.reads = []
        for block in blocks:
            of, _ = Blocks.of(block, config.slice_shape).places()
            self.reads.append((of[:, None] == of) & (order <= order[:, None]))
        draw = np.random.default_rng(seed)
        self.noise = draw.integers(1, PRIME, (len(blocks) + 2, self.P))
        self.pixels = draw.integers(PRIME, size=self.P)
        self.keys = draw.integers(PRIME, size=(len(blocks), self.P))
        self.compute(np.arange(known))
        self.given = known

    def compute(self, positions: np.ndarray) -> np.ndarray:
        """The last states; in each layer all keys are written, then read."""
        state = np.array([self._sum(self.pixels, self.near[i]) for i in positions])
        for layer, reads in enumerate(self.reads):
            self.keys[layer, positions] = state * self.noise[layer, positions] % PRIME
            attended = [self._sum(self.keys[layer], reads[i]) for i in positions]
            state = (state + 1) * (np.array(attended, int) + 7) % PRIME
        return state

    def _sum(self, values: np.ndarray, which: np.ndarray) -> int:
        return int((values * self.noise[-1] % PRIME)[which].sum() % PRIME)

    def make(self, turns: np.ndarray) -> np.ndarray:
        """Pixels of the slice, computed in these turns."""
        for positions in turns:
            state = self.compute(positions)
            self.pixels[positions] = state * self.noise[-2, positions] % PRIME
        return self.pixels


def made_both_ways(config: Model, known: int, turns) -> tuple[np.ndarray, np.ndarray]:
    """The pixels one after the other, and in these turns from other rubbish."""
    P = int(np.prod(config.slice_shape))
    one, other = Toy(config, known, 0), Toy(config, known, 0)
    other.keys[:, known:] = np.random.default_rng(1).integers(PRIME, size=P - known)
    other.pixels[known:] = 1
    return one.make(np.arange(known, P)[:, None]), other.make(turns)


@settings(max_examples=60)
@given(stacks(), st.integers(0, 40))
def test_a_schedule_gives_what_one_pixel_after_the_other_gives(stack, known):
    config = built(stack)
    known = min(known, int(np.prod(config.slice_shape)))
    turns, found = schedule(config, known), connectivity(config, known)
    assert len(turns) == found.steps
    expected, made = made_both_ways(config, known, turns)
    assert (made == expected).all()
    last = {i: step for step, row in enumerate(turns, 1) for i in row.tolist()}
    assert last == {i: found.levels[i] for i in range(known, len(found.levels))}


def test_a_position_comes_early_where_others_read_its_lower_layers():
    """Layers that do not come back to their first blocks: levels alone are wrong."""
    config = sliced((2, 4, 8), ((2, 4, 1), (1, 2, 4)), 2)
    levels, turns = connectivity(config).levels, schedule(config)
    by_level = [np.flatnonzero(levels == step) for step in range(1, levels.max() + 1)]
    expected, made = made_both_ways(config, 0, by_level)
    assert (made != expected).any()
    expected, made = made_both_ways(config, 0, turns)
    assert (made == expected).all()
    visits = {(step, i) for step, row in enumerate(turns, 1) for i in row.tolist()}
    early = sorted((step, i) for step, i in visits if levels[i] != step)
    assert early == [(8, 24)]  # position 32 reads it then, in the first layer
    assert (levels[24], levels[32]) == (9, 8)


def states_and_codes(config: Model, known: int, turns) -> tuple[np.ndarray, np.ndarray]:
    """Last state of each position, and codes that any change of it would change.

    By the network's one-position step; caches hold the given pixels and zeros' keys.
    """
    decoder = network(*network_of(config)).decoder_of(first=False)
    placed = decoder.position_and_context(None)
    given = np.random.default_rng(2).integers(4, size=(known, config.codes))
    begin = np.zeros((1, *config.slice_shape, config.codes), int)
    begin.reshape(-1, config.codes)[:known] = given
    _, cache = decoder.states(jnp.asarray(begin), placed)
    placed = placed.reshape(1, -1, config.d)
    step, remember = jax.jit(decoder.step), jax.jit(decoder.remember)
    states = np.zeros((placed.shape[1], config.d), np.float32)
    for positions in turns:
        for position in positions:
            y, cache = step(cache, placed[:, position], jnp.asarray(position))
            states[position] = y[0]
        for position in positions:
            codes = drawn_from(states[position], config)
            cache = remember(cache, jnp.asarray(codes)[None], jnp.asarray(position))
    return states, np.stack([drawn_from(state, config) for state in states])


def drawn_from(state: np.ndarray, config: Model) -> np.ndarray:
    """Codes that depend on every bit of a state."""
    bits = np.random.default_rng(np.frombuffer(state.tobytes(), np.uint8))
    return bits.integers(config.values, size=config.codes)


@pytest.mark.parametrize("known", [0, 11])
def test_the_network_gives_the_same_states_by_schedule_to_the_last_bit(known):
    """With blocks where a position has to come early."""
    config = sliced((2, 4, 8), ((2, 4, 1), (1, 2, 4)), 2)
    in_turn, in_parallel = (
        states_and_codes(config, known, turns)
        for turns in (np.arange(known, 64)[:, None], schedule(config, known))
    )
    for one, other in zip(in_turn, in_parallel, strict=True):
        assert (one[known:] == other[known:]).all()
    assert len(np.unique(in_turn[1])) > 1
