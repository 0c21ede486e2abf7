"""The files that the worker of one cell may read."""

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from harness.plugin.protocols import iter_plugins
from harness.plugin.task import Task
from harness.run import compiled_loops
from harness.suite.catalog import Catalog
from harness.utils.confinement import Access


def cell_access(labeler: Any, task: Task, catalog: Catalog) -> Access:
    """Return what a labeler needs: its code, its task, what it declares.

    That is neither the data file nor another cell.
    """
    plugins = list(iter_plugins(labeler))
    return Access(
        reads=tuple(
            dict.fromkeys(
                [
                    *_code_files(plugins, catalog),
                    *_task_files(task),
                    *filter(None, [os.environ.get(compiled_loops.VARIABLE)]),
                    *_paths(plugins),
                    *_declared(plugins, "reads"),
                ]
            )
        ),
        writes=tuple(_declared(plugins, "writes")),
        network=opens_sockets(plugins),
    )


def opens_sockets(plugins: Iterable[Any]) -> bool:
    """Return True if a plugin declares ``network = True``.

    An attribute of another kind, such as a method of that name, declares nothing.
    """
    return any(getattr(plugin, "network", False) is True for plugin in plugins)


def _code_files(plugins: Iterable[Any], catalog: Catalog) -> Iterator[str]:
    for plugin in plugins:
        entry = catalog.of(plugin)
        top = sys.modules[entry.cls.__module__.partition(".")[0]]
        yield from [entry.file] if entry.file is not None else getattr(top, "__path__", [str(top.__file__)])


def _task_files(task: Task) -> Iterator[str]:
    yield from (block.path for block in task.blocks.values() if block.path is not None)
    for lists in (task.precomputed, task.precomputed_graphs):
        yield from (neighbors.folder for neighbors in lists.values())


def _paths(plugins: Iterable[Any]) -> Iterator[str]:
    """Yield the files and folders among the parameters."""
    for plugin in plugins:
        for field in fields(plugin):
            value = getattr(plugin, field.name)
            values = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
            yield from (str(part.absolute()) for part in values if isinstance(part, Path))


def _declared(plugins: Iterable[Any], attribute: str) -> Iterator[str]:
    for plugin in plugins:
        yield from (str(Path(path).expanduser().absolute()) for path in getattr(plugin, attribute, ()))
