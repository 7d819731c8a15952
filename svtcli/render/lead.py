"""Sentences at the top of the report page: what one sees in its videos."""

from collections.abc import Sequence

from svtcli.render.groups import TRUTH, Group
from svtcli.run.progress import plural
from svtcli.run.samples import SampleFacts

WORDS = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve"),
)
"""Numbers in words."""


def lead(groups: Sequence[Group], models: Sequence[SampleFacts]) -> tuple[str, ...]:
    """What the models saw and sampled, and under which actions; () without a sample."""
    rows, prime = groups[0].rows, groups[0].prime
    samples = sum(not row.label.startswith(TRUTH) for row in rows)
    if not samples or prime >= len(rows[0].video):
        return ()
    who = "Each model" if len(models) > 1 else "The model"
    saw = f"the {_number(prime, 'amber frame')}{_commanded(models, groups[0].arrows)}"
    invented = f"{who} saw {saw}; it invented the rest."
    return (invented, _beside(samples, models)) if samples < len(rows) else (invented,)


def _number(number: int, thing: str) -> str:
    """Number of things, small ones in words."""
    word = WORDS[number] if number < len(WORDS) else f"{number}"
    return f"{word} {plural(number, thing)}"


def _commanded(models: Sequence[SampleFacts], arrows: bool) -> str:
    if not any(each.action_sets for each in models):
        return ""
    return f" and the action commanded in every frame{' (the arrow)' if arrows else ''}"


def _beside(samples: int, models: Sequence[SampleFacts]) -> str:
    """The samples that play beside the ground truth."""
    if samples == 1:
        return "Beside the ground truth plays one future that the model finds likely."
    number = _number(samples, "sample")
    if len(models) > 1:
        several = _number(len(models), "model")
        return f"Beside the ground truth play {number} of {several}."
    if not models[0].own_actions:
        return f"Beside the ground truth play {number} under different actions."
    return f"Beside the ground truth play {number}: different futures of one start."
