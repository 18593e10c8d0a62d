"""The settings of a run, one frozen dataclass a section: type, allowed range, default and help text side by side.

Defaults are the thesis's recipe for the Reseption models (section 7.1.5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Literal

from dfd_train.errors import UserError
from ffpp_prep.options import Checked, Range, setting

Value = str | int | float | bool | tuple[str | int | float | bool, ...]
Probability = Annotated[float, Range(ge=0, le=1)]
Span = tuple[float, float]
Count = Annotated[int, Range(ge=1)]
Device = Literal["auto", "cpu", "cuda"]
Amp = Literal["off", "fp16", "bf16"]
Compile = Literal["off", "default", "reduce-overhead", "max-autotune"]
"""torch.compile's modes; on a GPU the last two replay a step as a CUDA graph"""
Precision = Literal["fp32", "bf16"]
"""of a network that scores"""
SeveralFaces = Literal["drop", "keep", "touched"]
LEVELS = ("full", "higher", "lower", "classifier", "norm")
LAST_BLOCKS = r"last-([0-9]{1,4})"
MOST = 1_000_000  # nobody needs more, and a stranger's file could ask for any number
Frames = Annotated[int, Range(ge=1, le=MOST)]


@dataclass(frozen=True)
class ModelConfig(Checked):
    """Which network, and which of its parts train."""

    name: str = setting(
        "reseption_v1",
        "a reseption_models name, a baseline (xception, inception_v3, efficientnet_b5, resnet152, "
        "resnext101_32x8d), timm:NAME or package.module:function",
    )
    input_size: Annotated[int, Range(ge=1, le=4096)] | None = setting(
        None, "side of the square input in pixels; unset: the model's"
    )
    arguments: dict[str, Value] = setting(
        factory=dict, said="further arguments of the model, for example width_multiplier"
    )
    pretrained: bool = setting(False, "start from ImageNet weights (baselines and timm models)")
    normalization: Literal["model", "half", "imagenet"] = setting(
        "model", "mean and deviation of the input: the model's own, 0.5, or ImageNet's"
    )
    train_level: str = setting(
        "full",
        "which parts train (the classifier always does): full, higher (as in Table 5.2 of the thesis), lower, "
        "classifier, norm (all norms), last-N (N blocks)",
    )
    normalized_head: bool = setting(False, "scale the features to length 1 before the classifier")
    adapter: Literal["off", "lora", "residual"] = setting(
        "off",
        "how to adapt frozen linear layers: train a low-rank update (lora), or the directions with the smallest "
        "singular values (residual, as in Effort)",
    )
    adapter_rank: Annotated[int, Range(ge=1, le=4096)] = setting(1, "rank of the adapter")
    adapter_alpha: Annotated[float, Range(gt=0)] = setting(32.0, "lora: its scale, divided by the rank")
    adapter_layers: tuple[str, ...] = setting(
        (), "linear layers to adapt, by name suffix; unset: the attention layers"
    )
    members: tuple[str, ...] = setting(
        (), "run folders to combine into an ensemble; their backbones stay frozen"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        level = self.train_level
        if level not in LEVELS and not re.fullmatch(LAST_BLOCKS, level):
            raise UserError(f"train_level={level}: must be {', '.join(LEVELS)} or last-N")
        if self.adapter != "off" and level == "full":
            raise UserError(
                f"adapter={self.adapter}: adapts what is frozen, and train_level full freezes nothing; must be off, "
                "or train_level classifier, norm, higher, lower or last-N"
            )


@dataclass(frozen=True)
class DataConfig(Checked):
    """Which videos and frames make the batches (thesis section 4.3)."""

    work: str = setting("", "the prepared data set, written by ffpp-prep")
    also: tuple[str, ...] = setting((), "further prepared sets that train and validate together with it")
    set_weights: tuple[Annotated[float, Range(gt=0)], ...] = setting(
        (), "relative share of each set in an epoch, e.g. [1, 1] for equal shares; unset: every set in full"
    )
    batches: Literal["various", "dual", "shuffled", "blends"] = setting(
        "various",
        "several pairs of videos per batch (various), one pair (dual), plain shuffled frames, or real frames with "
        "blends of themselves (blends)",
    )
    batch_size: Annotated[int, Range(ge=2, le=16384)] = setting(24, "crops per batch, an even number")
    frame_stride: Annotated[int, Range(ge=1, le=MOST)] = setting(
        8, "various batches: distance between a video's frames in consecutive epochs"
    )
    train_frames: Annotated[int, Range(ge=0, le=MOST)] = setting(
        7, "shuffled batches and blends: frames per video and epoch; 0: all of them"
    )
    train_choice: Literal["drawn", "even"] = setting(
        "drawn",
        "shuffled batches: draw other frames each epoch, or take the same evenly spaced ones in all epochs",
    )
    val_frames: Frames = setting(7, "equally spaced frames per validation video")
    test_frames: Frames = setting(12, "equally spaced frames per test video")
    multiple_faces: SeveralFaces = setting(
        "drop",
        "videos with several faces: leave them out (thesis), keep the best face, or keep the face that ffpp-prep "
        "check-fakes found touched (in originals, the one in the same place)",
    )
    untouched: Literal["keep", "drop"] = setting(
        "keep", "keep or drop frames of fakes in which nothing is manipulated"
    )
    exclude_methods: tuple[str, ...] = setting(
        (), "leave fakes of these methods out of training and validation"
    )
    allow_leaks: bool = setting(False, "train although splits share identities or originals")
    shuffle_labels: bool = setting(
        False, "permute the labels of training and validation videos: the chance control"
    )
    workers: Annotated[int, Range(ge=0, le=1024)] | None = setting(
        None, "loader processes; unset: chosen by cores"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size % 2:
            raise UserError(f"batch_size={self.batch_size}: must be even, half fake and half real")
        if self.batches == "blends" and self.shuffle_labels:
            raise UserError("shuffle_labels=True: must be False with batches=blends, whose fakes are made")

    @property
    def works(self) -> tuple[str, ...]:
        """All prepared sets, in the order in which they were named."""
        return (self.work, *self.also)


@dataclass(frozen=True)
class TransformConfig(Checked):
    """Augmentation of the network's input in training (thesis section 4.2); a strength of 0 switches it off."""

    flip: Probability = setting(0.5, "probability of a horizontal flip")
    brightness: Annotated[float, Range(ge=0, le=1)] = setting(0.3, "colour jitter, factor in 1 +- this")
    contrast: Annotated[float, Range(ge=0, le=1)] = setting(0.3, "colour jitter, factor in 1 +- this")
    saturation: Annotated[float, Range(ge=0, le=1)] = setting(0.3, "colour jitter, factor in 1 +- this")
    hue: Annotated[float, Range(ge=0, le=0.5)] = setting(0.1, "colour jitter, shift in turns, +- this")
    rotation: Annotated[float, Range(ge=0, le=180)] = setting(40.0, "rotation in degrees, +- this")
    erasing: Probability = setting(0.5, "probability of random erasing")
    erasing_scale: Span = setting((0.02, 0.33), "erased share of the image, from, to")
    erasing_ratio: Span = setting((0.3, 3.3), "aspect of the erased box, from, to")
    on: Literal["auto", "workers", "model"] = setting(
        "auto",
        "where crops are augmented: by the loader's workers, or in whole batches on the model's device; "
        "auto: on the device if it is a GPU",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, (low, high) in (
            ("erasing_scale", self.erasing_scale),
            ("erasing_ratio", self.erasing_ratio),
        ):
            if not 0 < low <= high:
                raise UserError(f"{name}=[{low}, {high}]: must be 0 < from <= to")


@dataclass(frozen=True)
class DegradationConfig(Checked):
    """Corruptions of the stored crops in training, before they are resized; not in the thesis, off by default."""

    downscale: Probability = setting(0.0, "probability of shrinking and enlarging again")
    downscale_factor: Span = setting((0.25, 0.9), "share of the side to which it shrinks, from, to")
    blur: Probability = setting(0.0, "probability of Gaussian blur")
    blur_sigma: Span = setting((0.3, 2.0), "deviation of the blur in pixels, from, to")
    noise: Probability = setting(0.0, "probability of Gaussian noise")
    noise_deviation: Span = setting((2.0, 15.0), "deviation of the noise, 255 is white, from, to")
    jpeg: Probability = setting(0.0, "probability of JPEG compression")
    jpeg_quality: Span = setting((40.0, 95.0), "JPEG quality, 1 to 100, from, to")
    crf: Probability = setting(0.0, "probability of H.264 compression")
    crf_value: Span = setting((18.0, 40.0), "H.264 constant rate factor, 0 to 51, from, to")
    ellipse_blend: Probability = setting(
        0.0, "probability that a fake is replaced by its original with a changed ellipse in its middle"
    )

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
                allowed = f"from <= to within {lowest:g} to {highest:g}"
                raise UserError(f"{name}=[{low}, {high}]: must be {allowed}")


@dataclass(frozen=True)
class OptimizerConfig(Checked):
    """How gradients become steps (thesis sections 5.3, 7.1.2, 7.1.3)."""

    # A new default changes what an older run's full command asks for, so that it is refused; `run --out RUN` goes on.
    name: str = setting("radam", "radam, sgd, or any optimizer of torch.optim or torch_optimizer by name")
    lr: Annotated[float, Range(gt=0)] = setting(1e-3, "initial learning rate")
    momentum: Annotated[float, Range(ge=0, lt=1)] = setting(0.9, "momentum of sgd")
    weight_decay: Annotated[float, Range(ge=0)] = setting(0.0, "weight decay")
    arguments: dict[str, Value] = setting(
        factory=dict, said="further arguments of the optimizer, for example betas"
    )
    layer_decay: Annotated[float, Range(gt=0, le=1)] = setting(
        1.0, "factor of the learning rate from each layer to the one below it"
    )
    rates: dict[str, Annotated[float, Range(gt=0)]] = setting(
        factory=dict, said="learning-rate multipliers by parameter-name prefix, e.g. {head = 10}"
    )
    gradient_scaling: bool = setting(True, "dynamic loss scale (GS of Fig. 7.2)")
    amp: Amp = setting("off", "automatic mixed precision")
    noise_eta: Annotated[float, Range(ge=0)] = setting(0.0, "gradient noise: eta of the variance; 0: none")
    noise_gamma: Annotated[float, Range(ge=0)] = setting(0.55, "gradient noise: decay of the variance")
    noise_by: Literal["epoch", "step"] = setting("epoch", "gradient noise: unit of t in the decay")
    clip_norm: Annotated[float, Range(ge=0)] = setting(0.0, "largest gradient norm, after unscaling; 0: none")
    accumulate: Annotated[int, Range(ge=1, le=MOST)] = setting(1, "batches whose gradients make one step")
    sharpness: Annotated[float, Range(ge=0)] = setting(
        0.0,
        "SAM: distance up the gradient at which each step's gradient is computed; doubles the cost; 0: off",
    )
    ema_decay: Annotated[float, Range(ge=0, lt=1)] = setting(0.0, "moving average of the weights; 0: none")


@dataclass(frozen=True)
class LossConfig(Checked):
    """The training loss. Extra terms beyond the thesis's log loss are off by default."""

    name: str = setting("bce", "bce, focal, or package.module:function (which --trust must name)")
    smoothing: Annotated[float, Range(ge=0, lt=1)] = setting(
        0.0, "label smoothing: share of each label that is spread over both classes"
    )
    focal_gamma: Annotated[float, Range(ge=0)] = setting(
        2.0, "focal: exponent; the higher, the less easy crops count"
    )
    alignment: Annotated[float, Range(ge=0)] = setting(
        0.0, "weight of a loss that pulls features of one label together"
    )
    uniformity: Annotated[float, Range(ge=0)] = setting(
        0.0, "weight of a loss that spreads features over the sphere"
    )
    contrastive: Annotated[float, Range(ge=0)] = setting(0.0, "weight of the supervised contrastive loss")
    temperature: Annotated[float, Range(gt=0)] = setting(0.1, "contrastive: its temperature")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name not in ("bce", "focal") and ":" not in self.name:
            raise UserError(f"name={self.name}: must be bce, focal or package.module:function")


@dataclass(frozen=True)
class ScheduleConfig(Checked):
    """The learning rate over time: one curve, times the plateau's factor, times the warm-up's."""

    curve: Literal["constant", "exponential", "cosine", "linear"] = setting(
        "exponential", "curve of the learning rate; cosine and linear end at 0"
    )
    decay: Annotated[float, Range(gt=0, le=1)] = setting(0.94, "exponential: factor per decay")
    decay_every: Count = setting(2, "exponential: epochs from one decay to the next")
    linear_from: Annotated[float, Range(ge=0, lt=1)] = setting(
        0.0, "linear: share of the epochs after which it falls"
    )
    plateau: bool = setting(True, "reduce on a plateau of the training loss")
    plateau_factor: Annotated[float, Range(gt=0, lt=1)] = setting(0.5, "plateau: factor per reduction")
    plateau_patience: Annotated[int, Range(ge=0)] = setting(2, "plateau: epochs without improvement")
    warmup_epochs: Annotated[float, Range(ge=0)] = setting(0.0, "linear warm-up, in epochs")


@dataclass(frozen=True)
class TrainConfig(Checked):
    """How long, from which seed, and where."""

    epochs: Annotated[int, Range(ge=1, le=MOST)] = setting(50, "epochs of the run")
    max_steps: Count | None = setting(None, "at most this many batches per epoch, to try something quickly")
    seed: Annotated[int, Range(ge=0)] = setting(0, "seed of weights, batches, transforms and dropout")
    device: Device = setting("auto", "where to compute; auto: a GPU if there is one")
    threads: Annotated[int, Range(ge=1, le=1024)] | None = setting(
        None, "CPU threads of torch; unset: torch's choice"
    )
    channels_last: bool = setting(True, "memory layout NHWC: faster on CPUs and GPUs")
    compile: Compile = setting(
        "off", "torch.compile of the network while it trains: minutes at the start, then faster steps"
    )
    checkpoint_minutes: Annotated[float, Range(ge=0)] = setting(
        10.0, "minutes between saves within an epoch; 0: save only at its end"
    )
    gradient_flow: bool = setting(False, "record mean and maximum gradient per layer (Fig. 7.1)")
    tensorboard: bool = setting(False, "write TensorBoard events next to events.jsonl")
    wandb: bool = setting(
        False, "Weights & Biases: into RUN/wandb, or, with WANDB_MODE=online, to its server"
    )
    mlflow: bool = setting(False, "MLflow: into RUN/mlflow.db, or to the server of MLFLOW_TRACKING_URI")


@dataclass(frozen=True)
class RunConfig(Checked):
    """Everything that decides a run's outcome."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    transforms: TransformConfig = field(default_factory=TransformConfig)
    degradation: DegradationConfig = field(default_factory=DegradationConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
