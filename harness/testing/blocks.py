"""Checks of embedders and feature sets on a small file of conversations."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from harness.errors import DataError, NotApplicable
from harness.plugin.block import Floats
from harness.plugin.items import Items
from harness.plugin.protocols import Embedder, FeatureSet
from harness.run.block_writer import ARRAY_FILE, fill
from harness.testing.examples import ODD_TALKS, TALKS, example_items
from harness.testing.finding import Check, PromiseError, check_form, require

Maker = Embedder | FeatureSet
MAX_RELATIVE_CHANGE = 1e-3  # of the longest vector: what another batch may change in a row


def check_array(maker: Maker) -> None:
    """Check for one row of finite numbers for each row of the data.

    All chunks have the same columns; a feature set names them.
    """
    with example_items() as items:
        make_block(maker, items)


def check_odd_texts(maker: Maker) -> None:
    """Check for finite numbers on unusual texts.

    Such as no turn, an empty one, no answer, any script and a very long text.
    """
    with example_items(talks=ODD_TALKS) as items:
        make_block(maker, items)


def check_one_row(maker: Maker) -> None:
    """Check a file of one row."""
    with example_items(talks=TALKS[:1]) as items:
        make_block(maker, items)


def check_same_bytes(maker: Maker) -> None:
    """Check that the same rows have the same numbers, to the byte."""
    with example_items() as items:
        same = make_block(maker, items).tobytes() == make_block(maker, items).tobytes()
    require(same, "the same rows must get the same numbers twice: draw all chance from a generator with a fixed seed")


def check_hidden_labels(maker: Maker) -> None:
    """Check that other labels in the file change no number.

    The maker may read the file by itself; the label columns are in it.
    """
    blocks = []
    for seed in (0, 1):
        with example_items(seed=seed) as items:
            open_items = replace(items, columns=(*items.columns, *items.hidden), hidden=())
            blocks.append(make_block(maker, open_items).tobytes())
    require(blocks[0] == blocks[1], "the numbers changed with the labels: read no column that the target is made of")


def check_text_only(maker: Maker) -> None:
    """Check that a maker that declares `text_only` reads only the texts."""
    if not getattr(maker, "text_only", False):
        return
    with example_items() as items:
        make_block(maker, items, with_columns=True)  # raises NotApplicable where it cannot use the example at all
        try:
            make_block(maker, items)
        except NotApplicable as error:
            raise PromiseError(f"declares text_only, but reads more than the texts: {error}") from error


def check_start(embedder: Embedder) -> None:
    """Check that an embedder that starts at any row yields the same bytes.

    Unless it declares ``resumable = False``.
    """
    if not getattr(embedder, "resumable", True):
        return
    with example_items() as items:
        block = make_block(embedder, items)
        for start in (1, len(items) // 2, len(items) - 1):
            chunks = [np.ascontiguousarray(chunk, np.float32) for chunk in embedder.embed(items, start)]
            rows, expected_rows = sum(map(len, chunks)), len(items) - start
            call = f"embed(items, {start}) gave"
            require(rows == expected_rows, f"{call} {rows} rows for {expected_rows}: yield from row number `start` on")
            same = np.concatenate(chunks).tobytes() == block[start:].tobytes()
            advice = "compute in chunks that begin at fixed row numbers, or declare resumable = False"
            require(same, f"{call} other vectors than embed(items, 0) has there: {advice}")


def check_rows(embedder: Embedder) -> None:
    """Check that a row keeps its vector where other rows are left out.

    So vectors come in the order of the rows. Unless the embedder declares ``resumable = False``: one that sees all rows
    may find another space for fewer.
    """
    if not getattr(embedder, "resumable", True):
        return
    with example_items() as items:
        subset = np.arange(1, len(items), 3)
        few = replace(items, rows=items.rows[subset], ids=items.ids[subset])
        block, part = make_block(embedder, items), make_block(embedder, few)
    require(block.shape[1] == part.shape[1], "gave another number of columns for fewer rows: the width must be fixed")
    distance = np.linalg.norm(part[:, None] - block, axis=2)  # (subset, rows)
    own = distance[np.arange(len(subset)), subset]
    near = own <= distance.min(axis=1) + MAX_RELATIVE_CHANGE * np.linalg.norm(block, axis=1).max()
    advice = "yield in the order of the rows, and read the data through `items`"
    require(bool(near.all()), f"of fewer rows, number {near.argmin()} has the vector of another: {advice}")


def check_parts(features: FeatureSet) -> None:
    """Check that a feature set that declares `rowwise` can work in parts.

    The parts have the same numbers as all rows at once, to the byte.
    """
    if not getattr(features, "rowwise", False):
        return
    with example_items() as items:
        block = make_block(features, items).tobytes()
        for size in (1, 7):
            parts = np.concatenate([make_block(features, part) for part in items.parts(size)])
            advice = "let each row's depend on that row alone, or do not declare rowwise"
            require(parts.tobytes() == block, f"asked for {size} rows at a time it gave other numbers: {advice}")


embedder_checks: tuple[Check, ...] = (
    check_form,
    check_array,
    check_odd_texts,
    check_one_row,
    check_same_bytes,
    check_hidden_labels,
    check_text_only,
    check_start,
    check_rows,
)
feature_checks: tuple[Check, ...] = (
    check_form,
    check_array,
    check_odd_texts,
    check_one_row,
    check_same_bytes,
    check_hidden_labels,
    check_text_only,
    check_parts,
)


def make_block(maker: Maker, items: Items, with_columns: bool = False) -> Floats:
    """Return the block (rows, d) as the harness would write it.

    `with_columns` leaves a maker that declares ``text_only`` the other columns. Raises PromiseError for what the
    harness refuses, and NotApplicable for a DataError of the maker's own: it cannot use these data.
    """
    kind = "embedding" if hasattr(maker, "embed") else "feature"
    if getattr(maker, "text_only", False) and not with_columns:
        items = replace(items, columns=("messages",), hidden=(), file_raters=None)  # as the harness does
    with TemporaryDirectory() as folder:
        file = Path(folder) / ARRAY_FILE
        try:
            fill(_TranslatingMaker(maker), kind, items, file)
        except DataError as error:
            raise PromiseError(str(error)) from error
        return np.load(file)  # type: ignore[no-any-return]


class _TranslatingMaker:
    """A maker whose own DataErrors are NotApplicable.

    So they are not taken for what the harness refuses.
    """

    def __init__(self, maker: Any) -> None:
        self.maker = maker

    def __getattr__(self, name: str) -> Any:
        return getattr(self.maker, name)

    def embed(self, items: Items, start: int) -> Any:
        chunks = self.maker.embed(items, start)
        return self._translate_errors(chunks) if isinstance(chunks, Iterable) else chunks

    def features(self, items: Items) -> Any:
        try:
            return self.maker.features(items)
        except DataError as error:
            raise NotApplicable(str(error)) from error

    @staticmethod
    def _translate_errors(chunks: Iterable[Any]) -> Iterator[Any]:
        try:
            yield from chunks
        except DataError as error:
            raise NotApplicable(str(error)) from error
