"""The embedded files of BlazeFace and of the face mesh, each checked against its SHA-256 before it is run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Embedded:
    """A model file in `data/`, as data/PROVENANCE.md says where it is from."""

    name: str
    sha256: str

    def read(self) -> bytes:
        """Returns its content.

        Raises:
            ValueError: the file isn't the one that was embedded.
        """
        content = resources.files(__package__).joinpath("data", self.name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.sha256:
            raise ValueError(f"{self.name} is damaged: SHA-256 {digest}, expected {self.sha256}")
        return content


FULL_RANGE = Embedded(
    "blaze_face_full_range.tflite", "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3"
)
MESH = Embedded("face_mesh.tflite", "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493")
# Of both together: the mesh judges what the other one finds.
BLAZEFACE_SHA256 = hashlib.sha256(f"{FULL_RANGE.sha256} {MESH.sha256}".encode()).hexdigest()
