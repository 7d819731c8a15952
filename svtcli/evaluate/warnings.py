"""Reasons why metrics of samples may be uncertain, or not comparable with others."""

from typing import TYPE_CHECKING

from svtcli.evaluate.foreign.videos import Videos
from svtcli.evaluate.fvd.conventions import incomparable
from svtcli.evaluate.fvd.protocol import RANK
from svtcli.evaluate.weights import I3D_WEIGHTS
from svtcli.run.durable import fingerprint_file
from svtcli.run.progress import counted

if TYPE_CHECKING:
    from svtcli.evaluate.plan import MetricsPlan


def other_actions(samples: Videos) -> str:
    """Names of the sets of actions, if samples follow others than their clips' own."""
    facts = samples.facts
    return "" if not facts or facts.own_actions else ", ".join(facts.action_sets)


def warnings_of(plan: "MetricsPlan") -> tuple[str, ...]:
    """Reasons why the numbers may be uncertain or not comparable with others."""
    samples, reference = plan.fake.videos, plan.real.videos
    warnings = [
        f"{side.name} is lossy: FVD of re-encoded video can be wrong tenfold"
        for side in (samples, reference)
        if side.lossy
    ]
    if followed := other_actions(samples):
        warnings.append(
            f"{samples.name} follows other actions ({followed}) than the clips that it "
            "continues"
        )
    if not plan.settings.distances:
        return tuple(warnings)
    real, fake = len(plan.real.rows), plan.clips_per_trial
    if min(real, fake) <= RANK:
        warnings.append(
            f"{counted(min(real, fake), 'clip')}, and covariances of {RANK} "
            "features: FVD depends "
            "on the number of clips; compare it only with FVD of as many"
        )
    if real != fake:
        warnings.append(f"unequal numbers of clips: {real} real, {fake} sampled")
    if samples.frames != reference.frames:
        warnings.append(
            f"unequal lengths: {counted(reference.frames, 'frame')} real, "
            f"{samples.frames} "
            f"sampled; the first {plan.frames} count"
        )
    if samples.shape[:2] != reference.shape[:2]:
        sizes = [f"{H}x{W}" for H, W, _ in (reference.shape, samples.shape)]
        warnings.append(f"unequal sizes: frames of {sizes[0]} real, {sizes[1]} sampled")
    if samples.shape[2] != reference.shape[2]:
        kinds = [
            "gray" if C == 1 else "colour" for *_, C in (reference.shape, samples.shape)
        ]
        warnings.append(f"{kinds[0]} clips against {kinds[1]} samples")
    warnings += incomparable(plan.settings)
    if plan.i3d is not None and fingerprint_file(plan.i3d) != I3D_WEIGHTS.sha256:
        warnings.append(f"{plan.i3d}: not the published file of weights")
    return tuple(warnings)
