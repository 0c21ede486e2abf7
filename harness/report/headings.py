"""Headings of comparisons: how many labels, and which rows test."""

from collections import Counter

import numpy as np

from harness.plugin.protocols import Split
from harness.report.markdown import span
from harness.run.runner import Run


def headings(run: Run) -> dict[str, str]:
    """Return {comparison: heading}.

    A heading, such as "10 % labelled (1,200 rows), fixed test set", follows from the rows of the splits, whichever
    splitter chose them. Where several comparisons would have the same one, the splitter is added to it.
    """
    comparisons: dict[str, list[Split]] = {}
    families: dict[str, list[Split]] = {}
    family_of: dict[str, str] = {}
    for evaluation in dict.fromkeys(cell.evaluation for cell in run.cells):
        comparisons.setdefault(evaluation.comparison, []).append(evaluation.split)
        families.setdefault(evaluation.family, []).append(evaluation.split)
        family_of[evaluation.comparison] = evaluation.family
    texts = {
        comparison: f"{_train_rows(splits)}, {_test_rows(splits, families[family_of[comparison]])}"
        for comparison, splits in comparisons.items()
    }
    counts = Counter(texts.values())
    return {
        comparison: text if counts[text] == 1 else f"{text}, {family_of[comparison]}"
        for comparison, text in texts.items()
    }


def _train_rows(splits: list[Split]) -> str:
    rows, ratio = span(len(split.train) for split in splits), splits[0].ratio
    return f"{rows} labelled rows" if ratio is None else f"{ratio * 100:.4g} % labelled ({rows} rows)"


def _test_rows(splits: list[Split], family: list[Split]) -> str:
    """Describe the test rows of a comparison by those of its family."""
    folds = {split.fold for split in splits} - {None}
    if folds:
        return f"{len(folds)} folds"
    first = splits[0]
    is_fixed = all(np.array_equal(split.test, first.test) for split in family)
    if is_fixed and len(family) > 1:
        return "fixed test set"
    if not any(len(split.spare) for split in splits):
        return "test: all other rows"
    return "fixed test set" if is_fixed else "test rows of each seed"
