"""Refusals and small commands answer before JAX is imported, which takes seconds."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from svtcli.cli.app import main
for line in sys.stdin.read().splitlines():
    print("code", main(line.split()), "jax" in sys.modules, line, flush=True)
"""
REFUSED = """
train nowhere
train mine.yaml data.clips=clips/none
train mine.yaml model.video=[4,8,8] data.size=8
train mine.yaml --steps 9
train mine.yaml train.batch=2
train mine.yaml --process 3
train mine.yaml --nonsense
sample nowhere
sample mine@7
sample mine --data clips/none
sample mine --data clips/mine:none
sample mine --temp -1
sample mine --actions zero
eval nowhere
eval mine@7
eval mine --data clips/none
eval mine --metric nonsense
render nowhere
render mine
render --format nonsense
run nowhere
run mine.yaml data.clips=clips/none
run mine.yaml train.batch=2
run mine.yaml --from render --to train
sweep nowhere
sweep mine.yaml model.d=8
sweep mine.yaml model.d=8,x
runs list --sort nonsense
plan nowhere
plan mine.yaml train.stepz=3
plan mine.yaml --device abacus
prepare folder --source nowhere --size 4
runs show nowhere
runs export mine@7 weights.safetensors
"""
ANSWERED = """
--help
train --help
recipes list
recipes show mine.yaml
recipes check mine.yaml
runs list
runs show mine
runs diff mine mine
runs list --sort bits_per_dim --where model.d=8
runs table mine
"""


@pytest.mark.parametrize(("lines", "code"), [(REFUSED, 2), (ANSWERED, 0)])
def test_an_answer_that_needs_no_network_imports_no_jax(place, lines, code):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=lines.strip(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    answers = [line for line in done.stdout.splitlines() if line.startswith("code ")]
    expected = [f"code {code} False {line}" for line in lines.strip().splitlines()]
    assert answers == expected, done.stderr
