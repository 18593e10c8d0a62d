"""What a model's folder says of its input, as `InputSpec` says it: a processor of transformers, and its numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from dfd_train.adopt.builders.encoders import need_transformers
from dfd_train.data.fitting import fit, normalize
from dfd_train.data.spec import LARGEST_INPUT, InputSpec, Interpolation
from dfd_train.errors import UserError, first_line
from ffpp_prep.format.geometry import Image
from ffpp_prep.options import shown
from ffpp_prep.text.units import counted

RESAMPLE: dict[float, Interpolation] = {
    0: "pillow-nearest",
    1: "pillow-lanczos",
    2: "pillow-bilinear",
    3: "pillow-bicubic",
}
"""transformers' numbers for them"""
_ROUNDING = 2.0  # of 255 levels, on average: libraries' ways to resize differ by less on smooth pictures


def input_of_processor(table: Mapping[str, Any], config: Mapping[str, Any], where: Path) -> InputSpec:
    """Returns how a processor of transformers makes its pictures; what its file leaves out is as its class has it.

    Args:
        table: what `preprocessor_config.json` says.
        config: what the model's `config.json` says.
        where: the processor's file, for errors.

    Raises:
        UserError: it is no processor of transformers, or does what no `InputSpec` can say.
    """
    processor = _processor(table, config, where)
    spec = _stated(processor, where)
    _check_alike(processor, spec, where)
    return spec


def _check_alike(processor: Any, spec: InputSpec, where: Path) -> None:
    """Raises UserError unless the processor makes of a picture what `spec` does, but for its library's rounding.

    So whatever a processor does besides, such as swapping colours or normalising twice, is not passed over.
    """
    side = max(spec.size, spec.shorter)
    picture: Image = np.zeros((side + 8, side + 24, 3), np.uint8)
    picture[...] = np.linspace((0, 250, 30), (250, 0, 220), side + 24)
    picture[: side // 2] //= 2
    try:
        theirs = np.asarray(
            processor(images=Pillow.fromarray(picture), return_tensors="np")["pixel_values"][0]
        )
    except Exception as error:  # whatever a library makes of values that it does not know
        raise UserError(f"{where}: {first_line(error)}") from None
    ours = normalize(fit(picture, spec), spec).numpy()
    allowed = _ROUNDING / 255 / np.array(spec.std)[:, None, None]
    if theirs.shape != ours.shape or not (np.abs(theirs - ours) / allowed).mean() < 1:
        raise UserError(
            f"{where}: {type(processor).__name__} with these settings makes pictures otherwise than can be said here; "
            "write a card"
        )


def _stated(processor: Any, where: Path) -> InputSpec:
    if not getattr(processor, "do_resize", True):
        raise UserError(f"{where}: do_resize is false; write a card with the size that it was trained at")
    factor = number(getattr(processor, "rescale_factor", 1 / 255) or 1 / 255, "rescale_factor", where)
    rescaled = getattr(processor, "do_rescale", True)
    if rescaled and not math.isclose(factor, 1 / 255, rel_tol=1e-3):
        raise UserError(f"{where}: rescale_factor is {factor:g}; allowed: 1/255")
    how = RESAMPLE.get(number(processor.resample, "resample", where))
    if how is None:
        raise UserError(
            f"{where}: resample is {shown(processor.resample)}; allowed: {', '.join(map(str, RESAMPLE))}"
        )
    normalised = getattr(processor, "do_normalize", True)
    mean, std = (
        (three(processor.image_mean, "image_mean", where), three(processor.image_std, "image_std", where))
        if normalised
        else ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    )
    if getattr(processor, "include_top", False):  # EfficientNet's divides by it twice
        std = tuple(value * value for value in std)  # type: ignore[assignment]
    if not rescaled:  # mean and deviation are of values from 0 to 255
        mean, std = (tuple(value / 255 for value in values) for values in (mean, std))  # type: ignore[assignment]
    size = dict(processor.size or {})
    crop = (
        dict(processor.crop_size)
        if getattr(processor, "do_center_crop", False) and processor.crop_size
        else {}
    )
    side = _side(size, where)
    if type(processor).__name__.startswith("ConvNext"):
        if side >= 384:
            return InputSpec(side, mean, std, "stretch", how)
        shorter = enlarged(side, processor.crop_pct, where)
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


def enlarged(side: int, share: Any, where: Path | str) -> int:
    """Returns to how many pixels a picture is resized if its middle `share` is shown. Raises: UserError."""
    part = number(share, "crop_pct", where)
    if not side / LARGEST_INPUT <= part <= 1:
        raise UserError(
            f"{where}: crop_pct is {part:g}; allowed: up to 1, and no picture over {LARGEST_INPUT} pixels"
        )
    return int(side / part)


def three(values: Any, name: str, where: Path | str) -> tuple[float, float, float]:
    """Returns a number for each colour; one stands for all. Raises: UserError."""
    found = values if isinstance(values, list | tuple) else [values] * 3
    if len(found) != 3:
        raise UserError(f"{where}: {name} has {counted(len(found), 'number')}, must have 3")
    one, two, three = (number(value, name, where) for value in found)
    return (one, two, three)


def number(value: Any, name: str, where: Path | str) -> float:
    """Returns a finite number. Raises: UserError for anything else."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{where}: {name} is {shown(value)}, must be a number")
    return value
