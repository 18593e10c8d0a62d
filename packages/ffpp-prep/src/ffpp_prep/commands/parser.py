"""argparse, whose mistakes are one line like all others, with the name that was probably meant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import takewhile
from typing import Any, NoReturn

from ffpp_prep.errors import ExitStatus


class Parser(argparse.ArgumentParser):
    """A parser for a command or for its subcommands; abbreviated flags are none."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments, allow_abbrev=False)

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Refuses unknown flags first: the one that is missing may be the one that is misspelt."""
        args = sys.argv[1:] if args is None else args
        own = takewhile(lambda text: text.startswith("-"), args) if self._subparsers else args
        for text in takewhile(lambda text: text != "--", own):
            flag = text.partition("=")[0]
            if flag.startswith("--") and flag not in self._option_string_actions:
                self.error(f"unknown flag {flag}{did_you_mean(flag, self._option_string_actions)}")
        parsed, left = super().parse_known_args(args, namespace)
        if left:
            self.error(f"unexpected: {' '.join(left)}")
        return parsed, left

    def error(self, message: str) -> NoReturn:
        """Ends with one line and the status of a usage error."""
        end = "" if message.endswith("?") else ";"
        self.exit(ExitStatus.USAGE, f"{self.prog}: {message}{end} see  {self.prog} --help\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            meant = did_you_mean(str(value), map(str, action.choices or ()))
            raise argparse.ArgumentError(action, f"{error.message}{meant}") from None


def did_you_mean(seen: str, known: Iterable[str]) -> str:
    """The end of an error message: `; did you mean NAME?`, or nothing where no name is near."""
    near = get_close_matches(seen, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""
