"""The chain: every stage once, and again only what has changed."""

from importlib import metadata
from pathlib import Path

import pytest

from svtcli.failure import BadData, Refused
from svtcli.project.chain import Results, chosen_stages, run_chain
from svtcli.project.survey import survey
from svtcli.recipe.load import load_recipe
from svtcli.recipe.schema import STAGES, Sample
from svtcli.run.directory import RunFolder
from svtcli.run.distribution import install_command
from svtcli.run.durable import read_record, write_record
from svtcli.run.metrics_log import MetricsLog
from svtcli.run.progress import Silent
from svtcli.sample import stage as sampling
from svtcli.sample.plan import plan_samples
from svtcli.train.commit_record import open_checkpoint
from tests.train.test_train import Notes
from tests.trained_place import RUN


def states(*overrides: str, run: Path = RUN) -> dict[str, str]:
    """Stage → state."""
    found = survey(load_recipe("mine.yaml", overrides), RunFolder(run))
    return {status.stage: status.state for status in found}


def reason(stage: str, *overrides: str, run: Path = RUN) -> str:
    found = survey(load_recipe("mine.yaml", overrides), RunFolder(run))
    return next(status.why for status in found if status.stage == stage)


def chain(*overrides: str, run: Path = RUN, stages: tuple = STAGES) -> Results:
    loaded = load_recipe("mine.yaml", overrides)
    return run_chain(loaded, RunFolder(run), stages, Silent())


def times(place: Path) -> dict[Path, int]:
    """When every file was last written."""
    return {
        path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()
    }


def test_a_chain_makes_what_is_missing_and_then_nothing(place):
    assert states() == {
        "prepare": "done",
        "train": "done",
        "sample": "to do",
        "eval": "to do",
        "render": "waiting",
    }
    assert reason("sample").endswith(": does not exist yet")
    results = chain()
    assert set(states().values()) == {"done"}
    assert (results.samples / "samples.json").is_file()
    assert [path.name for path in results.pictures] == ["strip.png"]
    (evaluation,) = results.evaluations
    assert [row.model for row in evaluation.rows] == ["trained", "uniform"]
    before = times(place)
    again = chain()
    assert times(place) == before
    assert (again.samples, again.pictures) == (results.samples, results.pictures)
    assert again.evaluations == results.evaluations


def test_another_sample_setting_redoes_samples_and_pictures_and_keeps_the_old(place):
    old = chain()
    before = times(place)
    warmer = "sample.temperature=1.0"
    assert states(warmer) == {
        "prepare": "done",
        "train": "done",
        "sample": "to do",
        "eval": "done",
        "render": "waiting",
    }
    assert reason("sample", warmer).endswith("temperature: was 0.9, now 1.0")
    new = chain(warmer)
    after = times(place)
    assert {path: after.get(path) for path in before} == before
    added = {path.parent for path in after.keys() - before.keys()}
    assert added == {place / new.samples, (place / new.pictures[0]).parent}
    assert new.samples != old.samples
    assert set(states(warmer).values()) == set(states().values()) == {"done"}


def test_every_stage_says_what_differs_from_what_is_there(place):
    chain()
    assert reason("eval", "eval.clips=1", "eval.baselines=[]").endswith(
        "clips: was 4, now 1; models: was trained, uniform, now trained"
    )
    assert reason("sample", "sample.count=1", "sample.top_k=3").endswith(
        "clips: was 3, now 1; count: was 3, now 1; top_k: was none, now 3"
    )
    # What no result says of itself.
    facts = next((place / RUN / "eval").glob("*.json"))
    stored = read_record(facts, "")
    write_record(facts, stored | {"fingerprint": f"0{stored['fingerprint']}"})
    assert reason("eval").endswith("the weights, the clips or svt itself have changed")
    # A file that is no result is in nobody's way.
    (place / RUN / "eval" / "notes.json").write_text("[1")
    assert reason("eval").endswith("the weights, the clips or svt itself have changed")


def test_a_comparison_says_what_differs_too(place):
    """Of a result of samples: those of likelihoods are not looked at."""
    chain(stages=("eval",))
    quick = ("eval.metrics=[psnr]", "eval.videos=2", "sample.count=2")
    assert reason("eval", *quick, "eval.trials=1").endswith(": does not exist yet")
    chain(*quick, "eval.trials=1")
    assert states(*quick, "eval.trials=1")["eval"] == "done"
    assert reason("eval", *quick, "eval.trials=2").endswith("trials: was 1, now 2")


def test_a_stage_that_would_be_refused_says_so_and_hides_no_other(place):
    folder = Path(reason("sample").partition(": ")[0])
    folder.mkdir(parents=True)
    found = states()
    assert found["sample"] == found["eval"] == found["render"] == "to do"
    assert (
        reason("sample")
        == f"{folder}: already exists, with something other than these samples"
    )
    assert reason("eval").endswith(": does not exist yet")


@pytest.mark.parametrize(
    ("stage", "which"), [("sample", "samples.npy"), ("eval", "*.json")]
)
def test_a_damaged_result_is_shown_as_such_and_refused(place, stage, which):
    chain()
    folder = "samples" if stage == "sample" else "eval"
    (path,) = (RUN / folder).rglob(which)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert states()[stage] == "damaged"
    with pytest.raises(BadData) as refused:
        chain()
    assert reason(stage) == refused.value.sentence


def test_a_damaged_recipe_of_a_finished_run_is_mended_with_a_note(place):
    chain(stages=("train",))
    file = RunFolder(RUN).recipe_file
    before = file.read_bytes()
    file.write_bytes(before + b"# changed\n")
    notes = Notes()
    loaded = load_recipe("mine.yaml")
    run_chain(loaded, RunFolder(RUN), ("train",), notes)
    assert file.read_bytes() == before
    assert [line.partition(": ")[2] for line in notes.lines] == [
        "changed since this run was trained; recipe.yaml and run.json are written anew",
        "already trained to step 3",
    ]


def test_another_render_setting_redraws_only(place):
    chain()
    before = times(place)
    assert states("render.scale=3")["render"] == "to do"
    assert reason("render", "render.scale=3").endswith(
        "drawn with other settings, or changed since"
    )
    results = chain("render.scale=3")
    after = times(place)
    touched = {path for path in after if after[path] != before.get(path)}
    drawn = place / results.pictures[0]
    assert touched == {drawn, drawn.parent / "figures.json"}


def test_curves_are_drawn_with_the_pictures_and_again_when_training_went_on(place):
    curves = "render.formats=[png,curves]"
    chain()
    assert states(curves)["render"] == "to do"
    results = chain(curves)
    assert [path.name for path in results.pictures] == ["strip.png", "training.png"]
    before = times(place)
    assert chain(curves).pictures == results.pictures
    assert times(place) == before
    assert set(states(curves).values()) == {"done"}
    with MetricsLog(place / RUN / "metrics.jsonl") as log:
        log.append(4, bits_per_dim=1.0)
    assert states(curves)["render"] == "to do"


def test_a_run_that_logged_nothing_is_drawn_without_curves(place):
    for log in (place / RUN).glob("metrics.*"):
        log.unlink()
    results = chain("render.formats=[png,curves]")
    assert [path.name for path in results.pictures] == ["strip.png"]
    assert states("render.formats=[png,curves]")["render"] == "done"


def test_the_batch_of_sampling_and_scoring_makes_nothing_stale(place):
    chain()
    assert set(states("sample.batch=1", "eval.batch=1").values()) == {"done"}


def test_another_split_is_scored_beside_the_first(place):
    alone, also = chain().evaluations, "eval.also=[train]"
    assert states(also)["eval"] == "to do"
    assert reason("eval", also).endswith("not exist yet; 1 of 2 results exist")
    both = chain(also).evaluations
    assert [each.split for each in both] == ["test", "train"]
    assert both[:1] == alone
    assert states(also)["eval"] == states()["eval"] == "done"


def test_more_training_makes_all_that_follows_stale(place):
    chain()
    assert states("train.steps=4")["train"] == "to do"
    assert reason("train", "train.steps=4").endswith("at step 3 of 4")
    assert states("train.steps=4")["sample"] == "waiting"
    chain("train.steps=4", stages=("train",))
    after = states("train.steps=4")
    assert (after["sample"], after["eval"]) == ("to do", "to do")


def test_other_clips_are_reported_and_refused(place):
    assert states("data.size=8", "model.video=[4,8,8]")["prepare"] == "to do"
    assert "size: 4 there, 8 requested" in reason(
        "prepare", "data.size=8", "model.video=[4,8,8]"
    )
    with pytest.raises(Refused, match="clips prepared with other settings"):
        chain("data.size=8", "model.video=[4,8,8]")


def test_clips_of_another_recipe_are_no_reason(place):
    assert reason("prepare", "data.clips=clips/new") == "clips/new: does not exist yet"


def test_a_changed_recipe_is_reported_and_refused(place):
    assert "train.batch: was 4, now 2" in reason("train", "train.batch=2")
    with pytest.raises(Refused, match="trained with another recipe"):
        chain("train.batch=2")


def test_a_run_of_another_name_takes_the_clips_of_the_recipe(place):
    other = Path("runs/other")
    assert states(run=other)["train"] == "to do"
    chain(run=other, stages=("train", "sample", "eval"))
    assert (place / "runs" / "other" / "eval").is_dir()
    assert not (place / "clips" / "other").exists()
    plan = plan_samples(open_checkpoint(RunFolder(other)), Sample())
    assert plan.clips.name == "mine"  # by its name alone, too


def test_only_the_stages_that_are_asked_for_are_run(place):
    results = chain(stages=chosen_stages("eval", "eval"))
    assert results.evaluations is not None
    assert (results.prepared, results.trained, results.samples) == (None, None, None)
    assert not (place / RUN / "samples").exists()


def test_what_a_stage_needs_is_named_when_it_is_missing(place):
    with pytest.raises(Refused, match="no samples to draw yet"):
        chain(stages=("render",))
    with pytest.raises(Refused, match="runs/new: not trained yet"):
        chain(run=Path("runs/new"), stages=("sample",))


def test_an_interrupted_sample_is_made_whole_by_the_next_call(place, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sampling, "write_samples", interrupted)
        with pytest.raises(KeyboardInterrupt):
            chain()
    kept = [path.name for path in (place / RUN / "samples").iterdir()]
    assert [name.endswith(".work") for name in kept] == [True]
    assert states()["sample"] == "to do"
    chain()
    assert set(states().values()) == {"done"}
    assert not list((place / RUN / "samples").glob(".*"))


def test_stages_are_chosen_in_order():
    assert chosen_stages(None, None) == STAGES
    assert chosen_stages("sample", None) == ("sample", "eval", "render")
    assert chosen_stages("train", "sample") == ("train", "sample")
    with pytest.raises(Refused, match="train comes before render"):
        chosen_stages("render", "train")


def test_weights_that_are_missing_are_told_before_training(place, monkeypatch):
    monkeypatch.setattr(metadata, "distribution", not_installed)
    keys = ("eval.metrics=[fvd]", "eval.window=9", "eval.sampled_frames=9")
    with pytest.raises(Refused, match="not installed"):
        chain(*keys, run=Path("runs/new"))
    assert not Path("runs/new").exists()
    assert install_command("fvd") in reason("eval", *keys, run=Path("runs/new"))
    chain("eval.metrics=[fvd]", "eval.sampled_frames=16", stages=("sample",))


def not_installed(package: str) -> None:
    raise metadata.PackageNotFoundError(package)


def test_evaluations_without_metrics_are_done(place):
    assert states("eval.metrics=[]")["eval"] == "done"
    results = chain("eval.metrics=[]", stages=("eval",))
    assert (results.evaluations, results.comparisons) == ((), ())
