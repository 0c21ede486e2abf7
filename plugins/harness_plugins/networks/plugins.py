"""Four labelers: linear, mlp, resnet and ordinal."""

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from harness import Predictions, Task, hookimpl
from harness_plugins._constant import ConstantRule
from harness_plugins._ranges import demand
from harness_plugins.networks import logistic, losses, training
from harness_plugins.networks.logistic import LogisticRule
from harness_plugins.networks.parameters import Objective, Recipe, Training
from harness_plugins.networks.rule import NetworkRule
from harness_plugins.networks.training import PRELOAD

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Sequential

NETWORK_PARAMETERS = (
    *("dropout", "epochs", "batch", "lr", "weight_decay", "choose", "patience", "precision"),
    *("scale", "loss", "gamma", "alpha", "label_smoothing", "mixup"),
)
RECORD_ONLY = "left out, or recipe be record: a logistic regression has no such parameter"


@dataclass(frozen=True)
class Linear(Recipe):
    """Multinomial logistic regression, fitted to convergence.

    L-BFGS on scaled columns; the L2 penalty is chosen by the log loss of the `validation` share, and all rows are
    fitted with it. Fewer than 30 labelled rows, or `validation` 0, take 0.1. With ``recipe: record`` it is a network
    of one layer with dropout on its inputs, trained as the others are; only then it has their parameters.
    """

    name: ClassVar[str] = "linear"
    preload: ClassVar[tuple[str, ...]] = ("sklearn.linear_model",)

    recipe: Literal["logistic", "record"] = "logistic"
    penalty: float = 0.0  # on the squared weights, the inverse of scikit-learn's C; 0 = chosen

    def __post_init__(self) -> None:
        super().__post_init__()
        demand(
            self,
            ("penalty", 0 <= self.penalty < inf, "0 or more"),
            ("penalty", self.recipe == "logistic" or self.penalty == 0, "left out where recipe is record"),
            *(
                (name, self.recipe == "record" or getattr(self, name) == getattr(Linear, name), RECORD_ONLY)
                for name in NETWORK_PARAMETERS
            ),
        )

    @property
    def scale_sensitive(self) -> bool:
        """False for a logistic regression: it scales all columns."""
        return self.recipe == "record" and super().scale_sensitive

    def resolve(self, device: str) -> Self:
        """Return the same labeler; a network's precision is settled."""
        return super().resolve(device) if self.recipe == "record" else self

    def network(self, d: int, n_classes: int) -> "Sequential":
        from torch.nn import Dropout, Linear, Sequential

        return Sequential(Dropout(self.dropout), Linear(d, n_classes))

    def label(self, task: Task) -> Predictions:
        if self.recipe == "record":
            return training.label(task, self, self.network)
        rule, facts = self._fit(task)
        return Predictions(rule.label(task.blocks, task.to_label), facts)

    def learn(self, task: Task) -> LogisticRule | ConstantRule | NetworkRule:
        return training.learn(task, self, self.network) if self.recipe == "record" else self._fit(task)[0]

    def _fit(self, task: Task) -> tuple[LogisticRule | ConstantRule, dict[str, Any]]:
        return logistic.fit(task, self.on, self.penalty, self.validation, self.class_weight)


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
        return training.label(task, self, self.network)

    def learn(self, task: Task) -> NetworkRule:
        return training.learn(task, self, self.network)


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
        return training.label(task, self, self.network)

    def learn(self, task: Task) -> NetworkRule:
        return training.learn(task, self, self.network)


@dataclass(frozen=True)
class Ordinal(Training):
    """A residual network with one score and ordered thresholds.

    The thresholds between the classes are learnt.

    With six classes no score makes class 1 or 4 the likeliest until the thresholds have spread: few steps at a low
    learning rate leave these classes without answers, though not without probability.
    """

    name: ClassVar[str] = "ordinal"
    needs_order: ClassVar[bool] = True
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
        return training.label(task, self, self.network)

    def learn(self, task: Task) -> NetworkRule:
        return training.learn(task, self, self.network)


@hookimpl
def harness_labelers():
    return [Linear, MLP, ResNet, Ordinal]
