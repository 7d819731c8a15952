"""Why a result has to be made again: what differs from the one that is there.

The newest result of a run is compared with what its recipe asks for now.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from svtcli.evaluate.plan import LikelihoodPlan
from svtcli.evaluate.trials import TrialsPlan
from svtcli.sample.stage import SamplePlan

UNSEEN = "the weights or the clips have changed"
"""Nothing that a result says of itself differs; but its fingerprint does."""


def why_samples(plan: SamplePlan) -> str | None:
    """What differs from the run's newest samples; None where it has none."""
    files = plan.checkpoint.run.samples.glob("*/samples.json")
    return _why(_read(files), _of_samples(plan))


def why_evaluation(plan: LikelihoodPlan | TrialsPlan) -> str | None:
    """What differs from the run's newest result of this kind and split, or None."""
    compared = isinstance(plan, TrialsPlan)
    asked = _of_trials(plan) if isinstance(plan, TrialsPlan) else _of_scores(plan)
    alike = [
        facts
        for facts in _read(plan.out.parent.glob("*.json"))
        if (facts.get("kind") == "comparison") is compared
        and facts.get("split") == asked["split"]
    ]
    return _why(alike, asked)


def _why(results: list[dict[str, Any]], asked: Mapping[str, Any]) -> str | None:
    """In what the newest of `results` is not what is asked for; None without any."""
    if not results:
        return None
    there = results[-1]
    differ = [
        f"{key}: {_said(there[key])} then, {_said(value)} now"
        for key, value in asked.items()
        if key in there and there[key] != value
    ]
    return "; ".join(differ) or UNSEEN


def _read(files: Iterable[Path]) -> list[dict[str, Any]]:
    """What is in the files, the newest last; what cannot be read is passed over."""
    found = []
    for file in sorted(files, key=lambda file: (file.stat().st_mtime_ns, file)):
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(facts, dict):
            found.append(_flat(facts))
    return found


def _flat(facts: dict[str, Any]) -> dict[str, Any]:
    """What a file says, by the names of a recipe's keys."""
    flat = dict(facts)
    for inner in ("settings", "made"):
        for key, value in (facts.get(inner) or {}).items():
            flat.setdefault(key, value)
    if isinstance(clips := flat.get("clips"), list):
        flat["clips"] = len(clips)
    if isinstance(rows := flat.get("rows"), list):
        flat["models"] = [row.get("model") for row in rows]
    return flat


def _said(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


def _of_samples(plan: SamplePlan) -> dict[str, Any]:
    """What its `samples.json` would say."""
    settings = plan.settings
    return {
        "step": plan.checkpoint.step,
        "clips": len(plan.numbers),
        "prime": plan.prime,
        "frames": plan.frames,
        "overlap": plan.overlap,
        "temperature": settings.temperature,
        "seed": settings.seed,
        "split": settings.split,
        "top_k": settings.top_k,
        "top_p": settings.top_p,
        "precision": settings.precision,
    }


def _of_scores(plan: LikelihoodPlan) -> dict[str, Any]:
    return {
        "step": plan.checkpoint.step,
        "split": plan.settings.split,
        "clips": len(plan.numbers),
        "prime": plan.prime,
        "frames": plan.frames,
        "overlap": plan.overlap,
        "precision": plan.settings.precision,
        "models": list(plan.models),
    }


def _of_trials(plan: TrialsPlan) -> dict[str, Any]:
    compared = plan.comparison
    return _of_samples(plan.samples) | {
        "metrics": list(compared.settings.metrics),
        "trials": compared.settings.trials,
        "per_prime": compared.settings.per_prime,
        "window": compared.settings.window,
        "stride": compared.settings.stride,
        "resize": compared.settings.resize,
        "gray": compared.settings.gray,
        "lpips": compared.settings.lpips,
    }
