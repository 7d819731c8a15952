import jax
import jax.numpy as jnp

from svtcli.model.svt import abstract_params
from tests.tiny import VARIANTS


def test_abstract_params_returns_a_new_tree() -> None:
    config = VARIANTS["rgb"]
    abstract_params(config)["encoder"].clear()
    assert abstract_params(config)["encoder"]


def test_abstract_params_follow_jax_enable_x64() -> None:
    for double in (False, True, False):
        with jax.enable_x64(double):
            leaves = jax.tree.leaves(abstract_params(VARIANTS["rgb"]))
        assert any(leaf.dtype == jnp.float64 for leaf in leaves) == double
