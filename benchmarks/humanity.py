"""What both detectors take for a human face: people, animals, drawings, coins.

    python benchmarks/humanity.py
    python benchmarks/humanity.py FILE ...     # other pictures than those that Python packages ship

For each picture the surest face of each detector, the detector's score of it, `human`: how surely BlazeFace and the
face mesh see a human face there, and `one tone`: the largest share of the face whose brightness differs by 6 % at most.
`predict` gives no verdict where `human` is below 0.50 or `one tone` above 0.40.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from dfd_train.predict.face_checks import FLAT, HUMAN, WatchedFace
from dfd_train.predict.faces import ImageFaces
from dfd_train.predict.finder import FaceFinder
from ffpp_prep.detector import DETECTORS

SHIPPED = {
    "a person, astronaut": "skimage/data/astronaut.png",
    "a person, hopper": "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
    "a person, luispedro": "mahotas/demos/data/luispedro.jpg",
    "a person in profile": "skimage/data/camera.png",
    "a drawn man": "nikola/data/samplesite/images/frontispiece.jpg",
    "a macaque": "plenoptic/data/macaca_nigra_self-portrait.jpg",
    "a cat": "skimage/data/chelsea.png",
    "a parrot": "plenoptic/data/parrot.png",
    "heads on coins": "skimage/data/coins.png",
    "a crowd of cartoon people": "mahotas/demos/data/DepartmentStore.jpg",
    "a cup": "skimage/data/coffee.png",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    files = parser.parse_args().files
    pictures = {path.name: path for path in files} or {name: shipped(path) for name, path in SHIPPED.items()}
    finders = [FaceFinder(name) for name in DETECTORS]
    print("| picture |" + "".join(f" {one.name}: score | human | one tone | verdict |" for one in finders))
    print("|---" * (1 + 4 * len(finders)) + "|")
    for name, path in pictures.items():
        print(f"| {name} |" + "".join(looked_at(path, finder) for finder in finders))


def looked_at(path: Path, finder: FaceFinder) -> str:
    """The cells of one detector: of the face it is surest of."""
    faces = [face for face in ImageFaces(path, finder) if face.cut is not None]
    if not faces:
        return " | | | none, no face |"
    surest = max(faces, key=lambda face: face.confidence)
    watched = WatchedFace()
    human = watched.look(surest)
    verdict = "none" if human < HUMAN or watched.flatness > FLAT else "possible"
    return f" {surest.confidence:.2f} | {human:.2f} | {watched.flatness:.2f} | {verdict} |"


def shipped(path: str) -> Path:
    """A file inside an installed package, which itself is not imported."""
    package, _, file = path.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{package} is not installed: pip install 'ffpp-prep[sample]'")
    return Path(spec.submodule_search_locations[0]) / file


if __name__ == "__main__":
    main()
