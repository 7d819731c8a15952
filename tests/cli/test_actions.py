"""`--actions` of `svt sample` and `svt render`, as a person types them."""

import json

import numpy as np
import pytest

from svtcli.run.samples import read_facts
from tests.cli.terminal import svt_here


def test_samples_under_several_sets_of_actions_are_drawn_with_them(acting_place, capfd):
    flags = ("sample", "mine", "--actions", "own,zero,up.npy", "--count", "1")
    flags = (*flags, "--out", "acted")
    np.save("up.npy", np.tile([0, 1.0], (4, 1)))
    planned = svt_here(capfd, *flags, "-n")
    assert planned.code == 0
    assert "1 of each under each of 3 sets of actions, 1 prime frame" in planned.out
    assert "\nactions      own, zero, up\n" in planned.out
    assert svt_here(capfd, *flags).out == "acted\n"
    assert read_facts(acting_place / "acted").action_sets == ("own", "zero", "up")
    drawn = ("render", "acted", "--actions", "--format", "png", "--format", "html")
    said = svt_here(capfd, *drawn, "--out", "drawn")
    assert said.out == "drawn/strip.png\ndrawn/report.html\n"
    assert "up of test 0" in (acting_place / "drawn/report.html").read_text()

    evaluated = svt_here(capfd, "eval", "acted", "--metric", "psnr")
    assert evaluated.code == 2
    assert "acted: these samples follow other actions (own, zero, up)" in evaluated.err


@pytest.mark.parametrize(
    "actions", ["nowhere.npy", "wrong.npy", "nan.npy", "own,own", "", "own,", "true"]
)
def test_a_refusal_is_one_line_and_nothing_is_written(acting_place, capfd, actions):
    np.save("wrong.npy", np.zeros((4, 3)))
    np.save("nan.npy", np.full((4, 2), np.nan))
    before = sorted(acting_place.rglob("*"))
    said = svt_here(capfd, "--json", "sample", "mine", "--actions", actions)
    assert said.code == 2
    message = json.loads(said.out)["message"]
    assert message.startswith("sample.actions:")
    assert "\n" not in message
    assert sorted(acting_place.rglob("*")) == before


def test_a_recipe_states_actions_too(acting_place, capfd):
    recipe = acting_place / "mine.yaml"
    text = recipe.read_text().replace("count: 3,", "count: 3, actions: [zero, swap],")
    recipe.write_text(text)
    assert svt_here(capfd, "recipes", "check", "mine.yaml").code == 0
    recipe.write_text(text.replace("actions: 2", "actions: 0"))
    said = svt_here(capfd, "recipes", "check", "mine.yaml")
    assert said.code == 3
    assert "sample.actions: this model takes no actions" in said.err
