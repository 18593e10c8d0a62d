"""Which detector finds the faces of a file, and what is said about it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import PIL.Image
import prediction
import pytest

from dfd_train.cli import main
from dfd_train.errors import UserError
from dfd_train.predict.finder import FaceFinder, detector_of
from dfd_train.runs.trained_on import run_detector
from ffpp_prep.format.prepared import load_prepared


@dataclass(frozen=True)
class Model:
    name: str
    detector: str


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from reseption_models import create_model, save_pretrained

    path = tmp_path_factory.mktemp("weights") / "model"
    save_pretrained(create_model("reseption_v1", input_size=75, width_multiplier=0.125), path)
    return path


def answer(weights: Path, out: Path, *arguments: object) -> tuple[dict, str]:
    main(["predict", str(weights), *map(str, arguments), "--out", str(out), "--device", "cpu"])
    folder = next(path for path in out.iterdir() if path.is_dir())
    return json.loads((folder / "result.json").read_text()), (folder / "report.html").read_text()


def test_where_the_ssd_finds_nothing_another_looks_once_more(weights: Path, tmp_path: Path) -> None:
    """Frame 60 of the talking head: 0.38 with the SSD, 0.66 with BlazeFace; a face of 55 pixels."""
    PIL.Image.fromarray(prediction.decode(prediction.talking_head())[60]).save(tmp_path / "head.png")
    result, page = answer(weights, tmp_path / "out", tmp_path / "head.png")
    assert result["status"] == "scored" and len(result["faces"]) == 1
    assert result["media"]["detector"] == "blazeface" and result["media"]["second_look"] is True
    assert "BlazeFace at a second look" in page
    result, page = answer(weights, tmp_path / "low", tmp_path / "head.png", "--threshold", "0.3")
    assert (result["media"]["detector"], result["media"]["second_look"]) == ("ssd", False)
    assert (
        result["media"]["threshold"] == 0.3
        and "SSD MobileNet, where it was more than 0.3 sure of one" in page
    )
    result, _ = answer(weights, tmp_path / "asked", tmp_path / "head.png", "--detector", "blazeface")
    assert (result["media"]["detector"], result["media"]["second_look"]) == ("blazeface", False)


def test_small_faces_of_a_large_picture_are_found_in_tiles(weights: Path, tmp_path: Path) -> None:
    """One head on a grey wall of 1920x1080, whose face is 64 pixels high."""
    head = PIL.Image.fromarray(prediction.decode(prediction.talking_head())[0])
    wall = PIL.Image.new("RGB", (1920, 1080), (120, 120, 120))
    wall.paste(head.resize((round(head.width * 64 / 54), round(head.height * 64 / 54))), (1300, 700))
    wall.save(tmp_path / "group.png")
    asked = (tmp_path / "group.png", "--detector", "blazeface")
    result, _ = answer(weights, tmp_path / "out", *asked)
    assert result["status"] == "no_usable_face" and result["evidence"]["settings"]["detector_tiles"] is None
    # the answer that is there has other settings
    result, page = answer(weights, tmp_path / "out", *asked, "--tiles", "3")
    assert len(result["faces"]) == 1
    assert result["evidence"]["settings"]["detector_tiles"] == 3 and "3×3 tiles" in page
    again = ("verify-report", tmp_path / "out" / "group.png", "--file", asked[0], "--again", weights)
    assert main([*map(str, again)]) == 0


def test_where_nobody_finds_a_face_the_first_look_is_told(weights: Path, tmp_path: Path) -> None:
    PIL.Image.new("RGB", (320, 240), (90, 120, 60)).save(tmp_path / "green.png")
    result, _ = answer(weights, tmp_path / "out", tmp_path / "green.png")
    assert result["status"] == "no_usable_face" and result["media"]["detector"] == "ssd"
    assert "a face needs 0.45" in result["reason"]


def test_a_run_is_asked_for_the_detector_of_its_data(small_set, tmp_path: Path) -> None:
    assert load_prepared(small_set.work).detector == "ssd"
    (tmp_path / "data.json").write_text("{}")
    assert run_detector(tmp_path) == "ssd" == run_detector(tmp_path / "nowhere")
    (tmp_path / "data.json").write_text('{"detector": "blazeface"}')
    assert run_detector(tmp_path) == "blazeface"
    assert detector_of([Model("a", "blazeface"), Model("b", "blazeface")]) == "blazeface"
    with pytest.raises(UserError, match=r"a by ssd, b by blazeface\): choose one, --detector NAME"):
        detector_of([Model("a", "ssd"), Model("b", "blazeface")])


def test_wrong_values_are_refused_in_one_line() -> None:
    with pytest.raises(UserError, match=r"--threshold 1.5: must be from 0 to less than 1"):
        FaceFinder(threshold=1.5)
    with pytest.raises(UserError, match="--detector mtcnn: unknown; allowed are ssd, blazeface"):
        FaceFinder("mtcnn")
