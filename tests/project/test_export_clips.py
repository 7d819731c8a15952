"""Exports with clips and half-precision weights, and the runs made of them."""

import re
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from svtcli.clips import archive
from svtcli.clips.reader import open_clips
from svtcli.failure import BadData, CheckFailed, Refused
from svtcli.project import export
from svtcli.project.export import CLIPS, Contents, export_weights
from svtcli.project.imports import import_weights
from svtcli.run import directory
from svtcli.run.directory import RunFolder, find_checkpoint, read_run
from svtcli.run.metrics_log import read_metrics
from svtcli.run.progress import Silent
from svtcli.train.arrays import named
from svtcli.train.checkpoint import load_network
from svtcli.train.commit_record import open_checkpoint
from tests.cli.terminal import svt_here
from tests.trained_place import noise, write_clips

FILE = Path("small.safetensors")
OTHER = RunFolder(Path("runs/other"))


def exported(contents: Contents) -> Path:
    export_weights(
        open_checkpoint(*find_checkpoint("mine")), FILE, contents, force=True
    )
    return FILE


def params(run: str) -> dict[str, np.ndarray]:
    found = load_network(open_checkpoint(*find_checkpoint(run))).params
    return {name: np.asarray(leaf) for name, leaf in named(found).items()}


def test_a_run_made_of_half_precision_and_clips_needs_nothing_else(
    place: Path, capfd, monkeypatch
) -> None:
    line = f"runs export mine {FILE} --half --clips 2 sample.count=1 eval.baselines=[]"
    assert svt_here(capfd, *line.split()).code == 0
    before, there = params("mine"), open_clips(Path("clips/mine"), "test")
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    FILE.rename(elsewhere / FILE)
    monkeypatch.chdir(elsewhere)
    said = svt_here(capfd, "runs", "import", str(FILE), "other")
    assert (said.code, said.out) == (0, "runs/other\n")
    shown = re.search(r"step 3 of mine, (\S+) bits/dim; ", said.err)
    assert shown
    after = params("other")
    for name, weights in before.items():
        assert after[name].dtype == np.float32
        assert np.array_equal(after[name], weights.astype(np.float16))
    clips = open_clips(Path("clips/other"), "test")
    assert list(clips.ids) == ["test 0", "test 3"]  # of those long enough
    for number, of in enumerate((0, 3)):
        assert np.array_equal(clips.read(number), there.read(of))
    recipe = OTHER.recipe()
    assert (recipe.data.source, recipe.data.clips) == (None, "clips/other")
    assert (recipe.sample.count, recipe.eval.baselines) == (1, ())
    for line in ("sample other", "render other", "prepare verify clips/other"):
        assert svt_here(capfd, *line.split()).code == 0
    scored = svt_here(capfd, "eval", "other")
    assert scored.code == 0
    row = read_metrics(OTHER.metrics)[-1]
    assert f"{row['validation_bits_per_dim']:.4g}" == shown[1]
    assert f"{row['validation_bits_per_dim']:.3f}" in scored.out


def test_half_precision_that_changes_the_score_is_not_exported(
    place: Path, monkeypatch
) -> None:
    monkeypatch.setattr(export, "TOLERANCE", 0.0)
    with pytest.raises(CheckFailed, match=r"half precision and .* in float32") as no:
        exported(Contents(half=True))
    assert "without --half" in (no.value.hint or "")
    assert not FILE.exists()


def test_only_what_weights_do_not_depend_on_may_change(place: Path) -> None:
    for override in ("model.d=16", "train.steps=9", "data.size=8 model.video=[4,8,8]"):
        with pytest.raises(Refused, match="the weights were trained with it"):
            exported(Contents(overrides=tuple(override.split())))
    with pytest.raises(Refused, match="should be train or test"):
        exported(Contents(clips=1, overrides=("sample.split=val",)))
    assert not FILE.exists()


def test_clips_in_the_way_are_not_overwritten(place: Path) -> None:
    exported(Contents(clips=1))
    write_clips(Path("clips/other"), {"test": noise((6,), 9)})
    with pytest.raises(Refused, match=r"clips/other: already exists"):
        import_weights(FILE, OTHER, Silent())
    assert not OTHER.path.exists()
    assert [path.name for path in Path("clips").iterdir() if path.name[0] == "."] == []


def _changed_archive(harm) -> None:
    """The file again, with its archive changed and all checksums but those of clips."""
    arrays = load_file(FILE)
    with safe_open(FILE, framework="numpy") as opened:
        metadata = opened.metadata()
    with ZipFile(BytesIO(arrays[CLIPS].tobytes())) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    harmed = BytesIO()
    with ZipFile(harmed, "w") as packed:
        for name, content in harm(members).items():
            packed.writestr(name, content)
    arrays[CLIPS] = np.frombuffer(harmed.getvalue(), np.uint8)
    del metadata["crc32c"]
    metadata["crc32c"] = export.checksum_of(metadata, arrays)
    save_file(arrays, FILE, metadata)


def _other_pixel(members):
    name = next(name for name in members if name.endswith("frames.npy"))
    content = bytearray(members[name])
    content[-1] ^= 1
    return {**members, name: bytes(content)}


@pytest.mark.parametrize(
    "harm",
    [
        lambda members: {**members, "../../evil.frames.npy": b"x"},
        lambda members: {**members, "/tmp/evil.frames.npy": b"x"},
        lambda members: {**members, "more-0.frames.npy": b"x"},
        lambda members: {**members, "evil.py": b"x"},
        lambda members: {"manifest.json": members["manifest.json"]},
        lambda members: {k: v for k, v in members.items() if k != "manifest.json"},
        lambda members: {**members, "manifest.json": b"{"},
        lambda members: dict.fromkeys(members, b""),
        _other_pixel,
    ],
)
def test_a_hostile_archive_of_clips_is_one_line_and_leaves_nothing(place, harm) -> None:
    exported(Contents(clips=1))
    before = sorted(path for path in place.rglob("*"))
    _changed_archive(harm)
    with pytest.raises(BadData, match="its clips are not whole clips of svt") as bad:
        import_weights(FILE, OTHER, Silent())
    assert "\n" not in bad.value.sentence
    assert sorted(path for path in place.rglob("*")) == before
    assert not list(place.parent.rglob("evil*"))


def test_an_archive_that_claims_too_much_is_not_unpacked(place, monkeypatch) -> None:
    exported(Contents(clips=1))
    monkeypatch.setattr(archive, "LARGEST", 100)
    with pytest.raises(BadData, match="not whole clips"):
        import_weights(FILE, OTHER, Silent())


@pytest.fixture
def shipped(place: Path, monkeypatch) -> Path:
    """A shipped model called `demo`, in a working directory without anything else."""
    exported(Contents(half=True, clips=2, overrides=("sample.count=1",)))
    ships, new = place / "ships", place / "new"
    ships.mkdir()
    new.mkdir()
    FILE.rename(ships / "demo.safetensors")
    monkeypatch.setattr(directory, "SHIPPED", ships)
    monkeypatch.chdir(new)
    return new


def test_a_shipped_model_samples_and_draws_by_its_name(shipped: Path, capfd) -> None:
    planned = svt_here(capfd, "sample", "demo", "-n")
    assert planned.code == 2
    assert "ships with svt, and no run yet" in planned.err
    hint = svt_here(capfd, "render", "demo")
    assert hint.code == 2
    assert "svt sample demo" in hint.err
    assert list(shipped.iterdir()) == []

    said = svt_here(capfd, "sample", "demo")
    assert said.code == 0, said.err
    samples, *pictures = map(Path, said.out.splitlines())
    assert samples.parent == Path("runs/demo/samples")
    assert [path.name for path in pictures] == ["strip.png"]  # as its recipe says
    assert all(path.is_file() for path in pictures)
    assert "now in runs/demo" in said.err
    again = svt_here(capfd, "sample", "demo")
    assert (again.code, again.out) == (0, said.out)
    bare = svt_here(capfd, "sample", "demo", "--no-render", "--seed", "1")
    assert len(bare.out.splitlines()) == 1
    for line in (
        "eval demo",
        "render demo --force",
        "runs show demo",
        "sample demo -n",
    ):
        assert svt_here(capfd, *line.split()).code == 0
    assert svt_here(capfd, "runs", "export", "demo", "again.safetensors").code == 0


def test_a_shipped_model_brings_its_clips_to_another_folder(
    shipped: Path, capfd, monkeypatch
) -> None:
    assert svt_here(capfd, "-q", "sample", "demo", "--no-render").code == 0
    monkeypatch.setenv("SVT_RUNS", str(shipped / "runs"))
    other = shipped / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    assert svt_here(capfd, "eval", "demo").code == 0
    assert Path("clips/demo/manifest.json").is_file()


def test_a_run_of_ones_own_is_not_touched_by_a_shipped_model(
    shipped: Path, capfd, monkeypatch
) -> None:
    (shipped.parent / "runs/mine").rename(shipped.parent / "runs/demo")
    facts = read_run(RunFolder(shipped.parent / "runs/demo"))
    monkeypatch.chdir(shipped.parent)
    own = svt_here(capfd, "sample", "demo", "--no-render", "--count", "1")
    assert own.code == 0
    assert read_run(RunFolder(Path("runs/demo"))) == facts
    assert not Path("clips/demo").exists()
