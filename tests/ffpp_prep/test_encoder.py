"""Equal pictures give equal files: on every run, and with every number of cores."""

import ast
import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from clips import encode
from PIL import Image

from ffpp_prep.video import Encoder, open_output

REPOSITORY = Path(__file__).parents[2]


def head_at(head: list[np.ndarray], width: int, height: int, count: int = 12) -> list[np.ndarray]:
    """The talking head in another size."""
    return [np.asarray(Image.fromarray(picture).resize((width, height))) for picture in head[:count]]


def encoded(pictures: list[np.ndarray], threads: int, format: str = "mp4", codec: str = "libx264") -> str:
    height, width = pictures[0].shape[:2]
    buffer = io.BytesIO()
    with open_output(buffer, format=format) as container:
        encoder = Encoder(container, width, height, codec=codec, threads=threads)
        for picture in pictures:
            encoder.write(picture)
        encoder.close()
    return hashlib.sha256(buffer.getvalue()).hexdigest()


@pytest.mark.parametrize(("threads", "times"), [(1, 12), (4, 6)])
def test_encodings_are_equal(head: list[np.ndarray], threads: int, times: int) -> None:
    # 854 pixels are no multiple of an AVX-512 register: what x264 reads behind a row differed from run to run, in
    # one of three by one thread, in two of three by four
    pictures = head_at(head, 854, 480)
    random = np.random.default_rng(0)
    seen = set()
    for _ in range(times):
        other = random.integers(0, 255, random.integers(10**5, 5 * 10**6), np.uint8)  # the heap is another
        seen.add(encoded(pictures, threads))
        del other
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("format", "codec"), [("matroska", "libx264"), ("matroska", "ffv1"), ("avi", "mpeg4")]
)
def test_no_container_adds_random_numbers(head: list[np.ndarray], format: str, codec: str) -> None:
    assert encoded(head[:3], 1, format, codec) == encoded(head[:3], 1, format, codec)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system can't bind a process to a core")
def test_another_number_of_cores_gives_the_same_file(head: list[np.ndarray], tmp_path: Path) -> None:
    pictures = head_at(head, 320, 240)
    np.save(tmp_path / "pictures.npy", np.stack(pictures))
    here = Path(__file__).parent
    code = (
        "import os, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        f"sys.path.insert(0, {str(here)!r}); import numpy, clips; from pathlib import Path; "
        "clips.encode(Path(sys.argv[1]), list(numpy.load(sys.argv[2])))"
    )
    one = tmp_path / "one.mp4"
    subprocess.run([sys.executable, "-c", code, one, tmp_path / "pictures.npy"], check=True)
    assert one.read_bytes() == encode(tmp_path / "all.mp4", pictures).read_bytes()


def test_options_and_times_arrive(head: list[np.ndarray], tmp_path: Path) -> None:
    path = encode(tmp_path / "v.mp4", head[:3], times=[0, 40, 1000], options={"x264-params": "keyint=1"})
    with av.open(str(path)) as container:
        assert [frame.time for frame in container.decode(video=0)] == pytest.approx([0.0, 0.04, 1.0])
    assert b"keyint=1 " in path.read_bytes() and b"threads=1 " in path.read_bytes()


def test_no_other_place_sets_an_encoder_up() -> None:
    """Video tracks come from Encoder; only sound and copied packets are added to containers elsewhere."""
    own = REPOSITORY / "packages/ffpp-prep/src/ffpp_prep/video/encoder.py"
    places = []
    for folder in ("packages", "tests", "benchmarks", "tools"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            text = path.read_text()
            for call in ast.walk(ast.parse(text)) if "add_stream" in text else ():
                if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "add_stream":
                    places.append((path, ast.unparse(call)))
    others = [text for path, text in places if path != own]
    assert len(places) - len(others) == 1
    assert all("aac" in text or "rate=rate" in text for text in others), others  # of sound
