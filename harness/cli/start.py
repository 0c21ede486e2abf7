"""Start the command so that an interrupt at any moment ends it quietly."""

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130  # the exit code


def main() -> None:
    """Run the command line and exit with its code.

    Until the command itself catches interrupts there is nothing to finish or to remove, only imports, in the midst of
    which an exception would become another error: the process ends at once.
    """
    signal.signal(signal.SIGTERM, _leave)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _leave)
    try:
        from harness.cli.app import main as run_command

        run_command()
    except KeyboardInterrupt:  # between two handlers: Python would end itself by the signal
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(INTERRUPTED)


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)
