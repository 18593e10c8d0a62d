"""Matroska files of empty elements, which FFmpeg would list at sixty times their size, and honest ones."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from clips import encode

from ffpp_prep.video import OpenFailed, PyAVReader, matroska_index, open_container

# Places inside of junk, each of which a seek head names: an element without an end, and nothing after it.
PLACES, JUNK = 100, bytes(1 << 18)

FRAME = b"\x81\0\0\x80" + bytes(100)
MANY = 3000


def element(name: str, data: bytes) -> bytes:
    """One with a length of eight bytes."""
    return bytes.fromhex(name) + ((1 << 56) | len(data)).to_bytes(8, "big") + data


SIZE = element("e0", element("b0", b"\1\0") + element("ba", b"\1\0"))
TRACK = element("ae", element("d7", b"\1") + element("83", b"\1") + element("86", b"V_MJPEG") + SIZE)
TRACKS, BLOCK = element("1654ae6b", TRACK), element("a3", FRAME)
CUES, TAGS = element("1c53bb6b", b"\xbb\x80" * MANY), element("1254c367", b"\x73\x73\x80" * MANY)


def cluster(content: bytes) -> bytes:
    return element("1f43b675", element("e7", b"\0") + content)


def pointing_at(hidden: bytes) -> bytes:
    """A seek head that points into an element which is passed over."""

    def head(place: int) -> bytes:
        entry = element("53ab", bytes.fromhex("1254c367")) + element("53ac", place.to_bytes(8, "big"))
        return element("114d9b74", element("4dbb", entry))

    place = len(head(0) + TRACKS) + 9
    return head(place) + TRACKS + element("ec", hidden)


def pointing_often() -> bytes:
    """A seek head that points at many places, from each of which nothing is found up to the file's end."""

    def head(first: int) -> bytes:
        entries = [element("53ac", (first + 3 * number).to_bytes(8, "big")) for number in range(PLACES)]
        return element("114d9b74", element("4dbb", b"".join(entries)))

    place = len(head(0) + TRACKS) + 9
    return head(place) + TRACKS + element("ec", b"\xbb\xff\0" * PLACES + JUNK)


ADDITIONS = element("a0", element("a1", FRAME) + element("75a1", b"\xa6\x80" * MANY))
TOO_LONG = b"\xa3\x42\0" + bytes(
    20
)  # a block that ends behind its cluster: FFmpeg looks for the next cluster then

HOSTILE = {
    "cues": TRACKS + CUES + cluster(BLOCK),
    "positions in a cue": TRACKS + element("1c53bb6b", element("bb", b"\xb7\x80" * MANY)) + cluster(BLOCK),
    "with a length of two bytes": TRACKS + element("1c53bb6b", b"\xbb\x40\0" * MANY) + cluster(BLOCK),
    "tags": TRACKS + TAGS + cluster(BLOCK),
    "encodings of a track": element(
        "1654ae6b", TRACK + element("ae", element("6d80", b"\x62\x40\x80" * MANY))
    ),
    "attachments": TRACKS + element("1941a469", b"\x61\xa7\x80" * MANY),
    "chapters": TRACKS + element("1043a770", element("45b9", b"\xb6\x80" * MANY)),
    "what a seek head points at": pointing_at(TAGS) + cluster(BLOCK),
    "what a seek head points at often": pointing_often() + cluster(BLOCK),
    "after a fault": TRACKS + bytes(8) + b"junk" + TAGS + cluster(BLOCK),
    "additions to a block": TRACKS + cluster(ADDITIONS),
    "a cluster in a void": TRACKS + cluster(TOO_LONG) + element("ec", cluster(ADDITIONS)),
    "a cluster in a block": TRACKS + cluster(TOO_LONG) + cluster(element("a3", cluster(ADDITIONS))),
    "tags in a void": TRACKS + element("ec", TAGS) + cluster(BLOCK),
    "empty clusters": TRACKS + b"\x1f\x43\xb6\x75\x80" * MANY,
    "broken clusters": TRACKS + b"\x1f\x43\xb6\x75\0" * MANY,
    "clusters without an end": TRACKS + b"\x1f\x43\xb6\x75\xff" * MANY,
}


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits of large files for small ones."""
    monkeypatch.setattr(matroska_index, "LARGE", 64)
    monkeypatch.setattr(matroska_index, "MOST_ELEMENTS", 1000)


@pytest.mark.parametrize("kind", HOSTILE)
def test_elements_are_counted_before_they_are_listed(tmp_path: Path, strict: None, kind: str) -> None:
    path = tmp_path / "v.mkv"
    path.write_bytes(element("1a45dfa3", element("4282", b"matroska")) + element("18538067", HOSTILE[kind]))
    with pytest.raises(OpenFailed, match=r"v\.mkv: more than 1,000 elements that are no pictures"):
        open_container(path)


@pytest.mark.parametrize("ending", ["mkv", "webm"])
@pytest.mark.parametrize("bytes_lost", [0, 700])
def test_honest_files_are_opened(
    tmp_path: Path, strict: None, head: list, ending: str, bytes_lost: int
) -> None:
    codec = {"mkv": "libx264", "webm": "libvpx"}[ending]
    path = encode(tmp_path / f"v.{ending}", head[:60], codec=codec)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - bytes_lost])
    with PyAVReader(path) as reader:
        assert len(list(reader)) > 50


def test_a_live_recording_of_any_length_is_opened(tmp_path: Path, strict: None) -> None:
    """Its cluster has no end, and more blocks than there may be elements of other kinds."""
    path, unknown = tmp_path / "v.mkv", b"\xff"
    live = bytes.fromhex("18538067") + unknown + TRACKS + bytes.fromhex("1f43b675") + unknown + BLOCK * 2000
    path.write_bytes(element("1a45dfa3", element("4282", b"matroska")) + live)
    open_container(path).close()


def test_no_search_begins_anew_for_each_fault(tmp_path: Path, strict: None) -> None:
    path = tmp_path / "v.mkv"
    faults = b"\x1f\x43\xb6\x75\0" * (2 << 20)
    path.write_bytes(element("1a45dfa3", element("4282", b"matroska")) + element("18538067", faults))
    began = time.thread_time()
    assert "elements" in matroska_index.refusal(path)
    assert time.thread_time() - began < 20


@pytest.mark.parametrize("name", ["v.mkv", "v.webm"])
def test_a_file_that_is_shorter_than_it_says_is_cut_off(tmp_path: Path, head: list, name: str) -> None:
    """It announces no frames, but how many bytes it has; a live recording, which doesn't, is whole."""
    codec = "libvpx" if name == "v.webm" else "libx264"
    content = encode(tmp_path / name, head[:12], codec=codec).read_bytes()
    for share in range(1, 11):
        (tmp_path / name).write_bytes(content[: len(content) * share // 10])
        with PyAVReader(tmp_path / name) as reader:
            frames = len(list(reader))
        assert ("missing at its end" in reader.error) == (share < 10), (share, reader.error)
    assert frames == 12
    at = content.index(bytes.fromhex("18538067")) + 4
    live = content[:at] + b"\x01" + b"\xff" * 7 + content[at + 8 :]
    (tmp_path / name).write_bytes(live[: len(live) * 9 // 10])
    with PyAVReader(tmp_path / name) as reader:
        assert len(list(reader)) > 0 and "missing" not in reader.error
