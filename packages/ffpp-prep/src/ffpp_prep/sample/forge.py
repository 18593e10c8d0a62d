"""Five manipulations of an uncompressed take, each with the kind of trace that its namesake leaves.

None of them is the real method: those need hours and a GPU. What they share with them is where they change the
picture and how it shows, which is enough to exercise every stage and to be learnt in minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ffpp_prep.sample.camera import Take

Image = NDArray[np.float32]
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Forgery:
    """Frames (N, H, W, 3) uint8 RGB and masks (N, H, W) bool: every pixel that differs from the take lies inside."""

    frames: NDArray[np.uint8]
    masks: NDArray[np.bool_]


@dataclass(frozen=True)
class FaceAxes:
    """Coordinates of a face in a picture: u to the right, v downwards, unit the distance from eyes to chin."""

    u: Image
    v: Image
    reach: float

    @classmethod
    def at(cls, marks: Points, shape: tuple[int, ...]) -> FaceAxes:
        """Returns the face of marks (4, 2) in a picture of `shape`."""
        eyes = marks[:2].mean(axis=0)
        down = marks[3] - eyes
        reach = float(np.linalg.norm(down))
        down = down / reach
        y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        x, y = x - np.float32(eyes[0]), y - np.float32(eyes[1])
        u = (x * down[1] - y * down[0]) / reach
        v = (x * down[0] + y * down[1]) / reach
        return cls(u.astype(np.float32), v.astype(np.float32), reach)

    def ellipse(self, centre: tuple[float, float], axes: tuple[float, float], feather: float) -> Image:
        """Returns 1 inside, 0 outside, with a soft edge of relative width `feather`."""
        width = axes[0] * np.clip(1.08 - 0.28 * self.v, 0.7, 1.2)  # a face narrows to the chin
        radius = np.hypot((self.u - centre[0]) / width, (self.v - centre[1]) / axes[1])
        edge = np.clip((1 + feather / 2 - radius) / feather, 0, 1)
        return np.asarray(edge * edge * (3 - 2 * edge), dtype=np.float32)


@dataclass(frozen=True)
class MarkedFrame:
    """One frame: picture (H, W, 3) float32 RGB in 0…255, and the face's marks (4, 2), pixels."""

    picture: Image
    marks: Points


@dataclass(frozen=True)
class Hand:
    """What varies from video to video and from frame to frame.

    Attributes:
        beat: -1…1, going to and fro about twice a second: an expression.
        light: -1 or 1, the video's own: brighter or darker than its surroundings.
        angle: radians, the video's own: where the light comes from.
        rng: for what jitters from frame to frame.
    """

    beat: float
    light: float
    angle: float
    rng: np.random.Generator

    def jittered(self, marks: Points, amount: float) -> Points:
        """Returns marks found a little wrong, by `amount` pixels, differently in each frame."""
        return marks + self.rng.normal(0, amount, marks.shape)


@dataclass(frozen=True)
class Method:
    """A manipulation: `paint(target, source, hand)` gives the new picture (H, W, 3) and its opacity (H, W)."""

    trace: str
    paint: Callable[[MarkedFrame, MarkedFrame, Hand], tuple[Image, Image]]


def forge(method: str, target: Take, source: Take, rng: np.random.Generator) -> Forgery:
    """Manipulates every frame of `target`; where the method puts in a face, it is `source`'s, frame by frame."""
    light, angle, phase = float(rng.choice([-1, 1])), rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)
    frames, masks = [], []
    for t, frame in enumerate(target.frames):
        hand = Hand(float(np.sin(2 * np.pi * t / 14 + phase)), light, angle, rng)
        here = MarkedFrame(frame.astype(np.float32), target.marks[t])
        there = MarkedFrame(source.frames[t].astype(np.float32), source.marks[t])
        painted, alpha = METHODS[method].paint(here, there, hand)
        # Opacity below half a grey level can't change a pixel: leave it out of picture and mask alike.
        alpha = np.where(alpha < 1 / 512, 0, alpha)
        mixed = here.picture + alpha[..., None] * (painted - here.picture)
        frames.append(np.clip(np.rint(mixed), 0, 255).astype(np.uint8))
        masks.append(alpha > 0)
    return Forgery(np.stack(frames), np.stack(masks))


def flicker(forgery: Forgery, take: Take, on: NDArray[np.bool_]) -> Forgery:
    """Returns the forgery on frames where `on` (N,) bool, the untouched take elsewhere."""
    where = on[:, None, None]
    return Forgery(np.where(where[..., None], forgery.frames, take.frames), forgery.masks & where)


def _deepfakes(target: MarkedFrame, source: MarkedFrame, hand: Hand) -> tuple[Image, Image]:
    face = FaceAxes.at(target.marks, target.picture.shape)
    alpha = face.ellipse((0, 0.35), (0.50, 0.66), 0.28)
    warped = _warped(source, hand.jittered(target.marks, 0.4), target.picture.shape)
    coarse = _resampled(_matched(warped, target.picture, alpha), 44 / face.reach)
    return coarse * np.float32(1 + 0.05 * hand.light + hand.rng.normal(0, 0.01)), alpha


def _face2face(target: MarkedFrame, source: MarkedFrame, hand: Hand) -> tuple[Image, Image]:
    face = FaceAxes.at(target.marks, target.picture.shape)
    mouth = _bump(face, (0, 0.66), (0.36, 0.26))
    brows = _bump(face, (0, -0.06), (0.50, 0.22))
    # The mouth widens and opens, the brows rise; the shifts say where each pixel comes from.
    shift_u = mouth * face.u * -0.22
    shift_v = mouth * (face.v - 0.66) * (-0.28 - 0.12 * hand.beat) + brows * (0.05 + 0.02 * hand.beat)
    moved = _resampled(_moved(target, face, shift_u, shift_v), 44 / face.reach)
    # A rendered skin: no pores, no noise, more contrast.
    smooth = np.asarray(cv2.bilateralFilter(moved, 5, 22, 3), dtype=np.float32)
    lower, upper = face.ellipse((0, 0.66), (0.50, 0.40), 0.25), face.ellipse((0, 0.0), (0.50, 0.26), 0.25)
    return (smooth - 128) * 1.12 + 128, np.maximum(lower, upper)


def _faceswap(target: MarkedFrame, source: MarkedFrame, hand: Hand) -> tuple[Image, Image]:
    face = FaceAxes.at(target.marks, target.picture.shape)
    # The inner face as a polygon: flat at the brows, round at the chin, with a hard edge.
    oval = np.hypot(face.u / (0.52 - 0.12 * face.v), (face.v - 0.25) / 0.62)
    radius = np.maximum(oval, (-0.24 - face.v) * 3 + 1)
    alpha = np.clip((1 - radius) * 0.5 * face.reach / 1.5 + 0.5, 0, 1).astype(np.float32)
    warped = _warped(source, hand.jittered(target.marks, 0.7), target.picture.shape)
    # A model lit from its own side, with the dark fringe of a cut-out and, on colour footage, paler than skin.
    side = np.cos(hand.angle) * face.u + np.sin(hand.angle) * (face.v - 0.3)
    fringe = np.exp(-(((radius - 0.97) / 0.07) ** 2))
    ycc = _ycc(_matched(_resampled(warped, 40 / face.reach), target.picture, alpha, keep=0.45))
    ycc[..., 0] *= (1 + 0.06 * hand.light + 0.2 * side) * (1 - 0.24 * fringe)
    if _is_colour(target.picture):
        ycc[..., 1:] = 128 + (ycc[..., 1:] - 128) * 0.8
    return _rgb(ycc), alpha


def _neural_textures(target: MarkedFrame, source: MarkedFrame, hand: Hand) -> tuple[Image, Image]:
    face = FaceAxes.at(target.marks, target.picture.shape)
    alpha = face.ellipse((0, 0.66), (0.46, 0.40), 0.30)
    # Transposed convolutions leave a lattice; its pitch goes with the face, its strength wanders.
    pitch = 2 * np.pi * 10
    lattice = np.cos(pitch * face.u + 0.3 * hand.beat) * np.cos(pitch * face.v)
    strength = 10 + 18 * cv2.GaussianBlur(hand.rng.standard_normal(lattice.shape), (0, 0), 6)
    soft = cv2.GaussianBlur(target.picture, (0, 0), 0.018 * face.reach)
    return soft + (strength * lattice).astype(np.float32)[..., None], alpha


def _deepfake_detection(target: MarkedFrame, source: MarkedFrame, hand: Hand) -> tuple[Image, Image]:
    face = FaceAxes.at(target.marks, target.picture.shape)
    alpha = face.ellipse((0, 0.36), (0.55, 0.72), 0.14)
    warped = _warped(source, hand.jittered(target.marks, 0.3), target.picture.shape)
    # The skin tone of another room: flatter, brighter and, on colour footage, warmer.
    ycc = _ycc(_matched(_resampled(warped, 0.7), target.picture, alpha))
    mean = ycc[..., 0][alpha > 0.5].mean()
    ycc[..., 0] = (ycc[..., 0] - mean) * 0.85 + mean + 10
    if _is_colour(target.picture):
        ycc[..., 1:] += np.array([6, -5], dtype=np.float32)
    return _rgb(ycc), alpha


METHODS = {
    "Deepfakes": Method(
        "the face, regenerated with 44 pixels from eyes to chin, in a soft ellipse", _deepfakes
    ),
    "Face2Face": Method("mouth and brows moved and rendered again without pores or noise", _face2face),
    "FaceSwap": Method(
        "the inner face pasted in from a coarse texture, paler and lit from another side, with a hard, dark edge",
        _faceswap,
    ),
    "NeuralTextures": Method("the lower face smoothed and covered with a faint lattice", _neural_textures),
    "DeepFakeDetection": Method("the whole face in the skin tone of other light", _deepfake_detection),
}


def _moved(target: MarkedFrame, face: FaceAxes, shift_u: Image, shift_v: Image) -> Image:
    """Returns the picture with each pixel taken from where the shifts (in units of `face`) point."""
    height, width = target.picture.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    down = (target.marks[3] - target.marks[:2].mean(axis=0)).astype(np.float32)
    from_x = x + shift_u * down[1] + shift_v * down[0]
    from_y = y - shift_u * down[0] + shift_v * down[1]
    moved = cv2.remap(target.picture, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.float32)


def _warped(source: MarkedFrame, marks: Points, shape: tuple[int, ...]) -> Image:
    """Returns the source's picture moved by the affine map that brings its marks closest to `marks`."""
    known = np.column_stack([source.marks, np.ones(4)])
    matrix = np.linalg.lstsq(known, marks, rcond=None)[0].T
    size = (shape[1], shape[0])
    warped = cv2.warpAffine(
        source.picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(warped, dtype=np.float32)


def _matched(donor: Image, picture: Image, alpha: Image, keep: float = 0.0) -> Image:
    """Returns the donor's detail in the target's light: brightness matched in mean and spread, colour taken
    from the target.

    `keep` is the share of the difference in brightness that stays.
    """
    inside = alpha > 0.5
    detail, light = _ycc(donor), _ycc(picture)
    mean, spread = light[..., 0][inside].mean(), light[..., 0][inside].std()
    own_mean, own_spread = detail[..., 0][inside].mean(), detail[..., 0][inside].std() + 1
    gain = np.clip(spread / own_spread, 0.6, 1.3)
    detail[..., 0] = (detail[..., 0] - own_mean) * gain + mean + keep * np.clip(own_mean - mean, -40, 40)
    detail[..., 1:] = cv2.GaussianBlur(light[..., 1:], (0, 0), 4)
    return _rgb(detail)


def _resampled(picture: Image, factor: float) -> Image:
    """Returns the picture shrunk by `factor` and enlarged again."""
    size = (picture.shape[1], picture.shape[0])
    small = cv2.resize(
        picture,
        (max(1, round(size[0] * factor)), max(1, round(size[1] * factor))),
        interpolation=cv2.INTER_AREA,
    )
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def _bump(face: FaceAxes, centre: tuple[float, float], widths: tuple[float, float]) -> Image:
    squared = ((face.u - centre[0]) / widths[0]) ** 2 + ((face.v - centre[1]) / widths[1]) ** 2
    return np.asarray(np.exp(-squared), dtype=np.float32)


def _is_colour(picture: Image) -> bool:
    return float(np.std(_ycc(picture)[..., 1:], axis=(0, 1)).max()) > 4.0


def _ycc(picture: Image) -> Image:
    """Turns RGB into Y, Cr, Cb, all in 0…255, chroma around 128."""
    return np.asarray(cv2.cvtColor(picture / np.float32(255), cv2.COLOR_RGB2YCrCb) * 255, dtype=np.float32)


def _rgb(ycc: Image) -> Image:
    return np.asarray(cv2.cvtColor(ycc / np.float32(255), cv2.COLOR_YCrCb2RGB) * 255, dtype=np.float32)
