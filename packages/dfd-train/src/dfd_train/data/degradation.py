"""Corruptions on the way of a picture: scaling, blur, noise, JPEG, H.264, gamma. Beyond the thesis, all off."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any

import av
import imagecodecs
import numpy as np
import torch

from dfd_train.data import functional
from dfd_train.settings.config import DegradationConfig
from ffpp_prep.format.geometry import Image
from ffpp_prep.video import Encoder, open_output


@dataclass(frozen=True)
class Corruption:
    """One corruption with its drawn strength; `seed` is that of its own randomness."""

    name: str
    strength: float
    seed: int


def draw_corruptions(config: DegradationConfig, random: np.random.Generator) -> tuple[Corruption, ...]:
    """Returns the corruptions of one showing, in the order in which a picture would meet them."""
    drawn = []
    for name, probability, (low, high) in (
        ("downscale", config.downscale, config.downscale_factor),
        ("blur", config.blur, config.blur_sigma),
        ("noise", config.noise, config.noise_deviation),
        ("jpeg", config.jpeg, config.jpeg_quality),
        ("crf", config.crf, config.crf_value),
    ):
        chosen, strength, seed = (
            random.random() < probability,
            random.uniform(low, high),
            random.integers(2**32),
        )
        if chosen:
            drawn.append(Corruption(name, float(strength), int(seed)))
    return tuple(drawn)


def degrade(crop: Image, corruptions: tuple[Corruption, ...]) -> Image:
    """Returns a crop (H, W, 3) uint8 after these corruptions, of the same size."""
    for corruption in corruptions:
        crop = _CORRUPTIONS[corruption.name](crop, corruption)
    return crop


def reseeded(corruptions: tuple[Corruption, ...], *place: int) -> tuple[Corruption, ...]:
    """Returns the same corruptions with their randomness keyed by `place` too, so that no two frames get the
    same noise.
    """
    return tuple(
        replace(corruption, seed=int(np.random.SeedSequence([corruption.seed, *place]).generate_state(1)[0]))
        for corruption in corruptions
    )


def _downscale(crop: Image, corruption: Corruption) -> Image:
    height, width = crop.shape[:2]
    small = [max(1, round(height * corruption.strength)), max(1, round(width * corruption.strength))]
    return _to_image(
        functional.resize(functional.resize(_to_tensor(crop), small, antialias=True), [height, width])
    )


def _blur(crop: Image, corruption: Corruption) -> Image:
    reach = min(int(3 * corruption.strength + 0.5), (min(crop.shape[:2]) - 1) // 2)
    if reach < 1:
        return crop
    return _to_image(
        functional.gaussian_blur(_to_tensor(crop), [2 * reach + 1] * 2, [corruption.strength] * 2)
    )


def _noise(crop: Image, corruption: Corruption) -> Image:
    noise = np.random.default_rng(corruption.seed).normal(0.0, corruption.strength, crop.shape)
    noisy: Image = (crop + noise).round().clip(0, 255).astype(np.uint8)
    return noisy


def _jpeg(crop: Image, corruption: Corruption) -> Image:
    encoded = imagecodecs.jpeg8_encode(
        np.ascontiguousarray(crop), level=round(corruption.strength), subsampling="420"
    )
    decoded: Image = imagecodecs.jpeg8_decode(encoded)
    return decoded


def _crf(crop: Image, corruption: Corruption) -> Image:
    """Returns one intra frame of H.264; its chroma has half the resolution, so odd sides are padded by a pixel."""
    height, width = crop.shape[:2]
    padded = np.pad(crop, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    buffer = io.BytesIO()
    options = {"crf": f"{corruption.strength:.1f}", "preset": "ultrafast"}
    with open_output(buffer, format="mp4") as output:
        encoder = Encoder(output, padded.shape[1], padded.shape[0], options=options)
        encoder.write(padded)
        encoder.close()
    container: Any = av.open(io.BytesIO(buffer.getvalue()))
    with container:
        decoded: Image = next(container.decode(video=0)).to_ndarray(format="rgb24")
    return np.ascontiguousarray(decoded[:height, :width])


def _gamma(crop: Image, corruption: Corruption) -> Image:
    """Returns each value to the power of the strength, black and white staying: above 1 is darker."""
    curve = 255.0 * (np.arange(256) / 255.0) ** corruption.strength
    changed: Image = curve.round().astype(np.uint8)[crop]
    return changed


_CORRUPTIONS = {
    "downscale": _downscale,
    "blur": _blur,
    "noise": _noise,
    "jpeg": _jpeg,
    "crf": _crf,
    "gamma": _gamma,
}


def _to_tensor(crop: Image) -> torch.Tensor:
    return torch.from_numpy(np.array(crop)).permute(2, 0, 1)


def _to_image(tensor: torch.Tensor) -> Image:
    image: Image = tensor.permute(1, 2, 0).numpy()
    return image
