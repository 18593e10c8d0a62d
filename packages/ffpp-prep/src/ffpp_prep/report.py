"""What a person reads about a work folder: `status`, as text."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from ffpp_prep.store import read_videos


def status_text(work: str | Path) -> str:
    """Videos by method, split and status, with every failure and its reason; what is extracted; disk used.

    Raises:
        ffpp_prep.errors.UsageError: no readable videos.parquet in `work`.
    """
    work = Path(work)
    videos = read_videos(work)
    videos["state"] = videos["status"].fillna("to do")
    lines = [f"{work}: {len(videos)} videos", "", _counts(videos, "split", "scanned, by split")]
    lines += ["", _counts(videos, "state", "boxes, by status")]
    done = videos[videos["status"].notna()]
    if len(done):
        frames = int(done["frames_decoded"].sum())
        flagged = int(done["multiple_faces"].sum())
        lines += [
            "",
            f"{frames} frames decoded; a face in {int(done['frames_with_face'].sum())} of them; "
            f"{flagged} videos with multiple faces",
        ]
    failed = done[done["status"] != "ok"]
    if len(failed):
        lines += ["", "not ok:"]
        lines += [f"  {row.status:13} {row.video_id}: {row.error}" for row in failed.itertuples()]
    lines += ["", _faces(work)]
    return "\n".join(lines)


def _counts(videos: pd.DataFrame, column: str, title: str) -> str:
    table = pd.crosstab(videos["method"], videos[column].fillna("none"), margins=True, margins_name="all")
    table.index.name, table.columns.name = None, None
    return f"{title}\n{table.to_string()}"


def _faces(work: Path) -> str:
    folder = work / "faces"
    plan = folder / "plan.json"
    if not plan.is_file():
        return "no crops extracted yet"
    planned = len(json.loads(plan.read_text(encoding="utf-8"))["shards"])
    commits = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("faces-*.json"))]
    crops, size = sum(c["crops"] for c in commits), sum(c["bytes"] for c in commits)
    missing = sum(m["count"] for c in commits for m in c["missing"])
    text = f"{len(commits)} of {planned} shards written: {crops} crops, {size / 1e9:.3f} GB"
    return text + (f"; {missing} planned crops could not be decoded" if missing else "")
