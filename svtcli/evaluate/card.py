"""Result cards: scores with everything that they depend on, to publish and to check.

A JSON card holds the call and its results, settings and hashes included; a Markdown or
LaTeX card a row of them for each set of samples.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import MinLen
from pydantic import TypeAdapter, ValidationError

from svtcli import __version__
from svtcli.evaluate.fvd.statistics import pixels_sha256
from svtcli.evaluate.plan import MetricsPlan
from svtcli.evaluate.results import (
    MetricsResult,
    metric_rows,
    protocol_notes,
    result_data,
)
from svtcli.evaluate.run_scores import text
from svtcli.evaluate.weights import I3D_WEIGHTS, weights_file
from svtcli.failure import BadData, CheckFailed, Refused
from svtcli.recipe.schema import Compare
from svtcli.run.durable import fingerprint_file, write_atomic
from svtcli.video.array_layout import ArrayForm

TOLERANCE = 1e-4
"""Largest difference of equal scores: relative, and absolute below 1."""
LISTED = 5
"""Most differences that a message names."""
_LATEX = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\^{}",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "³": "$^3$",
}


@dataclass(frozen=True)
class SamplesCall:
    """Samples of any model, their reference, and how both are opened and scored."""

    sources: tuple[str, ...]
    reference: str | None
    """None for the samples' own ground truth."""
    settings: dict[str, Any]
    """Keys of the recipe's section `eval`."""
    frames: int | None = None
    prime: int | None = None
    clips: int | None = None
    i3d: str | None = None
    allow_lossy: bool = False
    form: ArrayForm = field(default_factory=ArrayForm)
    """Stated form of arrays of samples."""
    reference_form: ArrayForm = field(
        default_factory=partial(ArrayForm, prefix="--reference-")
    )


@dataclass(frozen=True)
class Card:
    """Contents of a JSON card."""

    call: SamplesCall
    results: Annotated[tuple[MetricsResult, ...], MinLen(1)]
    svt: str = __version__
    """Version of svt."""
    kind: Literal["result card"] = "result card"


_JSON = TypeAdapter(Card)


def write_card(path: Path, card: Card) -> None:
    """Write a card in the format of the file's ending, whole or not at all."""
    if path.suffix == ".json":
        data = _JSON.dump_python(card, mode="json")
        content = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    else:
        headings, rows = _table(card)
        content = (_markdown if path.suffix == ".md" else _latex)(headings, rows)
    write_atomic(path, content)


def read_card(path: Path) -> Card:
    """Read a JSON card. Errors: Refused without the file; BadData for another file."""
    try:
        return _JSON.validate_json(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError) as error:
        raise Refused(f"{path}: no such file", "name a card.json") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        what = " ".join(f"{where} {first['msg']}".split())[:120]
        raise BadData(
            f"{path}: not a result card of this version ({what})",
            "write one: svt eval SAMPLES --reference CLIPS --card card.json",
        ) from error


def check_inputs(path: Path, card: Card, plans: Sequence[MetricsPlan]) -> None:
    """Refuse clips or weights other than the card's, before anything is computed.

    Errors: Refused, with both hashes.
    """
    for plan, result in zip(plans, card.results, strict=True):
        samples, clips = plan.fake, plan.real
        found = [
            (
                f"samples {samples.videos.name}",
                result.samples.pixels,
                pixels_sha256(samples, plan.continuations),
            ),
            (
                f"clips {clips.videos.name}",
                result.reference.pixels,
                pixels_sha256(clips),
            ),
        ]
        if result.fvd:
            sha256 = fingerprint_file(weights_file(I3D_WEIGHTS, plan.i3d))
            found.append(("weights of I3D", result.fvd.weights, sha256))
        for name, sha256 in plan.weights.items():
            found.append((f"weights of {name}", result.weights.get(name, ""), sha256))
        for what, wanted, has in found:
            if wanted != has:
                raise Refused(
                    f"{what}: SHA-256 {has[:12]}, and {wanted[:12]} in {path}",
                    "name the data and weights of the card (SAMPLES, --reference, "
                    "--i3d): nothing was computed",
                )


def compare(path: Path, card: Card, results: Sequence[MetricsResult]) -> int:
    """Compare all scores with the card's; return their number.

    Errors: CheckFailed with those that differ by more than `TOLERANCE`.
    """
    differing, count = [], 0
    for known, found in zip(card.results, results, strict=True):
        was, is_now = (dict(_numbers(each)) for each in (known, found))
        count += len(was)
        for name in dict.fromkeys([*was, *is_now]):
            a, b = was.get(name), is_now.get(name)
            if a is None or b is None or not _close(a, b):
                differing.append(f"{name} {_shown(a)} in the card, {_shown(b)} here")
    if differing:
        more = len(differing) - LISTED
        listed = "; ".join(differing[:LISTED]) + (f"; {more} more" if more > 0 else "")
        raise CheckFailed(
            f"{path}: {len(differing)} of {count} numbers differ by more than "
            f"{TOLERANCE:g}: {listed}",
            "the data and weights are the same: compare the versions of svt and JAX",
        )
    return count


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= TOLERANCE * max(1.0, abs(a), abs(b))


def _shown(number: float | None) -> str:
    return "missing" if number is None else f"{number:.6g}"


def _numbers(result: MetricsResult) -> Iterator[tuple[str, float]]:
    """Yield every score with its name; not the self-test, which is the machine's."""
    data = result_data(result)
    for name, number in _flatten(
        {key: data[key] for key in ("fvd", "quality", "temporal")}
    ):
        if name != "fvd.constant":
            yield name, number


def _flatten(node: object, name: str = "") -> Iterator[tuple[str, float]]:
    match node:
        case dict():
            for key, value in node.items():
                yield from _flatten(value, f"{name}.{key}" if name else str(key))
        case list():
            for number, value in enumerate(node):
                yield from _flatten(value, f"{name}[{number}]")
        case int() | float():
            yield name, float(node)


def _table(card: Card) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row of scores and settings for each set of samples."""
    every = [metric_rows(result) for result in card.results]
    names = [f"{row.metric} ({row.of})" for row in every[0]]
    rows = [
        [
            result.samples.name,
            *(f"{row.value} ± {row.spread}" if row.spread else row.value for row in of),
            "; ".join(_settings(result, card.svt)),
        ]
        for result, of in zip(card.results, every, strict=True)
    ]
    return ["samples", *names, "settings"], rows


def _settings(result: MetricsResult, svt: str) -> Iterator[str]:
    """Yield everything that the scores depend on, in words."""
    for what, side in (("samples", result.samples), ("clips", result.reference)):
        trials = f" x {result.trials} trials" if what == "samples" else ""
        lossy = ", lossy" if side.lossy else ""
        yield f"{side.clips} {what}{trials}, SHA-256 {side.pixels[:12]}{lossy}"
    yield f"clips {result.reference.name}"
    yield from protocol_notes(result)
    for key in fields(Compare):
        value = getattr(result.settings, key.name)
        if value is not None and key.name not in ("metrics", "videos", "trials"):
            yield f"{key.name} {text(value)}"
    yield f"svt {svt}"


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _latex(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    table = str.maketrans(_LATEX)
    lines = [[cell.translate(table) for cell in row] for row in rows]
    return f"% {' & '.join(headings)}\n" + "".join(
        f"{' & '.join(line)} \\\\\n" for line in lines
    )
