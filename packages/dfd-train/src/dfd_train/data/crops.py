"""What a loader process does: it reads crops, brings them to the network's size, and makes batches of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from dfd_train.data.augmentation import Augmentation
from dfd_train.data.batches import Sample
from dfd_train.data.blend_plan import HELD_OUT_SEED
from dfd_train.data.degradation import Corruption, degrade, reseeded
from dfd_train.data.fitting import fit
from dfd_train.data.self_blending import blended_crop
from dfd_train.data.spec import InputSpec
from dfd_train.data.transforms import move, normalize, resize
from dfd_train.errors import UserError
from ffpp_prep.format.prepared import PreparedSet


@dataclass(frozen=True)
class Batch:
    """Crops of one batch: images as uint8 (N, 3, S, S), or normalised float32 where they were augmented already.

    Where shared memory has no room for a batch it comes as an array, through a pipe.
    """

    images: Tensor | NDArray[Any]
    samples: list[Sample]
    fault: str = ""
    """why a crop of it cannot be read"""

    @property
    def tensor(self) -> Tensor:
        """The images as a tensor, whether they came through shared memory or a pipe."""
        return self.images if isinstance(self.images, Tensor) else torch.from_numpy(self.images)

    @property
    def labels(self) -> Tensor:
        """float32 (N,): 1 fake, 0 real."""
        return torch.tensor([sample.label for sample in self.samples], dtype=torch.float32)

    def pin_memory(self) -> Batch:
        """Returns the batch in page-locked memory (called by DataLoader)."""
        return replace(self, images=self.tensor.pin_memory())


class Crops(Dataset[tuple[Tensor | str, Sample]]):
    """Sample -> (image or why it cannot be read, sample); samples are the indices: workers hold no epoch state."""

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

    def __getitem__(self, sample: Sample) -> tuple[Tensor | str, Sample]:
        try:
            return self._image(sample), sample
        except (UserError, OSError) as error:
            return str(error), sample

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


def collate(items: list[tuple[Tensor | str, Sample]]) -> Batch:
    """Returns a batch; in a loader process it is put into shared memory here, where a lack of room can be answered."""
    samples = [sample for _, sample in items]
    for image, _ in items:
        if isinstance(image, str):
            return Batch(torch.empty(0), samples, image)
    images = torch.stack([image for image, _ in items if isinstance(image, Tensor)])
    if get_worker_info() is None:
        return Batch(images, samples)
    try:
        images.share_memory_()  # type: ignore[no-untyped-call]
        return Batch(images, samples)
    except RuntimeError as error:
        if "shared memory" not in str(error) and "No space left" not in str(error):
            raise
        return Batch(images.numpy(), samples)
