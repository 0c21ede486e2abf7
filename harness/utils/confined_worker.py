"""Confine a worker, and let what it imports live with that."""

import contextlib
import importlib.machinery
import os
import sys
import tempfile
from dataclasses import replace
from typing import Any

from harness.utils.confinement import Access, confine

TEMPORARY_FOLDER = "tmp"  # of a confined worker, in its own


def confine_worker(access: Access, folder: str) -> None:
    """Confine the child to `access` and its folder, with a temporary one."""
    temporary = os.path.join(folder, TEMPORARY_FOLDER)  # noqa: PTH118
    os.mkdir(temporary)  # noqa: PTH102
    for name in ("TMPDIR", "JOBLIB_TEMP_FOLDER", "NUMBA_CACHE_DIR"):
        os.environ[name] = temporary
    tempfile.tempdir = None
    importlib.machinery.PathFinder.find_spec("_no_such_module")  # lists the folders of modules, which it cannot later
    if "numba" in sys.modules:
        _keep_compiled_loops_in_memory(temporary)
    confine(replace(access, writes=(*access.writes, folder)))


def _keep_compiled_loops_in_memory(temporary: str) -> None:
    """Let numba go on where compiled loops cannot be read or kept on disk.

    Those of modules that are imported from here on go to the temporary folder.
    """
    import numba
    from numba.core import caching

    numba.config.CACHE_DIR = temporary  # type: ignore[attr-defined]
    cache: Any = caching.Cache
    save, load = cache.save_overload, cache.load_overload

    def save_if_allowed(self: Any, signature: Any, data: Any) -> None:
        with contextlib.suppress(OSError):
            save(self, signature, data)

    def load_if_allowed(self: Any, signature: Any, target: Any) -> Any:
        with contextlib.suppress(OSError):
            return load(self, signature, target)

    cache.save_overload, cache.load_overload = save_if_allowed, load_if_allowed
