"""Every error a person may meet. One clear sentence each: what was wrong, where, what to do.

Anything that is not an `EmpoError` is a bug. The edges (command line, page) catch `EmpoError`
once and show its text; nothing else does.
"""

from __future__ import annotations


class EmpoError(Exception):
    """Base of all errors that are shown to a person as they are. Exit code 1."""

    exit_code = 1


class UsageError(EmpoError):
    """The request itself is wrong (an unknown name, an empty message). Exit code 2."""

    exit_code = 2


class DataError(EmpoError):
    """A data file cannot be read as what it should be; names the row and the field."""


class StackError(EmpoError):
    """A stack or adapter cannot be loaded, or must not be; names the file and the reason."""


class OutOfMemory(EmpoError):
    """A stack needs more memory than there is; names the cheapest fix."""


class FetchError(EmpoError):
    """A download failed, or what came is not what was promised."""


class Busy(EmpoError):
    """The queue is full; try again in a moment."""


class NotAllowed(EmpoError):
    """The person who asks may not do this; says who may, and how to become that person."""
