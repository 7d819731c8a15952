"""Temperature, top-k and top-p against a reference that sorts, in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.sample.sampling_rule import SamplingRule, choose

ROWS = {16: 800, 256: 100}
RULES = [
    (1.0, None, None),
    (0.7, 1, None),
    (1.3, 5, None),
    (0.9, None, 0.5),
    (0.9, None, 1e-6),
    (0.9, None, 1.0),
    (0.5, 3, 0.7),
    (0.5, 3, 1.0),
    (2.0, 10**6, 0.9),
    (0.9, 10**6, 1.0),
    (0.0, 2, 0.3),
]


compiled = jax.jit(choose)
"""One program for each kind of rule, for all tests here."""


def kept_values(
    logits: np.ndarray, temperature: float, top_k: int | None, top_p: float | None
) -> np.ndarray:
    """Kept values of one distribution, by the definition."""
    likeliest = np.argsort(-logits, kind="stable")[:top_k]
    if top_p is not None and top_p < 1:
        logits = logits.astype(np.float64)
        if temperature == 0:
            share = (np.arange(len(likeliest)) == 0).astype(float)
        else:
            share = np.exp((logits[likeliest] - logits.max()) / temperature)
        reached = np.cumsum(share / share.sum())
        enough = np.flatnonzero(reached >= np.float32(top_p))
        if len(enough):
            likeliest = likeliest[: enough[0] + 1]
    kept = np.zeros(len(logits), bool)
    kept[likeliest] = True
    return kept


def random_logits(values: int, ties: bool) -> np.ndarray:
    rng = np.random.default_rng(values)
    logits = rng.normal(scale=3, size=(ROWS[values], values)).astype(np.float32)
    return np.round(logits) if ties else logits


def noise_of(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gumbel(size=shape).astype(np.float32)


@pytest.mark.parametrize("ties", [False, True], ids=["no ties", "ties"])
@pytest.mark.parametrize("values", [16, 256])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_codes_are_chosen_from_the_values_that_the_reference_keeps(values, rule, ties):
    logits = random_logits(values, ties)
    noise = noise_of(logits.shape)
    temperature, *_ = rule
    kept = np.stack([kept_values(row, *rule) for row in logits])
    drawn = logits + np.float32(temperature) * noise
    expected = np.where(kept, drawn, -np.inf).argmax(-1)
    chosen = compiled(logits, noise, SamplingRule.of(*rule))
    assert (np.asarray(chosen) == expected).all()
    greedy = temperature == 0
    if not greedy and rule[1:] != (None, None) and rule[1] != 10**6 and rule[2] != 1:
        assert (drawn.argmax(-1) != expected).any()  # something was left out


def test_ties_of_top_k_go_to_the_lower_value():
    logits, noise = np.zeros((800, 16), np.float32), noise_of((800, 16))
    three = compiled(logits, noise, SamplingRule.of(1.0, 3))
    assert set(np.asarray(three).tolist()) == {0, 1, 2}
    half = compiled(logits, noise, SamplingRule.of(1.0, None, 0.5))
    assert set(np.asarray(half).tolist()) == set(range(8))


def test_temperature_zero_takes_the_likeliest_whatever_is_kept():
    logits = random_logits(16, ties=True)
    noise, likeliest = noise_of(logits.shape), logits.argmax(-1)
    for top_k in (None, 1, 7, 16):
        for top_p in (None, 1e-9, 0.5, 1.0):
            chosen = compiled(logits, noise, SamplingRule.of(0.0, top_k, top_p))
            assert (np.asarray(chosen) == likeliest).all()


def tenths() -> tuple[np.ndarray, np.ndarray]:
    """Logits of the first four values for 1, 4, 2 and 3 tenths, and noise."""
    logits = np.full((800, 16), -np.inf, np.float32)
    logits[:, :4] = np.log([0.1, 0.4, 0.2, 0.3])
    return logits, noise_of(logits.shape)


def test_top_p_applies_after_top_k():
    """Top-k 2 of 4, 3, 2, 1 tenths leaves 4 and 3 of 7: the first has 0.57."""
    logits, noise = tenths()

    def values(top_k, top_p):
        chosen = compiled(logits, noise, SamplingRule.of(1.0, top_k, top_p))
        return set(np.asarray(chosen).tolist())

    assert values(None, 0.5) == {1, 3}
    assert values(2, 0.5) == {1}
    assert values(2, 0.6) == {1, 3}


def test_a_top_p_of_one_leaves_out_no_value_however_rare():
    logits, noise = (np.zeros((800, 16), np.float32) for _ in range(2))
    logits[:, 1], noise[:, 1] = -30, 60  # before it, shares add up to 1 in float32
    for top_k in (None, 16):
        assert (compiled(logits, noise, SamplingRule.of(1.0, top_k, 1.0)) == 1).all()


def test_temperature_applies_before_top_p():
    logits, noise = tenths()
    hot = compiled(logits, noise, SamplingRule.of(100.0, None, 0.8))
    cold = compiled(logits, noise, SamplingRule.of(0.1, None, 0.8))
    assert set(np.asarray(hot).tolist()) == {0, 1, 2, 3}
    assert set(np.asarray(cold).tolist()) == {1}


def test_top_k_and_top_p_do_not_change_the_noise():
    """A value that the rule keeps is drawn where the free draw was it."""
    logits = random_logits(16, ties=False)
    noise = noise_of(logits.shape)
    free = np.asarray(
        compiled(jnp.asarray(logits), jnp.asarray(noise), SamplingRule.of(1.0))
    )
    rule = (1.0, 6, 0.8)
    bound = np.asarray(
        compiled(jnp.asarray(logits), jnp.asarray(noise), SamplingRule.of(*rule))
    )
    kept = np.stack([kept_values(row, *rule) for row in logits])
    among = kept[np.arange(len(free)), free]
    assert 0 < among.sum() < len(free)
    assert (free == bound)[among].all()


def test_other_values_of_a_rule_compile_nothing():
    logits = random_logits(16, ties=False)
    noise = noise_of(logits.shape)
    fresh = jax.jit(lambda *given: choose(*given))
    for top_k, top_p in [(1, 0.1), (3, 0.9), (16, 1.0)]:
        fresh(logits, noise, SamplingRule.of(0.9, top_k, top_p))
    assert fresh._cache_size() == 1
    fresh(logits, noise, SamplingRule.of(0.9))  # a rule without them is another program
    assert fresh._cache_size() == 2


def test_the_noise_is_not_rounded_to_the_precision_of_the_logits():
    """Two values that bfloat16 cannot tell apart once the noise is added."""
    logits = jnp.asarray(np.array([64.0, 64.0]), jnp.bfloat16)
    noise = jnp.array([0.0, 1e-3], jnp.float32)
    assert int(compiled(logits, noise, SamplingRule.of(1.0))) == 1
    assert int(compiled(logits, noise, SamplingRule.of(1.0, 2, 1.0))) == 1
