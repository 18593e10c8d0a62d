"""The sample data set: shaped like FaceForensics++, people disjoint by split, only the manipulation differing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from clips import decode, ffpp_prep

from ffpp_prep import read_videos
from ffpp_prep.cli import main
from ffpp_prep.datasets.layouts import list_videos
from ffpp_prep.errors import UserError
from ffpp_prep.sample import plan, render, write_sample
from ffpp_prep.sample.write import _render_all
from ffpp_prep.work.lock import only_run

METHODS = {"Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "DeepFakeDetection"}


@pytest.mark.full
def test_the_tree_is_that_of_faceforensics(sample_data: Path) -> None:
    videos = list_videos(sample_data, "ffpp").videos
    fakes = [v for v in videos if v.label]
    assert {v.method for v in fakes} == METHODS and {v.dataset for v in videos} == {"ffpp", "dfd"}
    assert sum(not v.label for v in videos) >= 12
    assert all(v.original_id and v.source_id and v.target_id for v in fakes)
    assert all(v.mask_path for v in fakes if Path(v.path).stat().st_size)


@pytest.mark.full
def test_people_are_disjoint_by_split(sample_data: Path) -> None:
    content = json.loads((sample_data / "SAMPLE.json").read_text())
    split = {person["name"]: person["split"] for person in content["people"]}
    assert len(split) >= 4 and set(split.values()) == {"train", "val", "test"}
    of_video: dict[str, set[str]] = {}
    for person in content["people"]:
        assert person["licence"] and person["sha256"]
        for video in person["videos"]:
            of_video.setdefault(video, set()).add(person["split"])
    assert all(len(splits) == 1 for splits in of_video.values())
    for name in ("train", "val", "test"):
        for pair in json.loads((sample_data / "splits" / f"{name}.json").read_text()):
            for i in pair:
                splits = of_video.get(f"original_sequences/youtube/c23/videos/{i}.mp4", {name})
                assert splits == {name}


@pytest.mark.full
def test_only_the_manipulation_differs(sample_data: Path) -> None:
    target = sample_data / "original_sequences" / "youtube" / "c23" / "videos" / "014.mp4"
    original = np.stack(decode(target)).astype(int)
    for method in sorted(METHODS - {"DeepFakeDetection"}):
        fake = sample_data / "manipulated_sequences" / method / "c23" / "videos" / "014_015.mp4"
        frames = np.stack(decode(fake)).astype(int)
        masks = np.stack(
            decode(sample_data / "manipulated_sequences" / method / "masks" / "videos" / fake.name)
        )
        assert frames.shape == original.shape == masks.shape
        inside, outside = masks.mean(3) > 127, masks.mean(3) < 5
        change = np.abs(frames - original).mean(3)
        assert 0 < inside.mean() < 0.5
        assert change[inside].mean() > 2 * change[outside].mean(), method
        for path in (target, fake):
            with av.open(str(path)) as container:
                stream = container.streams.video[0]
                assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")


@pytest.mark.full
def test_the_awkward_videos_become_rows_that_say_so(sample_data: Path, tmp_path: Path) -> None:
    """Those of SAMPLE.json, and an ordinary one, through boxes."""
    awkward = json.loads((sample_data / "SAMPLE.json").read_text())["awkward"]
    ordinary = "original_sequences/youtube/c23/videos/014.mp4"
    lines = [f"{video},{int('manipulated' in video)}" for video in (*awkward, ordinary)]
    root = tmp_path / "root"
    root.symlink_to(sample_data)
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["path,label", *(f"{root}/{line}" for line in lines)]))
    work = tmp_path / "work"
    assert ffpp_prep("boxes", table, "-o", work, "--jobs", 2, "--every", 3).returncode == 1
    videos = read_videos(work).set_index("video_id")
    status = {what: videos.loc[f"{root}/{video}", "status"] for video, what in awkward.items()}
    assert status == {
        "two faces throughout, and so in its fake": "ok",
        "no human face": "no_face",
        "truncated file": "partial",
        "empty file": "open_failed",
        "manipulated on some frames only": "ok",
    }
    flagged = videos.index[videos["multiple_faces"]].tolist()
    assert flagged == [f"{root}/{v}" for v, what in awkward.items() if what.startswith("two faces")]
    assert videos.loc[f"{root}/{ordinary}", "status"] == "ok"


def test_another_seed_gives_other_pictures(tmp_path: Path) -> None:
    written = []
    for seed in (0, 0, 1):
        render._film.cache_clear()  # each is filmed anew, as in another process
        render.render(tmp_path, "014", seed=seed, frames=2)
        written.append({path: path.read_bytes() for path in tmp_path.rglob("*.mp4")})
    first, again, other = written
    assert first == again and all(first[path] != other[path] for path in first if "masks" not in path.parts)


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thing").touch()
    with pytest.raises(UserError, match="not an empty folder"):
        write_sample(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thing"]


def test_without_a_terminal_a_line_tells_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("render", "render_nobody", "cut_short"):
        monkeypatch.setattr(render, name, lambda *_: SimpleNamespace(videos=2, manipulated=()))
    monkeypatch.setattr("ffpp_prep.text.bars.LINE_S", 0.0)
    (tmp_path / "manipulated_sequences/Face2Face/c23/videos").mkdir(parents=True)
    _render_all(tmp_path, 0, 24, 1)
    begun, first, second, *_ = capsys.readouterr().err.splitlines()
    assert re.match(r"sample: 0 of \d+ videos, 0 %$", begun)
    assert re.match(r"sample: 2 of \d+ videos, \d+ %, about ", first) and second.startswith("sample: 4 of ")


@pytest.mark.full
def test_the_same_bytes_in_another_process_and_order(sample_data: Path, tmp_path: Path) -> None:
    """Of a take with two faces, one whose fake flickers, one in grey, and parts of a film."""
    for name in ("006", "02__podium_speech_happy", plan.FLICKERING, plan.TWO_FACES, "005"):
        render.render(tmp_path, name, seed=0, frames=24)
    paths = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.mp4")]
    assert len(paths) == 5 + 2 * 11  # each original, and of each fake the mask too
    assert all((sample_data / path).read_bytes() == (tmp_path / path).read_bytes() for path in paths)


def test_what_killed_runs_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not what another run, or one for another folder, is writing."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    killed, at_work, other = (
        tmp_path / f".tmp-{name}-abcdefg{i}" for i, name in enumerate(("a", "a", "a-b"))
    )
    for folder in (killed, at_work, other):
        (folder / "tree").mkdir(parents=True)
    monkeypatch.setattr("ffpp_prep.sample.write._render_all", interrupted)
    with only_run(at_work), pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "a")
    assert sorted(tmp_path.iterdir()) == sorted((at_work, other))


@pytest.mark.parametrize("command", ["sample", "boxes", "status"])
def test_an_interrupted_run_says_what_was_kept(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"ffpp_prep.commands.{command}.run", interrupted)
    assert main([command, str(tmp_path / "a")]) == 130
    again = "; run the same command again to "
    kept = {"sample": f"{again}start over; nothing was kept", "boxes": f"{again}go on", "status": ""}[command]
    assert capsys.readouterr().err == f"ffpp-prep: interrupted{kept}\n"
