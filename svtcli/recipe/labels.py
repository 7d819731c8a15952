"""Filters of clips by label: the paper's cooking videos, or a regular expression."""

import re
from typing import Literal

Subset = Literal["cooking"]
SUBSETS: dict[Subset, str] = {
    "cooking": (
        ".*(baking|barbequing|breading|cooking|cutting|pancake|vegetables|meat|cake|"
        "sandwich|pizza|sushi|tea|peeling|fruit|eggs|salad).*"
    ),
}
"""The paper's cooking videos: 29 of Kinetics' 600 classes match (appendix E)."""


def label_pattern(subset: Subset | None, match: str) -> re.Pattern[str] | None:
    """Pattern that a label must match from its start; None lets every clip pass.

    At most one of the two is given. Errors: `re.error`.
    """
    if subset is not None:
        return re.compile(SUBSETS[subset])
    return re.compile(match) if match else None


def label_problems(subset: Subset | None, match: str) -> dict[str, str]:
    """Problems of a filter of labels, by key."""
    if subset is not None and match:
        return {"match": "cannot be combined with subset"}
    try:
        label_pattern(subset, match)
    except re.error as error:
        return {"match": f"not a regular expression: {error}"}
    return {}
