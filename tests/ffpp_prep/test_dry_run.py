"""`--dry-run` of all commands that have it: what would be done, and nothing on the disk."""

from pathlib import Path

import pytest
from clips import decode, encode, talking_head

from ffpp_prep.cli import main


def test_scan_and_boxes_say_what_is_to_be_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("real/a.mp4", "fake/b.mp4"):
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        (tmp_path / "set" / name).write_bytes(b"not opened")
    work = tmp_path / "work"
    command = ["scan", str(tmp_path / "set"), "-o", str(work)]
    assert main([*command, "--dry-run"]) == 0 and not work.exists()
    said = capsys.readouterr().out
    assert "scan: 2 videos" in said and "nothing was written" in said
    boxes = ["boxes", str(tmp_path / "set"), "-o", str(work), "--dry-run"]
    assert main(boxes) == 2 and "isn't scanned yet" in capsys.readouterr().err
    assert main(command) == 0
    before = sorted(path.name for path in work.iterdir())
    capsys.readouterr()
    for asked in (boxes, ["boxes", str(work), "--dry-run"]):
        assert main(asked) == 0
        assert capsys.readouterr().out == "boxes: 2 of 2 videos left; nothing was written\n"
    assert sorted(path.name for path in work.iterdir()) == before


@pytest.mark.usefixtures("one_process")
def test_what_failed_is_left_where_it_is_to_be_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("real/a.mp4", "fake/b.mp4"):
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        (tmp_path / "set" / name).write_bytes(b"no video")
    work = str(tmp_path / "work")
    assert main(["scan", str(tmp_path / "set"), "-o", work]) == 0
    assert main(["boxes", work]) == 1
    for asked, left in (([], 0), (["--retry-failed"], 2)):
        capsys.readouterr()
        assert main(["boxes", work, "--dry-run", *asked]) == 0
        assert capsys.readouterr().out == f"boxes: {left} of 2 videos left; nothing was written\n"


@pytest.mark.usefixtures("one_process")
def test_extract_says_what_is_to_be_cut_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, work = tmp_path / "set", tmp_path / "work"
    for name in ("real/a.mp4", "fake/b.mp4"):
        encode(root / name, decode(talking_head())[:3])
    command = ["extract", str(root), "-o", str(work), "--dry-run"]
    assert main(command) == 2 and "isn't scanned yet" in capsys.readouterr().err
    assert main(["boxes", str(root), "-o", str(work)]) == 0
    (root / "fake/c.mp4").write_bytes(b"not opened")
    assert main(["scan", str(root), "-o", str(work)]) == 0
    before = contents(work)
    capsys.readouterr()
    for asked in (command, ["extract", str(work), "--dry-run"]):
        assert main(asked) == 0
        said = capsys.readouterr().out.splitlines()
        assert said[0] == "extract: 1 shard, 6 crops of 2 videos left; nothing was written"
        assert said[1].startswith("  1 video left out: boxes not detected yet;")
    assert contents(work) == before
    assert main(["extract", str(work)]) == 0
    capsys.readouterr()
    assert main(["extract", str(work), "--dry-run"]) == 0
    assert "extract: 0 shards, 0 crops of 0 videos left" in capsys.readouterr().out
    export = ["export", str(work), "--to", "folder", "-o", str(tmp_path / "export")]
    for left in (2, 0):
        assert main([*export, "--dry-run"]) == 0
        assert capsys.readouterr().out == f"export: {left} of 2 videos left; nothing was written\n"
        assert (tmp_path / "export").exists() == (left == 0)
        assert main(export) == 0
        capsys.readouterr()
    assert main([*export, "--frames", "1", "--dry-run"]) == 2
    assert "holds another export" in capsys.readouterr().err


@pytest.mark.usefixtures("one_process")
def test_landmarks_and_check_fakes_say_what_is_to_be_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    for name in ("real/a.mp4", "fake/a.mp4", "fake/b.mp4"):
        encode(tmp_path / "set" / name, decode(talking_head())[:2])
    assert main(["scan", str(tmp_path / "set"), "-o", str(work)]) == 0
    for command in ("landmarks", "check-fakes"):
        assert main([command, str(work), "--dry-run"]) == 2
        assert "no boxes here" in capsys.readouterr().err
    assert main(["boxes", str(work), "--detector", "blazeface"]) == 0
    before = contents(work)
    (videos, *_), (fakes, why) = (said(command, work, capsys) for command in ("landmarks", "check-fakes"))
    assert videos == "landmarks: 3 of 3 videos left; nothing was written"
    assert fakes == "check-fakes: 0 of 0 fakes left; nothing was written"
    assert why == "not measured: 2 fakes, no original on disk"
    assert contents(work) == before
    assert main(["landmarks", str(work)]) == 0
    assert said("landmarks", work, capsys) == ["landmarks: 0 of 3 videos left; nothing was written"]
    (work / "boxes").rename(tmp_path / "other")
    assert main(["boxes", str(work), "--detector", "blazeface", "--threshold", "0.6"]) == 0
    assert main(["landmarks", str(work), "--dry-run"]) == 2
    assert "boxes of fingerprint" in capsys.readouterr().err


def said(command: str, work: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a dry run of a command that has nothing against it prints."""
    capsys.readouterr()
    assert main([command, str(work), "--dry-run"]) == 0
    return capsys.readouterr().out.splitlines()


def contents(work: Path) -> dict[str, bytes]:
    return {str(path.relative_to(work)): path.read_bytes() for path in work.rglob("*") if path.is_file()}
