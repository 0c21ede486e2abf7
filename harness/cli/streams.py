"""Standard output and standard error that bear any text and any terminal."""

import codecs
import os
import signal
import sys
from pathlib import Path
from types import FrameType

PLAIN_LETTERS = {
    **{"↑": "^", "↓": "v", "•": "*", "±": "+-", "–": "-", "−": "-", "…": "...", "≥": ">=", "≤": "<=", "×": "x"},
    **{"─": "-", "━": "-", "│": "|", "┃": "|", "█": "#", "’": "'", "“": '"', "”": '"'},
}
ERRORS = "plain"  # the name of the error handler

_interrupts: list[int] = []


def prepare_streams() -> None:
    """Let both streams print every letter, and a closed one swallow it.

    What the encoding of a terminal lacks becomes a plain letter, or a question mark.
    """
    codecs.register_error(ERRORS, _replace)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # the command was started with `>&-`
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif not stream.encoding.lower().replace("-", "").startswith("utf"):
            stream.reconfigure(errors=ERRORS)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(PLAIN_LETTERS.get(letter, "?") for letter in letters), error.end


def catch_interrupts() -> None:
    """Raise KeyboardInterrupt at SIGINT and SIGTERM, and remember it.

    A shell makes what it starts in the background ignore SIGINT; SIGTERM it does not.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)


def release_interrupts() -> None:
    """Let SIGINT and SIGTERM end the process, once the command has ended.

    Python would print a traceback of an interrupt while it leaves.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _interrupts.append(number)
    raise KeyboardInterrupt


def was_interrupted() -> bool:
    """Return True after an interrupt, though C code may have hidden it."""
    return bool(_interrupts)
