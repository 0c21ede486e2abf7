"""Label new rows by a saved rule, from Python."""

import logging
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq

from harness.data.memory import write_rows
from harness.label.apply import apply_rule, environment_changes, open_job
from harness.run.runner import Options, cache_of
from harness.suite.catalog import discover
from labelharness.progress import unchanged_environment
from labelharness.runs import Labels

LOGGER = logging.getLogger("labelharness")


def apply(
    rule: str | Path,
    data: Any,
    *,
    to: str | Path | None = None,
    output: str | Path = ".",
    plugins: Sequence[str | Path] = (),
) -> Labels:
    """Label the rows of `data` by a saved rule, without a training.

    `rule` is the folder that `Run.label(save=...)` or `harness label --save` wrote; `data` are rows in memory or a
    path. `to` is a parquet file to keep, with its card. Blocks of the new rows are kept under `output`. What is other
    here than where the rule was learnt goes to the logger. Raises DataError or PluginError.
    """
    options = Options(Path(output))
    rows = Path(data) if isinstance(data, str | Path) else write_rows(data, cache_of(options))
    with TemporaryDirectory() as folder, unchanged_environment():
        out = Path(folder) / "labels.parquet" if to is None else Path(to)
        job = open_job(Path(rule), rows, out, discover(tuple(map(Path, plugins))), options)
        for line in environment_changes(job):
            LOGGER.warning(line)
        apply_rule(job)
        return Labels(pq.read_table(out).to_pandas(), job.card.read_text(encoding="utf-8"))
