"""Settings of the shell that could change results: ignored, or refused in words."""

import jax
import pytest

from svtcli.failure import Refused
from svtcli.run.environment import (
    HARMLESS,
    PINNED,
    READ_BY_LIBRARIES,
    check_xla_flags,
    ignore_variables,
)


def test_every_setting_of_jax_is_read_from_a_variable_that_is_judged():
    names = [name.upper() for name in jax.config.values]
    assert len(names) > 100
    assert [name for name in names if not READ_BY_LIBRARIES.fullmatch(name)] == []


def test_every_pinned_setting_is_jax_s_and_ignored_in_the_shell():
    assert set(PINNED) <= set(jax.config.values)
    assert not any(HARMLESS.fullmatch(name.upper()) for name in PINNED)


def test_settings_that_decide_results_are_ignored_and_the_others_kept():
    kept = {
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": "here",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_NUM_CPU_DEVICES": "4",
        "JAX_LOG_COMPILES": "1",
        "JAX_COORDINATOR_BIND_ADDRESS": "::",
        "CUDA_VISIBLE_DEVICES": "0",
        "SVT_RUNS": "runs",
    }
    ignored = {
        "JAX_ENABLE_X64": "maybe",
        "JAX_DEFAULT_PRNG_IMPL": "rbg",
        "JAX_THREEFRY_PARTITIONABLE": "0",
        "JAX_OF_THE_FUTURE": "1",
        "FLAX_ARRAY_REF": "1",
        "NVIDIA_TF32_OVERRIDE": "0",
    }
    environ = kept | ignored
    assert ignore_variables(environ) == list(ignored)
    assert environ == kept


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--xla_dump_too=x --xla_new", "Unknown flags: --xla_dump_too=x"),
        ("--xla_force_host_platform_device_count=two", "interpret value two for"),
        ("/no/such/file", 'Could not open file "/no/such/file"'),
        ("--xla_cpu_enable_fast_math=true", "fast_math=true could change results"),
        ("--xla_dump_to=x --xla_backend_optimization_level=0", "could change results"),
        ("/etc/hostname", "/etc/hostname could change results"),
    ],
)
def test_flags_of_xla_are_refused_in_words(monkeypatch, flags, words):
    monkeypatch.setenv("XLA_FLAGS", flags)
    with pytest.raises(Refused, match=r"^XLA_FLAGS: ") as refused:
        check_xla_flags()
    assert words in refused.value.sentence
    assert "XLA_FLAGS" in refused.value.hint


@pytest.mark.parametrize(
    "flags", ["", " ", "--xla_force_host_platform_device_count=2 --xla_dump_to=x"]
)
def test_flags_that_leave_results_as_they_are_pass(monkeypatch, flags):
    monkeypatch.setenv("XLA_FLAGS", flags)
    check_xla_flags()
