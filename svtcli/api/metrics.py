"""Metrics of arrays of videos, as `svt eval` computes them."""

import warnings
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from svtcli.api.inputs import array_of
from svtcli.evaluate.foreign.arrays import videos_of_array
from svtcli.evaluate.foreign.videos import check_reference
from svtcli.evaluate.plan import MetricsPlan, plan_metrics
from svtcli.failure import Refused
from svtcli.recipe.schema import Compare, Metric
from svtcli.recipe.validate import validate_section
from svtcli.run.progress import Silent


def fvd(
    samples: ArrayLike,
    reference: ArrayLike,
    *,
    window: int | None = None,
    resize: Literal["tf1", "half-pixel"] | None = None,
    i3d: str | PathLike[str] | None = None,
) -> float:
    """FVD of the first `window` frames (16) by the published protocol (extra `fvd`).

    Both are uint8 [N, F, H, W, C]; of samples [N, M, F, H, W, C] it is the mean over M
    trials. `i3d` is another file of weights. Warns where numbers cannot be compared
    with others. Errors: Refused for arrays that do not fit, and without weights.
    """
    settings = _settings("fvd", window=window, resize=resize)
    plan = _plan(samples, reference, settings, None if i3d is None else Path(i3d))
    from svtcli.evaluate.measure import measure  # brings jax

    for line in plan.warnings:
        warnings.warn(line, stacklevel=2)
    found = measure(plan, Silent()).fvd
    assert found is not None
    return found.distances.fvd.mean


def psnr(samples: ArrayLike, truth: ArrayLike) -> Float64[np.ndarray, "*batch F"]:
    """PSNR of each frame in dB, at most 100: [N, F] of videos [N, F, H, W, C].

    Of samples [N, M, F, H, W, C], each continuation is compared with the same truth,
    which gives [N, M, F]. Errors: Refused for arrays that do not fit.
    """
    return _of_frames(samples, truth, _settings("psnr"))


def ssim(
    samples: ArrayLike, truth: ArrayLike, *, gray: bool | None = None
) -> Float64[np.ndarray, "*batch F"]:
    """SSIM of each frame, as `psnr`; `gray` compares the luma alone."""
    return _of_frames(samples, truth, _settings("ssim", gray=gray))


def lpips(
    samples: ArrayLike,
    truth: ArrayLike,
    *,
    net: Literal["alexnet", "vgg16"] | None = None,
) -> Float64[np.ndarray, "*batch F"]:
    """LPIPS of each frame, as `psnr`, by AlexNet or VGG16 (extra `lpips`)."""
    return _of_frames(samples, truth, _settings("lpips", lpips=net))


def _settings(metric: Metric, **keys: Any) -> Compare:
    """Settings of one metric; None is the default. Errors: Refused."""
    given = {key: value for key, value in keys.items() if value is not None}
    settings: Compare = validate_section("eval", {"metrics": [metric], **given})
    return settings


def _of_frames(
    samples: ArrayLike, truth: ArrayLike, settings: Compare
) -> Float64[np.ndarray, "..."]:
    """Values of a metric of frames. Errors: Refused."""
    plan = _plan(samples, truth, settings)
    there, wanted = plan.fake.videos.frames, plan.real.videos.frames
    if there != wanted:
        raise Refused(
            f"samples: {there} frames, and the reference has {wanted}",
            "compare as many of both",
        )
    from svtcli.evaluate.measure import frame_values  # brings jax

    values = frame_values(plan, settings.metrics[0])
    return values if np.ndim(samples) == 6 else values[:, 0]


def _plan(
    samples: ArrayLike, reference: ArrayLike, settings: Compare, i3d: Path | None = None
) -> MetricsPlan:
    """Plan a comparison of all continuations. Errors: Refused."""
    fake = videos_of_array(array_of(samples, "samples"), "samples")
    real = videos_of_array(array_of(reference, "reference"), "reference")
    check_reference(real)
    settings = replace(settings, trials=fake.continuations)
    return plan_metrics(fake, real, settings, prime=0, i3d=i3d)
