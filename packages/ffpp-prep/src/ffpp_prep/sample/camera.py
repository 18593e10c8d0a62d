"""Filming: a picture or video of a person becomes a take, with a moving camera, changing light and sensor noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ffpp_prep.sample.sources import SourceFootage

FPS = 25
SHARPENING = 0.6


@dataclass(frozen=True)
class Take:
    """Uncompressed footage: frames (N, H, W, 3) uint8 RGB; marks (N, 4, 2) float64, pixels, as in `sources`."""

    frames: NDArray[np.uint8]
    marks: NDArray[np.float64]


def film(
    footage: SourceFootage, canvas: tuple[int, int], reach: float, flip: bool, rng: np.random.Generator
) -> Take:
    """Films `footage` onto a canvas (width, height), with about `reach` pixels from the eyes to the chin."""
    placed = _camera_path(footage, canvas, reach, rng)
    frames = [
        _look(frame, matrix, canvas, footage.framed)
        for frame, matrix in zip(footage.frames, placed, strict=True)
    ]
    points = np.stack([m @ np.vstack([p.T, np.ones(4)]) for p, m in zip(footage.marks, placed, strict=True)])
    marks = points.transpose(0, 2, 1)
    if flip:
        frames = [np.ascontiguousarray(frame[:, ::-1]) for frame in frames]
        marks = np.stack([canvas[0] - 1 - marks[..., 0], marks[..., 1]], axis=-1)[:, [1, 0, 2, 3]]
    return Take(_sensor(_light(np.stack(frames), rng), rng), marks)


def beside(left: Take, right: Take) -> Take:
    """Returns two takes of equal height and length in one picture; the marks are the left one's."""
    return Take(np.concatenate([left.frames, right.frames], axis=2), left.marks)


def _camera_path(
    footage: SourceFootage, canvas: tuple[int, int], reach: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Returns matrices (N, 2, 3) from source to canvas pixels: pan, zoom, roll and the shake of a hand."""
    n = len(footage.frames)
    height, width = footage.frames.shape[1:3]
    eyes, chin = footage.marks[:, :2].mean(axis=1), footage.marks[:, 3]
    scale = reach / np.linalg.norm(chin - eyes, axis=1).mean() * (1 + _drift(n, 0.05, rng))
    roll = _drift(n, np.deg2rad(3.0), rng) + rng.uniform(-0.05, 0.05)
    pan = np.stack([_drift(n, 0.035 * side, rng) + _shake(n, 0.5, rng) for side in canvas], axis=1)
    place = np.array(canvas) * (0.5 + rng.uniform(-0.08, 0.08, 2))
    # The point of the source that stands in the middle of the canvas, kept where the picture covers the canvas.
    face = (eyes * 0.7 + chin * 0.3).mean(axis=0)
    half = np.array(canvas) / 2 / scale.min() * 1.04
    middle = face - (place - np.array(canvas) / 2) / scale.mean()
    room = np.array([width, height]) - half
    middle = np.where(
        room > half, np.clip(middle, half, np.maximum(half, room)), np.array([width, height]) / 2
    )
    path = np.empty((n, 2, 3))
    for t in range(n):
        cosine, sine = scale[t] * np.cos(roll[t]), scale[t] * np.sin(roll[t])
        turn = np.array([[cosine, -sine], [sine, cosine]])
        path[t] = np.column_stack([turn, np.array(canvas) / 2 + pan[t] - turn @ middle])
    return path


def _look(
    frame: NDArray[np.uint8], matrix: NDArray[np.float64], canvas: tuple[int, int], framed: bool
) -> NDArray[np.float32]:
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    picture = np.asarray(frame, dtype=np.float32)
    if scale < 1:  # blur before shrinking, or fine texture would flicker as it moves
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.4 / scale), dtype=np.float32)
    around = cv2.BORDER_CONSTANT if framed else cv2.BORDER_REFLECT_101
    warped = cv2.warpAffine(picture, matrix, canvas, flags=cv2.INTER_CUBIC, borderMode=around)
    # Every camera sharpens what its lens softened.
    sharpened = warped + SHARPENING * (warped - cv2.GaussianBlur(warped, (0, 0), 1.2 * max(1.0, scale)))
    return np.asarray(sharpened, dtype=np.float32)


def _light(frames: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Returns the exposure and white balance of the take, a slow change of both, and a light from one side
    that moves.
    """
    n, height, width = frames.shape[:3]
    exposure = rng.uniform(0.92, 1.1) + _drift(n, 0.06, rng)
    balance = 1 + rng.uniform(-0.04, 0.04, 3)
    angle = rng.uniform(0, 2 * np.pi) + _drift(n, 0.6, rng)
    strength = rng.uniform(0.03, 0.12)
    gamma = rng.uniform(0.92, 1.08)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    balance = balance.astype(np.float32)
    exposure, angle = exposure.astype(np.float32), angle.astype(np.float32)
    lit = np.empty_like(frames)
    for t in range(n):
        side = 255 * exposure[t] * (1 + np.float32(strength) * (x * np.cos(angle[t]) + y * np.sin(angle[t])))
        bright = cv2.pow(np.clip(frames[t] / 255, 0, 1), gamma)
        lit[t] = bright * side[..., None] * balance
    return lit


def _sensor(frames: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Returns noise that grows with brightness, slightly correlated as after demosaicing; then 8 bits."""
    level = rng.uniform(1.5, 3.0)
    noisy = np.empty(frames.shape, dtype=np.uint8)
    for t, frame in enumerate(frames):
        grain = cv2.GaussianBlur(rng.standard_normal(frame.shape, dtype=np.float32), (0, 0), 0.6) * 1.9
        amount = level * np.sqrt(0.35 + np.clip(frame, 0, 255) / 255)
        noisy[t] = np.clip(np.rint(frame + amount * grain), 0, 255).astype(np.uint8)
    return noisy


def _drift(n: int, amplitude: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Returns a smooth path through about 0 within about ±`amplitude`: three slow sines."""
    seconds = np.arange(n) / FPS
    rates, phases = rng.uniform(0.2, 1.1, 3), rng.uniform(0, 2 * np.pi, 3)
    path = sum(np.sin(2 * np.pi * rate * seconds + phase) for rate, phase in zip(rates, phases, strict=True))
    return np.asarray(amplitude * path / 2)


def _shake(n: int, amplitude: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Returns a hand's tremor: smoothed noise with standard deviation `amplitude`."""
    kernel = np.array([1.0, 2.0, 1.0]) / np.sqrt(6.0)
    return np.asarray(amplitude * np.convolve(rng.standard_normal(n + 2), kernel, mode="valid"))
