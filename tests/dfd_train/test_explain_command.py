"""The whole command on tiny runs: masks cut like crops, the same files by seed, the marker in all of them."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import av
import html5lib
import numpy as np
import pandas as pd
import prediction
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forked import Forked
from PIL import Image
from records import settings_text

from dfd_train.cli import main
from dfd_train.explain.figure import FAKE, _called
from dfd_train.explain.pictures import Picture, choose_videos, open_videos
from dfd_train.explain.tables import prediction_table
from dfd_train.report.svg import GREY
from ffpp_prep.format.prepared import load_prepared
from ffpp_prep.video import Encoder, open_output

FRAMES, WIDTH, HEIGHT = 20, 160, 120
MARK = "This is a demonstration model, not evidence."


def write_video(path: Path, rate: int) -> None:
    """A white rectangle that wanders over a black ground, without loss; a frame lasts 1 / rate."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_output(path) as container:
        encoder = Encoder(container, WIDTH, HEIGHT, rate, options={"qp": "0", "g": "8"})
        for number in range(FRAMES):
            image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            image[20 + 2 * number : 60 + 2 * number, 30 + 3 * number : 64 + 3 * number] = 255
            encoder.write(image)
        encoder.close()


@pytest.fixture(scope="module")
def work(small_set_writer, tmp_path_factory) -> Path:
    """Fakes whose picture is its own mask: white where "manipulated"; the mask's video counts time otherwise."""
    folder = tmp_path_factory.mktemp("explain")
    write_video(folder / "fake.mp4", rate=25)
    write_video(folder / "mask.mp4", rate=50)
    work = small_set_writer(
        folder / "work", length=FRAMES, demonstration=True, stored=lambda frame: False,
        edit=lambda table: table.assign(path=str(folder / "fake.mp4"), frames_decoded=FRAMES),
    ).work  # fmt: skip
    table = pq.read_table(work / "videos.parquet")
    masks = [str(folder / "mask.mp4") if label else None for label in table["label"].to_pylist()]
    pq.write_table(table.append_column("mask_path", pa.array(masks, pa.string())), work / "videos.parquet")
    with av.open(str(folder / "fake.mp4")) as container:
        pts = [frame.pts for frame in container.decode(video=0)]
    for part in sorted((work / "boxes").glob("videos-*.parquet")):
        videos = pd.read_parquet(part)
        pq.write_table(
            pa.Table.from_pandas(videos.assign(width=WIDTH, height=HEIGHT), preserve_index=False), part
        )
        write_boxes(part.with_name(part.name.replace("videos", "boxes")), videos["video_id"].tolist(), pts)
    return work


def write_boxes(path: Path, video_ids: list[str], pts: list[int]) -> None:
    """Boxes that wander over the frame's edges."""
    t = np.arange(FRAMES)
    left, top = -15 + 5.3 * t, -10 + 4.2 * t
    boxes = pd.DataFrame({"frame": t, "pts": pts, "face": 0, "x1": left, "y1": top})
    boxes = boxes.assign(x2=left + 61.7, y2=top + 70.2)
    table = pd.concat([boxes.assign(video_id=video_id) for video_id in video_ids])
    types = dict.fromkeys(("x1", "y1", "x2", "y2"), np.float32)
    pq.write_table(
        pa.Table.from_pandas(
            table.astype(types | {"frame": np.int32, "face": np.int8}), preserve_index=False
        ),
        path,
    )


@pytest.fixture(scope="module")
def runs(work) -> list[str]:
    """Two runs whose networks take inputs of different sizes."""
    found = []
    for name, seed, size in (("one", 0, "32"), ("two", 1, "48")):
        out = work.parent / name
        arguments = ["--model", "tiny_networks:with_batch_norm", "--input-size", size, "--batch-size", "6"]
        arguments += ["--epochs", "1", "--workers", "0", "--device", "cpu", "--seed", str(seed)]
        arguments += ["--set", "data.allow_leaks=true"]  # all of its videos are one file
        assert main(["run", "--data", str(work), "--out", str(out), *arguments]) == 0
        found.append(str(out))
    return found


def test_a_mask_is_cut_as_its_crop(work):
    prepared = load_prepared(work)
    fake = prepared.videos.index[prepared.videos["label"] == 1][0]
    video_id = prepared.videos.at[fake, "video_id"]
    for frame in range(FRAMES):
        (picture,) = open_videos(prepared, [video_id], frame)
        assert picture.mask.shape == picture.crop.shape[:2]
        assert np.array_equal(picture.mask, picture.crop.max(2) > 127), frame
    assert {
        open_videos(prepared, [video_id], frame)[0].mask.shape for frame in (0, 10)
    } != {picture.crop.shape[:2]}  # at the edge boxes are cut off  # fmt: skip


def test_a_real_face_has_no_mask_and_methods_take_turns(work, caplog):
    caplog.set_level("INFO")
    prepared = load_prepared(work)
    chosen = choose_videos(prepared, 1, seed=0)
    methods = [prepared.videos.at[prepared.row(video_id), "method"] for video_id in chosen]
    assert methods == ["Deepfakes", "NeuralTextures", "original_sequences"]
    assert {prepared.videos.at[prepared.row(video_id), "split"] for video_id in chosen} == {"test"}
    assert open_videos(prepared, chosen[-1:])[0].mask is None
    assert any(choose_videos(prepared, 1, seed=seed) != chosen for seed in range(1, 9))
    assert len(choose_videos(prepared, 9, seed=0)) == 6  # all that there are
    assert "no splits" not in caplog.text
    undivided = replace(prepared, videos=prepared.videos.assign(split=None))
    assert len(choose_videos(undivided, 9, seed=0)) == 21
    assert "has no splits: videos are drawn from all of it" in caplog.text


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def outputs(runs, work) -> dict[str, dict[str, bytes]]:
    found = {}
    for name, seed in (("first", "3"), ("again", "3"), ("other", "4")):
        out = work.parent / name
        command = ["explain", *runs, "--out", str(out), "--samples", "40", "--seed", seed, "--device", "cpu"]
        assert main([*command, "--method", "lime", "gradcam", "occlusion"]) == 0
        found[name] = contents(out)
    return found


def test_the_same_seed_writes_the_same_files(outputs):
    assert outputs["first"] == outputs["again"]
    assert outputs["first"]["lime-1.png"] != outputs["other"]["lime-1.png"]


def test_all_is_there_and_marked(outputs, work, tmp_path):
    files = outputs["first"]
    assert {"lime-1.png", "gradcam-1.png", "occlusion-1.png", "explain.html", "settings.json"} < set(files)
    for name, content in files.items():
        if name.endswith(".png"):
            (tmp_path / "figure.png").write_bytes(content)
            with Image.open(tmp_path / "figure.png") as figure:
                assert figure.text["Description"] == MARK
                assert np.asarray(figure.convert("RGB")).std() > 20
        else:
            assert MARK in content.decode(), name
    html5lib.HTMLParser(strict=True).parse(files["explain.html"].decode())
    settings = json.loads(files["settings.json"])
    assert (settings["samples"], settings["seed"]) == (40, 3)
    assert len(settings["runs"]) == 2 and len(settings["pictures"]) == 3
    predictions = pd.read_csv(work.parent / "first/tables/predictions.csv")
    assert predictions.columns.tolist() == ["Category", "Picture", "one", "two", "Note"]
    assert predictions[["one", "two"]].to_numpy().min() >= 0
    single = pd.read_csv(work.parent / "first/tables/explanations.csv")
    assert set(single["method"]) == {"Deepfakes", "NeuralTextures"}  # a real face has no mask
    assert set(single["model"]) == {"one", "two"}
    scores = pd.read_csv(work.parent / "first/tables/scores.csv")
    part = single[(single["model"] == "one") & (single["explanation"] == "lime")]
    row = scores[(scores["Model"] == "one") & (scores["Explanation"] == "LIME")].iloc[-1]
    assert row["Weight inside"] == pytest.approx(part["inside"].mean())
    assert row["Pictures"] == len(part)


def test_the_probabilities_are_those_of_the_runs(runs, work):
    """As `evaluate` has them, for the frames that it scores."""
    assert main(["evaluate", runs[0], "--split", "test", "--device", "cpu", "--workers", "0"]) == 0
    evaluated = pd.read_parquet(Path(runs[0]) / "predictions-test.parquet")
    row = evaluated.iloc[7]
    out = work.parent / "single"
    command = [
        "explain",
        runs[0],
        "--out",
        str(out),
        "--video",
        row["video_id"],
        "--frame",
        str(row["frame"]),
    ]
    assert main([*command, "--method", "gradcam", "--device", "cpu"]) == 0
    found = pd.read_csv(out / "tables/predictions.csv")["one"][0]
    assert found == pytest.approx(1 / (1 + np.exp(-row["logit"])), abs=1e-6)


def test_the_time_is_told_before(runs, work):
    """In a process of its own, as a person sees it: LIME also of random weights, and curves where there is a mask."""
    printed = work.parent / "printed"
    printed.touch()
    command = ["explain", *runs, "--out", str(work.parent / "told"), "--samples", "30", "--device", "cpu"]
    process = Forked(command, stdout=printed)
    said = process.communicate(600)[1].decode()
    assert process.returncode == 0, said
    assert "LIME of 3 pictures by 2 models: 804 passes through a network, about " in said
    assert "Explanations against manipulation masks" in printed.read_text() and MARK in printed.read_text()


def test_pictures_of_ones_own(runs, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8)).save(
        tmp_path / "me.png"
    )
    out = tmp_path / "out"
    command = ["explain", runs[0], "--crop", str(tmp_path / "me.png"), "--out", str(out)]
    assert main([*command, "--samples", "20", "--device", "cpu"]) == 0
    assert not (out / "tables/scores.csv").exists()
    assert pd.read_csv(out / "tables/predictions.csv")["Picture"].tolist() == ["me.png"]
    assert json.loads((out / "settings.json").read_text())["files"] == [str(tmp_path / "me.png")]
    # a second command leaves nothing of the first; what it did not write stays
    (out / "notes.txt").write_text("mine")
    command[command.index("--crop") + 1] = str(Path(tmp_path / "me.png").rename(tmp_path / "you.png"))
    assert main([*command, "--method", "gradcam", "--device", "cpu"]) == 0
    assert {path.name for path in out.glob("*.*")} == {
        "gradcam-1.png",
        "explain.html",
        "settings.json",
        "notes.txt",
    }


def test_a_file_without_a_face_is_left_out(runs, tmp_path, caplog):
    face, noise = tmp_path / "face.png", tmp_path / "noise.png"
    Image.fromarray(prediction.faces(1)[0]).save(face)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8)).save(noise)
    command = ["explain", runs[0], "--out", str(tmp_path / "out"), "--method", "gradcam", "--device", "cpu"]
    assert main([*command, "--image", str(noise), str(face)]) == 1
    assert "left out: noise.png: no face found in the image" in caplog.text
    assert pd.read_csv(tmp_path / "out/tables/predictions.csv")["Picture"].tolist() == ["face.png"]


def test_an_unfinished_run_is_named(runs, tmp_path, caplog):
    early = tmp_path / "early"
    shutil.copytree(runs[0], early)
    config = settings_text(early)
    (early / "config.toml").write_text(config.replace("epochs = 1\n", "epochs = 8\n"))
    command = [
        "explain",
        str(early),
        "--out",
        str(tmp_path / "out"),
        "--method",
        "gradcam",
        "--device",
        "cpu",
    ]
    assert main(command) == 0
    assert "unfinished: early: stopped at epoch 1 of 8" in caplog.text
    assert "Unfinished: early: stopped at epoch 1 of 8." in (tmp_path / "out/explain.html").read_text()


@pytest.mark.parametrize(("warning", "called"), [("", ("fake 51.2 %", FAKE)), (MARK, ("score 51 %", GREY))])
def test_a_demonstration_calls_nothing_fake(warning, called):
    assert _called(0.512, warning) == called
    (row,) = prediction_table(
        [Picture("a.png", np.zeros((9, 9, 3), np.uint8))], ["m"], [[0.512]], warning
    ).rows
    assert row[2].text == ("51.20%" if warning else "51.20% fake")


def test_the_face_of_a_photo_and_of_a_video_are_those_of_predict(runs, tmp_path):
    photo, clip = tmp_path / "photo.png", tmp_path / "clip.mp4"
    Image.fromarray(prediction.faces(1)[0]).save(photo)
    prediction.encode(clip, prediction.faces(30))
    files = [str(photo), str(clip)]
    assert main(["predict", runs[0], *files, "--out", str(tmp_path / "scored"), "--no-video"]) == 0
    command = ["explain", runs[0], "--image", *files, "--out", str(tmp_path / "out"), "--method", "gradcam"]
    assert main([*command, "--device", "cpu"]) == 0
    found = pd.read_csv(tmp_path / "out/tables/predictions.csv")
    frames = [pd.read_csv(tmp_path / "scored" / name / "frames.csv") for name in ("photo.png", "clip.mp4")]
    best = frames[1].loc[frames[1]["logit"].idxmax()]
    assert found["Picture"].tolist() == ["photo.png", f"clip.mp4, frame {best['frame']:.0f}"]
    logits = np.array([frames[0]["logit"][0], best["logit"]])
    assert found["one"].to_numpy() == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-4)


def test_mistakes(runs, small_set_writer, tmp_path, capsys):
    untested = small_set_writer(tmp_path / "untested", edit=lambda table: table.assign(split="train")).work
    (tmp_path / "text.png").write_text("no picture")
    # with an EPS file Pillow would start Ghostscript
    (tmp_path / "eps.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n%%EndComments\nshowpage\n"
    )
    Image.new("RGB", (40, 40)).save(tmp_path / "broken.png")
    content = (tmp_path / "broken.png").read_bytes()
    place = content.index(b"IDAT")
    (tmp_path / "broken.png").write_bytes(content[: place - 4] + b"\0\0\0\3" + content[place:])
    out = ["--out", str(tmp_path / "out")]
    for arguments, message in (
        ([runs[0], runs[0], *out], "one stands twice among the runs: name each once"),
        ([str(tmp_path), *out], "is no run folder"),
        ([runs[0], *out, "--data", str(tmp_path / "none")], "another prepared set: --data WORK"),
        (
            [runs[0], *out, "--data", str(untested)],
            "no video is in split 'test'; name videos with --video ID, or your own picture with --image FILE",
        ),
        ([runs[0], *out, "--video", "none.mp4"], "has no video 'none.mp4'"),
        ([runs[0], *out, "--frame", "99"], "has no frame 99: it has 20, from 0"),
        ([runs[0], *out, "--crop", str(tmp_path / "text.png")], "text.png: no readable picture"),
        (
            [runs[0], *out, "--crop", str(tmp_path / "eps.png")],
            "eps.png: no readable picture: the content is no picture that is known here",
        ),
        (
            [runs[0], *out, "--crop", str(tmp_path / "broken.png")],
            "broken.png: the picture is damaged or cut off (broken PNG file",
        ),
        ([runs[0], *out, "--crop", str(tmp_path / "none.png")], "no such file"),
        ([runs[0], *out, "--image", str(tmp_path / "none.png")], "no such file"),
        ([runs[0], *out, "--image", str(tmp_path / "text.png")], "no readable picture"),
        (
            [runs[0], *out, "--image", str(tmp_path / "clip.mp4"), "--frame", "9"],
            "--frame is of a prepared data set's videos: not with --image or --crop",
        ),
        ([runs[0], *out, "--seed", "-1"], "seed -1, frame None: allowed are numbers from 0"),
    ):
        capsys.readouterr()
        assert main(["explain", *arguments]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_named(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)
    assert main(["explain", runs[0], "--out", str(tmp_path / "out")]) == 2
    assert "explain needs captum: pip install 'dfd-train[explain]'" in capsys.readouterr().err
