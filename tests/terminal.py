"""The real command line on a terminal of a given width."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from contextlib import suppress

from tests.command_line import COMMAND, PATIENCE, warm

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
READING = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


def on_terminal(*arguments, cwd, columns=80, patience=PATIENCE):
    """Run a command whose stdout and stderr are a terminal; returns its exit code and all that it wrote there."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in READING}
    environment["TERM"] = "xterm-256color"
    parts = []

    def read():
        with suppress(OSError):  # the end: nobody has the other side open
            while part := os.read(master, 65536):
                parts.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    words = list(map(str, arguments))
    try:
        if sys.platform == "linux":
            options = {"cwd": cwd, "timeout": patience, "environment": environment}
            code = warm().run_with((slave, slave), "harness.cli", *words, **options)
        else:
            command = [*COMMAND, *words]
            streams = {"stdin": subprocess.DEVNULL, "stdout": slave, "stderr": slave}
            code = subprocess.run(command, cwd=cwd, env=environment, timeout=patience, **streams).returncode
    finally:
        os.close(slave)
        reader.join(timeout=patience)
        os.close(master)
    return code, b"".join(parts).decode().replace("\r\n", "\n")


def plain(text):
    """Return what was written to a terminal without colours and movements."""
    return CONTROL.sub("", text)
