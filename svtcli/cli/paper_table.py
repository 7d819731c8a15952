"""`svt eval --table`: what runs have reached beside the paper's table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from svtcli.cli import console
from svtcli.cli.scores import UNITS
from svtcli.recipe.paper import OTHERS, Published

if TYPE_CHECKING:
    from svtcli.evaluate.fvd.protocol import Spread
    from svtcli.evaluate.paper_table import Line

COLUMNS = ("model", "split", "likelihood", "FVD", "FVD (avg)", "protocol")
NONE = "-"


def paper_table(lines: Sequence["Line"]) -> str:
    """Ours, the paper's below it; in the end what the paper compares itself with."""
    rows: list[tuple[str, ...]] = []
    for line in lines:
        rows.append(_ours(line))
        if line.paper:
            rows.append(_theirs("  the paper", line.split, line.paper))
    kinds = dict.fromkeys(line.checkpoint.recipe.data.kind for line in lines)
    for kind in kinds:
        for name, published in OTHERS.get(kind, {}).items():
            rows.append(_theirs(name, published.split, published))
    return console.table("", COLUMNS, rows)


def paper_data(lines: Sequence["Line"]) -> list[dict[str, Any]]:
    """The same for --json."""
    return [
        {
            "run": line.checkpoint.run.name,
            "step": line.checkpoint.step,
            "split": line.split,
            "likelihood": line.likelihood and line.likelihood.mean,
            "fvd": line.fvd and line.fvd.mean,
            "fvd_std": line.fvd and line.fvd.std,
            "fvd_avg": line.fvd_avg and line.fvd_avg.mean,
            "fvd_avg_std": line.fvd_avg and line.fvd_avg.std,
            "protocol": _protocol(line),
            "paper": vars(line.paper) if line.paper else None,
        }
        for line in lines
    ]


def _ours(line: "Line") -> tuple[str, ...]:
    likelihood = NONE
    if line.scored and (row := line.likelihood):
        error = "" if row.error is None else f" ± {row.error:.3f}"
        likelihood = f"{row.mean:.3f}{error} {UNITS[line.scored.unit]}"
    numbers = (likelihood, _spread(line.fvd), _spread(line.fvd_avg))
    return (line.checkpoint.name, line.split, *numbers, _protocol(line))


def _spread(spread: "Spread | None") -> str:
    if spread is None:
        return NONE
    std = "" if spread.std is None else f" ± {spread.std:.1f}"
    return f"{spread.mean:.1f}{std}"


def _protocol(line: "Line") -> str:
    """What our numbers depend on, in short."""
    said = []
    if scored := line.scored:
        frames = f"frames {scored.prime + 1}-{scored.frames}"
        said.append(f"likelihood: {scored.clips} clips, {frames}")
    if (compared := line.compared) and (fvd := compared.fvd):
        temperature = compared.made.temperature if compared.made else "?"
        said.append(
            f"FVD: {compared.samples.clips} clips x {compared.trials}, prime "
            f"{compared.prime}, T {fvd.window} of {compared.samples.frames}, "
            f"temperature {temperature}, {fvd.resize}"
        )
    else:
        said.append("no FVD yet: svt eval RUN --metric fvd,fvd-avg")
    return "; ".join(said)


def _theirs(name: str, split: str, published: Published) -> tuple[str, ...]:
    likelihood = NONE if published.likelihood is None else f"{published.likelihood}"
    numbers = (
        NONE
        if spread is None
        else f"{spread[0]:g}" + ("" if spread[1] is None else f" ± {spread[1]:g}")
        for spread in (published.fvd, published.fvd_avg)
    )
    return (name, split, likelihood, *numbers, published.protocol)
