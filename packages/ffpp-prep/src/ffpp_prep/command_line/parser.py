"""argparse, whose mistakes are one line like all others, with the name that was probably meant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, NoReturn

from ffpp_prep.command_line.suggest import did_you_mean
from ffpp_prep.errors import ExitStatus

__all__ = ["Parser"]


class Parser(argparse.ArgumentParser):
    """A parser for a command or for its subcommands; flags can't be abbreviated.

    Args:
        synonyms: other words for its flags and subcommands, see `did_you_mean`.
        arguments: as argparse takes them.
    """

    def __init__(self, synonyms: Mapping[str, str] | None = None, **arguments: Any) -> None:
        super().__init__(**arguments, allow_abbrev=False)
        self._synonyms = synonyms or {}
        self._old_names: dict[str, str] = {}
        self._mixes = False

    def add_old_name(self, old: str, new: str) -> None:
        """Keeps a flag's old name working for one version, with a note on standard error; no help lists it."""
        self._old_names[old] = new

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Refuses unknown flags first: the one that is missing may be the one that is misspelt."""
        args = [self._today(text) for text in (sys.argv[1:] if args is None else args)]
        if self._subparsers and not args:
            (commands,) = self._subparsers._group_actions
            self.error(f"which command? one of {', '.join(commands.choices or ())}")
        own = takewhile(lambda text: text.startswith("-"), args) if self._subparsers else args
        for text in takewhile(lambda text: text != "--", own):
            flag = text.partition("=")[0]
            if flag.startswith("--") and flag not in self._option_string_actions:
                self.error(
                    f"unknown flag {flag}{did_you_mean(flag, self._option_string_actions, self._synonyms)}"
                )
        parsed, left = self._parse(args, namespace)
        if left and not self._mixes:
            self.error(f"unexpected: {' '.join(left)}")
        return parsed, left

    def _parse(self, args: list[str], namespace: Any) -> Any:
        """Returns what argparse does; flags may stand between a command's other arguments: `predict A --with B c`."""
        if self._subparsers or self._mixes:
            return super().parse_known_args(args, namespace)
        self._mixes = True
        try:
            return self.parse_known_intermixed_args(args, namespace)  # which comes here twice
        finally:
            self._mixes = False

    def error(self, message: str) -> NoReturn:
        """Ends with one line and the status of a usage error."""
        end = "" if message.endswith("?") else ";"
        self.exit(ExitStatus.USAGE, f"{self.prog}: {message}{end} see  {self.prog} --help\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            meant = did_you_mean(str(value), map(str, action.choices or ()), self._synonyms)
            raise argparse.ArgumentError(action, f"{error.message}{meant}") from None

    def _today(self, text: str) -> str:
        """Returns the argument with the flag's name of today."""
        old, sign, value = text.partition("=")
        if old not in self._old_names:
            return text
        new = self._old_names[old]
        note = f"{self.prog}: {old} is called {new} now; the old name works until the next version"
        print(note, file=sys.stderr)
        return f"{new}{sign}{value}"
