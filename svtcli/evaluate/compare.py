"""Compare samples with the clips that they should look like: FVD and its kin, PSNR,
SSIM, LPIPS. Both sides may come from anywhere."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import jax
import numpy as np
from jaxtyping import Float64

from svtcli.evaluate.comparison import (
    Comparison,
    Fvd,
    Side,
    read_comparison,
    write_comparison,
)
from svtcli.evaluate.comparison_plan import ComparisonPlan
from svtcli.evaluate.fvd.distances import (
    Measurement,
    Part,
    in_parts,
    measure,
)
from svtcli.evaluate.fvd.features import AT_ONCE, Features, load_network
from svtcli.evaluate.lpips import lpips, read_lpips
from svtcli.evaluate.quality import Quality, psnr, quality, ssim
from svtcli.recipe.schema import Compare, Metric
from svtcli.run.progress import Progress
from svtcli.run.signals import StopSignals
from svtcli.train.compilation_cache import use_compilation_cache
from svtcli.train.memory_advice import less_for_features, within_memory

OF_FVD = f"{AT_ONCE} clips", "features that are there are kept"
OF_LPIPS = "a few frames", "FVD's features are kept, LPIPS is computed anew"

FrameValues = Callable[[np.ndarray, np.ndarray], Float64[np.ndarray, "n F"]]


def compare(plan: ComparisonPlan, progress: Progress) -> Comparison:
    """All metrics of the plan; an interrupted call goes on when it is repeated.

    Errors: CheckFailed where FVD's self-test fails; `Stopped`; BadData; OutOfMemory.
    """
    if plan.finished and plan.out is not None:
        progress.note(f"{plan.out}: compared already")
        return read_comparison(plan.out)
    use_compilation_cache()
    for warning in plan.warnings:
        progress.note(f"note: {warning}")
    with StopSignals() as stop:
        with within_memory("LPIPS", lambda: less_for_features(*OF_LPIPS)):
            paired = {
                str(each): _paired(plan, each, progress, stop) for each in plan.paired
            }
        with within_memory("FVD", lambda: less_for_features(*OF_FVD)):
            fvd = _fvd(plan, progress, stop) if plan.distances else None
    found = Comparison(
        samples=_side(plan.fake, plan.settings.per_prime),
        reference=_side(plan.real),
        trials=plan.settings.trials,
        per_prime=plan.settings.per_prime,
        prime=plan.prime,
        settings=plan.settings,
        fvd=fvd,
        quality=paired,
        made=plan.samples.facts,
        warnings=plan.warnings,
        device=jax.devices()[0].device_kind,
        fingerprint=plan.fingerprint,
    )
    if plan.out is not None:
        write_comparison(plan.out, found)
    return found


def _fvd(plan: ComparisonPlan, progress: Progress, stop: StopSignals) -> Fvd:
    """FVD and KVD, with progress in clips whose features are there."""
    settings = plan.settings
    network = load_network(plan.i3d, progress)
    features = Features.on_all_devices(network, settings.resize)
    what = Measurement(
        *(plan.real, plan.fake, settings.trials, settings.per_prime),
        *(settings.window, plan.starts, plan.others),
    )
    done = 0

    def on_clips(clips: int) -> None:
        nonlocal done
        done += clips
        progress.advance(done)
        stop.check(f"the features of {done} of {what.clips} clips are kept")

    progress.note("features that are not kept wait until FVD's network is compiled")
    progress.begin("features", what.clips, "clips")
    try:
        found, floor = measure(what, features, progress, on_clips)
    finally:
        progress.end()
    return Fvd(
        distances=found,
        window=settings.window,
        starts=plan.starts,
        resize=settings.resize,
        weights=network.weights,
        constant=network.constant,
        floor=floor,
    )


def _paired(
    plan: ComparisonPlan, metric: Metric, progress: Progress, stop: StopSignals
) -> Quality:
    """A metric of every frame beside the true one, by video and continuation."""
    of_frames = _of_frames(plan.settings, metric)
    K = plan.settings.trials * plan.settings.per_prime
    frames = min(plan.samples.frames, plan.reference.frames)
    values = np.empty((len(plan.fake.rows), K, frames))
    if metric == "lpips":
        progress.note("compiling LPIPS' network (the first videos wait for it)")
    progress.begin(metric, values.shape[0] * K, "videos")
    done = 0
    try:
        for rows in in_parts(np.arange(len(values))):
            truth = plan.reference.read(plan.real.rows[rows], 0, frames)
            for k in range(K):
                video = plan.samples.read(plan.fake.rows[rows], k, frames)
                values[rows, k] = of_frames(video, truth)
                done += len(rows)
                progress.advance(done)
                stop.check(f"{metric} is computed anew, FVD's features kept")
    finally:
        progress.end()
    return quality(_name(metric), values, plan.prime or 0)


def _of_frames(settings: Compare, metric: Metric) -> FrameValues:
    """How the frames of two videos are compared."""
    match metric:
        case "psnr":
            return psnr
        case "ssim":
            return partial(ssim, gray=settings.gray)
        case _:
            params, _sha256 = read_lpips(settings.lpips)
            return partial(lpips, params)


def _name(metric: Metric) -> Literal["psnr", "ssim", "lpips"]:
    return "psnr" if metric == "psnr" else "ssim" if metric == "ssim" else "lpips"


def _side(part: Part, per_prime: int = 1) -> Side:
    videos = part.videos
    return Side(videos.name, len(part.rows) * per_prime, videos.frames, videos.lossy)
