"""The paper's recipes: its models, its training, what its tables and figures need."""

import re
from dataclasses import replace
from math import prod

import pytest

from svtcli.evaluate import paper_table
from svtcli.model.connectivity import connectivity
from svtcli.model.flops import training_flops
from svtcli.model.svt import parameter_count
from svtcli.model.windows import windows
from svtcli.prepare.plan import spec_of
from svtcli.recipe.data import (
    BairData,
    KineticsData,
    MovingMnistData,
    RobotPushData,
)
from svtcli.recipe.load import (
    load_recipe,
    load_variants,
    read_about,
    shipped_recipes,
)
from svtcli.recipe.schema import Train
from tests.paper_models import PAPER, with_first_slice_decoder

GRAY = {"channels": 1, "loss": "deterministic"}
TWENTY = {"video": (20, 64, 64), "s": (5, 2, 2)}
MODELS = {
    "bair_single_frame": PAPER["single_frame"],
    "bair_spatial": PAPER["spatial"],
    "bair_spatiotemporal": PAPER["spatiotemporal"],
    "bair_large": PAPER["spatiotemporal_large"],
    "bair_ablations": PAPER["spatiotemporal"],
    "kinetics_single_frame": PAPER["single_frame"],
    "kinetics_spatial": with_first_slice_decoder(PAPER["spatial"]),
    "kinetics_spatiotemporal": with_first_slice_decoder(PAPER["spatiotemporal"]),
    "kinetics_single_frame_large": PAPER["single_frame_large"],
    "kinetics_large": with_first_slice_decoder(PAPER["spatiotemporal_large"]),
    "moving_mnist_single_frame": replace(
        PAPER["single_frame"], video=(20, 64, 64), s=(20, 1, 1), **GRAY
    ),
    "moving_mnist_spatial": replace(PAPER["spatial"], **GRAY),
    "moving_mnist_spatiotemporal": replace(PAPER["spatiotemporal"], **TWENTY, **GRAY),
    "robot_push_large": replace(PAPER["spatiotemporal_large"], **TWENTY, actions=5),
}
MILLIONS = {
    "bair_single_frame": 46.0,
    "bair_spatial": 45.9,
    "bair_spatiotemporal": 46.1,
    "bair_large": 373.4,
    "kinetics_spatiotemporal": 91.6,
    "kinetics_large": 742.2,
    "robot_push_large": 373.5,
}
CLIPS = {
    "bair": BairData("bair"),
    "kinetics": KineticsData("kinetics"),
    "moving-mnist": MovingMnistData("moving-mnist"),
    "robot-push": RobotPushData("robot-push"),
}
"""What `svt prepare KIND` makes of no flags, in clips/KIND."""
SCORES = {
    "bair_single_frame": ("1.49", "104±4", "99±2"),
    "bair_spatial": ("1.57", "111±4", "108±1"),
    "bair_spatiotemporal": ("1.53", "106±3", "106±2"),
    "bair_large": ("1.35", "94±2", "96±2"),
    "kinetics_single_frame": ("1.40", "243±6", "413±11"),
    "kinetics_spatial": ("1.47", "263±6", "450±15"),
    "kinetics_spatiotemporal": ("1.49", "195±7", "375±11"),
    "kinetics_single_frame_large": ("1.14", "207±8", "353±13"),
    "kinetics_large": ("1.19", "170±5", "316±12"),
    "moving_mnist_single_frame": ("86.2", "85.1"),
    "moving_mnist_spatial": ("91.8", "85.1"),
    "moving_mnist_spatiotemporal": ("90.0", "85.1"),
    "robot_push_large": ("0.51", "0.47"),
}
TABLE_3 = {
    ("layers", 4): 1.63,
    ("layers", 16): 1.48,
    ("layers", 24): 1.45,
    ("heads", 4): 1.59,
    ("heads", 16): 1.51,
    ("heads", 24): 1.47,
    ("width", 256): 1.65,
    ("width", 1024): 1.47,
    ("width", 2048): 1.40,
}


def recipe(name: str, *overrides: str):
    return load_recipe(name, overrides).recipe


def header(name: str) -> str:
    """The comment that a recipe opens with, without its `#`."""
    lines = shipped_recipes()[name].read_text(encoding="utf-8").splitlines()
    end = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(line[1:] for line in lines[:end])


def test_the_recipes_of_the_paper_are_shipped():
    own = {"quickstart", "moving_mnist_small", "moving_mnist_digits", "bair_few_steps"}
    own |= {"push", "push_small", "push_ablations"}
    assert set(MODELS) | own == set(shipped_recipes())


def test_a_base_model_with_other_blocks_takes_fewer_steps_to_sample():
    few = connectivity(recipe("bair_few_steps").model)
    paper = connectivity(recipe("bair_spatiotemporal").model)
    assert (few.steps, paper.steps) == (362, 1373)
    assert f"{few.steps} parallel steps" in header("bair_few_steps")
    shares = f"{few.share:.0%} of the earlier", f"instead of {paper.share:.0%}"
    said = header("bair_few_steps").replace(" %", "%")
    assert all(share in said for share in shares)


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_a_recipe_opens_with_needs_data_scores_and_command(name):
    said = header(name)
    for word in ("needs", "data", "scores", "command"):
        assert re.search(rf"^ {word} {{2,}}\S", said, re.M), word
    verbs = ("run", "train", "sweep")
    assert any(f"svt {verb} {name}" in said for verb in verbs)
    assert 20 < len(read_about(shipped_recipes()[name])) <= 88


@pytest.mark.parametrize("name", MODELS)
def test_every_size_is_the_paper_s(name):
    assert recipe(name).model == MODELS[name]


@pytest.mark.parametrize("name", MILLIONS)
def test_the_parameters_count_to_the_paper_s_number(name):
    count = parameter_count(recipe(name).model)
    assert round(count / 1e6, 1) == MILLIONS[name]


@pytest.mark.parametrize("name", SCORES)
def test_the_header_tells_the_paper_s_scores(name):
    said = header(name).partition(" scores ")[2]
    for score in SCORES[name]:
        assert re.search(rf"(?<![\d.]){re.escape(score)}(?!\d)", said), score


@pytest.mark.parametrize("name", MODELS)
def test_training_is_the_paper_s(name):
    train = recipe(name).train
    large = name.endswith("large")
    own = Train()
    assert train.steps == (1_000_000 if large else 300_000)
    assert train.batch == (256 if large and "kinetics" in name else 64)
    assert (train.optimizer, train.learning_rate) == ("rmsprop", 2e-5)
    assert (train.decay, train.momentum, train.schedule) == (0.95, 0.9, "constant")
    assert (train.epsilon, train.warmup, train.clip_norm) == (own.epsilon, 0, None)
    assert (train.weight_decay, train.ema, train.accumulate) == (0.0, 0.0, 1)
    assert (train.precision, train.remat) == ("bfloat16", True)
    assert train.validate_every is not None


@pytest.mark.parametrize("name", MODELS)
def test_one_preparation_without_flags_serves_all_recipes_of_a_dataset(name):
    data = recipe(name).data
    assert data.clips == f"clips/{data.kind}"
    assert spec_of(data) == spec_of(CLIPS[data.kind])


@pytest.mark.parametrize(
    ("dataset", "train", "sample", "scored"),
    [
        ("bair", 1, (1, 30), (1, 16)),
        ("kinetics", 1, (5, 16), (1, 16)),
        ("moving_mnist_s", 10, (10, 20), (10, 20)),
        ("robot_push", 2, (None, None), (None, None)),
    ],
)
def test_given_frames_are_the_paper_s(dataset, train, sample, scored):
    for name in (name for name in MODELS if name.startswith(dataset)):
        found = recipe(name)
        # A window of four frames cannot be given ten.
        assert found.train.prime == (3 if name == "moving_mnist_spatial" else train)
        assert (found.sample.prime, found.sample.frames) == sample
        assert (found.eval.prime, found.eval.frames) == scored
        assert found.sample.temperature == 0.9
        assert found.eval.clips == (256 if name == "bair_ablations" else None)


@pytest.mark.parametrize(
    ("dataset", "prime"), [("bair", 1), ("kinetics", 5)], ids=["bair", "kinetics"]
)
def test_fvd_is_measured_as_the_paper_did(dataset, prime):
    for name in (name for name in MODELS if name.startswith(dataset)):
        found = recipe(name)
        if name == "bair_ablations":  # Table 3 has bits/dim only
            assert found.eval.metrics == ("likelihood",)
            continue
        assert found.eval.metrics == ("likelihood", "fvd", "fvd-avg")
        assert (found.eval.videos, found.eval.trials) == (256, 20)
        assert found.eval.per_prime == 1
        assert (found.eval.window, found.eval.stride) == (16, 1)
        assert found.eval.resize == "tf1"
        trials = found.eval.trial_samples(found.sample)
        assert (trials.prime, trials.frames) == (prime, 30)
        assert (trials.count, trials.per_prime, trials.temperature) == (256, 20, 0.9)
        assert (trials.subset, trials.match) == (None, "")


def test_the_variants_of_push_small_have_equal_sizes_and_budgets():
    found = [loaded.recipe for loaded in load_variants("push_small").values()]
    assert {r.model.s for r in found} == {(4, 2, 2), (4, 1, 1), (1, 2, 2)}
    sizes = [parameter_count(r.model) for r in found]
    flops = [training_flops(r.model, r.train.batch) for r in found]
    pixels = {r.train.batch * prod(r.model.slice_shape) for r in found}
    attended = {prod(b) for r in found for b in r.model.blocks}
    assert max(sizes) < 1.06 * min(sizes)
    assert max(flops) < 1.08 * min(flops)
    assert (pixels, attended, {r.train.steps for r in found}) == (
        *({4096}, {256}, {found[0].train.steps}),
    )


def test_the_ablations_of_push_small_change_one_thing_each():
    small = recipe("push_small")
    found = {
        name: loaded.recipe for name, loaded in load_variants("push_ablations").items()
    }
    base, orders = (
        found.pop("base"),
        (found.pop("columns_first"), found.pop("rows_first")),
    )
    assert (base.model, base.data) == (small.model, small.data)
    assert base.train == replace(small.train, steps=500)
    for name, each in found.items():
        own = vars(each.model).items() - vars(base.model).items()
        kept = {key for key, _ in own}
        layers = {"encoder_layers", "decoder_layers"}
        assert kept == {"d": {"d"}, "l": layers, "n": {"na"}}[name[0]]
        assert {str(value) for _, value in own} == {name.lstrip("dlna")}
        assert each.train == base.train
    spatiotemporal = load_variants("push_small")["spatiotemporal"].recipe.model
    assert orders[0].model == spatiotemporal
    assert orders[1].model == replace(
        spatiotemporal, blocks=spatiotemporal.blocks[::-1]
    )


def test_quickstart_compares_the_samples_that_it_shows():
    found = recipe("quickstart")
    assert found.eval.trial_samples(found.sample) == found.sample


@pytest.mark.parametrize("name", MODELS)
def test_windows_make_every_frame_that_is_sampled_and_scored(name):
    found = recipe(name)
    trials = found.eval.trial_samples(found.sample)
    for section in (found.sample, found.eval, trials):
        lengths = found.resolved(section)
        prime, frames = lengths.prime, lengths.frames
        laid = windows(found.model, frames, prime, lengths.overlap)
        made = [t for w in laid for t in range(w.start + w.prime, w.start + w.stop)]
        assert made == list(range(prime, frames))


def test_splits_and_subsets_are_the_paper_s():
    assert recipe("kinetics_large").sample.subset == "cooking"
    assert recipe("kinetics_large").eval.subset is None
    push = recipe("robot_push_large")
    assert (push.sample.split, push.eval.split) == ("test-seen", "test-seen")
    assert push.eval.also == ("test-novel",)
    assert recipe("bair_ablations").eval.split == "val"
    assert recipe("bair_spatiotemporal").eval.split == "test"


def test_table_3_is_the_variants_of_a_recipe():
    scores = {}
    for name, loaded in load_variants("bair_ablations").items():
        model, base, changed = loaded.recipe.model, PAPER["spatiotemporal"], {}
        row = paper_table.published(loaded.recipe, "val")
        text = shipped_recipes()["bair_ablations"].read_text(encoding="utf-8")
        shown = re.search(rf"^  {name}: {{.*}}  # (\S+)$", text, re.M)
        if not shown:
            continue
        assert row is not None
        assert (row.table, row.likelihood) == ("Table 3", float(shown[1]))
        if model.encoder_layers != base.encoder_layers:
            assert model.encoder_layers == model.decoder_layers
            changed["layers"] = model.encoder_layers
        if model.na != base.na:
            changed["heads"] = model.na
        if model.d != base.d:
            changed["width"] = model.d
        scores[tuple(changed.items())] = row.likelihood
    expected = {((key, value),): score for (key, value), score in TABLE_3.items()}
    assert scores == {**expected, (): 1.55}


def test_the_further_ablations_change_what_they_say():
    base = recipe("bair_ablations")
    found = load_variants("bair_ablations")
    order, adam, dilated = (found[name].recipe for name in ("order", "adam", "dilated"))
    assert sorted(order.model.blocks) == sorted(base.model.blocks)
    assert order.model.blocks != base.model.blocks
    assert adam.train.optimizer == "adam"
    assert any(hasattr(block, "dilated") for block in dilated.model.blocks)


def test_the_paper_s_rows_are_found_by_the_kind_of_their_data():
    """The lookup leaves out recipes of other kinds by their names."""
    shipped = {name.partition(" ")[0] for name in paper_table.PAPER}
    for name in shipped:
        kind = load_recipe(name).recipe.data.kind
        assert name.startswith(kind.replace("-", "_"))
