"""The `ffpp-prep` command: finds the subcommand, runs it, turns faults into one line and an exit status."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence

from ffpp_prep.command_line.interruption import answer_signals
from ffpp_prep.command_line.program import Program, build_parser, execute, typed
from ffpp_prep.commands import COMMANDS, GO_ON, LOOKING, SYNONYMS
from ffpp_prep.errors import ExitStatus, FatalError, UserError
from ffpp_prep.machine import BROKEN_PIPE
from ffpp_prep.text.printable import printing, readable
from ffpp_prep.version import __version__

PROGRAM = Program(
    name="ffpp-prep",
    version=__version__,
    description="Turns a data set of videos into face boxes (Parquet) and face crops (HDF5).",
    statuses="exit status: 0 clean, 1 some videos failed, 2 usage, 3 fatal (a full disk), "
    "70 a fault of the program, shown with its traceback, 130 interrupted",
    commands=COMMANDS,
    synonyms=SYNONYMS,
)


@printing()
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; faults a user can cause are one line on standard error."""
    stream = readable(sys.stderr)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING, stream=stream)
    options = build_parser(PROGRAM).parse_args(arguments)
    answer_signals()
    try:
        status = execute(options, logging.WARNING)
        sys.stdout.flush()
        return status
    except UserError as error:
        return _fail(typed(error, options), ExitStatus.USAGE)
    except FatalError as error:
        return _fail(error, ExitStatus.FATAL)
    except BrokenPipeError:  # whoever read the output, as `head` does, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (FileNotFoundError, PermissionError, NotADirectoryError, FileExistsError) as error:
        return _fail(_said(error), ExitStatus.USAGE)
    except OSError as error:  # a full or broken disk, where nothing was being written that counts
        return _fail(_said(error), ExitStatus.FATAL)
    except KeyboardInterrupt:
        again = "to go on" if options.command in GO_ON else "to start over; nothing was kept"
        said = "" if options.command in LOOKING else f"; run the same command again {again}"
        return _fail(f"interrupted{said}", ExitStatus.INTERRUPTED)
    except Exception:
        traceback.print_exc(file=stream)
        return int(ExitStatus.BUG)


def _said(error: OSError) -> str:
    """Returns one line; Arrow's errors have a message in place of file name and reason."""
    reason = error.strerror or " ".join(str(error).split()) or type(error).__name__
    return f"{error.filename or 'disk'}: {reason}"


def _fail(error: object, status: ExitStatus) -> int:
    print(f"ffpp-prep: {error}", file=readable(sys.stderr))
    return int(status)
