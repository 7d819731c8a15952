"""What a comparison of samples with clips has found, and all that it depends on."""

from dataclasses import dataclass, fields
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from svtcli.evaluate.fvd.protocol import Distances
from svtcli.evaluate.quality import Quality
from svtcli.failure import BadData
from svtcli.recipe.schema import Compare
from svtcli.run.durable import write_atomic
from svtcli.run.samples import SampleFacts


@dataclass(frozen=True)
class Side:
    """One of the two sets of videos that are compared."""

    name: str
    clips: int
    """N: of samples, in one trial."""
    frames: int
    """T that it has; how many of them count, the windows say."""
    lossy: bool = False


@dataclass(frozen=True)
class Fvd:
    """FVD and KVD with what they depend on beside the samples."""

    distances: Distances
    window: int
    """T: frames that the network sees at once."""
    starts: tuple[int, ...]
    """Where the windows begin."""
    resize: str
    weights: str
    """SHA-256 of the network's file."""
    constant: float
    """The self-test's, of this network on this machine: 152.90."""
    floor: float | None
    """FVD of clips against as many other clips; None where there are too few."""


@dataclass(frozen=True)
class Comparison:
    """The contents of `eval/NAME.json`."""

    samples: Side
    reference: Side
    trials: int
    per_prime: int
    prime: int | None
    """Given frames; None where nothing says it."""
    settings: Compare
    fvd: Fvd | None
    quality: dict[str, Quality]
    """PSNR in dB, SSIM, LPIPS: by name."""
    made: SampleFacts | None
    """What made the samples; None for those of others."""
    warnings: tuple[str, ...]
    """What a reader of the numbers should know."""
    device: str
    fingerprint: str
    kind: str = "comparison"
    """Tells the file from one of likelihoods."""


_ADAPTER = TypeAdapter(Comparison)


def write_comparison(path: Path, comparison: Comparison) -> None:
    """As JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, _ADAPTER.dump_json(comparison, indent=2) + b"\n")


def comparison_data(comparison: Comparison) -> dict[str, object]:
    """The same for --json."""
    data: dict[str, object] = _ADAPTER.dump_python(comparison, mode="json")
    return data


def is_comparison(path: Path) -> bool:
    """Whether the JSON file is one of these, and not of likelihoods."""
    return b'"kind": "comparison"' in path.read_bytes()


def read_comparison(path: Path) -> Comparison:
    """What `write_comparison` wrote. Errors: BadData."""
    try:
        return _ADAPTER.validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadData(
            f"{path}: not a comparison of this version ({where}: {first['msg']})",
            "move it away",
        ) from error


def compared(settings: object) -> Compare:
    """Only what belongs to a comparison, of a section that says more."""
    return Compare(
        **{field.name: getattr(settings, field.name) for field in fields(Compare)}
    )
