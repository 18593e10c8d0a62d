"""Leaks across splits: none where splits are made well, each kind found where one was planted."""

import time
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest
import trees
from clips import here

from ffpp_prep.datasets.layouts import list_videos
from ffpp_prep.datasets.leaks import Leak, audit_splits
from ffpp_prep.errors import UserError
from ffpp_prep.settings import SplitSettings
from ffpp_prep.stages import scan
from ffpp_prep.work.store import read_scan, write_scan


def found(work: Path, kind: str) -> list[Leak]:
    return [leak for leak in audit_splits(work).leaks if leak.kind == kind]


@pytest.fixture(scope="module")
def ffpp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three compressions of FaceForensics++ and DFD, split as by default."""
    root = tmp_path_factory.mktemp("leaks") / "root"
    trees.ffpp(root, ("raw", "c23", "c40"))
    trees.dfd(root, ("c23", "c40"))
    trees.write_splits(root / "splits", trees.ffpp_pairs(10), (3, 1, 1))
    return root


def test_default_splits_are_clean(ffpp: Path, tmp_path: Path) -> None:
    scan(ffpp, tmp_path / "work")
    scan(trees.dfdc(tmp_path / "dfdc"), tmp_path / "dfdc-work")
    for work, people in ((tmp_path / "work", ()), (tmp_path / "dfdc-work", ("dfdc",))):
        audit = audit_splits(work)
        assert audit.leaks == () and audit.without_people == people and audit.unread == 0
        used = read_scan(work)["split"].value_counts()
        assert audit.videos == {name: used[name] for name in ("train", "val", "test")}
    result = here("check-splits", tmp_path / "work")
    assert result.returncode == 0 and "check-splits: 0 leaks" in result.stdout


@pytest.mark.slow
def test_the_thesis_dfd_split_leaks_actors(ffpp: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    scan(ffpp, work, splits=SplitSettings(dfd="thesis"))
    assert found(work, "original") == [] == found(work, "content")
    # Counted another way: for each actor, in how many splits he is seen at all.
    videos = read_scan(work).query("dataset == 'dfd'")
    seen: dict[str, dict[str, int]] = {}
    for row in videos.itertuples():
        for actor in {row.target_id, row.source_id} - {""}:
            counts = seen.setdefault(f"dfd {actor}", {})
            counts[row.split] = counts.get(row.split, 0) + 1
    several = {actor: counts for actor, counts in seen.items() if len(counts) > 1}
    leaks = found(work, "person")
    assert {leak.value: leak.videos for leak in leaks} == several and len(several) >= 20
    for leak in leaks:
        total, squares = sum(leak.videos.values()), sum(n * n for n in leak.videos.values())
        assert leak.pairs == (total * total - squares) // 2
        splits = {video_id: split for split, video_id in next(leak.each_pair())}
        assert len(set(splits.values())) == 2
        for video_id, split in splits.items():
            row = videos.set_index("video_id").loc[video_id]
            assert row["split"] == split and leak.value[4:] in (row["target_id"], row["source_id"])
    result = here("check-splits", work)
    assert result.returncode == 1 and f"same person in several splits: {len(leaks)}, in " in result.stdout
    assert result.stdout.count("\n") < 50 and f"… and {len(leaks) - 10} more" in result.stdout
    assert f"every pair, as a table:  ffpp-prep check-splits {work} --csv pairs.csv" in result.stdout
    # The table against all pairs of videos with an actor in common, found by looking at each pair.
    result = here("check-splits", work, "--no-content", "--csv", tmp_path / "pairs.csv")
    pairs = pd.read_csv(tmp_path / "pairs.csv", dtype=str)
    assert result.returncode == 1 and f"{len(pairs):,} pairs -> {tmp_path / 'pairs.csv'}" in result.stdout
    assert not pairs.duplicated().any() and (pairs["split"] != pairs["other_split"]).all()
    seen_in = {r.video_id: ({r.target_id, r.source_id} - {""}, r.split) for r in videos.itertuples()}
    expected = {
        (f"dfd {actor}", *sorted((one, other)))
        for (one, (actors, split)), (other, (others, another)) in combinations(seen_in.items(), 2)
        for actor in (actors & others if split != another else ())
    }
    persons = pairs[pairs["kind"] == "person"]
    found_pairs = {
        (value, *sorted(ids))
        for value, ids in zip(
            persons["value"], persons[["video_id", "other_video_id"]].to_numpy().tolist(), strict=True
        )
    }
    assert found_pairs == expected and len(persons) == len(expected)
    assert all(seen_in[i][1] == s for i, s in zip(pairs["video_id"], pairs["split"], strict=True))
    assert set(pairs["kind"]) == {leak.kind for leak in audit_splits(work, content=False).leaks}
    refused = here("check-splits", work, "--csv", tmp_path)
    assert refused.returncode == 2 and f"--csv: {tmp_path}: a folder" in refused.stderr


def planted(root: Path, work: Path, **splits: str) -> Path:
    """WORK of `root` with the splits of some videos, by their stem, changed by hand."""
    scan(root, work)
    videos = list_videos(root).videos
    table = read_scan(work).set_index("video_id")["split"]
    write_scan(
        work,
        [replace(v, split=splits.get(f"v{Path(v.video_id).stem}", table[v.video_id])) for v in videos],
        {},
    )
    return work


def test_each_kind_where_it_was_planted(tmp_path: Path) -> None:
    root = trees.ffpp(tmp_path / "root", methods=("Deepfakes",))
    trees.write_splits(root / "splits", trees.ffpp_pairs(10), (3, 1, 1))
    # Train has the pairs 000-001, 002-003, 004-005; one fake goes to test.
    work = planted(root, tmp_path / "work", v000_001="test")
    kinds = {(leak.kind, leak.value) for leak in audit_splits(work).leaks}
    assert kinds == {
        ("original", "original_sequences/youtube/c23/videos/000.mp4"),
        ("target", "ffpp 000"),  # with the original itself
        ("person", "ffpp 000"),
        ("person", "ffpp 001"),  # the source there, the target of 001.mp4 in train
    }
    (leak,) = found(work, "original")
    assert leak.videos == {"train": 1, "test": 1} and leak.pairs == 1
    assert list(leak.each_pair()) == [
        (
            ("train", "original_sequences/youtube/c23/videos/000.mp4"),
            ("test", "manipulated_sequences/Deepfakes/c23/videos/000_001.mp4"),
        )
    ]


def test_same_source(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "path,label,split,target_id,source_id,dataset\n"
        "a.mp4,1,train,1,9,x\nb.mp4,1,val,2,9,x\nc.mp4,1,test,3,9,y\nd.mp4,1,unused,1,9,x\n"
    )
    scan(tmp_path / "t.csv", tmp_path / "work")
    leaks = audit_splits(tmp_path / "work").leaks
    assert [(leak.kind, leak.value, leak.videos) for leak in leaks] == [
        ("source", "x 9", {"train": 1, "val": 1}),  # another data set's 9 is another person
        ("person", "x 9", {"train": 1, "val": 1}),
    ]


def test_dfdc_fake_apart_from_its_original(tmp_path: Path) -> None:
    work = tmp_path / "work"
    scan(trees.dfdc(tmp_path / "root"), work)
    videos = read_scan(work)
    fake = videos[(videos["label"] == 1) & (videos["split"] == "train")].iloc[0]
    records = list_videos(tmp_path / "root").videos
    split = {**videos.set_index("video_id")["split"], fake["video_id"]: "test"}
    write_scan(work, [replace(v, split=split[v.video_id]) for v in records], {})
    (leak,) = audit_splits(work).leaks
    assert (leak.kind, leak.value, leak.videos) == ("original", fake["original_id"], {"train": 4, "test": 1})


def test_celebdf_leaks_by_its_official_list_and_says_so(tmp_path: Path) -> None:
    scan(trees.celebdf(tmp_path / "root"), tmp_path / "work")
    leaks = audit_splits(tmp_path / "work").leaks
    assert {leak.kind for leak in leaks} >= {"target", "person"}
    assert all("test" in leak.videos for leak in leaks)  # train and val share nobody


@pytest.mark.slow
def test_identical_content_under_other_names(tmp_path: Path) -> None:
    root = tmp_path / "root"
    trees.touch(
        root, [f"{s}/{k}/e.mp4" for s in ("train", "test") for k in ("real", "fake")]
    )  # empty: no copies
    content = bytes(range(256)) * 20_000
    (root / "train/real/a.mp4").write_bytes(content)
    (root / "train/real/again.mp4").write_bytes(content)
    (root / "train/real/other.mp4").write_bytes(b"x" + content[1:])  # of the same size
    (root / "test/fake/b.mp4").write_bytes(content)
    (root / "test/fake/longer.mp4").write_bytes(content + b"x")
    work = tmp_path / "work"
    scan(root, work)
    audit = audit_splits(work)
    leak, both_ways = audit.leaks  # and b is labelled fake, the others real
    assert (both_ways.kind, both_ways.videos) == ("label", {"real": 2, "fake": 1})
    assert (leak.kind, leak.videos, leak.pairs) == ("content", {"train": 2, "test": 1}, 2)
    assert [(a, b) for (_, a), (_, b) in leak.each_pair()] == [
        ("train/real/a.mp4", "test/fake/b.mp4"),
        ("train/real/again.mp4", "test/fake/b.mp4"),
    ]
    assert audit.hashed == 4 and audit.without_people == ("folder",)
    assert here("check-splits", work).returncode == 1
    without = here("check-splits", work, "--no-content")
    assert without.returncode == 0 and "content not compared" in without.stdout
    (root / "test/fake/b.mp4").unlink()
    gone = audit_splits(work)
    assert gone.leaks == () and gone.unread == 1


def test_usage(tmp_path: Path) -> None:
    root = trees.touch(tmp_path / "root", ["real/a.mp4"])
    scan(root, tmp_path / "work")
    with pytest.raises(UserError, match="of 1 video none is in train, val or test"):
        audit_splits(tmp_path / "work")
    with pytest.raises(UserError, match=r"no videos\.parquet here"):
        audit_splits(root)
    result = here("check-splits", "--help")
    assert "exits 1 if there are any" in " ".join(result.stdout.split())


@pytest.mark.full
def test_tens_of_thousands_of_videos_in_seconds(tmp_path: Path) -> None:
    """DFDC has 119,000: nothing in the audit may be quadratic: 16 times as long for 4 times the videos."""
    small, large = (_seconds_of_audit(tmp_path / str(count), count) for count in (5_000, 20_000))
    assert large < 10 * small


def _seconds_of_audit(folder: Path, count: int) -> float:
    """Processor time, the less of two."""
    folder.mkdir()
    frame = pd.DataFrame({"path": [f"v{i}.mp4" for i in range(count)]})
    frame["label"] = 1
    frame["split"] = ["train", "val", "test", "train", "train"] * (count // 5)
    frame["target_id"] = [str(i // 10) for i in range(count)]
    frame.to_parquet(folder / "t.parquet")
    scan(folder / "t.parquet", folder / "work")
    seconds = []
    for _ in range(2):
        started = time.process_time()
        audit = audit_splits(folder / "work", content=False)
        seconds.append(time.process_time() - started)
        assert sum(leak.kind == "target" for leak in audit.leaks) == count // 10
    return min(seconds)


def test_fakes_of_an_original_that_the_table_lacks(tmp_path: Path) -> None:
    rows = [
        "path,label,split,original_id",
        "a.mp4,1,train,real/x.mp4",
        "b.mp4,1,test,real\\x.mp4",
        "c.mp4,1,val,y",
    ]
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    scan(tmp_path / "t.csv", tmp_path / "work")
    (leak,) = audit_splits(tmp_path / "work").leaks
    assert (leak.kind, leak.value, leak.videos) == ("group", "real/x.mp4", {"train": 1, "test": 1})


def test_a_group_in_two_splits(tmp_path: Path) -> None:
    rows = ["path,label,split,group,dataset", "a.mp4,0,train,7.0,x", "b.mp4,1,test,7,x", "c.mp4,1,val,7,y"]
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    scan(tmp_path / "t.csv", tmp_path / "work")
    (leak,) = audit_splits(tmp_path / "work").leaks
    assert (leak.kind, leak.videos) == ("group", {"train": 1, "test": 1})


def test_one_file_labelled_both_ways(tmp_path: Path) -> None:
    root = tmp_path / "root"
    trees.touch(root, ["train/real/c.mp4"])
    for name, content in (
        ("train/real/a.mp4", b"one"),
        ("train/fake/b.mp4", b"one"),
        ("train/fake/d.mp4", b"two"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content * 100_000)
    scan(root, tmp_path / "work")
    (leak,) = audit_splits(tmp_path / "work").leaks
    assert (leak.kind, leak.videos) == ("label", {"real": 1, "fake": 1})
    result = here("check-splits", tmp_path / "work")
    assert (
        result.returncode == 1
        and "one file labelled both real and fake: 1, in 1 pair of videos" in result.stdout
    )
    assert "train/real/a.mp4 (real) and train/fake/b.mp4 (fake)" in result.stdout


def test_one_path_twice_is_one_file_though_it_is_gone(tmp_path: Path) -> None:
    rows = ["video_id,path,label,split", "1,a.mp4,0,train", "2,a.mp4,0,test"]
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    scan(tmp_path / "t.csv", tmp_path / "work")
    (leak,) = audit_splits(tmp_path / "work").leaks
    assert (leak.kind, leak.videos) == ("content", {"train": 1, "test": 1})


def test_files_of_one_size_are_read_whole_only_where_their_ends_are_equal(tmp_path: Path) -> None:
    from ffpp_prep.datasets.copies import EDGE, same_content

    middle = {"a": b"x", "b": b"y", "c": b"x", "d": b"z"}
    for name, byte in middle.items():
        ends = bytes(EDGE) if name != "d" else b"d" * EDGE
        (tmp_path / name).write_bytes(ends + byte * 10 + ends)
    paths = pd.Series([str(tmp_path / name) for name in middle], index=list(middle))
    found, compared, unread = same_content(paths, pd.Series(["1", "2", "2", "1"], index=list(middle)))
    assert set(found.index) == {"a", "c"} and found.nunique() == 1 and (compared, unread) == (4, 0)
