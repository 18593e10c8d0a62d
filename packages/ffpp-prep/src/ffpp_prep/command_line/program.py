"""A program of several commands: its parser, and what all commands take (-q, -v, --log, --json)."""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, TextIO

from ffpp_prep.command_line.interruption import end_if_interrupted
from ffpp_prep.command_line.parser import Parser
from ffpp_prep.errors import UserError
from ffpp_prep.text.printable import readable

__all__ = ["STREAMED", "Command", "Outcome", "Program", "build_parser", "execute", "typed"]

PACKAGES = ("ffpp_prep", "reseption_models", "dfd_train")
STREAMED = object()  # the result of a command that has printed it as it came, by `options.emit`: JSON lines
SHELLS = ("bash", "zsh", "tcsh")


@dataclass(frozen=True)
class Outcome:
    """A command's exit status and result.

    Attributes:
        status: its exit status.
        result: what `--json` prints: plain values, dataclasses, paths, tables.
    """

    status: int
    result: object


class Command(Protocol):
    """A command's module. It imports what is heavy inside `run`, so that `--help` answers at once."""

    HELP: str
    EXAMPLE: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Adds what this command alone takes."""
        ...

    def run(self, options: argparse.Namespace) -> int | Outcome:
        """Does the work, prints for a person, and returns the exit status, with a result where there is one."""
        ...


@dataclass(frozen=True)
class Program:
    """A program.

    Attributes:
        name: as it is typed.
        version: its package's.
        description: one sentence.
        statuses: what its exit statuses mean, for the help.
        commands: names and modules, in the order of the help.
        synonyms: other words for commands and flags, see `ffpp_prep.command_line.suggest`.
    """

    name: str
    version: str
    description: str
    statuses: str
    commands: Sequence[tuple[str, Any]]
    synonyms: Mapping[str, str]


def build_parser(program: Program) -> Parser:
    """Returns the parser of all commands; the chosen one's `run` is in the options."""
    parser = Parser(
        program.synonyms, prog=program.name, description=program.description, epilog=program.statuses
    )
    parser.add_argument("--version", action="version", version=f"{program.name} {program.version}")
    _add_completion(parser)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in program.commands:
        own = subparsers.add_parser(
            name,
            synonyms=program.synonyms,
            help=command.HELP,
            description=command.HELP,
            epilog=f"example: {command.EXAMPLE}\n\n{program.statuses}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(own)
        _add_common(own)
        own.set_defaults(run=command.run, command=name, flags=frozenset(own._option_string_actions))
    return parser


def execute(options: argparse.Namespace, level: int) -> int:
    """Runs the chosen command and returns its exit status; its result goes to standard output with `--json`.

    Args:
        options: of `build_parser`'s parser.
        level: what a person is told of where neither -q nor -v is given, as in `logging`.

    Raises: KeyboardInterrupt where a signal ended the command, whatever a library made of it.
    """
    out = sys.stdout
    with _streams(options, level):
        log = logging.getLogger(options.run.__module__)
        log.debug("begins: %s", " ".join(sys.argv))
        options.emit = partial(_emit, out) if options.json else _nothing
        try:
            found = options.run(options)
        except Exception:
            end_if_interrupted()
            raise
        outcome = found if isinstance(found, Outcome) else Outcome(int(found), None)
        log.debug("ends with status %d", outcome.status)
    if options.json and outcome.result is not STREAMED:
        print(json.dumps(_plain(outcome.result), indent=1, ensure_ascii=False), file=out)
    return int(outcome.status)


def _emit(out: TextIO, value: object) -> None:
    print(json.dumps(_plain(value), ensure_ascii=False), file=out, flush=True)


def _nothing(value: object) -> None:
    pass


def typed(error: Exception, options: argparse.Namespace) -> str:
    """Returns an error's message as the person types it: a library's `jobs=0: …` becomes `--jobs 0: …`."""
    name, sign, rest = str(error).partition("=")
    flag = f"--{name.replace('_', '-')}"
    return f"{flag} {rest}" if sign and flag in options.flags else str(error)


def _add_common(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("common to all commands")
    loud = group.add_mutually_exclusive_group()
    loud.add_argument("-q", "--quiet", action="store_true", help="print errors only, and no progress")
    loud.add_argument("-v", "--verbose", action="store_true", help="print more about what is done")
    group.add_argument(
        "--log", type=Path, metavar="FILE", help="append all messages to this file, with times"
    )
    group.add_argument(
        "--json",
        action="store_true",
        help="print the result as JSON on standard output, everything else on standard error",
    )


def _add_completion(parser: argparse.ArgumentParser) -> None:
    if find_spec("shtab") is None:  # installed with the packages; a copy without it works all the same
        return
    import shtab

    shtab.add_argument_to(
        parser, "--completion", help="print a script for shell completion; see docs/install.md"
    )


@contextmanager
def _streams(options: argparse.Namespace, level: int) -> Iterator[None]:
    """Sends what is printed and logged meanwhile to where the common options say."""
    with ExitStack() as stack:
        if options.quiet:
            stack.enter_context(redirect_stdout(io.StringIO()))
            stack.enter_context(redirect_stderr(_NoTerminal(sys.stderr)))  # so that bars don't show
        elif options.json:
            stack.enter_context(redirect_stdout(readable(sys.stderr)))
        logging.getLogger().setLevel(logging.ERROR if options.quiet else level)
        ours = [logging.getLogger(name) for name in PACKAGES]
        for logger in ours:
            logger.setLevel(logging.DEBUG if options.verbose or options.log else logging.NOTSET)
        for handler in logging.getLogger().handlers:
            handler.setLevel(logging.ERROR if options.quiet else logging.DEBUG if options.verbose else level)
        if options.log:
            stack.enter_context(_logged(options.log))
        yield


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    try:
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UserError(f"--log {path}: {error.strerror}") from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


class _NoTerminal:
    """A stream that says that nobody looks at it."""

    quiet = True

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        return False


def _plain(value: Any) -> Any:
    """Returns what `json` can write of a result; NaN becomes null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {
            " ".join(map(str, key)) if isinstance(key, tuple) else str(key): _plain(v)
            for key, v in value.items()
        }
    if hasattr(value, "to_dict"):  # a table of pandas
        return [_plain(row) for row in value.to_dict("records")]
    if hasattr(value, "item") and not getattr(value, "shape", ()):  # a number of NumPy
        return _plain(value.item())
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)
