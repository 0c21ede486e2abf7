"""What can go wrong, as types: a person's mistake, a labeler that does not apply, a directory in use."""

from collections.abc import Iterable
from difflib import get_close_matches


class HarnessError(Exception):
    """A mistake in a suite, in the data or in the choice of plugins; its text is what the user reads. Exit code 2."""


class SuiteError(HarnessError):
    """The suite file is wrong. One line per mistake, each with file, line and place."""


class DataError(HarnessError):
    """The data cannot be used as they are: file, column, first rows and what to do about it."""


class PluginError(HarnessError):
    """A plugin that the suite uses is unknown, broken, or registered twice."""


class InUse(Exception):  # noqa: N818 - a state of the directory
    """Another process is writing this run directory; exit code 4."""


class NotApplicable(Exception):  # noqa: N818 - a statement, not an error
    """Raised by a labeler that is not made for the task at hand: a grey cell with its reason, not a failure."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?", or the list of known names where nothing is near.

    >>> nearest("kk", ["k", "tau"])
    "; did you mean 'k'?"
    >>> nearest("zebra", ["k", "tau"])
    '; known: k, tau'
    """
    known = sorted(known)
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(known)}" if known else ""


def printable(text: str) -> str:
    """Return `text` as one line fit for a terminal.

    >>> printable("a\\x1b[31m")
    'a\\\\x1b[31m'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def first_few(rows: Iterable[object], limit: int = 3) -> str:
    """Name the first few of many: ``first_few([4, 7, 9, 11])`` is '4, 7, 9, ...'."""
    first = [str(row) for _, row in zip(range(limit + 1), rows, strict=False)]
    return ", ".join(first[:limit]) + (", ..." if len(first) > limit else "")
