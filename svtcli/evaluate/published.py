"""The paper's results (Tables 1 and 2, A.2), by the recipe that should reach them.

FVD and its average over all windows are means over 20 trials of 256 videos, ± their
standard deviation, at temperature 0.9; of BAIR after 1 frame, of Kinetics after 5.
bits/dim are after 1 frame, of robot pushing after 2; nats/frame after 10.
"""

from dataclasses import dataclass

Spread = tuple[float, float | None]
"""A mean and its standard deviation, None where none is given."""


@dataclass(frozen=True)
class Published:
    """A row of a table of the paper."""

    table: str
    likelihood: float | None
    """bits/dim, or nats/frame of Moving MNIST."""
    split: str = "test"
    fvd: Spread | None = None
    fvd_avg: Spread | None = None

    @property
    def protocol(self) -> str:
        """How the paper says that it measured."""
        return f"{self.table}: {_PROTOCOLS[self.table]}"


_BAIR, _KINETICS, _DIGITS, _ROBOTS = "Table 1a", "Table 1b", "Table 2", "A.2"

_PROTOCOLS = {
    _BAIR: "256 clips, frames 1-15; FVD: 20 trials, prime 1, T 16, temperature 0.9",
    _KINETICS: "frames 1-15; FVD: 20 trials, prime 5, T 16, temperature 0.9",
    _DIGITS: "10,000 clips, frames 10-19",
    "Table 3": "256 validation clips, frames 1-15",
    _ROBOTS: "frames 2-19",
}

PAPER: dict[str, tuple[Published, ...]] = {
    "bair_single_frame": (
        Published(_BAIR, 1.49, fvd=(104.0, 4.0), fvd_avg=(99.0, 2.0)),
    ),
    "bair_spatial": (Published(_BAIR, 1.57, fvd=(111.0, 4.0), fvd_avg=(108.0, 1.0)),),
    "bair_spatiotemporal": (
        Published(_BAIR, 1.53, fvd=(106.0, 3.0), fvd_avg=(106.0, 2.0)),
    ),
    "bair_large": (Published(_BAIR, 1.35, fvd=(94.0, 2.0), fvd_avg=(96.0, 2.0)),),
    "bair_ablations": (Published("Table 3", 1.55, split="val"),),
    "kinetics_single_frame": (
        Published(_KINETICS, 1.40, fvd=(243.0, 6.0), fvd_avg=(413.0, 11.0)),
    ),
    "kinetics_spatial": (
        Published(_KINETICS, 1.47, fvd=(263.0, 6.0), fvd_avg=(450.0, 15.0)),
    ),
    "kinetics_spatiotemporal": (
        Published(_KINETICS, 1.49, fvd=(195.0, 7.0), fvd_avg=(375.0, 11.0)),
    ),
    "kinetics_single_frame_large": (
        Published(_KINETICS, 1.14, fvd=(207.0, 8.0), fvd_avg=(353.0, 13.0)),
    ),
    "kinetics_large": (
        Published(_KINETICS, 1.19, fvd=(170.0, 5.0), fvd_avg=(316.0, 12.0)),
    ),
    "moving_mnist_single_frame": (Published(_DIGITS, 86.2),),
    "moving_mnist_spatial": (Published(_DIGITS, 91.8),),
    "moving_mnist_spatiotemporal": (Published(_DIGITS, 90.0),),
    "robot_push_large": (
        Published(_ROBOTS, 0.51, split="test-seen"),
        Published(_ROBOTS, 0.47, split="test-novel"),
    ),
}

OTHERS: dict[str, dict[str, Published]] = {
    "bair": {
        "SV2P": Published(_BAIR, None, fvd=(263.0, None)),
        "SAVP": Published(_BAIR, None, fvd=(116.0, None)),
        "VideoFlow": Published(_BAIR, 1.87),
    },
    "moving-mnist": {"VPN": Published(_DIGITS, 87.6)},
}
"""What the paper compares itself with, by kind of data; not strictly comparable."""
