"""`harness why`: explain why cells run again, or would."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import SUITE_OPTIONS, SharedOptions, SuiteFile, make_reporter, open_runs, with_options
from harness.errors import HarnessError, did_you_mean

if TYPE_CHECKING:
    from harness.cli.console import Reporter
    from harness.run.key_diff import FinishedCell
    from harness.run.plan import Cell
    from harness.run.runner import Run

FINISHED = "finished: it would not run again"
UNPLANNED = "finished, and the suite plans it no more"
WITHOUT_PARTS = "finished, before the parts of a key were written down"
MAX_SHOWN_CELLS = 3  # of those that run again for one reason


@dataclass(frozen=True)
class Explanation:
    """The state of a cell, and what differs from the cell most like it."""

    key: str
    name: str
    state: str
    similar: "FinishedCell | None" = None
    differences: tuple[str, ...] = ()


@with_options(*SUITE_OPTIONS)
def why(
    suite: SuiteFile,
    key: Annotated[
        str | None,
        typer.Argument(metavar="[KEY]", help="The first digits of a cell's key, or the name of a labeler; else all."),
    ] = None,
    *,
    options: SharedOptions,
) -> None:
    """Explain why cells of a suite run again: what differs between their
    keys and those of the finished cells most like them.

    Without KEY all cells are counted by reason. A finished cell is compared with its predecessor, planned no more.
    """
    if not suite.exists():
        _refuse_missing(suite, key, options.to_run_options().output / "runs")
    reporter = make_reporter(options.as_json)
    _, runs = open_runs(reporter, suite, options)
    explanations = {run.suite.name: list(_explain(run, key)) for run in runs}
    if key is not None and not any(explanations.values()):
        titles = {planned.candidate.title for run in runs for planned in run.cells}
        raise HarnessError(f"{suite}: has no cell {key!r}; give the first digits of a key{did_you_mean(key, titles)}")
    for name, explained in explanations.items():
        if options.as_json:
            for explanation in explained:
                _print_event(reporter, explanation)
        elif key is None:
            _print_summary(reporter, name, explained)
        else:
            for explanation in explained:
                _print_explanation(reporter, explanation)


def _refuse_missing(suite: Path, key: str | None, folder: Path) -> None:
    """Raise HarnessError for a key without its suite, or before it."""
    if key is not None and Path(key).exists():
        raise HarnessError(f"{suite}: no such file; the suite comes first: harness why {key} {suite}")
    digits = suite.name if key is None and suite.name.isalnum() else "-"
    runs = sorted({cell.parents[1] for cell in folder.glob(f"*/cells/{digits}*")})
    if runs:
        raise HarnessError(f"{suite}: no such file; a cell is named after its suite: harness why {runs[0]} {suite}")


def _explain(run: "Run", text: str | None) -> "Iterable[Explanation]":
    """Yield the cells of a run that `text` names, all planned ones for None.

    Finished cells that are not planned are named by their key alone.
    """
    from harness.run.key_diff import differences, most_similar, read_finished

    planned_keys = {cell.key for cell in run.cells}
    finished = read_finished(run.store)
    earlier = _by_split(cell for cell in finished if cell.key not in planned_keys)
    by_split = _by_split(finished)
    for cell in run.cells:
        if text is not None and not _is_match(cell, text):
            continue
        is_finished = run.store.has(cell.key)
        if not is_finished and (failure := run.store.failure(cell.key)):
            yield Explanation(
                cell.key, str(cell), f"would run again because it {failure['status']}: {failure['reason']}"
            )
            continue
        split, names = str(cell.evaluation), frozenset(cell.parts["labeler"])
        # A finished cell is compared with what the suite planned before it, not with others of its grid.
        candidates = earlier if is_finished else by_split
        nearest = candidates.get((names, split)) or ([] if is_finished else candidates.get((names, ""), []))
        similar = most_similar(cell.parts, cell.key, split, nearest)
        state = FINISHED if is_finished else "would run" if similar is None else "would run again"
        phrases = () if similar is None else tuple(differences(similar.parts, cell.parts))
        yield Explanation(cell.key, str(cell), state, similar, phrases)
    for other in finished if text else ():
        if other.key not in planned_keys and other.key.startswith(text or ""):
            similar = most_similar(other.parts, other.key, other.split, finished) if other.parts else None
            phrases = () if similar is None else tuple(differences(similar.parts, other.parts))
            yield Explanation(other.key, str(other), UNPLANNED if other.parts else WITHOUT_PARTS, similar, phrases)


def _is_match(cell: "Cell", text: str) -> bool:
    """Return True if `text` is the cell's labeler or begins its key."""
    return cell.candidate.title == text or (bool(text) and cell.key.startswith(text))


def _by_split(cells: "Iterable[FinishedCell]") -> "dict[tuple[frozenset[str], str], list[FinishedCell]]":
    """Group cells by (plugins, split); those of all splits are under ""."""
    groups: dict[tuple[frozenset[str], str], list[FinishedCell]] = {}
    for cell in cells:
        names = frozenset(cell.parts.get("labeler", ()))
        groups.setdefault((names, cell.split), []).append(cell)
        groups.setdefault((names, ""), []).append(cell)
    return groups


def _print_event(reporter: "Reporter", explanation: Explanation) -> None:
    reporter.event(
        "why",
        cell=explanation.key,
        what=explanation.name,
        state=explanation.state,
        like=None if explanation.similar is None else explanation.similar.key,
        differences=explanation.differences,
    )


def _print_explanation(reporter: "Reporter", explanation: Explanation) -> None:
    reporter.line(f"{explanation.key[:12]}  {explanation.name}: {explanation.state}")
    if explanation.similar is not None:
        reporter.line(f"  most like it: {explanation.similar.key[:12]}  {explanation.similar}; it differs in")
        for phrase in explanation.differences:
            reporter.line(f"  - {phrase}")
    elif explanation.state == "would run":
        reporter.line("  no finished cell is of this labeler, with the parts of its key written down")


def _print_summary(reporter: "Reporter", name: str, explanations: list[Explanation]) -> None:
    """Print how many cells are finished, and the reasons of the others."""
    groups: dict[tuple[str, tuple[str, ...]], list[Explanation]] = {}
    for explanation in explanations:
        if explanation.state != FINISHED:
            groups.setdefault((explanation.state, explanation.differences), []).append(explanation)
    pending = sum(map(len, groups.values()))
    rest = f"{pending:,} would run" if pending else "none would run again"
    reporter.line(f"{name}: {len(explanations):,} cells, {len(explanations) - pending:,} finished, {rest}")
    for (state, phrases), group in sorted(groups.items(), key=lambda item: -len(item[1])):
        reason = "; no finished cell is of their labelers" if state == "would run" else ""
        reporter.line(f"{len(group):,} {state}{reason}{': ' if phrases else ''}{'; '.join(phrases)}")
        for explanation in group[:MAX_SHOWN_CELLS]:
            reporter.line(f"  {explanation.key[:12]}  {explanation.name}")
        if len(group) > MAX_SHOWN_CELLS:
            reporter.line(f"  and {len(group) - MAX_SHOWN_CELLS:,} more")
