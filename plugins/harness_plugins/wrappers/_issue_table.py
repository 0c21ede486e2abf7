"""Count labels by class, for wrappers that flag some of them."""

from typing import Any

import numpy as np


def issue_table(given: np.ndarray, flagged: np.ndarray, learned: np.ndarray, n_classes: int) -> dict[str, Any]:
    """Count labels by class and in all: given, flagged, learned from.

    `given` (n,) and `flagged` (n,) are of the labelled rows, `learned` (n',) of those kept.
    """
    counts = [np.bincount(labels, minlength=n_classes) for labels in (given, given[flagged], learned)]  # each (C,)
    rows = [[str(c), *map(int, row)] for c, row in enumerate(zip(*counts, strict=True))]
    rows.append(["all", len(given), int(flagged.sum()), len(learned)])
    return {
        "columns": ["Class", "Labels", "Flagged", "Share flagged", "Learned from"],
        "rows": [[name, n, bad, bad / n if n else None, used] for name, n, bad, used in rows],
    }
