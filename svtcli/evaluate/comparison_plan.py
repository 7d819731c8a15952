"""What a comparison of samples with clips will compare, and what cannot be compared."""

from dataclasses import dataclass, replace
from pathlib import Path

from svtcli.evaluate.comparison import compared, read_comparison
from svtcli.evaluate.foreign import Videos
from svtcli.evaluate.fvd.distances import Part, spread_evenly
from svtcli.evaluate.fvd.i3d import FEWEST_FRAMES, PUBLISHED
from svtcli.evaluate.fvd.protocol import RANK, windows_of
from svtcli.evaluate.lpips import NETS
from svtcli.evaluate.quality import WINDOW
from svtcli.evaluate.weights import weights_file
from svtcli.failure import Refused
from svtcli.recipe.schema import DISTANCES, METRICS, PAIRED, Compare, Metric
from svtcli.run.fingerprint import fingerprint, fingerprint_file


@dataclass(frozen=True)
class ComparisonPlan:
    """What a call of `compare` will compare; making one checks all that it needs."""

    samples: Videos
    reference: Videos
    settings: Compare
    """`trials` and `per_prime` as there are continuations for."""
    prime: int | None
    fake: Part
    real: Part
    others: Part | None
    """Real clips for the floor."""
    i3d: Path | None
    out: Path | None
    """The file of the result; None where it is only told."""
    fingerprint: str
    """Of everything that the numbers depend on; "" where the videos do not tell."""
    warnings: tuple[str, ...]

    @property
    def distances(self) -> bool:
        """FVD, its average or KVD is asked for."""
        return not DISTANCES.isdisjoint(self.settings.metrics)

    @property
    def paired(self) -> tuple[Metric, ...]:
        """The metrics that compare frame by frame."""
        return tuple(each for each in self.settings.metrics if each in PAIRED)

    @property
    def finished(self) -> bool:
        """This very comparison is on disk already."""
        if not self.fingerprint or self.out is None or not self.out.is_file():
            return False
        return read_comparison(self.out).fingerprint == self.fingerprint

    @property
    def starts(self) -> tuple[int, ...]:
        """Where FVD's windows begin: one, unless their average is asked for."""
        frames = min(self.samples.frames, self.reference.frames)
        every = windows_of(frames, self.settings.window, self.settings.stride)
        return tuple(every if "fvd-avg" in self.settings.metrics else every[:1])


def plan_comparison(
    samples: Videos,
    reference: Videos,
    settings: Compare,
    prime: int | None = None,
    clips: int | None = None,
    i3d: Path | None = None,
    out: Path | None = None,
    others: Videos | None = None,
    fingerprint_of_samples: str = "",
) -> ComparisonPlan:
    """Check that the two sides and the settings fit; computes nothing.

    `clips` takes at most so many of each side, `others` has clips for the floor, by
    default the reference's own. Of samples beside their truth the fingerprint is known;
    by default what their folder says. Errors: Refused.
    """
    require_weights(settings, i3d)
    given = _given_frames(samples, prime)
    trials = _trials(samples, settings)
    metrics = tuple(
        each for each in METRICS if each in settings.metrics and each != "likelihood"
    )
    settings = replace(compared(settings), trials=trials, metrics=metrics)
    fake, real = (
        Part(side, spread_evenly(side.count, min(clips or side.count, side.count)))
        for side in (samples, reference)
    )
    plan = ComparisonPlan(
        *(samples, reference, settings, given, fake, real),
        others=None,
        i3d=i3d,
        out=out,
        fingerprint="",
        warnings=(),
    )
    if plan.distances:
        _refuse_no_distance(plan)
        plan = replace(plan, others=_others(plan, others))
    if plan.paired:
        _refuse_unpaired(plan)
    plan = replace(
        plan,
        fingerprint=_fingerprint(plan, fingerprint_of_samples),
        warnings=_warnings(plan),
    )
    if out is not None and out.exists() and not plan.finished:
        raise Refused(
            f"{out}: already there, and not this comparison", "choose another"
        )
    return plan


def _given_frames(samples: Videos, stated: int | None) -> int | None:
    """What is stated, or what the samples say; None where nothing says it."""
    if stated is None:
        return samples.prime
    if samples.prime is not None and stated < samples.prime:
        raise Refused(
            f"--prime {stated}: {samples.prime} frames of {samples.name} were given",
            "leave --prime out, or leave out more frames",
        )
    return stated


def _trials(samples: Videos, settings: Compare) -> int:
    """As many as were asked for, if there are continuations for them."""
    most = samples.continuations // settings.per_prime
    if not most:
        raise Refused(
            f"{samples.name}: {samples.continuations} continuations of each clip, and "
            f"one trial takes {settings.per_prime}",
            "say --per-prime 1",
        )
    return min(settings.trials, most)


def require_weights(settings: Compare, i3d: Path | None = None) -> None:
    """Refuse metrics whose networks are not installed."""
    if not DISTANCES.isdisjoint(settings.metrics):
        weights_file(PUBLISHED, i3d)
    if "lpips" in settings.metrics:
        weights_file(NETS[settings.lpips].published)


def _refuse_no_distance(plan: ComparisonPlan) -> None:
    """What FVD cannot be computed of."""
    frames = min(plan.samples.frames, plan.reference.frames)
    window = plan.settings.window
    if frames < window:
        short = min((plan.samples, plan.reference), key=lambda side: side.frames)
        hint = f"say --window {frames}, or take longer videos"
        few = f"FVD takes {FEWEST_FRAMES} frames or more"
        raise Refused(
            f"{short.name}: {frames} frames, and FVD's window has {window}",
            hint if frames >= FEWEST_FRAMES else few,
        )
    for part, clips in (
        (plan.real, len(plan.real.rows)),
        (plan.fake, len(plan.fake.rows) * plan.settings.per_prime),
    ):
        if clips < 2:
            raise Refused(
                f"{part.videos.name}: one clip has no covariance, which FVD compares",
                "take 2 clips or more (256 are usual)",
            )


def _refuse_unpaired(plan: ComparisonPlan) -> None:
    """What cannot be compared frame by frame."""
    _refuse_small(plan)
    samples, reference = plan.samples, plan.reference
    asked = ", ".join(plan.paired)
    if samples.count != reference.count:
        raise Refused(
            f"{asked}: video n of {samples.name} should continue clip n of "
            f"{reference.name}, but there are {samples.count} and {reference.count}",
            "give as many of both, in the same order, or leave these metrics out",
        )
    if samples.shape != reference.shape:
        raise Refused(
            f"{asked}: frames of {samples.name} are {list(samples.shape)}, of "
            f"{reference.name} {list(reference.shape)} (height, width, channels)",
            "bring both to one size without loss, or leave these metrics out",
        )
    if plan.prime is None:
        raise Refused(
            f"{asked}: how many frames of {samples.name} were given to the model?",
            "say it with --prime (0 for none): given frames do not count",
        )
    frames = min(samples.frames, reference.frames)
    if plan.prime >= frames:
        raise Refused(
            f"{asked}: all {frames} frames are given ones (--prime {plan.prime})"
        )


def _refuse_small(plan: ComparisonPlan) -> None:
    """Frames that a metric cannot look at."""
    sides = {"psnr": 1, "ssim": WINDOW, "lpips": NETS[plan.settings.lpips].smallest}
    H, W, _ = plan.samples.shape
    for metric in plan.paired:
        if min(H, W) < sides[metric]:
            side = sides[metric]
            raise Refused(
                f"{metric} looks at {side}x{side} pixels and frames are only {H}x{W}",
                f"leave {metric} out",
            )


def _others(plan: ComparisonPlan, others: Videos | None) -> Part | None:
    """Twice as many clips as a trial has samples, for the floor."""
    source = plan.reference if others is None else others
    wanted = 2 * len(plan.fake.rows) * plan.settings.per_prime
    if source.count < wanted or source.frames < plan.settings.window:
        return None
    return Part(source, spread_evenly(source.count, wanted))


def _warnings(plan: ComparisonPlan) -> tuple[str, ...]:
    """What makes the numbers incomparable with others', or uncertain."""
    samples, reference = plan.samples, plan.reference
    said = [
        f"{side.name} is lossy: FVD of re-encoded video can be wrong tenfold"
        for side in (samples, reference)
        if side.lossy
    ]
    if not plan.distances:
        return tuple(said)
    real, fake = len(plan.real.rows), len(plan.fake.rows) * plan.settings.per_prime
    if min(real, fake) <= RANK:
        said.append(
            f"{min(real, fake)} clips, and covariances of {RANK} features: FVD depends "
            "on the number of clips; compare it only with FVD of as many"
        )
    if real != fake:
        said.append(f"unequal numbers of clips: {real} real, {fake} sampled")
    if samples.frames != reference.frames:
        said.append(
            f"unequal lengths: {reference.frames} frames real, {samples.frames} "
            f"sampled; the first {min(samples.frames, reference.frames)} count"
        )
    if samples.shape[:2] != reference.shape[:2]:
        sizes = [f"{H}x{W}" for H, W, _ in (reference.shape, samples.shape)]
        said.append(f"unequal sizes: frames of {sizes[0]} real, {sizes[1]} sampled")
    if plan.settings.resize != "tf1":
        said.append("resized as in PyTorch's family: not comparable with the paper's")
    if plan.i3d is not None and fingerprint_file(plan.i3d) != PUBLISHED.sha256:
        said.append(f"{plan.i3d}: not the published file of weights")
    return tuple(said)


def _fingerprint(plan: ComparisonPlan, of_samples: str) -> str:
    """Of everything that the numbers depend on; "" where that is not known."""
    samples, reference = plan.samples.facts, plan.reference.facts
    if not of_samples and samples is not None and samples == reference:
        of_samples = samples.fingerprint
    if not of_samples:
        return ""
    weights = ""
    if plan.distances:
        weights = fingerprint_file(weights_file(PUBLISHED, plan.i3d))
    rows = [part.rows.tolist() for part in (plan.fake, plan.real)]
    return fingerprint("compare", plan.settings, plan.prime, of_samples, rows, weights)
