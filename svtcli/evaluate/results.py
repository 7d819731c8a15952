"""A comparison in words: its numbers one by one, and what they depend on."""

from dataclasses import dataclass

from svtcli.evaluate.comparison import Comparison, Fvd
from svtcli.evaluate.fvd.protocol import Spread
from svtcli.evaluate.quality import Quality

NAMES = {"psnr": "PSNR", "ssim": "SSIM", "lpips": "LPIPS"}
SCALES = NAMES | {"psnr": "PSNR, dB"}


@dataclass(frozen=True)
class Finding:
    """One number that was asked for."""

    metric: str
    of: str
    """The first frames, all windows, or which of several samples."""
    value: str
    spread: str
    """± a standard deviation or error; empty where there is none."""
    over: str
    """What `spread` is over, and which of the two it is."""


def findings(compared: Comparison) -> list[Finding]:
    """FVD and its kin, then the metrics of pairs; only what was asked for."""
    found = [] if compared.fvd is None else _distances(compared, compared.fvd)
    clips = compared.samples.clips // compared.per_prime
    for metric, quality in compared.quality.items():
        found += _qualities(SCALES[metric], quality, clips)
    return found


def protocol(compared: Comparison) -> tuple[str, ...]:
    """Whatever a reader has to know to compare the numbers with others."""
    frames = f"samples of {compared.samples.frames} frames"
    if compared.prime is not None:
        frames += f", {compared.prime} of them given"
    if compared.reference.frames != compared.samples.frames:
        frames += f"; clips of {compared.reference.frames}"
    notes = [frames]
    if made := compared.made:
        notes.append(
            f"{', '.join(made.sampling_rule)}, seed {made.seed}, split {made.split}, "
            f"made by {made.run}@{made.step}"
        )
    if fvd := compared.fvd:
        notes += _of_fvd(fvd)
    notes += [
        f"{count(found.capped, 'frame')} of {NAMES[metric]} at the cap of 100 dB"
        for metric, found in compared.quality.items()
        if found.capped
    ]
    return tuple(notes)


def count(number: int, what: str) -> str:
    """`1 clip`, `2 clips`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _distances(compared: Comparison, fvd: Fvd) -> list[Finding]:
    found, first = fvd.distances, f"the first {fvd.window} frames"
    windows = f"{count(len(fvd.starts), 'window')} of {fvd.window} frames"
    named = (
        ("fvd", "FVD", first, found.fvd),
        ("fvd-avg", "FVD (avg)", windows, found.fvd_avg),
        ("kvd", "KVD", first, found.kvd),
    )
    return [
        Finding(name, of, f"{spread.mean:.2f}", _std(spread), _trials(spread))
        for metric, name, of, spread in named
        if metric in compared.settings.metrics
    ]


def _std(spread: Spread) -> str:
    return "" if spread.std is None else f"{spread.std:.2f}"


def _trials(spread: Spread) -> str:
    trials = len(spread.trials)
    return f"{trials} trials (std)" if trials > 1 else "1 trial"


def _qualities(name: str, found: Quality, clips: int) -> list[Finding]:
    """Mean of K and best of K; of a single one there is only the mean."""
    over = f"{clips} clips (s.e.)" if clips > 1 else "1 clip"

    def finding(of: str, mean: float, error: float | None) -> Finding:
        spread = "" if error is None else f"{error:.3f}"
        return Finding(name, of, f"{mean:.3f}", spread, over)

    if found.k == 1:
        return [finding("1 sample each", found.mean_of_k, found.mean_error)]
    return [
        finding(f"mean of {found.k}", found.mean_of_k, found.mean_error),
        finding(f"best of {found.k}", found.best_of_k, found.best_error),
    ]


def _of_fvd(fvd: Fvd) -> list[str]:
    found = fvd.distances
    floor = (
        "no floor: that takes twice as many clips as samples"
        if fvd.floor is None
        else f"clips against other clips (the floor): {fvd.floor:.2f}"
    )
    network = f"{fvd.resize} resizing to 224, I3D {fvd.weights[:12]}"
    parts = f"means {found.means:.2f} + covariances {found.covariances:.2f}"
    return [
        f"FVD of {fvd.window} frames: {network}, self-test {fvd.constant:.3f}",
        f"FVD is {parts}; {floor}",
    ]
