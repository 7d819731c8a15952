"""Numbers of docs/experiments.md: those of the files beside it."""

import json
from csv import DictReader
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_table_2_states_the_kept_scores():
    text = (DOCS / "experiments.md").read_text(encoding="utf-8")
    files = sorted((DOCS / "experiments/table2").glob("*/eval.json"))
    assert files
    for scored in files:
        kept = json.loads(scored.read_text(encoding="utf-8"))
        (row,) = (each for each in kept["rows"] if each["model"] == "trained")
        name = f"table2/{scored.parent.name}`"
        (line,) = (each for each in text.splitlines() if name in each)
        bound = kept["lower_bound"]
        mean = f"{row['mean']:.1f} ± {row['error']:.1f} ({kept['clips']} clips)"
        above = f"{(row['mean'] / bound - 1):.1%}".replace("%", " %")
        assert f"| {mean} | {bound:.1f} | {above} |" in line


def test_push_small_states_the_kept_scores():
    text = (DOCS / "experiments.md").read_text(encoding="utf-8")
    kept = DOCS / "experiments/push_small"
    for split in ("seen", "novel"):
        scored = json.loads((kept / f"likelihood-{split}.json").read_text("utf-8"))
        samples = json.loads((kept / f"samples-{split}.json").read_text("utf-8"))
        (row,) = scored["rows"]
        fvd = samples["fvd"]["distances"]["fvd"]["mean"]
        psnr, ssim = (
            samples["quality"][metric]["mean_of_k"] for metric in ("psnr", "ssim")
        )
        assert (
            f"| `test-{split}` | {row['mean']:.3f} ± {row['error']:.3f} | {fvd:.0f} "
            f"| {psnr:.1f} | {ssim:.3f} |"
        ) in text


def test_the_readme_states_the_kept_scores_of_push_small():
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8").replace("\n", " ")
    kept = DOCS / "experiments/push_small"
    scored = json.loads((kept / "likelihood-seen.json").read_text("utf-8"))
    samples = json.loads((kept / "samples-seen.json").read_text("utf-8"))
    bits, fvd = scored["rows"][0]["mean"], samples["fvd"]["distances"]["fvd"]["mean"]
    assert f"{bits:.3f} bits/dim on held-out clips, FVD {fvd:.0f}." in readme


def test_the_arm_states_the_kept_validation_curve():
    text = (DOCS / "experiments.md").read_text(encoding="utf-8")
    lines = (DOCS / "experiments/push/metrics.jsonl").read_text("utf-8").splitlines()
    key = "validation_bits_per_dim"
    curve = [f"{row[key]:.3f}" for row in map(json.loads, lines) if key in row]
    assert len(curve) == 5
    assert f"| bits/dim, 16 validation clips | {' | '.join(curve)} |" in text


def test_table_1_states_the_kept_scores():
    text = (DOCS / "experiments.md").read_text(encoding="utf-8")
    kept = (DOCS / "experiments/table1/table.csv").read_text(encoding="utf-8")
    rows = list(DictReader(kept.splitlines()))
    cool, warm = (
        [row for row in rows if row["sample.temperature"] == each]
        for each in ("0.9", "1")
    )
    assert len(cool) == len(warm) == 4

    def stated(row, metric, digits):
        key = f"test-seen.{metric}"
        return " ± ".join(f"{float(row[k]):.{digits}f}" for k in (key, f"{key} spread"))

    for one, other in zip(cool, warm, strict=True):
        cells = [
            one["variant"].replace("_", " "),
            stated(one, "bits_per_dim", 3),
            *(stated(each, "fvd", 0) for each in (one, other)),
            stated(one, "psnr", 2),
            stated(one, "ssim", 3),
        ]
        assert f"| {' | '.join(cells)} |" in text


def test_table_3_states_the_kept_scores():
    text = (DOCS / "experiments.md").read_text(encoding="utf-8")
    kept = (DOCS / "experiments/table3/table.csv").read_text(encoding="utf-8")
    rows = list(DictReader(kept.splitlines()))
    assert [row["variant"] for row in rows] == [
        "base",
        "d64",
        "d256",
        "l1",
        "l4",
        "na1",
    ]
    scores = [f"{float(row['test-seen.bits_per_dim']):.3f}" for row in rows]
    assert f"| here | {' | '.join(scores)} |" in text
