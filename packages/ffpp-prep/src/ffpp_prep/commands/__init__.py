"""The subcommands of `ffpp-prep`, one module each.

A module has HELP, EXAMPLE, `add_arguments(parser)` and `run(options) -> exit status`; it imports what is heavy
inside `run`, so that `--help` answers at once.
"""

from ffpp_prep.commands import (
    boxes,
    check_fakes,
    check_splits,
    estimate,
    extract,
    landmarks,
    preview,
    sample,
    scan,
    status,
    verify,
)

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
)
GO_ON = (boxes, landmarks, check_fakes, extract)  # these keep what is finished when they are interrupted
