"""`import svtcli as svt`: lazy, complete, and prepared clips as sequences."""

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import svtcli as svt
from svtcli.clips.reader import open_clips
from svtcli.recipe.schema import Eval, Sample
from svtcli.recipe.setting import settings_of

IMPORTED = """
import sys
import svtcli as svt
print(sorted({"numpy", "typing", "svtcli.api"} & {*sys.modules} - {*BEFORE}))
for refused in (
    lambda: svt.load_run("nowhere"),
    lambda: svt.open_clips("nowhere"),
    lambda: svt.prepare("folder", source="nowhere"),
    lambda: svt.load_run("mine").sample(svt.open_clips("clips/mine")["test"][2]),
    lambda: svt.fvd([0], [0]),
):
    try:
        refused()
    except svt.Failure as error:
        print(type(error).__name__, "jax" in sys.modules)
"""


def test_the_import_loads_nothing_and_refusals_load_no_jax(place):
    script = "import sys; BEFORE = set(sys.modules)\n" + IMPORTED
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["[]", *["Refused False"] * 5], done.stderr


def test_every_name_is_there_and_no_other():
    assert {*svt.__all__} <= {*dir(svt)}
    for name in svt.__all__:
        assert getattr(svt, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'load_rum'"):
        getattr(svt, "load_rum")  # noqa: B009


@pytest.mark.parametrize(
    ("method", "section", "left_out"),
    [
        (svt.Run.sample, Sample, {"split", "subset", "match", "count"}),
        (svt.Run.score, Eval, None),
    ],
)
def test_methods_take_the_keys_of_the_recipe(method, section, left_out):
    taken = {*inspect.signature(method).parameters} - {"self", "video"}
    keys = {each.name for each in settings_of(section)}
    assert taken - {"actions"} <= keys
    if left_out is not None:
        assert keys - taken == left_out


def test_a_hint_stands_below_the_error_that_python_prints():
    error = svt.Refused("no run", "train it")
    assert (str(error), error.__notes__) == ("no run", ["hint: train it"])


def test_clips_are_sequences_of_each_split(acting_place):
    clips = svt.open_clips("clips/mine")
    assert {split: len(each) for split, each in clips.items()} == {
        "train": 3,
        "test": 5,
    }
    assert repr(clips) == "<clips in clips/mine: train: 3, test: 5>"
    read = open_clips(clips.folder, "test")
    clip = clips["test"][3]
    assert (clip.id, clip.label, len(clip)) == ("test 3", None, 8)
    assert (clip.frames == read.read(3)).all()
    assert (clip.actions == read.actions(3)).all()
    assert clip.states is None
    assert repr(clip) == "<clip test 3: 8 frames of 4x4x3>"
    assert clips["test"][-1].number == 4
    assert [each.number for each in clips["test"][1::2]] == [1, 3]
    assert [each.number for each in clips["train"]] == [0, 1, 2]
    with pytest.raises(IndexError):
        clips["test"][5]
    with pytest.raises(svt.Refused, match="no split 'tset'; it has train, test"):
        clips["tset"]
    assert ("tset" in clips, clips.get("tset")) == (False, None)


def test_clips_are_found_prepared_and_wrong_settings_are_refused(place):
    """docs/python.md prepares some (test_docs_python.py)."""
    given = {"source": "gone", "size": np.int64(4), "test": 0.3, "out": "clips/mine"}
    clips = svt.prepare("folder", **given)
    assert (clips.folder, len(clips["test"])) == (Path("clips/mine"), 5)
    wrong = {
        "contains clips prepared with other settings": {"test": 0.5},
        r"data.sise: unknown key; did you mean data.size\?": {"sise": 8},
        "data.size: should be a whole number, not 8.5": {"size": 8.5},
        "data.test: val and test together": {"val": 0.5, "test": 0.5},
    }
    for sentence, settings in wrong.items():
        with pytest.raises(svt.Refused, match=sentence):
            svt.prepare("folder", **given | settings)
    with pytest.raises(svt.Refused, match=r"did you mean folder\?"):
        svt.prepare("foldr")
