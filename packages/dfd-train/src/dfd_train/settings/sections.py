"""The settings of a run, one frozen dataclass a section: type, allowed range and help text side by side.

Defaults are the thesis's recipe for the Reseption models (section 7.1.5).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from dfd_train.errors import UserError
from ffpp_prep.options import Checked

Value = str | int | float | bool | tuple[str | int | float | bool, ...]
Probability = Annotated[float, Meta(ge=0.0, le=1.0)]
Range = tuple[float, float]
Count = Annotated[int, Meta(ge=1)]
Device = Literal["auto", "cpu", "cuda"]
Amp = Literal["off", "fp16", "bf16"]
Precision = Literal["fp32", "bf16"]
"""of a network that scores"""
MOST = 1_000_000  # of what nobody wants more: files of strangers may ask for any number


@dataclass(frozen=True)
class ModelConfig(Checked):
    """Which network, and which of its parts train."""

    name: Annotated[
        str,
        Meta(description="a reseption_models name, a baseline, timm:NAME or package.module:function"),
    ] = "reseption_v1"
    input_size: (
        Annotated[
            int, Meta(ge=1, le=4096, description="side of the square input in pixels; unset: the model's")
        ]
        | None
    ) = None
    arguments: Annotated[
        dict[str, Value], Meta(description="further arguments of the model, for example width_multiplier")
    ] = field(default_factory=dict)
    pretrained: Annotated[
        bool, Meta(description="start from ImageNet weights (baselines and timm models)")
    ] = False
    normalization: Annotated[
        Literal["model", "half", "imagenet"],
        Meta(description="mean and deviation of the input: the model's own, 0.5, or ImageNet's"),
    ] = "model"
    train_level: Annotated[
        Literal["full", "higher", "lower", "classifier"],
        Meta(
            description="which parts train (the classifier always does); higher: as in Table 5.2 of the thesis"
        ),
    ] = "full"
    members: Annotated[
        tuple[str, ...], Meta(description="run folders whose networks an ensemble joins, bodies frozen")
    ] = ()


@dataclass(frozen=True)
class DataConfig(Checked):
    """Which videos and frames make the batches (thesis section 4.3)."""

    work: Annotated[str, Meta(description="the prepared data set, written by ffpp-prep")] = ""
    batches: Annotated[
        Literal["various", "dual", "shuffled"],
        Meta(
            description="several pairs of videos per batch (various), one pair (dual), or plain shuffled frames"
        ),
    ] = "various"
    batch_size: Annotated[int, Meta(ge=2, le=16384, description="crops per batch, an even number")] = 24
    frame_stride: Annotated[
        int, Meta(ge=1, le=MOST, description="the n in the formula of various batches")
    ] = 8
    train_frames: Annotated[
        int, Meta(ge=0, le=MOST, description="shuffled batches: frames per video and epoch; 0: all of them")
    ] = 7
    val_frames: Annotated[
        int, Meta(ge=1, le=MOST, description="equally spaced frames per validation video")
    ] = 7
    test_frames: Annotated[int, Meta(ge=1, le=MOST, description="equally spaced frames per test video")] = 12
    multiple_faces: Annotated[
        Literal["drop", "keep"],
        Meta(description="videos with several faces: left out (thesis) or best face kept"),
    ] = "drop"
    untouched: Annotated[
        Literal["keep", "drop"], Meta(description="frames of fakes in which nothing is manipulated")
    ] = "keep"
    exclude_methods: Annotated[
        tuple[str, ...], Meta(description="fakes of these methods neither train nor validate")
    ] = ()
    allow_leaks: Annotated[bool, Meta(description="train although splits share identities or originals")] = (
        False
    )
    shuffle_labels: Annotated[
        bool, Meta(description="permute the labels of training and validation videos: the chance control")
    ] = False
    workers: (
        Annotated[int, Meta(ge=0, le=1024, description="loader processes; unset: chosen by cores")] | None
    ) = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size % 2:
            raise UserError(f"batch_size is {self.batch_size}, must be even: half fake, half real")


@dataclass(frozen=True)
class TransformConfig(Checked):
    """Training-time augmentation (thesis section 4.2); every strength can be set, 0 switches it off."""

    flip: Annotated[Probability, Meta(description="probability of a horizontal flip")] = 0.5
    brightness: Annotated[float, Meta(ge=0.0, le=1.0, description="colour jitter, factor in 1 +- this")] = 0.3
    contrast: Annotated[float, Meta(ge=0.0, le=1.0, description="colour jitter, factor in 1 +- this")] = 0.3
    saturation: Annotated[float, Meta(ge=0.0, le=1.0, description="colour jitter, factor in 1 +- this")] = 0.3
    hue: Annotated[float, Meta(ge=0.0, le=0.5, description="colour jitter, shift in turns, +- this")] = 0.1
    rotation: Annotated[float, Meta(ge=0.0, le=180.0, description="rotation in degrees, +- this")] = 40.0
    erasing: Annotated[Probability, Meta(description="probability of random erasing")] = 0.5
    erasing_scale: Annotated[Range, Meta(description="erased share of the image, from, to")] = (
        0.02,
        0.33,
    )
    erasing_ratio: Annotated[Range, Meta(description="aspect of the erased box, from, to")] = (
        0.3,
        3.3,
    )
    on: Annotated[
        Literal["workers", "model"],
        Meta(description="where crops are augmented: in the loader's workers or on the model's device"),
    ] = "workers"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, (low, high) in (
            ("erasing_scale", self.erasing_scale),
            ("erasing_ratio", self.erasing_ratio),
        ):
            if not 0 < low <= high:
                raise UserError(f"{name} is [{low}, {high}], must be 0 < from <= to")


@dataclass(frozen=True)
class DegradationConfig(Checked):
    """Corruptions of training crops before resizing, beyond the thesis: all off unless set."""

    downscale: Annotated[Probability, Meta(description="probability of shrinking and enlarging again")] = 0.0
    downscale_factor: Annotated[
        Range, Meta(description="share of the side to which it shrinks, from, to")
    ] = (0.25, 0.9)
    blur: Annotated[Probability, Meta(description="probability of Gaussian blur")] = 0.0
    blur_sigma: Annotated[Range, Meta(description="deviation of the blur in pixels, from, to")] = (0.3, 2.0)
    noise: Annotated[Probability, Meta(description="probability of Gaussian noise")] = 0.0
    noise_deviation: Annotated[Range, Meta(description="deviation of the noise, 255 is white, from, to")] = (
        2.0,
        15.0,
    )
    jpeg: Annotated[Probability, Meta(description="probability of JPEG compression")] = 0.0
    jpeg_quality: Annotated[Range, Meta(description="JPEG quality, 1 to 100, from, to")] = (40.0, 95.0)
    crf: Annotated[Probability, Meta(description="probability of H.264 compression")] = 0.0
    crf_value: Annotated[Range, Meta(description="H.264 constant rate factor, 0 to 51, from, to")] = (
        18.0,
        40.0,
    )
    self_blend: Annotated[
        Probability,
        Meta(description="probability that a fake is replaced by its original, blended with itself"),
    ] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, lowest, highest in (
            ("downscale_factor", 0.01, 1.0),
            ("blur_sigma", 0.01, 100.0),
            ("noise_deviation", 0.0, 255.0),
            ("jpeg_quality", 1.0, 100.0),
            ("crf_value", 0.0, 51.0),
        ):
            low, high = getattr(self, name)
            if not lowest <= low <= high <= highest:
                raise UserError(
                    f"{name} is [{low}, {high}], must be from <= to within {lowest:g} to {highest:g}"
                )


@dataclass(frozen=True)
class OptimizerConfig(Checked):
    """How gradients become steps (thesis sections 5.3, 7.1.2, 7.1.3)."""

    name: Annotated[
        str, Meta(description="radam, sgd, or any optimiser of torch.optim or torch_optimizer by name")
    ] = "radam"
    lr: Annotated[float, Meta(gt=0.0, description="initial learning rate")] = 1e-3
    momentum: Annotated[float, Meta(ge=0.0, lt=1.0, description="momentum of sgd")] = 0.9
    weight_decay: Annotated[float, Meta(ge=0.0, description="weight decay")] = 0.0
    arguments: Annotated[
        dict[str, Value], Meta(description="further arguments of the optimiser, such as betas")
    ] = field(default_factory=dict)
    gradient_scaling: Annotated[bool, Meta(description="dynamic loss scale (GS of Fig. 7.2)")] = True
    amp: Annotated[Amp, Meta(description="automatic mixed precision")] = "off"
    noise_eta: Annotated[float, Meta(ge=0.0, description="gradient noise: eta of the variance; 0: none")] = (
        0.0
    )
    noise_gamma: Annotated[float, Meta(ge=0.0, description="gradient noise: decay of the variance")] = 0.55
    noise_by: Annotated[Literal["epoch", "step"], Meta(description="gradient noise: what t counts")] = "epoch"
    clip_norm: Annotated[
        float, Meta(ge=0.0, description="largest gradient norm, after unscaling; 0: none")
    ] = 0.0
    accumulate: Annotated[int, Meta(ge=1, le=MOST, description="batches whose gradients make one step")] = 1
    ema_decay: Annotated[
        float, Meta(ge=0.0, lt=1.0, description="moving average of the weights; 0: none")
    ] = 0.0


@dataclass(frozen=True)
class ScheduleConfig(Checked):
    """The learning rate over time: one curve, times the plateau's factor, times the warm-up's."""

    curve: Annotated[
        Literal["constant", "exponential", "cosine"], Meta(description="curve of the learning rate")
    ] = "exponential"
    decay: Annotated[float, Meta(gt=0.0, le=1.0, description="exponential: factor per decay")] = 0.94
    decay_every: Annotated[int, Meta(ge=1, description="exponential: epochs from one decay to the next")] = 2
    plateau: Annotated[bool, Meta(description="reduce on a plateau of the training loss")] = True
    plateau_factor: Annotated[float, Meta(gt=0.0, lt=1.0, description="plateau: factor per reduction")] = 0.5
    plateau_patience: Annotated[int, Meta(ge=0, description="plateau: epochs without improvement")] = 2
    warmup_epochs: Annotated[float, Meta(ge=0.0, description="linear warm-up, in epochs")] = 0.0


@dataclass(frozen=True)
class TrainConfig(Checked):
    """How long, from which seed, and where."""

    epochs: Annotated[int, Meta(ge=1, le=MOST, description="epochs of the run")] = 50
    max_steps: (
        Annotated[
            int, Meta(ge=1, description="at most this many batches per epoch, to try something quickly")
        ]
        | None
    ) = None
    seed: Annotated[int, Meta(ge=0, description="seed of weights, batches, transforms and dropout")] = 0
    device: Annotated[
        Literal["auto", "cpu", "cuda"], Meta(description="where to compute; auto: a GPU where there is one")
    ] = "auto"
    threads: (
        Annotated[int, Meta(ge=1, le=1024, description="CPU threads of torch; unset: torch's choice")] | None
    ) = None
    channels_last: Annotated[bool, Meta(description="memory layout NHWC: faster on CPUs and GPUs")] = True
    checkpoint_minutes: Annotated[
        float, Meta(ge=0.0, description="minutes between saves within an epoch; 0: save only at its end")
    ] = 10.0
    gradient_flow: Annotated[
        bool, Meta(description="record mean and maximum gradient per layer (Fig. 7.1)")
    ] = False
    tensorboard: Annotated[bool, Meta(description="write TensorBoard events beside events.jsonl")] = False


@dataclass(frozen=True)
class RunConfig(Checked):
    """Everything that decides a run's outcome."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    transforms: TransformConfig = field(default_factory=TransformConfig)
    degradation: DegradationConfig = field(default_factory=DegradationConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
