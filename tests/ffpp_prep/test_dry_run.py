"""`--dry-run` of scan and boxes: what would be done, and nothing on the disk."""

from pathlib import Path

import pytest

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
