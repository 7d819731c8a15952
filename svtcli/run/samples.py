"""Samples folder: lossless arrays and their provenance.

    samples.npy    uint8    [N, M, F, H, W, C]  N clips, M continuations of each
    truth.npy      uint8    [N, F, H, W, C]     the clips themselves
    log_prob.npy   float32  [N, M, F]           log-likelihood of each frame in nats
    actions.npy    float32  [N, S, F, A]        of a model with actions: the S sets of
                   them that samples follow, M / S samples each, one set after another
    truth_actions.npy   float32  [N, F, A]      the clips' own
    samples.json   provenance, and checksums of the arrays; written last, so a folder
                   that has it is complete

Prime frames are included everywhere; their log-likelihood is 0.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from svtcli.failure import Refused
from svtcli.recipe.schema import OWN, Sample
from svtcli.run.durable import (
    check_file,
    crc32c,
    read_record,
    sync_file,
    write_record,
    writing,
)

ARRAYS = {
    "video": "samples.npy",
    "truth": "truth.npy",
    "log_prob": "log_prob.npy",
    "actions": "actions.npy",
    "truth_actions": "truth_actions.npy",
}
"""Files of the arrays of `Samples`."""
AGAIN = "restore it from a copy, or remove the folder and sample again"


@dataclass(frozen=True, kw_only=True)
class SampleFacts(Sample):
    """Everything that the samples depend on: settings, checkpoint and clips."""

    run: str
    step: int
    prime: int
    frames: int
    overlap: int
    clips: tuple[str, ...]
    """Clip that each row continues, by its name in the dataset."""
    action_sets: tuple[str, ...] = ()
    """Names of the sets of actions that samples follow; none without actions."""
    truth_frames: tuple[int, ...] = ()
    """Frames of ground truth of each clip, where one has fewer than a sample."""
    fingerprint: str = ""
    """Fingerprint of all inputs; `svt run` compares it."""
    pixels_per_pass: float = 1.0
    """Pixels of a video that become final in one pass of the decoder, on average."""
    deterministic: bool = False
    """The loss is deterministic: nothing is drawn, and temperature, top-k and top-p
    have no effect."""

    @property
    def own_actions(self) -> bool:
        """Every sample follows the actions of the clip that it continues."""
        return {*self.action_sets} <= {OWN}

    @property
    def sampling_rule(self) -> tuple[str, ...]:
        """Sampling of codes in words; the precision, unless it is float32."""
        drawn = (
            f"temperature {self.temperature:g}",
            *([f"top-k {self.top_k}"] if self.top_k is not None else []),
            *([f"top-p {self.top_p:g}"] if self.top_p is not None else []),
        )
        return (
            *(("deterministic",) if self.deterministic else drawn),
            *([self.precision] if self.precision != "float32" else []),
        )


@dataclass(frozen=True)
class Samples:
    """Samples in memory, with the axes of their files."""

    video: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    log_prob: NDArray[np.float32]
    facts: SampleFacts
    actions: NDArray[np.float32] | None = None
    truth_actions: NDArray[np.float32] | None = None


def write_samples(folder: Path, samples: Samples) -> None:
    """Write a complete samples folder; `samples.json` last."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "samples.json").unlink(missing_ok=True)
    checksums = {}
    for field, name in ARRAYS.items():
        if (array := getattr(samples, field)) is not None:
            write_array(folder / name, array)
            checksums[name] = crc32c(folder / name)
    facts = {**asdict(samples.facts), "crc32c": checksums}
    write_record(folder / "samples.json", facts)


def write_array(path: Path, array: NDArray) -> None:
    """Write what `np.save` writes, and flush it to the disk.

    NumPy itself bypasses Python's files, and loses the reason of a failed write.
    """
    array = np.ascontiguousarray(array)
    header = np.lib.format.header_data_from_array_1_0(array)
    with writing(path), path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(array.data)
        sync_file(file)


def read_facts(folder: Path) -> SampleFacts:
    """Read `samples.json`. Errors: Refused if it is missing; BadData."""
    values = _read_record(folder)
    known = [field.name for field in fields(SampleFacts) if field.name in values]
    tuples = {name: tuple(values[name]) for name in known if type(values[name]) is list}
    return SampleFacts(**{name: values[name] for name in known} | tuples)


def read_samples(folder: Path, mapped: bool = False) -> Samples:
    """Read a samples folder, in memory or `mapped` from its files.

    Every byte is compared with its checksum first, also of mapped arrays. Errors:
    Refused if it holds no finished samples; BadData.
    """
    facts = read_facts(folder)
    names = check_samples(folder)
    mode: Literal["r"] | None = "r" if mapped else None
    arrays = {
        field: np.load(folder / name, mmap_mode=mode, allow_pickle=False)
        for field, name in ARRAYS.items()
        if name in names
    }
    return Samples(**arrays, facts=facts)


def check_samples(folder: Path) -> tuple[str, ...]:
    """Compare every array with its checksum; return their files' names.

    Errors: those of `read_samples`.
    """
    checksums = _read_record(folder)["crc32c"]
    for name, checksum in checksums.items():
        check_file(folder / name, checksum, AGAIN)
    return tuple(checksums)


def _read_record(folder: Path) -> dict[str, Any]:
    """Values of `samples.json`. Errors: those of `read_facts`."""
    path = folder / "samples.json"
    if not path.is_file():
        raise Refused(
            f"{folder}: no finished samples here (samples.json is missing)",
            "write them with: svt sample RUN",
        )
    known = {field.name for field in fields(SampleFacts)}
    # Older samples follow the clips' own actions, and have all of the ground truth.
    known -= {"actions", "action_sets", "truth_frames"}
    return read_record(path, AGAIN, {*known, "crc32c"})
