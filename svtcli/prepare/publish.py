"""Declares a dataset finished: shards to their place, reports, the manifest last."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from svtcli.clips.format import read_facts
from svtcli.clips.manifest import NAME as MANIFEST
from svtcli.clips.manifest import Manifest, write_manifest
from svtcli.failure import BadData
from svtcli.prepare.journal import FAILURES, Journal
from svtcli.prepare.plan import Miss
from svtcli.run.durable import sync_path, write_atomic

REPORT = "report.json"
SHARD_FILE = re.compile(
    r"[\w-]+-\d{5}-of-\d{5}\.((frames|offsets|actions|states)\.npy|meta\.jsonl)"
    r"|train\.digits\.npy"
)
_miss = TypeAdapter(Miss)


def publish(
    journal: Journal,
    manifest: Manifest,
    misses: tuple[Miss, ...],
    report: Mapping[str, Any],
) -> None:
    """Move the shards to their place and declare them finished.

    A dataset that was there before stops being one first, so that no manifest ever
    stands over files that are not its own. Files that svt did not make stay.
    """
    out, work = journal.out, journal.folder
    (out / MANIFEST).unlink(missing_ok=True)
    sync_path(out)
    ours = {name for split in manifest.splits.values() for name in split.files}
    waiting = [name for name in ours if (work / name).is_file()]
    for file in list(out.iterdir()):
        replaced = file.name in waiting or file.name not in ours
        if SHARD_FILE.fullmatch(file.name) and replaced:
            file.unlink()
    for name in waiting:
        (work / name).replace(out / name)
    write_failures(out, misses)
    classes = {"classes": count_classes(out, manifest)}
    text = json.dumps({**report, **classes}, indent=1, ensure_ascii=False)
    write_atomic(out / REPORT, text + "\n")
    write_manifest(out, manifest)
    shutil.rmtree(work)


def count_reasons(misses: Iterable[Miss]) -> dict[str, int]:
    """How many misses there are of each reason, the most frequent first."""
    return dict(Counter(miss.reason for miss in misses).most_common())


def count_classes(out: Path, manifest: Manifest) -> dict[str, dict[str, int]]:
    """Clips of each label in each split; splits without labels are left out."""
    classes = {}
    for name, split in manifest.splits.items():
        labels = Counter(
            facts.label
            for shard in split.shards
            for facts in read_facts(out / shard.name, shard.clips)
            if facts.label is not None
        )
        if labels:
            classes[name] = dict(sorted(labels.items()))
    return classes


def write_failures(folder: Path, misses: Iterable[Miss]) -> None:
    """`failures.jsonl`: one line for everything that gave no clip; no file if none."""
    (folder / FAILURES).unlink(missing_ok=True)
    lines = []
    for miss in misses:
        known = {key: value for key, value in asdict(miss).items() if value is not None}
        lines.append(json.dumps(known, ensure_ascii=False) + "\n")
    if lines:
        write_atomic(folder / FAILURES, "".join(lines))


def read_failures(folder: Path) -> list[Miss]:
    """What gave no clip; nothing where there is no file. Errors: `BadData`."""
    path = folder / FAILURES
    if not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        return [_miss.validate_json(line) for line in lines]
    except (OSError, ValidationError) as error:
        raise BadData(
            f"{path}: cannot be read", "prepare again with --force"
        ) from error
