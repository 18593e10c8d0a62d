"""Verdicts: none for what is no human face, none between the limits, and of a partly faked film the seconds."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import PIL.Image
import PIL.ImageDraw
import prediction
import pytest
from scipy.spatial.transform import Rotation
from test_predict_shots import bluish, learned

from dfd_train.calibration.learned import Calibration
from dfd_train.predict import face_checks
from dfd_train.predict.analysis import COLUMNS, Analysis, Media, Seconds, analyse
from dfd_train.predict.ensemble import read_together
from dfd_train.predict.faces import FaceFinder, FoundFace, Rates
from dfd_train.predict.facts import facts_of_answer
from dfd_train.predict.inputs import Input
from dfd_train.predict.movement import FEWEST_LOOKS, SURE, Movement
from dfd_train.predict.page import answer
from dfd_train.predict.result import Result, judge, standing_out
from dfd_train.predict.shading import flatness
from dfd_train.predict.thumbs import Thumbs


def analysis(
    *faces: np.ndarray,
    confidence: float = 0.98,
    human: float = 0.8,
    movement: float = 0.04,
    flatness: float = 0.2,
) -> Analysis:
    """Of a film with faces of these logits, two a second, one face after the other."""
    rows, time = [], 0.0
    for track, logits in enumerate(faces):
        for logit in logits:
            seen = (confidence, 0, 0, 90, 90, False, human)
            rows.append((round(time * 25), time, track, *seen, logit, logit))
            time += 0.5
    table = pd.DataFrame(rows, columns=[*COLUMNS, "logit", "logit_0"]).assign(
        movement=movement, flatness=flatness
    )
    media = Media(
        "video", 320, 240, 25.0, time, round(time * 25), len(rows), len(rows), frames_chosen=len(rows)
    )
    return Analysis(media, table, 0.98, "", Seconds(0, 0, 0, 0), Thumbs())


def judged(found: Analysis, people: int = 400, gap: float = 8.0, demonstration: bool = False) -> Result:
    reading = replace(read_together([bluish(learned(people, gap))]), demonstration=demonstration)
    return judge(Input(Path("film.mp4"), "film.mp4"), found, reading, "")


def test_scores_that_are_clear_are_called() -> None:
    assert judged(analysis(np.full(12, 4.5))).verdict == "fake"
    assert judged(analysis(np.full(12, -4.5))).verdict == "real"


def test_between_the_limits_nothing_is_decided() -> None:
    found = judged(analysis(np.full(12, 0.1)), gap=1.0)
    assert found.verdict == "undecidable" and "wrong too often" in found.reason
    assert found.real_below < found.prob < found.threshold
    assert answer(found).tone == "none" and answer(found).headline == "Undecidable for this model"


def test_many_faces_raise_the_bar() -> None:
    one, many = (judged(analysis(*[np.full(12, 1.0)] * faces), gap=2.0) for faces in (1, 15))
    assert (one.looks, many.looks) == (1, 15)
    assert many.threshold > one.threshold + 0.01 and many.real_below == one.real_below


def test_too_few_people_for_so_many_looks_is_said() -> None:
    found = judged(analysis(*[np.full(12, 4.5)] * 13), people=60)
    assert found.verdict == "undecidable" and found.threshold is None
    assert "the model must have been tested on 259 real people; there were 60" in found.reason


def test_one_face_is_not_called_one_faces() -> None:
    found = judged(analysis(np.full(12, 4.5)), people=18)
    assert found.verdict == "undecidable" and found.looks == 1
    assert (
        found.reason
        == "to call a file fake, the model must have been tested on 19 real people; there were 18"
    )


@pytest.mark.parametrize("gap", [0.0, -4.0])
def test_an_incompetent_model_says_nothing(gap) -> None:
    """Seen: validation AUC 0.47 and 0.08, and "Looks like a fake"."""
    found = judged(analysis(np.full(12, 9.0)), gap=gap)
    assert found.verdict is None and "told real from fake too badly" in found.reason
    said = answer(found)
    assert found.threshold is None and said.headline == "No verdict" and "erdict:" not in said.sentence


def test_a_partly_faked_film_is_told_by_its_seconds() -> None:
    """A minute of one face in one shot, three seconds of which are faked: the mean is near that of a real one."""
    logit = np.full(120, -4.0)
    logit[80:86] = 4.5
    found = judged(analysis(logit))
    assert found.stretch.suspicious and found.stretch.prob > 0.9
    assert (found.stretch.start_s, found.stretch.end_s) == (40.0, 42.5) and found.stretch.frames == 6
    assert found.verdict != "real"
    assert "Most suspicious part: from 40.0 s to 42.5 s (2.5 seconds, face 1)" in answer(found).sentence


def unchecked(found: Analysis) -> Result:
    """Of a model whose scale was never checked."""
    return judge(Input(Path("film.mp4"), "film.mp4"), found, read_together([bluish(None)]), "")


@pytest.mark.parametrize("logit", [4.0, 0.0, -4.0])
@pytest.mark.parametrize("kind", ["video", "image"])
def test_a_score_without_a_verdict_accuses_and_acquits_nobody(logit, kind) -> None:
    """Seen: "98 %, where 100 % is fake" in a card that only a low score's warning ever followed."""
    found = analysis(np.full(12 if kind == "video" else 1, logit))
    result = unchecked(replace(found, media=replace(found.media, kind=kind)))
    for said in (answer(result).sentence, result.meaning[0]):
        assert "A high score is no proof of a fake" in said
        assert "A low score does not show that a file is real" in said
    assert not result.looks  # without which the page draws no bar
    facts = dict(facts_of_answer(result, read_together([bluish(None)])))
    assert facts["From the model's numbers to percent"] == "as the network gives them"
    frames = result.faces[0].frames_scored
    over = f"the mean over all {frames} scored frames" if frames > 1 else "that of the only scored frame"
    assert facts["The score is"] == over


def test_nothing_stands_out_where_all_frames_score_alike() -> None:
    """Seen: "most suspicious" at a flat 2 %, and a whole clip shaded."""
    flat = unchecked(analysis(np.full(12, -4.0)))
    assert flat.stretch is not None and standing_out(flat) is None and "part" not in answer(flat).sentence
    low = unchecked(analysis(np.array([-6.0] * 6 + [-4.0] * 4)))
    assert standing_out(low) == low.stretch and "Most suspicious" not in answer(low).sentence
    assert "Highest-scoring part: from 3.0 s to 4.5 s (1.5 seconds, face 1), 2 %." in answer(low).sentence


def test_a_stretch_of_another_face_than_the_score_says_so() -> None:
    steady, burst = np.full(12, 1.0), np.array([-4.0] * 8 + [3.0] * 4)
    found = unchecked(analysis(steady, burst))
    assert max(found.faces, key=lambda one: one.prob).face == 1 and found.stretch.face == 2
    assert "Highest-scoring part, of another face than the score: from" in answer(found).sentence
    assert "face 2)" in answer(found).sentence


def test_weak_boxes_and_what_the_mesh_denies_get_no_verdict() -> None:
    fake, real = np.full(12, 4.5), np.full(12, -4.5)
    for doubtful in (
        analysis(real, confidence=0.47),
        analysis(fake, human=0.01),
        analysis(fake, flatness=0.5),
    ):
        found = judged(doubtful)
        assert found.verdict is None and "not certain that this is a human face" in found.reason


def photograph(path: Path, picture: PIL.Image.Image, calibration: Calibration) -> tuple[Analysis, Result]:
    picture.convert("RGB").save(path)
    scorer, file = bluish(calibration), Input(path, path.name)
    found = analyse(file, [scorer], FaceFinder(), Rates())
    return found, judge(file, found, read_together([scorer]), "")


def shipped(package: str, path: str) -> PIL.Image.Image:
    (folder,) = importlib.util.find_spec(package).submodule_search_locations
    return PIL.Image.open(Path(folder) / path)


@pytest.mark.parametrize(
    ("package", "path"),
    [("skimage", "data/chelsea.png"), ("plenoptic", "data/macaca_nigra_self-portrait.jpg")],
)
def test_a_cat_and_a_macaque_get_no_verdict(package, path, tmp_path) -> None:
    found, result = photograph(tmp_path / "animal.png", shipped(package, path), learned())
    assert found.best_confidence > 0.8  # the detector is sure
    assert result.prob is not None and result.verdict is None
    assert "not certain that this is a human face" in result.reason


def test_a_single_picture_is_not_judged_by_averages_over_videos(tmp_path) -> None:
    """A drawn face is as good as a human one to both detectors; so are statues, paintings and cartoons."""
    drawn = shipped("nikola", "data/samplesite/images/frontispiece.jpg").crop((218, 137, 378, 317))
    found, result = photograph(tmp_path / "drawn.png", drawn.resize((640, 720)), learned())
    assert len(found.faces) == 1 and not result.faces[0].doubt
    assert result.prob is not None and result.verdict is None
    assert "scored in 1 frame, those of the videos that tested the model in 12 each" in result.reason
    of_pictures = replace(learned(), frames=1)
    assert photograph(tmp_path / "drawn.png", drawn.resize((640, 720)), of_pictures)[1].verdict == "real"


def filmed(path: Path, pictures: list[np.ndarray], calibration: Calibration, detector: str = "ssd") -> Result:
    """Three pictures a second."""
    film = prediction.encode(path, pictures, crf=23, times=[333 * i for i in range(len(pictures))])
    scorer, file = bluish(calibration), Input(film, film.name)
    return judge(file, analyse(file, [scorer], FaceFinder(detector), Rates()), read_together([scorer]), "")


def test_a_film_of_a_drawing_gets_no_verdict_and_one_of_a_person_does(tmp_path) -> None:
    """Seen: a film of a statue, which looks human to both detectors, got one."""
    drawn = shipped("nikola", "data/samplesite/images/frontispiece.jpg").convert("RGB")
    panned = [drawn.crop((208 + 2 * i, 127 + i, 388 + i, 327)).resize((432, 480)) for i in range(13)]
    still = filmed(tmp_path / "drawn.mp4", [np.array(picture) for picture in panned], learned())
    assert still.prob is not None and still.verdict is None
    assert "its expression never changes" in still.faces[0].doubt
    person = filmed(tmp_path / "person.mp4", prediction.faces(65)[::5], learned())
    assert person.verdict == "real" and not person.faces[0].doubt


def cartoon(moment: int) -> np.ndarray:
    """A flat drawing of somebody who talks and blinks; BlazeFace with the mesh takes it for human (0.8 and more)."""
    picture = PIL.Image.new("RGB", (480, 440), (150, 180, 210))
    draw, skin, dark = PIL.ImageDraw.Draw(picture), (236, 188, 150), (20, 20, 20)
    draw.ellipse((128, 52, 352, 280), fill=(80, 50, 30), outline=dark, width=4)
    draw.ellipse((140, 90, 340, 370), fill=skin, outline=dark, width=4)
    lid, mouth = round(10 + 8 * np.sin(1.3 * moment)), round(3 + 8 * (1 + np.sin(2.1 * moment)))
    for middle in (198, 282):
        draw.ellipse((middle - 22, 200 - lid, middle + 22, 200 + lid), fill="white", outline=dark, width=3)
        draw.ellipse((middle - 8, 192, middle + 8, 208), fill=dark)
        draw.line((middle - 26, 168, middle + 26, 166), fill=(60, 40, 20), width=7)
    draw.line((234, 200, 226, 258, 252, 260), fill=(120, 80, 60), width=4)
    draw.ellipse((202, 304 - mouth, 278, 304 + mouth), fill=(150, 40, 50), outline=dark, width=4)
    return np.asarray(picture)


def test_a_cartoon_that_moves_gets_no_verdict(tmp_path) -> None:
    """Seen: its face moves and looks human to the second detector; nothing else kept it from a verdict."""
    pictures = [cartoon(moment) for moment in range(13)]
    found = filmed(tmp_path / "cartoon.mp4", pictures, learned(), "blazeface")
    assert found.prob is not None and found.verdict is None
    assert found.faces[0].doubt == "most of it is of one tone, as in flat drawings and overexposed films"


def test_one_tone_is_told_in_any_light() -> None:
    mesh = np.zeros((468, 3), np.float32)
    mesh[:, 0], mesh[:, 1] = (120 + 90 * turn(np.linspace(0, 2 * np.pi, 468)) for turn in (np.cos, np.sin))
    random = np.random.default_rng(0)
    for light in (40, 120, 220):
        flat = np.full((240, 240, 3), light) + random.normal(0, 2, (240, 240, 1))
        round_ = flat * (1 - 0.5 * np.linspace(0, 1, 240)[:, None, None])
        tones = [flatness(picture.clip(0, 255).astype(np.uint8), mesh) for picture in (flat, round_)]
        assert tones[0] > 0.8 and tones[1] < 0.25


def test_only_what_changes_within_the_face_is_movement() -> None:
    random = np.random.default_rng(0)
    face = random.normal(0, 50, (468, 3))

    def spread(change: float) -> float:
        movement = Movement()
        for turned in Rotation.random(12, random_state=0).as_matrix():
            points = (face + random.normal(0, change, face.shape)) @ turned * random.uniform(0.5, 2) + 200
            movement.add(points.astype(np.float32), 1.0)
        return movement.spread

    assert spread(0.0) < 1e-5
    assert spread(2.0) == pytest.approx(2 / 50, rel=0.1)
    few = Movement()
    for _ in range(FEWEST_LOOKS - 1):
        few.add(face.astype(np.float32), 1.0)
    few.add(face.astype(np.float32), SURE - 0.01)  # less of a face is no look
    assert np.isnan(few.spread)
    few.add(face.astype(np.float32), 1.0)
    assert few.spread < 1e-5


def test_one_second_says_nothing_of_movement(monkeypatch) -> None:
    points = np.random.default_rng(0).normal(50, 10, (468, 3)).astype(np.float32)
    picture = np.zeros((99, 99, 3), np.uint8)
    seen = SimpleNamespace(candidates=SimpleNamespace(scores=[1.0]), meshes=[SimpleNamespace(points=points)])
    monkeypatch.setattr(face_checks, "_judge", lambda: SimpleNamespace(faces=lambda picture: seen))

    def spread(rate: float) -> float:
        face = face_checks.WatchedFace()
        for i in range(30):
            face.look(FoundFace(i, i / rate, 0, 0.9, (0, 0, 9, 9), False, lambda geometry: picture))
        return face.movement.spread

    assert np.isnan(spread(25.0)) and spread(2.0) < 1e-5


def test_a_doubtful_face_does_not_clear_a_faked_one() -> None:
    found = analysis(np.full(12, 4.5), np.full(1, 6.0), np.full(12, 5.0))
    found.faces.loc[found.faces["track"] == 2, "human"] = 0.01
    assert judged(found).verdict == "fake"
