"""Conventions of other projects for FVD: how frames come in, and the covariance.

They share the network and its features (logits before the softmax, averaged over time)
and the Fréchet distance of two Gaussians. Sources, read line by line:
`google-research/frechet_video_distance` with `tensorflow_gan` (tf),
`universome/stylegan-v` `src/metrics`, `songweige/content-debiased-fvd` `cdfvd`,
`wilson1yan/VideoGPT` `videogpt/fvd` and `videogpt/data.py`.
"""

from dataclasses import dataclass
from typing import Literal

from svtcli.failure import Refused
from svtcli.recipe.schema import Compare

Resize = Literal["tf1", "half-pixel", "crop"]
"""Rules that bring frames to I3D's size and range; see `i3d.as_input`."""


@dataclass(frozen=True)
class Convention:
    """What one project computes."""

    resize: Resize
    ddof: int
    """Covariance over N - `ddof` clips."""


CONVENTIONS = {
    "tf": Convention("tf1", 1),
    "stylegan-v": Convention("half-pixel", 0),
    "cd-fvd": Convention("half-pixel", 0),
    "videogpt": Convention("crop", 1),
}


def conventions_of(settings: Compare) -> dict[str, Convention]:
    """Conventions asked for, by name; the first is that of every other number.

    Errors: Refused where `resize` contradicts the convention.
    """
    name = settings.convention
    if settings.resize == "tf1":
        return CONVENTIONS if name == "all" else {name: CONVENTIONS[name]}
    if name != "tf":
        raise Refused(
            f"--resize {settings.resize}: the convention {name} has its own rule",
            "leave out --resize or --convention",
        )
    return {name: Convention("half-pixel", 1)}


def incomparable(settings: Compare) -> list[str]:
    """Warnings of settings other than the published code's."""
    convention = settings.convention
    others = [f"convention {convention}"] if convention not in ("tf", "all") else []
    others += ["half-pixel resizing"] if settings.resize != "tf1" else []
    return [f"{other}: not comparable with the paper's FVD" for other in others]


def resizes_of(conventions: dict[str, Convention]) -> tuple[Resize, ...]:
    """Distinct rules for frames: a pass of the network each."""
    return tuple(dict.fromkeys(each.resize for each in conventions.values()))
