"""Python API: `import svtcli as svt` (docs/python.md).

It joins what the rooms have, as the commands do, and gives the same numbers. Arrays of
pixels are uint8, [N, F, H, W, C]: N videos of F frames. Errors are `Failure`s with one
line. Nothing imports jax before it has to compute.
"""

import shutil
import sys
import tempfile
import weakref
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from types import ModuleType
from typing import Any

from svtcli.api.metrics import fvd as fvd
from svtcli.api.metrics import lpips as lpips
from svtcli.api.metrics import psnr as psnr
from svtcli.api.metrics import ssim as ssim
from svtcli.api.run import Run as Run
from svtcli.api.run import Scores as Scores
from svtcli.clips.splits import Clip as Clip
from svtcli.clips.splits import Splits as Splits
from svtcli.failure import BadData as BadData
from svtcli.failure import Failure as Failure
from svtcli.failure import Refused as Refused
from svtcli.prepare.build import PrepareOptions
from svtcli.prepare.find_clips import folder_without_recipe
from svtcli.prepare.stage import prepare as prepare_clips
from svtcli.prepare.workers import NoWorkers
from svtcli.project.models import find_model
from svtcli.recipe.validate import validate_section
from svtcli.run.directory import RunFolder, is_exported
from svtcli.run.environment import check_xla_flags
from svtcli.run.progress import Silent
from svtcli.train.commit_record import open_checkpoint


def load_run(name: str | PathLike[str]) -> Run:
    """Open a trained model: a run's name or folder, RUN@STEP, a checkpoint, an export.

    The last is a file or folder that `svt runs export` wrote. A model that ships with
    svt becomes a run at its first use, as for `svt sample`. Errors: Refused where there
    is none; BadData and StorageFailed for damaged files.
    """
    check_xla_flags()
    text = fspath(name)
    if Path(text).is_file() or is_exported(Path(text)):
        return _of_file(Path(text))
    return _opened(*find_model(text, Silent()))


def open_clips(folder: str | PathLike[str]) -> Splits:
    """Open prepared clips: `open_clips("clips/push")["test"][4].frames`.

    Errors: Refused where there are none; BadData for damaged files.
    """
    return Splits(Path(folder))


def prepare(
    kind: str,
    *,
    out: str | PathLike[str] | None = None,
    workers: int | None = None,
    force: bool = False,
    **settings: Any,
) -> Splits:
    """Prepare clips, or find them prepared, and open them: see `svt prepare KIND -h`.

    `kind` is `folder`, `arrays`, `kinetics`, `bair`, …, and `settings` are the keys of
    a recipe's section `data`: `prepare("folder", source="holidays", size=64, fps=10)`.
    They go to `out`, by default to `clips/` and the name of the source. `force`
    replaces clips with other settings. Errors: those of the command.
    """
    data = validate_section("data", {"kind": kind, **settings})
    folder = Path(out) if out else folder_without_recipe(data)
    try:
        prepare_clips(data, folder, Silent(), PrepareOptions(workers), force)
    except NoWorkers as error:
        hint = 'in a script, call svt.prepare below: if __name__ == "__main__":'
        raise NoWorkers(error.sentence, hint) from error
    return open_clips(folder)


def _opened(run: RunFolder, step: int | None) -> Run:
    return Run(replace(open_checkpoint(run, step), networks={}))


def _of_file(file: Path) -> Run:
    """Open an exported file, as a run in a folder that lives as long as the object."""
    from svtcli.project.imports import import_weights  # brings jax

    place = Path(tempfile.mkdtemp(prefix="svt-"))
    try:
        run = RunFolder(place / file.stem)
        import_weights(file, run, Silent(), place / "clips")
        opened = _opened(run, None)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    weakref.finalize(opened, shutil.rmtree, place, ignore_errors=True)
    return opened


class _CallableRoom(ModuleType):
    """The room `svtcli.prepare`, which is also the function `svt.prepare`."""

    __call__ = staticmethod(prepare)


sys.modules["svtcli.prepare"].__class__ = _CallableRoom
