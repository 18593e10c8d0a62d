"""Reading a prepared data set that an independent writer made from the format's description."""

import json
import multiprocessing
import pickle

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ffpp_prep.errors import UserError
from ffpp_prep.format.prepared import load_prepared
from ffpp_prep.format.untouched import untouched_frames


@pytest.mark.parametrize("codec", ["zstd", "jxl", "png", "qoi", "webp", "raw", "jpeg"])
def test_every_crop_comes_back(codec, small_set_writer, tmp_path):
    written = small_set_writer(tmp_path / "work", splits=("train", "val"), length=3, codec=codec)
    prepared = load_prepared(written.work)
    assert len(prepared.crops) == len(written.crops) > 20
    for (video_id, frame, face), crop in written.crops.items():
        read = prepared.read_crop(video_id, frame, face)
        assert read.dtype == np.uint8 and read.shape == crop.shape
        if codec == "jpeg":
            assert np.abs(read.astype(int) - crop).mean() < 12
        else:
            assert np.array_equal(read, crop)


def test_videos_are_the_scan_with_what_boxes_found(small_set):
    prepared = load_prepared(small_set.work)
    columns = [
        "video_id",
        "method",
        "label",
        "split",
        "original_id",
        "status",
        "frames_decoded",
        "multiple_faces",
    ]
    found = prepared.videos[columns].sort_values("video_id").reset_index(drop=True)
    wanted = small_set.videos[columns].sort_values("video_id").reset_index(drop=True)
    for column in columns:
        assert found[column].fillna("").tolist() == wanted[column].fillna("").tolist(), column
    assert not prepared.demonstration


def test_the_sample_data_marker_is_read(small_set_writer, tmp_path):
    work = small_set_writer(tmp_path / "work", splits=("train",), length=2, demonstration=True).work
    assert load_prepared(work).demonstration


def test_stored_frames_and_what_is_not_stored(small_set_writer, tmp_path):
    written = small_set_writer(
        tmp_path / "work", splits=("train",), length=9, stored=lambda frame: frame % 2 == 0
    )
    prepared = load_prepared(written.work)
    row = prepared.row("original_sequences/youtube/c23/videos/000.mp4")
    assert prepared.crops.stored_frames(row).tolist() == [0, 2, 4, 6, 8]
    assert prepared.is_stored(row, 4) and not prepared.is_stored(row, 5)
    with pytest.raises(ValueError, match=r"neither crop nor box of original_sequences.*, frame 5, face 0"):
        prepared.read_crop_at(row, 5)


def _read_in_child(prepared, keys, queue):
    queue.put([prepared.read_crop(*key).sum() for key in keys])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_read_the_same(method, small_set):
    """Handles opened here are neither pickled nor used after a fork."""
    prepared = load_prepared(small_set.work)
    keys = list(small_set.crops)[::40]
    here = [prepared.read_crop(*key).sum() for key in keys]
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    children = [context.Process(target=_read_in_child, args=(prepared, keys, queue)) for _ in range(2)]
    for child in children:
        child.start()
    assert [queue.get(timeout=120) for _ in children] == [here, here]
    for child in children:
        child.join()
    assert pickle.loads(pickle.dumps(prepared)).read_crop(*keys[0]).sum() == here[0]


def test_the_fingerprint_follows_what_training_sees(small_set, small_set_writer, tmp_path):
    first = load_prepared(small_set.work).fingerprint
    same = small_set_writer(
        tmp_path / "same", shards=3, codec="png", stored=lambda frame: frame % 2 == 0, detection={"margin": 0.5},
        edit=lambda table: table[::-1].assign(path="/elsewhere/" + table["video_id"]),
    ).work  # fmt: skip
    assert load_prepared(same).fingerprint == first
    changed = small_set_writer(
        tmp_path / "changed", edit=lambda table: table.assign(label=1 - table["label"])
    ).work
    assert load_prepared(changed).fingerprint != first


def test_the_fingerprint_follows_how_crops_came_about(small_set_writer, tmp_path):
    """Which faces were found, and whether storing them lost anything: two sets that differ in one of these only."""

    def fingerprint(name: str, **changed: object) -> str:
        written = small_set_writer(tmp_path / name, splits=("train",), length=2, **changed)
        return load_prepared(written.work).fingerprint

    others = [("every", 8), ("threshold", 0.5), ("weights_sha256", "0" * 64), ("decoder", "decord")]
    others += [("from_original", True)]
    found = [fingerprint(name, detection={name: value}) for name, value in others]
    found += [fingerprint("plain"), fingerprint("lossy", codec="jpeg")]
    assert len(set(found)) == len(found) == 7
    assert fingerprint("lossless", codec="qoi") == fingerprint("again")
    path = tmp_path / "lossy/faces/manifest.json"  # as where other frames are stored
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fingerprint": "0" * 64}))
    assert load_prepared(tmp_path / "lossy").fingerprint not in found


def test_boxes_whose_settings_cannot_be_read(small_set_writer, tmp_path):
    work = small_set_writer(tmp_path / "work", splits=("train",), length=1).work
    part = work / "boxes/videos-00001.parquet"
    for settings, message in (
        ("{", "not readable as JSON"),
        ("[1]", "its settings are .1., expected a mapping"),
    ):
        pq.write_table(pq.read_table(part).replace_schema_metadata({"settings": settings}), part)
        with pytest.raises(ValueError, match=rf"videos-00001\.parquet: damaged: {message}"):
            load_prepared(work)


def test_what_other_boxes_were_used_for_is_refused(small_set_writer, tmp_path):
    """As where WORK/boxes was removed and made again with other settings."""
    work = small_set_writer(tmp_path / "work", splits=("train",), length=1).work
    for part in (work / "boxes").glob("videos-*.parquet"):
        pq.write_table(pq.read_table(part).replace_schema_metadata({"fingerprint": "now"}), part)
    path = work / "faces/manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"boxes": "now"}))
    rows = load_prepared(work).rows
    path.write_text(json.dumps(manifest | {"boxes": "before"}))
    message = (
        r"work/{} was made of other boxes than those in .*work/boxes: `ffpp-prep verify .*work --repair`"
    )
    with pytest.raises(ValueError, match=message.format("faces")):
        load_prepared(work)
    (work / "fakes").mkdir()
    checks = pa.table({"video_id": ["v"]}).replace_schema_metadata({"settings": '{"boxes": "before"}'})
    pq.write_table(checks, work / "fakes/videos-00000.parquet")
    with pytest.raises(ValueError, match=message.format("fakes")):
        untouched_frames(work, rows)


def test_damaged_bytes_are_noticed(small_set_writer, tmp_path):
    written = small_set_writer(tmp_path / "work", splits=("train",), length=2, codec="raw", shards=1)
    with h5py.File(written.work / "faces/faces-00000.h5", "r+") as file:
        file["blob"][5] = file["blob"][5] ^ 255
    prepared = load_prepared(written.work)
    with pytest.raises(ValueError, match=r"the crop at byte \d+ doesn't match its checksum"):
        prepared.read_crop(next(iter(written.crops))[0], 0)


def test_sets_that_cannot_be_read(small_set_writer, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        load_prepared(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no videos\.parquet \(`ffpp-prep scan` writes it\)"):
        load_prepared(tmp_path / "empty")
    (tmp_path / "empty/videos.parquet").write_bytes(b"PAR1 nothing of the kind")
    with pytest.raises(ValueError, match=r"videos\.parquet: damaged"):
        load_prepared(tmp_path / "empty")
    pq.write_table(pa.table({"video_id": ["a"]}), tmp_path / "empty/videos.parquet")
    with pytest.raises(ValueError, match="lacks the columns path, dataset, method"):
        load_prepared(tmp_path / "empty")

    newest = small_set_writer(tmp_path / "newest", splits=("train",), length=1).work
    table = pq.read_table(newest / "videos.parquet").replace_schema_metadata({"format_version": "3"})
    pq.write_table(table, newest / "videos.parquet")
    with pytest.raises(ValueError, match=r"videos\.parquet: format version 3; this ffpp-prep reads 1"):
        load_prepared(newest)

    newer = small_set_writer(tmp_path / "newer", splits=("train",), length=1, format_version=2).work
    with pytest.raises(ValueError, match=r"manifest\.json: format version 2; this ffpp-prep reads 1"):
        load_prepared(newer)
    manifest = json.loads((newer / "faces/manifest.json").read_text())
    (newer / "faces/manifest.json").write_text(json.dumps(manifest | {"format_version": 1}))
    with pytest.raises(ValueError, match=r"faces-00000\.h5: format version 2"):
        load_prepared(newer)
    (newer / "faces/faces-00000.h5").unlink()
    with pytest.raises(FileNotFoundError, match=r"faces-00000\.h5 is listed in the manifest but missing"):
        load_prepared(newer)
    (newer / "faces/manifest.json").write_text(json.dumps(manifest | {"format_version": 1, "codec": "gif"}))
    with pytest.raises(ValueError, match="codec 'gif': unknown; allowed are zstd, webp, jxl"):
        load_prepared(newer)
    (newer / "faces/manifest.json").write_text("{}")
    with pytest.raises(ValueError, match=r"manifest\.json: damaged: its format version is missing; run"):
        load_prepared(newer)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"margin": "wide"}, "margin is 'wide'"),
        ({"border": ["clip"]}, r"border is \['clip'\], allowed: clip, pad"),
        ({"color": "BGR"}, "color is 'BGR', allowed: RGB"),
        ({"codec": {}}, "codec '{}': unknown; allowed are zstd, webp"),
        ({"shards": ["faces-00000.h5"]}, "lists 'faces-00000.h5', must be a shard"),
        ({"shards": [{"file": "../faces-00000.h5"}]}, "of its own folder"),
        (
            {"shards": [{"file": "faces-00000.h5", "blob": 7}]},
            "blob 7 and index_crc32 None of faces-00000.h5",
        ),
        ({"shards": [{"file": "faces-00000.h5", "blob": [9, 2]}]}, r"blob \[9, 2\]"),
        ({"shards": [{"file": "faces-00000.h5", "index_crc32": "f"}]}, "index_crc32 'f'"),
    ],
)
def test_a_manifest_that_says_what_cannot_be(small_set_writer, tmp_path, changes, message):
    work = small_set_writer(tmp_path / "work", splits=("train",), length=1, shards=1).work
    manifest = work / "faces/manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | changes))
    with pytest.raises(UserError, match=message):
        load_prepared(work)


def test_a_fake_that_is_left_out_whole_is_warned_of(small_set_writer, tmp_path, caplog):
    written = small_set_writer(tmp_path / "work", splits=("train",), length=2)
    prepared = load_prepared(written.work)
    fakes = prepared.videos.index[prepared.videos["label"] == 1]
    names = prepared.videos["video_id"][fakes[:2]].tolist()
    rows = pd.DataFrame(
        [
            (name, frame, 0, (number, frame) == (0, 1))
            for number, name in enumerate(names)
            for frame in range(2)
        ],
        columns=["video_id", "frame", "face", "touched"],
    )
    (written.work / "fakes").mkdir()
    rows.to_parquet(written.work / "fakes/fakes-00000.parquet")
    rows[["video_id"]].drop_duplicates().to_parquet(written.work / "fakes/videos-00000.parquet")
    found = untouched_frames(written.work, prepared.rows, trained=fakes[1:])
    assert len(found) == 3
    assert f"untouched: 1 fake left out, because no face differs: {names[1]}" in caplog.text
    caplog.clear()
    assert untouched_frames(written.work, prepared.rows, trained=fakes[:1]) == found and not caplog.text
