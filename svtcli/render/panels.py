"""What curves are drawn of. Apart from the drawing: that takes matplotlib to load."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Curve:
    """One line of a panel; a value that is not finite leaves a gap."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    spread: tuple[float, ...] = ()
    """Half the height of a band around the line; () for none."""
    of: int = 0
    """Whose line it is: curves of one number have one colour."""
    quiet: bool = False
    """Drawn pale and thin, behind the others."""


@dataclass(frozen=True)
class Panel:
    """Axes with curves."""

    title: str
    x_name: str
    y_name: str
    curves: tuple[Curve, ...]
    note: str = ""
    """Small print below the title: what a reader has to know."""
