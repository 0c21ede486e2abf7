"""Test rows with a duplicate among the train rows of their split.

Of the same row of the file, the same text, the same prompt, or nearly the same vector.
"""

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
MAX_SEARCHED_ROWS = 5_000  # test rows whose nearest train row is searched, unless the audit is a full one


@dataclass(frozen=True, eq=False)
class TextHashes:
    """Hashes of the text of each row: equal hashes are equal texts."""

    text: NDArray[np.int64]  # (N,) of all turns
    prompt: NDArray[np.int64]  # (N,) of the user's turns; the row's own where there are none


@dataclass(frozen=True, eq=False)
class DuplicateRows:
    """The test rows of a split that have a duplicate among its train rows."""

    evaluation: EvaluationSplit
    masks: Mapping[str, Mask]  # kind of duplicate -> (m,) True where a train row has the same
    searched: Mapping[str, Mask]  # kind of duplicate -> (m,) True where it was searched for

    def examined(self, kind: str) -> int:
        """Return the number of test rows that were searched."""
        return int(self.searched[kind].sum())

    def share(self, kind: str) -> float:
        """Return the share of the searched rows that have a duplicate."""
        return float(self.masks[kind].sum() / self.examined(kind))


def hash_texts(items: Items) -> TextHashes | None:
    """Hash the text and the prompt of every row; None without texts.

    Empty texts are no duplicates: each has a hash of its own.
    """
    if items.text is None:
        return None
    text, prompt = np.empty(len(items), np.int64), np.empty(len(items), np.int64)
    for row, turns in enumerate(items.conversations()):
        user_turns = [content for role, content in turns if role == "user"]
        text[row] = _hash(turns if any(content for _, content in turns) else row)
        prompt[row] = _hash(user_turns if any(user_turns) else row)
    return TextHashes(text, prompt)


def find_duplicates(
    dataset: Dataset,
    evaluation: EvaluationSplit,
    texts: TextHashes | None,
    embeddings: Mapping[str, Block],
    max_rows: int | None = MAX_SEARCHED_ROWS,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> DuplicateRows:
    """Find the test rows that have a duplicate among the train rows.

    `embeddings` are blocks of kind embedding: in each, `max_rows` test rows, spread evenly, are searched for a train
    row nearer than `NEAR_DUPLICATE_COSINE`; None searches all. `progress` is called with (block, rows done, rows in
    all).
    """
    train, test = evaluation.split.train, evaluation.split.test
    origin = dataset.items.rows
    masks: dict[str, Mask] = {ROW: np.isin(origin[test], origin[train])}
    if texts is not None:
        masks[TEXT] = np.isin(texts.text[test], texts.text[train])
        masks[PROMPT] = np.isin(texts.prompt[test], texts.prompt[train])
    searched = dict.fromkeys(masks, np.ones(len(test), np.bool_))
    sample = (
        np.arange(len(test))
        if max_rows is None
        else np.unique(np.linspace(0, len(test) - 1, max_rows).astype(np.int64))
    )
    for name, block in embeddings.items():
        kind = f"near in {name}"

        def report(done: int, name: str = name) -> None:
            progress(name, done, len(sample))

        masks[kind], searched[kind] = np.zeros(len(test), np.bool_), np.zeros(len(test), np.bool_)
        masks[kind][sample], searched[kind][sample] = find_near(block, train, test[sample], report), True
    return DuplicateRows(evaluation, masks, searched)


def find_near(block: Block, train: Rows, test: Rows, progress: Callable[[int], None] = lambda done: None) -> Mask:
    """Return (m,) True where a test row has a near train row.

    Near is a cosine above `NEAR_DUPLICATE_COSINE`; zero vectors are near to nothing.
    """
    near = np.empty(len(test), np.bool_)
    for start in range(0, len(test), TEST_ROWS_PER_BATCH):  # so that memory does not grow with the test rows
        batch = test[start : start + TEST_ROWS_PER_BATCH]
        rows = np.concatenate([train, batch])
        (X,) = fuse([block], train, rows)

        def report(done: int, start: int = start) -> None:
            progress(start + done)

        similarity, _ = nearest(normalize(X), rows, len(train), len(train), 1, report)
        near[start : start + len(batch)] = similarity[:, 0] > NEAR_DUPLICATE_COSINE
    return near


def _hash(value: object) -> int:
    return int.from_bytes(
        hashlib.blake2b(canonical_json(value).encode(errors="surrogatepass"), digest_size=8).digest(),
        "big",
        signed=True,
    )
