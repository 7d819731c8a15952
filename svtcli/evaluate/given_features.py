"""Comparison of features that other software computed: content-debiased FVD, JEDi.

The numbers are the functions of I3D's features. Axes: `N` clips · `D` features.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from svtcli.evaluate.fvd.protocol import distances, trial
from svtcli.evaluate.metrics import DISTANCES, functions_of_features
from svtcli.failure import BadData, Failure, Refused, in_words
from svtcli.recipe.schema import Metric
from svtcli.run.durable import write_record
from svtcli.run.progress import counted
from svtcli.video.npy_files import MALFORMED, read_header

FORM = "give a .npy of floating-point numbers [N, D], a row for each clip"


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features of one set of clips."""

    name: str
    values: Float64[np.ndarray, "N D"]
    sha256: str
    """SHA-256 of the file."""

    @property
    def facts(self) -> dict[str, object]:
        """JSON object without the features."""
        clips, features = self.values.shape
        facts = {"name": self.name, "clips": clips, "features": features}
        return {**facts, "sha256": self.sha256}


@dataclass(frozen=True)
class FeaturesResult:
    """Numbers of two sets of features."""

    samples: dict[str, object]
    reference: dict[str, object]
    values: dict[Metric, float]
    means: float
    """Part of the Fréchet distance from the difference of the means."""
    covariances: float
    warnings: tuple[str, ...]
    kind: str = "features"
    """Tells the file from one of videos."""

    @property
    def data(self) -> dict[str, object]:
        """JSON object, as printed and written."""
        return asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """Labels and numbers of a table."""
        return [
            (metric.label_of_features or metric.label, f"{value:.5g}")
            for name, value in self.values.items()
            for metric in [DISTANCES[name]]
        ]


def read_features(path: Path) -> FeatureSet:
    """Read a `.npy` of [N, D].

    Errors: Refused for another array, BadData for damage.
    """
    try:
        with path.open("rb") as file:
            header = read_header(file, str(path))
            if len(header.shape) != 2 or 0 in header.shape or header.dtype.kind != "f":
                found = f"{header.dtype} of shape {list(header.shape)}"
                raise Refused(f"{path}: {found}, not features of clips", FORM)
            file.seek(0)
            contents = file.read()
        values = np.frombuffer(contents, header.dtype, offset=header.bytes)
        N, D = header.shape
        values = values.reshape(D, N).T if header.fortran else values.reshape(N, D)
        values = values.astype(np.float64)
    except Failure:
        raise
    except MALFORMED as error:
        raise BadData(f"{path}: damaged or cut short", "write it again") from error
    except OSError as error:
        raise Refused(f"{path}: {in_words(error)}", FORM) from error
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(wrong):
        count = f"{len(wrong)} of {counted(len(values), 'clip')}"
        raise BadData(f"{path}: features of {count} are not finite, first {wrong[0]}")
    return FeatureSet(str(path), values, sha256(contents).hexdigest())


def check_features(
    samples: FeatureSet, reference: FeatureSet, metrics: Sequence[Metric]
) -> tuple[str, ...]:
    """Refuse sets and metrics that do not fit; return warnings."""
    for name in metrics:
        if name not in DISTANCES or DISTANCES[name].all_windows:
            offered = [each for each, row in DISTANCES.items() if not row.all_windows]
            raise Refused(
                f"--metric {name}: not a metric of features alone",
                f"of {', '.join(offered)}",
            )
    sides = (samples, reference)
    of_each = [side.values.shape[1] for side in sides]
    if of_each[0] != of_each[1]:
        raise Refused(
            f"{samples.name} has {of_each[0]} features of a clip, {reference.name} has "
            f"{of_each[1]}",
            "take both from one network",
        )
    for side in sides:
        for name in metrics:
            if len(side.values) < DISTANCES[name].fewest:
                raise Refused(
                    f"{side.name}: {counted(len(side.values), 'clip')}, and {name} "
                    f"needs {DISTANCES[name].fewest}"
                )
    fake, real = (len(side.values) for side in sides)
    warnings = []
    if min(fake, real) <= of_each[0]:
        warnings.append(
            f"{counted(min(fake, real), 'clip')}, and covariances of {of_each[0]} "
            "features: the Fréchet distance depends on the number of clips; compare it "
            "only with that of as many"
        )
    if fake != real:
        warnings.append(f"unequal numbers of clips: {real} real, {fake} sampled")
    return tuple(warnings)


def measure_features(
    samples: FeatureSet,
    reference: FeatureSet,
    metrics: Sequence[Metric],
    out: Path | None = None,
) -> FeaturesResult:
    """Compare two sets of features, and write the result to `out`.

    Errors: as `check_features`.
    """
    warnings = check_features(samples, reference, metrics)
    real, fake = reference.values[None], samples.values[None]
    found = distances([trial(real, fake, functions_of_features(metrics))])
    result = FeaturesResult(
        samples=samples.facts,
        reference=reference.facts,
        values={
            name: spread.mean
            for name, row in DISTANCES.items()
            if name in metrics and (spread := row.select(found))
        },
        means=found.means,
        covariances=found.covariances,
        warnings=warnings,
    )
    if out is not None:
        write_record(out, result.data)
    return result
