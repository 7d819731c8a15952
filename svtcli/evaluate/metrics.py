"""Table of all metrics of samples against reference clips.

To add a metric of frames, write its function and its row here, and add its name to
`Metric` in `recipe/schema.py`: plans, results, tables and charts read the row.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from svtcli.evaluate import manifold, temporal
from svtcli.evaluate.fvd.protocol import Distances, OfFeatures, Spread, jedi
from svtcli.evaluate.quality import PSNR_CAP, WINDOW, Quality, psnr, quality, ssim
from svtcli.evaluate.weights import (
    I3D_WEIGHTS,
    LPIPS_SMALLEST,
    LPIPS_WEIGHTS,
    Published,
    weights_file,
)
from svtcli.failure import Refused
from svtcli.recipe.schema import Compare, Metric
from svtcli.run.distribution import install_command
from svtcli.run.progress import counted

FrameMetric = Callable[[np.ndarray, np.ndarray], Float64[np.ndarray, "*batch F"]]
"""Value of each frame of sampled video `[*batch, F, H, W, C]` and its ground truth."""

OF_SETS = ("window", "resize", "convention", "by_clips", "i3d", "exclude_prime")
"""Settings that comparisons of sets read."""


@dataclass(frozen=True, kw_only=True)
class DistanceMetric:
    """A comparison of the sets of all samples and all clips, by I3D's features."""

    label: str
    select: Callable[[Distances], Spread | None]
    """The metric's number among those of the protocol; None if not measured."""
    all_windows: bool = False
    """Needs every window, not only the first."""
    settings: tuple[str, ...] = OF_SETS
    """Keys and flags of `svt eval` that only such metrics read."""
    of_moments: bool = False
    """Needs only mean and covariance of the features."""
    of_features: OfFeatures | None = None
    """Its function, where the protocol does not compute it anyway."""
    label_of_features: str = ""
    """Label where the features are not I3D's; by default `label`."""
    given_features: bool = False
    """A metric of another network's features, which are given."""
    fewest: int = 2
    """Minimum number of clips, and of samples."""
    higher_is_better: bool = False
    decimals: int = 2
    """Decimals in tables."""

    def weights(self, settings: Compare) -> Published | None:
        """File of weights that the metric needs. Errors: Refused if svt has none."""
        if self.given_features:
            raise Refused(
                f"{self.label}: its network is not part of svt, which compares "
                "features that it computed",
                "give them: svt eval --features FILE.npy --reference-features FILE.npy "
                "--metric jedi",
            )
        return I3D_WEIGHTS


@dataclass(frozen=True, kw_only=True)
class PairedMetric:
    """A metric of each frame of a sample and the same frame of its ground truth."""

    label: str
    load: Callable[[Compare], FrameMetric]
    """The function of frames, with settings applied and weights read."""
    smallest: Callable[[Compare], int]
    """Smallest height and width of a frame, in pixels."""
    unit: str = ""
    higher_is_better: bool = True
    decimals: int = 3
    """Decimals in a table of runs."""
    cap: float | None = None
    """Value of identical frames, where it is limited."""
    settings: tuple[str, ...] = ()
    """Keys of `svt eval` that only this metric reads."""
    weights: Callable[[Compare], Published | None] = lambda settings: None
    """File of weights that the metric needs."""
    variant: Callable[[Compare], str] = lambda settings: ""
    """Variant that the settings choose: part of the label; "" for the only one."""

    @property
    def axis_label(self) -> str:
        """Label with the unit."""
        return f"{self.label}, {self.unit}" if self.unit else self.label

    def label_under(self, settings: Compare) -> str:
        """Label with the variant: `LPIPS (vgg16)`, `SSIM (luma)`."""
        variant = self.variant(settings)
        return f"{self.label} ({variant})" if variant else self.label

    def axis_label_under(self, settings: Compare) -> str:
        """Label with the variant and the unit."""
        return replace(self, label=self.label_under(settings)).axis_label

    def summarize(self, values: Float64[np.ndarray, "N K F"], prime: int) -> Quality:
        """Mean and best of K over videos, without prime frames; see `quality`."""
        better = self.higher_is_better
        return quality(values, prime, higher_is_better=better, cap=self.cap)


@dataclass(frozen=True, kw_only=True)
class TemporalMetric:
    """A statistic of the frames of one set of videos, shown beside that of the clips.

    None of them is better when lower or higher: best is what the clips have.
    """

    label: str
    function: Callable[[np.ndarray], Float64[np.ndarray, "*batch f"]]
    """Values of video `[*batch, F, H, W, C]`, of all frames but the first `lead`."""
    lead: int = 1
    package: str = ""
    """Package that the function imports, and svt only with the extra `flow`."""
    higher_is_better: bool = False
    decimals: int = 3
    settings: tuple[str, ...] = ()

    def weights(self, settings: Compare) -> Published | None:
        """No file of weights. Errors: Refused where the package is not installed."""
        if self.package and find_spec(self.package) is None:
            raise Refused(
                f"{self.label}: scikit-image is not installed",
                f"install it: {install_command('flow')}",
            )
        return None

    def first(self, prime: int | None, frames: int, samples: str) -> int:
        """First predicted frame that has a value. Errors: Refused without one."""
        if prime is None:
            raise Refused(
                f"{self.label}: the number of prime frames of {samples} is not known",
                "give it with --prime (0 for none): prime frames are not scored",
            )
        if (first := max(prime, self.lead)) >= frames:
            raise Refused(
                f"{self.label}: the first {counted(first, 'frame')} of {frames} are "
                "not scored",
                "compare longer videos, or leave this metric out",
            )
        return first


def _load_lpips(settings: Compare) -> FrameMetric:
    from svtcli.evaluate.lpips import lpips, read_lpips  # brings jax

    return partial(lpips, read_lpips(settings.lpips))


def _manifold_metric(
    name: Metric, label: str, of_features: OfFeatures, k: int
) -> DistanceMetric:
    return DistanceMetric(
        label=f"{label} (k = {k})",
        select=lambda distances: distances.others[name],
        of_features=of_features,
        fewest=k + 1,
        higher_is_better=True,
        decimals=3,
    )


METRICS: Mapping[Metric, DistanceMetric | PairedMetric | TemporalMetric] = {
    "fvd": DistanceMetric(
        label="FVD",
        select=attrgetter("fvd"),
        of_moments=True,
        label_of_features="Fréchet distance",
    ),
    "fvd-avg": DistanceMetric(
        label="FVD (avg)",
        select=attrgetter("fvd_avg"),
        all_windows=True,
        of_moments=True,
        settings=("stride", *OF_SETS),
    ),
    "kvd": DistanceMetric(
        label="KVD",
        select=attrgetter("kvd"),
        label_of_features="MMD², kernel (x·y/D + 1)³, unbiased",
    ),
    "jedi": DistanceMetric(
        label="JEDi",
        select=lambda distances: distances.others["jedi"],
        of_features=jedi,
        label_of_features="JEDi if of V-JEPA: 100 MMD², kernel (x·y/D)², biased",
        given_features=True,
    ),
    "precision": _manifold_metric(
        "precision", "Precision", manifold.precision, manifold.PRECISION_K
    ),
    "recall": _manifold_metric(
        "recall", "Recall", manifold.recall, manifold.PRECISION_K
    ),
    "density": _manifold_metric(
        "density", "Density", manifold.density, manifold.COVERAGE_K
    ),
    "coverage": _manifold_metric(
        "coverage", "Coverage", manifold.coverage, manifold.COVERAGE_K
    ),
    "psnr": PairedMetric(
        label="PSNR",
        unit="dB",
        decimals=2,
        load=lambda settings: psnr,
        smallest=lambda settings: 1,
        cap=PSNR_CAP,
    ),
    "ssim": PairedMetric(
        label="SSIM",
        load=lambda settings: partial(ssim, gray=settings.gray),
        smallest=lambda settings: WINDOW,
        settings=("gray",),
        variant=lambda settings: "luma" if settings.gray else "",
    ),
    "lpips": PairedMetric(
        label="LPIPS",
        load=_load_lpips,
        smallest=lambda settings: LPIPS_SMALLEST[settings.lpips],
        higher_is_better=False,
        settings=("lpips",),
        weights=lambda settings: LPIPS_WEIGHTS[settings.lpips],
        variant=lambda settings: settings.lpips,
    ),
    "difference": TemporalMetric(
        label="Frame difference, of 255", function=temporal.difference
    ),
    "flicker": TemporalMetric(
        label="Flicker, of 255", function=temporal.flicker, lead=2
    ),
    "warping": TemporalMetric(
        label="Warping error (iLK)",
        function=temporal.warping,
        package="skimage",
        decimals=6,
    ),
}
"""Metrics in the order in which they are shown."""
DISTANCES = {
    name: metric
    for name, metric in METRICS.items()
    if isinstance(metric, DistanceMetric)
}
PAIRED = {
    name: metric for name, metric in METRICS.items() if isinstance(metric, PairedMetric)
}

TEMPORAL = {
    name: metric
    for name, metric in METRICS.items()
    if isinstance(metric, TemporalMetric)
}


def functions_of_features(metrics: Collection[Metric]) -> dict[str, OfFeatures]:
    """Functions of those of the metrics that the protocol does not compute anyway."""
    return {
        name: metric.of_features
        for name, metric in DISTANCES.items()
        if name in metrics and metric.of_features
    }


def require_weights(settings: Compare, i3d: Path | None = None) -> None:
    """Refuse metrics whose networks are not installed."""
    for name in settings.metrics:
        metric = METRICS.get(name)
        if metric and (published := metric.weights(settings)):
            weights_file(published, i3d if published == I3D_WEIGHTS else None)


def metrics_reading(setting: str) -> Sequence[Metric]:
    """Names of the metrics that read a setting; all if it is not of a few alone."""
    readers = [name for name, metric in METRICS.items() if setting in metric.settings]
    return readers or list(METRICS)
