"""Exceptions of the harness, and helpers for their messages."""

from collections.abc import Iterable
from difflib import get_close_matches

MAX_LINE = 2_000  # letters of a line that comes from a plugin or a file


class HarnessError(Exception):
    """A mistake of the user in a suite, the data or the choice of plugins.

    Its text is printed as it is; exit code 2.
    """

    @property
    def problems(self) -> list[str]:
        """The mistakes, one a line of its text."""
        return str(self).splitlines()


class SuiteError(HarnessError):
    """A suite file is invalid: a line per mistake, with file and line."""


class DataError(HarnessError):
    """The data cannot be used: file, column, first rows, and the remedy.

    `place` has the keys of the suite that it is about, such as ("data", "id"); who has the suite adds file and line.
    """

    def __init__(self, message: str, place: tuple[str | int, ...] | None = None) -> None:
        super().__init__(message)
        self.place = place


class PluginError(HarnessError):
    """A plugin that the suite uses is unknown, broken, or registered twice."""


class InUse(Exception):  # noqa: N818 - a state of the directory
    """Another process is writing this run directory; exit code 4."""


class NotApplicable(Exception):  # noqa: N818 - a statement, not an error
    """A labeler does not apply to a task.

    The cell is grey and shows the reason; it does not count as failed.
    """


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return "; did you mean 'x'?", or the options where none is similar.

    >>> did_you_mean("kk", ["k", "tau"])
    "; did you mean 'k'?"
    >>> did_you_mean("zebra", ["k", "tau"])
    '; known: k, tau'
    """
    options = sorted(options)
    close = get_close_matches(name, options, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(options)}" if options else ""


def printable(text: str) -> str:
    """Escape control characters, so that `text` is one safe line.

    >>> printable("a\\x1b[31m")
    'a\\\\x1b[31m'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def clean_lines(text: str, limit: int = MAX_LINE) -> str:
    """Escape control characters in every line, and cut long ones.

    For text that a plugin or a file has chosen.
    """
    cut = (line if len(line) <= limit else f"{line[:limit]}... ({len(line):,} letters)" for line in text.split("\n"))
    return "\n".join(map(printable, cut))


MAX_REASON = 1_000  # characters of a reason that is stored and shown


def first_line(text: str) -> str:
    """Return the first line of a message, cut, as valid Unicode.

    >>> first_line("  one\\ntwo")
    'one'
    """
    line = next(iter(text[: 10 * MAX_REASON].strip().splitlines()), "")
    line = line.encode("utf-8", "backslashreplace").decode()
    return line if len(line) <= MAX_REASON else f"{line[: MAX_REASON - 4]} ..."


def describe_error(error: BaseException) -> str:
    """Return an exception's type and the first line of its message.

    An exception that cannot be printed is described too.

    >>> describe_error(ValueError("one\\ntwo"))
    'ValueError: one'
    """
    try:
        message = first_line(str(error)) or "no message"
    except Exception:
        message = "a message that cannot be printed"
    return first_line(f"{type(error).__name__}: {message}")


def first_few(rows: Iterable[object], limit: int = 3) -> str:
    """Join the first few values with commas.

    >>> first_few([4, 7, 9, 11])
    '4, 7, 9, ...'
    """
    first = [str(row) for _, row in zip(range(limit + 1), rows, strict=False)]
    return ", ".join(first[:limit]) + (", ..." if len(first) > limit else "")
