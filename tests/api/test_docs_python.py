"""The examples of docs/python.md and of the notebook run, on a small model."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

TOP = Path(__file__).parents[2]
TOUR = TOP / "examples/tour.ipynb"
AS_THE_TESTS = """\
import jax
from svtcli.run import environment
jax.config.update("jax_disable_most_optimizations", True)
del environment.PINNED["jax_disable_most_optimizations"]
"""
"""First cell, with which the kernel finds the programs that tests have compiled."""
PAGE = (TOP / "docs/python.md").read_text(encoding="utf-8")


@pytest.fixture
def quickstart(place):
    """The small run, under the name that the page uses."""
    Path("runs/mine").rename("runs/quickstart")
    return place


def small(code):
    """Code for the small model, whose clips are shorter."""
    code = code.replace("PRIME, FRAMES = 5, 16", "PRIME, FRAMES = 2, 6")
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


@pytest.mark.filterwarnings("ignore")  # of Jupyter's event loop
def test_the_notebook_runs(quickstart):
    notebook = nbformat.read(TOUR, 4)
    cells = [each for each in notebook.cells if each.cell_type == "code"]
    for cell in cells:
        cell.source = small(cell.source)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(AS_THE_TESTS))
    place = {"metadata": {"path": str(quickstart)}}
    NotebookClient(notebook, timeout=120, resources=place).execute()
    shown = [output for cell in cells for output in cell.outputs]
    pictures = [each for each in shown if "image/jpeg" in each.get("data", {})]
    assert len(pictures) == 4
    assert "make it bytes" in shown[-1].text


def test_the_notebook_shows_what_it_printed_and_is_small():
    text = TOUR.read_text(encoding="utf-8")
    assert len(text) < 300_000
    assert not re.search(r"/(home|root|tmp|work)/", text)
    cells = [c for c in nbformat.read(TOUR, 4).cells if c.cell_type == "code"]
    assert [each.execution_count for each in cells] == [*range(1, len(cells) + 1)]
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert kinds == {"stream", "execute_result"}
