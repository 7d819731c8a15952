"""Runs of a sweep on Ray: what a job takes, what a machine lacks, one real cluster."""

import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest

from svtcli.failure import Stopped
from svtcli.project import sweep as sweeping
from svtcli.project.combinations import plan_sweep
from svtcli.project.sweep_cluster import _resources, run_there
from svtcli.run.ray_cluster import ClusterFailed
from tests.cli.terminal import svt


def cluster(*machines: dict[str, float]) -> SimpleNamespace:
    nodes = [{"Alive": True, "Resources": machine} for machine in machines]
    nodes.append({"Alive": False, "Resources": {"CPU": 1, "GPU": 99}})
    return SimpleNamespace(nodes=lambda: nodes)


def test_a_run_takes_the_gpus_of_its_mesh_or_all_cpus_of_a_machine(place) -> None:
    runs = plan_sweep("mine.yaml", ["train.seed=1,2"]).runs
    cpus = cluster({"CPU": 8}, {"CPU": 4}, {"memory": 3})
    assert _resources(cpus, runs) == {"num_cpus": 4, "max_calls": 1}
    gpus = cluster({"CPU": 8, "GPU": 4}, {"CPU": 4})
    assert _resources(gpus, runs)["num_gpus"] == 1
    large = plan_sweep("mine.yaml", ["mesh.shard=2", "mesh.data=1,2"]).runs
    assert _resources(gpus, large)["num_gpus"] == 4


def test_a_job_works_in_the_folder_of_its_caller(place, monkeypatch, tmp_path) -> None:
    seen = []

    def stages(run, stages, progress):
        seen.append((Path.cwd(), os.environ["SVT_RUNS"], run.folder.name))
        return [{"test.bits_per_dim": 1.0}]

    monkeypatch.setattr(sweeping, "run_stages", stages)
    monkeypatch.setenv("SVT_RUNS", "elsewhere")
    (run, _) = plan_sweep("mine.yaml", ["train.seed=1,2"]).runs
    job = pickle.dumps((place, {"SVT_RUNS": "shared"}, run, ("prepare",)))
    monkeypatch.chdir(tmp_path)
    assert run_there(job) == [{"test.bits_per_dim": 1.0}]
    assert seen == [(place, "shared", "mine-seed_1")]
    gone = pickle.dumps((tmp_path / "gone", {}, run, ("prepare",)))
    with pytest.raises(ClusterFailed, match="gone: missing on "):
        run_there(gone)


def test_a_machine_that_stops_a_run_does_not_stop_the_sweep(place, monkeypatch) -> None:
    def stages(*_: object) -> None:
        raise Stopped("stopped by SIGTERM; step 3 is saved")

    monkeypatch.setattr(sweeping, "run_stages", stages)
    (run, _) = plan_sweep("mine.yaml", ["train.seed=1,2"]).runs
    with pytest.raises(ClusterFailed, match="step 3 is saved"):
        run_there(pickle.dumps((place, {}, run, ("prepare",))))


@pytest.mark.slow
def test_a_sweep_on_ray_has_the_scores_of_one_here(place, ray_folder) -> None:
    words = ("sweep", "mine.yaml", "train.seed=1,2", "eval.clips=1", "-q", "--json")
    there = svt(*words, "--engine", "ray", "--run", "there", cwd=place)
    assert there.code == 0, there.err
    here = svt(*words, "--run", "here", cwd=place)
    assert there.out.replace("there", "here") == here.out
