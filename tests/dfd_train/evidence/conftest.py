"""A run, a clip and the report of it, which these tests look at."""

from pathlib import Path

import prediction
import pytest

from dfd_train.cli import main


@pytest.fixture(scope="session")
def made(once, small_set) -> Path:
    def make(folder: Path) -> None:
        run = prediction.train(small_set.work, folder / "one")
        pictures = [picture.copy() for picture in prediction.faces(100)]
        for picture in pictures[30:60]:
            picture[:] = 90
        (folder / "secret-place").mkdir()
        clip = prediction.encode(folder / "secret-place/clip.mp4", pictures)
        assert main(["predict", str(run), str(clip), "--out", str(folder / "predicted")]) == 0

    return once("evidence", make)


@pytest.fixture(scope="session")
def run(made: Path) -> Path:
    return made / "one"


@pytest.fixture(scope="session")
def clip(made: Path) -> Path:
    """A face that is away from 1.2 to 2.4 of 4 seconds."""
    return made / "secret-place/clip.mp4"


@pytest.fixture(scope="session")
def report(made: Path) -> Path:
    return made / "predicted/clip.mp4"
