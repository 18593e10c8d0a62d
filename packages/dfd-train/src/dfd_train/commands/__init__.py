"""The subcommands of `dfd-train`, one module each: HELP, EXAMPLE, `add_arguments(parser)` and `run(options)`.

Modules here import nothing heavy at the top: `dfd-train --help` answers at once.
"""

from dfd_train.commands import (
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
)

COMMANDS = (
    ("run", run),
    ("preview-transforms", preview_transforms),
    ("evaluate", evaluate),
    ("predict", predict),
    ("explain", explain),
    ("robustness", robustness),
    ("export", export),
    ("serve", serve),
    ("report", report),
    ("compare", compare),
)
