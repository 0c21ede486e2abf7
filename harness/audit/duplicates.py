"""Test rows that a split has shown already: the same row, the same text, the same prompt, or nearly the same vector."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.dataset import Dataset
from harness.plugin.block import Block, Rows, fuse
from harness.plugin.items import Items
from harness.run.plan import EvaluationSplit
from harness.search.neighbors import nearest, normalize
from harness.utils.hashing import canonical_json

Mask = NDArray[np.bool_]

NEAR_DUPLICATE_COSINE = 0.98  # cosine above which two rows count as nearly the same
ROW, TEXT, PROMPT = "same row", "same text", "same prompt"
TEST_ROWS_PER_BATCH = 30_000  # test rows in memory beside the train rows
MAX_SEARCHED_ROWS = 5_000  # test rows that are searched for near ones, unless all are wanted


@dataclass(frozen=True, eq=False)
class TextHashes:
    """What identifies the text of each row: equal numbers are equal texts."""

    whole: NDArray[np.int64]  # (N,) of all turns
    prompt: NDArray[np.int64]  # (N,) of the user's turns; the row's own where there are none


@dataclass(frozen=True, eq=False)
class DuplicateRows:
    """Which test rows of a split have a twin among its train rows."""

    evaluation: EvaluationSplit
    masks: Mapping[str, Mask]  # what they share -> (m,) True where a train row has it too
    searched: Mapping[str, Mask]  # what they share -> (m,) True where it was looked for

    def examined(self, what: str) -> int:
        """Return how many test rows were looked at."""
        return int(self.searched[what].sum())

    def share(self, what: str) -> float:
        """Return the share of the rows looked at that have a twin."""
        return float(self.masks[what].sum() / self.examined(what))


def hash_texts(items: Items) -> TextHashes | None:
    """Hash the text and the prompt of every row; None where no column of texts is named. Empty texts are no twins."""
    if items.text is None:
        return None
    whole, prompt = np.empty(len(items), np.int64), np.empty(len(items), np.int64)
    for row, turns in enumerate(items.conversations()):
        asked = [content for role, content in turns if role == "user"]
        whole[row] = _number(turns if any(content for _, content in turns) else row)
        prompt[row] = _number(asked if any(asked) else row)
    return TextHashes(whole, prompt)


def find_duplicates(
    dataset: Dataset,
    evaluation: EvaluationSplit,
    texts: TextHashes | None,
    embeddings: Mapping[str, Block],
    max_rows: int | None = MAX_SEARCHED_ROWS,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> DuplicateRows:
    """Find the test rows that the train rows have shown already.

    `embeddings` are blocks of kind embedding; of their rows `max_rows` test rows, spread evenly, are searched for a
    train
    row nearer than `NEAR_DUPLICATE_COSINE`; None searches all. `progress` is told (block, rows done, rows in all).
    """
    train, test = evaluation.split.train, evaluation.split.test
    origin = dataset.items.rows
    masks: dict[str, Mask] = {ROW: np.isin(origin[test], origin[train])}
    if texts is not None:
        masks[TEXT] = np.isin(texts.whole[test], texts.whole[train])
        masks[PROMPT] = np.isin(texts.prompt[test], texts.prompt[train])
    searched = dict.fromkeys(masks, np.ones(len(test), np.bool_))
    few = (
        np.arange(len(test))
        if max_rows is None
        else np.unique(np.linspace(0, len(test) - 1, max_rows).astype(np.int64))
    )
    for name, block in embeddings.items():
        key = f"near in {name}"

        def tell(done: int, name: str = name) -> None:
            progress(name, done, len(few))

        masks[key], searched[key] = np.zeros(len(test), np.bool_), np.zeros(len(test), np.bool_)
        masks[key][few], searched[key][few] = find_near(block, train, test[few], tell), True
    return DuplicateRows(evaluation, masks, searched)


def find_near(block: Block, train: Rows, test: Rows, progress: Callable[[int], None] = lambda done: None) -> Mask:
    """Return (m,) True where a test row has a train row with a cosine above `NEAR_DUPLICATE_COSINE`. Zero vectors
    have none."""
    found = np.empty(len(test), np.bool_)
    for start in range(0, len(test), TEST_ROWS_PER_BATCH):  # so that many test rows take the memory of some
        some = test[start : start + TEST_ROWS_PER_BATCH]
        rows = np.concatenate([train, some])
        (X,) = fuse([block], train, rows)

        def tell(done: int, before: int = start) -> None:
            progress(before + done)

        similarity, _ = nearest(normalize(X), rows, len(train), len(train), 1, tell)
        found[start : start + len(some)] = similarity[:, 0] > NEAR_DUPLICATE_COSINE
    return found


def _number(value: object) -> int:
    return int.from_bytes(
        hashlib.blake2b(canonical_json(value).encode(errors="surrogatepass"), digest_size=8).digest(),
        "big",
        signed=True,
    )
