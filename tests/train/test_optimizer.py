from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from svtcli.recipe.schema import Train
from svtcli.recipe.setting import Misfit
from svtcli.train.state import learning_rate, optimizer


def run(train: Train, gradients: np.ndarray, start: float = 0.5) -> np.ndarray:
    """The parameter after each gradient."""
    params = jnp.full(gradients.shape[1:], start)
    rule = optimizer(train, train.learning_rate)
    state, seen = rule.init(params), []
    for gradient in gradients:
        change, state = rule.update(jnp.asarray(gradient), state, params)
        params = optax.apply_updates(params, change)
        seen.append(np.asarray(params))
    return np.stack(seen)


def some_gradients() -> np.ndarray:
    sizes = np.array([1e-4, 1e-2, 1.0])
    noise = np.random.default_rng(0).normal(size=(6, 3))
    return (noise * sizes).astype(np.float32)


@pytest.mark.parametrize("rate", [2e-5, 0.1])
def test_rmsprop_is_the_formula_of_tf1(rate: float) -> None:
    """ms ← ρ ms + (1−ρ) g², from 1; m ← μ m + rate · g / √(ms + ε), from 0."""
    rho, mu, epsilon = 0.95, 0.9, 1e-10
    squares, momentum, params = np.ones(3), np.zeros(3), np.zeros(3)
    ours = run(Train(learning_rate=rate), some_gradients(), start=0.0)
    for gradient, params_then in zip(some_gradients(), ours, strict=True):
        squares = rho * squares + (1 - rho) * gradient.astype(float) ** 2
        momentum = mu * momentum + rate * gradient / np.sqrt(squares + epsilon)
        params = params - momentum
        np.testing.assert_allclose(params_then, params, rtol=3e-6)


def test_adamw_needs_no_other_key() -> None:
    """β₁ and β₂ of GPT-3 and LLaMA, and an ε that is too small to matter."""
    ours = run(Train(learning_rate=0.1, optimizer="adamw"), some_gradients())
    rule = optax.adamw(0.1, b1=0.9, b2=0.95, eps=1e-8, weight_decay=0.0)
    params = jnp.full(3, 0.5)
    state = rule.init(params)
    for gradient, params_then in zip(some_gradients(), ours, strict=True):
        change, state = rule.update(jnp.asarray(gradient), state, params)
        params = optax.apply_updates(params, change)
        np.testing.assert_allclose(params_then, params, rtol=1e-3)


def test_every_setting_of_every_optimizer_has_an_effect() -> None:
    gradients = some_gradients()
    for changed in (
        {"optimizer": "rmsprop", "momentum": 0.0},
        {"optimizer": "rmsprop", "decay": 0.5},
        {"optimizer": "rmsprop", "epsilon": 1.0},
        {"optimizer": "adam", "momentum": 0.5},
        {"optimizer": "adam", "decay": 0.5},
        {"optimizer": "adam", "epsilon": 1.0},
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"optimizer": "adam", "clip_norm": 1e-9},
    ):
        plain = Train(learning_rate=0.1, optimizer=changed["optimizer"])
        other = Train(learning_rate=0.1, **changed)
        assert not np.allclose(run(plain, gradients), run(other, gradients)), changed


def test_adam_is_optax_adam_with_the_recipe_s_names() -> None:
    train = Train(optimizer="adam", learning_rate=0.1, momentum=0.8, decay=0.99)
    rule, params = optax.adam(0.1, b1=0.8, b2=0.99, eps=1e-10), jnp.full(3, 0.5)
    change, _ = rule.update(jnp.asarray(some_gradients()[0]), rule.init(params))
    ours = run(train, some_gradients()[:1])[0]
    np.testing.assert_array_equal(ours, np.asarray(params + change))


def test_clipping_limits_the_global_norm() -> None:
    gradients = np.full((1, 4), 3.0, np.float32)  # norm 6
    clipped = run(Train(learning_rate=0.1, clip_norm=1.5), gradients)
    by_hand = run(Train(learning_rate=0.1), gradients / 4)
    np.testing.assert_allclose(clipped, by_hand, rtol=1e-6)


def test_the_rate_is_constant_unless_the_recipe_says_otherwise() -> None:
    train = Train(learning_rate=2e-5)
    assert [float(learning_rate(train, step)) for step in (0, 7, 299_999)] == [
        float(np.float32(2e-5))
    ] * 3


def test_warm_up_rises_in_a_line_and_cosine_falls_to_zero() -> None:
    train = Train(learning_rate=1.0, warmup=4, steps=104, schedule="cosine")
    rates = [float(learning_rate(train, step)) for step in range(105)]
    np.testing.assert_allclose(rates[:4], [0.25, 0.5, 0.75, 1.0], rtol=1e-6)
    np.testing.assert_allclose(rates[54], 0.5, rtol=1e-5)
    np.testing.assert_allclose(rates[104], 0.0, atol=1e-6)
    assert all(a > b for a, b in pairwise(rates[4:]))


def test_wsd_is_constant_and_falls_by_a_square_root_at_the_end() -> None:
    train = Train(learning_rate=1.0, warmup=4, steps=100, cooldown=16, schedule="wsd")
    rates = [float(learning_rate(train, step)) for step in range(102)]
    np.testing.assert_allclose(rates[:4], [0.25, 0.5, 0.75, 1.0], rtol=1e-6)
    assert rates[4:85] == [1.0] * 81
    np.testing.assert_allclose([rates[88], rates[93]], [0.5, 0.25], rtol=1e-6)
    assert rates[100:] == [0.0, 0.0]
    assert Train(steps=100, schedule="wsd").decay_start == 80


def test_the_rate_does_not_shape_the_optimizer_s_state() -> None:
    params = {"w": jnp.ones((2, 3))}
    for train in (Train(), Train(optimizer="adam"), Train(clip_norm=1.0)):
        states = [optimizer(train, rate).init(params) for rate in (0.0, 2e-5)]
        assert jax.tree.structure(states[0]) == jax.tree.structure(states[1])


def test_settings_that_would_be_ignored_are_refused() -> None:
    with pytest.raises(Misfit, match="weight_decay: is not used by rmsprop"):
        Train(weight_decay=0.1)
    with pytest.raises(Misfit, match="warmup: must be shorter than the 10 steps"):
        Train(warmup=10, steps=10)
    with pytest.raises(Misfit, match="cooldown: is not used by schedule cosine"):
        Train(schedule="cosine", cooldown=10)
    with pytest.raises(Misfit, match="cooldown: should be at most the 8 steps after"):
        Train(schedule="wsd", warmup=2, steps=10, cooldown=9)
