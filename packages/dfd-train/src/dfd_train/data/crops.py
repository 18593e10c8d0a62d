"""What a loader process does: it reads crops, brings them to the network's size, and makes batches of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from dfd_train.data.augmentation import Augmentation
from dfd_train.data.batches import Sample
from dfd_train.data.blend_plan import HELD_OUT_SEED
from dfd_train.data.degradation import Corruption, degrade, reseeded
from dfd_train.data.fitting import fit, normalize, resize
from dfd_train.data.self_blending import blended_crop
from dfd_train.data.spec import InputSpec
from dfd_train.data.transforms import move
from dfd_train.errors import UserError
from ffpp_prep.format.prepared import PreparedSet


@dataclass(frozen=True)
class Batch:
    """Crops of one batch: images as uint8 (N, 3, S, S), or normalised float32 where they were augmented already.

    Where shared memory has no room for a batch it comes as an array, through a pipe.
    """

    images: Tensor | NDArray[Any]
    samples: list[Sample]
    choices: Tensor | NDArray[np.float32] | None = None
    """what is to happen to the crops on the network's device, see `Augmentation.batch`; an array until it is pinned,
    as a tensor would need room in shared memory of its own"""
    fault: str = ""
    """why a crop of it cannot be read"""

    @property
    def tensor(self) -> Tensor:
        """The images as a tensor, whether they came through shared memory or a pipe."""
        return torch.as_tensor(self.images)

    @property
    def labels(self) -> Tensor:
        """float32 (N,): 1 fake, 0 real."""
        return torch.tensor([sample.label for sample in self.samples], dtype=torch.float32)

    def pin_memory(self) -> Batch:
        """Returns the batch in page-locked memory (called by DataLoader)."""
        choices = None if self.choices is None else torch.as_tensor(self.choices).pin_memory()
        return replace(self, images=self.tensor.pin_memory(), choices=choices)


class Item(NamedTuple):
    """One crop of a batch."""

    sample: Sample
    image: Tensor | None
    choices: Tensor | None
    fault: str


class Crops(Dataset[Item]):
    """Sample -> its crop; samples are the indices: workers hold no epoch state."""

    def __init__(
        self,
        prepared: PreparedSet,
        spec: InputSpec,
        augmentation: Augmentation | None,
        crop_size: int | None,
        corruptions: tuple[Corruption, ...],
    ) -> None:
        self._prepared, self._spec, self._augmentation = prepared, spec, augmentation
        self._crop_size, self._corruptions = crop_size, corruptions

    def __getitem__(self, sample: Sample) -> Item:
        own = self._augmentation if sample.epoch else None
        on_device = own is not None and own.transforms.on == "model"
        try:
            choices = own.packed(sample, self._spec) if own is not None and on_device else None
            return Item(sample, self._image(sample), choices, "")
        except (UserError, OSError) as error:
            return Item(sample, None, None, str(error))

    def _image(self, sample: Sample) -> Tensor:
        if self._augmentation is None or not sample.epoch:
            if sample.blend:
                crop = blended_crop(self._prepared, sample, HELD_OUT_SEED)
            else:
                crop = self._prepared.read_crop_at(sample.video, sample.frame, sample.face)
            if self._crop_size:
                crop = resize(crop, self._crop_size).permute(1, 2, 0).numpy()
            if self._corruptions:
                crop = degrade(crop, reseeded(self._corruptions, sample.video, sample.frame))
            image = fit(crop, self._spec)
            # bytes are a quarter of what numbers take in shared memory; some libraries' ways don't round to them
            return image if image.dtype == torch.uint8 else normalize(image, self._spec)
        image = resize(self._augmentation.read(self._prepared, sample), self._spec.size)
        if self._augmentation.transforms.on == "model":
            return image
        if self._augmentation.in_bytes:
            return move(image, self._augmentation.choices(sample, self._spec))
        return self._augmentation(image, sample, self._spec)


def collate(items: list[Item]) -> Batch:
    """Returns a batch; in a loader process it is made in shared memory, where a lack of room can be answered."""
    samples = [item.sample for item in items]
    if fault := next((item.fault for item in items if item.fault), ""):
        return Batch(torch.empty(0), samples, fault=fault)
    images = [item.image for item in items if item.image is not None]
    packed = [item.choices for item in items if item.choices is not None]
    choices = torch.stack(packed).numpy() if packed else None
    if get_worker_info() is None:
        return Batch(torch.stack(images), samples, choices)
    try:
        return Batch(torch.stack(images, out=_shared(images)), samples, choices)
    except RuntimeError as error:
        if "shared memory" not in str(error) and "No space left" not in str(error):
            raise
        return Batch(torch.stack(images).numpy(), samples, choices)


def _shared(images: list[Tensor]) -> Tensor:
    """Returns room for a batch of such images in shared memory, so that it isn't copied there afterwards."""
    size = sum(image.nbytes for image in images)
    storage: torch.UntypedStorage = torch.UntypedStorage._new_shared(size)  # type: ignore[no-untyped-call]
    return torch.tensor([], dtype=images[0].dtype).set_(storage).view(len(images), *images[0].shape)
