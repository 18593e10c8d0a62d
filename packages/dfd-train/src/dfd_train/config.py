"""Every setting of a training run: nested frozen dataclasses <-> TOML <-> `--set section.field=value`.

The field declarations are the only list of settings: type, allowed range and help text stand side by side, and the
TOML file, the command line's flags and the error messages derive from them. Defaults are the thesis's recipe for the
Reseption models (section 7.1.5).
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

PRESETS = Path(__file__).parent / "presets"

Value = str | int | float | bool

Probability = Annotated[float, Meta(ge=0.0, le=1.0)]


@dataclass(frozen=True)
class ModelConfig:
    """Which network, and which of its parts train."""

    name: Annotated[
        str,
        Meta(description="a reseption_models name, a baseline, timm:NAME or package.module:function"),
    ] = "reseption_v1"
    input_size: (
        Annotated[int, Meta(ge=1, description="side of the square input in pixels; unset: the model's")]
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
        Meta(description="which parts train, the classifier always; higher: as in Table 5.2 of the thesis"),
    ] = "full"
    members: Annotated[
        tuple[str, ...], Meta(description="run folders whose networks an ensemble joins, bodies frozen")
    ] = ()


@dataclass(frozen=True)
class DataConfig:
    """Which videos and frames make the batches (thesis section 4.3)."""

    work: Annotated[str, Meta(description="the prepared data set, written by ffpp-prep")] = ""
    batches: Annotated[
        Literal["various", "dual", "shuffled"],
        Meta(description="various pairs a batch, one pair a batch, or plain shuffled frames"),
    ] = "various"
    batch_size: Annotated[int, Meta(ge=2, description="crops a batch, even")] = 24
    frame_stride: Annotated[int, Meta(ge=1, description="n of the various formula")] = 8
    train_frames: Annotated[
        int, Meta(ge=0, description="frames a video and epoch of shuffled batches; 0: all of them")
    ] = 7
    val_frames: Annotated[int, Meta(ge=1, description="equally spaced frames a validation video")] = 7
    test_frames: Annotated[int, Meta(ge=1, description="equally spaced frames a test video")] = 12
    multiple_faces: Annotated[
        Literal["drop", "keep"],
        Meta(description="videos with several faces: left out (thesis) or best face kept"),
    ] = "drop"
    exclude_methods: Annotated[tuple[str, ...], Meta(description="fakes of these methods do not train")] = ()
    allow_leaks: Annotated[bool, Meta(description="train although splits share identities or originals")] = (
        False
    )
    shuffle_labels: Annotated[
        bool, Meta(description="permute the labels of training and validation videos: the chance control")
    ] = False
    workers: Annotated[int, Meta(ge=0, description="loader processes; unset: chosen by cores")] | None = None

    def __post_init__(self) -> None:
        if self.batch_size % 2:
            raise ValueError(f"batch_size is {self.batch_size}, must be even: half fake, half real")


@dataclass(frozen=True)
class TransformConfig:
    """Training-time augmentation (thesis section 4.2); every strength can be set, 0 switches it off."""

    flip: Annotated[Probability, Meta(description="probability of a horizontal flip")] = 0.5
    brightness: Annotated[float, Meta(ge=0.0, le=1.0, description="colour jitter, factor in 1 +- this")] = 0.3
    contrast: Annotated[float, Meta(ge=0.0, le=1.0, description="colour jitter, factor in 1 +- this")] = 0.3
    saturation: Annotated[float, Meta(ge=0.0, le=1.0, description="colour jitter, factor in 1 +- this")] = 0.3
    hue: Annotated[float, Meta(ge=0.0, le=0.5, description="colour jitter, shift in turns, +- this")] = 0.1
    rotation: Annotated[float, Meta(ge=0.0, le=180.0, description="rotation in degrees, +- this")] = 40.0
    erasing: Annotated[Probability, Meta(description="probability of random erasing")] = 0.5
    erasing_scale: Annotated[tuple[float, float], Meta(description="erased share of the image, from, to")] = (
        0.02,
        0.33,
    )
    erasing_ratio: Annotated[tuple[float, float], Meta(description="aspect of the erased box, from, to")] = (
        0.3,
        3.3,
    )
    on: Annotated[
        Literal["workers", "model"],
        Meta(description="where crops are augmented: in the loader's workers or on the model's device"),
    ] = "workers"

    def __post_init__(self) -> None:
        for name, (low, high) in (
            ("erasing_scale", self.erasing_scale),
            ("erasing_ratio", self.erasing_ratio),
        ):
            if not 0 < low <= high:
                raise ValueError(f"{name} is [{low}, {high}], must be 0 < from <= to")


@dataclass(frozen=True)
class OptimizerConfig:
    """How gradients become steps (thesis sections 5.3, 7.1.2, 7.1.3)."""

    name: Annotated[
        str, Meta(description="radam, sgd, or any optimiser of torch.optim or torch_optimizer by name")
    ] = "radam"
    lr: Annotated[float, Meta(gt=0.0, description="initial learning rate")] = 1e-3
    momentum: Annotated[float, Meta(ge=0.0, lt=1.0, description="momentum of sgd")] = 0.9
    weight_decay: Annotated[float, Meta(ge=0.0, description="weight decay")] = 0.0
    arguments: Annotated[dict[str, Value], Meta(description="further arguments of the optimiser")] = field(
        default_factory=dict
    )
    gradient_scaling: Annotated[bool, Meta(description="dynamic loss scale (GS of Fig. 7.2)")] = True
    amp: Annotated[Literal["off", "fp16", "bf16"], Meta(description="automatic mixed precision")] = "off"
    noise_eta: Annotated[float, Meta(ge=0.0, description="gradient noise: eta of the variance; 0: none")] = (
        0.0
    )
    noise_gamma: Annotated[float, Meta(ge=0.0, description="gradient noise: decay of the variance")] = 0.55
    noise_by: Annotated[Literal["epoch", "step"], Meta(description="gradient noise: what t counts")] = "epoch"
    clip_norm: Annotated[
        float, Meta(ge=0.0, description="largest gradient norm, after unscaling; 0: none")
    ] = 0.0
    accumulate: Annotated[int, Meta(ge=1, description="batches whose gradients make one step")] = 1
    ema_decay: Annotated[
        float, Meta(ge=0.0, lt=1.0, description="moving average of the weights; 0: none")
    ] = 0.0


@dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate over time: one curve, times the plateau's factor, times the warm-up's."""

    curve: Annotated[
        Literal["constant", "exponential", "cosine"], Meta(description="curve of the learning rate")
    ] = "exponential"
    decay: Annotated[float, Meta(gt=0.0, le=1.0, description="exponential: factor a decay")] = 0.94
    decay_every: Annotated[int, Meta(ge=1, description="exponential: epochs a decay")] = 2
    plateau: Annotated[bool, Meta(description="reduce on a plateau of the training loss")] = True
    plateau_factor: Annotated[float, Meta(gt=0.0, lt=1.0, description="plateau: factor a reduction")] = 0.5
    plateau_patience: Annotated[int, Meta(ge=0, description="plateau: epochs without improvement")] = 2
    warmup_epochs: Annotated[float, Meta(ge=0.0, description="linear warm-up, in epochs")] = 0.0


@dataclass(frozen=True)
class TrainConfig:
    """How long, from which seed, and where."""

    epochs: Annotated[int, Meta(ge=1, description="epochs of the run")] = 50
    max_steps: (
        Annotated[int, Meta(ge=1, description="at most so many batches an epoch (smoke runs)")] | None
    ) = None
    seed: Annotated[int, Meta(ge=0, description="seed of weights, batches, transforms and dropout")] = 0
    device: Annotated[
        Literal["auto", "cpu", "cuda"], Meta(description="where to compute; auto: a GPU where there is one")
    ] = "auto"
    threads: Annotated[int, Meta(ge=1, description="CPU threads of torch; unset: torch's choice")] | None = (
        None
    )
    channels_last: Annotated[bool, Meta(description="memory layout NHWC: faster on most GPUs")] = False
    checkpoint_minutes: Annotated[
        float, Meta(ge=0.0, description="save within an epoch after so many minutes; 0: at its end only")
    ] = 10.0
    gradient_flow: Annotated[
        bool, Meta(description="record mean and maximum gradient a layer (Fig. 7.1)")
    ] = False
    tensorboard: Annotated[bool, Meta(description="write TensorBoard events beside events.jsonl")] = False


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's outcome."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    transforms: TransformConfig = field(default_factory=TransformConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


@dataclass(frozen=True)
class Setting:
    """One field of the configuration, as the command line shows it."""

    name: str
    """section.field"""
    description: str
    default: object


# What may differ when a run is resumed: where things are and how fast they go, not what comes out.
RESUMABLE = frozenset(
    {
        "data.work",
        "data.workers",
        "train.device",
        "train.threads",
        "train.checkpoint_minutes",
        "train.tensorboard",
    }
)


def settings() -> Iterator[Setting]:
    """All settings in the order of their declaration."""
    for section in dataclasses.fields(RunConfig):
        section_type = get_type_hints(RunConfig)[section.name]
        hints = get_type_hints(section_type, include_extras=True)
        defaults = section_type()
        for entry in dataclasses.fields(section_type):
            yield Setting(
                f"{section.name}.{entry.name}", _description(hints[entry.name]), getattr(defaults, entry.name)
            )


def read_config(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, unchecked: `build_config` checks them.

    Raises: FileNotFoundError; ValueError if it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"no such configuration: {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from None


def find_config(path: Path) -> Path:
    """The file, or where there is none of that name, the preset that comes with the package.

    Raises: FileNotFoundError listing the presets.
    """
    for file in (path, PRESETS / f"{path}.toml"):
        if file.is_file():
            return file
    names = ", ".join(sorted(file.stem for file in PRESETS.glob("*.toml")))
    raise FileNotFoundError(f"no such configuration: {path}; presets: {names}")


def build_config(tables: Mapping[str, Any], overrides: Iterable[tuple[str, str]] = ()) -> RunConfig:
    """A checked configuration from TOML tables and overrides `(section.field, text)`, later ones winning.

    Raises: ValueError naming the setting, the value seen and what is allowed.
    """
    merged = {name: dict(table) if isinstance(table, Mapping) else table for name, table in tables.items()}
    for name, text in overrides:
        _set(merged, name, text)
    _refuse_unknown(merged)
    try:
        return msgspec.convert(merged, RunConfig)
    except msgspec.ValidationError as error:
        raise ValueError(_explain(str(error), merged)) from None


def to_tables(config: RunConfig) -> dict[str, dict[str, Any]]:
    """Plain tables of a configuration, ready for TOML or a checkpoint; unset optional fields are absent."""
    tables: dict[str, dict[str, Any]] = dataclasses.asdict(config)
    return {
        section: {name: list(v) if isinstance(v, tuple) else v for name, v in table.items() if v is not None}
        for section, table in tables.items()
    }


def changed_settings(saved: RunConfig, wanted: RunConfig) -> list[str]:
    """Settings that decide the outcome and differ, as lines `section.field: saved -> wanted`."""
    lines = []
    for setting in settings():
        section, name = setting.name.split(".")
        before, after = (getattr(getattr(config, section), name) for config in (saved, wanted))
        if before != after and setting.name not in RESUMABLE:
            lines.append(f"{setting.name}: {before!r} -> {after!r}")
    return lines


def _description(hint: object) -> str:
    """The first description in a field's type: `Annotated[int, Meta(...)]`, alone or in a union with None."""
    for part in get_args(hint):
        found = (part.description or "") if isinstance(part, Meta) else _description(part)
        if found:
            return found
    return ""


def _set(tables: dict[str, Any], name: str, text: str) -> None:
    section, _, rest = name.partition(".")
    if not rest:
        raise ValueError(
            f"{name!r} is not a setting; settings are written section.field, for example train.epochs"
        )
    table = tables.setdefault(section, {})
    entry, _, key = rest.partition(".")
    value = _parse(text)
    if key:
        table[entry] = {**table.get(entry, {}), key: value}
    elif isinstance(value, str) and _hint(section, entry) == tuple[str, ...]:
        table[entry] = [part.strip() for part in value.split(",")]
    else:
        table[entry] = value


def _hint(section: str, entry: str) -> object:
    """A field's type without its annotations, None for an unknown field."""
    section_type = get_type_hints(RunConfig).get(section)
    return get_type_hints(section_type).get(entry) if section_type else None


def _parse(text: str) -> object:
    """A command-line value: TOML where it is TOML, `none`, otherwise the text itself."""
    if text.lower() == "none":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _refuse_unknown(tables: Mapping[str, Any]) -> None:
    sections = get_type_hints(RunConfig)
    for section, table in tables.items():
        if section not in sections:
            raise ValueError(f"unknown section {section!r}; allowed: {', '.join(sections)}")
        if not isinstance(table, Mapping):
            raise ValueError(f"{section} is {table!r}, must be a table of settings")
        allowed = [entry.name for entry in dataclasses.fields(sections[section])]
        for name in table:
            if name not in allowed:
                raise ValueError(
                    f"unknown setting {section}.{name}; allowed in {section}: {', '.join(allowed)}"
                )


def _explain(message: str, tables: Mapping[str, Any]) -> str:
    """msgspec's message with the setting's name and the value seen instead of a JSON path."""
    text, _, path = message.partition(" - at `$.")
    section, _, entry = path.rstrip("`").partition(".")
    entry = entry.split("[")[0].split(".")[0]
    if not entry:
        return f"{section}.{text}" if section else text
    value = tables[section][entry]
    hint = _hint(section, entry)
    if get_origin(hint) is Literal:
        return f"{section}.{entry} is {value!r}; allowed: {', '.join(map(str, get_args(hint)))}"
    return f"{section}.{entry} is {value!r}: {text[0].lower()}{text[1:]}"
