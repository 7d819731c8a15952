"""Find prepared clips, and compare them with the settings of a recipe."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from svtcli.clips.format import MANIFEST, Manifest, read_manifest, remove_first
from svtcli.clips.reader import open_clips
from svtcli.failure import Refused
from svtcli.prepare.journal import FAILURES, REPORT, SHARD_FILE, WORK
from svtcli.prepare.plan import listed_reasons, spec_of
from svtcli.prepare.sources import make_plan
from svtcli.recipe.data import Data, clips_folder
from svtcli.run.lock import LOCK_FILES
from svtcli.run.progress import counted, listed

OURS = {WORK, FAILURES, REPORT, *LOCK_FILES, "figures"}


@dataclass(frozen=True)
class Prepared:
    """A finished dataset."""

    folder: Path
    fingerprint: str
    clips: dict[str, int]
    """Clips of each split."""
    frames: dict[str, int]
    failures: dict[str, int]
    """Number of failures, by reason."""
    lower_bound: dict[str, float]
    """Moving MNIST: nats per predicted frame of each split."""
    notes: tuple[str, ...] = ()
    existed: bool = False
    """True where nothing had to be done."""

    @property
    def summary(self) -> tuple[str, ...]:
        """Lines that tell the clips of each split, and what gave none."""
        lines = []
        for split, clips in self.clips.items():
            bound = self.lower_bound.get(split)
            tail = f", lower bound {bound:.2f} nats/frame" if bound is not None else ""
            frames = counted(self.frames[split], "frame")
            lines.append(f"{split}: {counted(clips, 'clip')}, {frames}{tail}")
        if self.failures:
            reasons = listed_reasons(self.failures)
            lines.append(f"gave no clips: {reasons} (see failures.jsonl)")
        return tuple(lines)


ELSEWHERE = (
    "choose another folder (data.clips=clips/other in a recipe, --out of svt prepare)"
)


def folder_without_recipe(data: Data) -> Path:
    """Folder of the clips: `clips/` and the name of one's own source, else the kind."""
    if data.kind not in ("folder", "arrays") or data.source is None:
        return clips_folder(data, data.kind)
    source = Path(data.source.removeprefix("package:")).resolve()
    return clips_folder(data, source.stem if source.is_file() else source.name)


def prepared(folder: Path, manifest: Manifest, existed: bool = False) -> Prepared:
    """Summarise a manifest."""
    return Prepared(
        folder=folder,
        fingerprint=manifest.fingerprint,
        clips={name: split.clips for name, split in manifest.splits.items()},
        frames={name: split.frames for name, split in manifest.splits.items()},
        failures=manifest.failures,
        lower_bound=manifest.lower_bound,
        notes=manifest.notes,
        existed=existed,
    )


def find_finished(data: Data, folder: Path) -> Prepared | None:
    """Return the dataset that `data` describes if it is in `folder`, else None.

    Errors: `Refused` where it is another one. Clips whose source is gone are accepted.
    """
    if not (folder / MANIFEST).is_file():
        return None
    manifest = read_manifest(folder)
    refuse_other(data, folder, manifest)
    try:
        inventory = make_plan(data).inventory
    except Refused:
        inventory = manifest.inventory
    if inventory != manifest.inventory:
        retry = "; --retry-failed of svt prepare adds repaired files"
        raise Refused(
            f"{folder}: the source has changed since these clips were prepared",
            f"{ELSEWHERE}, or {remove_first(folder)}"
            + (retry if manifest.failures else ""),
        )
    for split in manifest.splits:
        open_clips(folder, split)
    return prepared(folder, manifest, existed=True)


def check(data: Data, folder: Path) -> tuple[str, ...]:
    """Refuse what `prepare` refuses before it begins; return its notes on the source.

    Errors: `Refused`.
    """
    if found := find_finished(data, folder):
        return found.notes
    plan = make_plan(data)
    refuse_foreign(folder)
    return plan.notes


def refuse_other(data: Data, folder: Path, manifest: Manifest) -> None:
    """Compare settings. Errors: `Refused` where they differ."""
    if changed := _difference(manifest.spec, spec_of(data)):
        raise Refused(
            f"{folder}: contains clips prepared with other settings ({changed})",
            f"{ELSEWHERE}, or {remove_first(folder)}",
        )


def _difference(there: Mapping[str, object], asked: Mapping[str, object]) -> str:
    """List the settings that differ; empty where none does.

    Other kinds of data have other settings: of these the kind alone is listed. A key
    that svt did not have when the clips were prepared stands for None.
    """
    keys: Iterable[str] = dict.fromkeys((*asked, *there))
    if there.get("kind") != asked.get("kind"):
        keys = ["kind"]
    return ", ".join(
        f"{key}: {_shown(there.get(key))} there, {_shown(asked.get(key))} requested"
        for key in keys
        if there.get(key) != asked.get(key)
    )


def _shown(value: object) -> str:
    """Value of a setting in a message."""
    return "nothing" if value is None else str(value) or "''"


def refuse_foreign(folder: Path) -> None:
    """Refuse to write into a folder with other contents. Errors: `Refused`."""
    if folder.is_file():
        raise Refused(f"{folder}: is a file; clips need a folder")
    if not folder.is_dir() or (folder / MANIFEST).is_file():
        return
    others = sorted(
        path.name
        for path in folder.iterdir()
        if path.name not in OURS and not SHARD_FILE.fullmatch(path.name)
    )
    if others:
        raise Refused(
            f"{folder}: contains something else ({listed(others)})", ELSEWHERE
        )
