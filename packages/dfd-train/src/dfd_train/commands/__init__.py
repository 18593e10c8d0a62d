"""The subcommands of `dfd-train`, one module each.

What a module holds is described by `ffpp_prep.command_line.program.Command`.
"""

from dfd_train.commands import (
    adopt,
    calibrate,
    compare,
    evaluate,
    explain,
    export,
    predict,
    preview_transforms,
    report,
    robustness,
    run,
    serve,
    verify_report,
)
from dfd_train.settings.synonyms import SYNONYMS as SETTINGS

__all__ = ["COMMANDS", "SYNONYMS"]

COMMANDS = (
    ("run", run),
    ("preview-transforms", preview_transforms),
    ("evaluate", evaluate),
    ("predict", predict),
    ("verify-report", verify_report),
    ("explain", explain),
    ("robustness", robustness),
    ("export", export),
    ("serve", serve),
    ("adopt", adopt),
    ("calibrate", calibrate),
    ("report", report),
    ("compare", compare),
)
SYNONYMS = {  # other programs' words for commands and flags
    "train": "run",
    "fit": "run",
    "resume": "run",
    "test": "evaluate",
    "eval": "evaluate",
    "validate": "evaluate",
    "verify": "verify-report",
    "score": "predict",
    "detect": "predict",
    "infer": "predict",
    "inference": "predict",
    "onnx": "export",
    "convert": "export",
    "gradcam": "explain",
    "lime": "explain",
    "server": "serve",
    "gui": "serve",
    "augment": "preview-transforms",
    "output": "--out",
    "outputdir": "--out",
    "savedir": "--out",
    "work": "--data",
    "dataset": "--data",
    **{word: f"--{name.rpartition('.')[2].replace('_', '-')}" for word, name in SETTINGS.items()},
    "arch": "--model",
    "architecture": "--model",
    "network": "--model",
    "backbone": "--model",
}
