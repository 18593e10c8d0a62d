"""Prepared sets that are damaged, or made to do harm: seen, named, and neither followed elsewhere nor inflated."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfd_train.errors import UserError
from ffpp_prep.errors import Damaged
from ffpp_prep.format.box_reader import BoxReader
from ffpp_prep.format.checksums import read_checked_json, write_checked_json
from ffpp_prep.format.hdf5 import open_shard
from ffpp_prep.format.prepared import load_prepared
from ffpp_prep.format.tables import write_table

SHARD = "faces/faces-00000.h5"


@pytest.fixture
def work(small_set_writer, tmp_path) -> Path:
    return small_set_writer(tmp_path / "work", splits=("train",), length=3, shards=1).work


def flips(path: Path, number: int, begin: int = 0):
    """Each of some bits flipped in turn, and the file as it was at the end."""
    content = path.read_bytes()
    for bit in np.linspace(begin * 8, len(content) * 8 - 1, number).astype(int).tolist():
        path.write_bytes(
            content[: bit // 8] + bytes([content[bit // 8] ^ 1 << bit % 8]) + content[bit // 8 + 1 :]
        )
        yield bit
    path.write_bytes(content)


@pytest.mark.slow
def test_a_flip_in_tables_and_manifest_is_seen(work: Path) -> None:
    before = load_prepared(work)
    for path in (work / "videos.parquet", work / "boxes/videos-00000.parquet"):
        write_table(pq.read_table(path), path)
    path = work / "faces/manifest.json"
    write_checked_json(path, json.loads(path.read_text()))
    for path in (work / "videos.parquet", work / "boxes/videos-00000.parquet", work / "faces/manifest.json"):
        for bit in flips(path, 150, begin=20 if path.suffix == ".json" else 0):
            try:
                found = load_prepared(work)
            except UserError as error:
                assert str(path) in str(error) and "ffpp-prep" in str(error)
            else:
                assert found.videos.equals(before.videos) and found.fingerprint == before.fingerprint, bit


def test_a_flip_in_one_videos_boxes_is_seen(tmp_path: Path) -> None:
    names = [f"v{i:03d}" for i in range(100)]
    columns = {
        "video_id": np.repeat(names, 300), "frame": np.tile(np.arange(300), 100).astype("i4"),
        "face": np.zeros(30_000, "i1"), "pts": np.tile(np.arange(300), 100),
    }  # fmt: skip
    columns |= {name: np.random.default_rng(0).random(30_000, "f4") for name in ("x1", "y1", "x2", "y2")}
    path = tmp_path / "boxes-00000.parquet"
    write_table(pa.table(columns), path)
    parts = dict.fromkeys(names, "00000")
    before = BoxReader(tmp_path, parts).find("v042", 7)
    row = 42 * 300 + 7
    assert before is not None
    assert before[1:] == pytest.approx([columns[name][row] for name in ("x1", "y1", "x2", "y2")])
    for bit in flips(path, 100):
        try:
            assert BoxReader(tmp_path, parts).find("v042", 7) == before, bit
        except UserError as error:
            assert f"{path}: damaged" in str(error) and "verify" in str(error)


@pytest.mark.slow
def test_a_flip_in_what_a_shard_says_of_its_crops_is_seen(work: Path) -> None:
    from ffpp_prep.format.files import crc32

    path, manifest = work / SHARD, work / "faces/manifest.json"
    with h5py.File(path) as file:
        start = file["blob"].id.get_offset()
        stop = start + len(file["blob"])
    content = path.read_bytes()
    index = crc32(content[stop:], crc32(content[:start]))
    told = json.loads(manifest.read_text())
    told["shards"][0] |= {"blob": [start, stop], "index_crc32": index}
    manifest.write_text(json.dumps(told))
    load_prepared(work)
    for bit in flips(path, 200):
        if not start <= bit // 8 < stop:  # a crop has its own
            with pytest.raises(
                UserError, match=r"faces-00000\.h5: damaged: its index doesn't match its checksum"
            ):
                load_prepared(work)


def replaced(path: Path, name: str, make: Callable[[h5py.File], object]) -> None:
    with h5py.File(path, "r+") as file:
        del file[name]
        make(file)


def external_storage(path: Path, secret: Path) -> None:
    size = secret.stat().st_size
    replaced(
        path, "blob", lambda f: f.create_dataset("blob", (size,), "u1", external=[(str(secret), 0, size)])
    )


def external_link(path: Path, secret: Path) -> None:
    replaced(path, "videos", lambda f: f.__setitem__("videos", h5py.ExternalLink(str(secret), "/videos")))


def soft_link(path: Path, secret: Path) -> None:
    replaced(path, "face", lambda f: f.__setitem__("face", h5py.SoftLink("/frame")))


def virtual_dataset(path: Path, secret: Path) -> None:
    with h5py.File(path, "r+") as file:
        rows = len(file["frame"])
        del file["frame"]
        layout = h5py.VirtualLayout((rows,), "i4")
        layout[:] = h5py.VirtualSource(str(secret), "frame", (rows,))
        file.create_virtual_dataset("frame", layout)


def compressed(path: Path, secret: Path) -> None:
    replaced(
        path, "frame", lambda f: f.create_dataset("frame", (1 << 31,), "i4", chunks=(1 << 20,), compression=9)
    )


def never_written(path: Path, secret: Path) -> None:
    replaced(path, "offsets", lambda f: f.create_dataset("offsets", (1 << 40,), "u8"))


def of_another_type(path: Path, secret: Path) -> None:
    replaced(
        path, "videos/id", lambda f: f.create_dataset("videos/id", data=["a"], dtype=h5py.string_dtype())
    )


def offsets_that_go_back(path: Path, secret: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["offsets"][1] = 1 << 60


def video_that_is_not_listed(path: Path, secret: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["video"][0] = 4_000_000_000


@pytest.mark.parametrize(
    "harm",
    [
        external_storage, external_link, soft_link, virtual_dataset, compressed, never_written, of_another_type,
        offsets_that_go_back, video_that_is_not_listed,
    ],
)  # fmt: skip
def test_a_shard_leads_nowhere_else_and_is_no_larger_than_its_file(
    work: Path, tmp_path: Path, harm: Callable[[Path, Path], None]
) -> None:
    secret = tmp_path / "secret.h5"
    secret.write_bytes((work / SHARD).read_bytes())
    harm(work / SHARD, secret)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=r".*faces-00000\.h5: damaged: .*verify .* --repair"):
        load_prepared(work)
    with pytest.raises(UserError, match=r"faces-00000\.h5: damaged"):
        open_shard(
            work / SHARD, "", ("blob", "offsets", "shape", "crc32", "video", "frame", "face", "videos/id")
        )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # kB


@pytest.mark.parametrize(
    "file", ["../../secret.h5", "/etc/passwd", "", None, "faces-0.h5/..", "faces-00000.h5\n"]
)
def test_a_manifest_leads_nowhere_else(work: Path, file: str | None) -> None:
    path = work / "faces/manifest.json"
    content = json.loads(path.read_text())
    content["shards"][0]["file"] = file
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"manifest\.json: lists .*must be a shard"):
        load_prepared(work)


@pytest.mark.parametrize("content", ["[]", "{}", "3", "[" * 100_000])
def test_a_manifest_of_another_kind(work: Path, content: str) -> None:
    (work / "faces/manifest.json").write_text(content)
    with pytest.raises(UserError, match=r"manifest\.json"):
        load_prepared(work)


@pytest.mark.parametrize(
    "changed",
    [
        *({"shards": 3}, {"shards": [3]}, {"margin": "a"}, {"size": [1]}, {"size": 0.5}),
        *({"margin": 10**400}, {"margin": float("nan")}, {"size": True}, {"size": 10**30}),
    ],
)
def test_a_manifest_with_another_kind_of_value(work: Path, changed: dict[str, object]) -> None:
    path = work / "faces/manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    words = rf"manifest\.json: ((damaged: )?{next(iter(changed))}(=| is )|lists |int too large)"
    with pytest.raises(UserError, match=words):
        load_prepared(work)


def test_a_manifest_that_says_too_little_says_what_to_do(work: Path) -> None:
    for lacking in ("format_version", "margin", "shards"):
        path = work / "faces/manifest.json"
        content = json.loads(path.read_text())
        path.write_text(json.dumps({name: value for name, value in content.items() if name != lacking}))
        with pytest.raises(
            Damaged, match=r"manifest\.json: damaged: .*run  ffpp-prep verify .*work --repair"
        ):
            load_prepared(work)
        path.write_text(json.dumps(content))


@pytest.mark.parametrize("last", [10**6, 2**62, 10**40])
def test_a_manifest_that_names_places_beyond_a_shard(work: Path, last: int) -> None:
    path = work / "faces/manifest.json"
    content = json.loads(path.read_text())
    content["shards"][0] |= {"blob": [last, last], "index_crc32": 0}
    path.write_text(json.dumps(content))
    with pytest.raises(Damaged, match=r"faces-00000\.h5: damaged: its crops would be beyond its end; run"):
        load_prepared(work)


@pytest.mark.parametrize("value", [np.array([1, 1]), np.array([], "i8"), "", -1, float("nan")])
def test_a_shard_with_attributes_of_another_kind(work: Path, value: object) -> None:
    with h5py.File(work / SHARD, "r+") as file:
        file.attrs["format_version"] = value
    with pytest.raises(Damaged, match=r"faces-00000\.h5: damaged: .*; run  ffpp-prep verify"):
        load_prepared(work)


def test_a_damaged_crop_says_what_to_do(work: Path) -> None:
    prepared = load_prepared(work)
    with h5py.File(work / SHARD, "r+") as file:
        file["blob"][:] = 0
    with pytest.raises(
        Damaged, match=r"faces-00000\.h5: damaged: the crop at byte \d+ .*; run  ffpp-prep verify"
    ):
        prepared.read_crop_at(0, 0)


@pytest.mark.slow
def test_a_crop_is_never_decoded_to_more_than_its_recorded_size(small_set_writer, tmp_path: Path) -> None:
    work = small_set_writer(tmp_path / "work", splits=("train",), length=1, shards=1, codec="png").work
    bomb = np.frombuffer(imagecodecs.png_encode(np.zeros((12_000, 12_000, 3), np.uint8)), np.uint8)
    with h5py.File(work / SHARD, "r+") as file:
        crops = len(file["frame"])
        del file["blob"]
        file["blob"] = np.tile(bomb, crops)
        file["offsets"][:] = np.arange(crops + 1) * len(bomb)
        file["crc32"][:] = __import__("zlib").crc32(bomb.tobytes())
    prepared = load_prepared(work)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=r"the crop at byte \d+ can't be decoded: .*12000"):
        prepared.read_crop_at(0, 0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10
    with h5py.File(work / SHARD, "r+") as file:
        file["shape"][:] = 12_000
    with pytest.raises(UserError, match="it is 12000x12000 pixels, allowed are up to"):
        load_prepared(work).read_crop_at(0, 0)


def test_what_the_system_cannot_read_is_no_damage(work: Path) -> None:
    (work / SHARD).unlink()
    (work / SHARD).mkdir()
    with pytest.raises(FileNotFoundError):
        load_prepared(work)
    assert isinstance(pd.read_parquet(work / "videos.parquet"), pd.DataFrame)
    assert read_checked_json(work / "faces/manifest.json", "")
