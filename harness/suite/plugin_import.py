"""Import plugins so that none of them ends, moves or stops the program."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from harness.errors import PluginError

LIMIT_VARIABLE = "HARNESS_IMPORT_SECONDS"
DEFAULT_LIMIT = 60.0  # seconds that the import of one plugin may take


class ImportTimeout(BaseException):
    """The import of a plugin took too long.

    No Exception: a plugin that catches every Exception is stopped too.
    """


@contextmanager
def guard_import() -> Iterator[None]:
    """Run the import of a plugin in the context.

    The working directory is what it was before; a call of `os._exit` and an import that takes longer than
    HARNESS_IMPORT_SECONDS are exceptions. The limit needs the main thread.
    """
    folder, leave = os.open(".", os.O_RDONLY), os._exit
    os._exit = _refuse_to_exit  # type: ignore[assignment]
    try:
        with _time_limit(_import_limit()):
            yield
    finally:
        os._exit = leave
        os.fchdir(folder)
        os.close(folder)


def _refuse_to_exit(code: int) -> NoReturn:
    raise PluginError(f"calls os._exit({code!r}) when it is imported")


def _import_limit() -> float:
    with suppress(ValueError):
        limit = float(os.environ.get(LIMIT_VARIABLE, DEFAULT_LIMIT))
        if 0 < limit < 1e6:
            return limit
    return DEFAULT_LIMIT


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise ImportTimeout(f"not imported after {seconds:g} s; {LIMIT_VARIABLE} sets another limit")

    handler, started = signal.signal(signal.SIGALRM, stop), time.monotonic()
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 1)  # again each second, where it is caught
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if remaining:  # somebody else's timer goes on
            signal.setitimer(signal.ITIMER_REAL, max(remaining - (time.monotonic() - started), 1e-3), interval)
