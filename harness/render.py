"""Ranked comparisons as Markdown, CSV and a table on the terminal. The Markdown holds only values that do not change
when the same suite runs again: no time, no host, no count of reused cells."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

import harness
from harness.digest import versions
from harness.metrics import LOWER_IS_BETTER
from harness.rank import DECIMALS, Comparison, Ending, Line, Spread
from harness.run import Run
from harness.tables import score_rows, timing_rows, to_csv, write_tables

SHOWN = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro-F1",
    "mae": "MAE",
    "qwk": "Quadratic kappa",
    "log_loss": "Log loss",
    "rps": "RPS",
    "calibration_error": "Calibration error",
    "spearman": "Spearman",
}
SIMULATED = "SIMULATED DATA: nothing on this page says anything about real data."
LEAKING = "LEAKING BY DESIGN: rows of this population are repeated, so train and test share rows."


def write(run: Run, ended: list[Ending], comparisons: list[Comparison]) -> Path:
    """Write leaderboards/<suite>/ and the run's tables; returns the Markdown file."""
    folder = run.options.output / "leaderboards" / run.suite.name
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "scores.csv", to_csv(score_rows(ended)))
    _replace(folder / "timings.csv", to_csv(timing_rows(run, ended)))
    board = folder / "README.md"
    _replace(board, markdown(run, comparisons))
    write_tables(run, ended)
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
        columns = list(zip(*_rows(run, comparison), strict=True))
        widths = [max(map(len, column)) + 3 for column in columns]
        # Where the terminal is narrow, the classes go first, then what stands furthest to the right.
        order = sorted(range(len(columns)), key=lambda i: ("(n=" in columns[i][0], i))
        kept = sorted(i for place, i in enumerate(order) if sum(widths[j] for j in order[: place + 1]) < console.width)
        table = Table(title=comparison.title, title_justify="left", header_style="bold")
        for i in kept:
            table.add_column(columns[i][0], justify="left" if columns[i][0] == "Labeler" else "right", no_wrap=True)
        for row in zip(*(columns[i][1:] for i in kept), strict=True):
            table.add_row(*map(Text, row))
        console.print(table)


def escape(text: str) -> str:
    """Make a name or a message harmless inside a Markdown table: no markup, no HTML, no new cell, one line."""
    flat = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()
    cut = flat if len(flat) <= 160 else flat[:157] + "..."
    # An underscore or a hash inside a word marks nothing up; everything else that may is written as its code.
    return re.sub(r"[\\`*{}\[\]<>|~!&]|(?<!\w)[_#]|[_#](?!\w)", lambda found: f"&#{ord(found[0])};", cut)


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
    align = ["---" if name == "Labeler" else "--:" for name in header]
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


def _replace(file: Path, text: str) -> None:
    scratch = file.with_suffix(".part")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(file)
