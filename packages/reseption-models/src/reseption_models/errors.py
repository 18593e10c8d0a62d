"""The error that a caller's value causes."""

from __future__ import annotations


class UserError(ValueError):
    """A wrong argument or file; the message is one line with the value seen and what is allowed."""


class UnknownArgument(UserError, TypeError):
    """A keyword that a network doesn't take: a TypeError to programs that expect Python's own."""
