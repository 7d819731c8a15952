"""Files of arrays in every format, and the clips that tasks make of them."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from svtcli.prepare.plan import Failed, beside
from svtcli.prepare.sources import make_plan
from svtcli.recipe.data import ArraysData

SUFFIXES = (".npy", ".npz", ".packed.npz", ".safetensors", ".h5")
RNG = np.random.default_rng(0)
VIDEO = RNG.integers(0, 256, (4, 5, 8, 8, 3), np.uint8)
ACTIONS = RNG.normal(size=(4, 5, 2)).astype(np.float32)
STATES = RNG.normal(size=(4, 5, 3)).astype(np.float32)
LABEL = np.array([3, 1, 2, 1])


def save(path: Path, **arrays: np.ndarray) -> Path:
    """Write a file; of a `.npy`, all arrays but `frames` stand beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    match path.suffixes:
        case [".npy"]:
            np.save(path, arrays.pop("frames"))
            for key, array in arrays.items():
                np.save(path.with_suffix(f".{key}.npy"), array)
        case [".packed", ".npz"]:
            np.savez_compressed(path, **arrays)
        case [".npz"]:
            np.savez(path, **arrays)
        case [".safetensors"]:
            save_file(arrays, path)
        case _:
            import h5py

            with h5py.File(path, "w") as file:
                for key, array in arrays.items():
                    file[key] = array
    return path


def data(source: Path, **settings) -> ArraysData:
    """Settings that keep everything in train, at the size of VIDEO."""
    return ArraysData("arrays", str(source), **({"size": 8, "test": 0.0} | settings))


def run(settings: ArraysData, place: Path) -> tuple[dict[str, dict], list[Failed]]:
    """Clips by id, and failures, of all tasks of a plan."""
    plan, clips, failures = make_plan(settings), {}, []
    place.mkdir(exist_ok=True)
    for number, task in enumerate(t for group in plan.groups for t in group.tasks):
        frames = place / f"{number}.frames"
        outcome = task.run(frames)
        failures += outcome.failures
        assert task.promise().clips >= len(outcome.cuts)
        if not outcome.cuts:
            continue
        rows = {"frames": np.fromfile(frames, np.uint8).reshape(-1, *plan.layout.shape)}
        for name, size in plan.layout.beside.items():
            numbers = np.fromfile(beside(frames, name), "<f4").reshape(-1, size)
            rows[name] = numbers
        assert {len(each) for each in rows.values()} == {outcome.frames}
        for cut in outcome.cuts:
            own = slice(cut.first, cut.first + cut.frames)
            clips[cut.facts.id] = {name: each[own] for name, each in rows.items()} | {
                "split": cut.split,
                "facts": cut.facts,
            }
    return clips, failures
