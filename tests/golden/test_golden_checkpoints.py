"""R15: what a released svt has saved, every later one scores and trains on alike."""

import json
import tarfile
from pathlib import Path

import pytest

from svtcli import __version__
from svtcli.recipe.load import LoadedRecipe
from svtcli.run.directory import RunFolder, write_run
from svtcli.run.durable import write_record
from tests.golden.make_checkpoint import given_by

PACKED = sorted(Path(__file__).parent.glob("checkpoint-*.tar.xz"))


def test_this_version_has_one() -> None:
    assert f"checkpoint-{__version__}.tar.xz" in {path.name for path in PACKED}


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize("packed", PACKED, ids=lambda path: path.name)
def test_a_golden_checkpoint_gives_what_it_gave_when_it_was_saved(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(packed) as tar:
        tar.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    recorded = json.loads(Path("given.json").read_text())
    run = RunFolder(Path("run"))
    loaded = LoadedRecipe("tiny", run.unchecked_recipe(), (), "tiny.yaml")
    write_run(run, loaded, devices=(), data_fingerprint="")  # it would name a machine
    manifest = Path("clips/manifest.json")  # its fingerprint is made up
    write_record(manifest, json.loads(manifest.read_text()) | {"files": {}})
    given = given_by(run)
    # Another jax, another processor: sums in another order.
    assert given["bits_per_dim"] == pytest.approx(recorded["bits_per_dim"], rel=1e-6)
    assert given["losses"] == pytest.approx(recorded["losses"], rel=1e-5)
