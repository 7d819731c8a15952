"""One slice by guess and verify: many positions a pass, the same samples.

A frontier of its own for every video: all before it is final. A pass takes guesses of
the pixels from there on for true and computes what the model makes of each position,
with the noise of its pixel. Where all guesses that a position depends on were right, so
is what came out; so every pass makes at least one pixel final, whatever was guessed.
What came out elsewhere is the next guess. With the noise fixed this is the fixed point
of Jacobi's iteration (Song et al., ICML 2021; Wiggers & Hoogeboom, ICML 2020).
"""

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Int, Shaped, UInt8

from svtcli.model.connectivity import LARGEST, chains
from svtcli.model.decoder import Decoder, DecoderCache
from svtcli.model.parameters import Params
from svtcli.model.subscale import slice_offsets, take_slice
from svtcli.model.svt import network
from svtcli.recipe.model import Model
from svtcli.sample.sampling_rule import Choice
from svtcli.sample.slice_state import (
    Made,
    Making,
    Unmade,
    Wanted,
    made_slice,
    make_pixels,
    unmade_slice,
)

FirstGuess = Literal["previous frame", "nearest pixel", "zeros"]
"""What a pixel is taken for before it has been computed once.

`previous frame` is the same place one frame before, `nearest pixel` a neighbour in an
earlier slice: to the left, above or one frame before. Where no earlier slice has it,
both are the same place of the slice's frame before.
"""


class _Progress(NamedTuple):
    """What the loop over passes carries; codes are guesses from the frontier on."""

    so_far: Making
    final: Bool[Array, "B P"]
    frontier: Int[Array, " B"]
    """The first position that is not final."""
    reached: Int[Array, " B"]
    """Where positions begin that no pass has computed yet."""
    passes: Int[Array, " B"]


@partial(
    jax.jit,
    static_argnames=("graphdef", "config", "window", "first", "first_guess"),
    donate_argnames="codes",
)
def guess_slice(
    graphdef: nnx.GraphDef,
    params: Params,
    config: Model,
    codes: UInt8[Array, "B T H W C"],
    wanted: Wanted,
    *,
    window: int,
    first: bool = False,
    first_guess: FirstGuess = "previous frame",
) -> Made:
    """What `sequential.sample_slice` gives, by passes over `window` positions."""
    model = network(graphdef, params)
    decoder = model.decoder_of(first=first)
    slice_ = unmade_slice(model, codes, wanted, first=first)
    B, P, _ = slice_.placed.shape
    source = jnp.asarray(_sources(config, first_guess))[wanted.slice_index]
    itself = (source == wanted.slice_index) & (first_guess != "zeros")
    at_once = _Window.of(decoder, window)
    hangs_on = jnp.asarray(_chains(config, at_once.length, first))
    one_pass = partial(
        _one_pass, decoder, slice_, at_once, hangs_on, itself, wanted.choice
    )
    start = jnp.full(B, slice_.start)
    guesses = _first_guesses(config, codes, slice_, source, itself, first_guess)
    begin = _Progress(
        Making.begin(slice_)._replace(codes=guesses),
        final=jnp.broadcast_to(jnp.arange(P) < slice_.start, (B, P)),
        frontier=start,
        reached=start,
        passes=jnp.zeros_like(start),
    )
    made = jax.lax.while_loop(lambda at: (at.frontier < P).any(), one_pass, begin)
    return made_slice(decoder, codes, wanted, slice_, made.so_far, made.passes)


def _one_pass(
    decoder: Decoder,
    slice_: Unmade,
    window: "_Window",
    hangs_on: Bool[Array, "P W"],
    itself: Bool[Array, ""],
    choice: Choice,
    progress: _Progress,
) -> _Progress:
    """Compute a window from each video's frontier on, and move the frontier.

    What is final in the window stays as it is.
    """
    (cache, codes, logits), final, frontier, reached, passes = progress
    P = codes.shape[1]
    start = window.start(frontier, P)
    here = start[:, None] + np.arange(window.length)
    new = itself & (here >= reached[:, None])
    before = _frame_before(decoder.config, codes, here)
    guessed = jnp.where(new[..., None], before, window.take(codes, start))
    codes = _put(codes, guessed, start)

    y, cache = decoder.steps(
        _remember(decoder, cache, codes, window, start),
        window.in_runs(window.take(slice_.placed, start)),
        window.runs(start),
    )
    made, made_logits = make_pixels(
        decoder,
        cache,
        y.reshape(-1, y.shape[-1]),
        window.take(slice_.noise, start).reshape(-1, *slice_.noise.shape[2:]),
        choice,
    )
    made = made.reshape(guessed.shape)
    made_logits = made_logits.reshape(*here.shape, *logits.shape[2:])

    known = window.take(final, start)
    right = known | (made == guessed).all(axis=-1)
    verified = known | _verified(right, window.rows(hangs_on, start))
    return _Progress(
        Making(
            cache,
            _put(codes, _where(known, guessed, made), start),
            _put(logits, _where(known, window.take(logits, start), made_logits), start),
        ),
        _put(final, verified, start),
        frontier=start + jnp.cumprod(verified, axis=1).sum(axis=1),
        reached=jnp.maximum(reached, start + window.length),
        passes=passes + (frontier < P),
    )


def _verified(
    right: Bool[Array, "B W"], hangs_on: Bool[Array, "B W W"]
) -> Bool[Array, "B W"]:
    """Where all guesses were right that a position of the window hangs on.

    At (b, i, n) of `hangs_on`: whether position i does on position i − 1 − n.
    """
    W = right.shape[1]
    before = np.arange(W)[:, None] - 1 - np.arange(W)
    wrong = ~right[:, before] & (before >= 0)
    return ~(wrong & hangs_on).any(axis=2)


def _chains(config: Model, window: int, first: bool) -> Bool[np.ndarray, "P W"]:
    """What a position hangs on; of a slice that is too large to tell: all before it."""
    P = prod(config.slice_shape)
    if P > LARGEST:
        return np.ones((P, window), bool)
    return chains(config, window, first=first)


@dataclass(frozen=True)
class _Window:
    """The positions of a pass: `length` of them, in runs of `run`.

    A window begins where a run does, so up to a run before the frontier, and ends with
    the slice at the latest.
    """

    length: int
    run: int

    @classmethod
    def of(cls, decoder: Decoder, wanted: int) -> "_Window":
        """At least the wanted length in whole runs, but not more than the slice.

        Long runs are less to move, but begin farther before the frontier.
        """
        wanted = min(wanted, prod(decoder.config.slice_shape))
        run = decoder.run_length(max(1, wanted // 4))
        return cls(-(-wanted // run) * run, run)

    def start(self, frontier: Int[Array, " B"], P: int) -> Int[Array, " B"]:
        """Where the window of each video begins."""
        return jnp.minimum(frontier // self.run * self.run, P - self.length)

    def runs(self, start: Int[Array, " B"]) -> Int[Array, "B M"]:
        """Where the runs of each video begin."""
        return start[:, None] + np.arange(0, self.length, self.run)

    def take(
        self, whole: Shaped[Array, "B P *any"], start: Int[Array, " B"]
    ) -> Shaped[Array, "B W *any"]:
        """What the window of each video holds."""
        return jax.vmap(
            lambda row, at: jax.lax.dynamic_slice_in_dim(row, at, self.length)
        )(whole, start)

    def rows(
        self, table: Bool[Array, "P W"], start: Int[Array, " B"]
    ) -> Bool[Array, "B W W"]:
        """What the window of each video holds of a table that is the same for all."""
        return jax.vmap(
            lambda at: jax.lax.dynamic_slice_in_dim(table, at, self.length)
        )(start)

    def in_runs(self, each: Shaped[Array, "B W *any"]) -> Shaped[Array, "B M U *any"]:
        """A window's positions, run by run."""
        return each.reshape(len(each), -1, self.run, *each.shape[2:])


def _where(
    known: Bool[Array, "B W"],
    old: Shaped[Array, "B W *any"],
    new: Shaped[Array, "B W *any"],
) -> Shaped[Array, "B W *any"]:
    """What a window holds: the old where that is known to be right."""
    return jnp.where(known.reshape(*known.shape, *[1] * (old.ndim - 2)), old, new)


def _put(
    whole: Shaped[Array, "B P *any"],
    window: Shaped[Array, "B W *any"],
    start: Int[Array, " B"],
) -> Shaped[Array, "B P *any"]:
    """The whole with the window of each video replaced."""
    return jax.vmap(
        lambda row, part, at: jax.lax.dynamic_update_slice_in_dim(row, part, at, 0)
    )(whole, window, start)


def _remember(
    decoder: Decoder,
    cache: DecoderCache,
    codes: UInt8[Array, "B P C"],
    window: _Window,
    start: Int[Array, " B"],
) -> DecoderCache:
    """The cache with all codes that the window's states read.

    They are those of the window, and of as much before it: what the pass before made
    final there, it may have guessed wrong.
    """
    before, P = window.length, codes.shape[1]
    shown = _Window(min(before + window.length, P), window.run)
    start = jnp.maximum(start - before, 0)
    return decoder.remember_runs(
        cache, shown.in_runs(shown.take(codes, start)), shown.runs(start)
    )


def _first_guesses(
    config: Model,
    codes: UInt8[Array, "B T H W C"],
    slice_: Unmade,
    source: Int[Array, ""],
    itself: Bool[Array, ""],
    first_guess: FirstGuess,
) -> UInt8[Array, "B P C"]:
    """The slice with a guess of every pixel that is not given."""
    B, P, C = slice_.codes.shape
    _, h, w = config.slice_shape
    position = np.arange(P)
    # Of itself the slice knows its last given frame; `_frame_before` has newer ones.
    last = jnp.maximum(slice_.start - h * w, 0) + position % (h * w)
    beside = take_slice(codes, jnp.full(B, source), config.s).reshape(B, P, C)
    guess = jnp.where(itself, slice_.codes[:, last], beside)
    if first_guess == "zeros":
        guess = jnp.zeros_like(guess)
    return jnp.where((position < slice_.start)[:, None], slice_.codes, guess)


def _frame_before(
    config: Model, codes: UInt8[Array, "B P C"], here: Int[Array, "B W"]
) -> UInt8[Array, "B W C"]:
    """The same places in the slice's frame before; in its first frame, themselves."""
    _, h, w = config.slice_shape
    before = jnp.where(here < h * w, here, here - h * w)
    return jnp.take_along_axis(codes, before[..., None], axis=1)


def _sources(config: Model, first_guess: FirstGuess) -> Int[np.ndarray, " S"]:
    """The slice whose pixels are the first guess of those of each slice."""
    before = slice_offsets(config.s)
    unmoved = np.ones(len(before), bool)
    for axis in (0,) if first_guess == "previous frame" else (2, 1, 0):
        moved = unmoved & (before[:, axis] > 0)
        before[moved, axis] -= 1
        unmoved &= ~moved
    return np.ravel_multi_index(tuple(before.T), config.s)
