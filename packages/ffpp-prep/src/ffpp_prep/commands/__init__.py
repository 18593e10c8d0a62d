"""The subcommands of `ffpp-prep`, one module each.

What a module holds is described by `ffpp_prep.command_line.program.Command`.
"""

from ffpp_prep.commands import (
    boxes,
    check_digest,
    check_fakes,
    check_splits,
    digest,
    estimate,
    export,
    extract,
    landmarks,
    preview,
    sample,
    scan,
    status,
    verify,
)

__all__ = ["COMMANDS", "GO_ON", "LOOKING", "SYNONYMS"]

COMMANDS = (
    ("sample", sample),
    ("estimate", estimate),
    ("scan", scan),
    ("check-splits", check_splits),
    ("boxes", boxes),
    ("landmarks", landmarks),
    ("check-fakes", check_fakes),
    ("extract", extract),
    ("status", status),
    ("preview", preview),
    ("verify", verify),
    ("digest", digest),
    ("check-digest", check_digest),
    ("export", export),
)
GO_ON = (
    "boxes",
    "landmarks",
    "check-fakes",
    "extract",
    "export",
)  # these keep what is finished when they are interrupted
LOOKING = ("estimate", "check-splits", "status", "verify", "check-digest")  # these keep nothing in any case
SYNONYMS = {  # other programs' words
    "detect": "boxes",
    "mesh": "landmarks",
    "keypoints": "landmarks",
    "crop": "extract",
    "crops": "extract",
    "faces": "extract",
    "download": "sample",
    "demo": "sample",
    "list": "scan",
    "index": "scan",
    "check": "verify",
    "repair": "verify",
    "leaks": "check-splits",
    "convert": "export",
    "webdataset": "export",
    "huggingface": "export",
    "hash": "digest",
    "checksums": "digest",
    "output": "--out",
    "workers": "--jobs",
    "numworkers": "--jobs",
    "nproc": "--jobs",
    "stride": "--every",
    "imagesize": "--size",
    "resolution": "--size",
    "numframes": "--frames",
    "confidence": "--threshold",
    "scale": "--margin",
}
