"""Small feed-forward networks: a linear layer and a perceptron with two hidden layers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness import Predictions, Task, hookimpl
from harness_plugins.labelers.training import PRELOAD, Recipe, learn

if TYPE_CHECKING:
    from torch.nn import Sequential


@dataclass(frozen=True)
class Linear(Recipe):
    """Multinomial logistic regression with dropout on its inputs."""

    name: ClassVar[str] = "linear"
    preload: ClassVar[tuple[str, ...]] = PRELOAD

    def network(self, d: int, n_classes: int) -> "Sequential":
        from torch.nn import Dropout, Linear, Sequential

        return Sequential(Dropout(self.dropout), Linear(d, n_classes))

    def label(self, task: Task) -> Predictions:
        return learn(task, self, self.network)


@dataclass(frozen=True)
class MLP(Recipe):
    """Two hidden layers of equal width, ReLU and dropout after each."""

    name: ClassVar[str] = "mlp"
    preload: ClassVar[tuple[str, ...]] = PRELOAD

    hidden: int = 256  # width of both hidden layers

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden < 1:
            raise ValueError(f"hidden must be at least 1, got {self.hidden}")

    def network(self, d: int, n_classes: int) -> "Sequential":
        from torch.nn import Dropout, Linear, ReLU, Sequential

        return Sequential(
            *(Linear(d, self.hidden), ReLU(), Dropout(self.dropout)),
            *(Linear(self.hidden, self.hidden), ReLU(), Dropout(self.dropout)),
            Linear(self.hidden, n_classes),
        )

    def label(self, task: Task) -> Predictions:
        return learn(task, self, self.network)


@hookimpl
def harness_labelers():
    return [Linear, MLP]
