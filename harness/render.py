"""Ranked comparisons as Markdown, CSV and a table on the terminal. The Markdown holds only values that do not change
when the same suite runs again: no time, no host, no count of reused cells."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

import harness
from harness.digest import versions
from harness.rank import DECIMALS, Comparison, Ending, Line, Spread
from harness.run import Run
from harness.score import LOWER_IS_BETTER, Value

SHOWN = {"accuracy": "Accuracy", "macro_f1": "Macro-F1", "mae": "MAE", "log_loss": "Log loss"}
SIMULATED = "SIMULATED DATA: nothing on this page says anything about real data."
LEAKING = "LEAKING BY DESIGN: rows of this population are repeated, so train and test share rows."


def write(run: Run, ended: list[Ending], comparisons: list[Comparison]) -> Path:
    """Write leaderboards/<suite>/ and the run's tables; returns the Markdown file."""
    folder = run.options.output / "leaderboards" / run.suite.name
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "scores.csv", _csv(_score_rows(run, ended)))
    _replace(folder / "timings.csv", _csv(_timing_rows(run, ended)))
    board = folder / "README.md"
    _replace(board, markdown(run, comparisons))
    _write_tables(run, ended)
    return board


def markdown(run: Run, comparisons: list[Comparison]) -> str:
    """Return the whole page."""
    parts = [f"# {run.suite.name}", *_warnings(run), *_about(run)]
    for comparison in comparisons:
        parts += [f"## {escape(comparison.title)}", _circumstances(comparison), _board(run, comparison)]
        parts += list(_notes(run, comparison))
        parts += list(_by_source(comparison))
    parts += ["## Run it again", _again(run)]
    return "\n\n".join(parts) + "\n"


def terminal(run: Run, comparisons: list[Comparison], console: Console) -> None:
    """Print one table for each comparison."""
    for warning in _warnings(run):
        console.print(warning.strip("> *"), style="bold yellow", markup=False)
    for comparison in comparisons:
        table = Table(title=comparison.title, title_justify="left", header_style="bold")
        rows = list(_rows(run, comparison))
        for i, name in enumerate(rows[0]):
            table.add_column(name, justify="left" if i == 1 else "right", no_wrap=i != 1)
        for row in rows[1:]:
            table.add_row(*(text.replace("[", r"\[") for text in row))
        console.print(table)


def escape(text: str) -> str:
    """Make a name or a message harmless inside a Markdown table: no markup, no HTML, no new cell, one line."""
    flat = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()
    cut = flat if len(flat) <= 160 else flat[:157] + "..."
    return re.sub(r"([\\`*_{}\[\]<>#|~!&])", lambda found: f"&#{ord(found[1])};", cut)


def _warnings(run: Run) -> list[str]:
    found = [f"> **{SIMULATED}**"] if run.simulated else []
    if run.dataset.oversampled:
        found.append(f"> **{LEAKING}**")
    if run.suite.protocol == "record":
        found.append("> **ORACLE NUMBERS (protocol: record): the best checkpoint was chosen on the test rows.**")
    return found


def _about(run: Run) -> Iterator[str]:
    data, dataset = run.suite.data, run.dataset
    target = data.target if isinstance(data.target, str) else f"{data.target.fuse} of {', '.join(data.target.of)}"
    shares = np.bincount(dataset.y, minlength=dataset.n_classes) / len(dataset.y)
    lines = [
        ("Data", f"{dataset.table.shown}, SHA-256 {dataset.table.sha256[:16]}"),
        ("Rows", f"{len(dataset):,} (population: {run.suite.population}), {len(dataset.labelled):,} of them labelled"),
        ("Target", f"{target}, classes 0 to {dataset.n_classes - 1}"),
        ("Class shares", " / ".join(f"{share * 100:.2f}" for share in shares) + " %"),
        ("Protocol", run.suite.protocol),
    ]
    yield "\n".join(f"- {name}: {escape(str(value))}" for name, value in lines)


def _circumstances(comparison: Comparison) -> str:
    seeds = ", ".join(str(seed) for seed in comparison.seeds)
    spread = "mean ± standard deviation over the splits" if len(comparison.n_test) > 1 else "one split: no spread"
    return (
        f"Train {_range(comparison.n_train)} rows, test {_range(comparison.n_test)} rows; "
        f"seed{'s' if len(comparison.seeds) > 1 else ''} {seeds} ({spread})."
    )


def _board(run: Run, comparison: Comparison) -> str:
    header, *rows = _rows(run, comparison)
    return _table([escape(cell) for cell in header], [[escape(cell) for cell in row] for row in rows])


def _rows(run: Run, comparison: Comparison) -> Iterator[list[str]]:
    """Yield the header, then one row for each labeler."""
    primary = run.suite.metrics.primary
    metrics = [primary, *(m for m in ("accuracy", "macro_f1", "mae") if m != primary)]
    arrows = {m: f"{SHOWN[m]} {'↓' if m in LOWER_IS_BETTER else '↑'}" for m in metrics}
    classes = [f"{c} (n={_range(n)})" for c, n in comparison.support.items()]
    against = f"vs {run.suite.metrics.baseline}"
    others = [arrows[m] for m in metrics[1:]]
    yield ["Rank", "Labeler", arrows[primary], against, *others, *classes, "Oracle gap", "Cells"]
    for line in comparison.lines:
        yield [
            line.rank or "–",
            line.title,
            _spread(line.values.get(primary)),
            _number(line.difference, signed=True),
            *(_spread(line.values.get(m)) for m in metrics[1:]),
            *(_number(line.by_class.get(c), 2) for c in comparison.support),
            _number(line.oracle_gap, signed=True),
            f"{line.ok}/{line.total}",
        ]


def _notes(run: Run, comparison: Comparison) -> Iterator[str]:
    notes = []
    if any("=" in line.rank for line in comparison.lines):
        notes.append("`=` marks ties: equal to the printed precision.")
    if any(line.oracle_gap is not None for line in comparison.lines):
        notes.append("Oracle gap: what choosing the best checkpoint on the test rows would add; no labeler may do so.")
    if notes:
        yield " ".join(notes)
    faults = [f"- {escape(line.title)}: {escape(why)}" for line in comparison.lines for why in _whys(line)]
    if faults:
        yield "Not ranked:\n\n" + "\n".join(faults)


def _whys(line: Line) -> list[str]:
    if line.not_applicable is not None:
        return [f"not applicable: {line.not_applicable}"]
    if line.failures:
        return [f"failed: {reason}" for reason in line.failures]
    return [] if line.rank else ["not all of its cells have run"]


def _by_source(comparison: Comparison) -> Iterator[str]:
    sources = sorted({source for line in comparison.lines for source in line.by_source})
    if 1 < len(sources) <= 30:
        rows = [
            [escape(line.title), *(_number(line.by_source.get(source)) for source in sources)]
            for line in comparison.lines
            if line.by_source
        ]
        yield "Accuracy by source:\n\n" + _table(["Labeler", *map(escape, sources)], rows)


def _again(run: Run) -> str:
    setting = run.options.setting
    rows = "" if run.options.twin_rows is None else f" --twin-rows {run.options.twin_rows}"
    used = ", ".join(f"{name} {version}" for name, version in versions().items())
    return (
        f"```\nharness run {_shown(run.suite.file)}{rows}\n```\n\n"
        f"labelharness {harness.__version__}, {used}; device {setting.device}, {setting.threads} threads a cell.\n\n"
        "Every number is in `scores.csv`; how long the cells took is in `timings.csv`."
    )


def _shown(file: Path) -> str:
    absolute = file.absolute()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else file.name


def _table(header: list[str], rows: list[list[str]]) -> str:
    align = ["---" if i == 1 or (i == 0 and header[0] == "Labeler") else "--:" for i in range(len(header))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, align, *rows))


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return ""
    return f"{spread.mean:.{DECIMALS}f}" + ("" if spread.sd is None else f" ± {spread.sd:.{DECIMALS}f}")


def _number(value: float | None, decimals: int = DECIMALS, signed: bool = False) -> str:
    return "" if value is None else f"{value:{'+' if signed else ''}.{decimals}f}"


def _range(counts: Iterable[int]) -> str:
    low, high = min(counts := tuple(counts)), max(counts)
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


Row = dict[str, Any]


def _score_rows(run: Run, ended: list[Ending]) -> Iterator[Row]:
    for ending in ended:
        about = _about_cell(ending)
        if ending.scores is None:
            yield about | {"status": ending.status}
            continue
        named = ((False, ending.scores.honest), (True, ending.scores.oracle))
        for is_oracle, found in named:
            for (metric, label_class, source), value in found.items():
                yield about | _score_row(metric, value, label_class, source, None, is_oracle)
        for rows, value in ending.scores.rows.items():
            yield about | _score_row("accuracy", value, None, None, rows, False)


def _score_row(
    metric: str, value: Value, label_class: int | None, source: str | None, rows: str | None, oracle: bool
) -> Row:
    return {
        "status": "ok",
        "metric": metric,
        "class": label_class,
        "source": source,
        "rows": rows,
        "oracle": oracle,
        "value": value.value,
        "n": value.n,
    }


SCORE_COLUMNS = {
    "comparison": pa.string(),
    "labeler": pa.string(),
    "seed": pa.int64(),
    "ratio": pa.float64(),
    "fold": pa.int64(),
    "status": pa.string(),
    "metric": pa.string(),
    "class": pa.int64(),
    "source": pa.string(),
    "rows": pa.string(),
    "oracle": pa.bool_(),
    "value": pa.float64(),
    "n": pa.int64(),
}


def _about_cell(ending: Ending) -> Row:
    split = ending.cell.cut.split
    return {
        "comparison": ending.cell.cut.comparison,
        "labeler": ending.cell.candidate.title,
        "seed": split.seed,
        "ratio": split.ratio,
        "fold": split.fold,
    }


def _timing_rows(run: Run, ended: list[Ending]) -> Iterator[Row]:
    for ending in ended:
        timing, parameters = {}, None
        if ending.status == "ok":
            result = run.store.read(ending.cell.key)
            timing, parameters = dict(result.timing), result.facts.get("parameters")
        yield _about_cell(ending) | {
            "status": ending.status,
            "seconds": timing.get("seconds"),
            "peak_memory_mib": None if not timing else round(timing["memory"] / 2**20, 1),
            "parameters": parameters,
        }


def _csv(rows: Iterator[Row]) -> str:
    listed = list(rows)
    columns = list(dict.fromkeys(key for row in listed for key in row))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in listed:
        writer.writerow([_csv_cell(row.get(column)) for column in columns])
    return out.getvalue()


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    text = repr(value) if isinstance(value, float) else str(value)
    # A spreadsheet would run a text cell that begins like a formula.
    return f"'{text}" if isinstance(value, str) and text[:1] in "=+-@" and text else text


def _write_tables(run: Run, ended: list[Ending]) -> None:
    """Write the derived tables of the run; they can be made again from the cells at any time."""
    folder = run.store.folder / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    keys = {id(ending): ending.cell.key for ending in ended}
    cells = [_about_cell(e) | {"cell": keys[id(e)], "status": e.status, "reason": e.reason} for e in ended]
    _parquet(folder / "cells.parquet", cells, {"cell": pa.string(), **_first(SCORE_COLUMNS, 6), "reason": pa.string()})
    metrics = [row | {"cell": keys[id(e)]} for e in ended if e.scores for row in _score_rows(run, [e])]
    _parquet(folder / "metrics.parquet", metrics, {"cell": pa.string(), **SCORE_COLUMNS})


def _first(columns: dict[str, pa.DataType], n: int) -> dict[str, pa.DataType]:
    return dict(list(columns.items())[:n])


def _parquet(file: Path, rows: list[Row], columns: dict[str, pa.DataType]) -> None:
    scratch = file.with_suffix(".part")
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(list(columns.items()))), scratch)
    scratch.replace(file)


def _replace(file: Path, text: str) -> None:
    scratch = file.with_suffix(".part")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(file)
