"""Grids of simulated devices; each test's jax is a process of its own."""

import json
from pathlib import Path

import numpy as np
import pytest

from svtcli.recipe.schema import Mesh, Train
from svtcli.train.mesh import layout_of
from tests.train import tiny_run
from tests.train.on_devices import on_devices

LARGER = "train.batch=8 model.d=32 train.learning_rate=1e-3"
TWO_KINDS = f"{LARGER} train.batch=16 model.first_slice_layers=1"
MODEL = {
    "video": [4, 8, 8],
    "s": [2, 2, 2],
    "de": 8,
    "d": 32,
    "na": 2,
    "da": 8,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "blocks": [[2, 2, 2]],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_run.write_recipe(tmp_path, tiny_run.write_clips(tmp_path / "clips"))
    return tmp_path


BOTH_AXES = ("2", "mesh.shard=4", "8 x cpu (data 2, shard 4)")
SHARD_ONLY = ("3", "mesh.shard=8", "8 x cpu (data 1, shard 8)")
DATA_ONLY = ("5", "mesh.data=4", "4 x cpu (data 4, shard 1)")
ONE_DEVICE = ("6", "mesh.data=1", "cpu")


@pytest.mark.parametrize(
    "grids",
    [
        (BOTH_AXES, ONE_DEVICE),
        pytest.param(
            (BOTH_AXES, SHARD_ONLY, DATA_ONLY, ONE_DEVICE), marks=pytest.mark.slow
        ),
    ],
    ids=["two meshes", "four meshes"],
)
def test_every_mesh_trains_as_one_device_and_resumes_from_any_other(
    folder: Path, grids: tuple[tuple[str, str, str], ...]
) -> None:
    """A step or two on each mesh, each from the checkpoint of the one before."""
    words = [f"grids:{until}:{LARGER} {mesh}" for until, mesh, _ in grids]
    (alone, *chain), _ = on_devices(
        8, "mesh_worker", str(folder), f"alone:6:{LARGER} mesh.data=1", *words
    )
    assert [each["device"] for each in chain] == [said for *_, said in grids]
    together = chain[-1]
    assert len(together["losses"]) == len(alone["losses"]) == 6
    np.testing.assert_allclose(together["losses"], alone["losses"], rtol=1e-6)
    one, many = np.load(folder / "alone.npy"), np.load(folder / "grids.npy")
    np.testing.assert_allclose(many, one, rtol=0, atol=1e-6)
    # One device resumes from the checkpoint of several, not from the start.
    before = chain[-2]["losses"]
    assert before
    assert together["losses"][: len(before)] == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("meshes", "device"),
    [
        ((("3", "mesh.data=2 mesh.shard=2"),), "4 x cpu (data 2, shard 2)"),
        (
            (("2", "mesh.shard=4"), ("3", "mesh.data=4")),
            "4 x cpu (data 4, shard 1)",
        ),
    ],
    ids=["one mesh", "resumed on another"],
)
def test_every_training_option_gives_the_same_result_on_a_mesh(
    tmp_path: Path, meshes: tuple[tuple[str, str], ...], device: str
) -> None:
    """First slices, micro-batches, averages, remat and held-out scores.

    Each of 8 devices has 1 row of a micro-batch; of 4, the first has both kinds of row.
    """
    clips = tiny_run.write_clips(tmp_path / "clips", count=2, held_out=("val",))
    tiny_run.write_recipe(tmp_path, clips)
    asked = (
        f"{TWO_KINDS} train.accumulate=2 train.ema=0.9 train.remat=true "
        "train.validate_every=2"
    )
    words = [f"grid:{until}:{asked} {mesh}" for until, mesh in meshes]
    (alone, *_, grid), _ = on_devices(
        8, "mesh_worker", str(tmp_path), f"alone:3:{asked} mesh.data=1", *words
    )
    assert grid["device"] == device
    assert len(grid["losses"]) == 3
    assert len(grid["scores"]) == 1
    np.testing.assert_allclose(grid["losses"], alone["losses"], rtol=1e-6)
    np.testing.assert_allclose(grid["scores"], alone["scores"], rtol=1e-6)
    one, many = np.load(tmp_path / "alone.npy"), np.load(tmp_path / "grid.npy")
    np.testing.assert_allclose(many, one, rtol=0, atol=1e-6)
    params, average = np.split(many, 2)
    assert abs(params - average).max() > 1e-4


@pytest.mark.slow
def test_a_mesh_changes_bfloat16_training_less_than_bfloat16_does(
    folder: Path,
) -> None:
    """Each device rounds its gradient to 8 bits before they are added, so 1e-6 is lost.

    What is left is of the size of one rounding of a gradient: below what the precision
    itself changes, in parameters and in losses.
    """
    short = "train.precision=bfloat16"
    (float32, alone, grid), _ = on_devices(
        8,
        "mesh_worker",
        str(folder),
        f"float32:4:{TWO_KINDS} mesh.data=1",
        f"alone:4:{TWO_KINDS} {short} mesh.data=1",
        f"grid:4:{TWO_KINDS} {short} mesh.shard=4",
    )
    losses = [np.array(each["losses"]) for each in (float32, alone, grid)]
    names = ("float32", "alone", "grid")
    params = [np.load(folder / f"{name}.npy") for name in names]
    for exact, one, many in (losses, params):
        assert 0 < np.linalg.norm(many - one) < 0.5 * np.linalg.norm(one - exact)


def test_uneven_meshes_are_refused_with_a_setting_that_divides(folder: Path) -> None:
    cases = {
        "train.batch=8 mesh.shard=3": "mesh.shard=3: does not divide the number "
        "of devices here, 8; mesh.shard=2 does",
        "train.batch=8 mesh.data=4 mesh.shard=4": "mesh.data=4 mesh.shard=4: 16 "
        "devices, but there are 8; mesh.data=-1 takes all there are",
        "train.batch=12": "mesh of 8 devices: train.batch=12 cannot be divided evenly "
        "among them; train.batch=16 can, and so can mesh.data=6",
        "train.batch=4 mesh.shard=8": "mesh of 8 devices: train.batch=4 cannot be "
        "divided evenly among them; train.batch=8 can",
        "train.batch=24 train.accumulate=2": "mesh of 8 devices: train.batch=24 in "
        "train.accumulate=2 micro-batches of 12 cannot be divided evenly among them; "
        "train.batch=32 can, and so can mesh.data=6",
    }
    words = [f"refused:2:{overrides}" for overrides in cases]
    said, _ = on_devices(8, "mesh_worker", str(folder), *words)
    assert [each["failure"] for each in said] == list(cases.values())


@pytest.mark.parametrize(
    "more",
    [pytest.param({}, marks=pytest.mark.slow), {"first_slice_layers": 2}],
    ids=["one decoder", "two decoders"],
)
def test_the_batch_of_the_paper_divides_over_its_128_devices(more: dict) -> None:
    """256 slices, two a device (§4.3); only parameters and their gradients are moved.

    Of two decoders too: the 16 first slices stay on the 8 devices that have them.
    """
    arguments = ("32", "4", "256", json.dumps(MODEL | more))
    (compiled,), stderr = on_devices(
        128,
        "compile_worker",
        *arguments,
        # A cached step was compiled without a word.
        JAX_ENABLE_COMPILATION_CACHE="false",
        TF_CPP_MIN_LOG_LEVEL="0",
    )
    assert "nvoluntary full rematerialization" not in stderr
    assert compiled["rows"] == 2
    assert compiled["kept"] < 0.35 * compiled["numbers"]
    moved = compiled["moved"]
    assert moved.pop("all-reduce") > 0
    assert moved == {"all-gather": compiled["in_parts"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "grid", "most"),
    [
        ("kinetics_large", (128, 1), 22e9),
        ("kinetics_large", (16, 8), 12e9),
        ("kinetics_single_frame_large", (16, 8), 9e9),
        ("kinetics_spatiotemporal", (128, 1), 4e9),
    ],
    ids=str,
)
def test_the_paper_s_models_train_on_its_128_devices(
    recipe: str, grid: tuple[int, int], most: float
) -> None:
    """The true sizes (§4.3), 256 slices; `most` bytes a device, as CPUs need them."""
    overrides = [f"mesh.data={grid[0]}", f"mesh.shard={grid[1]}", "train.batch=256"]
    (compiled,), stderr = on_devices(
        128,
        "compile_worker",
        *(recipe, *overrides),
        JAX_ENABLE_COMPILATION_CACHE="false",
        TF_CPP_MIN_LOG_LEVEL="0",
    )
    assert "nvoluntary full rematerialization" not in stderr
    assert compiled["rows"] == 2
    assert compiled["memory"] < most
    moved = compiled["moved"]
    assert moved.pop("all-reduce") > 0
    gathers = {"all-gather": compiled["in_parts"]} if grid[1] > 1 else {}
    assert moved == gathers


def test_one_device_leaves_arrays_unchanged() -> None:
    layout = layout_of(Mesh(), Train(batch=3))
    inputs = {"video": np.zeros((3, 2))}
    assert layout.devices == 1
    assert layout.global_batch(inputs, 3) is inputs
    assert layout.gathered(inputs) is inputs
    assert layout.own_rows(3) == (0, 1, 2)
