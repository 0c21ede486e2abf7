"""Label spreading on the sparse neighbour graph of all rows.

Time and memory of a step grow with the number of rows.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from harness import On, Predictions, Task, graph, hookimpl
from harness_plugins.labelers.label_spreading import check_spreading, deduplicate, read_answers, spread_predictions

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class GraphPropagation:
    """Label spreading with cosine neighbours and the spare rows.

    It computes what `label_spreading` does without PCA.
    """

    name: ClassVar[str] = "graph_propagation"
    preload: ClassVar[tuple[str, ...]] = ("scipy.sparse",)
    transductive: ClassVar[bool] = True

    on: On
    neighbors: int = 7  # every row counts as the first of its own, as in scikit-learn
    alpha: float = 0.2  # share that a row takes from its neighbours, the rest from its label
    iterations: int = 30  # at most
    tolerance: float = 1e-3  # stop where a step changes less than this, summed over all rows and classes

    def __post_init__(self) -> None:
        check_spreading(self.neighbors, self.alpha)
        if self.iterations < 1:
            raise ValueError(f"iterations must be at least 1, got {self.iterations}")
        if not self.tolerance >= 0:
            raise ValueError(f"tolerance must be 0 or more, got {self.tolerance}")

    def needs(self) -> list[tuple[On, int, str]]:
        """Declare the neighbours among all rows that ``label`` uses."""
        return [(self.on, self.neighbors - 1, "all")]

    def label(self, task: Task) -> Predictions:
        unique = deduplicate(task)
        S = weights(graph(unique, self.on, self.neighbors - 1))  # (N', N'), the labelled rows first
        labels = np.zeros((S.shape[0], task.n_classes))
        labels[np.arange(len(unique.y)), unique.y] = 1
        mass, settled, steps = labels, False, 0
        while steps < self.iterations and not settled:
            before, steps = mass, steps + 1
            mass = self.alpha * (S @ before) + (1 - self.alpha) * labels  # a label is never wholly washed away
            settled = bool(np.abs(mass - before).sum() < self.tolerance)
        return spread_predictions(*read_answers(task, unique, mass), {"iterations": steps, "settled": settled})


def weights(similarity: "csr_matrix") -> "csr_matrix":
    """Return each edge's weight, 1 / sqrt(w_i w_j).

    w_i is how often row i is named as a neighbour, at least 1.

    Row i of `similarity` (N', N') holds the neighbours of i; only which they are counts. The normalisation is that of
    a graph Laplacian by columns. Loops would be struck out again after it, so there are none from the start.
    """
    from scipy.sparse import csr_matrix

    n_rows, target = similarity.shape[0], similarity.indices  # target: (edges,)
    source = np.repeat(np.arange(n_rows), np.diff(similarity.indptr))  # (edges,)
    scale = 1 / np.sqrt(np.maximum(np.bincount(target, minlength=n_rows), 1))  # (N',)
    return csr_matrix((scale[source] * scale[target], target, similarity.indptr), shape=similarity.shape)


@hookimpl
def harness_labelers():
    return [GraphPropagation]
