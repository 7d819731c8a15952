"""Weights out of a run and into a new one."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from svtcli.failure import BadData, Refused
from svtcli.project import imports
from svtcli.project.export import export_weights
from svtcli.project.imports import import_weights
from svtcli.run.directory import RunFolder, find_checkpoint
from svtcli.run.progress import Silent
from svtcli.train.arrays import named
from svtcli.train.checkpoint import load_network
from svtcli.train.commit_record import open_checkpoint
from tests.cli.terminal import svt_here

FILE = Path("weights.safetensors")
OTHER = RunFolder(Path("runs/other"))


@pytest.fixture
def exported(place: Path) -> Path:
    export_weights(open_checkpoint(*find_checkpoint("mine@2")), FILE)
    return FILE


def changed(**metadata: str | None) -> None:
    """The file again, with other metadata."""
    with safe_open(FILE, framework="numpy") as opened:
        said = dict(opened.metadata())
    said = {k: v for k, v in {**said, **metadata}.items() if v is not None}
    save_file(load_file(FILE), FILE, said)


def arrays(run: str) -> dict[str, np.ndarray]:
    params = load_network(open_checkpoint(*find_checkpoint(run))).params
    return {name: np.asarray(leaf) for name, leaf in named(params).items()}


def test_a_round_trip_keeps_every_bit_the_step_and_the_recipe(exported: Path) -> None:
    assert import_weights(exported, OTHER, Silent()).step == 2
    before, after = arrays("mine@2"), arrays("other")
    assert before.keys() == after.keys() == load_file(FILE).keys()
    assert all(before[n].tobytes() == after[n].tobytes() for n in before)
    assert OTHER.steps() == (2,)
    assert OTHER.recipe() == RunFolder(Path("runs/mine")).recipe()
    assert not list(Path("runs").glob(".*"))


def test_an_imported_run_is_sampled_scored_and_trained_on(
    place, exported, capfd
) -> None:
    said = svt_here(capfd, "runs", "import", str(FILE), "other")
    assert (said.code, said.out) == (0, "runs/other\n")
    assert "new optimizer state" in said.err
    for command in ("sample", "eval"):
        assert svt_here(capfd, command, "other").code == 0
    assert svt_here(capfd, "runs", "show", "other").code == 0
    assert svt_here(capfd, "train", "mine.yaml", "--run", "other").code == 0
    assert 3 in OTHER.steps()


def test_the_command_exports_once(place: Path, capfd) -> None:
    assert svt_here(capfd, "runs", "export", "mine", str(FILE)).out == f"{FILE}\n"
    again = svt_here(capfd, "runs", "export", "mine", str(FILE))
    assert again.code == 2
    assert "already exists" in again.err
    assert svt_here(capfd, "runs", "export", "mine@2", str(FILE), "--force").code == 0
    assert sorted(path.name for path in place.glob("*.safetensors*")) == [FILE.name]


def test_a_run_that_is_there_is_never_overwritten(exported: Path) -> None:
    with pytest.raises(Refused, match="already exists"):
        import_weights(exported, RunFolder(Path("runs/mine")), Silent())


def _flipped(where: int) -> Callable[[], object]:
    def flip() -> None:
        content = bytearray(FILE.read_bytes())
        content[where] ^= 0xFF
        FILE.write_bytes(bytes(content))

    return flip


def _without_an_array() -> None:
    everything = load_file(FILE)
    with safe_open(FILE, framework="numpy") as opened:
        said = opened.metadata()
    everything.pop(min(everything))
    save_file(everything, FILE, said)


def _of_another_type() -> None:
    with safe_open(FILE, framework="numpy") as opened:
        said = opened.metadata()
    doubles = {name: each.astype(np.float64) for name, each in load_file(FILE).items()}
    save_file(doubles, FILE, said)


def _huge_header() -> None:
    FILE.write_bytes(struct.pack("<Q", 2**62) + b"{}")


def _array_beyond_the_end() -> None:
    entry = {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}
    header = json.dumps({"w": entry}).encode()
    FILE.write_bytes(struct.pack("<Q", len(header)) + header)


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda: FILE.write_bytes(b""), "not a whole safetensors file"),
        (lambda: FILE.write_bytes(b"PK\x03\x04" * 99), "not a whole safetensors file"),
        (lambda: FILE.write_bytes(FILE.read_bytes()[:-9]), "not a whole"),
        (_huge_header, "not a whole"),
        (_array_beyond_the_end, "not a whole"),
        (_flipped(3), "not a whole"),
        (_without_an_array, "nothing in the file, F32"),
        (_of_another_type, r"F64\[.* in the file, F32\["),
        (lambda: changed(format=None), "not exported by this version"),
        (lambda: changed(step="-1"), "no number of steps"),
        (lambda: changed(step="9" * 5000), "no number of steps"),
        (lambda: changed(step=f"{2**31}"), "no number of steps"),
        (lambda: changed(recipe=None), "its recipe is wrong"),
        (lambda: changed(recipe="model: {"), "its recipe is wrong"),
        (lambda: changed(recipe="x" * (2 << 20)), "too long"),
        (
            lambda: changed(recipe=Path("mine.yaml").read_text() + "base: mine.yaml\n"),
            "its recipe is wrong.*base",
        ),
        (
            lambda: changed(
                recipe=Path("mine.yaml").read_text().replace("d: 8", "d: 16")
            ),
            "weights of another model",
        ),
    ],
)
def test_a_wrong_or_hostile_file_is_one_line_and_leaves_nothing(
    exported: Path, harm: Callable[[], object], why: str
) -> None:
    harm()
    with pytest.raises(BadData, match=why) as bad:
        import_weights(exported, OTHER, Silent())
    assert "\n" not in bad.value.sentence
    assert [path.name for path in Path("runs").iterdir()] == ["mine"]


def test_what_a_file_says_of_itself_cannot_steer_the_terminal(exported: Path) -> None:
    changed(name="\x1b[2Jboo", clips="\x1b]0;x", crc32c=None)
    weights = import_weights(exported, OTHER, Silent())
    assert weights.recipe.name == "[2Jboo"
    assert "\x1b" not in weights.clips


def test_a_file_that_has_changed_is_refused(exported: Path) -> None:
    whole = exported.read_bytes()
    exported.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BadData, match="changed since it was exported"):
        import_weights(exported, OTHER, Silent())
    exported.write_bytes(whole)
    changed(clips="others")
    with pytest.raises(BadData, match="changed since it was exported"):
        import_weights(exported, OTHER, Silent())


def test_a_failed_import_leaves_no_run(exported: Path, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk")

    monkeypatch.setattr(imports.Checkpoints, "save", fail)
    with pytest.raises(OSError, match="disk"):
        import_weights(exported, OTHER, Silent())
    assert [path.name for path in Path("runs").iterdir()] == ["mine"]
