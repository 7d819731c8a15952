"""Sections of a recipe. A default is the paper's value, with its section.

Every section is a frozen dataclass and is passed whole to the room that needs it. A
docstring's first sentence is also the help of the flag (setting.py).
"""

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Annotated, Any, ClassVar, Literal, get_args

from annotated_types import Ge, Gt, Le

from svtcli.recipe.data import Data
from svtcli.recipe.labels import Subset
from svtcli.recipe.model import Model
from svtcli.recipe.resolve import Lengths, problems_between_sections, resolve
from svtcli.recipe.setting import (
    CLIPS,
    MOST,
    NO_INFLUENCE,
    Frames,
    Misfit,
    Natural,
    PositiveFloat,
    PositiveInt,
    Seed,
    Share,
    counted,
)

Stage = Literal["prepare", "train", "sample", "eval", "render"]
STAGES: tuple[Stage, ...] = get_args(Stage)
Format = Literal["png", "gif", "mp4", "html", "curves"]
Tracker = Literal["tensorboard", "wandb"]
Precision = Literal["float32", "bfloat16"]
"""Number format of products and activations; norms, softmax, logits and NLL are always
float32."""

OWN = "own"
"""Name of the clip's own actions in `sample.actions`."""


@dataclass(frozen=True)
class Train:
    """Training (§4.1)."""

    steps: PositiveInt = 300_000
    """Number of updates."""
    batch: Annotated[int, Gt(0), Le(1_000_000)] = 64
    """Slices per step."""
    prime: PositiveInt = 1
    """Prime frames at the start of each clip; their loss is masked."""
    optimizer: Literal["rmsprop", "adam", "adamw"] = "rmsprop"
    """Optimizer."""
    learning_rate: PositiveFloat = 2e-5
    """Peak learning rate."""
    schedule: Literal["constant", "cosine", "wsd"] = "constant"
    """Learning rate after the warm-up; `cosine` decays to zero over `steps`, `wsd` is
    constant until it decays in the last `cooldown` steps."""
    warmup: Natural = 0
    """Steps of linear warm-up of the learning rate."""
    cooldown: PositiveInt | None = None
    """Last steps, in which `schedule: wsd` decays the learning rate to zero. `null`
    takes a fifth of `steps`."""
    decay: Share = 0.95
    """RMSProp's decay, or Adam's β₂, for which 0.95 is usual with transformers."""
    momentum: Share = 0.9
    """RMSProp's momentum, or Adam's β₁."""
    epsilon: PositiveFloat = 1e-10
    """Added to the optimizer's denominator."""
    weight_decay: Annotated[float, Ge(0)] = 0.0
    """Weight decay; AdamW only."""
    clip_norm: PositiveFloat | None = None
    """Maximum global norm of the gradient; `null` never clips, as in the paper."""
    precision: Precision = "float32"
    """Number format of products and activations; parameters, optimizer state, layer
    norms, softmax and loss are always float32."""
    remat: Annotated[bool, NO_INFLUENCE] = False
    """Recompute each layer's activations in the backward pass: less memory, about a
    third more FLOPs."""
    accumulate: Annotated[PositiveInt, NO_INFLUENCE] = 1
    """Micro-batches per update: gradients are accumulated over them."""
    ema: Share = 0.0
    """Decay of an exponential moving average of the parameters, which sampling and
    scoring then use; 0 keeps none, as in the paper."""
    seed: Seed = 0
    """Random seed of initialization, batches and slices."""
    save_every: Annotated[PositiveInt, NO_INFLUENCE] = 2_000
    """Steps between checkpoints; the last step is always saved."""
    keep: Annotated[PositiveInt, NO_INFLUENCE] = 3
    """Number of newest checkpoints that are kept."""
    keep_every: Annotated[PositiveInt | None, NO_INFLUENCE] = None
    """Checkpoints at multiples of this step are kept for good."""
    validate_every: Annotated[PositiveInt | None, NO_INFLUENCE] = None
    """Steps between validations on held-out clips; `null` never validates."""
    validate_split: Annotated[str | None, NO_INFLUENCE] = None
    """Split of the validation clips; `null` takes `val` if the data has it, else
    `test`."""
    validate_clips: Annotated[PositiveInt, NO_INFLUENCE] = 32
    """Number of validation clips, always the same ones."""
    log: Annotated[tuple[Tracker, ...], NO_INFLUENCE] = ()
    """Services that also get metrics, scores and pictures: `tensorboard`, and `wandb`,
    Weights & Biases; each is an extra."""
    log_every: Annotated[PositiveInt, NO_INFLUENCE] = 50
    """Steps between rows of `metrics.jsonl`."""

    def __post_init__(self) -> None:
        if problems := dict(self.problems()):
            raise Misfit(problems)

    @property
    def decay_start(self) -> int | None:
        """First step whose rate depends on `schedule` and `steps`; None without one."""
        match self.schedule:
            case "cosine":
                return self.warmup
            case "wsd":
                return self.steps - (self.cooldown or -(-self.steps // 5))
        return None

    def problems(self) -> Iterator[tuple[str, str]]:
        """Conflicts between settings: (key, sentence) each."""
        if self.weight_decay and self.optimizer != "adamw":
            yield "weight_decay", f"is not used by {self.optimizer}; adamw has it"
        if self.batch % self.accumulate:
            slices = counted(self.batch, "slice")
            yield "accumulate", f"should divide the {slices} of a batch"
        if self.warmup >= self.steps:
            yield "warmup", f"must be shorter than the {counted(self.steps, 'step')}"
        elif self.decay_start is not None and self.decay_start < self.warmup:
            room = counted(self.steps - self.warmup, "step")
            yield "cooldown", f"should be at most the {room} after the warm-up"
        if self.cooldown is not None and self.schedule != "wsd":
            yield "cooldown", f"is not used by schedule {self.schedule}; wsd has it"


MOST_DEVICES = 16_384


@dataclass(frozen=True)
class Mesh:
    """Devices that share a batch and the parameters."""

    data: Annotated[int, Le(MOST_DEVICES)] = -1
    """Groups of devices with different slices; -1 takes all that `shard` leaves."""
    shard: Annotated[int, Gt(0), Le(MOST_DEVICES)] = 1
    """Devices per group; parameters and optimizer state are sharded over them."""

    def __post_init__(self) -> None:
        if self.data != -1 and self.data < 1:
            raise Misfit({"data": "should be 1 or more, or -1 for all devices"})


@dataclass(frozen=True)
class Sample:
    """Continuations of prime frames (§4.1, §4.2)."""

    split: Annotated[str, CLIPS] = "test"
    """Split of the clips that are continued."""
    subset: Annotated[Subset | None, CLIPS] = None
    """Only clips whose label is in a named subset (appendix E)."""
    match: Annotated[str, CLIPS] = ""
    """Only clips whose label matches this regular expression, anchored at the start."""
    count: Annotated[PositiveInt, CLIPS] = 8
    """Number of clips to continue, spread evenly over the split."""
    per_prime: Annotated[PositiveInt, CLIPS] = 1
    """Number of continuations of each clip, under each set of actions."""
    prime: Annotated[PositiveInt | None, CLIPS] = None
    """Prime frames: the frames of the clip that each sample continues. `null` takes
    `train.prime`."""
    frames: Annotated[Frames, CLIPS] | None = None
    """Frames of a sample, prime frames included. `null` takes the model's length."""
    overlap: PositiveInt | None = None
    """Frames of one window that prime the next, in samples longer than the model's
    window. `null` takes `train.prime`."""
    actions: Annotated[tuple[str, ...] | None, CLIPS] = None
    """Actions to follow after the prime frames, one or more of `own` (the clip's),
    `zero`, `reverse` (the clip's, negated), `swap` (the next clip's) and files, .npy of
    [F, A] or [N, F, A]. Each is a set of its own, with `per_prime` continuations from
    the same noise. `null` follows the clip's own."""
    temperature: Annotated[float, Ge(0)] = 0.9
    """Temperature of the softmax; 0 is greedy, the paper uses 0.9 (§4.2)."""
    top_k: PositiveInt | None = None
    """Sample each code from its k most likely values. `null` samples from all."""
    top_p: Annotated[float, Gt(0), Le(1)] | None = None
    """Sample each code from its most likely values with this total probability
    (nucleus sampling), among those that `top_k` leaves."""
    seed: Seed = 0
    """Random seed."""
    precision: Precision = "float32"
    """Number format of weights, products and activations; `bfloat16` halves the memory
    and gives samples of a slightly different model. The noise is always float32."""
    batch: Annotated[PositiveInt, NO_INFLUENCE] = 16
    """Videos sampled at once, on all devices together."""
    schedule: Annotated[
        Literal["auto", "sequential", "parallel", "guess"], NO_INFLUENCE
    ] = "auto"
    """Order in which pixels are computed; `auto` is the fastest on this device.

    `parallel` computes pixels that cannot see each other at once; `guess` is
    fixed-point (Jacobi) sampling: many pixels a pass, kept where their guessed
    neighbours were right. The samples are the same, but for the rounding of near
    ties."""
    window: Annotated[PositiveInt, NO_INFLUENCE] = 64
    """Pixels of each video that a pass of the schedule `guess` computes."""


Distance = Literal[
    "fvd", "fvd-avg", "kvd", "jedi", "precision", "recall", "density", "coverage"
]
"""Comparisons of the set of samples with the set of clips, by I3D's features."""
Metric = Literal[
    "likelihood", Distance, "psnr", "ssim", "lpips", "difference", "flicker", "warping"
]
"""`likelihood` is bits/dim or nats/frame; `evaluate/metrics.py` has the others."""
METRICS: tuple[Metric, ...] = get_args(Metric)
DISTANCES: frozenset[Metric] = frozenset(get_args(Distance))
UNITS = {"bits_per_dim": "bits/dim", "nats_per_frame": "nats/frame"}
"""Units of likelihood, by their names in JSON and the metrics log."""


@dataclass(frozen=True)
class Compare:
    """Comparison of samples with ground-truth clips (§4.1)."""

    metrics: tuple[Metric, ...] = ("likelihood",)
    """Metrics: the likelihood of held-out clips, and of samples FVD (of the first
    frames), its average over all windows, KVD, precision, recall, density, coverage,
    PSNR, SSIM, LPIPS, and the temporal statistics `difference`, `flicker` and
    `warping`."""
    videos: Annotated[PositiveInt, CLIPS] = 256
    """Number of clips that the compared samples continue."""
    trials: PositiveInt = 20
    """Number of sets of samples that are compared; ± is their standard deviation."""
    per_prime: PositiveInt = 1
    """Number of continuations of each clip in one trial; FVD takes them together."""
    sampled_prime: Annotated[PositiveInt | None, CLIPS] = None
    """Prime frames of the compared samples. `null` takes `sample.prime`."""
    sampled_frames: Annotated[Frames, CLIPS] | None = None
    """Frames of a compared sample, prime frames included. `null` takes
    `sample.frames`."""
    window: Annotated[int, Ge(9), Le(MOST)] = 16
    """Frames per FVD window."""
    stride: PositiveInt = 1
    """Frames between the starts of two windows of `fvd-avg`."""
    exclude_prime: bool = False
    """Begin the windows of FVD and KVD after the prime frames, which they include
    otherwise, as in the paper."""
    resize: Literal["tf1", "half-pixel"] = "tf1"
    """Resizing to FVD's 224 pixels: as in the published code (`tf1`), or as in the
    PyTorch ports (`half-pixel`), whose numbers differ."""
    convention: Literal["tf", "stylegan-v", "cd-fvd", "videogpt", "all"] = "tf"
    """Project whose FVD is computed: its resizing, scaling, covariance; `all` shows
    each beside the published code's (`tf`)."""
    by_clips: bool = False
    """Also FVD by number of clips, extrapolated to infinitely many, and a 95 %
    interval of FVD."""
    gray: bool = False
    """Compute SSIM on luma instead of each colour channel."""
    lpips: Literal["alexnet", "vgg16"] = "alexnet"
    """Network whose features LPIPS compares."""

    @property
    def distances(self) -> bool:
        """Distances between sets of clips are among the metrics."""
        return not DISTANCES.isdisjoint(self.metrics)


@dataclass(frozen=True)
class Eval(Compare):
    """Likelihood of held-out clips (§4.1), and comparisons of samples with them."""

    split: Annotated[str, CLIPS] = "test"
    """Split that is scored."""
    also: Annotated[tuple[str, ...], CLIPS] = ()
    """Further splits, each scored separately."""
    subset: Annotated[Subset | None, CLIPS] = None
    """Only clips whose label is in a named subset (appendix E)."""
    match: Annotated[str, CLIPS] = ""
    """Only clips whose label matches this regular expression, anchored at the start."""
    prime: Annotated[PositiveInt | None, CLIPS] = None
    """Prime frames, which are not scored. `null` takes `train.prime`."""
    frames: Annotated[Frames, CLIPS] | None = None
    """Frames of a clip, prime frames included. `null` takes the model's own length."""
    overlap: PositiveInt | None = None
    """Frames of one window that prime the next, in clips longer than the model's
    window. `null` takes `train.prime`."""
    clips: Annotated[PositiveInt | None, CLIPS] = None
    """Maximum number of clips, spread evenly over the split. `null` scores all."""
    batch: Annotated[PositiveInt, NO_INFLUENCE] = 16
    """Clips scored at once, on all devices together."""
    precision: Precision = "float32"
    """Number format of weights, products and activations."""
    baselines: tuple[Literal["uniform", "untrained"], ...] = ()
    """Baseline scored beside the model: a uniform distribution, or the untrained
    network, on 8 of the clips."""

    def trial_samples(self, sample: Sample) -> Sample:
        """Settings of the samples that all trials compare with clips.

        They follow the clips' own actions.
        """
        return replace(
            sample,
            actions=None,
            split=self.split,
            subset=self.subset,
            match=self.match,
            prime=self.sampled_prime or sample.prime,
            frames=self.sampled_frames or sample.frames,
            count=self.videos,
            per_prime=self.trials * self.per_prime,
        )


@dataclass(frozen=True)
class Render:
    """Pictures of samples (Figs. 3 to 13)."""

    formats: tuple[Format, ...] = ("png", "gif")
    """Files to write: film strips (png), animations (gif, mp4), a page that plays the
    samples with all numbers (html), and curves of training and of FVD by window."""
    every: Annotated[PositiveInt, CLIPS] = 1
    """Show every k-th frame in a strip."""
    frames: Annotated[tuple[Natural, ...] | None, CLIPS] = None
    """Show these frames in a strip, for example 0,5,10,15 (Fig. 3). `null` leaves it to
    `every`."""
    per_prime: Annotated[PositiveInt | None, CLIPS] = None
    """Maximum number of samples shown of each clip (Fig. 13: 2). `null` shows all, of
    several runs one each."""
    diversity: bool = False
    """In PNG, show all samples of a clip as a grid per frame (Figs. 7 to 12), not in
    rows. Where `frames` is `null`: the last prime frame and three later ones."""
    actions: bool = False
    """Draw the action of each frame as an arrow below it: its first number to the
    right, its second one up."""
    each: Literal["clip", "video"] | None = None
    """Write a file for each clip, or for each of its videos. `null` writes one."""
    rows: Annotated[PositiveInt, CLIPS] = 8
    """Maximum number of clips in a picture, each with its ground truth and samples."""
    scale: PositiveInt = 2
    """Screen pixels per video pixel."""
    smooth: bool = False
    """Enlarge with a Lanczos filter instead of repeating pixels."""
    fps: Annotated[float, Ge(0.01), Le(1000)] = 8.0
    """Frames per second of GIF and MP4."""


@dataclass(frozen=True)
class Recipe:
    """One experiment: every command reads its own section."""

    # pydantic's ConfigDict; the dictionary itself, so that flags need no pydantic.
    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "extra": "forbid",
        "strict": True,
        "allow_inf_nan": False,
        "use_attribute_docstrings": True,
    }

    data: Data
    """Dataset."""
    about: str = ""
    """One line for `svt recipes list`."""
    model: Model = field(default_factory=Model)
    train: Train = field(default_factory=Train)
    mesh: Mesh = field(default_factory=Mesh)
    sample: Sample = field(default_factory=Sample)
    eval: Eval = field(default_factory=Eval)
    render: Render = field(default_factory=Render)

    def __post_init__(self) -> None:
        if problems := dict(problems_between_sections(self)):
            raise Misfit(problems)

    def resolved(self, section: Sample | Eval) -> Lengths:
        """Prime, frames and overlap of `section`, with None worked out."""
        return resolve(self, section)


SECTIONS: dict[str, type] = {
    each.name: type(each.default_factory())
    for each in fields(Recipe)
    if each.default_factory is not MISSING
}
"""Dataclass of each section but `data`, which has one for each kind."""
