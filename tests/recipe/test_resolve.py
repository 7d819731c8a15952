"""`Recipe.resolved`: prime, frames and overlap of a section."""

from dataclasses import replace

from svtcli.recipe.load import load_recipe
from svtcli.recipe.resolve import Lengths


def test_none_takes_the_training_s_prime_and_the_model_s_frames():
    recipe = load_recipe("bair_large", ["train.prime=2"]).recipe
    assert recipe.resolved(replace(recipe.eval, prime=None)) == Lengths(2, 16, 2)


def test_a_section_s_own_lengths_come_first():
    recipe = load_recipe("bair_large").recipe
    sample = replace(recipe.sample, prime=3, frames=30, overlap=5)
    assert recipe.resolved(sample) == Lengths(3, 30, 5)


def test_trials_take_their_lengths_from_eval_then_from_sample():
    recipe = load_recipe("bair_large").recipe
    sample = replace(recipe.sample, prime=3, frames=30, overlap=5)
    trials = replace(recipe.eval, sampled_prime=4).trial_samples(sample)
    assert recipe.resolved(trials) == Lengths(4, 30, 5)
