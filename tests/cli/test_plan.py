import json
from dataclasses import replace

import jax
import pytest

from svtcli.failure import Refused
from svtcli.model.connectivity import connectivity
from svtcli.model.flops import training_flops
from svtcli.model.svt import create, parameter_count
from svtcli.project.estimate import DecoderReach, estimate
from svtcli.recipe.load import load_recipe
from svtcli.recipe.model import Model
from svtcli.train.chips import CHIPS, find_chip
from svtcli.train.memory import size
from svtcli.train.state import first_state
from tests.cli.terminal import svt, svt_here
from tests.train.tiny_run import loaded, write_recipe


@pytest.fixture
def mine(tmp_path):
    return write_recipe(tmp_path, tmp_path / "no clips needed")


def test_sizes_are_those_of_the_state_and_the_work(mine) -> None:
    recipe = loaded(mine, "train.ema=0.9").recipe
    found = estimate(recipe)
    _, params = create(recipe.model, jax.random.key(0))
    state = first_state(params, recipe.train)
    assert found.parameters == parameter_count(recipe.model)
    assert sum(found.by_part.values()) == found.parameters
    assert set(found.by_part) == {"encoder", "decoder"}
    assert found.state_memory == sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    assert found.model_flops == training_flops(recipe.model, 4)
    assert (found.slices, found.slice_pixels) == (8, 8)
    # Four slices of 2 frames, 4 pixels each, begin with the given one.
    pixels = 4 * 4 + 4 * 8
    assert (found.pixels_in_turn, found.codes_in_turn) == (pixels, 6 * pixels)
    assert found.hardware_flops == found.model_flops
    assert estimate(loaded(mine, "train.remat=true").recipe).hardware_flops > (
        found.model_flops
    )


def test_a_sample_longer_than_the_model_counts_in_all_its_windows() -> None:
    found = estimate(load_recipe("quickstart").recipe)  # 4 frames of it see the next
    made = (16 - 5) * 48 * 48
    assert (found.pixels_in_turn, found.codes_in_turn) == (made, 6 * made)


def test_compiling_allocates_nothing_and_finds_more_than_the_state(mine) -> None:
    recipe = loaded(mine).recipe
    before = {id(array) for array in jax.live_arrays()}
    found = estimate(recipe, find_chip("H100"), compiled=True)
    assert not [array for array in jax.live_arrays() if id(array) not in before]
    assert found.compiled is not None
    assert found.compiled.memory > found.state_memory + found.compiled.temporary
    assert found.compiled.flops > found.model_flops
    assert found.fits is True
    small = replace(found, chip=replace(found.chip, memory=found.compiled.memory - 1))
    assert small.fits is False
    assert replace(found, compiled=None).fits is None


def test_a_named_chip_says_how_fast_a_step_could_be(mine) -> None:
    recipe = loaded(mine, "train.precision=bfloat16").recipe
    found = estimate(recipe, find_chip("nvidia a100-sxm4-80gb"))
    assert found.chip is find_chip("A100-80GB")
    assert found.at_peak == found.hardware_flops / 312e12


def test_the_command_says_it_to_people_and_as_json(mine, capfd) -> None:
    said = svt_here(capfd, "plan", str(mine), "train.remat=true", "--device", "L4")
    assert said.code == 0, said.err
    lines = dict(line.strip().split("  ", 1) for line in said.out.splitlines())
    assert lines["device"].strip() == f"L4, {size(23034 << 20)}"
    assert "remat included" in lines["executed FLOPs"]
    # One layer with all in one block: a pixel sees all before the one before it, and
    # by the convolution that one too; so there is nothing to be made together.
    facts = {name: value.strip() for name, value in lines.items()}
    assert facts["in parallel"] == "48 steps of up to 1 pixels, with the same result"
    assert facts["visible"] == "100.0% of the earlier pixels of a slice"
    assert facts["blind spots"] == "0 per pixel on average, 0 at most"
    said = svt_here(capfd, "plan", str(mine), "--compile", "--device", "L4", "--json")
    data = json.loads(said.out)
    assert data["fits"] is True
    assert data["compiled"]["memory"] > data["state_memory"]
    assert data["chip"]["name"] == "L4"


def test_the_steps_of_sampling_and_the_blind_spots_have_stable_names(capfd) -> None:
    """The paper's base model: 16 slices, of which 4 begin with the given frame."""
    window = ("sample.frames=16", "sample.prime=1")
    said = svt_here(capfd, "plan", "bair_spatiotemporal", *window, "--json")
    assert said.code == 0, said.err
    sampling = json.loads(said.out)["sampling"]
    sight = sampling["decoders"].pop("decoder")
    assert (sight["steps"], sight["widest_step"]) == (1373, 8)
    assert sight["reachable_share"] == pytest.approx(0.7248, abs=1e-4)
    assert sight["mean_blind_spots"] == pytest.approx(563.45, abs=1e-2)
    assert sight["most_blind_spots"] == 2297
    assert set(sight) == set(vars(DecoderReach(1, 1, 1.0, 0.0, 0)))
    begun = connectivity(Model(), 1024).steps
    assert sampling == {
        "frames": 16,
        "slices": 16,
        "sequential_steps": 12 * 4096 + 4 * 3072,
        "parallel_steps": 12 * 1373 + 4 * begun,
        "widest_step": 8,
        "decoders": {},
    }


def test_stages_and_the_cost_of_scoring_are_told(place, capfd) -> None:
    scored = ("eval.metrics=[likelihood,psnr]", "eval.videos=2", "eval.trials=3")
    said = svt_here(capfd, "plan", "mine.yaml", *scored)
    assert said.code == 0, said.err
    lines = dict(line.strip().split("  ", 1) for line in said.out.splitlines())
    facts = {name: value.strip() for name, value in lines.items()}
    assert facts["likelihood, test"].startswith(
        "all clips, models: trained, uniform; 4 frames"
    )
    assert facts["samples to compare"] == "6 videos of 4 frames (psnr)"
    assert "seen by I3D" not in facts
    assert facts["stage train"] == "done, runs/mine: at step 3"
    assert facts["stage eval"].startswith("to do, runs/mine/eval/3-test")
    assert facts["stage render"] == "waiting, for samples"
    data = json.loads(svt_here(capfd, "plan", "mine.yaml", *scored, "--json").out)
    assert data["eval"]["trials"] == {
        "metrics": ["psnr"], "samples": 6, "frames": 4, "features": 0,
    }  # fmt: skip
    assert list(data["eval"]) == ["splits", "likelihood", "trials"]
    assert data["stages"][1] == {
        "stage": "train", "state": "done", "why": "runs/mine: at step 3",
    }  # fmt: skip
    other = svt_here(capfd, "plan", "mine.yaml", "--run", "new", "--json")
    assert json.loads(other.out)["stages"][1]["why"] == "runs/new: no checkpoint yet"


def test_decoders_that_see_differently_are_told_apart(mine, capfd) -> None:
    blocks = ["model.video=[4,8,8]", "data.size=8", "model.blocks=[[2,2,1],[1,4,4]]"]
    first = ["model.first_slice_layers=2", "train.batch=8"]
    said = svt_here(capfd, "plan", str(mine), *blocks, *first)
    assert said.code == 0, said.err
    names = [line.strip().split("  ")[0] for line in said.out.splitlines()]
    for decoder in ("decoder", "first_decoder"):
        assert {f"visible, {decoder}", f"blind spots, {decoder}"} <= set(names)
    assert "visible" not in names


def test_a_mesh_is_planned_for_each_of_its_devices_though_they_are_not_here(mine):
    """8 devices, 2 of them to a part of the state, each with 2 of 16 slices."""
    sizes = ["train.batch=16", "model.d=32"]
    devices = ["mesh.data=4", "mesh.shard=2"]
    options = ["--compile", "--device", "L4", "--json"]
    said = svt("plan", str(mine), *sizes, *devices, *options)
    assert said.code == 0, said.err
    each = json.loads(said.out)
    alone = estimate(loaded(mine, *sizes).recipe, find_chip("L4"))
    share = each["share"]
    kept = share.pop("state_memory")
    assert share == {
        "data": 4, "shard": 2, "devices": 8, "rows": 2, "simulated": True,
    }  # fmt: skip
    assert each["state_memory"] == alone.state_memory == alone.share.state_memory
    assert 0.5 * alone.state_memory < kept < 0.75 * alone.state_memory
    assert each["model_flops"] == alone.model_flops
    assert each["at_peak"] == pytest.approx(alone.at_peak / 8)
    step = each["compiled"]
    lasting = step["memory"] - step["temporary"]
    # Its two videos of 4 frames, what it is told, and where every array is.
    assert kept + 2 * 192 <= lasting < 1.02 * kept
    assert 1 < 8 * step["flops"] / alone.model_flops < 3
    assert each["fits"] is True


def test_people_read_what_a_device_of_a_mesh_has() -> None:
    said = svt("plan", "kinetics_large", "mesh.data=16", "mesh.shard=8")
    assert said.code == 0, said.err
    lines = dict(line.strip().split("  ", 1) for line in said.out.splitlines())
    facts = {name: value.strip() for name, value in lines.items()}
    assert facts["devices"] == "128 (data 16, shard 8), simulated here"
    assert facts["slices on each"] == "2"
    assert (facts["weights + optimizer state"], facts["memory on each"]) == (
        "8.91 GB",
        "1.11 GB",
    )


def test_devices_that_jax_can_no_longer_simulate_are_refused(mine) -> None:
    jax.devices()
    with pytest.raises(Refused, match="mesh of 64 devices: jax has been started with"):
        estimate(loaded(mine, "mesh.shard=64", "train.batch=64").recipe)


def test_wrong_input_is_one_line(mine, capfd) -> None:
    said = svt_here(capfd, "plan", str(mine), "--device", "abacus")
    assert (said.code, said.out) == (2, "")
    first, hint = said.err.splitlines()
    assert first == "svt: error: --device abacus: unknown device"
    assert hint == f"hint: known devices: {', '.join(chip.name for chip in CHIPS)}"
    said = svt_here(capfd, "plan", "nothing-of-that-name")
    assert (said.code, said.out) == (2, "")
