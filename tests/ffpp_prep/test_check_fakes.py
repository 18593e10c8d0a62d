"""Fakes measured against their originals: touched or not, frame by frame and face by face, on encoded video."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clips import decode, encode, here
from test_faults import killed_at

from ffpp_prep.cli import main
from ffpp_prep.errors import UserError
from ffpp_prep.format.schemas import FAKES_SCHEMA
from ffpp_prep.one_video.fakes import FakeCheck, check_fake, compare
from ffpp_prep.sample import render
from ffpp_prep.settings import FakeSettings
from ffpp_prep.stages import scan
from ffpp_prep.stages.fakes import check_fakes
from ffpp_prep.work.fakes import FakeStore, read_fakes
from ffpp_prep.work.store import BoxStore

pytestmark = pytest.mark.usefixtures("one_process")
FRAMES = 12
MANIPULATED = {0, 1, 5, 8, 9, 10, 11}
FACE = (50, 35, 105, 97)  # where the talking head is, within a few pixels


def swapped(picture: np.ndarray, left: int = 0) -> np.ndarray:
    """The lower half of the face mirrored and blended in: a manipulation whose edge doesn't show."""
    x1, y1, x2, y2 = FACE[0] + left, (FACE[1] + FACE[3]) // 2, FACE[2] + left, FACE[3]
    result = picture.copy()
    patch = picture[y1:y2, x1:x2].astype(np.float64)
    v, u = (np.linspace(-1, 1, n) for n in patch.shape[:2])
    alpha = np.clip(2 * (1 - np.hypot(v[:, None], u)), 0, 1)[..., None]
    result[y1:y2, x1:x2] = np.rint(patch + alpha * (patch[:, ::-1] - patch))
    return result


def boxes(*faces: tuple[float, ...], frames: int = FRAMES) -> pd.DataFrame:
    """Rows as boxes has them: the same faces in every frame."""
    rows = [(i, k, k, *map(float, face)) for i in range(frames) for k, face in enumerate(faces)]
    return pd.DataFrame(rows, columns=["frame", "face", "track", "x1", "y1", "x2", "y2"])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, head: list) -> Path:
    """One original and its fakes, each encoded once from the same raw frames, as data sets are."""
    root = tmp_path_factory.mktemp("fakes") / "root"
    raw = head[:FRAMES]
    fake = [swapped(p) if i in MANIPULATED else p for i, p in enumerate(raw)]
    encode(root / "real.mp4", raw)
    encode(root / "flicker.mp4", fake)
    encode(root / "coarser.mp4", fake, crf=30)
    encode(root / "untouched.mp4", raw, crf=26)
    encode(root / "longer.mp4", [*fake, *fake[:2]])
    encode(root / "smaller.mp4", [p[:, :160] for p in raw])
    encode(root / "alone.mp4", fake)
    (root / "broken.mp4").write_bytes(b"")
    names = ("flicker", "coarser", "untouched", "longer", "smaller", "broken", "alone")
    lines = [f"{n}.mp4,1,swap,{'real.mp4' if n != 'alone' else ''}" for n in names]
    (root / "t.csv").write_text("\n".join(["path,label,method,original_id", "real.mp4,0,,", *lines]) + "\n")
    return root


@pytest.fixture(scope="module")
def detected(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """WORK with boxes, most of them the original's."""
    work = tmp_path_factory.mktemp("fakes") / "work"
    arguments = ("--boxes-from-original", "--detect-every", 5)
    assert here("boxes", root / "t.csv", "-o", work, *arguments).returncode == 1  # one is broken
    return work


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory, detected: Path) -> Path:
    """WORK after check-fakes."""
    work = tmp_path_factory.mktemp("fakes") / "work"
    shutil.copytree(detected, work)
    assert here("check-fakes", work).returncode == 0
    return work


def touched_frames(rows: pd.DataFrame, video_id: str) -> set[int]:
    rows = rows[rows["video_id"] == video_id]
    return set(rows.loc[rows["touched"], "frame"])


# --- one frame ---------------------------------------------------------------------------------------------------


def test_differences_are_means_of_grey_levels(head: list) -> None:
    original, fake = head[0], head[0].copy()
    fake[40:50, 60:80] = np.where(fake[40:50, 60:80] < 128, fake[40:50, 60:80] + 30, fake[40:50, 60:80] - 30)
    fake[120:130, 150:160] ^= 1  # a little noise outside
    (face,) = compare(fake, original, np.array([[50.0, 35.0, 99.9, 84.9]]))
    assert face.difference == pytest.approx(30 * 200 / 2500)
    # 8 x 8 blocks outside of the expanded square: left 43, top 28, right 107, bottom 92, blocks it touches left out.
    outside = np.ones((144, 176), bool)
    outside[24:96, 40:112] = False
    apart = np.abs(fake.astype(int) - original).mean(axis=2)
    assert face.background == pytest.approx(apart[outside].mean(), rel=1e-5)
    assert face.contrast > 10


def test_equal_frames_are_untouched_and_faint_ones_are_not(head: list) -> None:
    box = np.array([FACE], float)
    (same,) = compare(head[3], head[3], box)
    assert (same.difference, same.background, same.contrast) == (0, 0, 0)
    (faint,) = compare(np.maximum(swapped(head[3]), 1), np.maximum(head[3], 1), box)
    assert faint.background == 0 and faint.contrast > FakeSettings().threshold


def test_a_face_that_leaves_nothing_outside_is_not_known_to_be_untouched(head: list) -> None:
    picture = head[0][:40, :48]
    (face,) = compare(picture, picture, np.array([[4.0, 4.0, 44.0, 36.0]]))
    assert np.isnan(face.contrast) and np.isnan(face.background)
    for box in ((-20.0, -20.0, -5.0, -5.0), (100.0, 100.0, 120.0, 120.0), (3.0, 3.0, 3.2, 3.2)):
        compare(picture, picture, np.array([box]))  # absurd boxes are no faults


# --- one video ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["flicker", "coarser"])
def test_exactly_the_manipulated_frames(root: Path, name: str) -> None:
    settings = FakeSettings(faintest=None)
    result = check_fake("v", str(root / f"{name}.mp4"), str(root / "real.mp4"), boxes(FACE), settings)
    assert result.rows is not None and result.rows.schema.equals(FAKES_SCHEMA)
    rows = result.rows.to_pandas()
    assert touched_frames(rows, "v") == MANIPULATED
    assert (result.status, result.frames_decoded, result.faces) == ("ok", FRAMES, FRAMES)
    assert result.faces_untouched == result.frames_untouched == FRAMES - len(MANIPULATED)
    assert (result.changes, result.switches) == (4, 0)
    # Against another way of measuring, on the decoded frames.
    x1, y1, x2, y2 = FACE
    fake, real = (np.array(decode(root / n), int) for n in (f"{name}.mp4", "real.mp4"))
    expected = np.abs(fake - real)[:, y1 : y2 + 1, x1 : x2 + 1].mean(axis=(1, 2, 3))
    assert np.allclose(rows["difference"], expected, rtol=1e-5)


def test_manipulation_that_switches_faces(tmp_path: Path, head: list) -> None:
    pairs = [np.concatenate([head[i], head[60 + i]], axis=1) for i in range(10)]
    fake = [swapped(p) if i < 4 else swapped(p, 176) if i > 5 else p for i, p in enumerate(pairs)]
    real_path, fake_path = encode(tmp_path / "real.mp4", pairs), encode(tmp_path / "fake.mp4", fake)
    second = (FACE[0] + 176, FACE[1], FACE[2] + 176, FACE[3])
    settings = FakeSettings(faintest=None)
    result = check_fake("v", str(fake_path), str(real_path), boxes(FACE, second, frames=10), settings)
    assert result.rows is not None
    rows = result.rows.to_pandas()
    assert set(rows.loc[rows["touched"] & (rows["face"] == 0), "frame"]) == set(range(4))
    assert set(rows.loc[rows["touched"] & (rows["face"] == 1), "frame"]) == set(range(6, 10))
    assert (result.faces, result.faces_untouched, result.frames_untouched) == (20, 12, 2)
    assert (result.changes, result.switches) == (2, 1)


def test_the_samples_flickering_fake(tmp_path: Path) -> None:
    name = "019"  # see ffpp_prep.sample.plan.FLICKERING
    truth = set(render.render(tmp_path, name, seed=0, frames=24).manipulated)
    (fake,) = tmp_path.glob("manipulated_sequences/Deepfakes/c23/videos/*.mp4")
    (real,) = tmp_path.glob("original_sequences/youtube/c23/videos/*.mp4")
    (mask,) = tmp_path.glob("manipulated_sequences/Deepfakes/masks/videos/*.mp4")
    corners = np.array(next(np.nonzero(m[..., 0] > 128) for m in decode(mask) if m.any()))
    (y1, x1), (y2, x2) = corners.min(axis=1), corners.max(axis=1)
    result = check_fake("v", str(fake), str(real), boxes((x1, y1, x2, y2), frames=24), FakeSettings())
    assert result.rows is not None
    rows = result.rows.to_pandas()
    assert set(rows.loc[rows["touched"] & ~rows["unknown"], "frame"]) == truth and 0 < len(truth) < 24
    assert result.faces_untouched > 0 and result.faces_untouched + result.faces_unknown == 24 - len(truth)


def faintly(picture: np.ndarray) -> np.ndarray:
    """A manipulation that strong compression wipes out: a share of `swapped`."""
    apart = swapped(picture).astype(np.float64) - picture
    return np.rint(picture + 0.4 * apart).astype(np.uint8)


@pytest.mark.parametrize("crf", [23, 28, 35, 40])
def test_a_faint_manipulation_is_never_called_untouched_whatever_the_compression(
    tmp_path: Path, head: list, crf: int
) -> None:
    fake = [faintly(p) if i in MANIPULATED else p for i, p in enumerate(head[:FRAMES])]
    paths = (
        encode(tmp_path / "fake.mp4", fake, crf=crf),
        encode(tmp_path / "real.mp4", head[:FRAMES], crf=crf),
    )
    before, now = (
        check_fake("v", str(paths[0]), str(paths[1]), boxes(FACE), FakeSettings(faintest=faintest))
        for faintest in (None, FakeSettings().faintest)
    )
    assert before.rows is not None and now.rows is not None
    assert touched_frames(now.rows.to_pandas(), "v") >= MANIPULATED
    if crf >= 35:  # as it was: the manipulation is called untouched, the fake left out nearly whole
        assert len(touched_frames(before.rows.to_pandas(), "v") & MANIPULATED) < len(MANIPULATED)
        assert now.faces_untouched == 0 and now.faces_unknown > 0
    if crf == 23:
        assert now.faces_untouched == FRAMES - len(MANIPULATED)


# --- WORK --------------------------------------------------------------------------------------------------------


def test_statuses_and_counts(checked: Path) -> None:
    checks = FakeStore(checked).read_status().set_index("video_id")
    assert checks["status"].to_dict() == {
        "flicker.mp4": "ok",
        "coarser.mp4": "ok",
        "untouched.mp4": "ok",
        "longer.mp4": "partial",
        "smaller.mp4": "size_differs",
    }
    rows = read_fakes(checked)
    assert touched_frames(rows, "flicker.mp4") == MANIPULATED
    coarser = rows[rows["video_id"] == "coarser.mp4"]
    assert set(coarser.loc[coarser["touched"] & ~coarser["unknown"], "frame"]) == MANIPULATED
    assert checks.loc["coarser.mp4", "faces_unknown"] == coarser["unknown"].sum() == FRAMES - len(MANIPULATED)
    assert touched_frames(rows, "untouched.mp4") == set()
    assert checks.loc["untouched.mp4", "frames_untouched"] == FRAMES
    assert checks.loc["longer.mp4", ["frames_decoded", "error"]].tolist() == [
        FRAMES,
        f"the original has {FRAMES} frames, the fake more",
    ]
    assert rows[rows["video_id"] == "longer.mp4"]["frame"].max() == FRAMES - 1
    schema = pq.read_schema(checked / "fakes" / "fakes-00000.parquet")
    assert schema.metadata[b"format_version"] == b"1" and b'"threshold": 1.45' in schema.metadata[b"settings"]
    assert pa.types.is_dictionary(schema.field("video_id").type)


def test_what_the_command_prints(checked: Path) -> None:
    result = here("check-fakes", checked)
    assert result.returncode == 0 and "nothing left to do; 5 done before" in result.stdout
    for words in (
        "not measured: 1 fake, no original on disk",
        "not measured: 1 fake, no boxes",
        "not manipulated at all, left out completely by --untouched drop: 1 video",
        "5 faces in 1 video are too compressed to judge, and count as touched; in 0 of these videos",
        "flickering: 2 videos",
        f"flicker.mp4: {FRAMES - len(MANIPULATED)} of {FRAMES} faces untouched, 4 changes, 0 switches",
        "size_differs  smaller.mp4: fake and original are 160x144 and 176x144",
    ):
        assert words in result.stdout, result.stdout


def test_killed_at_its_commit(detected: Path, checked: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(detected, work)
    killed_at("fakes-00000.parquet:after", tmp_path, "check-fakes", work, "--jobs", 1)
    assert read_fakes(work).empty
    assert check_fakes(work).statuses == {"ok": 3, "partial": 1, "size_differs": 1}
    pd.testing.assert_frame_equal(read_fakes(work), read_fakes(checked))
    assert not list((work / "fakes").glob(".tmp-*"))


def test_of_failures_a_few_are_printed_and_all_stand_in_a_table(
    root: Path,
    checked: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("ffpp_prep.work.failures.LISTED", 3)
    work, table = tmp_path / "work", tmp_path / "failures.csv"
    shutil.copytree(checked, work)
    shutil.rmtree(work / "fakes")
    real = root / "real.mp4"
    real.rename(root / "moved.mp4")
    try:
        assert main(["check-fakes", str(work), "--csv", str(table)]) == 1
    finally:
        (root / "moved.mp4").rename(real)
    said = capsys.readouterr().out
    assert said.count("real.mp4: no such file") == 3 and "… and 2 more" in said
    assert f"all of them, as a table:  ffpp-prep check-fakes {work} --csv failures.csv" in said
    assert pd.read_csv(table)["error"].tolist() == ["real.mp4: no such file"] * 5


def test_retry_failed_and_an_original_gone(root: Path, checked: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(checked, work)
    shutil.rmtree(work / "fakes")
    real = root / "real.mp4"
    real.rename(root / "moved.mp4")
    try:
        failed = check_fakes(work)
        assert failed.statuses == {"open_failed": 5}
        assert set(failed.checks["error"]) == {"real.mp4: no such file"}
    finally:
        (root / "moved.mp4").rename(real)
    assert check_fakes(work).skipped == 5
    again = check_fakes(work, retry_failed=True)
    assert again.statuses == {"ok": 3, "partial": 1, "size_differs": 1}
    pd.testing.assert_frame_equal(read_fakes(work), read_fakes(checked))


def test_a_damaged_part_of_boxes_ends_the_run_in_one_line(detected: Path, tmp_path: Path) -> None:
    work = Path(shutil.copytree(detected, tmp_path / "work"))
    (work / "boxes" / "boxes-00001.parquet").write_bytes(
        b"PAR1"
    )  # the fakes'; the original's are another part
    result = here("check-fakes", work)
    assert result.returncode == 2 and result.stderr.count("\n") == 1, result.stderr
    assert "boxes-00001.parquet: damaged" in result.stderr and f"verify {work} --repair" in result.stderr


def test_refusals(root: Path, detected: Path, tmp_path: Path) -> None:
    scan(root / "t.csv", tmp_path / "scanned")
    with pytest.raises(UserError, match="no boxes here; run  ffpp-prep boxes"):
        check_fakes(tmp_path / "scanned")
    work = tmp_path / "work"
    shutil.copytree(detected, work)
    FakeStore(work).commit_part([], FakeSettings(boxes="those of other settings"), {})
    with pytest.raises(UserError, match="was written with boxes of fingerprint those of other settings"):
        check_fakes(work)
    with pytest.raises(UserError, match="jobs=0"):
        check_fakes(work, jobs=0)
    for flags, words in (
        (("--threshold", 0), "--threshold 0.0: must be a number in 0 < threshold"),
        (("--faintest", -1), "--faintest -1.0: must be a number in 0 ≤ faintest"),
        (("--faintest", "nan"), "--faintest nan: must be"),
    ):
        result = here("check-fakes", work, *flags)
        assert result.returncode == 2 and words in result.stderr


def test_other_thresholds_are_refused_by_their_flags(checked: Path) -> None:
    result = here("check-fakes", checked, "--threshold", 2, "--faintest", 3)
    assert result.returncode == 2
    assert "was written with --faintest 5.5 (now 3.0), --threshold 1.45 (now 2.0)" in result.stderr


def test_folders_of_before_go_on_as_they_began(detected: Path, tmp_path: Path) -> None:
    """Parts written before compression was asked for, without its columns and settings."""
    work = Path(shutil.copytree(detected, tmp_path / "work"))
    monkey = FakeSettings(faintest=None, boxes=BoxStore(work).fingerprint())
    FakeStore(work).commit_part([FakeCheck("flicker.mp4", "ok")], monkey, {})
    (commit,) = (work / "fakes").glob("videos-*.parquet")
    table = pq.read_table(commit)
    settings = json.loads(table.schema.metadata[b"settings"])
    settings.pop("faintest", None)
    metadata = table.schema.metadata | {b"settings": json.dumps(settings).encode()}
    pq.write_table(table.drop_columns(["faces_unknown"]).replace_schema_metadata(metadata), commit)
    summary = check_fakes(work)
    assert summary.skipped == 1 and not summary.asks_compression
    assert summary.checks["faces_unknown"].tolist() == [0] * 5
    assert touched_frames(read_fakes(work), "coarser.mp4") == MANIPULATED
    result = here("check-fakes", work)
    assert f"to measure again, remove {work / 'fakes'} and run this again" in result.stdout
