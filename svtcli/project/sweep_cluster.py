"""Runs of a sweep on a Ray cluster: one process each, on GPUs where there are any.

All machines must see the working folder, the recipe, clips and runs under the same
paths; only settings and scores travel through Ray.
"""

import os
import pickle
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from svtcli.evaluate.run_scores import Scores
from svtcli.failure import Stopped
from svtcli.project.combinations import SweepRun
from svtcli.recipe.schema import Stage
from svtcli.run.environment import ignore_variables
from svtcli.run.progress import Silent
from svtcli.run.ray_cluster import ClusterFailed, run_on_ray
from svtcli.run.signals import RESUME

SAVING = 60.0
"""Seconds that runs have to save their work when the sweep is stopped."""
HANDED_ON = ("SVT_", "JAX_", "XLA_")
"""Starts of the names of variables that count on every machine."""

Outcome = Callable[[], list[Scores]]
"""Returns the scores of a run's combinations, or raises what ended the run."""


def runs_on_ray(
    ray: Any,
    runs: Sequence[SweepRun],
    stages: tuple[Stage, ...],
    check: Callable[[], None],
) -> Generator[tuple[SweepRun, Outcome], None, None]:
    """Run the stages of every run wherever there is room; yield each when it ends.

    Errors of a run are raised by its outcome.
    """
    here, every = Path.cwd(), os.environ.items()
    own = {name: value for name, value in every if name.startswith(HANDED_ON)}
    jobs = [(run.folder.name, pickle.dumps((here, own, run, stages))) for run in runs]
    results = run_on_ray(ray, run_there, jobs, check, _resources(ray, runs), SAVING)
    with closing(results):
        for number, result in results:
            yield runs[number], result


def run_there(packed: bytes) -> list[Scores]:
    """Run the stages of a run in a process of its own, on some machine.

    Errors: `ClusterFailed` where this machine lacks the working folder, or stops the
    run; those of the stages.
    """
    # Bytes of `runs_on_ray` in the caller; Ray unpickles arguments all the same.
    here, variables, run, stages = pickle.loads(packed)  # noqa: S301
    if not here.is_dir():
        raise ClusterFailed(
            f"{here}: missing on {socket.gethostname()}, a machine of the cluster",
            f"is the folder shared? {RESUME}",
        )
    os.chdir(here)
    os.environ |= variables
    ignore_variables()
    from svtcli.project.sweep import run_stages

    try:
        return run_stages(run, stages, Silent())
    except Stopped as stopped:
        raise ClusterFailed(stopped.sentence, stopped.hint) from None


def _resources(ray: Any, runs: Sequence[SweepRun]) -> dict[str, Any]:
    """Share of a machine for a run: the GPUs of its mesh, else all of its CPUs.

    A process ends with its run, which frees the memory of the devices.
    """
    nodes = [each["Resources"] for each in ray.nodes() if each["Alive"]]
    if any(node.get("GPU") for node in nodes):
        meshes = [run.combinations[0].loaded.recipe.mesh for run in runs]
        wanted = max(max(1, mesh.data) * mesh.shard for mesh in meshes)
        return {"num_gpus": wanted, "max_calls": 1}
    least = min(node["CPU"] for node in nodes if node.get("CPU"))
    return {"num_cpus": least, "max_calls": 1}
