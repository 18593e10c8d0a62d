"""Cards made on the spot: of any picture classifier of Hugging Face, and of any of timm's networks."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfd_train.adopt.builders.encoders import need_transformers
from dfd_train.adopt.builders.timm_networks import create
from dfd_train.adopt.card import Card, Output
from dfd_train.adopt.states import AuthorsWeights
from dfd_train.data.spec import LARGEST_INPUT, CropRule, InputSpec, Interpolation
from dfd_train.errors import UserError, first_line
from dfd_train.models.bounds import LARGEST
from ffpp_prep.options import shown
from ffpp_prep.text.printable import printable

_FAKE = {
    *(
        "fake",
        "fakes",
        "faked",
        "deepfake",
        "deepfakes",
        "df",
        "ai",
        "aigc",
        "aigenerated",
        "artificial",
        "generated",
    ),
    *("synthetic", "forged", "manipulated", "tampered", "spoof", "altered", "diffusion", "gan"),
}
_REAL = {
    *("real", "reals", "realism", "human", "hum", "authentic", "genuine", "original", "bonafide", "natural"),
    *("pristine", "photo", "camera", "untouched"),
}
_NOT = {"not", "non", "no", "un", "anti"}
_RESAMPLE: dict[float, Interpolation] = {
    0: "pillow-nearest",
    1: "pillow-lanczos",
    2: "pillow-bilinear",
    3: "pillow-bicubic",
}
MOST_BYTES = 4_000_000
"""of config.json, which has a line for each label"""
_WHOLE = "Many such classifiers were trained on whole pictures; here it sees {what}."


@dataclass(frozen=True)
class Wishes:
    """What a person says of a detector that comes without a card."""

    name: str
    fake: tuple[str, ...] = ()
    """labels or numbers of the outputs that mean fake; empty: read from the labels' words"""
    whole_picture: bool = False
    """it is shown the frame, not the face"""
    fetched_as: str = ""
    """OWNER/NAME at Hugging Face; empty for a folder"""

    @property
    def crop(self) -> CropRule:
        """Which crop the network is shown."""
        return CropRule(rule="frame") if self.whole_picture else CropRule()

    @property
    def remark(self) -> str:
        """Says in words what the network is shown."""
        what = (
            "whole pictures" if self.whole_picture else "faces, each side 30 % larger than the finder's box"
        )
        return _WHOLE.format(what=what)


def huggingface_card(folder: Path, wishes: Wishes) -> Card:
    """Returns the card of a model's folder: config.json, preprocessor_config.json, README.md's licence.

    Raises: FileNotFoundError, UserError where it is none, where its labels don't say which is fake, or where its
    pictures aren't made in a way that is known here.
    """
    config = _json(folder / "config.json")
    if "architecture" in config:
        return _timm_folder_card(folder, config, wishes)
    if "model_type" not in config:
        known = " (Community Forensics' file: the card is community-forensics-384)" * ("patch_size" in config)
        raise UserError(
            f"{folder / 'config.json'} has no model_type{known}; allowed: a transformers or timm model"
        )
    labels = _labels(config, folder)
    # config.json's own _name_or_path names the network that training began with
    called = wishes.fetched_as or printable(folder.resolve().name)
    return Card(
        name=wishes.name,
        title=f"{called} ({config['model_type']})"[:120],
        builder="huggingface",
        licence=_licence(folder),
        citation="its page at Hugging Face",
        source=f"{called} at {folder.name[:7]}" if wishes.fetched_as else called,
        trained_on=(),
        input=_spec(folder, config),
        crop=wishes.crop,
        parity="logits of transformers' own classifiers and processors on the same crops, weights by a rule",
        remarks=(wishes.remark,),
        arguments={"config": json.dumps(config)},
        output=Output("softmax", fake_outputs(labels, wishes.fake), len(labels)),
    )


def timm_card(model: str, weights: AuthorsWeights, wishes: Wishes) -> Card:
    """Returns the card of timm's network of that name, its outputs counted in the weights. Raises: UserError."""
    own = create(model).pretrained_cfg
    names = own.get("classifier") or ""
    first = names if isinstance(names, str) else names[0]
    bias = next((t for name, t in weights.state.items() if name.endswith(f"{first}.bias")), None)
    if not first or bias is None or bias.ndim != 1:
        raise UserError(
            f"{weights.path} has no {first or 'classifier'}.bias: how many outputs does it have? Write a card"
        )
    return _timm(
        model, own, [f"{index}" for index in range(len(bias))], wishes, "timm's network and your weights"
    )


def fake_outputs(labels: Sequence[str], wanted: Sequence[str]) -> tuple[int, ...]:
    """Returns which outputs mean fake: those asked for, by label or number, or else those whose labels say so.

    Raises: UserError that asks, where the words don't say it of each.
    """
    lower = [label.lower() for label in labels]
    if wanted:
        numbers = {str(index) for index in range(len(labels))}
        for one in wanted:
            if one.lower() not in lower and one not in numbers:
                raise UserError(
                    f"--fake {one}: allowed are {', '.join(labels)}, or numbers up to {len(labels) - 1}"
                )
        return tuple(
            sorted({lower.index(one.lower()) if one.lower() in lower else int(one) for one in wanted})
        )
    means = [_means_fake(label) for label in labels]
    if None in means or True not in means or False not in means:
        shown = ", ".join(label.encode("unicode_escape").decode()[:40] for label in labels[:10])
        raise UserError(
            f"its labels don't say which mean fake ({shown}): --fake LABEL, as often as there are such labels"
        )
    return tuple(index for index, fake in enumerate(means) if fake)


def _means_fake(label: str) -> bool | None:
    """Returns whether a label's words mean fake; None where they don't say, or say both."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label).lower())
    fake, real = (any(word in known for word in words) for known in (_FAKE, _REAL))
    return None if fake == real or _NOT & set(words) else fake


def _labels(config: Mapping[str, Any], folder: Path) -> list[str]:
    table = config.get("id2label")
    if not isinstance(table, dict) or len(table) < 2:
        raise UserError(
            f"{folder / 'config.json'} has no id2label with two labels or more: it is no classifier"
        )
    try:
        by_number = {int(number): str(label) for number, label in table.items()}
    except ValueError:
        by_number = {}
    if sorted(by_number) != list(range(len(table))):
        raise UserError(
            f"{folder / 'config.json'}: id2label's numbers are {list(table)[:5]}, must count from 0"
        )
    return [by_number[number] for number in range(len(table))]


def _spec(folder: Path, config: Mapping[str, Any]) -> InputSpec:
    """Returns how a processor of transformers makes its pictures; what its file leaves out is as its class has it."""
    where = folder / "preprocessor_config.json"
    processor = _processor(_json(where), config, where)
    if not getattr(processor, "do_resize", True):
        raise UserError(f"{where}: do_resize is false; write a card with the size that it was trained at")
    factor = _number(getattr(processor, "rescale_factor", 1 / 255) or 1 / 255, "rescale_factor", where)
    if getattr(processor, "do_rescale", True) and not math.isclose(factor, 1 / 255, rel_tol=1e-3):
        raise UserError(f"{where}: rescale_factor is {factor:g}; allowed: 1/255")
    how = _RESAMPLE.get(_number(processor.resample, "resample", where))
    if how is None:
        raise UserError(
            f"{where}: resample is {shown(processor.resample)}; allowed: {', '.join(map(str, _RESAMPLE))}"
        )
    normalised = getattr(processor, "do_normalize", True)
    mean, std = (
        (_three(processor.image_mean, "image_mean", where), _three(processor.image_std, "image_std", where))
        if normalised
        else ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    )
    size = dict(processor.size)
    crop = (
        dict(processor.crop_size)
        if getattr(processor, "do_center_crop", False) and processor.crop_size
        else {}
    )
    side = _side(size, where)
    if type(processor).__name__.startswith("ConvNext"):
        if side >= 384:
            return InputSpec(side, mean, std, "stretch", how)
        shorter = _enlarged(side, processor.crop_pct, where)
        return InputSpec(side, mean, std, "centre-floor", how, shorter)
    if crop:
        fit = "centre-floor" if size.get("shortest_edge") else "stretch-centre"
        return InputSpec(_side(crop, where), mean, std, fit, how, side)  # type: ignore[arg-type]
    return InputSpec(side, mean, std, "centre-floor" if size.get("shortest_edge") else "stretch", how)


def _processor(table: Mapping[str, Any], config: Mapping[str, Any], where: Path) -> Any:
    transformers = need_transformers()
    named = str(table.get("image_processor_type") or table.get("feature_extractor_type") or "")
    name = named.replace("FeatureExtractor", "ImageProcessor").removesuffix("Fast")
    kind = getattr(transformers, name, None) if re.fullmatch(r"\w+ImageProcessor", name) else None
    if kind is None:
        raise UserError(
            f"{where}: image_processor_type is {named or 'missing'!r}, no processor of transformers "
            f"(model_type {config.get('model_type')}); write a card"
        )
    own = {
        key: value
        for key, value in table.items()
        if key not in ("image_processor_type", "feature_extractor_type")
    }
    try:
        return kind.from_dict(own)
    except Exception as error:  # whatever a library makes of values that it does not know
        raise UserError(f"{where}: {first_line(error)}") from None


def _side(size: Mapping[str, Any], where: Path) -> int:
    given = {name: value for name, value in size.items() if isinstance(value, int) and value}
    height, width = given.get("height"), given.get("width")
    side = given.get("shortest_edge") or (height if height == width else None)
    if not side:
        raise UserError(
            f"{where}: size is {dict(given)}, must be square: a number, height and width, or shortest_edge"
        )
    if not 0 < side <= LARGEST_INPUT:
        raise UserError(f"{where}: size is {dict(given)}; allowed: up to {LARGEST_INPUT} pixels")
    return int(side)


def _enlarged(side: int, share: Any, where: Path | str) -> int:
    """Returns to how many pixels a picture goes of which the middle `share` is shown."""
    part = _number(share, "crop_pct", where)
    if not side / LARGEST_INPUT <= part <= 1:
        raise UserError(
            f"{where}: crop_pct is {part:g}; allowed: up to 1, and no picture over {LARGEST_INPUT} pixels"
        )
    return int(side / part)


def _three(values: Any, name: str, where: Path | str) -> tuple[float, float, float]:
    found = values if isinstance(values, list | tuple) else [values] * 3
    if len(found) != 3:
        raise UserError(f"{where}: {name} has {len(found)} numbers, must have 3")
    one, two, three = (_number(value, name, where) for value in found)
    return (one, two, three)


def _number(value: Any, name: str, where: Path | str) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{where}: {name} is {shown(value)}, must be a number")
    return value


def _timm_folder_card(folder: Path, config: Mapping[str, Any], wishes: Wishes) -> Card:
    """Returns the card of a model that timm saved to a folder. Raises: UserError."""
    where = folder / "config.json"
    further = config.get("pretrained_cfg") or {}
    if not isinstance(further, dict):
        raise UserError(f"{where}: pretrained_cfg is {shown(further)}, must be an object")
    own = {**config, **further}
    classes = own.get("num_classes", 2)
    if not isinstance(classes, int) or not 1 <= classes <= LARGEST:
        raise UserError(f"{where}: num_classes is {shown(classes)}; allowed: 1 to {LARGEST}")
    labels = own.get("label_names") or [f"{index}" for index in range(classes)]
    if not isinstance(labels, list):
        raise UserError(f"{where}: label_names is {shown(labels)}, must be a list")
    return _timm(str(config["architecture"]), own, list(map(str, labels)), wishes, _licence(folder))


def _timm(model: str, own: Mapping[str, Any], labels: Sequence[str], wishes: Wishes, licence: str) -> Card:
    where = f"timm:{model}"
    shape = own.get("input_size")
    size = shape[-1] if isinstance(shape, list | tuple) and shape else shape
    if not isinstance(size, int) or not 0 < size <= LARGEST_INPUT:
        raise UserError(f"{where}: input_size is {shown(shape)}, must end with up to {LARGEST_INPUT} pixels")
    interpolation = f"pillow-{own.get('interpolation') or 'bicubic'}"
    if interpolation not in _RESAMPLE.values():
        raise UserError(f"{where}: interpolation is {shown(own.get('interpolation'))}; write a card")
    if len(labels) == 1:
        positive = fake_outputs(("0", "1"), wishes.fake) if wishes.fake else (1,)
        output = Output("logit", positive, 1)
    else:
        output = Output("softmax", fake_outputs(labels, wishes.fake), len(labels))
    return Card(
        name=wishes.name,
        title=f"{model} of timm",
        builder="timm",
        licence=licence,
        citation="yours to add",
        source=wishes.fetched_as or "timm",
        trained_on=(),
        input=InputSpec(
            size,
            _three(own.get("mean"), "mean", where),
            _three(own.get("std"), "std", where),
            "centre",
            interpolation,  # type: ignore[arg-type]
            _enlarged(size, own.get("crop_pct") or 1.0, where),
        ),
        crop=wishes.crop,
        remarks=(wishes.remark,),
        arguments={"model": model},
        output=output,
    )


def _licence(folder: Path) -> str:
    """Returns what README.md's head says; a folder without one says nothing."""
    readme = folder / "README.md"
    if readme.is_file():
        head = readme.read_text(encoding="utf-8", errors="replace")[:4000]
        found = re.search(r"^license:\s*([\w.+ -]{1,60})$", head, re.MULTILINE)
        if found:
            return found[1].strip()
    return "not stated in its folder: see its page"


def _json(path: Path) -> dict[str, Any]:
    from reseption_models.files import check_is_file

    if path.parent.is_dir() and not path.is_file():
        found = ", ".join(sorted(one.name for one in path.parent.iterdir())[:5]) or "nothing"
        raise UserError(f"{path.parent} is no Hugging Face model: it has no {path.name} (it has {found})")
    check_is_file(path)
    if (size := path.stat().st_size) > MOST_BYTES:
        raise UserError(f"{path} has {size:,} bytes; allowed: {MOST_BYTES:,}")
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: {first_line(error)}") from None
    if not isinstance(table, dict):
        raise UserError(f"{path} holds a {type(table).__name__}, must be an object")
    return table
