"""One-hot columns as the categories that they stand for."""

from dataclasses import dataclass
from itertools import groupby

import numpy as np

from harness import On, Task

MIN_COLUMNS = 3  # of a category; one of two values is a number already


@dataclass(frozen=True)
class Categories:
    """The groups of one-hot columns among the d columns of some blocks."""

    groups: tuple[tuple[int, int], ...] = ()  # first column and end of each

    @classmethod
    def find(cls, task: Task, on: On) -> "Categories":
        """Find groups by names such as "source=dolly", and by their numbers.

        In every labelled row one column of a group is 1, and the others are 0.
        """
        groups, start = [], 0
        for block in task.chosen(on):
            keys = [name.partition("=")[0] if "=" in name else number for number, name in enumerate(block.names)]
            end = 0
            for _, run in groupby(keys):
                first, end = end, end + len(list(run))
                if end - first >= MIN_COLUMNS and _is_one_hot(block.array[task.labelled, first:end]):
                    groups.append((start + first, start + end))
            start += block.array.shape[1]
        return cls(tuple(groups))

    @property
    def columns(self) -> np.ndarray:
        """The columns of all groups."""
        return np.concatenate([np.arange(0), *(np.arange(first, end) for first, end in self.groups)])

    def merge(self, X: np.ndarray) -> np.ndarray:
        """Return X (n, d) with one number for each group, last.

        Scaled columns do as well: that of the row's own category is the largest.
        """
        if not self.groups:
            return X
        numbers = [X[:, first:end].argmax(axis=1).astype(np.float32) for first, end in self.groups]
        return np.column_stack([np.delete(X, self.columns, axis=1), *numbers])

    def merge_names(self, names: list[str]) -> list[str]:
        """Return the names of the columns that `merge` returns."""
        rest = np.delete(np.array(names, dtype=object), self.columns).tolist()
        return rest + [names[first].partition("=")[0] for first, _ in self.groups]

    def places(self, d: int) -> list[int]:
        """Return which of the columns of `merge` are categories, of d."""
        merged = d - len(self.columns) + len(self.groups)
        return list(range(merged - len(self.groups), merged))


def _is_one_hot(values: np.ndarray) -> bool:
    return bool(((values == 0) | (values == 1)).all() and (values.sum(axis=1) == 1).all())
