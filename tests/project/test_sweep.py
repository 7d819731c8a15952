"""A sweep: its runs one by one or shared, failures, resuming, what is refused early."""

import os
import signal
from pathlib import Path

import pytest

from svtcli.evaluate.run_scores import scored
from svtcli.evaluate.run_table import row_data, table_rows
from svtcli.failure import BadData, Locked, Refused, Stopped
from svtcli.project import sweep as sweeping
from svtcli.project.chain import Results
from svtcli.project.combinations import plan_sweep
from svtcli.project.sweep import refuse_sweep, run_sweep, states, sweep_stages
from svtcli.project.sweep_folder import write_sweep
from svtcli.recipe.schema import STAGES
from svtcli.run.directory import RunFolder
from svtcli.run.durable import read_record
from svtcli.run.lock import only_writer
from svtcli.run.partial import ArrayTask
from svtcli.run.progress import Silent
from tests.train.test_train import Notes

STAGES_TO_EVAL = sweep_stages("eval")
QUICK = ("eval.clips=1", "eval.baselines=[]")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A chain that trains nothing; the names of the runs that it was called for."""
    called: list[str] = []

    def chain(loaded, run: RunFolder, stages, progress) -> Results:
        called.append(run.name)
        if "d_16" in run.name:
            raise BadData(f"{run.path}: the loss is not finite")
        if "d_24" in run.name:
            os.kill(os.getpid(), signal.SIGINT)
        return Results()

    monkeypatch.setattr(sweeping, "run_chain", chain)
    return called


@pytest.mark.slow
def test_two_keys_and_two_seeds_are_trained_scored_and_found_again(place) -> None:
    stages = STAGES_TO_EVAL
    words = ("train.learning_rate=1e-2,1e-3", "sample.seed=0,1", *QUICK)
    planned = plan_sweep("mine.yaml", words, 2)
    before = states(planned, stages)
    assert [each.status.stage for each in before] == ["train"] * 4
    assert all(each.seconds > 0 for each in before if each.seconds is not None)
    result = run_sweep(planned, stages, Silent())
    assert (result.failed, result.waiting) == ({}, [])
    rows = table_rows(result.scored)
    assert [row.settings["train.learning_rate"] for row in rows] == ["0.01"] * 2 + [
        "0.001"
    ] * 2
    for row in rows:
        assert len(row.runs) == 2
        assert row.scores["test.bits_per_dim"].spread
    assert all(each.done for each in states(planned, stages))
    files = {file: file.stat().st_mtime_ns for file in Path("runs").rglob("*.json")}
    again = run_sweep(planned, stages, Silent())
    assert again.scored == result.scored
    assert files == {file: file.stat().st_mtime_ns for file in files}
    # The small files alone lead to the same table.
    folders = [run.folder for run in planned.runs]
    made = write_sweep(rows, folders, Path("kept"))
    assert [path.name for path in made] == [
        *("table.md", "table.csv", "chart.png", "chart.svg")
    ]
    copies = [RunFolder(path) for path in sorted(Path("kept/runs").iterdir())]
    assert len(copies) == 4
    kept = [row_data(row) for row in table_rows(scored(copies))]
    assert {row["settings"]["train.learning_rate"]: row["scores"] for row in kept} == {
        row.settings["train.learning_rate"]: row_data(row)["scores"] for row in rows
    }
    assert sum(f.stat().st_size for f in Path("kept").rglob("*.json")) < 50_000


def test_a_run_that_fails_ends_no_other(place, fake) -> None:
    planned = plan_sweep("mine.yaml", ["model.d=8,16,32"], 2)
    notes = Notes()
    result = run_sweep(planned, STAGES_TO_EVAL, notes)
    assert len(fake) == 6
    assert list(result.failed) == ["mine-d_16-seed_0", "mine-d_16-seed_1"]
    assert any("d_16-seed_0 failed: " in line for line in notes.lines)
    assert [each.run for each in result.scored] == [
        run.folder.name for run in planned.runs
    ]
    rows = table_rows(result.scored)
    assert [row.settings["model.d"] for row in rows] == ["8", "16", "32"]


def test_a_signal_ends_the_sweep_with_the_runs_before_it_finished(place, fake) -> None:
    planned = plan_sweep("mine.yaml", ["model.d=8,24,32"])
    with pytest.raises(Stopped, match="2 of 3 runs are finished") as stopped:
        run_sweep(planned, STAGES_TO_EVAL, Silent())
    assert stopped.value.code == 130
    assert fake == ["mine-d_8", "mine-d_24"]


def test_tasks_share_the_runs_and_the_last_one_has_the_whole_table(
    place, fake, monkeypatch
) -> None:
    planned = plan_sweep("mine.yaml", ["model.d=8,32,40"])
    first = run_sweep(planned, ("prepare", "train"), Silent(), ArrayTask(0, 2))
    assert fake == ["mine-d_8", "mine-d_40"]
    assert first.waiting == ["mine-d_32"]
    done = sweeping.Status("train", "done", "")
    monkeypatch.setattr(sweeping, "_status", lambda run, stages: done)
    last = run_sweep(planned, ("prepare", "train"), Silent(), ArrayTask(1, 2))
    assert last.waiting == []
    assert [each.run for each in last.scored] == [
        run.folder.name for run in planned.runs
    ]


def test_a_task_waits_for_clips_that_another_one_prepares(
    place, fake, monkeypatch
) -> None:
    from svtcli.prepare import stage

    tries = []

    def prepare(*_: object) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise Locked("clips/mine: in use")

    monkeypatch.setattr(stage, "prepare", prepare)
    monkeypatch.setattr(sweeping, "WAIT", 0.0)
    notes = Notes()
    planned = plan_sweep("mine.yaml", ["model.d=8,32"])
    run_sweep(planned, STAGES_TO_EVAL, notes, ArrayTask(0, 2))
    assert len(tries) == 3
    assert sum("waiting for these clips" in line for line in notes.lines) == 1


def test_a_locked_run_fails_alone_and_the_next_call_trains_it(place) -> None:
    planned, stages = plan_sweep("mine.yaml", [], 2), sweep_stages("train")
    (place / "runs/mine").rename(place / "runs/mine-seed_0")  # trained already
    with only_writer(planned.runs[1].folder.path):
        result = run_sweep(planned, stages, Silent())
    assert [type(error) for error in result.failed.values()] == [Locked]
    assert result.scored[0].scores
    result = run_sweep(planned, stages, Silent())
    assert result.failed == {}
    (row,) = rows = table_rows(result.scored)
    assert row.scores["training.bits_per_dim"].spread
    # The small files alone lead to the same table.
    write_sweep(rows, [run.folder for run in planned.runs], Path("kept"))
    copies = [RunFolder(path) for path in sorted(Path("kept/runs").iterdir())]
    assert table_rows(scored(copies)) == rows
    source = read_record(copies[1].run_file, "")["source"]
    assert source == "mine.yaml"


def test_what_one_run_would_refuse_is_refused_before_all(place, fake) -> None:
    planned = plan_sweep("mine.yaml", ["train.batch=2,4"])
    (place / "runs/mine").rename(place / "runs/mine-batch_2")
    with pytest.raises(Refused, match=r"train\.batch: was 4, now 2") as refused:
        refuse_sweep(planned, STAGES_TO_EVAL)
    assert "--run" in (refused.value.hint or "")
    assert fake == []


def test_a_damaged_run_waits_for_its_turn(place) -> None:
    (place / "runs/mine").rename(place / "runs/mine-seed_0")
    log = place / "runs/mine-seed_0/metrics.jsonl"
    log.write_text(log.read_text().replace("0", "1", 1))
    refuse_sweep(plan_sweep("mine.yaml", [], 2), STAGES_TO_EVAL)


def test_stages() -> None:
    assert sweep_stages("train") == ("prepare", "train")
    assert sweep_stages("eval") == ("prepare", "train", "eval")
    assert sweep_stages("render") == STAGES
