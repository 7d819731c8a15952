"""Fixed-point (Jacobi) sampling: many positions a pass, the same samples.

Each video has a frontier: all positions before it are final. A pass takes guesses of
the pixels from there on as true, and computes the model's choice at each position of a
window with the noise of its pixel. Where all guesses that a position depends on were
right, its outcome is final; so every pass makes at least one pixel final. Outcomes
elsewhere are the next guesses. With the noise fixed the slice is the fixed point of
this iteration (Song et al., ICML 2021; Wiggers & Hoogeboom, ICML 2020).
"""

from dataclasses import dataclass
from math import prod
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Shaped, UInt8

from svtcli.model.connectivity import LARGEST, chains
from svtcli.model.decoder import Decoder, DecoderCache
from svtcli.model.subscale import slice_offsets, take_slice
from svtcli.recipe.model import Model
from svtcli.sample.slice_state import Carry, SliceStart, sample_pixels


@dataclass(frozen=True)
class Jacobi:
    """Passes over `window` positions, from the frontier of each video on.

    The first guess of a pixel is the same place one frame before: in an earlier slice,
    or where none has it, in the slice's own frame before.
    """

    name: ClassVar[str] = "guess"
    window: int

    def __call__(
        self, decoder: Decoder, start: SliceStart, *, first: bool
    ) -> tuple[Carry, Int[Array, " B"]]:
        B, P, _ = start.codes.shape
        index = start.inputs.slice_index
        source = jnp.asarray(_slice_before(decoder.config))[index]
        from_itself = source == index
        window = _Window.of(decoder, self.window)
        depends = jnp.asarray(_chains(decoder.config, window.length, first))
        frontier = jnp.full(B, start.start)
        guesses = _first_guesses(decoder.config, start, source, from_itself)
        begin = _Progress(
            Carry.begin(decoder, start)._replace(codes=guesses),
            final=jnp.broadcast_to(jnp.arange(P) < start.start, (B, P)),
            frontier=frontier,
            reached=frontier,
            passes=jnp.zeros_like(frontier),
        )
        done = jax.lax.while_loop(
            lambda now: (now.frontier < P).any(),
            lambda now: _one_pass(decoder, start, window, depends, from_itself, now),
            begin,
        )
        return done.carry, done.passes


class _Progress(NamedTuple):
    """State of the loop over passes; codes are guesses from the frontier on."""

    carry: Carry
    final: Bool[Array, "B P"]
    frontier: Int[Array, " B"]
    """First position that is not final."""
    reached: Int[Array, " B"]
    """First position that no pass has computed yet."""
    passes: Int[Array, " B"]


def _one_pass(
    decoder: Decoder,
    start: SliceStart,
    window: "_Window",
    depends: Bool[Array, "P n"],
    from_itself: Bool[Array, ""],
    progress: _Progress,
) -> _Progress:
    """Compute a window from each video's frontier on, and move the frontier.

    Final positions of the window stay as they are.
    """
    (cache, codes, logits), final, frontier, reached, passes = progress
    P = codes.shape[1]
    at = window.start(frontier, P)
    here = at[:, None] + np.arange(window.length)
    new = from_itself & (here >= reached[:, None])
    before = _frame_before(decoder.config, codes, here)
    guessed = jnp.where(new[..., None], before, window.take(codes, at))
    codes = window.put(codes, guessed, at)

    y, cache = decoder.steps(
        _remember(decoder, cache, codes, window, at),
        window.in_runs(window.take(start.position_and_context, at)),
        window.runs(at),
    )
    pixels, pixel_logits = sample_pixels(
        decoder,
        cache,
        y.reshape(-1, y.shape[-1]),
        window.take(start.noise, at).reshape(-1, *start.noise.shape[2:]),
        start.inputs.rule,
    )
    pixels = pixels.reshape(guessed.shape)
    pixel_logits = pixel_logits.reshape(*here.shape, *logits.shape[2:])

    known = window.take(final, at)
    right = known | (pixels == guessed).all(axis=-1)
    verified = known | _verified(right, window.rows(depends, at))
    pixels = _where(known, guessed, pixels)
    pixel_logits = _where(known, window.take(logits, at), pixel_logits)
    return _Progress(
        Carry(
            cache, window.put(codes, pixels, at), window.put(logits, pixel_logits, at)
        ),
        window.put(final, verified, at),
        frontier=at + jnp.cumprod(verified, axis=1).sum(axis=1),
        reached=jnp.maximum(reached, at + window.length),
        passes=passes + (frontier < P),
    )


def _verified(
    right: Bool[Array, "B n"], depends: Bool[Array, "B n n"]
) -> Bool[Array, "B n"]:
    """Mask of the positions of the window all of whose dependencies were right.

    At (b, i, j) of `depends`: position i depends on position i − 1 − j.
    """
    n = right.shape[1]
    before = np.arange(n)[:, None] - 1 - np.arange(n)
    wrong = ~right[:, before] & (before >= 0)
    return ~(wrong & depends).any(axis=2)


def _chains(config: Model, window: int, first: bool) -> Bool[np.ndarray, "P n"]:
    """Dependencies within a window; all earlier pixels in slices above `LARGEST`."""
    P = prod(config.slice_shape)
    if P > LARGEST:
        return np.ones((P, window), bool)
    return chains(config, window, first=first)


@dataclass(frozen=True)
class _Window:
    """Positions of a pass: `length` of them, in runs of `run`.

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
        """First position of each video's window."""
        return jnp.minimum(frontier // self.run * self.run, P - self.length)

    def runs(self, at: Int[Array, " B"]) -> Int[Array, "B M"]:
        """First positions of the runs."""
        return at[:, None] + np.arange(0, self.length, self.run)

    def in_runs(self, each: Shaped[Array, "B n *any"]) -> Shaped[Array, "B M U *any"]:
        """Positions of a window, run by run."""
        return each.reshape(len(each), -1, self.run, *each.shape[2:])

    def take(
        self, whole: Shaped[Array, "B P *any"], at: Int[Array, " B"]
    ) -> Shaped[Array, "B n *any"]:
        """Part of an array that lies in each video's window."""
        return jax.vmap(
            lambda row, i: jax.lax.dynamic_slice_in_dim(row, i, self.length)
        )(whole, at)

    def rows(
        self, table: Bool[Array, "P n"], at: Int[Array, " B"]
    ) -> Bool[Array, "B n n"]:
        """Rows of a table, the same for all videos, that lie in each window."""
        return jax.vmap(lambda i: jax.lax.dynamic_slice_in_dim(table, i, self.length))(
            at
        )

    def put(
        self,
        whole: Shaped[Array, "B P *any"],
        part: Shaped[Array, "B n *any"],
        at: Int[Array, " B"],
    ) -> Shaped[Array, "B P *any"]:
        """Array with the window of each video replaced; inverse of `take`."""
        return jax.vmap(
            lambda row, new, i: jax.lax.dynamic_update_slice_in_dim(row, new, i, 0)
        )(whole, part, at)


def _where(
    known: Bool[Array, "B n"],
    old: Shaped[Array, "B n *any"],
    new: Shaped[Array, "B n *any"],
) -> Shaped[Array, "B n *any"]:
    """`old` where known, else `new`."""
    return jnp.where(known.reshape(*known.shape, *[1] * (old.ndim - 2)), old, new)


def _remember(
    decoder: Decoder,
    cache: DecoderCache,
    codes: UInt8[Array, "B P C"],
    window: _Window,
    at: Int[Array, " B"],
) -> DecoderCache:
    """Cache with all codes that the window's states read.

    They are the window's, and as many before it: those became final in the pass before,
    which may have guessed them wrong.
    """
    P = codes.shape[1]
    shown = _Window(min(2 * window.length, P), window.run)
    at = jnp.maximum(at - window.length, 0)
    return decoder.remember_runs(
        cache, shown.in_runs(shown.take(codes, at)), shown.runs(at)
    )


def _first_guesses(
    config: Model,
    start: SliceStart,
    source: Int[Array, ""],
    from_itself: Bool[Array, ""],
) -> UInt8[Array, "B P C"]:
    """Slice with a guess of every pixel that is not prime."""
    B, P, C = start.codes.shape
    _, h, w = config.slice_shape
    position = np.arange(P)
    # Of itself the slice knows its last prime frame; `_frame_before` has newer ones.
    last = jnp.maximum(start.start - h * w, 0) + position % (h * w)
    beside = take_slice(start.window, jnp.full(B, source), config.s).reshape(B, P, C)
    guess = jnp.where(from_itself, start.codes[:, last], beside)
    return jnp.where((position < start.start)[:, None], start.codes, guess)


def _frame_before(
    config: Model, codes: UInt8[Array, "B P C"], here: Int[Array, "B n"]
) -> UInt8[Array, "B n C"]:
    """Same places in the slice's frame before; in its first frame, themselves."""
    _, h, w = config.slice_shape
    before = jnp.where(here < h * w, here, here - h * w)
    return jnp.take_along_axis(codes, before[..., None], axis=1)


def _slice_before(config: Model) -> Int[np.ndarray, " S"]:
    """Slice that holds the frames before those of each slice; for a = 0, itself."""
    before = slice_offsets(config.s)
    before[:, 0] = np.maximum(before[:, 0] - 1, 0)
    return np.ravel_multi_index(tuple(before.T), config.s)
