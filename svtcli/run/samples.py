"""A folder of samples: lossless arrays and what they depend on.

    samples.npy    uint8    [N, M, F, H, W, C]  N clips, M continuations of each
    truth.npy      uint8    [N, F, H, W, C]     the clips themselves
    log_prob.npy   float32  [N, M, F]           nats of each frame under the model
    samples.json   what made them; written last, so its presence means "whole"

Prime frames are included everywhere; their log-probability is 0.
"""

import json
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from svtcli.failure import BadData, Refused
from svtcli.run.durable import sync_file, write_atomic, writing


@dataclass(frozen=True)
class SampleFacts:
    """Everything that the samples depend on."""

    run: str
    step: int
    prime: int
    frames: int
    overlap: int
    temperature: float
    seed: int
    schedule: str
    split: str
    clips: tuple[str, ...]
    """Which clip each row continues, as its dataset names it."""
    fingerprint: str = ""
    """Of everything that went in; `svt run` compares it."""
    pixels_per_pass: float = 1.0
    """Positions that became final by one pass of the decoder over a video, on average;
    samples that do not say were made one by one."""
    top_k: int | None = None
    """Of how many likeliest values each code was drawn; None for all."""
    top_p: float | None = None
    """What the values that a code was drawn from had to have together."""
    precision: str = "float32"
    """Of the products of the network that made them."""
    deterministic: bool = False
    """Whether the loss is deterministic: then nothing is drawn, and temperature, top-k
    and top-p are without effect."""

    @property
    def sampling_rule(self) -> tuple[str, ...]:
        """The rule that drew each code, in words, and a precision that is not usual."""
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
    """Write a whole samples folder; `samples.json` last."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "samples.json").unlink(missing_ok=True)
    _write_array(folder / "samples.npy", samples.video)
    _write_array(folder / "truth.npy", samples.truth)
    _write_array(folder / "log_prob.npy", samples.log_prob)
    text = json.dumps(asdict(samples.facts), indent=2) + "\n"
    write_atomic(folder / "samples.json", text)


def _write_array(path: Path, array: NDArray) -> None:
    """What `np.save` writes, and have it on the disk.

    NumPy's own way past Python's files does not say why a write has failed.
    """
    array = np.ascontiguousarray(array)
    header = np.lib.format.header_data_from_array_1_0(array)
    with writing(path), path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(array.data)
        sync_file(file)


def read_facts(folder: Path) -> SampleFacts:
    """What made the samples in `folder`; refuses a folder that holds none."""
    path = folder / "samples.json"
    if not path.is_file():
        raise Refused(
            f"{folder}: no finished samples here (samples.json is missing)",
            "make some with: svt sample RUN",
        )
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        known = {
            field.name: facts[field.name]
            for field in fields(SampleFacts)
            if field.default is MISSING or field.name in facts
        }
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(f"{path}: not a description of samples ({error})") from error
    return SampleFacts(**{**known, "clips": tuple(known["clips"])})


def read_samples(folder: Path, mapped: bool = False) -> Samples:
    """The samples in `folder`, in memory or `mapped` from their files.

    Errors: no samples there, or arrays that don't fit.
    """
    facts = read_facts(folder)
    mode: Literal["r"] | None = "r" if mapped else None
    try:
        video, truth, log_prob = (
            np.load(folder / f"{name}.npy", mmap_mode=mode, allow_pickle=False)
            for name in ("samples", "truth", "log_prob")
        )
    except (OSError, ValueError, EOFError) as error:
        raise BadData(f"{folder}: unreadable samples ({error})") from error
    whole = video.ndim == 6 and truth.shape == video.shape[:1] + video.shape[2:]
    pixels = video.dtype == truth.dtype == np.uint8
    if not whole or log_prob.shape != video.shape[:3] or not pixels:
        named = {"samples": video, "truth": truth, "log_prob": log_prob}
        said = (f"{name} {array.dtype} {array.shape}" for name, array in named.items())
        raise BadData(f"{folder}: arrays do not fit each other: {', '.join(said)}")
    return Samples(video, truth, log_prob, facts)
