"""The numbers of a run as rows, and as CSV files."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.run.plan import EvaluationSplit
from harness.run.runner import Run, cached_artifacts
from harness.scoring.leaderboard import CellResult, Leaderboard

Row = dict[str, Any]

FORMULA_STARTS = ("=", "+", "-", "@", "\t")


TIMING_COLUMNS = (
    *("kind", "on", "comparison", "labeler", "seed", "ratio", "fold", "status"),
    *("seconds", "peak_memory_mib", "parameters", "engine", "neighbors_own", "neighbors_shared"),
)


def cell_record(cell_result: CellResult) -> Row:
    return {"labeler": cell_result.cell.candidate.title} | split_record(cell_result.cell.evaluation)


def split_record(evaluation: EvaluationSplit) -> Row:
    split = evaluation.split
    return {"comparison": evaluation.comparison, "seed": split.seed, "ratio": split.ratio, "fold": split.fold}


def timing_rows(run: Run, cell_results: list[CellResult]) -> Iterator[Row]:
    """Yield the cost of every block, neighbour list and cell.

    That is seconds, peak anonymous memory and parameters. A cell's seconds are those of its `label` call. Blocks and
    lists may have been made by an earlier run; the seconds of `neighbors_shared` are those of a list that was made once
    for several cells, and not in the cell's own.
    """
    for kind, name, evaluation, cost in cached_artifacts(run):
        yield (
            {"kind": kind, "on": name}
            | (split_record(evaluation) if evaluation else {})
            | {"status": "ok"}
            | _cost_columns(cost)
        )
    for cell_result in cell_results:
        scores, on = cell_result.scores, "+".join(cell_result.cell.blocks)
        parameters = scores.facts.get("parameters") if scores else None
        is_number = isinstance(parameters, int | float) and not isinstance(parameters, bool)
        cost = _cost_columns(cell_result.timing) | {"parameters": parameters if is_number else None}
        cost |= _search_columns(cell_result.timing.get("searches", []))
        yield {"kind": "cell", "on": on} | cell_record(cell_result) | {"status": cell_result.status} | cost


def _cost_columns(timing: Mapping[str, Any]) -> Row:
    memory = timing.get("memory")
    return {
        "seconds": timing.get("seconds"),
        "peak_memory_mib": None if memory is None else round(memory / 2**20, 1),
        "parameters": None,
    }


def _search_columns(searches: list[dict[str, Any]]) -> Row:
    own, shared = (
        [search["seconds"] for search in searches if search["shared"] == together] for together in (False, True)
    )
    return {
        "engine": "+".join(sorted({search["engine"] for search in searches})) or None,
        "neighbors_own": round(sum(own), 3) if own else None,
        "neighbors_shared": round(sum(shared), 3) if shared else None,
    }


def standing_rows(leaderboards: list[Leaderboard]) -> Iterator[Row]:
    """Yield the standing of each labeler; one without a rank has only a name."""
    for leaderboard in leaderboards:
        for row in leaderboard.rows:
            record: Row = {"comparison": leaderboard.title, "labeler": row.title, "rank": row.rank}
            standing = row.standing
            names = ("rank_low", "rank_high", "leading", "value", "low", "high")
            low, high = (standing.interval if standing else None) or (None, None)
            values = (standing.low, standing.high, standing.leading, standing.value, low, high) if standing else ()
            record |= dict(zip(names, values or (None,) * len(names), strict=True))
            against = standing.against if standing else None
            ends = against.interval if against else (None, None)
            record |= {"difference": against.value if against else row.difference}
            record |= {"difference_low": ends[0], "difference_high": ends[1]}
            chosen = standing.chosen if standing else None
            yield record | {"settings": chosen and chosen.settings, "value_chosen_apart": chosen and chosen.value}


def pair_rows(leaderboards: list[Leaderboard]) -> Iterator[Row]:
    """Yield every pair of ranked labelers.

    The difference is the first's primary metric minus the second's.
    """
    for leaderboard in leaderboards:
        for pair in leaderboard.standings.pairs if leaderboard.standings else ():
            difference = pair.difference
            yield {
                "comparison": leaderboard.title,
                "labeler_a": pair.first,
                "labeler_b": pair.second,
                "difference": difference.value,
                "se": difference.se,
                "low": difference.interval[0],
                "high": difference.interval[1],
                "p": difference.p,
                "p_holm": pair.adjusted,
                "separated": pair.separated,
            }


def to_csv(rows: Iterable[Row], columns: Sequence[str] | None = None) -> str:
    """Write rows as CSV, numbers in full precision.

    Without `columns` it has every column that any row has.
    """
    if columns is None:
        rows = list(rows)
        columns = list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(csv_cell, columns))
    for row in rows:
        writer.writerow([csv_cell(row.get(column)) for column in columns])
    return out.getvalue()


def csv_cell(value: Any) -> str:
    """Write one value for a CSV file."""
    if isinstance(value, str):
        text = re.sub("\r(?!\n)", "\n", value) if "\r" in value else value  # the writer quotes \n, but not a lone \r
        # A spreadsheet would run a text cell that begins like a formula.
        return f"'{text}" if text.startswith(FORMULA_STARTS) else text
    if isinstance(value, float):
        return repr(value)
    return "" if value is None else str(value)


def without_formula_quote(text: str) -> str:
    """Remove the quote that a cell has before the beginning of a formula.

    >>> without_formula_quote("'=1"), without_formula_quote("'tis")
    ('=1', "'tis")
    """
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA_STARTS) else text
