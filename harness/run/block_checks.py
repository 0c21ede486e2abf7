"""Checks that a block of columns can hold anything about the labels."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.plugin.block import Block, Rows
from harness.run.block_scales import root_mean_square, scale_advice
from harness.run.blocks import is_made, open_block
from harness.run.runner import Run
from harness.utils.files import replace_text
from harness.utils.hashing import canonical_json, digest, hash_array

CHECK_FILE = "block_checks.json"  # in the folder of a run: boards stay the same when blocks are gone
CHECK_VERSION = 2
SAMPLED_ROWS = 2_000  # of the train rows, at most
MIN_ROWS = 300  # fewer labelled rows show too little of neighbours
ALPHA = 0.05  # of the test that neighbours are right more often than chance
MAX_SHARE = 0.5  # of the rows that one vector, or no token in common, may be held by


def block_remarks(run: Run) -> list[str]:
    """Return a line for each fault of the blocks that are on disk.

    Then one for each two blocks that a labeler takes together though they are far apart in scale. The train rows are
    those of the largest train set. What was seen of a block is kept beside the run's cells.
    """
    if not run.cells:
        return []
    train = max((cell.evaluation.split.train for cell in run.cells), key=len)
    rows = np.sort(np.random.default_rng(0).permutation(train)[:SAMPLED_ROWS])
    dataset = run.dataset.cut_by(train)
    y = dataset.y[dataset.positions(rows)]
    file = run.store.folder / CHECK_FILE
    try:
        records: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError):
        records = {}
    used = {name for cell in run.cells for name in cell.blocks}
    remarks, scales, changed = [], dict[str, float](), False
    for name, recipe in run.recipes.items():
        key = digest(CHECK_VERSION, recipe.key, hash_array(rows), hash_array(y))
        if name not in used or (key not in records and not is_made(recipe, run.cache)):
            continue
        if key not in records:
            block = open_block(recipe, run.cache)
            faults = list(find_faults(block, rows, y))
            if hasattr(recipe.maker, "tokens"):
                texts = islice(run.dataset.items.conversations(), SAMPLED_ROWS)
                faults += token_faults([recipe.maker.tokens(" ".join(t for _, t in talk)) for talk in texts])
            records[key], changed = {"faults": faults, "scale": root_mean_square(block, rows)}, True
        remarks += [f"block {name!r}: {fault}" for fault in records[key]["faults"]]
        scales[name] = records[key]["scale"]
    if changed and run.store.folder.is_dir():
        replace_text(file, canonical_json(records))
    return [*remarks, *scale_advice({cell.candidate.title: cell.candidate.labeler for cell in run.cells}, scales)]


def find_faults(block: Block, rows: Rows, y: NDArray[np.int64]) -> Iterator[str]:
    """Yield what is wrong with a block (N, d) at labelled `rows` (n,), y (n,).

    At most one fault: where a block is constant its neighbours are chance.
    """
    X = np.asarray(block.array[rows], np.float32)
    if len(X) < 2 or not (X.max(axis=0) > X.min(axis=0)).any():
        if len(X) > 1:
            yield f"none of its {X.shape[1]} columns varies: nothing can be learned from it"
        return
    _, counts = np.unique(X, axis=0, return_counts=True)
    if counts.max() > MAX_SHARE * len(X) and X.shape[1] > 1:
        yield f"{counts.max() / len(X):.0%} of {len(X):,} train rows hold one and the same vector"
        return
    if block.kind == "feature":
        scale = X.std(axis=0, dtype=np.float64)
        X = ((X - X.mean(axis=0, dtype=np.float64)) / np.where(scale > 0, scale, 1)).astype(np.float32)
    yield from _neighbor_fault(X, y)


def _neighbor_fault(X: NDArray[np.float32], y: NDArray[np.int64]) -> Iterator[str]:
    """Yield that the nearest rows of X (n, d) have no more often label y.

    Chance is how often two rows have the same label; the test is binomial and one-sided.
    """
    shares = np.bincount(y) / len(y)
    chance = float((shares**2).sum())
    if len(X) < MIN_ROWS or chance == 1:
        return
    from scipy.stats import binomtest

    norms = np.einsum("ij,ij->i", X, X)
    distances = norms[:, None] + norms[None, :] - 2 * (X @ X.T)
    np.fill_diagonal(distances, np.inf)
    right = int((y[distances.argmin(axis=1)] == y).sum())
    if binomtest(right, len(X), chance, "greater").pvalue > ALPHA:
        yield (
            f"the nearest train row has the same label no more often than chance ({right / len(X):.1%} of {len(X):,} "
            f"rows; chance {chance:.1%})"
        )


def token_faults(tokens: list[set[str]]) -> Iterator[str]:
    """Yield that most texts share no token with any other text."""
    counts = Counter(token for row in tokens for token in row)
    alone = sum(all(counts[token] == 1 for token in row) for row in tokens)
    if len(tokens) > 1 and alone > MAX_SHARE * len(tokens):
        yield f"{alone / len(tokens):.0%} of {len(tokens):,} texts share no word with any other"
