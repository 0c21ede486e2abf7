"""Check that no embedder and no feature set of a suite uses a label.

Some labelled rows are copied to small files of the same columns: as they are, with the target's columns permuted, and
with all of their contents in another order. The first two must give the same bytes, the third the same rows.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness.audit.places import exchange_places
from harness.data.dataset import Dataset
from harness.data.row_copy import RowCopy, check_rows
from harness.plugin.block import Floats
from harness.plugin.items import Items, columns_of
from harness.run.block_writer import ARRAY_FILE, OUTCOME_FILE, write_block
from harness.run.blocks import Recipe, array_file
from harness.run.runner import Run
from harness.run.timing import read_timing
from harness.suite import spec
from harness.utils.hashing import digest
from harness.utils.processes import Limits, Processes

MAX_ROWS = 500
MAX_SECONDS = 30.0  # that so many rows may take, by what the block has cost
TIMEOUT = 300.0  # seconds, of a maker of which no cost is recorded
MAX_RELATIVE_CHANGE = 1e-3  # of the longest vector: what another batch may change in a row
BASE, LABELS, PLACES = "base", "labels", "places"


@dataclass(frozen=True)
class MakerFinding:
    """What is wrong with the maker of a block, or why it was not checked."""

    kind: Literal["leak", "warning", "note"]
    text: str


def check_makers(
    run: Run, names: Sequence[str], processes: Processes, progress: Callable[[str, int, int], None]
) -> Iterator[MakerFinding]:
    """Yield what is wrong with the makers of the blocks called `names`."""
    folder = run.store.scratch
    copies: dict[str, Items] = {}
    for number, name in enumerate(names, 1):
        progress("makers of blocks", number, len(names))
        recipe = run.recipes[name]
        maker = f"block {name} ({recipe.maker.name})"
        cost = read_timing(array_file(recipe, run.cache).parent)
        rows = min(MAX_ROWS, len(run.dataset.labelled))
        if cost and cost["seconds"] * rows / max(cost.get("rows", 1), 1) > MAX_SECONDS:
            yield MakerFinding("note", f"{maker} was not checked for hidden labels: {rows} rows take too long")
            continue
        copies = copies or write_copies(run.dataset, folder)
        limits = Limits(TIMEOUT, run.options.limits.memory)
        try:
            blocks = {kind: _make(recipe, items, kind, folder, processes, limits) for kind, items in copies.items()}
            again = _make(recipe, copies[BASE], "again", folder, processes, limits)
        except ValueError as error:
            yield MakerFinding("note", f"{maker} was not checked for hidden labels: {error}")
            continue
        yield from judge_maker(maker, recipe.maker, blocks, again, _order(run.dataset))


def judge_maker(
    title: str, maker: Any, blocks: Mapping[str, Floats], again: Floats, order: NDArray[np.int64]
) -> Iterator[MakerFinding]:
    """Yield the findings on the blocks (rows, d) of the three copies.

    `again` is the first made once more; `order` (rows,) are the rows whose contents stand in each place of the third.
    """
    base = blocks[BASE]
    if base.tobytes() != again.tobytes():
        yield MakerFinding("warning", f"{title} gives other numbers the second time; it could not be checked")
        return
    if base.tobytes() != blocks[LABELS].tobytes():
        moved = f"{np.count_nonzero(_differ(base, blocks[LABELS])):,} of {len(base):,} rows"
        yield MakerFinding(
            "leak", f"{title} reads the target: {moved} changed when the labels in the file were permuted"
        )
    if not (getattr(maker, "resumable", True) if hasattr(maker, "embed") else getattr(maker, "rowwise", False)):
        return
    far = _differ(base[order], blocks[PLACES])
    if far.any():
        kind: Literal["warning", "note"] = "note" if _names_file(maker) else "warning"
        text = f"{title} goes by the row number for {far.sum():,} of {len(base):,} rows: it reads another file"
        yield MakerFinding(kind, f"{text}, and what that file was made from cannot be checked")


def write_copies(dataset: Dataset, folder: Path) -> dict[str, Items]:
    """Write the three copies; return the items of each."""
    chosen = _choose(dataset)
    order = _order(dataset)
    items = dataset.items
    table = _read_rows(check_rows(Path(items.path), dataset.table.display_name), items.rows[chosen])
    permuted = table
    for name in items.hidden:
        permuted = permuted.set_column(table.column_names.index(name), name, table[name].take(pa.array(order)))
    copies = {}
    for kind, content in ((BASE, table), (LABELS, permuted), (PLACES, table.take(pa.array(order)))):
        path = folder / digest("copy", kind) / Path(items.path).name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(content, path)
        ids = items.ids[chosen][order] if kind == PLACES else items.ids[chosen]
        rows = items.rows[chosen][order] if kind == PLACES else items.rows[chosen]
        raters = None if items.file_raters is None else items.file_raters.of(rows)
        copies[kind] = replace(
            items, path=str(path.absolute()), rows=np.arange(len(chosen)), ids=ids, identity="", file_raters=raters
        )
    return copies


def _choose(dataset: Dataset) -> NDArray[np.int64]:
    """Return the row numbers of different labelled rows, spread evenly."""
    _, first = np.unique(dataset.items.rows[dataset.labelled], return_index=True)
    rows = dataset.labelled[first]
    return np.asarray(rows[np.unique(np.linspace(0, len(rows) - 1, min(MAX_ROWS, len(rows))).astype(np.int64))])


def _order(dataset: Dataset) -> NDArray[np.int64]:
    return exchange_places(dataset.y[dataset.positions(_choose(dataset))])


def _read_rows(copy: RowCopy, rows: NDArray[np.int64]) -> pa.Table:
    """Return some rows of a file with all of its columns."""
    parts, start = [], 0
    for batch in copy.batches():
        inside = rows[(rows >= start) & (rows < start + len(batch))] - start
        parts.append(pa.Table.from_batches([batch]).take(pa.array(inside)))
        start += len(batch)
    return pa.concat_tables(parts).combine_chunks()


def _make(recipe: Recipe, items: Items, kind: str, folder: Path, processes: Processes, limits: Limits) -> Floats:
    """Return the block of the items; raise ValueError where it fails."""
    if getattr(recipe.maker, "text_only", False) and items.text is not None:
        items = replace(items, columns=columns_of(items.text), hidden=(), file_raters=None)
    place = folder / digest(recipe.key, kind)
    place.mkdir(parents=True)
    job = (spec.to_spec(recipe.maker), recipe.reference, recipe.kind, recipe.name, items, (0, len(items)), None)
    child = processes.start(write_block, job, place.absolute())
    stopped = child.wait(limits)
    try:
        outcome = json.loads((place / OUTCOME_FILE).read_text())
        if "error" in outcome:
            raise ValueError(outcome["error"].partition("; see ")[0])
        return np.load(place / ARRAY_FILE)  # type: ignore[no-any-return]
    except OSError:
        raise ValueError(stopped or child.describe_exit()) from None


def _differ(one: Floats, other: Floats) -> NDArray[np.bool_]:
    """Return (rows,) True where two blocks differ by more than rounding."""
    if one.shape != other.shape:
        return np.ones(len(one), np.bool_)
    longest = float(np.linalg.norm(one, axis=1).max(initial=0))
    return np.asarray(np.linalg.norm(one - other, axis=1) > MAX_RELATIVE_CHANGE * longest)


def _names_file(maker: Any) -> bool:
    """Return True if a parameter of the maker is a file."""
    return any(isinstance(getattr(maker, field.name), Path) for field in fields(maker))
