"""Self-blended images: a fake made of one real face, blended onto itself inside its landmarks (arXiv 2204.08376).

After the paper, section 3. A crop is taken twice, as source and as target; one of the two gets other colours and
another sharpness. The source is scaled and moved a little. A mask, the hull of the face's points, deformed, says where
the source covers the target. How strong each change is the paper leaves open in part: the values here are ours.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import ConvexHull
from torch import Tensor
from torch.nn import functional as tensors

from dfd_train.data import functional
from dfd_train.data.batches import Sample
from dfd_train.data.transforms import adjust_hue
from ffpp_prep.format.geometry import Image
from ffpp_prep.format.prepared import PreparedSet

__all__ = ["blended_crop", "face_mask", "self_blend"]

Points = NDArray[np.floating]
Mask = NDArray[np.float32]

RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
"""how much of the source is seen inside the mask; all of it in half of the blends"""
OUTLINE = 256  # points of the mask's outline
FIELD = 6  # knots of the elastic field along each side
FULL = 0.999  # of a blurred mask: what lies wholly inside


def blended_crop(prepared: PreparedSet, sample: Sample, seed: int) -> Image:
    """Returns the blend that stands beside a real crop: a function of the sample and the seed alone.

    Raises: UserError where the face has no landmarks.
    """
    crop = prepared.read_crop_at(sample.video, sample.frame, sample.face)
    points = prepared.points_in_crop(sample.video, sample.frame, sample.face)
    return self_blend(crop, points, np.random.default_rng([seed, sample.epoch, sample.position, 2]))


def self_blend(crop: Image, points: Points, random: np.random.Generator) -> Image:
    """Blends a face onto itself.

    Args:
        crop: (H, W, 3) uint8 RGB of a real face.
        points: (N, 2) x, y of its landmarks in pixels of the crop.
        random: all choices are drawn from it.

    Returns:
        (H, W, 3) uint8 RGB; what is wholly black, as beyond the frame's edge, stays so.
    """
    mask = torch.from_numpy(face_mask(crop.shape[:2], points, random)) * float(random.choice(RATIOS))
    original = torch.from_numpy(np.array(crop)).permute(2, 0, 1).float() / 255
    changed = _sharpness(_colours(original, random), random)
    source, target = (changed, original) if random.random() < 0.5 else (original, changed)
    blended = torch.lerp(target, _moved(source, random), mask)
    blended *= original.amax(0) > 0
    image: Image = (255 * blended).round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    return image


def face_mask(shape: tuple[int, ...], points: Points, random: np.random.Generator) -> Mask:
    """Returns (H, W) from 0 to 1: the hull of the points, moved, bent, eroded or dilated, with a soft edge."""
    outline = _bent(_outline(points), random)
    picture = Pillow.new("L", (shape[1], shape[0]))
    ImageDraw.Draw(picture).polygon([(x, y) for x, y in outline.tolist()], fill=1)
    mask: Mask = np.asarray(picture, np.float32)
    side = float(np.ptp(outline, axis=0).max())
    inward, outward = random.uniform(0.005, 0.05, 2) * side
    # what the first blur takes from the edge goes, and the second softens what is left: eroded by a wide first one
    eroded = (gaussian_filter(mask, inward) >= FULL).astype(np.float32)
    softened: Mask = gaussian_filter(eroded if eroded.any() else mask, outward)
    return softened


def _outline(points: Points) -> Points:
    """Returns the points' convex hull, as OUTLINE points at even distances."""
    corners = points[ConvexHull(points).vertices]
    closed = np.concatenate([corners, corners[:1]])
    along = np.concatenate([[0], np.linalg.norm(np.diff(closed, axis=0), axis=1).cumsum()])
    places = np.linspace(0, along[-1], OUTLINE, endpoint=False)
    return np.stack([np.interp(places, along, values) for values in closed.T], axis=1)


def _bent(outline: Points, random: np.random.Generator) -> Points:
    """Returns the outline after a random affine map about its middle and an elastic one."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    middle, size = (low + high) / 2, high - low
    angle = np.deg2rad(random.uniform(-8, 8))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn[0, 1] += random.uniform(-0.1, 0.1)
    scale = random.uniform(0.85, 1.05, 2)
    shares = (outline - low) / size * (FIELD - 1)
    field = random.normal(0, 0.03, (2, FIELD, FIELD))
    elastic = [map_coordinates(axis, shares.T[::-1], order=3, mode="nearest") for axis in field]
    shift = random.uniform(-0.03, 0.03, 2) * size
    bent: Points = (outline - middle) * scale @ turn.T + middle + shift + np.stack(elastic, axis=1) * size
    return bent


def _colours(picture: Tensor, random: np.random.Generator) -> Tensor:
    """Returns float (3, H, W) with other channels, hue, saturation and value, or brightness and contrast, or both."""
    which = random.choice(3)
    changed = picture
    if which != 1:
        shift = torch.from_numpy(random.uniform(-16 / 255, 16 / 255, (3, 1, 1)).astype(np.float32))
        changed = adjust_hue((changed + shift).clamp_(0, 1), float(random.uniform(-0.015, 0.015)))
        changed = functional.adjust_saturation(changed, float(random.uniform(0.8, 1.2)))
        changed = functional.adjust_brightness(changed, float(random.uniform(0.9, 1.1)))
    if which != 0:
        changed = (changed + float(random.uniform(-0.07, 0.07))).clamp_(0, 1)
        changed = functional.adjust_contrast(changed, float(random.uniform(0.88, 1.12)))
    return changed


def _sharpness(picture: Tensor, random: np.random.Generator) -> Tensor:
    """Returns float (3, H, W) with more high frequencies, or with fewer."""
    if random.random() < 0.5:
        sharper: Tensor = functional.adjust_sharpness(picture, float(random.uniform(1.5, 3.0)))
        return sharper
    height, width = picture.shape[1:]
    share = random.uniform(0.3, 0.8)
    small = [max(1, round(height * share)), max(1, round(width * share))]
    coarser: Tensor = functional.resize(
        functional.resize(picture, small, antialias=True), [height, width], antialias=True
    )
    return coarser


def _moved(picture: Tensor, random: np.random.Generator) -> Tensor:
    """Returns float (3, H, W), scaled by up to 5 % and moved by up to 3 % in each direction, edges continued."""
    scale_x, scale_y = random.uniform(0.95, 1.05, 2)
    shift_x, shift_y = 2 * random.uniform(-0.03, 0.03, 2)  # of the grid's side, which is 2
    back = torch.tensor([[[1 / scale_x, 0, shift_x], [0, 1 / scale_y, shift_y]]], dtype=torch.float32)
    grid = tensors.affine_grid(back, [1, *picture.shape], align_corners=False)
    return tensors.grid_sample(picture[None], grid, padding_mode="border", align_corners=False)[0]
