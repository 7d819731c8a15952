"""What a recipe may say. A default is the paper's value, with its section.

Every section is a frozen dataclass and is passed whole to the room that needs it. Keys
that the paper names carry the paper's letters: `s`, `k`, `de`, `d`, `na`, `da`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, PositiveFloat, PositiveInt

from svtcli.recipe.data import Data, Share
from svtcli.recipe.model import Misfit, Model
from svtcli.recipe.subsets import Subset, misfit_of

Format = Literal["png", "gif", "mp4"]


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
    seed: int = 0
    save_every: PositiveInt = 2_000
    """Steps between checkpoints; the last step is always saved."""
    keep: PositiveInt = 3
    """How many checkpoints stay."""
    log_every: PositiveInt = 50
    """Steps between rows of `metrics.jsonl`."""

    def __post_init__(self) -> None:
        if problems := dict(self.problems()):
            raise Misfit(problems)

    def problems(self) -> Iterator[tuple[str, str]]:
        """What does not fit together: (key, sentence) each."""
        if self.weight_decay and self.optimizer != "adamw":
            yield "weight_decay", f"is not used by {self.optimizer}; adamw has it"
        if self.warmup >= self.steps:
            yield "warmup", f"must be shorter than the {self.steps} steps"


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
    seed: int = 0


@dataclass(frozen=True)
class Eval:
    """Likelihood on held-out clips (§4.1)."""

    split: str = "test"
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
    baselines: tuple[Literal["uniform", "untrained"], ...] = ()
    """Scored on the same clips and shown beside the model."""


@dataclass(frozen=True)
class Render:
    """Pictures of the samples (Figs. 4 to 8)."""

    formats: tuple[Format, ...] = ("png", "gif")
    every: PositiveInt = 1
    """Show every k-th frame in a strip."""
    rows: PositiveInt = 8
    """Clips a picture shows, each with its truth and samples."""
    scale: PositiveInt = 2
    """Screen pixels per video pixel; nearest, so that pixels stay pixels."""
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
    sample: Sample = field(default_factory=Sample)
    eval: Eval = field(default_factory=Eval)
    render: Render = field(default_factory=Render)

    def __post_init__(self) -> None:
        if problems := dict(self.problems()):
            raise Misfit(problems)

    def problems(self) -> Iterator[tuple[str, str]]:
        """What one section says that another cannot serve: (key, sentence) each."""
        yield from self._data_problems()
        yield from self._length_problems()
        yield from self._split_problems()

    def _data_problems(self) -> Iterator[tuple[str, str]]:
        """The model's pixels are not those of the data."""
        _, height, width = self.model.video
        if (height, width) != (self.data.size, self.data.size):
            what = f"frames of {height} by {width}, but data.size is {self.data.size}"
            yield "model.video", what
        if self.model.channels != self.data.channels:
            what = f"should be {self.data.channels}, as {self.data.kind} videos have it"
            yield "model.channels", what
        if self.model.pixel_bits != 8:
            yield "model.pixel_bits", "should be 8, as every prepared video has it"
        if self.model.actions not in (0, self.data.actions):
            either = f"0 or {self.data.actions}" if self.data.actions else "0"
            what = f"should be {either}, as {self.data.kind} clips have it"
            yield "model.actions", what

    def _length_problems(self) -> Iterator[tuple[str, str]]:
        """More given frames than there are, or more frames than a clip has."""
        window = self.model.video[0]
        most = self.data.frames if isinstance(self.data.frames, int) else None
        if most is not None and most < window:
            what = f"{window} frames, but data.frames makes clips of {most}"
            yield "model.video", what
        if self.model.first_slice_layers and self.train.batch < 2:
            yield "train.batch", "should be 2 or more: one row is a first slice"
        if self.train.prime >= window:
            what = f"should be less than the model's {window} frames"
            yield "train.prime", what
        for name, section in (("sample", self.sample), ("eval", self.eval)):
            frames = section.frames or window
            prime = section.prime or self.train.prime
            own = section.prime or section.frames
            if own and prime >= frames:
                what = f"should be less than the {frames} frames there are, not {prime}"
                yield f"{name}.prime", what
            if section.overlap is not None and section.overlap >= window:
                what = f"should be less than the model's {window} frames"
                yield f"{name}.overlap", what
            if section.frames and most is not None and frames > most:
                what = f"{frames} frames, but data.frames makes clips of {most}"
                yield f"{name}.frames", what

    def _split_problems(self) -> Iterator[tuple[str, str]]:
        """A split that is not made, or a filter of labels that is none."""
        made = self.data.splits
        for name, section in (("sample", self.sample), ("eval", self.eval)):
            if section.split not in made:
                what = f"should be {' or '.join(made)}, not {section.split!r}"
                yield f"{name}.split", f"{what}, the splits that data makes"
            for key, what in misfit_of(section.subset, section.match).items():
                yield f"{name}.{key}", what
