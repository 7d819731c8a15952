"""`examine`: one finding for each thing, whatever is wrong with it."""

import shutil
from importlib import metadata
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.failure import BadData, Failure, Refused
from svtcli.project import doctor
from svtcli.run.distribution import install_command
from svtcli.run.progress import Silent
from svtcli.video import decode, encode

FREE = shutil.disk_usage("/")._replace(free=50 * 10**9)


@pytest.fixture
def quick(monkeypatch):
    """Without the parts that take long, which have tests of their own."""
    monkeypatch.setitem(doctor.SIDES, "cpu", 8)
    monkeypatch.setattr(encode, "check_round_trip", lambda: None)
    monkeypatch.setattr(encode, "ffmpeg_version", lambda: "7.0")
    weights = "svtcli.evaluate.weights.published_weights"
    monkeypatch.setattr(weights, lambda published: "0" * 64)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: FREE)
    monkeypatch.setattr(doctor, "NVIDIA", Path("/no such file"))


def findings(full=False):
    return {each.name: each for each in doctor.examine(Silent(), full)}


def test_a_healthy_machine_has_a_finding_for_each_thing_and_none_is_broken(quick):
    found = findings(full=True)
    assert list(found) == [
        *("python", "packages", "devices", "product", "codecs", "fvd", "lpips"),
        "flow",
        *("ray", "k8s", "hdf5", "sim", "tensorboard", "wandb", "demo", "digits"),
        *("runs", "clips", "cache", "compiled"),
    ]
    assert list(findings()) == [name for name in found if name != "product"]
    assert {each.state for each in found.values()} <= {"ok", "note"}
    assert found["product"].facts["flops"] > 0
    assert found["devices"].facts["kinds"] == ["cpu"] * len(jax.devices())
    assert found["devices"].facts["memory"] > 10**8


def test_a_product_that_is_wrong_is_broken(quick, monkeypatch):
    right = jnp.matmul
    monkeypatch.setattr(jnp, "matmul", lambda *a, **k: right(*a, **k).at[0, 0].add(1))
    found = findings(full=True)["product"]
    assert found.state == "broken"
    assert found.text == "a product of 8 x 8 matrices in float32 is wrong on cpu"


def test_no_device_is_broken_once_and_the_rest_is_told_all_the_same(quick, monkeypatch):
    def none():
        raise AssertionError

    monkeypatch.setattr(jax, "devices", none)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    found = findings(full=True)
    assert [name for name in found if found[name].state == "broken"] == ["devices"]
    assert "unset JAX_PLATFORMS" in found["devices"].hint
    assert found["product"].state == found["compiled"].state == "note"
    assert len(found) == 20


def test_a_gpu_that_jax_does_not_use_is_noted(quick, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "NVIDIA", tmp_path)
    found = findings()["devices"]
    assert found.state == "note"
    assert install_command("cuda") in found.hint


def test_what_nobody_thought_of_is_a_finding_too(quick, monkeypatch):
    def surprised():
        raise LookupError("first\nsecond")

    monkeypatch.setattr(decode, "missing_decoders", surprised)
    found = findings()["codecs"]
    assert (found.state, found.text) == ("broken", "does not work here")


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (Refused("not installed", "get it"), "FVD and KVD unavailable: not installed"),
        (
            BadData("not the published one", "get it"),
            "FVD and KVD unavailable: not the publ",
        ),
    ],
)
def test_weights_that_are_missing_or_changed_are_noted(
    quick, monkeypatch, failure, said
):
    def fail(published):
        raise failure

    monkeypatch.setattr("svtcli.evaluate.weights.published_weights", fail)
    found = findings()["fvd"]
    assert (found.state, found.hint) == ("note", "get it")
    assert found.text.startswith(said)


def test_an_extra_that_is_not_installed_says_what_it_would_give(quick, monkeypatch):
    known = metadata.version

    def without_ray(name):
        if name == "ray":
            raise metadata.PackageNotFoundError
        return known(name)

    monkeypatch.setattr(metadata, "version", without_ray)
    found = findings()["ray"]
    assert found.state == "note"
    assert found.text == "svt prepare --engine ray unavailable: ray is not installed"
    assert found.hint == f"install it: {install_command('ray')}"


def test_jax_and_jaxlib_of_two_versions_are_noted(quick, monkeypatch):
    pair = {"svt": "1", "jax": "0.10.2", "jaxlib": "0.10.1"}
    monkeypatch.setattr(doctor, "versions", lambda: pair)
    assert findings()["packages"].state == "note"
    monkeypatch.setattr(doctor, "versions", lambda: {"jax": "0.10.2"})
    assert findings()["packages"].state == "broken"


def test_little_room_and_a_closed_folder_are_noted(quick, monkeypatch, tmp_path):
    monkeypatch.setenv("SVT_RUNS", str(tmp_path / "deep" / "runs"))
    full = FREE._replace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    found = findings()["runs"]
    assert found.text == f"{tmp_path / 'deep' / 'runs'}: 1 GB free, which is little"
    assert found.hint == "$SVT_RUNS names another place"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SVT_RUNS", str(tmp_path / "file" / "runs"))
    found = findings()["runs"]
    assert (found.state, found.facts["writable"]) == ("note", True)
    assert found.text == f"{tmp_path / 'file'}: cannot be written to"


def test_nothing_is_made_by_looking(quick, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("SVT_RUNS", "SVT_CACHE", "SVT_COMPILATION_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    findings()
    assert not list(tmp_path.iterdir())


def test_a_film_is_written_and_read_and_a_changed_one_is_noticed(monkeypatch):
    encode.check_round_trip()
    assert encode.ffmpeg_version() != "of an unknown version"
    assert decode.missing_decoders() == []
    black = np.zeros((encode.SIDE, encode.SIDE, 3), np.uint8)
    monkeypatch.setattr(decode, "decode", lambda *_: [black] * encode.FRAMES)
    with pytest.raises(Failure, match="otherwise than it was written"):
        encode.check_round_trip()
