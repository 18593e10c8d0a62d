"""Exports, read back by what they are for: webdataset, datasets, torchvision's and DeepfakeBench's rules."""

import json
import os
import shutil
import signal
import tarfile
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clips import one_process
from folders import folders_in
from test_pictures import frames, picture, png, write

from ffpp_prep.cli import main
from ffpp_prep.errors import UserError
from ffpp_prep.exports import export_crops
from ffpp_prep.exports.make import MANIFEST
from ffpp_prep.format.prepared import PreparedSet, load_prepared
from ffpp_prep.format.tables import write_table
from ffpp_prep.settings import BoxSettings, CropSettings, ExportSettings
from ffpp_prep.stages import detect_boxes, extract_faces, scan

TABLE = """path,label,method,split,original_id,dataset,compression
r/a,0,,train,,ffpp,c23
r/b,0,,test,,ffpp,c23
f/a,1,Deepfakes,train,r/a,ffpp,c23
f/../f/weird name.ü,1,=swap/it,test,r/b,ffpp,c23
p.png,1,Other,val,,mine,
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops of 48 pixels: two originals and two fakes of FaceForensics++, one picture of another set."""
    root = tmp_path_factory.mktemp("export")
    for number, folder in enumerate(("r/a", "r/b", "f/a", "f/weird name.ü")):
        frames(root / "set" / folder, range(10 * number, 10 * number + 3))
    write(root / "set/p.png", png(picture(77)))
    (root / "set/list.csv").write_text(TABLE, encoding="utf-8")
    scan(root / "set/list.csv", root / "work")
    with one_process():
        detect_boxes(root / "work", BoxSettings(faces="as-is"))
        extract_faces(root / "work", CropSettings())
    return root / "work"


def crops(work: Path) -> dict[tuple[str, int], np.ndarray]:
    prepared = load_prepared(work)
    return {
        (prepared.videos.at[row, "video_id"], frame): prepared.read_crop_at(row, frame)
        for row in range(len(prepared.videos))
        for frame in range(prepared.length(row))
    }


def test_webdataset_reads_the_tars(work: Path, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    summary = export_crops(work, tmp_path / "out", ExportSettings(to="webdataset", shard=4))
    assert (summary.crops, summary.videos, summary.pieces) == (13, 5, 5)
    assert f"glob.glob('{tmp_path / 'out'}/train-*.tar')" in summary.notes[0]
    tars = sorted(map(str, (tmp_path / "out").glob("*.tar")))
    assert [Path(tar).name for tar in tars] == [
        *("test-000000.tar", "test-000001.tar", "train-000000.tar", "train-000001.tar", "val-000000.tar"),
    ]
    samples = list(webdataset.WebDataset(tars, shardshuffle=False).decode("rgb8"))
    wanted = crops(work)
    assert len({sample["__key__"] for sample in samples}) == len(samples) == len(wanted)
    for sample in samples:
        known = sample["json"]
        assert np.array_equal(sample["png"], wanted.pop((known["video_id"], known["frame"])))
        assert sample["cls"] == known["label"] == int(not known["video_id"].startswith("r/"))
    assert not wanted
    order = [(s["json"]["video_id"], s["json"]["frame"]) for s in samples if s["json"]["split"] == "train"]
    assert order != sorted(order)  # neighbours are of different videos


def test_datasets_loads_the_parquet_files(work: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    datasets = pytest.importorskip("datasets")
    export_crops(work, tmp_path / "out", ExportSettings(to="hf", shard=4))
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {"train": 6, "validation": 1, "test": 6}
    assert loaded["train"].features["label"].names == ["real", "fake"]
    wanted = crops(work)
    for split in loaded.values():
        for row in split:
            assert np.array_equal(np.asarray(row["image"]), wanted.pop((row["video_id"], row["frame"])))
            assert row["label"] == int(not row["video_id"].startswith("r/"))
    assert not wanted
    assert "licence" in (tmp_path / "out/README.md").read_text()


def test_a_folder_is_read_by_torchvisions_rule_and_by_scan(work: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_crops(work, out, ExportSettings(to="folder"))
    rows = (out / "crops.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "file,label,frame,score,video_id,method,split" and len(rows) == 14
    assert all("'=swap/it" in row for row in rows if "weird" in row)  # no formula for a spreadsheet
    assert {path.name for path in (out / "test/fake").iterdir()} == {"swap_it"}
    assert {path.name for path in (out / "train").iterdir()} == {"real", "fake"}  # ImageFolder's classes
    wanted = crops(work)
    for row in rows[1:]:
        file, _, frame, _, video_id = row.split(",")[:5]
        assert np.array_equal(np.asarray(PIL.Image.open(out / file)), wanted.pop((video_id, int(frame))))
    assert not wanted
    scan(out, tmp_path / "again")
    labels = load_prepared(tmp_path / "again").videos[["split", "label"]]
    assert sorted(map(tuple, labels.to_numpy().tolist())) == [
        *(("test", 0), ("test", 1), ("train", 0), ("train", 1), ("val", 1)),
    ]


def deepfakebench(out: Path, name: str, mode: str, label_dict: dict[str, int]) -> list[tuple[Path, int]]:
    """Pictures and labels by the rules of DeepfakeBench's loader."""
    content = json.loads((out / "dataset_json" / f"{name}.json").read_text())
    found = []
    for label in content[name]:
        videos = content[name][label][mode]
        if name == "FaceForensics++":
            videos = videos["c23"]
        for video in videos.values():
            ordered = sorted(video["frames"], key=lambda frame: int(frame.split("/")[-1].split(".")[0]))
            found += [(out / "rgb" / frame, label_dict[video["label"]]) for frame in ordered]
    return found


def test_deepfakebench_finds_frames_labels_and_landmarks(work: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = export_crops(work, out, ExportSettings(to="deepfakebench"))
    assert "mine_Fake: 1" in summary.notes[1]
    labels = {"FF-real": 0, "FF-DF": 1, "FF-=swap/it": 1, "mine_Fake": 1}
    found = {mode: deepfakebench(out, "FaceForensics++", mode, labels) for mode in ("train", "val", "test")}
    assert {mode: [label for _, label in found[mode]] for mode in found} == {
        "train": [1] * 3 + [0] * 3, "val": [], "test": [1] * 3 + [0] * 3,
    }  # fmt: skip
    pictures = [np.asarray(PIL.Image.open(path)) for path, _ in found["train"]]
    wanted = crops(work)
    for one, key in zip(pictures, [(v, n) for v in ("f/a", "r/a") for n in range(3)], strict=True):
        assert np.array_equal(one, wanted[key])
    assert all(str(path).count("frames") == 1 for path, _ in found["train"])
    assert len(deepfakebench(out, "mine", "val", labels)) == 1


@pytest.mark.usefixtures("one_process")
def test_landmarks_lie_on_the_face_in_the_crop(tmp_path: Path) -> None:
    """Eyes above the mouth, the template where it was aligned, and darkness at the pupil."""
    import skimage

    from ffpp_prep.format.points import five_points
    from ffpp_prep.stages import find_landmarks

    astronaut = (Path(skimage.__file__).parent / "data/astronaut.png").read_bytes()
    write(tmp_path / "set/real/astronaut.png", astronaut)
    work = tmp_path / "work"
    scan(tmp_path / "set", work)
    detect_boxes(work, BoxSettings(detector="blazeface"))
    find_landmarks(work)
    for name, settings in (
        ("square", CropSettings(size=200)),
        ("aligned", CropSettings(align="deepfakebench")),
    ):
        shutil.rmtree(work / "faces", ignore_errors=True)
        extract_faces(work, settings)
        export_crops(work, tmp_path / name, ExportSettings(to="deepfakebench"))
        (points,) = (np.load(path) for path in (tmp_path / name).rglob("*.npy"))
        (crop,) = (np.asarray(PIL.Image.open(path)) for path in (tmp_path / name / "rgb").rglob("*.png"))
        assert points.shape == (468, 2)
        right_eye, left_eye, nose, right_mouth, _ = five_points(points)
        assert right_eye[0] < nose[0] < left_eye[0] and right_eye[1] < nose[1] < right_mouth[1]
        if name == "aligned":
            template = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366]]) / 112
            expected = (template + 0.15) * 256 / 1.3
            assert np.abs(np.stack([right_eye, left_eye, nose]) - expected).max() < 12
        pupil = crop[
            int(right_eye[1]) - 2 : int(right_eye[1]) + 3, int(right_eye[0]) - 2 : int(right_eye[0]) + 3
        ]
        cheek_y = int((right_eye[1] + right_mouth[1]) / 2)
        cheek = crop[cheek_y - 2 : cheek_y + 3, int(right_eye[0]) - 2 : int(right_eye[0]) + 3]
        assert pupil.mean() < cheek.mean() - 20  # an eye is darker than the cheek below it


def test_it_goes_on_where_it_was_interrupted_and_refuses_another(work: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = ExportSettings(to="webdataset", shard=4)
    export_crops(work, out, settings)
    before = {path.name: path.read_bytes() for path in out.glob("*.tar")}
    (out / "train-000001.tar").unlink()
    (out / ".tmp-01234567-train-000001.tar").write_bytes(b"half")
    summary = export_crops(work, out, settings, jobs=2)
    assert (summary.pieces, summary.written) == (5, 1)
    assert {path.name: path.read_bytes() for path in out.glob("*.tar")} == before
    assert not list(out.glob(".tmp-*"))
    with pytest.raises(UserError, match="holds another export"):
        export_crops(work, out, ExportSettings(to="webdataset", shard=5))
    with pytest.raises(UserError, match="is not empty and holds no export"):
        export_crops(work, tmp_path, settings)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("to", ["webdataset", "hf", "folder", "deepfakebench"])
def test_killed_in_the_middle_of_a_file_it_goes_on_to_the_same_bytes(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    settings = ExportSettings(to=to, shard=4)
    export_crops(work, tmp_path / "whole", settings)
    for reads in (2, 5):  # with SIGKILL, once in the first file and once behind it
        child = os.fork()
        if not child:
            _killed_after(reads, monkeypatch)
            export_crops(work, tmp_path / "out", settings)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        assert list((tmp_path / "out").rglob(".tmp-*"))
        assert json.loads((tmp_path / "out" / MANIFEST).read_bytes())["crops"] is None
    summary = export_crops(work, tmp_path / "out", settings)
    assert summary.written < summary.pieces
    assert written(tmp_path / "out") == written(tmp_path / "whole")


def _killed_after(reads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    left = iter(range(reads))
    read = PreparedSet.read_crop_at

    def killed(self: PreparedSet, row: int, frame: int) -> np.ndarray:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(self, row, frame)

    monkeypatch.setattr(PreparedSet, "read_crop_at", killed)


def written(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.*") if path.is_file()}


def test_several_processes_write_the_same_bytes(work: Path, tmp_path: Path) -> None:
    for jobs in (1, 2):
        export_crops(work, tmp_path / str(jobs), ExportSettings(to="webdataset", shard=4), jobs)
    assert written(tmp_path / "1") == written(tmp_path / "2")


def test_no_export_names_a_folder_of_this_machine(work: Path, tmp_path: Path) -> None:
    for to in ("folder", "webdataset", "deepfakebench", "hf"):
        export_crops(work, tmp_path / to, ExportSettings(to=to))
        written = [path for path in (tmp_path / to).rglob("*") if path.is_file()]
        assert len(written) > 3
        for path in written:
            assert folders_in(path.read_bytes(), tmp_path, work.parent) == [], path
            if path.suffix == ".parquet":  # compressed
                table = pq.read_table(path)
                told = f"{table.schema.metadata} {table.drop_columns(['image']).to_pylist()}".encode()
                assert folders_in(told, tmp_path, work.parent) == [], path


def test_the_command(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["export", str(work), "--to", "webdataset", "--split", "train", "--frames", "1", "-j", "1"]
    assert main([*arguments, "-o", str(out)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"export: 2 crops of 2 videos -> {out}"
    with tarfile.open(out / "train-000000.tar") as tar:
        assert len(tar.getnames()) == 6
    with pytest.raises(SystemExit, match="2"):
        main(["export", str(work), "--to", "tfrecord", "-o", str(out)])
    assert "'tfrecord'" in capsys.readouterr().err
    empty = tmp_path / "empty"
    scan(write(tmp_path / "s/real/a.mp4", b"x").parents[1], empty)
    assert main(["export", str(empty), "-o", str(tmp_path / "o")]) == 2
    assert "has no crops; run  ffpp-prep extract" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("to", ["folder", "webdataset", "hf", "deepfakebench"])
def test_a_split_of_a_table_from_elsewhere_leads_nowhere(work: Path, tmp_path: Path, to: str) -> None:
    """Its name becomes that of files; nothing is written beside the export."""
    copy = shutil.copytree(work, tmp_path / "work")
    table = pq.read_table(copy / "videos.parquet")
    names = [str(tmp_path / "absolute"), "../../up", "..", "a/b", "nul\0"]
    at = table.schema.get_field_index("split")
    write_table(table.set_column(at, "split", pa.array(names[: len(table)])), copy / "videos.parquet")
    out = tmp_path / "inside" / "out"
    assert export_crops(copy, out, ExportSettings(to=to)).crops == 13
    assert {path.name for path in tmp_path.iterdir()} == {"work", "inside"}
    assert [path.name for path in (tmp_path / "inside").iterdir()] == ["out"]
