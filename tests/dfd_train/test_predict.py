"""`dfd-train predict` on real faces: scores recomputed by hand, every kind of file, every output."""

import csv
import json
import re
import shutil
from pathlib import Path

import av
import numpy as np
import pandas as pd
import PIL.Image
import prediction
import pytest
import torch
from records import settings_text
from torchvision.transforms.v2 import functional

from dfd_train.calibration.kept import read_calibration
from dfd_train.cli import main
from dfd_train.metrics.scores import sigmoid
from dfd_train.predict.drawing import colour, face_colour
from dfd_train.runs.checkpoint import load_model
from dfd_train.runs.folder import DEMONSTRATION
from ffpp_prep.format.geometry import cut, expanded_square


@pytest.fixture(scope="module")
def run(small_set, tmp_path_factory) -> Path:
    return prediction.train(small_set.work, tmp_path_factory.mktemp("runs") / "one")


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    """Two people, 60 frames of 480x288."""
    return prediction.two_people(tmp_path_factory.mktemp("clips") / "two.mp4")


@pytest.fixture(scope="module")
def predicted(run, two, tmp_path_factory) -> Path:
    """The outputs for the two people, in every frame."""
    out = tmp_path_factory.mktemp("predicted")
    assert main(["predict", str(run), str(two), "--out", str(out), "--score-every-frame"]) == 0
    return out / "two.mp4"


def result(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())


def scored(*arguments: object, status: int = 0) -> None:
    assert main(["predict", *map(str, arguments)]) == status


def test_two_people_have_a_number_each(run, predicted) -> None:
    found, frames = result(predicted), pd.read_csv(predicted / "frames.csv")
    calibration = read_calibration(run)
    assert found["status"] == "scored" and found["note"] == "" and "note" not in frames
    assert found["media"]["duration"] == pytest.approx(60 / 25)
    assert found["temperature"] == pytest.approx(calibration.score.scale.temperature)
    assert [face["face"] for face in found["faces"]] == [1, 2]
    assert len(frames) == 120 and (frames.groupby("face").size() == 60).all()
    # each stays on its side of the picture
    middle = (frames["x1"] + frames["x2"]) / 2
    assert frames["face"].groupby(middle > 240).nunique().tolist() == [1, 1]
    # every number again, from the logits
    assert calibration.score.over == "all frames" and calibration.score.scale.method == "temperature"
    temperature = calibration.score.scale.temperature
    assert frames["prob"].to_numpy() == pytest.approx(sigmoid(frames["logit"] / temperature))
    # the log odds of the mean of sigmoids, which is what evaluate ranks by, over the temperature
    mean = sigmoid(frames["logit"]).groupby(frames["face"]).mean()
    expected = sigmoid(np.log(mean / (1 - mean)) / temperature)
    assert [face["prob"] for face in found["faces"]] == pytest.approx(expected.tolist(), abs=1e-6)
    assert found["prob"] == pytest.approx(expected.max(), abs=1e-6)
    # nobody knows how often a model is wrong that was validated on two people
    assert found["verdict"] is None and found["threshold"] is None
    assert "to know how often it is wrong: 2 real and 2 faked" in found["reason"]
    stretch = found["stretch"]
    own = frames[
        (frames["face"] == stretch["face"])
        & frames["time_s"].between(stretch["start_s"] - 1e-3, stretch["end_s"] + 1e-3)
    ]
    assert len(own) == stretch["frames"] >= 4 and stretch["seconds"] == pytest.approx(
        (len(own) - 1) / 25, abs=1e-3
    )
    assert frames["time_s"].to_numpy() == pytest.approx(frames["frame"] / 25, abs=1e-3)


def test_faces_are_followed_between_two_looks_a_second(predicted) -> None:
    frames = pd.read_csv(predicted / "frames.csv")
    looked = sorted(frames.loc[~frames["followed"], "frame"].unique())
    assert looked == [0, 13, 25, 38, 50, 59]  # the first at or after each half second, and the last
    assert result(predicted)["media"]["frames_looked_at"] == 6
    # between two looks every side of a box is on a straight line
    face = frames[frames["face"] == 1].set_index("frame")
    for side in ("x1", "y1", "x2", "y2"):
        line = np.interp(range(60), looked, face.loc[looked, side])
        assert face[side].to_numpy() == pytest.approx(line, abs=0.02)


def test_a_logit_is_that_of_the_crop(run, tmp_path) -> None:
    picture = prediction.faces(1)[0]
    PIL.Image.fromarray(picture).save(tmp_path / "face.png")
    scored(run, tmp_path / "face.png", "--out", tmp_path / "out")
    (row,) = csv.DictReader((tmp_path / "out/face.png/frames.csv").open())
    # ffpp-prep's geometry, torchvision's resize and the network itself
    corners = [float(row[side]) for side in ("x1", "y1", "x2", "y2")]
    crop = cut(picture, expanded_square(*corners, 0.3))
    image = functional.resize(torch.from_numpy(crop).permute(2, 0, 1), [32, 32], antialias=True)
    with torch.inference_mode():
        expected = load_model(run, trust=prediction.TRUST).detector.network(
            (image.float()[None] / 255 - 0.5) / 0.5
        )
    assert float(row["logit"]) == pytest.approx(float(expected), abs=1e-5)


def test_phones_turn_their_pictures(run, tmp_path) -> None:
    pictures = prediction.faces(15)
    upright = prediction.encode(tmp_path / "upright.mp4", pictures, crf=10)
    turned = prediction.encode(tmp_path / "turned.mp4", [np.rot90(p) for p in pictures], crf=10)
    prediction.rotate_metadata(turned, 90)
    image = PIL.Image.fromarray(np.rot90(pictures[0]).copy())
    exif = image.getexif()
    exif[0x112] = 6  # to be turned clockwise
    image.save(tmp_path / "photo.jpg", exif=exif, quality=95)
    scored(run, upright, turned, tmp_path / "photo.jpg", "--out", tmp_path / "out")
    size = (pictures[0].shape[1], pictures[0].shape[0])
    tables = {}
    for name in ("upright.mp4", "turned.mp4", "photo.jpg"):
        media = result(tmp_path / "out" / name)["media"]
        assert (media["width"], media["height"]) == size
        tables[name] = pd.read_csv(tmp_path / "out" / name / "frames.csv")
    sides = ["x1", "y1", "x2", "y2"]
    expected = tables["upright.mp4"][sides]
    assert np.abs(tables["turned.mp4"][sides] - expected).max(axis=None) < 4
    assert np.abs(tables["photo.jpg"][sides].iloc[0] - expected.iloc[0]).max() < 4
    with av.open(str(tmp_path / "out/turned.mp4/annotated.mp4")) as video:
        assert (video.streams.video[0].width, video.streams.video[0].height) == size
        shown = next(video.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    # below its box the picture is the one that was filmed, upright
    below = int(expected["y2"].max()) + 8
    assert np.abs(shown[below:] - pictures[0][below:]).mean() < 12


def test_no_usable_face_is_an_answer(run, tmp_path, capsys) -> None:
    random = np.random.default_rng(0)
    noise = [random.integers(0, 255, (120, 160, 3), np.uint8) for _ in range(20)]
    prediction.encode(tmp_path / "in/noise.mp4", noise)
    small = prediction.faces(10)
    far = [np.tile(np.pad(p[::4, ::4], ((40, 40), (60, 60), (0, 0)), "edge"), (1, 2, 1)) for p in small]
    prediction.encode(tmp_path / "in/far.mp4", far, crf=5)
    scored(run, tmp_path / "in", "--out", tmp_path / "out")
    said = capsys.readouterr().out
    for name, reason in (
        ("noise.mp4", "no face found in 3 frames looked at"),
        ("far.mp4", "pixels wide, 40 are needed"),
    ):
        found = result(tmp_path / "out" / name)
        assert found["status"] == "no_usable_face"
        assert found["prob"] is None and found["verdict"] is None
        assert reason in found["reason"]
        page = (tmp_path / "out" / name / "report.html").read_text()
        assert "No usable face" in page and not re.search(r"\d(\s|&nbsp;)%", page.partition("</style>")[2])
        assert "The score says" not in page and "The file's score" not in page
        assert "taken over" not in page.lower() and "<dt>Scale" not in page
        assert not (tmp_path / "out" / name / "timeline.png").exists()
        assert "--every-frame" not in found["reason"]  # an option of the command line, not of serve
    assert page.count("Does not count: ") == 2  # of far.mp4, whose sentence on them comes later
    assert page.rindex("Does not count: ") < page.index(
        "2 faces found don&#39;t count; the reasons are above."
    )
    assert said.count("No usable face") == 2 and said.count("--every-frame looks at all frames") == 1


def test_a_passing_face_does_not_count(run, tmp_path) -> None:
    pictures = prediction.faces(100)
    for picture in pictures[6:]:
        picture[:] = 90
    prediction.encode(tmp_path / "blink.mp4", pictures)
    scored(run, tmp_path / "blink.mp4", "--out", tmp_path / "out")
    found = result(tmp_path / "out/blink.mp4")
    assert found["prob"] is None
    assert "scored in" in found["reason"] and "3 are needed" in found["reason"]


def test_a_file_that_ends_early_is_scored_as_far_as_it_goes(run, tmp_path) -> None:
    whole = prediction.encode(tmp_path / "w.ts", prediction.faces(60), options={"g": "10"})
    (tmp_path / "half.ts").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    scored(run, tmp_path / "half.ts", "--out", tmp_path / "out")
    found = result(tmp_path / "out/half.ts")
    assert found["status"] == "scored" and 15 < found["media"]["frames"] < 45


def test_a_damaged_file_is_told_from_a_sound_one(run, tmp_path, capsys) -> None:
    whole = prediction.encode(tmp_path / "whole.avi", prediction.faces(24))
    (tmp_path / "broken.avi").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    scored(run, whole, tmp_path / "broken.avi", "--out", tmp_path / "out", "--no-video")
    broken, sound = (result(tmp_path / "out" / name) for name in ("broken.avi", "whole.avi"))
    assert sound["damage"] == "" and "could be decoded" in broken["damage"]
    assert broken["prob"] is not None and "damaged" not in broken["reason"]
    page = (tmp_path / "out/broken.avi/report.html").read_text()
    assert "Only a part of the file was looked at: the container announces 24 frames" in page
    assert (tmp_path / "out/index.html").read_text().count("damaged: the container announces 24 frames") == 1


def test_a_single_frame_is_no_average_and_no_timeline(run, tmp_path) -> None:
    clip = prediction.encode(tmp_path / "clip.mp4", prediction.faces(1))
    scored(run, clip, "--out", tmp_path / "out", "--no-video")
    folder = tmp_path / "out/clip.mp4"
    found, page = result(folder), (folder / "report.html").read_text()
    assert "from a single frame of the face" in found["meaning"][0] and "averages" in found["meaning"][0]
    assert not (folder / "timeline.png").exists() and "<h2>When</h2>" not in page
    assert "1 frame<" in page and "at 0.0 s, 1 frame scored" in page


def test_an_unfinished_run_says_so(run, tmp_path, caplog) -> None:
    early, face = tmp_path / "early", tmp_path / "face.png"
    shutil.copytree(run, early)
    config = settings_text(early)
    (early / "config.toml").write_text(config.replace("epochs = 1\n", "epochs = 8\n"))
    PIL.Image.fromarray(prediction.faces(1)[0]).save(face)
    page = tmp_path / "out/face.png/report.html"
    sentence = "early (tiny_networks:with_batch_norm): stopped at epoch 1 of 8"
    scored(early, face, "--out", tmp_path / "out")
    assert f"unfinished: {sentence}" in caplog.text and sentence in page.read_text()
    # and no longer once it is, although its best epoch is the same
    (early / "config.toml").write_text(config)
    scored(early, face, "--out", tmp_path / "out")
    assert sentence not in page.read_text()


def test_sound_is_kept(run, tmp_path) -> None:
    pictures = prediction.faces(50)
    prediction.with_sound(tmp_path / "in/aac.mp4", pictures)
    prediction.with_sound(tmp_path / "in/mp3.mkv", pictures, codec="libmp3lame", rate=44_100)
    prediction.with_sound(tmp_path / "in/pcm.mov", pictures, codec="pcm_s16le", rate=44_100)
    scored(run, tmp_path / "in", "--out", tmp_path / "out")

    def packets(path: Path) -> list[tuple[float, bytes]]:
        """When, from the first picture, and what."""
        with av.open(str(path)) as file:
            first = next(file.decode(video=0)).time
        with av.open(str(path)) as file:
            return [
                (round(float(packet.pts * packet.time_base) - first, 3), bytes(packet))
                for packet in file.demux(audio=0)
                if packet.size
            ]

    for name, least in (("aac.mp4", 90), ("mp3.mkv", 74)):
        copied, own = packets(tmp_path / "out" / name / "annotated.mp4"), packets(tmp_path / "in" / name)
        assert len(own) - 1 <= len(copied) and len(copied) > least  # none that begins after the last picture
        for (at, data), (expected_at, expected) in zip(copied, own, strict=False):
            assert data == expected and at == pytest.approx(expected_at, abs=0.002)
    with av.open(str(tmp_path / "out/pcm.mov/annotated.mp4")) as file:
        assert [stream.codec_context.name for stream in file.streams] == ["h264", "aac"]
        tone = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
    assert len(tone) / 44_100 == pytest.approx(2.0, abs=0.06)
    loudest = np.abs(np.fft.rfft(tone[4096:-4096])).argmax() * 44_100 / (len(tone) - 8192)
    assert loudest == pytest.approx(440, abs=2)


def test_the_annotated_video_shows_the_boxes(predicted, two) -> None:
    frames = pd.read_csv(predicted / "frames.csv")
    with av.open(str(predicted / "annotated.mp4")) as video:
        shown = [frame.to_ndarray(format="rgb24").astype(int) for frame in video.decode(video=0)]
    original = [picture.astype(int) for picture in prediction.decode(two)]
    assert len(shown) == len(original) == 60
    for row in frames[frames["frame"].isin((0, 20, 45))].itertuples():
        changed = np.abs(shown[row.frame] - original[row.frame]).max(-1)
        x1, y1, x2, y2 = (round(value) for value in (row.x1, row.y1, row.x2, row.y2))
        inside = changed[y1 + 40 : y2 - 8, x1 + 8 : x2 - 8]
        for side in (changed[y1 + 40 : y2, x1 : x1 + 2], changed[y2 - 1 : y2 + 1, x1:x2]):
            assert np.median(side) > 4 * np.median(inside)


def test_a_demonstration_says_so_everywhere_and_gives_no_verdict(
    small_set_writer, two, tmp_path, capsys
) -> None:
    work = small_set_writer(tmp_path / "work", demonstration=True).work
    run = prediction.train(work, tmp_path / "run")
    PIL.Image.fromarray(prediction.faces(1)[0]).save(tmp_path / "face.png")
    capsys.readouterr()
    scored(run, two, tmp_path / "face.png", "--out", tmp_path / "out")
    said = capsys.readouterr().out
    assert DEMONSTRATION in said and "Looks" not in said
    for name in ("two.mp4", "face.png"):
        assert f"{name}: A demonstration, no verdict." in said
    for name in ("two.mp4", "face.png"):
        folder = tmp_path / "out" / name
        found = result(folder)
        assert found["note"] == DEMONSTRATION and found["verdict"] is None and found["prob"] is not None
        assert set(pd.read_csv(folder / "frames.csv")["note"]) == {DEMONSTRATION}
        page = (folder / "report.html").read_text()
        assert DEMONSTRATION.capitalize() in page and "Looks like" not in page
        assert "alled fake above" not in page and "were set on" not in page  # of a verdict that isn't given
    with av.open(str(tmp_path / "out/two.mp4/annotated.mp4")) as video:
        assert video.metadata["comment"] == DEMONSTRATION
        foot = next(video.decode(video=0)).to_ndarray(format="rgb24")[-4:, :60]
    assert np.abs(foot.astype(int) - (58, 43, 12)).max() < 25  # the plate of the note
    for picture in ("two.mp4/timeline.png", "face.png/annotated.png"):
        assert PIL.Image.open(tmp_path / "out" / picture).info["Comment"] == DEMONSTRATION
    assert DEMONSTRATION in (tmp_path / "out/summary.csv").read_text()
    assert DEMONSTRATION.capitalize() in (tmp_path / "out/index.html").read_text()


def test_every_frame_is_looked_at_where_asked_for(run, tmp_path) -> None:
    prediction.encode(tmp_path / "short.mp4", prediction.faces(8))
    scored(run, tmp_path / "short.mp4", "--out", tmp_path / "out", "--every-frame", "--no-video")
    folder = tmp_path / "out/short.mp4"
    frames = pd.read_csv(folder / "frames.csv")
    assert frames["frame"].tolist() == list(range(8)) and not frames["followed"].any()
    assert result(folder)["media"]["frames_looked_at"] == 8
    assert not (folder / "annotated.mp4").exists()


def test_pages_are_whole_by_themselves(predicted) -> None:
    page = (predicted / "report.html").read_text()
    for attribute in ("src=", "href="):
        for part in page.split(attribute)[1:]:
            assert part.startswith(('"data:', '"result.json"', '"frames.csv"')), part[:60]
    assert "What the number means, and what it doesn" in page
    # a face's dot has the colour of its line in the timeline, its score that of its box in the video
    for face in result(predicted)["faces"]:
        ink = colour(face["face"], face["prob"], result(predicted)["threshold"])
        card = page.partition(f'<h3><span class="dot" style="background: {face_colour(face["face"])}">')[2]
        assert f'<em style="border-color: {ink}">' in card.partition("</h3>")[0]
    assert "fake videos that did not train it" in page and "<dt>Called fake above</dt>" in page
    assert "\N{NO-BREAK SPACE}%" in page and not re.search(r"\d %", page)  # no line ends between the two
    assert page.count("60 frames scored, 8 of 60 shown") == 2


def test_without_validation_no_verdict(run, tmp_path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(run, bare)
    for name in ("calibration.json", "predictions-val.parquet"):
        (bare / name).unlink()
    prediction.lose_data(bare)
    PIL.Image.fromarray(prediction.faces(1)[0]).save(tmp_path / "face.png")
    scored(bare, tmp_path / "face.png", "--out", tmp_path / "out")
    found = result(tmp_path / "out/face.png")
    assert found["verdict"] is None and found["threshold"] is None and found["prob"] is not None
    assert "not known how often this model is wrong" in found["reason"]
    assert "never checked" in found["meaning"][0]
