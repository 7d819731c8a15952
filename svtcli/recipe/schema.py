"""What a recipe may say. A default is the paper's value, with its section.

Every section is a frozen dataclass and is passed whole to the room that needs it. Keys
that the paper names carry the paper's letters: `s`, `k`, `de`, `d`, `na`, `da`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import ConfigDict, Field, PositiveFloat, PositiveInt

from svtcli.recipe.data import Data, Share
from svtcli.recipe.model import Misfit, Model
from svtcli.recipe.resolve import Lengths, problems_between_sections, resolve
from svtcli.recipe.subsets import Subset

Format = Literal["png", "gif", "mp4", "html", "curves"]
Precision = Literal["float32", "bfloat16"]
"""Of products and activations; norms, softmax, logits and nats are float32 always."""


@dataclass(frozen=True)
class Train:
    """How the parameters are found (§4.1)."""

    steps: PositiveInt = 300_000
    batch: PositiveInt = 64
    """Slices a step."""
    prime: PositiveInt = 1
    """Given frames at the start of each clip; their loss is masked."""
    optimizer: Literal["rmsprop", "adam", "adamw"] = "rmsprop"
    learning_rate: PositiveFloat = 2e-5
    schedule: Literal["constant", "cosine"] = "constant"
    """`cosine` falls to zero over `steps`."""
    warmup: Annotated[int, Field(ge=0)] = 0
    """Steps over which the rate rises from zero."""
    decay: Share = 0.95
    """RMSProp's decay, or Adam's β₂."""
    momentum: Share = 0.9
    """RMSProp's momentum, or Adam's β₁."""
    epsilon: PositiveFloat = 1e-10
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW only."""
    clip_norm: PositiveFloat | None = None
    """Largest global norm of a gradient; None never clips, as in the paper."""
    precision: Precision = "float32"
    """Of products and activations; parameters, optimizer, layer norms, softmax and loss
    are float32 always."""
    remat: bool = False
    """Compute each layer's activations again in the backward pass: less memory, about
    a third more arithmetic."""
    accumulate: PositiveInt = 1
    """In how many parts a batch is taken, one after the other, for one update."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of an average of the parameters, which sampling and scoring then use; 0
    keeps none, as in the paper."""
    seed: int = 0
    save_every: PositiveInt = 2_000
    """Steps between checkpoints; the last step is always saved."""
    keep: PositiveInt = 3
    """How many of the newest checkpoints stay."""
    keep_every: PositiveInt | None = None
    """Checkpoints of these multiples of steps stay for good."""
    validate_every: PositiveInt | None = None
    """Steps between scores on held-out clips; None never takes any."""
    validate_split: str | None = None
    """The split of these clips; None takes `val` where the data has it, else `test`."""
    validate_clips: PositiveInt = 32
    """How many clips are scored, always the same."""
    tensorboard: bool = False
    """Also write the metrics for TensorBoard (extra `tensorboard`)."""
    log_every: PositiveInt = 50
    """Steps between rows of `metrics.jsonl`."""

    def __post_init__(self) -> None:
        if problems := dict(self.problems()):
            raise Misfit(problems)

    def problems(self) -> Iterator[tuple[str, str]]:
        """What does not fit together: (key, sentence) each."""
        if self.weight_decay and self.optimizer != "adamw":
            yield "weight_decay", f"is not used by {self.optimizer}; adamw has it"
        if self.batch % self.accumulate:
            yield "accumulate", f"should divide the {self.batch} slices of a batch"
        if self.warmup >= self.steps:
            yield "warmup", f"must be shorter than the {self.steps} steps"


@dataclass(frozen=True)
class Mesh:
    """How the devices share a batch and the parameters."""

    data: int = -1
    """Groups of devices that see different slices; -1 takes all that `shard` leaves."""
    shard: PositiveInt = 1
    """Devices of a group, each of which keeps a part of parameters and optimizer."""

    def __post_init__(self) -> None:
        if self.data != -1 and self.data < 1:
            raise Misfit({"data": "should be 1 or more, or -1 for all devices"})


@dataclass(frozen=True)
class Sample:
    """Continuations of given frames (§4.1, §4.2)."""

    split: str = "test"
    subset: Subset | None = None
    """Only clips whose label is in a named subset: `cooking` (appendix E)."""
    match: str = ""
    """Only clips whose label matches this regular expression from its start."""
    prime: PositiveInt | None = None
    """Given frames; None takes `train.prime`."""
    frames: PositiveInt | None = None
    """All frames of a sample, prime included; None takes the model's own length."""
    overlap: PositiveInt | None = None
    """Frames of one window that prime the next; None takes `train.prime`."""
    count: PositiveInt = 8
    """How many clips are continued."""
    per_prime: PositiveInt = 1
    """Continuations of each clip."""
    batch: PositiveInt = 16
    """Videos sampled at once; has no influence on the samples."""
    temperature: Annotated[float, Field(ge=0)] = 0.9
    """0.9 for everything that is looked at or scored by FVD (§4.2); 0 is greedy."""
    top_k: PositiveInt | None = None
    """Draw each code from so many of its likeliest values; None draws from all."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Draw each code from its likeliest values that have this probability together, of
    those that `top_k` leaves."""
    precision: Precision = "float32"
    """Of products, activations, keys and values. In `bfloat16` the samples are those of
    a slightly different model, in half of the memory; the noise is float32 always."""
    seed: int = 0
    schedule: Literal["auto", "sequential", "parallel", "guess"] = "auto"
    """In what order pixels are computed; `auto` is the fastest on this device.

    `parallel` computes at once what blocks hide from each other; `guess` computes many
    pixels a pass and keeps those whose guessed neighbours were right. The samples are
    the same, up to the rounding of a near tie."""
    window: PositiveInt = 64
    """Pixels that a pass of `guess` computes in each video."""


Metric = Literal["likelihood", "fvd", "fvd-avg", "kvd", "psnr", "ssim", "lpips"]
"""`likelihood` is bits/dim or nats/frame; the others compare samples with clips."""
METRICS: tuple[Metric, ...] = get_args(Metric)
DISTANCES: frozenset[Metric] = frozenset({"fvd", "fvd-avg", "kvd"})
"""Those between two sets of clips, by I3D's features."""
PAIRED: frozenset[Metric] = frozenset({"psnr", "ssim", "lpips"})
"""Those between a sample and the clip that it continues, frame by frame."""


@dataclass(frozen=True)
class Compare:
    """Samples against the clips themselves (§4.1)."""

    metrics: tuple[Metric, ...] = ("likelihood",)
    """What is measured: the likelihood of the clips, and of samples FVD (of the first
    frames), its average over all windows, KVD, PSNR, SSIM, LPIPS."""
    videos: PositiveInt = 256
    """How many clips are continued."""
    trials: PositiveInt = 20
    """How often, each time with fresh noise; ± is the spread over trials."""
    per_prime: PositiveInt = 1
    """Continuations of each clip in one trial; FVD takes them together."""
    sampled_prime: PositiveInt | None = None
    """Given frames of the continuations; None takes `sample.prime`."""
    sampled_frames: PositiveInt | None = None
    """All frames of a continuation, prime included; None takes `sample.frames`."""
    window: Annotated[int, Field(ge=9)] = 16
    """Frames that FVD sees at once."""
    stride: PositiveInt = 1
    """Frames from one window of `fvd-avg` to the next."""
    resize: Literal["tf1", "half-pixel"] = "tf1"
    """How frames come to FVD's 224 pixels: as in the published code, or as in PyTorch's
    family of it, whose numbers are others."""
    gray: bool = False
    """SSIM of the luma, not of each colour."""
    lpips: Literal["alexnet", "vgg16"] = "alexnet"
    """The network whose features LPIPS compares."""

    @property
    def distances(self) -> bool:
        """Distances between sets of clips are among the metrics."""
        return not DISTANCES.isdisjoint(self.metrics)


@dataclass(frozen=True)
class Eval(Compare):
    """Likelihood on held-out clips (§4.1), and what `Compare` says of samples."""

    split: str = "test"
    also: tuple[str, ...] = ()
    """Other splits that are scored too, each by itself."""
    subset: Subset | None = None
    """Only clips whose label is in a named subset: `cooking` (appendix E)."""
    match: str = ""
    """Only clips whose label matches this regular expression from its start."""
    prime: PositiveInt | None = None
    """Given frames, not scored; None takes `train.prime`."""
    frames: PositiveInt | None = None
    """Frames scored together, prime included; None takes the model's own length."""
    overlap: PositiveInt | None = None
    clips: PositiveInt | None = None
    """At most so many clips; None scores them all."""
    batch: PositiveInt = 16
    """Clips scored at once, on all devices together; has no influence on the scores."""
    precision: Precision = "float32"
    """Of products and activations, as `sample.precision`."""
    baselines: tuple[Literal["uniform", "untrained"], ...] = ()
    """Scored on the same clips and shown beside the model."""

    def trial_samples(self, sample: Sample) -> Sample:
        """Settings of the samples that all trials compare with clips."""
        return replace(
            sample,
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
    """Pictures of the samples (Figs. 3 to 13)."""

    formats: tuple[Format, ...] = ("png", "gif")
    """`curves`: of the run's training, and its FVD window by window (Fig. 2)."""
    every: PositiveInt = 1
    """Show every k-th frame in a strip."""
    frames: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    """Show these instead (Fig. 3: [0, 5, 10, 15]); None leaves it to `every`."""
    per_prime: PositiveInt | None = None
    """Samples shown of each clip (Fig. 13: 2); None shows all."""
    diversity: bool = False
    """Samples of one clip in a grid for each frame shown (Figs. 7 to 12), not in rows.
    Where `frames` is None: the last prime frame and three later ones."""
    each: Literal["clip", "video"] | None = None
    """A file for each clip, or for each of its videos; None draws all in one."""
    rows: PositiveInt = 8
    """Clips a picture shows, each with its truth and samples."""
    scale: PositiveInt = 2
    """Screen pixels per video pixel."""
    smooth: bool = False
    """Enlarge by Lanczos' filter; else pixels stay pixels."""
    fps: PositiveFloat = 8.0
    """Speed of GIF and MP4."""


@dataclass(frozen=True)
class Recipe:
    """One experiment: every command reads its own section."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    data: Data
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
