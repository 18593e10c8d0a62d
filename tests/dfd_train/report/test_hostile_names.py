"""Report, comparison and tables of a run in which every name means harm, in a real browser."""

import json
import shutil
import tomllib
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import tomli_w
from hostile_pages import CHROMIUM, EVIL, HARMLESS, active

from dfd_train.metrics import summarize
from dfd_train.report.compare import compare_runs
from dfd_train.report.curves import gradient_flow
from dfd_train.report.page import write_report
from dfd_train.report.svg import figure, to_svg
from dfd_train.robustness.conditions import choose_sweeps
from dfd_train.robustness.show import write_results
from dfd_train.robustness.sweep import SweepResult


@pytest.fixture(scope="module")
def hostile(make_run) -> Path:
    """A run with the name in its folder, settings, data, layers, methods, videos, and names of predictions."""
    run = make_run(name=EVIL, model=EVIL, optimizer=EVIL)
    config = tomllib.loads((run / "config.toml").read_text())
    config["model"]["arguments"] = {EVIL: EVIL}
    config["data"]["exclude_methods"] = [EVIL]
    (run / "config.toml").write_text(tomli_w.dumps(config))
    for name in ("environment.json", "data.json"):
        content = json.loads((run / name).read_text())
        (run / name).write_text(json.dumps({**content, EVIL: {EVIL: EVIL}}))
    table = pq.read_table(run / "predictions-test.parquet")
    frames = table.to_pandas()
    frames["method"] = frames["method"].replace("Deepfakes", EVIL).replace("FaceSwap", "=$\\q$_{")
    frames["video_id"] = frames["video_id"] + EVIL
    frames["original_id"] = frames["original_id"] + EVIL
    frames["dataset"] = EVIL
    metadata = {
        **table.schema.metadata,
        b"work": EVIL.encode(),
        b"checkpoint": EVIL.encode(),
        b"a": EVIL.encode(),
    }
    changed = table.from_pandas(frames, preserve_index=False).replace_schema_metadata(metadata)
    for name in ("test", f"test-on-{EVIL}"):
        pq.write_table(changed, run / f"predictions-{name}.parquet")
    events = (run / "events.jsonl").read_text().splitlines()
    flow = {
        "event": "gradient_flow",
        "epoch": 1,
        "layers": [EVIL, "b"],
        "mean": [1e-3, 1e-2],
        "max": [1.0, 2.0],
    }
    (run / "events.jsonl").write_text("\n".join([*events[:2], json.dumps(flow), *events[2:]]) + "\n")
    return run


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_no_page_of_a_run_acts(hostile, make_run, tmp_path) -> None:
    pages = [write_report(hostile)]
    plain = make_run(name="plain")
    for table in hostile.glob("predictions-*.parquet"):  # runs are compared on the same videos
        shutil.copy(table, plain)
    pages += compare_runs([hostile, plain], tmp_path / "compare", "thesis").files[:1]
    predictions = pd.read_parquet(hostile / "predictions-test.parquet")
    sweeps = choose_sweeps(["blur"])
    summary = summarize(predictions)
    result = SweepResult(
        EVIL, True, {condition: summary for sweep in sweeps for condition in sweep.conditions()}
    )
    pages.append(write_results([result], sweeps, EVIL, tmp_path / "robustness")[0])
    pages += sorted(hostile.rglob("tables/**/*.html")) + sorted(tmp_path.rglob("*.html"))
    assert len(set(pages)) > 10
    assert active(dict.fromkeys(pages)) == {str(page): HARMLESS for page in pages}
    for page in pages:  # and the names can be read
        assert "\x1b" not in page.read_text()
    text = pages[0].read_text()
    assert "&lt;img src=x onerror=hacked=1&gt;" in text and "$\\frac{$\\q\\x1b[31m" in text
    for table in (*hostile.rglob("tables/**/*.csv"), *tmp_path.rglob("*.csv")):
        for line in table.read_text().splitlines():
            assert not line.startswith(("=", "+", "@")), line


@pytest.mark.parametrize("name", ["$\\frac{$", r"\q", r"$\q$", "$", "_{^", "a $x$ b $", "\x1b\x00", "%d {0}"])
def test_no_name_is_a_formula(name) -> None:
    with figure() as (drawn, axes):
        axes.plot([0, 1], label=f"a{name}")
        axes.set_title(name)
        axes.legend()
        svg = to_svg(drawn, name, name)
    assert name in svg


def test_a_logarithmic_scale_is_written_in_plain_figures() -> None:
    rows = pd.DataFrame(
        {"epoch": 1, "layer": ["a", "b", "c"], "mean": [1e-5, 1e-3, 1.0], "max": [1e-4, 0.1, 10.0]}
    )
    (plot,) = gradient_flow(rows)
    assert "1e−03" in plot.svg and "mathdefault" not in plot.svg and "$" not in plot.svg
