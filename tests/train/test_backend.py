"""Settings of jax in a Python program: pinned where they decide results."""

import json

import jax
import numpy as np
import pytest

from svtcli.cli.app import main
from svtcli.failure import Refused
from svtcli.run.environment import PINNED
from svtcli.train import backend

OTHERWISE = {
    "jax_enable_x64": True,
    "jax_default_prng_impl": "rbg",
    "jax_threefry_partitionable": False,
    "jax_random_seed_offset": 7,
    "jax_high_dynamic_range_gumbel": True,
    "jax_numpy_dtype_promotion": "strict",
    "jax_numpy_rank_promotion": "raise",
    "jax_default_matmul_precision": "bfloat16",
    "jax_disable_jit": True,
    "jax_transfer_guard": "disallow",
    "jax_debug_nans": True,
    "jax_debug_infs": True,
    "jax_debug_key_reuse": True,
}


@pytest.fixture
def otherwise():
    """Every pinned setting as it should not be."""
    assert OTHERWISE.keys() >= PINNED.keys() - {"jax_disable_most_optimizations"}
    before = {name: getattr(jax.config, name) for name in OTHERWISE}
    for name, value in OTHERWISE.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_a_seed_s_key_is_the_same_whatever_jax_is_set_to(otherwise):
    key = backend.key_of(3)
    assert jax.random.key_data(key).tolist() == [0, 3]
    drawn = np.asarray(jax.random.normal(key, (2,)))
    assert drawn.dtype == np.float32
    assert drawn.tolist() == pytest.approx([-1.446257, 1.539381])


def losses(place, run):
    lines = (place / "runs" / run / "metrics.jsonl").read_text().splitlines()
    return [row["loss"] for row in map(json.loads, lines) if "loss" in row]


def test_training_and_samples_are_the_same_whatever_jax_is_set_to(place, otherwise):
    assert main(["-q", "train", "mine.yaml", "--run", "again"]) == 0
    assert losses(place, "again") == losses(place, "mine")


@pytest.mark.parametrize(
    "said",
    [
        AssertionError(),
        RuntimeError(
            "Unable to initialize backend 'cuda': Backend 'cuda' is not in the list "
            "of known backends: ['cpu', 'tpu']. (set JAX_PLATFORMS='' to choose)"
        ),
    ],
)
def test_a_platform_that_is_not_here_is_refused(monkeypatch, said):
    def find():
        raise said

    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    with pytest.raises(Refused) as refused:
        backend.devices(find)
    assert refused.value.sentence == "JAX_PLATFORMS=cuda: jax finds no such device here"
    assert "unset JAX_PLATFORMS" in refused.value.hint
    monkeypatch.setenv("JAX_PLATFORMS", "")
    with pytest.raises(Refused, match=r"^jax finds no device to compute on\b"):
        backend.devices(find)


def test_a_driver_s_reason_is_told(monkeypatch):
    def find():
        raise RuntimeError(
            "Unable to initialize backend 'tpu': INTERNAL: Failed to open libtpu.so: "
            "no such file (set JAX_PLATFORMS='' to choose another)"
        )

    monkeypatch.setenv("JAX_PLATFORMS", "tpu")
    with pytest.raises(Refused) as refused:
        backend.devices(find)
    why = "(tpu: Failed to open libtpu.so: no such file)"
    assert refused.value.sentence.endswith(why)
