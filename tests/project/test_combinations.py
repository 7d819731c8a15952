"""Combinations of a sweep: values, names of runs, what shares a run and its clips."""

from pathlib import Path

import pytest

from svtcli.failure import Refused
from svtcli.project.combinations import Sweep, plan_sweep, split_values
from svtcli.recipe.document import BadRecipe
from tests.train import tiny_run


@pytest.fixture(autouse=True)
def _recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SVT_RUNS", raising=False)
    tiny_run.write_recipe(tmp_path, Path("clips/tiny"))


def sweep(*words: str, seeds: int | None = None, prefix: str = "") -> Sweep:
    return plan_sweep("tiny.yaml", words, seeds, prefix)


def names(planned: Sweep) -> list[str]:
    return [run.folder.name for run in planned.runs]


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ("1,2", ["1", "2"]),
        ("[[1,8,8]],[[1,16,16], [1,2,2]]", ["[[1,8,8]]", "[[1,16,16], [1,2,2]]"]),
        ("{a: [1,2]},3", ["{a: [1,2]}", "3"]),
        ("'a,b',c", ["'a,b'", "c"]),
        ("['a]', b],c", ["['a]', b]", "c"]),
        ("it's, not", ["it's", "not"]),
        ("[1,2", ["[1,2"]),
        ("", [""]),
    ],
)
def test_values_are_split_at_the_commas_outside(given: str, values: list) -> None:
    assert split_values(given) == values


def test_every_combination_is_a_run_named_after_its_values() -> None:
    planned = sweep("model.d=8,16", "train.learning_rate=1e-3,0.00003", seeds=2)
    assert planned.name == "tiny-d-learning_rate-seed"
    assert names(planned)[:3] == [
        "tiny-d_8-learning_rate_0.001-seed_0",
        "tiny-d_8-learning_rate_0.001-seed_1",
        "tiny-d_8-learning_rate_3e-5-seed_0",
    ]
    assert len(set(names(planned))) == 8
    (one,) = planned.runs[3].combinations
    assert one.settings == {"model.d": "8", "train.learning_rate": "3e-5"}
    train = one.loaded.recipe.train
    assert (train.learning_rate, train.seed) == (3e-5, 1)
    assert one.loaded.recipe.data.clips == "clips/tiny"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train.ema=0,0.99", "train.steps=6"], ["ema_0-steps_6", "ema_0.99-steps_6"]),
        (["train.optimizer=adam,rmsprop"], ["optimizer_adam", "optimizer_rmsprop"]),
        (
            ["model.blocks=[[2,2,2]],[[1,2,2],[2,1,2]]"],
            ["blocks_2.2.2", "blocks_1.2.2_2.1.2"],
        ),
        (
            ["model.encoder_layers,model.decoder_layers=1,2"],
            ["encoder_layers_1", "encoder_layers_2"],
        ),
        # What training does not depend on is in no name.
        (["train.log_every=3", "data.size=4", "train.seed=4,5"], ["seed_4", "seed_5"]),
        (["train.clip_norm=null,1"], ["clip_norm_none", "clip_norm_1"]),
    ],
)  # fmt: skip
def test_names(words: list[str], expected: list[str]) -> None:
    assert names(sweep(*words)) == [f"tiny-{each}" for each in expected]
    assert names(sweep(*words, prefix="my")) == [f"my-{each}" for each in expected]


def test_settings_of_sampling_and_scoring_share_a_run() -> None:
    planned = sweep("sample.temperature=0.5,0.9", "model.d=8,16", "eval.clips=1,2")
    assert names(planned) == ["tiny-d_8", "tiny-d_16"]
    assert [each.settings for each in planned.runs[1].combinations] == [
        {"sample.temperature": t, "model.d": "16", "eval.clips": clips}
        for t in ("0.5", "0.9")
        for clips in ("1", "2")
    ]


def test_other_data_gets_clips_of_its_own_and_all_else_shares_them() -> None:
    planned = sweep("data.match=a,b|c", "model.d=8,16")
    folders = [run.combinations[0].loaded.recipe.data.clips for run in planned.runs]
    assert folders[0] == folders[1] == "clips/tiny-match_a"
    assert folders[2] == folders[3] != folders[0]
    named = sweep("data.match=a,b", "data.clips=clips/both")
    assert {run.combinations[0].loaded.recipe.data.clips for run in named.runs} == {
        "clips/both"
    }


def test_variants_are_an_axis() -> None:
    Path("varied.yaml").write_text(
        "base: tiny\nsweep:\n  base:\n  wide: {model.d: 16}\n  deep: "
        "{model.encoder_layers: 2, model.decoder_layers: 2}\n"
    )
    planned = plan_sweep("varied.yaml", ["train.seed=1,2"])
    assert names(planned)[::2] == [
        f"varied-{name}-seed_1" for name in ("base", "wide", "deep")
    ]
    assert planned.runs[5].combinations[0].settings == {"variant": "deep"}
    assert planned.runs[5].combinations[0].loaded.recipe.model.decoder_layers == 2
    assert names(plan_sweep("varied.yaml", ["sweep=wide"])) == ["varied-wide"]
    with pytest.raises(Refused, match="sweep=wid: no such variant") as refused:
        plan_sweep("varied.yaml", ["sweep=base,wid"])
    assert refused.value.hint == "did you mean wide?"


@pytest.mark.parametrize(
    ("words", "seeds", "what"),
    [
        (["model.d=8"], None, "a sweep needs a key with several values"),
        (["model.d"], None, "model.d: is not KEY=VALUE,VALUE"),
        (["model.d=8,,16"], None, "a value between two commas is missing"),
        (["model.d=8,16", "model.d=3"], None, "model.d: is given twice"),
        (["train.seed=1,2"], 2, "--seeds 2 and train.seed: choose one"),
        (["train.learning_rate=1e-3,0.001"], None, "are the same recipe"),
        (["sweep=a"], None, "sweep=a: no such variant"),
        (["sweep,model.d=a"], None, "goes with no other key"),
    ],
)
def test_what_is_no_sweep_is_refused(words, seeds, what) -> None:
    with pytest.raises(Refused, match=what):
        sweep(*words, seeds=seeds)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(BadRecipe) as bad:
        sweep("model.d=8,big", "train.stepz=3,4")
    assert len(bad.value.problems) == 3


def test_long_names_end_with_a_fingerprint() -> None:
    many = [[1, 2, 2]] * 40
    planned = sweep(f"model.blocks={many},[[2,2,2]]")
    assert len(names(planned)[0]) < 100
    assert names(planned) == names(sweep(f"model.blocks={many},[[2,2,2]]"))
