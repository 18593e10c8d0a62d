"""Official lists from a folder and from a server, and drawn splits: shares, disjointness, reproducibility."""

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trees
from clips import ffpp_prep

from ffpp_prep.datasets import split_files
from ffpp_prep.datasets.layouts import list_videos
from ffpp_prep.datasets.splits import assign
from ffpp_prep.errors import UserError
from ffpp_prep.format.records import VideoRecord
from ffpp_prep.settings import SplitSettings
from ffpp_prep.stages import scan
from ffpp_prep.work.store import read_scan

USED = {"train", "val", "test"}


def assigned(root: Path, settings: SplitSettings | None = None) -> list[VideoRecord]:
    return assign(list_videos(root).videos, settings or SplitSettings())[0]


def people_by_split(videos: list[VideoRecord]) -> dict[str, set[str]]:
    people: dict[str, set[str]] = {}
    for v in videos:
        people.setdefault(v.split, set()).update(p for p in (v.target_id, v.source_id) if p)
    return people


def splits_by(videos: list[VideoRecord], *names: str) -> list[set[str]]:
    groups: dict[tuple[str, ...], set[str]] = {}
    for v in videos:
        groups.setdefault(tuple(getattr(v, n) for n in names), set()).add(v.split)
    return list(groups.values())


# --- FaceForensics++ -------------------------------------------------------------------------------------------


def test_official_format_at_its_real_size(tmp_path: Path) -> None:
    root = trees.ffpp(tmp_path / "root", originals=1000)
    folder = trees.write_splits(tmp_path / "splits", trees.ffpp_pairs(1000), (360, 70, 70))
    videos, notes = assign(list_videos(root).videos, SplitSettings(folder))[:2]
    counts = Counter((v.method, v.split) for v in videos)
    for method in ("original_sequences", *trees.METHODS):
        assert [counts[method, s] for s in ("train", "val", "test")] == [720, 140, 140]
    assert notes == [
        f"FaceForensics++ splits: lists in {folder}, not the official ones; 0 of 6,000 videos unused"
    ]


def test_all_compressions_of_a_pair_stand_together(tmp_path: Path) -> None:
    root = trees.ffpp(tmp_path / "root", ("raw", "c23", "c40"))
    folder = trees.write_splits(tmp_path / "splits", trees.ffpp_pairs(10), (3, 1, 1))
    assert all(len(splits) == 1 for splits in splits_by(assigned(root, SplitSettings(folder)), "target_id"))


def test_what_the_lists_do_not_name_is_unused(tmp_path: Path) -> None:
    root = trees.ffpp(tmp_path / "root", methods=("Deepfakes",))
    trees.touch(root, ["manipulated_sequences/Deepfakes/c23/videos/000_009.mp4"])  # no official pair
    folder = trees.write_splits(tmp_path / "splits", trees.ffpp_pairs(10)[:4], (2, 1, 1))
    split = {Path(v.video_id).stem: v.split for v in assigned(root, SplitSettings(folder))}
    assert split["000"] == split["000_001"] == "train" and split["000_009"] == "unused"
    assert split["008"] == split["008_009"] == "unused"


def test_root_splits_are_taken_by_themselves(tmp_path: Path) -> None:
    root = trees.ffpp(tmp_path / "root", methods=("Deepfakes",))
    trees.write_splits(root / "splits", trees.ffpp_pairs(10), (3, 1, 1))
    scan(root, tmp_path / "work")
    assert read_scan(tmp_path / "work")["split"].value_counts().to_dict() == {
        "train": 12,
        "val": 4,
        "test": 4,
    }


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("val", None, "val.json: No such file or directory; --splits needs train.json, val.json, test.json"),
        ("val", "{", "val.json: expected a list of pairs of ids"),
        ("train", "[[1, 2, 3]]", "train.json: expected a list of pairs"),
        ("test", "5", "test.json: expected a list of pairs"),
        ("test", "[" * 100_000, "test.json: expected a list of pairs"),
    ],
)
def test_lists_that_are_missing_or_wrong(tmp_path: Path, name: str, content: str | None, words: str) -> None:
    root = trees.ffpp(tmp_path / "root", methods=())
    folder = trees.write_splits(tmp_path / "splits", trees.ffpp_pairs(10), (3, 1, 1))
    (folder / f"{name}.json").unlink()
    if content is not None:
        (folder / f"{name}.json").write_text(content)
    with pytest.raises(UserError, match=words):
        assigned(root, SplitSettings(folder))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder behind a real HTTP server, in the official address's place."""
    folder = trees.write_splits(tmp_path / "served", trees.ffpp_pairs(10), (3, 1, 1))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        monkeypatch.setattr(split_files, "OFFICIAL_ADDRESS", f"http://127.0.0.1:{http.server_port}")
        yield folder
        http.shutdown()


def test_fetched_lists_are_checked(tmp_path: Path, server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = trees.ffpp(tmp_path / "root", methods=())
    checksums = {s: hashlib.sha256((server / f"{s}.json").read_bytes()).hexdigest() for s in USED}
    monkeypatch.setattr(split_files, "OFFICIAL_SHA256", checksums)
    _, notes = assign(list_videos(root).videos, SplitSettings())[:2]
    assert notes == ["FaceForensics++ splits: fetched, the official ones; 0 of 10 videos unused"]
    (server / "val.json").write_text((server / "val.json").read_text() + " ")
    with pytest.raises(UserError, match=r"val.json fetched from .* isn't the official file"):
        assigned(root)
    (server / "val.json").unlink()
    with pytest.raises(UserError, match=r"can't be fetched .*404.*or give --splits DIR"):
        assigned(root)


def test_offline_is_one_line_with_both_ways_out(tmp_path: Path) -> None:
    root = trees.ffpp(tmp_path / "root", methods=())
    hook = tmp_path / "hook"
    hook.mkdir()
    # A closed port of this machine instead of the official address: offline on every machine.
    (hook / "sitecustomize.py").write_text(
        "import ffpp_prep.datasets.split_files as f; f.OFFICIAL_ADDRESS = 'http://127.0.0.1:9/splits'"
    )
    result = ffpp_prep("scan", root, "-o", tmp_path / "work", env={"PYTHONPATH": str(hook)})
    assert result.returncode == 2 and result.stderr.count("\n") == 1, result.stderr
    assert "run this again where there is internet, or give --splits DIR with train.json" in result.stderr
    assert not (tmp_path / "work").exists()


def test_a_table_with_its_own_splits_needs_no_lists(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,label,dataset,split\n000.mp4,0,ffpp,val\n")
    assert [v.split for v in assigned(tmp_path / "t.csv")] == ["val"]


# --- DeepFakeDetection -----------------------------------------------------------------------------------------


def test_dfd_is_actor_disjoint(tmp_path: Path) -> None:
    root = trees.dfd(tmp_path, ("c23", "c40"))
    videos, notes = assign(list_videos(root).videos, SplitSettings())[:2]
    people = people_by_split(videos)
    assert [len(people[s]) for s in ("train", "val", "test")] == [20, 4, 4]  # 0.72 / 0.14 / 0.14 of 28
    assert len(set.union(*(people[s] for s in USED))) == 28
    unused = [v for v in videos if v.split == "unused"]
    assert unused and all(v.label for v in unused)
    assert notes == [
        f"DeepFakeDetection splits: actor-disjoint; {len(unused)} of {len(videos)} videos unused"
    ]


def test_dfd_by_the_thesis(tmp_path: Path) -> None:
    root = trees.dfd(tmp_path, ("c23", "c40"))
    videos = assigned(root, SplitSettings(dfd="thesis"))
    assert {v.split for v in videos} == USED  # nothing is left out
    originals = Counter(v.split for v in videos if not v.label)
    assert originals == {"train": 2 * 40, "val": 2 * 8, "test": 2 * 8}  # of 56
    split = {v.video_id: v.split for v in videos}
    assert all(v.split == split[v.original_id] for v in videos if v.label)
    # Both compressions of an original are one original; its actors are not kept apart.
    names = {}
    for v in videos:
        names.setdefault(Path(v.video_id).name, set()).add(v.split)
    assert all(len(splits) == 1 for splits in names.values())
    people = people_by_split(videos)
    assert people["train"] & people["test"]


def test_dfd_actors_from_a_list(tmp_path: Path) -> None:
    root = trees.dfd(tmp_path / "root", actors=6)
    folder = tmp_path / "splits"
    folder.mkdir()
    (folder / "dfd.json").write_text(
        '{"train": ["01", "02", "03"], "val": ["04"], "test": ["05", "06"], "x": []}'
    )
    people = people_by_split(assigned(root, SplitSettings(folder)))
    assert (people["train"], people["val"], people["test"]) == ({"01", "02", "03"}, {"04"}, {"05", "06"})
    assert people_by_split(assigned(root, SplitSettings(folder, "thesis")))["val"] != {"04"}  # as asked for
    for content in ('{"train": []}', "[]", '{"train": ["01"], "val": ["01"], "test": []}'):
        (folder / "dfd.json").write_text(content)
        with pytest.raises(UserError, match=r"dfd\.json"):
            assigned(root, SplitSettings(folder))


# --- DFDC and Celeb-DF -----------------------------------------------------------------------------------------


def test_dfdc_by_original_inside_each_part(tmp_path: Path) -> None:
    videos = assigned(trees.dfdc(tmp_path), SplitSettings(dfdc="thesis"))
    for part in range(3):
        own = [v for v in videos if v.video_id.startswith(f"dfdc_train_part_{part}/")]
        assert Counter(v.split for v in own if not v.label) == {"train": 16, "val": 2, "test": 2}
        assert Counter(v.split for v in own if v.label) == {"train": 64, "val": 8, "test": 8}
    assert all(len(splits) == 1 for splits in splits_by(videos, "group"))


def test_a_dfdc_part_is_split_alike_alone_and_among_others(tmp_path: Path) -> None:
    root = trees.dfdc(tmp_path)
    thesis = SplitSettings(dfdc="thesis")
    together = {v.path: v.split for v in assigned(root, thesis)}
    alone = {v.path: v.split for v in assigned(root / "dfdc_train_part_2", thesis)}
    assert alone == {path: split for path, split in together.items() if "part_2" in path}
    by_part = [
        [s for p, s in together.items() if f"part_{i}" in p and Path(p).stem[1] == "r"] for i in range(3)
    ]
    assert by_part[0] != by_part[1] or by_part[1] != by_part[2]  # parts don't all draw the same


def test_dfdc_holds_out_whole_parts(tmp_path: Path) -> None:
    videos, notes = assign(list_videos(trees.dfdc(tmp_path, parts=8, originals=2)).videos, SplitSettings())[
        :2
    ]
    splits = {part: {v.split for v in videos if f"part_{part}/" in v.path} for part in range(8)}
    assert all(len(each) == 1 for each in splits.values())
    held = {
        split: [f"dfdc_train_part_{p}" for p, each in splits.items() if each == {split}] for split in USED
    }
    assert [len(held[split]) for split in ("train", "val", "test")] == [6, 1, 1]
    assert notes == [
        f"DFDC splits: whole parts held out, {held['val'][0]} for val and {held['test'][0]} for test"
    ]
    fewer = assigned(tmp_path, SplitSettings())
    assert [v.split for v in fewer] == [v.split for v in videos]


def test_few_dfdc_parts_are_split_inside_and_that_is_said(tmp_path: Path) -> None:
    root = trees.dfdc(tmp_path, parts=2)
    videos, notes = assign(list_videos(root).videos, SplitSettings())[:2]
    assert [v.split for v in videos] == [v.split for v in assigned(root, SplitSettings(dfdc="thesis"))]
    assert notes[-1].startswith("DFDC splits: only 2 parts, too few to hold any out, so the thesis's rule")


def test_celebdf_keeps_the_official_test_and_draws_the_rest_by_person(tmp_path: Path) -> None:
    root = trees.celebdf(tmp_path, celebrities=59)
    videos, notes = assign(list_videos(root).videos, SplitSettings())[:2]
    assert sum(v.split == "test" for v in videos) == 4
    drawn = people_by_split([v for v in videos if v.split != "test"])
    assert not drawn["train"] & drawn["val"]
    celebrities = {s: {p for p in drawn[s] if p.startswith("id")} for s in ("train", "val")}
    assert len(celebrities["val"]) == 8  # 0.14 of 59
    assert all(v.label for v in videos if v.split == "unused")
    assert notes[-1].endswith("results on it are not results on unseen people")
    assert (
        "2 of 4 people in the official test list" in notes[-1]
    )  # id0 and id1; the two strangers stand alone


def test_celebdf_without_the_list_is_drawn_whole(tmp_path: Path) -> None:
    root = trees.celebdf(tmp_path, celebrities=59)
    (root / "List_of_testing_videos.txt").unlink()
    people = people_by_split(assigned(root))
    assert people.keys() == USED | {"unused"}
    assert not people["train"] & people["val"] and not (people["train"] | people["val"]) & people["test"]


@pytest.mark.parametrize("build", [trees.dfd, trees.dfdc, trees.celebdf])
def test_seeds(tmp_path: Path, build: object) -> None:
    root = build(tmp_path)  # type: ignore[operator]
    draws = [[v.split for v in assigned(root, SplitSettings(seed=seed))] for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_without_any_rule_there_is_no_split(tmp_path: Path) -> None:
    root = trees.touch(tmp_path, ["real/a.mp4", "fake/b.mp4"])
    videos, notes = assign(list_videos(root).videos, SplitSettings())[:2]
    assert {v.split for v in videos} == {""} and notes[0].startswith("2 videos without a split")


def test_the_table_says_whose_test_videos_were_drawn_here(tmp_path: Path) -> None:
    def by(root: Path, splits: SplitSettings | None = None) -> dict[str, set[str]]:
        scan(root, root / "work", splits=splits)
        videos = read_scan(root / "work")
        tests = videos[videos["split"] == "test"]
        return {place: set(rows) for place, rows in tests.groupby(tests["video_id"].str[:4])["split_by"]}

    celebdf = trees.celebdf(tmp_path / "celebdf")
    assert by(celebdf) == {"Cele": {""}, "YouT": {""}}
    (celebdf / "List_of_testing_videos.txt").unlink()
    assert by(celebdf) == {"Cele": {"scan"}, "YouT": {"scan"}}
    assert by(trees.dfd(tmp_path / "dfd")) == {"orig": {"scan"}, "mani": {"scan"}}
    lists = trees.write_splits(tmp_path / "splits", trees.ffpp_pairs(10), (3, 1, 1))
    assert by(trees.ffpp(tmp_path / "ffpp"), SplitSettings(lists)) == {"orig": {"scan"}, "mani": {"scan"}}
    dfdc = trees.touch(trees.dfdc(tmp_path / "dfdc", parts=3), ["test/a.mp4", "test/b.mp4"])
    (dfdc / "test/labels.csv").write_text("filename,label\na.mp4,0\nb.mp4,1\n")
    assert by(dfdc) == {"dfdc": {"scan"}, "test": {""}}, "its test set's own split is its authors'"
