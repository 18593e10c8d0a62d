"""`dfd-train preview-transforms`: what augmentation makes of the training crops (thesis Fig. 4.3)."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from dfd_train.commands.arguments import positive
from dfd_train.commands.settings import add_settings, run_config

HELP = "draw training crops before and after augmentation"
EXAMPLE = "dfd-train preview-transforms --data work --out transforms.png --set transforms.rotation=5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        "dfd-train preview-transforms --data WORK --out FILE.png [--rows N] [--config FILE] [settings]"
    )
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FILE.png", help="the picture to write"
    )
    parser.add_argument("--rows", type=positive, default=6, metavar="N", help="videos to show (default: 6)")
    add_settings(parser)


def run(options: argparse.Namespace) -> int:
    config = run_config(options)
    from dfd_train.data.preview import write_preview
    from dfd_train.data.selection import select_videos
    from dfd_train.data.several import with_places
    from dfd_train.engine.data import open_prepared
    from dfd_train.engine.detector import new_detector
    from dfd_train.runs.checkpoint import untrained

    prepared = open_prepared(config)
    several = config.data.multiple_faces
    videos = select_videos(with_places(prepared, several), "train", multiple_faces=several).videos
    # only what the network wants to see counts here: its pretrained weights needn't be fetched
    detector, _ = new_detector(replace(config, model=untrained(config.model)), options.trust)
    print(write_preview(config, prepared, videos, detector.spec, options.out, options.rows))
    return 0
