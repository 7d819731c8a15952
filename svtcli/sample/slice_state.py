"""One slice of a batch of videos: the set-up and finish that all schedules share.

A schedule is the loop in between: it computes every position that is not prime, in its
own order. With the noise fixed there is one right slice, and all schedules reach it.
"""

from functools import lru_cache, partial
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, Key, UInt8

from svtcli.model.decoder import Decoder, DecoderCache
from svtcli.model.parameters import Params
from svtcli.model.subscale import put_slice, scored_frames, take_slice
from svtcli.model.svt import SVT, network
from svtcli.recipe.model import Model
from svtcli.sample.sampling_rule import SamplingRule, choose, slice_noise


class SliceInputs(NamedTuple):
    """The slice to sample in each video of a batch, and the rule."""

    slice_index: Int[Array, ""]
    prime: Int[Array, ""]
    """Prime frames of the window: kept, and not scored."""
    first_frame: Int[Array, ""]
    """Frame of the video where the window begins."""
    keys: Key[Array, " B"]
    rule: SamplingRule
    actions: Float[Array, "B T A"] | None = None


class SliceResult(NamedTuple):
    """A batch of windows with one more slice sampled."""

    codes: UInt8[Array, "B T H W C"]
    nll: Float[Array, "B t"]
    """NLL of each frame of the slice under the model itself, whatever the rule."""
    passes: Int[Array, " B"]
    """Passes of the decoder for each video."""


class SliceStart(NamedTuple):
    """Inputs of a schedule: one slice of a batch of windows, not sampled yet."""

    inputs: SliceInputs
    window: UInt8[Array, "B T H W C"]
    cache: DecoderCache
    """Cache of the prime positions; entries of all others are to be overwritten."""
    position_and_context: Float[Array, "B P D"]
    noise: Float[Array, "B P C V"]
    codes: UInt8[Array, "B P C"]
    """Codes in the window: right up to `start`."""
    start: Int[Array, ""]
    """First position that is not prime."""


class Carry(NamedTuple):
    """State of a loop over the positions of a slice."""

    cache: DecoderCache
    codes: UInt8[Array, "B P C"]
    logits: Float[Array, "B P *logits"]
    """Logits that the codes were drawn from: `_finish` scores all at once."""

    @classmethod
    def begin(cls, decoder: Decoder, start: SliceStart) -> "Carry":
        """Carry with only the prime positions known."""
        number = jnp.promote_types(start.position_and_context.dtype, jnp.float32)
        shape = *start.codes.shape[:2], *decoder.head.logits_shape(decoder.config)
        return cls(start.cache, start.codes, jnp.zeros(shape, number))


@runtime_checkable
class Schedule(Protocol):
    """An order of computing the positions of a slice; hashable, a key of compiling."""

    @property
    def name(self) -> str:
        """Value of `sample.schedule`."""

    @property
    def window(self) -> int | None:
        """Positions of a pass, where that can be chosen."""

    def __call__(
        self, decoder: Decoder, start: SliceStart, *, first: bool
    ) -> tuple[Carry, Int[Array, " B"]]:
        """Compute all positions from `start.start` on; also return the passes.

        `first` as in `sample_slice`.
        """


_STATIC = ("graphdef", "config", "schedule", "first")


@partial(jax.jit, static_argnames=_STATIC, donate_argnames="codes")
def sample_slice(
    graphdef: nnx.GraphDef,
    params: Params,
    config: Model,
    codes: UInt8[Array, "B T H W C"],
    inputs: SliceInputs,
    *,
    schedule: Schedule,
    first: bool = False,
) -> SliceResult:
    """Sample one slice of each video, all earlier slices being there.

    `codes` is donated. `first` takes the first-slice decoder (§4.3). Compiles once for
    all slices, and once more for the first-slice decoder.
    """
    model = network(graphdef, params)
    decoder = model.decoder_of(first=first)
    start = set_up(model, codes, inputs, first=first)
    carry, passes = schedule(decoder, start, first=first)
    return _finish(decoder, start, carry, passes)


@lru_cache(maxsize=8)
def sample_slice_on(mesh: Mesh):  # type: ignore[no-untyped-def]  # a jitted function
    """`sample_slice` on all devices of `mesh`, which share the rows of a batch.

    Each device runs the schedule's loop over its own rows: nothing is exchanged, and
    none waits for another before its slice is complete.
    """
    replicated, by_row = PartitionSpec(), PartitionSpec(mesh.axis_names)

    @partial(
        jax.jit,
        static_argnames=_STATIC,
        donate_argnames="codes",
        # The sharding of the incoming `codes`, so that the next slice compiles nothing.
        out_shardings=NamedSharding(mesh, by_row),
    )
    def sample_slices(
        graphdef: nnx.GraphDef,
        params: Params,
        config: Model,
        codes: UInt8[Array, "B T H W C"],
        inputs: SliceInputs,
        *,
        schedule: Schedule,
        first: bool = False,
    ) -> SliceResult:
        def of_device(
            params: Params, codes: UInt8[Array, "b T H W C"], inputs: SliceInputs
        ) -> SliceResult:
            return sample_slice(
                graphdef, params, config, codes, inputs, schedule=schedule, first=first
            )

        specs = jax.tree.map(lambda _: replicated, inputs)._replace(
            keys=by_row, actions=None if inputs.actions is None else by_row
        )
        # Unchecked: the check would want all loop carries marked as varying.
        return jax.shard_map(
            of_device,
            mesh=mesh,
            in_specs=(replicated, by_row, specs),
            out_specs=by_row,
            check_vma=False,
        )(params, codes, inputs)

    return sample_slices


def set_up(
    model: SVT, codes: UInt8[Array, "B T H W C"], inputs: SliceInputs, *, first: bool
) -> SliceStart:
    """Encode the context, and fill the caches with the prime frames in one pass."""
    config, decoder = model.config, model.decoder_of(first=first)
    B, (t, h, w) = len(codes), config.slice_shape
    rows = jnp.full(B, inputs.slice_index)
    context = None if first else model.encoder(codes, rows, inputs.actions)
    added = decoder.position_and_context(context)
    slice_codes = take_slice(codes, rows, config.s)
    _, cache = decoder.states(slice_codes, added)
    added = jnp.broadcast_to(added, (B, t, h, w, config.d)).reshape(B, t * h * w, -1)
    scored = scored_frames(config, inputs.slice_index[None], inputs.prime).sum()
    noise = slice_noise(inputs.keys, config, inputs.slice_index, inputs.first_frame)
    return SliceStart(
        inputs,
        codes,
        cache,
        added,
        noise,
        slice_codes.reshape(B, t * h * w, -1),
        (t - scored) * h * w,
    )


def sample_pixels(
    decoder: Decoder,
    cache: DecoderCache,
    y: Float[Array, "R D"],
    noise: Float[Array, "R C V"],
    rule: SamplingRule,
) -> tuple[UInt8[Array, "R C"], Float[Array, "R ..."]]:
    """Codes of pixels from their decoder states, and the logits they are drawn from."""
    return decoder.head.sample(
        y, lambda k, logits: choose(logits, noise[:, k], rule), cache.head
    )


def _finish(
    decoder: Decoder, start: SliceStart, carry: Carry, passes: Int[Array, " B"]
) -> SliceResult:
    """Put the slice in the windows, and score it."""
    s, (t, h, w) = decoder.config.s, decoder.config.slice_shape
    B, codes = len(start.window), carry.codes.reshape(-1, t, h, w, carry.codes.shape[2])
    window = put_slice(start.window, codes, start.inputs.slice_index, s)
    sampled = jnp.arange(t * h * w) >= start.start
    nll = jnp.where(sampled, decoder.head.nll(carry.logits, carry.codes), 0)
    return SliceResult(window, nll.reshape(B, t, h * w).sum(axis=-1), passes)
