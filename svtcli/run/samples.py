"""Samples folder: lossless arrays and their provenance.

    samples.npy    uint8    [N, M, F, H, W, C]  N clips, M continuations of each
    truth.npy      uint8    [N, F, H, W, C]     the clips themselves
    log_prob.npy   float32  [N, M, F]           log-likelihood of each frame in nats
    samples.json   provenance; written last, so a folder that has it is complete

Prime frames are included everywhere; their log-likelihood is 0.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from svtcli.failure import BadData, Refused, in_words
from svtcli.recipe.schema import Sample
from svtcli.run.durable import sync_file, write_atomic, writing


@dataclass(frozen=True, kw_only=True)
class SampleFacts(Sample):
    """Everything that the samples depend on: their settings, and what those met."""

    run: str
    step: int
    prime: int
    frames: int
    overlap: int
    clips: tuple[str, ...]
    """Clip that each row continues, by its name in the dataset."""
    fingerprint: str = ""
    """Fingerprint of all inputs; `svt run` compares it."""
    pixels_per_pass: float = 1.0
    """Pixels of a video that become final in one pass of the decoder, on average."""
    deterministic: bool = False
    """The loss is deterministic: nothing is drawn, and temperature, top-k and top-p
    have no effect."""

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
    """Samples in memory; `video` is [N, M, F, H, W, C], `truth` [N, F, H, W, C]."""

    video: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    log_prob: NDArray[np.float32]
    facts: SampleFacts


def write_samples(folder: Path, samples: Samples) -> None:
    """Write a complete samples folder; `samples.json` last."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "samples.json").unlink(missing_ok=True)
    write_array(folder / "samples.npy", samples.video)
    write_array(folder / "truth.npy", samples.truth)
    write_array(folder / "log_prob.npy", samples.log_prob)
    text = json.dumps(asdict(samples.facts), indent=2) + "\n"
    write_atomic(folder / "samples.json", text)


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
    path = folder / "samples.json"
    if not path.is_file():
        raise Refused(
            f"{folder}: no finished samples here (samples.json is missing)",
            "make some with: svt sample RUN",
        )
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        known = {field.name: facts[field.name] for field in fields(SampleFacts)}
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(
            f"{path}: not a description of samples ({in_words(error)})"
        ) from error
    return SampleFacts(**{**known, "clips": tuple(known["clips"])})


def read_samples(folder: Path, mapped: bool = False) -> Samples:
    """Read a samples folder, in memory or `mapped` from its files.

    Errors: Refused if it holds no finished samples; BadData.
    """
    facts = read_facts(folder)
    mode: Literal["r"] | None = "r" if mapped else None
    try:
        video, truth, log_prob = (
            np.load(folder / f"{name}.npy", mmap_mode=mode, allow_pickle=False)
            for name in ("samples", "truth", "log_prob")
        )
    except (OSError, ValueError, EOFError) as error:
        raise BadData(f"{folder}: unreadable samples ({in_words(error)})") from error
    consistent = (
        video.ndim == 6
        and truth.shape == video.shape[:1] + video.shape[2:]
        and log_prob.shape == video.shape[:3]
        and video.dtype == truth.dtype == np.uint8
    )
    if not consistent:
        named = {"samples": video, "truth": truth, "log_prob": log_prob}
        found = (f"{name} {array.dtype} {array.shape}" for name, array in named.items())
        raise BadData(f"{folder}: arrays do not fit each other: {', '.join(found)}")
    return Samples(video, truth, log_prob, facts)
