"""`harness why`: explain why a cell runs again, or would."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import SUITE_OPTIONS, SharedOptions, make_reporter, open_runs, with_options
from harness.errors import HarnessError, did_you_mean

if TYPE_CHECKING:
    from harness.cli.console import Reporter
    from harness.run.key_diff import FinishedCell
    from harness.run.plan import Cell
    from harness.run.runner import Run


@with_options(*SUITE_OPTIONS)
def why(
    cell: Annotated[str, typer.Argument(help="The first digits of a cell's key, or the name of a labeler.")],
    suite: Annotated[
        Path | None, typer.Argument(metavar="[SUITE]", help="The suite to plan; else runs/ alone.")
    ] = None,
    *,
    options: SharedOptions,
) -> None:
    """Explain why a cell runs again: what differs between its key and
    that of the finished cell most like it.

    With a SUITE the cells it plans are explained; without, a finished cell is compared with its predecessor in runs/.
    """
    reporter = make_reporter(options.as_json)
    if suite is None:
        _explain_finished(reporter, cell, options.to_run_options().output / "runs")
        return
    _, runs = open_runs(reporter, suite, options)
    matches = [(run, planned) for run in runs for planned in run.cells if _is_match(planned, cell)]
    if not matches:
        titles = {planned.candidate.title for run in runs for planned in run.cells}
        raise HarnessError(
            f"{suite}: plans no cell {cell!r}; give the first digits of a key{did_you_mean(cell, titles)}"
        )
    for run, planned in matches:
        _explain_planned(reporter, run, planned)


def _is_match(cell: "Cell", text: str) -> bool:
    """Return True if `text` is the cell's labeler or begins its key."""
    return cell.candidate.title == text or (bool(text) and cell.key.startswith(text))


def _explain_planned(reporter: "Reporter", run: "Run", cell: "Cell") -> None:
    from harness.run.key_diff import explain

    similar, differences = None, list[str]()
    if run.store.has(cell.key):
        state = "finished: it would not run again"
    elif failure := run.store.failure(cell.key):
        state = f"would run again because it {failure['status']}: {failure['reason']}"
    else:
        similar, differences = explain(cell, run.store)
        state = "would run" if similar is None else "would run again"
    _print_explanation(reporter, cell.key, str(cell), state, similar, differences)


def _explain_finished(reporter: "Reporter", digits: str, folder: Path) -> None:
    """Compare the finished cells of a key with their predecessors."""
    from harness.run.key_diff import differences, most_similar, read_finished
    from harness.run.store import Store

    stores = [Store(path.parent) for path in sorted(folder.glob("*/cells"))]
    finished = {store.folder.name: read_finished(store) for store in stores}
    matches = [(name, cell) for name, cells in finished.items() for cell in cells if cell.key.startswith(digits)]
    if not digits or not matches:
        raise HarnessError(f"{folder}: no finished cell has a key that begins with {digits!r}; name the suite as well")
    for name, cell in matches:
        if not cell.parts:
            state = "finished, before the parts of a key were written down"
            _print_explanation(reporter, cell.key, str(cell), state, None, [])
            continue
        similar = most_similar(cell.parts, cell.key, cell.split, finished[name])
        sentences = [] if similar is None else differences(similar.parts, cell.parts)
        _print_explanation(reporter, cell.key, str(cell), "finished", similar, sentences)


def _print_explanation(
    reporter: "Reporter", key: str, name: str, state: str, similar: "FinishedCell | None", differences: list[str]
) -> None:
    if reporter.as_json:
        similar_key = None if similar is None else similar.key
        reporter.event("why", cell=key, what=name, state=state, like=similar_key, differences=differences)
        return
    reporter.line(f"{key[:12]}  {name}: {state}")
    if similar is not None:
        reporter.line(f"  most like it: {similar.key[:12]}  {similar}; it differs in")
        for sentence in differences:
            reporter.line(f"  - {sentence}")
    elif state == "would run":
        reporter.line("  no finished cell is of this labeler, with the parts of its key written down")
