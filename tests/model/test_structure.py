import jax
import jax.numpy as jnp

from svtcli.model.svt import abstract_params
from tests.tiny import VARIANTS


def test_who_asks_for_the_shapes_gets_a_tree_of_their_own() -> None:
    config = VARIANTS["rgb"]
    abstract_params(config)["encoder"].clear()
    assert abstract_params(config)["encoder"]


def test_the_shapes_are_in_the_precision_that_jax_is_set_to() -> None:
    for double in (False, True, False):
        with jax.enable_x64(double):
            leaves = jax.tree.leaves(abstract_params(VARIANTS["rgb"]))
        assert any(leaf.dtype == jnp.float64 for leaf in leaves) == double
