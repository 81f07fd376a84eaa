"""Two kinds of error that people meet: their own, and an outside system's."""

from __future__ import annotations


class UserError(ValueError):
    """Something given cannot be used; the message says what was got, what is expected, what to do. Exit code 2."""


class OutsideError(RuntimeError):
    """A system that we depend on does not work; the message says which and what to do. Exit code 3."""
