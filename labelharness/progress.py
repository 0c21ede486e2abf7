"""Execute a run and show its progress: in a notebook or on a terminal."""

import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from harness.run.blocks import Recipe
from harness.run.executor import Outcome, execute
from harness.run.locations import naming_user_files
from harness.run.runner import Run

Show = Callable[[str, int, int], None]
"""Show a line and a bar: how many of how many."""


def execute_with_progress(run: Run, shown: bool | None = None, blocks: Collection[str] = ()) -> None:
    """Run the unfinished cells; the `blocks` of these names are made too.

    Progress is shown in a notebook and on a terminal; `shown` may forbid it. The caller holds the run's lock.
    """
    total = len(run.cells)
    reused = finished = len(run.store.finished_keys(cell.key for cell in run.cells))
    failed = 0

    def show_cells() -> None:
        show(f"{run.suite.name}: cells ({failed} failed, {reused} reused)", finished, total)

    def on_block(recipe: Recipe, rows: int, all_rows: int) -> None:
        show(f"{run.suite.name}: rows of block {recipe.name}", rows, all_rows)

    def on_list(name: str, rows: int, all_rows: int) -> None:
        show(f"{run.suite.name}: rows of neighbours on {name}", rows, all_rows)

    def on_cell(outcome: Outcome) -> None:
        nonlocal finished, failed
        finished += 1
        failed += outcome.status == "failed"
        show_cells()

    with _progress_bar(shown) as show, naming_user_files(run.dataset.table, run.dataset.items):
        show_cells()
        execute(run, on_block, on_cell, on_list, blocks)


@contextmanager
def unchanged_environment() -> Iterator[None]:
    """Give the variables of this process back as they were.

    A run sets those that its workers' libraries read. A notebook goes on after it, and may use the GPU.
    """
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _progress_bar(shown: bool | None) -> Iterator[Show]:
    if shown is False:
        yield lambda line, count, total: None
    elif _is_notebook():
        yield _notebook_bar()
    elif sys.stderr.isatty():
        yield lambda line, count, total: _write(f"\r\x1b[K{line}: {count:,} of {total:,}")
        _write("\n")
    else:
        yield lambda line, count, total: None


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _is_notebook() -> bool:
    """Return True in a kernel; IPython on a terminal has none."""
    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def _notebook_bar() -> Show:
    """Return a bar that is drawn in one place of the cell's output."""
    from IPython.display import HTML, display

    handle = display(HTML(""), display_id=True)

    def show(line: str, count: int, total: int) -> None:
        bar = f'<progress value="{count}" max="{max(total, 1)}"></progress>'
        handle.update(HTML(f"{bar} {escape(line)}: {count:,} of {total:,}"))

    return show
