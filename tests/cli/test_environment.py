"""Clips, losses and samples do not depend on the variables of the shell."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from svtcli.video.encode import write_mp4
from tests.cli.terminal import svt, svt_here

RECIPE = """\
about: small
data: {kind: folder, source: videos, size: 8, frames: 4, test: 0.3}
model:
  video: [4, 8, 8]
  s: [4, 2, 2]
  blocks: [[1, 4, 4]]
  d: 8
  de: 4
  na: 2
  da: 4
  encoder_layers: 1
  decoder_layers: 1
train: {steps: 4, batch: 2, save_every: 4, log_every: 1}
"""
RESULTS = ("clips/mine", "runs/mine/samples")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A recipe, and videos for it."""
    place = tmp_path_factory.mktemp("shell")
    (place / "mine.yaml").write_text(RECIPE)
    (place / "videos").mkdir()
    for seed in range(4):
        draw = np.random.default_rng(seed)
        frames = draw.integers(0, 256, (8, 16, 16, 3), np.uint8)
        write_mp4(place / "videos" / f"{seed}.mp4", frames, 10.0)
    return place


def results(source: Path, place: Path, **environment: str) -> dict[str, object]:
    """Losses, and hashes of clips and samples, of commands with these variables."""
    place.mkdir()
    for name in ("mine.yaml", "videos"):
        (place / name).symlink_to(source / name)
    said = svt("run", "mine.yaml", "--to", "sample", cwd=place, **environment)
    assert said.code == 0, said.err
    rows = (place / "runs/mine/metrics.jsonl").read_text().splitlines()
    found: dict[str, object] = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in RESULTS
        for path in sorted((place / folder).rglob("*.npy"))
    }
    assert len(found) == 7
    return found | {"losses": [json.loads(row).get("loss") for row in rows]}


@pytest.mark.slow
def test_no_variable_of_the_shell_changes_a_result(source, tmp_path):
    expected = results(source, tmp_path / "plain")
    for number, line in enumerate(VARIABLES.split("\n")):
        name, _, value = line.partition("=")
        found = results(source, tmp_path / str(number), **{name: value})
        assert found == expected, line


VARIABLES = """\
JAX_ENABLE_X64=1
JAX_DEFAULT_PRNG_IMPL=rbg
JAX_THREEFRY_PARTITIONABLE=0
JAX_RANDOM_SEED_OFFSET=7
JAX_NUMPY_DTYPE_PROMOTION=strict
JAX_NUMPY_RANK_PROMOTION=raise
JAX_DEFAULT_MATMUL_PRECISION=bfloat16
JAX_TRANSFER_GUARD=disallow
JAX_DISABLE_MOST_OPTIMIZATIONS=1
JAX_CPU_ENABLE_ASYNC_DISPATCH=0
JAX_COMPILATION_CACHE_DIR=
FLAX_ARRAY_REF=1
PJRT_NPROC=7
OMP_NUM_THREADS=1
NPY_DISABLE_CPU_FEATURES=AVX2 FMA3
PYTHONHASHSEED=5
PYTHONOPTIMIZE=2
LC_ALL=C
LANG=de_DE.UTF-8
TZ=Asia/Tokyo
MPLBACKEND=none_such
XLA_FLAGS=--xla_dump_hlo_as_text=false"""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("XLA_FLAGS=--xla_cpu_enable_fast_math=true", "could change results"),
        ("XLA_FLAGS=--xla_none_such", "XLA_FLAGS: Unknown flag: --xla_none_such"),
        ("JAX_PLATFORMS=none_such", "JAX_PLATFORMS=none_such: jax finds no such dev"),
        ("JAX_LOG_COMPILES=perhaps", "correct JAX_LOG_COMPILES, or unset it"),
    ],
)
def test_what_cannot_be_ignored_is_refused(source, line, words):
    name, _, value = line.partition("=")
    said = svt("plan", "mine.yaml", cwd=source, **{name: value})
    assert (said.code, said.out) == (2, "")
    assert words in said.err
    assert "Error" not in said.err


def test_an_ignored_variable_is_named_where_it_could_matter(source, capfd, monkeypatch):
    monkeypatch.chdir(source)
    named = "JAX_ENABLE_X64 is ignored: a recipe and its seed decide results\n"
    for words, expected in (("train mine.yaml", True), ("recipes list", False)):
        monkeypatch.setenv("JAX_ENABLE_X64", "1")
        assert (named in svt_here(capfd, *words.split()).err) == expected
