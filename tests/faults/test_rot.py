"""Files that rot on a disk: told, or without effect, whatever reads them."""

import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from svtcli.cli.app import main
from svtcli.clips import format as clips_format
from svtcli.clips import reader
from svtcli.clips.reader import open_clips
from svtcli.evaluate.results import LikelihoodResult, ModelScore, write_result
from svtcli.failure import BadData, Failure
from svtcli.project.runs import list_runs
from svtcli.recipe.load import load_recipe
from svtcli.recipe.schema import Render
from svtcli.render.curves import RunData
from svtcli.render.page import report_of_runs
from svtcli.render.stage import render
from svtcli.run.directory import RunFolder
from svtcli.run.metrics_log import read_metrics
from svtcli.run.progress import Silent
from svtcli.run.samples import read_samples, write_samples
from svtcli.train.checkpoint import load_network
from svtcli.train.commit_record import open_checkpoint
from svtcli.train.plan import plan_training
from tests.render.made_up import made_up_samples
from tests.trained_place import RUN, working_in

RUN_FOLDER = RunFolder(RUN)
SAMPLES = RUN / "samples/3"
SCORED = LikelihoodResult(
    *("mine", 3, "bits_per_dim", "mine", "test", 4, 2, 4, 2),
    *((ModelScore("trained", 8.25, 0.5, (8.0, 8.5)),), None, "abc"),
)
TOLD = (2, 65, 74)
"""Exit codes of a refusal, of bad data and of a corrupt file."""


@pytest.fixture(scope="module")
def place(trained_place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run: with samples, a score and pictures."""
    place = tmp_path_factory.mktemp("rot") / "whole"
    shutil.copytree(trained_place, place)
    with working_in(place):
        write_samples(SAMPLES, made_up_samples())
        write_result(RUN_FOLDER.eval / "3-test.json", SCORED)
        render(SAMPLES, RUN_FOLDER.figures, Render(formats=("png",)), Silent())
    return place


def pixels() -> object:
    splits = [open_clips(Path("clips/mine"), split) for split in ("train", "test")]
    return [(c.ids[i], c.read(i).tobytes()) for c in splits for i in range(len(c))]


def weights(step: int) -> object:
    params = load_network(open_checkpoint(RUN_FOLDER, step)).params
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(params)]


def samples() -> object:
    read = read_samples(SAMPLES, mapped=True)
    arrays = (read.video, read.truth, read.log_prob)
    return read.facts, [array.tobytes() for array in arrays]


def overview() -> object:
    ((line, _),) = list_runs(Path("runs"))
    if line.problem is not None:
        raise BadData(line.problem)
    return replace(line, size=0, changed=None)


def resumed() -> object:
    plan = plan_training(load_recipe("mine.yaml"), RUN_FOLDER)
    return plan.start, plan.clips.fingerprint, plan.starts_over


READERS: Mapping[str, Callable[[], object]] = {
    "clips": pixels,
    "weights 2": lambda: weights(2),
    "weights 3": lambda: weights(3),
    "recipe": lambda: RUN_FOLDER.recipe(),
    "samples": samples,
    "scores": lambda: RunData.read([RUN_FOLDER]).likelihoods,
    "log": lambda: read_metrics(RUN_FOLDER.metrics),
    "page": lambda: repr(report_of_runs([SAMPLES])),
    "runs list": overview,
    "train": resumed,
}


def outcomes() -> dict[str, object]:
    """Output of every reader in a new process, or its failure."""
    for cached in (reader._open_file, clips_format._read_facts):
        cached.cache_clear()
    found: dict[str, object] = {}
    for name, read in READERS.items():
        try:
            found[name] = read()
        except Failure as failure:
            found[name] = failure
    told = [each for each in found.values() if isinstance(each, Failure)]
    assert all(each.code in TOLD for each in told)
    return found


def damage(draw: random.Random) -> str:
    """Damage one file of the run or of its clips; return what was done."""
    groups = ("clips/mine", "runs/mine/checkpoints", "runs/mine", "runs/mine")
    inside = [p for p in Path(draw.choice(groups)).rglob("*") if p.is_file()]
    few = [path for path in inside if "checkpoints" not in path.parts] or inside
    path = draw.choice(sorted(p for p in few if p.name != ".lock"))
    content, before = bytearray(path.read_bytes()), path.read_bytes()
    here = draw.randrange(len(content) or 1)
    there = here + draw.randrange(1, 1 << draw.randrange(1, 12))
    match kind := draw.choice(["flip", "flips", "cut", "hole", "zeros", "remove"]):
        case "flip" if content:
            content[here] ^= 1 << draw.randrange(8)
        case "flips":
            for each in range(here % 500, len(content), 500):
                content[each] ^= 1 << draw.randrange(8)
        case "cut":
            del content[here:]
        case "hole":
            del content[here:there]
        case "zeros":
            content[here:there] = bytes(len(content[here:there]))
        case _:
            path.unlink()
            return f"remove {path}"
    path.write_bytes(content)
    return f"{kind} {path} {here}" if content != before else f"nothing {path}"


def rot(place: Path, copy: Path, seeds: range) -> dict[str, int]:
    """Damage copies at random; return the number of damages by their outcome."""
    counts = {"told": 0, "no effect": 0, "absent": 0}
    with working_in(place):
        whole = outcomes()
    assert not any(isinstance(found, Failure) for found in whole.values())
    for seed in seeds:
        shutil.copytree(place, copy)
        with working_in(copy):
            done = damage(random.Random(seed))
            found = outcomes()
        shutil.rmtree(copy)
        told = any(isinstance(each, Failure) for each in found.values())
        wrong = {
            name
            for name, each in found.items()
            if not isinstance(each, Failure) and each != whole[name]
        }
        # A score that is gone is absent wherever scores are shown.
        absent = done == "remove runs/mine/eval/3-test.json"
        assert not wrong - ({"scores", "page"} if absent else set()), (seed, done)
        counts["told" if told else "absent" if wrong else "no effect"] += 1
    return counts


@pytest.mark.parametrize("first", [0, 4, 8, 12])
def test_damages_are_told_or_without_effect(
    place: Path, tmp_path: Path, first: int
) -> None:
    counts = rot(place, tmp_path / "copy", range(first, first + 4))
    assert counts["told"] > 1


@pytest.mark.slow
def test_a_thousand_damages_are_told_or_without_effect(
    place: Path, tmp_path: Path
) -> None:
    print(rot(place, tmp_path / "copy", range(1000)))


def test_a_run_whose_recipe_or_facts_are_damaged_is_mended_by_its_training(
    place: Path, tmp_path: Path
) -> None:
    shutil.copytree(place, tmp_path / "copy")
    with working_in(tmp_path / "copy"):
        for name in ("recipe.yaml", "run.json"):
            (RUN / name).write_text((RUN / name).read_text()[:200])
            with pytest.raises(Failure, match=name):
                RUN_FOLDER.recipe()
            assert main(["-q", "train", "mine.yaml"]) == 0
            assert RUN_FOLDER.recipe() == load_recipe("mine.yaml").recipe
