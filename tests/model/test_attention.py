"""A layer against eq. 2–6 written out over all pairs, and its forms on each other."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from svtcli.model.attention import Layer, LayerCache
from svtcli.model.blocks import Blocks
from svtcli.model.decoder import MaskedConv
from svtcli.model.kernels import rows_at
from svtcli.model.parameters import Keys
from svtcli.recipe.model import Block, Dilated

SHAPE, D, HEADS, SIZE = (2, 4, 6), 5, 2, 3
LAYERS = [((1, 2, 3), False), ((9, 1, 9), True), (Dilated((1, 2, 3)), True)]


def layer_of(block: Block, *, causal: bool):
    """The structure of a layer, and random float64 parameters."""
    blocks = Blocks.of(block, SHAPE)
    rngs = Keys(jax.random.key(0))
    layer = Layer(blocks, D, HEADS, SIZE, depth=1, causal=causal, rngs=rngs)
    structure, state = nnx.split(layer)
    leaves, tree = jax.tree.flatten(nnx.to_pure_dict(state))
    draw = np.random.default_rng(1)
    leaves = [jnp.asarray(draw.normal(size=leaf.shape)) for leaf in leaves]
    return structure, tree.unflatten(leaves)


def written_out(params, blocks: Blocks, z, *, causal: bool):
    """Eq. 2–6 for one slice z [P, D] in raster order."""

    def norm(by, x):
        mean = x.mean(-1, keepdims=True)
        spread = jnp.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-6)
        return (x - mean) / spread * by["scale"] + by["bias"]

    block, place = blocks.places()
    seen = block[:, None] == block
    if causal:
        seen &= np.tri(len(z), dtype=bool)
    t_h_w = np.stack(np.unravel_index(place, blocks.extent))
    distance = t_h_w[:, :, None] - t_h_w[:, None]
    bias = sum(
        params["relative_bias"][axis][:, distance[n] + extent - 1]
        for n, (axis, extent) in enumerate(zip("thw", blocks.extent, strict=True))
    )
    normed = norm(params["attention_norm"], z)
    q, k, v = (
        jnp.einsum("PD,DKa->KPa", normed, params["query_key_value"][:, j])
        for j in range(3)
    )
    scores = jnp.einsum("KPa,KJa->KPJ", q / SIZE**0.5, k) + bias
    weights = jnp.where(seen, jnp.exp(scores), 0)
    weights = weights / weights.sum(-1, keepdims=True)
    joined = jnp.einsum("KPJ,KJa->PKa", weights, v)
    z = z + jnp.einsum("PKa,KaD->PD", joined, params["projection"])
    hidden = jnp.maximum(norm(params["map_norm"], z) @ params["map_in"], 0)
    return z + hidden @ params["map_out"]


@pytest.mark.parametrize(("block", "causal"), LAYERS, ids=str)
def test_a_layer_and_its_gradient_are_those_of_the_paper_s_equations(
    block: Block, causal: bool
) -> None:
    with jax.enable_x64(True):
        structure, params = layer_of(block, causal=causal)
        draw = np.random.default_rng(2)
        z, weight = (jnp.asarray(draw.normal(size=(2, *SHAPE, D))) for _ in range(2))
        blocks = Blocks.of(block, SHAPE)

        def ours(params, z):
            return nnx.merge(structure, params)(z)[0]

        def theirs(params, z):
            one = partial(written_out, params, blocks, causal=causal)
            return jax.vmap(one)(z.reshape(2, -1, D)).reshape(z.shape)

        found, expected = (
            jax.jit(jax.value_and_grad(lambda *x, f=f: (weight * f(*x)).sum(), (0, 1)))(
                params, z
            )
            for f in (ours, theirs)
        )
        for one, other in zip(
            jax.tree.leaves(found), jax.tree.leaves(expected), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("block", [(1, 2, 3), (9, 1, 9), Dilated((1, 2, 3))], ids=str)
def test_one_position_and_runs_give_what_the_whole_slice_gives(block: Block) -> None:
    with jax.enable_x64(True):
        layer = nnx.merge(*layer_of(block, causal=True))
        blocks, (B, P) = layer.blocks, (2, int(np.prod(SHAPE)))
        z = jnp.asarray(np.random.default_rng(3).normal(size=(B, *SHAPE, D)))
        whole, _ = layer(z)
        z, whole = z.reshape(B, P, D), whole.reshape(B, P, D)
        shape = (B, P // blocks.length, 2, HEADS, blocks.length, SIZE)
        empty = LayerCache(jnp.zeros(shape), layer.bias())
        step, cache = jax.jit(layer.step), empty
        for position, (n, place) in enumerate(zip(*blocks.places(), strict=True)):
            y, cache = step(z[:, position], cache, n, place)
            np.testing.assert_allclose(y, whole[:, position], rtol=1e-10, atol=1e-12)
        steps = jax.jit(layer.steps)
        for length in filter(blocks.run, (1, 3)):
            runs = jnp.broadcast_to(jnp.arange(0, P, length), (B, P // length))
            y, _ = steps(z.reshape(B, -1, length, D), empty, runs)
            np.testing.assert_allclose(
                y.reshape(B, P, D), whole, rtol=1e-10, atol=1e-12
            )


@pytest.mark.parametrize("kernel", [(3, 3, 3), (3, 5, 1)])
def test_the_masked_convolution_is_the_same_for_a_slice_a_position_and_runs(kernel):
    with jax.enable_x64(True):
        conv = MaskedConv(kernel, 4, D, Keys(jax.random.key(0)))
        embedded = jnp.asarray(np.random.default_rng(4).normal(size=(2, *SHAPE, 4)))
        whole = conv(embedded).reshape(2, -1, D)
        padded, taps = conv.pad(embedded), conv.earlier_taps()
        places = np.indices(SHAPE).reshape(3, -1).T
        one = jax.vmap(lambda at: conv.step(padded, at, taps))(jnp.asarray(places))
        np.testing.assert_allclose(one.swapaxes(0, 1), whole, rtol=1e-6, atol=1e-7)
        runs = jnp.broadcast_to(places[::3], (2, len(places) // 3, 3))
        many = conv.steps(padded, runs, 3, taps).reshape(2, -1, D)
        np.testing.assert_allclose(many, whole, rtol=1e-6, atol=1e-7)


def test_rows_of_a_table_are_those_of_a_look_up() -> None:
    table = jnp.asarray(np.random.default_rng(0).normal(size=(7, 3)), jnp.float32)
    index = jnp.array([6, 0, 3, 3])
    assert (rows_at(index, table) == table[index]).all()
