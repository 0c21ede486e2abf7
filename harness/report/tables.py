"""The tables of a report, as values: a page shows them rounded, their CSV twins in full."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from math import floor, isinf, log10
from typing import Any, Literal

from harness.report.csv_files import Row, to_csv
from harness.report.markdown import place, span
from harness.run.runner import Run
from harness.scoring.leaderboard import DECIMALS, CellResult, Leaderboard, MeanStd
from harness.scoring.profiles import ErrorOverlap, LabelerProfile
from harness.statistics.costs import Prices, cost
from harness.statistics.metrics import CALIBRATION_BINS, DISPLAY_NAMES, LOWER_IS_BETTER
from harness.statistics.selective import COVERAGE_STEPS


@dataclass(frozen=True)
class IntervalCell:
    """An interval; an infinite end is open."""

    low: float
    high: float


@dataclass(frozen=True)
class Column:
    """One column: how its numbers are shown, and whether a page shades them."""

    name: str
    decimals: int = DECIMALS
    signed: bool = False
    shade: Literal["", "value", "row"] = ""  # by the value, from 0 to 1, or by its share of the shaded part of its row


@dataclass(frozen=True)
class Table:
    """One table. Cells are strings, whole numbers, floats, `MeanStd`s, `IntervalCell`s or None."""

    file: str  # the CSV twin that it is in, without ending
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    about: tuple[tuple[str, str], ...] = ()  # what its rows have in common: the first columns of the twin
    notes: tuple[str, ...] = ()

    def records(self) -> Iterator[Row]:
        """Yield the rows of the CSV twin: a spread and an interval take two columns each."""
        for row in self.rows:
            record: Row = dict(self.about)
            for column, cell in zip(self.columns, row, strict=True):
                name = column.name.lower()
                if isinstance(cell, MeanStd):
                    record |= {name: cell.mean, f"{name} sd": cell.sd}
                elif isinstance(cell, IntervalCell):
                    record |= {f"{name} low": cell.low, f"{name} high": cell.high}
                else:
                    record[name] = cell
            yield record

    @property
    def empty(self) -> tuple[Column, ...]:
        """The columns that have no value in any row."""
        return tuple(each for i, each in enumerate(self.columns) if all(row[i] is None for row in self.rows))

    def without(self, columns: Container[Column]) -> "Table":
        """Return it without some columns."""
        kept = [i for i, column in enumerate(self.columns) if column not in columns]
        left = tuple(self.columns[i] for i in kept)
        return replace(self, columns=left, rows=tuple(tuple(row[i] for i in kept) for row in self.rows))

    def format_cell(self, place: int, value: Any) -> str:
        """Write a cell of one column."""
        return format_value(self.columns[place], value)


def format_value(column: Column, value: Any) -> str:
    """Write a value as its column is shown; nothing for None."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, IntervalCell):
        return " to ".join(
            "out of reach" if isinf(end) else format_value(column, end) for end in (value.low, value.high)
        )
    if isinstance(value, MeanStd):
        sd = "" if value.sd is None else f" ± {value.sd:.{column.decimals}f}"
        return format_value(column, value.mean) + sd
    return f"{value:,}" if isinstance(value, int) else f"{value:{'+' if column.signed else ''},.{column.decimals}f}"


def to_csv_files(tables: Iterable[Table]) -> dict[str, str]:
    """Return {file name: CSV}; sheets of one file follow each other in it."""
    files: dict[str, list[Row]] = {}
    for table in tables:
        nothing: Row = dict.fromkeys([*(name for name, _ in table.about), *(c.name.lower() for c in table.columns)])
        files.setdefault(f"{table.file}.csv", []).extend(table.records() if table.rows else [nothing])
    return {name: to_csv(iter(rows)) for name, rows in files.items()}


def leaderboard_table(run: Run, leaderboard: Leaderboard) -> Table:
    """Return the ranked labelers of one comparison."""
    primary = run.suite.metrics.primary
    metrics = [primary, *(m for m in ("accuracy", "macro_f1", "mae") if m != primary)]
    heads = [f"{DISPLAY_NAMES.get(m, m)} {'↓' if m in LOWER_IS_BETTER else '↑'}" for m in metrics]
    against = f"vs {run.suite.metrics.baseline}"
    columns = ("Rank", "Labeler", heads[0], "95 % interval", against, *heads[1:], "Oracle gap", "Finished", "Cells")
    rows: list[tuple[Any, ...]] = []
    for row in leaderboard.rows:
        interval = row.standing.interval if row.standing else None
        rows.append(
            (
                place(row),
                row.title,
                row.values.get(primary),
                IntervalCell(*interval) if interval else None,
                row.difference,
                *(row.values.get(metric) for metric in metrics[1:]),
                row.oracle_gap,
                row.ok,
                row.total,
            )
        )
    return Table(
        "leaderboard",
        "Leaderboard",
        tuple(Column(name, signed=name in (against, "Oracle gap")) for name in columns),
        tuple(rows),
        _about_comparison(leaderboard.title),
    )


def class_table(leaderboard: Leaderboard) -> Table:
    """Return the accuracy of each labeler on the rows of each class."""
    names = [f"{c} (n={span(n)})" for c, n in leaderboard.support.items()]
    rows = [
        (row.title, *(row.by_class.get(c) for c in leaderboard.support)) for row in leaderboard.rows if row.by_class
    ]
    columns = (Column("Labeler"), *(Column(name, 2, shade="value") for name in names))
    return Table("classes", "Accuracy by class", columns, tuple(rows), _about_comparison(leaderboard.title))


def confusion_table(profile: LabelerProfile) -> Table:
    """Return how often each class was called what, counts over all cells of a labeler."""
    predicted = [Column(f"called {c}", 0, shade="row") for c in range(len(profile.confusion))]
    rows = [(c, *map(int, row)) for c, row in enumerate(profile.confusion)]
    about = (*_about_comparison(profile.comparison), ("labeler", profile.title))
    return Table("confusion", profile.title, (Column("True class", 0), *predicted), tuple(rows), about)


def confidence_table(profiles: list[LabelerProfile], target: float) -> Table:
    """Return what each labeler's confidence is worth: the rows it may be trusted on, and how well it knows."""
    rows = []
    for profile in profiles:
        taken = [each for each in profile.accepted if each.coverage]
        mean = [sum(each.accuracy or 0 for each in taken) / len(taken)] if taken else [None]
        rows.append(
            (
                profile.title,
                profile.coverage,
                *mean,
                min((each.bound for each in taken), default=None),
                max((each.confidence or 0 for each in taken), default=None),
                len(taken),
                profile.cells,
                profile.aurc,
                profile.calibration_error,
            )
        )
    of = f"at {target:g}"
    names = ("Labeler", f"Coverage {of}", f"Accuracy {of}", "Least bound", "Least confidence", f"Cells {of}", "Cells")
    notes = (
        f"Coverage {of}: the largest share of rows, the surest first, whose accuracy is at least {target:g} by a lower "
        "bound (95 %, for all 20 coverages that are tried at once; rows of one group count as dependent). 0 where no "
        "share is.",
        "Least confidence: the threshold that a row must reach; over several cells the highest. AURC: area under the "
        "risk-coverage curve, lower is better.",
    )
    columns = tuple(Column(name) for name in (*names, "AURC", "Calibration error"))
    return Table("confidence", "Confidence", columns, tuple(rows), _about_comparison(profiles[0].comparison), notes)


def coverage_table(profiles: list[LabelerProfile]) -> Table:
    """Return the accuracy of the surest rows of each labeler."""
    rows = [
        (profile.title, (k + 1) / COVERAGE_STEPS, float(value))
        for profile in profiles
        for k, value in enumerate(profile.accuracies)
    ]
    columns = (Column("Labeler"), Column("Coverage", 2), Column("Accuracy"))
    return Table("coverage", "Coverage and accuracy", columns, tuple(rows), _about_comparison(profiles[0].comparison))


def reliability_table(profiles: list[LabelerProfile]) -> Table:
    """Return mean confidence and accuracy in each bin of confidence, over all cells of a labeler."""
    rows = [
        (
            profile.title,
            i / CALIBRATION_BINS,
            (i + 1) / CALIBRATION_BINS,
            each.rows,
            each.confidence / each.rows,
            each.hits / each.rows,
        )
        for profile in profiles
        for i, each in enumerate(profile.bins)
        if each.rows
    ]
    columns = (*map(Column, ("Labeler", "From", "To", "Rows", "Confidence", "Accuracy")),)
    return Table(
        "reliability", "Confidence and accuracy", columns, tuple(rows), _about_comparison(profiles[0].comparison)
    )


def shared_error_table(overlap: ErrorOverlap) -> Table:
    """Return the errors that two labelers have in common."""
    rows = [
        (overlap.titles[i], overlap.titles[j], each.both, each.chance, each.same)
        for (i, j), each in overlap.shared.items()
    ]
    names = ("First", "Second", "Both err", "By chance", "Same wrong label")
    notes = ("Shares of the rows. By chance: where their errors had nothing to do with each other.",)
    return Table(
        "shared_errors", "Errors in common", columns(names), tuple(rows), _about_comparison(overlap.comparison), notes
    )


def ensemble_table(overlap: ErrorOverlap) -> Table:
    """Return what each labeler adds to the mean of the probabilities of those drawn."""
    rows = [
        (title, each.alone, each.without, each.together - each.without)
        for title, each in zip(overlap.titles, overlap.gains, strict=True)
    ]
    columns = (Column("Labeler"), Column("Alone"), Column("All but it"), Column("It adds", signed=True))
    together = f"{overlap.gains[0].together:.{DECIMALS}f}"
    notes = (f"Accuracy of the plain mean of the probabilities of all {len(rows)}: {together}.",)
    return Table("ensemble", "What each adds", columns, tuple(rows), _about_comparison(overlap.comparison), notes)


def cost_table(profiles: list[LabelerProfile], target: float, prices: Prices) -> Table:
    """Return what the labels cost that are accepted at the target."""
    rows: list[tuple[Any, ...]] = []
    for each in profiles:
        if each.seconds is not None:
            taken = each.coverage * each.rows
            found = cost(each.seconds, round(each.train), round(each.rows), taken, prices)
            money = [found.compute] * (prices.hour is not None) + [found.total, found.saved] * (
                prices.label is not None
            )
            rows.append(
                (each.title, each.seconds, 1000 * each.seconds / each.rows, round(taken), found.seconds, *money)
            )
    names = ["Labeler", "Seconds", "Seconds per 1,000 labels", f"Accepted at {target:g}", "Seconds per accepted label"]
    names += ["Computing per accepted label"] * (prices.hour is not None)
    names += ["With its train labels", "Saved"] * (prices.label is not None)
    notes = ["Seconds of learning and labelling, means over the cells, on the machine that ran them."]
    if prices.label is not None:
        notes.append(
            f"A bought label costs {prices.label:g}. With its train labels: their price spread over the accepted ones. "
            "Saved: share of the price of buying all labels when only those not accepted are bought."
        )
    decimals = {"Seconds": 2, "Seconds per accepted label": 6}
    if prices.hour is not None:
        decimals["Computing per accepted label"] = _money_decimals([row[5] for row in rows])
    columns = tuple(Column(name, decimals.get(name, DECIMALS)) for name in names)
    return Table("costs", "Costs", columns, tuple(rows), _about_comparison(profiles[0].comparison), tuple(notes))


def _money_decimals(values: Iterable[Any]) -> int:
    """Return the decimals that show two digits of the least of some amounts of money."""
    least = min((value for value in values if value), default=1.0)
    return max(DECIMALS, 1 - floor(log10(least)))


def failure_table(cell_results: list[CellResult]) -> Table:
    """Return the cells without a result: their number for each labeler and reason."""
    counts = Counter(
        (e.cell.evaluation.comparison, e.cell.candidate.title, e.status, e.reason)
        for e in cell_results
        if e.status != "ok"
    )
    rows = [(*about, count) for about, count in counts.items()]
    names = ("Comparison", "Labeler", "Status", "Reason", "Cells")
    return Table("failures", "Cells that do not count", columns(names), tuple(rows))


def columns(names: Iterable[str]) -> tuple[Column, ...]:
    """Return columns that are all shown alike."""
    return tuple(Column(name) for name in names)


def _about_comparison(comparison: str) -> tuple[tuple[str, str], ...]:
    return (("comparison", comparison),)
