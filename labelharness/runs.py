"""Run a suite from Python, and read its board."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pandas as pd
import pyarrow.parquet as pq

from harness.data.memory import write_rows
from harness.errors import HarnessError, did_you_mean
from harness.label.job import LabelOptions, prepare_labels
from harness.label.output import write_labels
from harness.report.csv_files import pair_rows
from harness.report.html_board import html_board
from harness.report.leaderboard_tables import standing_records
from harness.report.parquet_files import PAIRS, SCORES, read_parquet, scores_to_parquet, to_parquet
from harness.report.run_tables import cell_table
from harness.report.suite_run import TARGET_ACCURACY, FinishedRun, run_suite, write_report
from harness.run.opening import open_run
from harness.run.runner import Options
from harness.search.engine import parse_engine
from harness.statistics.costs import Prices
from harness.utils.files import replace_text
from labelharness.progress import execute_with_progress, unchanged_environment
from labelharness.suites import open_suite

LOGGER = logging.getLogger("labelharness")
OF_COMMANDS = (
    "out",
    "data",
    "save",
    "suggest",
    "form",
    "fail_if",
    "push",
)  # options of labels that `Run.label` has not by these names


class Labels(NamedTuple):
    """Labelled rows, and the card on how good the labels are."""

    frame: pd.DataFrame  # every row with all its columns and those of the labels
    card: str  # Markdown


def run(
    suite: str | Path | Mapping[str, Any],
    data: Any = None,
    *,
    jobs: int = 1,
    threads: int = 0,
    timeout: float = 6 * 3600.0,
    memory: float = 0.0,
    device: str = "auto",
    engine: str = "auto",
    require_real: bool = False,
    twin_rows: int | None = None,
    output: str | Path = ".",
    plugins: Sequence[str | Path] = (),
    progress: bool | None = None,
) -> "Run":
    """Run every unfinished cell of a suite, write its board, return it.

    `suite` is a file, the folder of a run, or a mapping such as `labelharness.suite` returns. `data` takes the place of
    the suite's: a path, a pandas DataFrame, a pyarrow Table or a datasets.Dataset. The other parameters are the options
    of `harness run`. Interrupt it and call it again: finished cells are reused. A failed cell raises nothing; it is in
    `Run.cells`. Raises SuiteError, DataError or PluginError, each with `.problems`.
    """
    for name, value, least in (("jobs", jobs, 1), ("threads", threads, 0), ("memory", memory, 0)):
        if value < least:
            raise HarnessError(f"{name} must be at least {least}, got {value}")
    options = Options(
        Path(output), jobs, threads, timeout, memory, device, require_real, twin_rows, parse_engine(engine)
    )
    opened, catalog = open_suite(suite, data, options, plugins)
    with unchanged_environment():
        planned = open_run(opened, catalog, options, LOGGER.warning, use_recorded=False)
        finished = run_suite(planned, (), lambda each: execute_with_progress(each, progress), LOGGER.warning)
    if failed := sum(result.status == "failed" for result in finished.cell_results):
        LOGGER.warning("%s of %s cells failed: Run.cells has the reasons", failed, len(finished.cell_results))
    return Run(finished, progress)


class Run:
    """A finished run: its board, its numbers, and labels by its winner."""

    def __init__(self, finished: FinishedRun, progress: bool | None = None) -> None:
        self._finished, self._progress = finished, progress

    @property
    def page(self) -> Path:
        """The Markdown page of the board."""
        return self._finished.page

    @property
    def simulated(self) -> bool:
        """Whether the data are the simulated twin."""
        return self._finished.run.simulated

    @cached_property
    def board(self) -> pd.DataFrame:
        """The ranked labelers of all comparisons, as the page has them."""
        return pd.DataFrame(list(standing_records(self._finished.run, self._finished.leaderboards)))

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Every number of every cell, as in scores.parquet."""
        return read_parquet(SCORES, scores_to_parquet(self._finished.cell_results)).to_pandas()

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Every pair of ranked labelers, as in pairs.parquet."""
        return read_parquet(PAIRS, to_parquet(PAIRS, pair_rows(self._finished.leaderboards))).to_pandas()

    @cached_property
    def cells(self) -> pd.DataFrame:
        """Every cell with its status and reason, as in cells.parquet."""
        return cell_table(self._finished.cell_results).to_pandas()

    def label(
        self,
        data: Any = None,
        *,
        target_accuracy: float | None = None,
        to: str | Path | None = None,
        save: str | Path | None = None,
        **options: Any,
    ) -> Labels:
        """Label every row without a label by the winner of the board.

        `data` are new rows, a path or in memory; without it those of the suite's data are labelled. `to` is a parquet
        file to keep, with its card; `save` is a folder for the labeler's rule, by which `labelharness.apply` labels
        other rows. The other options are those of `harness label`: `labeler`, `coverage`, `top` ...
        """
        names = [field.name for field in fields(LabelOptions) if field.name not in OF_COMMANDS]
        for name in options:
            if name not in names:
                raise TypeError(f"label() has no option {name!r}{did_you_mean(name, names)}")
        for name in ("at_least", "good"):  # a class, which commands are given as text
            if options.get(name) is not None:
                options[name] = str(options[name])
        if isinstance(options.get("gold"), str | Path):
            options["gold"] = (options["gold"],)
        planned = self._finished.run
        if data is not None:
            data = Path(data) if isinstance(data, str | Path) else write_rows(data, planned.cache)
        with TemporaryDirectory() as folder, unchanged_environment():
            out = Path(folder) / "labels.parquet" if to is None else Path(to)
            rule = None if save is None else Path(save)
            chosen = LabelOptions(out, data, target_accuracy=target_accuracy, save=rule, **options)
            chosen.check()
            job = prepare_labels(planned, chosen)
            job.train(lambda trainings, blocks: execute_with_progress(trainings, self._progress, blocks))
            write_labels(job)
            return Labels(pq.read_table(out).to_pandas(), job.card.read_text(encoding="utf-8"))

    def report(
        self,
        path: str | Path | None = None,
        *,
        target_accuracy: float = TARGET_ACCURACY,
        price_per_label: float | None = None,
        price_per_hour: float | None = None,
    ) -> Path:
        """Write the HTML report beside the board, and to `path`."""
        page = write_report(self._finished, target_accuracy, Prices(price_per_label, price_per_hour))
        if path is None:
            return page
        replace_text(Path(path), page.read_text(encoding="utf-8"))
        return Path(path)

    def __repr__(self) -> str:
        heading = "SIMULATED DATA\n" if self.simulated else ""
        shown = self.board[["comparison", "rank", "labeler", self._finished.run.suite.metrics.primary]]
        return f"{heading}{self._finished.run.suite.name}\n{shown.to_string(index=False)}"

    def _repr_html_(self) -> str:
        return html_board(self._finished.run, self._finished.leaderboards)
