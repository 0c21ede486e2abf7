"""Four labelers: linear, mlp, resnet and ordinal."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness import Predictions, Task, hookimpl
from harness_plugins._ranges import demand
from harness_plugins.networks import losses
from harness_plugins.networks.parameters import Objective, Recipe, Training
from harness_plugins.networks.training import PRELOAD, learn

if TYPE_CHECKING:
    from torch import Tensor
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
        demand(self, ("hidden", self.hidden >= 1, "at least 1"))

    def network(self, d: int, n_classes: int) -> "Sequential":
        from torch.nn import Dropout, Linear, ReLU, Sequential

        return Sequential(
            *(Linear(d, self.hidden), ReLU(), Dropout(self.dropout)),
            *(Linear(self.hidden, self.hidden), ReLU(), Dropout(self.dropout)),
            Linear(self.hidden, n_classes),
        )

    def label(self, task: Task) -> Predictions:
        return learn(task, self, self.network)


@dataclass(frozen=True)
class ResNet(Recipe):
    """Pre-norm residual blocks of equal width, GELU and dropout in each."""

    name: ClassVar[str] = "resnet"
    preload: ClassVar[tuple[str, ...]] = PRELOAD

    hidden: int = 256  # width of every layer
    blocks: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        demand(self, ("hidden", self.hidden >= 1, "at least 1"), ("blocks", self.blocks >= 1, "at least 1"))

    def network(self, d: int, n_classes: int) -> "Sequential":
        from torch.nn import Linear, Sequential

        from harness_plugins.networks.layers import trunk

        return Sequential(trunk(d, self.hidden, self.blocks, self.dropout), Linear(self.hidden, n_classes))

    def label(self, task: Task) -> Predictions:
        return learn(task, self, self.network)


@dataclass(frozen=True)
class Ordinal(Training):
    """A residual network with one score and ordered thresholds.

    The thresholds between the classes are learnt.

    With six classes no score makes class 1 or 4 the likeliest until the thresholds have spread: few steps at a low
    learning rate leave these classes without answers, though not without probability.
    """

    name: ClassVar[str] = "ordinal"
    preload: ClassVar[tuple[str, ...]] = PRELOAD

    hidden: int = 256  # width of every layer
    blocks: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        demand(self, ("hidden", self.hidden >= 1, "at least 1"), ("blocks", self.blocks >= 1, "at least 1"))

    def network(self, d: int, n_classes: int) -> "Sequential":
        from torch.nn import Linear, Sequential

        from harness_plugins.networks.layers import Thresholds, trunk

        score = Sequential(trunk(d, self.hidden, self.blocks, self.dropout), Linear(self.hidden, 1))
        return Sequential(score, Thresholds(n_classes))

    def objective(self, y: "Tensor", n_classes: int, seed: int) -> Objective:
        """Return the binary cross-entropy of y > k, over all k and rows."""
        return lambda network, inputs, y: losses.ordinal(network(inputs), y)

    def probabilities(self, outputs: "Tensor") -> "Tensor":
        """Return (rows, C) probabilities of the outputs (rows, C - 1)."""
        return losses.ordinal_probabilities(outputs)

    def label(self, task: Task) -> Predictions:
        return learn(task, self, self.network)


@hookimpl
def harness_labelers():
    return [Linear, MLP, ResNet, Ordinal]
