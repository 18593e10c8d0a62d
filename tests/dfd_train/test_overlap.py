"""check-splits, run and evaluate look for the same leaks; a copied validation video is told, with its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dfd_train.data.overlap import overlap, splits_leak
from ffpp_prep.datasets.leaks import audit_splits
from ffpp_prep.format.prepared import load_prepared
from ffpp_prep.one_video.boxes import BoxSettings, VideoBoxes
from ffpp_prep.one_video.likeness import frame_likeness
from ffpp_prep.stages import scan
from ffpp_prep.work.store import BoxStore

HEADER = "video_id,path,label,split,dataset,target_id,source_id,original_id,group\n"
TABLES = {
    "original": "a,a.mp4,0,train,x,,,,\nb,b.mp4,1,test,x,,,a,",
    "absent original": "a,a.mp4,1,train,x,,,gone,\nb,b.mp4,1,test,x,,,gone,",
    "group": "a,a.mp4,0,train,x,,,,7\nb,b.mp4,0,val,x,,,,7.0",
    "person": "a,a.mp4,0,train,x,Anna,,,\nb,b.mp4,1,test,x,2.0,anna ,,",
    "content": "a,a.mp4,0,train,x,,,,\nb,copy.mp4,0,test,x,,,,",
    "label": "a,a.mp4,0,train,x,,,,\nb,copy.mp4,1,train,x,,,,",
    "pictures": "a,a.mp4,0,train,x,,,,\nalike,b.mp4,0,test,x,,,,",
    "nothing": "a,a.mp4,0,train,x,1,,,\nb,b.mp4,0,test,x,2,,,",
}


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (32, 32, 3)).astype(np.uint8)


def made(folder: Path, rows: str, seeds: dict[str, int] | None = None) -> Path:
    """A work folder of a table; a.mp4 and copy.mp4 have one content; videos of one seed look alike."""
    folder.mkdir(parents=True)
    for name, content in (("a", b"a" * 99), ("copy", b"a" * 99), ("b", b"b" * 99), ("c", b"c" * 9)):
        (folder / f"{name}.mp4").write_bytes(content)
    (folder / "t.csv").write_text(HEADER + rows + "\n")
    scan(folder / "t.csv", folder / "work")
    ids = [row.split(",")[0] for row in rows.split("\n")]
    done = [
        VideoBoxes(
            name, "ok", likeness=frame_likeness(picture((seeds or {}).get(name, 100 + i))), frames_decoded=1
        )
        for i, name in enumerate(ids)
    ]
    BoxStore(folder / "work").commit(done, BoxSettings(), "litert")
    return folder / "work"


@pytest.mark.parametrize("kind", TABLES)
def test_check_splits_and_run_see_the_same(tmp_path: Path, kind: str) -> None:
    work = made(tmp_path / "set", TABLES[kind], {"a": 1, "alike": 1})
    leaks = audit_splits(work).leaks
    assert splits_leak(load_prepared(work)) == leaks
    expected = {"absent original": "group", "nothing": None}.get(kind, kind)
    assert [leak.kind for leak in leaks] == ([expected] if expected else [])


def test_a_set_without_splits_leaks_nothing(tmp_path: Path) -> None:
    work = made(tmp_path / "set", TABLES["nothing"].replace("train", "unused").replace("test", "unused"))
    assert splits_leak(load_prepared(work)) == ()


def test_a_copied_validation_video_is_told_by_its_name(tmp_path: Path) -> None:
    own = load_prepared(
        made(tmp_path / "own", "t,c.mp4,0,train,x,1,,,\nv,a.mp4,0,val,x,2,,,", {"t": 1, "v": 2})
    )
    other = load_prepared(
        made(tmp_path / "other", "n,b.mp4,1,test,y,8,9,,\nw,copy.mp4,0,test,y,7,,,", {"n": 3, "w": 2})
    )
    found = overlap(own, (), other, other.videos)
    assert found.line() == (
        "No identity of the training and validation videos is in the 2 tested videos. "
        "1 of the tested files also trained the model or chose its checkpoint: w is v (val)."
    )
    assert overlap(own, ("original_sequences",), other, other.videos).leaks == ()  # neither trained nor chose
    assert not overlap(own, (), other, other.videos[:1]).any


def test_look_alikes_and_originals_across_sets(tmp_path: Path) -> None:
    own = load_prepared(
        made(tmp_path / "own", "a,c.mp4,0,train,x,1,,,\nb,a.mp4,0,val,x,2,,,", {"a": 1, "b": 2})
    )
    rows = f"a,b.mp4,0,test,y,,,,\nn,{tmp_path}/own/b.mp4,0,test,y,,,,"
    other = load_prepared(made(tmp_path / "other", rows, {"a": 5, "n": 1}))
    found = overlap(own, (), other, other.videos)
    assert found.line() == (
        "None of 2 tested videos says whom it shows: people in both sets can't be told. "
        "1 of the tested videos with the pictures of a training or validation video: n and a (train)."
    )  # the two videos called a are two originals


def test_sets_of_before_say_what_they_cannot_see(small_set) -> None:
    prepared = load_prepared(small_set.work)
    tested = prepared.videos[prepared.videos["split"] == "test"]
    line = overlap(prepared, (), prepared, tested).line()
    assert line.startswith("No identity of the training and validation videos is in")
    assert f"Not compared, as unreadable: {len(prepared.videos)} files of both sets." in line
    assert f"Of {len(prepared.videos)} videos of both sets no pictures are recorded" in line
