"""Where compiled loops are kept: beside their source, or under runs/cache.

Packages of a container are read-only, and its user may have no home.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import harness

VARIABLE = "NUMBA_CACHE_DIR"  # numba reads it when it is imported
SOURCES = Path(harness.__file__).with_name("search")
COMPILE_SECONDS = 600  # after which the cells compile by themselves


def choose_cache(folder: Path) -> None:
    """Let numba keep loops in `folder` if it cannot beside their source.

    A folder that the user has named in NUMBA_CACHE_DIR stays. Where `folder` cannot be written either, nothing is kept.
    """
    if VARIABLE in os.environ or _can_write(SOURCES / "__pycache__") or not _can_write(folder):
        return
    os.environ[VARIABLE] = str(folder.absolute())
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = os.environ[VARIABLE]


def compile_once(folder: Path) -> None:
    """Compile the loops of the search if `folder` is in use and empty.

    Confined workers may not write there: each would compile them itself.
    """
    if os.environ.get(VARIABLE) == str(folder.absolute()) and not any(folder.rglob("*.nbi")):
        command = [sys.executable, "-m", "harness.search"]
        try:
            subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=COMPILE_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
