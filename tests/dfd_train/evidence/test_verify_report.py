"""`dfd-train verify-report`: whether a report is as it was written, and its numbers those of its file and model."""

import json
from dataclasses import replace
from hashlib import sha256

import msgspec
import pandas as pd
import prediction
import pytest
from reported import copied, found

from dfd_train.cli import main
from dfd_train.predict.verify import reports_in
from ffpp_prep.format.checksums import with_checksum


def test_a_report_is_checked(report, clip, tmp_path, capsys) -> None:
    capsys.readouterr()
    assert main(["verify-report", str(report), "--file", str(clip)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "4 files beside it match their hashes, and clip.mp4 is the file that was scored" in line
    folder = copied(report, tmp_path / "a")
    (folder / "frames.csv").write_text((folder / "frames.csv").read_text().replace(".", ",", 1))
    (folder / "timeline.png").unlink()
    other = tmp_path / "other.mp4"
    other.write_bytes(clip.read_bytes() + b"\0")
    assert main(["verify-report", str(folder), "--file", str(other)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    for said in (
        "frames.csv was changed",
        "timeline.png is missing",
        "besides, other.mp4 is another file than the one that was scored",
    ):
        assert said in line
    # an untouched report and the wrong file: that must not read like a forgery
    assert main(["verify-report", str(report), "--file", str(other)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    expected = "the report is as it was written; other.mp4 is another file than the one that was scored"
    assert line == f"{report}: {expected}"
    # its own numbers too, and names that lead elsewhere
    folder = copied(report, tmp_path / "b")
    text = (folder / "result.json").read_text()
    (folder / "result.json").write_text(text.replace('"clip.mp4"', '"clap.mp4"', 1))
    assert main(["verify-report", str(folder)]) == 1
    assert "its content doesn't match its checksum" in capsys.readouterr().out
    (folder / "result.json").write_text(text.replace('"content_crc32"', '"bontent_crc32"'))
    assert main(["verify-report", str(folder)]) == 1
    assert "its checksum, content_crc32, is missing" in capsys.readouterr().out
    result = found(report)
    assert result.evidence is not None
    elsewhere = replace(result.evidence.outputs[0], name="../a/frames.csv")
    content = msgspec.to_builtins(replace(result, evidence=replace(result.evidence, outputs=(elsewhere,))))
    (folder / "result.json").write_text(json.dumps(with_checksum(content)))
    assert main(["verify-report", str(folder)]) == 1
    assert "../a/frames.csv is no name of a file beside it" in capsys.readouterr().out
    assert main(["verify-report", str(tmp_path)]) == 1  # of several each has its line
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_reports_that_serve_kept_are_found(tmp_path) -> None:
    for place in ("clip.mp4", "0" * 24 + "/report"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "result.json").write_text("{}")
    assert reports_in(tmp_path) == [tmp_path / ("0" * 24) / "report", tmp_path / "clip.mp4"]


def test_a_report_is_scored_again(run, report, clip, small_set, tmp_path, capsys) -> None:
    capsys.readouterr()
    again = ["verify-report", str(report), "--file", str(clip), "--again"]
    assert main([*again, str(run)]) == 0
    assert "scored again, the same: no number of a frame differs by more than " in capsys.readouterr().out
    # whoever changes a number and mends all hashes is found out
    folder, result = copied(report, tmp_path / "forged"), found(report)
    frames = pd.read_csv(folder / "frames.csv")
    frames.loc[frames["logit"].first_valid_index(), "logit"] += 0.5
    frames.to_csv(folder / "frames.csv", index=False)
    assert result.evidence is not None
    outputs = [
        replace(one, sha256=sha256((folder / one.name).read_bytes()).hexdigest())
        for one in result.evidence.outputs
    ]
    forged = replace(result, prob=0.0, evidence=replace(result.evidence, outputs=tuple(outputs)))
    (folder / "result.json").write_text(json.dumps(with_checksum(msgspec.to_builtins(forged))))
    assert main(["verify-report", str(folder), "--file", str(clip), "--again", str(run)]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert "as it was written" in first
    assert "not the same: the probabilities of the file and its faces were 0.0000" in second
    assert "logits or probabilities of frames differ by up to 0.5" in second
    other = prediction.train(small_set.work, tmp_path / "other", seed=2)
    capsys.readouterr()
    assert main([*again, str(other)]) == 1
    assert (
        "has other weights than the report's: one (tiny_networks:with_batch_norm)" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["EMPTY"], "no report of `dfd-train predict` in it"),
        (
            ["REPORT", "--again", "RUN"],
            "--again needs --file FILE, the file that was scored: a report does not record where that file is",
        ),
        (["REPORT", "--with", "RUN"], "--with goes with --again"),
        (["REPORT", "--file", "nowhere.mp4"], "nowhere.mp4: it can't be read: No such file or directory"),
    ],
)
def test_mistakes_are_one_line(run, report, tmp_path, capsys, arguments, message) -> None:
    places = {"RUN": run, "REPORT": report, "EMPTY": tmp_path}
    capsys.readouterr()
    assert main(["verify-report", *(str(places.get(one, one)) for one in arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
