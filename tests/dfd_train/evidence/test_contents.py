"""A report as an evidence document: what it holds, and what it doesn't."""

import json
import re
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from html import unescape

import av
import msgspec
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from reported import copied, found

from dfd_train.calibration.score import DeployedScore
from dfd_train.cli import main
from dfd_train.predict import timeline
from dfd_train.predict.ensemble import Reading
from dfd_train.predict.page import write_page
from dfd_train.predict.schema import schema_text, shipped_schema
from dfd_train.runs.folder import DEMONSTRATION, RunFolder
from dfd_train.runs.trained_on import run_licence
from ffpp_prep.format.checksums import with_checksum


def test_a_report_says_how_it_came_about(run, clip, report) -> None:
    evidence, page = found(report).evidence, (report / "report.html").read_text()
    assert evidence is not None
    assert evidence.file_sha256 == sha256(clip.read_bytes()).hexdigest()
    assert evidence.file_bytes == clip.stat().st_size
    made = datetime.fromisoformat(evidence.made_at)
    assert made.tzinfo is not None and abs((datetime.now().astimezone() - made).total_seconds()) < 3600
    (network,) = evidence.networks
    assert network.weights_sha256 == sha256(RunFolder(run).best.read_bytes()).hexdigest()
    assert (
        network.licence == "not stated (the run's folder has no file LICENSE)"
        and "real and" in network.trained_on
    )
    assert evidence.versions.pyav == av.__version__
    assert (evidence.settings.detect_rate, evidence.settings.detector) == (2.0, "ssd")
    for said in (
        evidence.file_sha256,
        network.weights_sha256,
        evidence.made_at,
        evidence.settings.detector_sha256,
    ):
        assert said in page
    assert f"torch {evidence.versions.torch}" in page and "<dt>Trained on</dt>" in page


JARGON = (
    *(
        "logit",
        "checkpoint",
        "sigmoid",
        "tensor",
        "softmax",
        "validation set",
        "score above",
        "on cpu",
        "boxes",
    ),
    *("confidence", "epoch", "decoder", "hash"),
)


def test_an_editor_knows_the_words(report) -> None:
    """What stands on the pages is said, or explained beside it; names of files and programs are no words."""
    for path in (report / "report.html", report.parent / "index.html"):
        html = re.sub(r"(?s)<(style|script)\b.*?</\1>", "", path.read_text())
        text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", html))).lower()
        assert [word for word in JARGON if word in text] == [], path
        assert "sha-256 is a file's fingerprint" in text or "sha-256, the file's fingerprint" in text
    assert "more than 0.45 sure of one, from 0 to 1" in (report / "report.html").read_text()
    assert "the processor (CPU), in 32-bit numbers (fp32)" in (report / "report.html").read_text()


@pytest.mark.parametrize(
    ("faces", "said"), [(24, ""), (25, "1 further face is in"), (26, "2 further faces are in")]
)
def test_faces_that_find_no_room_are_counted(report, tmp_path, faces, said) -> None:
    result = found(report)
    result = replace(result, faces=result.faces[:1] * faces)
    write_page(tmp_path, result, None, Reading(("m",), "x", False, DeployedScore(), None))
    page = (tmp_path / "report.html").read_text()
    assert (said in page) if said else ("further" not in page)


def test_a_demonstration_shows_its_highest_part_first_too(report, tmp_path) -> None:
    folder = copied(report, tmp_path / "copy")
    result = replace(found(report), note=DEMONSTRATION, verdict=None)
    write_page(folder, result, None, Reading(("m",), "x", True, DeployedScore(), None))
    assert "Play the highest-scoring part" in (folder / "report.html").read_text()


def test_a_run_s_licence_is_that_in_its_folder(run, tmp_path) -> None:
    assert run_licence(run) == ""
    (tmp_path / "LICENSE.md").write_text("\n# CC BY-NC 4.0\n\nsee elsewhere\n")
    assert run_licence(tmp_path) == "CC BY-NC 4.0"


def test_nobody_learns_where_the_file_lay(clip, report) -> None:
    texts = [path for path in report.iterdir() if path.suffix in (".json", ".csv", ".html")]
    texts.append(report.parent / "summary.csv")
    texts.append(report.parent / "index.html")
    assert len(texts) == 5
    for path in texts:
        assert clip.parent.name not in path.read_text(), path


def test_counts_of_frames_agree(report) -> None:
    result, page = found(report), (report / "report.html").read_text()
    frames, media = pd.read_csv(report / "frames.csv"), result.media
    assert media is not None
    assert media.frames_scored == frames.loc[frames["logit"].notna(), "frame"].nunique() < media.frames_chosen
    more = media.frames_chosen > media.frames_looked_at
    carried = ", with the places of faces carried over between searched frames" * more
    assert (
        f"Of 100 frames, {media.frames_looked_at} were searched for faces. {media.frames_chosen} were chosen to be "
        f"scored{carried}; {media.frames_scored} of the {media.frames_chosen} showed a face."
    ) in page
    # where there was none, from the first frame without to the next one with
    (away,) = result.faceless
    scored = frames.loc[frames["logit"].notna(), "time_s"]
    assert 1.2 - 1e-6 <= away.start_s < 1.7 and 2.4 - 1e-6 <= away.end_s < 2.9
    assert not scored.between(away.start_s, away.end_s - 1e-3).any()
    assert f"{away.start_s:.1f} s to {away.end_s:.1f} s" in page


def test_a_face_that_is_away_has_no_line() -> None:
    chosen = np.arange(8) / 2
    own = pd.DataFrame({"time": [0.0, 0.5, 2.0, 2.5, 3.5], "prob": [0.1, 0.2, 0.3, 0.4, 0.5]})
    axes: Axes = Figure().subplots()
    timeline._draw_face(axes, own, chosen, 1, 5.0)
    (line,) = axes.lines
    drawn = np.asarray(line.get_ydata(), float)
    assert drawn.tolist() == pytest.approx([0.1, 0.2, np.nan, 0.3, 0.4, np.nan, 0.5], nan_ok=True)


def test_old_results_are_read_and_found_again(run, clip, report, tmp_path, capsys) -> None:
    folder = copied(report, tmp_path / "clip.mp4")
    content = msgspec.to_builtins(found(report))
    for name in ("source", "faceless", "looked_at", "evidence"):
        del content[name]
    del content["media"]["frames_chosen"]
    content |= {"format_version": 2, "path": str(clip)}
    (folder / "result.json").write_text(json.dumps(with_checksum(content)))
    assert found(folder).source == found(report).source
    assert main(["verify-report", str(folder)]) == 1
    assert "version 2 of result.json holds no hashes" in capsys.readouterr().out
    assert main(["predict", str(run), str(clip), "--out", str(tmp_path), "--no-video"]) == 0
    assert found(folder).format_version == 3 and not (tmp_path / "clip.mp4-2").exists()


def test_the_schema_is_that_of_the_results(report) -> None:
    """The shipped file is made from the type that reads results: a result that this takes has its form."""
    assert shipped_schema() == schema_text(), "python tools/write_schema.py"
    schema, content = json.loads(shipped_schema()), json.loads((report / "result.json").read_text())
    assert set(content) == set(schema["$defs"]["Result"]["properties"])
    assert set(schema["$defs"]["Result"]["required"]) < set(content)
    assert set(content["evidence"]) == set(schema["$defs"]["Evidence"]["properties"])


def test_links_lead_to_what_is_there(report) -> None:
    page = (report / "report.html").read_text()
    links = re.findall(r'href="([^"]*)"', page)
    assert [link for link in links if link != "data:,"] == ["result.json", "frames.csv"]
    assert all((report / link).is_file() for link in links if link != "data:,")
