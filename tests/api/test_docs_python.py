"""The examples of docs/python.md run, one after the other, in one session."""

import re
from pathlib import Path

import numpy as np
import pytest

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs/python.md").read_text(encoding="utf-8")


@pytest.fixture
def quickstart(place):
    """The small run, under the name that the page uses."""
    Path("runs/mine").rename("runs/quickstart")
    return place


def small(code):
    """Code for the small model, whose clips are shorter."""
    return code.replace("prime=5", "prime=2").replace("frames=16", "frames=6")


def test_the_examples_of_the_page_run_in_one_session(quickstart, capsys):
    names = {"__name__": "__main__"}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S):
        exec(compile(small(block), "docs/python.md", "exec"), names)
    assert names["samples"].shape == (2, 4, 4, 4, 3)
    assert names["many"].shape == (2, 3, 6, 4, 4, 3)
    assert (names["warm"][:, :2] == names["own"][:, :2]).all()
    assert repr(names["made"]) in PAGE
    assert np.isfinite(names["scores"].per_video).all()
    error, hint = capsys.readouterr().out.splitlines()
    assert f"# {error}" in PAGE
    assert f"# {hint}" in PAGE
