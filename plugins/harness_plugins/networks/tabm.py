"""TabM: k perceptrons in one network, which share their large weights."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, ClassVar

from harness import Predictions, Task, hookimpl
from harness_plugins._ranges import demand
from harness_plugins.networks import training
from harness_plugins.networks.parameters import Objective, Recipe
from harness_plugins.networks.rule import NetworkRule
from harness_plugins.networks.scaling import Scale
from harness_plugins.networks.training import PRELOAD

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


@dataclass(frozen=True)
class TabM(Recipe):
    """An ensemble of k perceptrons that share their large weights.

    Each is trained by its own loss, and the mean of their probabilities answers (Gorishniy et al. 2024). Sizes and
    training are the published ones for inputs without embeddings of their own, but for the gradients, which are not
    clipped here. A step costs as much as k steps of one perceptron.
    """

    name: ClassVar[str] = "tabm"
    preload: ClassVar[tuple[str, ...]] = PRELOAD

    batch: int = 256  # rows per step
    lr: float = 2e-3  # of every epoch
    weight_decay: float = 3e-4
    patience: int = 16  # stop after so many epochs, none of them better on the share; 0 = train all epochs
    scale: Scale = "standard"  # of embeddings, as for the other networks
    k: int = 32  # perceptrons
    hidden: int = 512  # width of every layer
    blocks: int = 3  # layers before the last, each with ReLU and dropout

    def __post_init__(self) -> None:
        super().__post_init__()
        demand(
            self,
            ("k", self.k >= 1, "at least 1"),
            ("hidden", self.hidden >= 1, "at least 1"),
            ("blocks", self.blocks >= 1, "at least 1"),
            ("mixup", self.mixup == 0, "0: the k perceptrons are trained on the rows themselves"),
        )

    def network(self, d: int, n_classes: int) -> "Module":
        from harness_plugins.networks.batch_ensemble import TabMNetwork

        return TabMNetwork(d, n_classes, self.hidden, self.blocks, self.k, self.dropout)

    def rates(self, rows: int) -> Iterator[float]:
        """Return the learning rate of each epoch: the same."""
        return repeat(self.lr, self.epochs_for(rows))

    def objective(self, y: "Tensor", n_classes: int, seed: int) -> Objective:
        """Return the mean of the k losses."""
        loss = super().objective(y, n_classes, seed)

        def mean_loss(network: "Module", inputs: "Tensor", y: "Tensor") -> "Tensor":
            # a loss is a mean over rows: over all k outputs of all rows it is the mean of the k losses
            return loss(lambda inputs: network(inputs).flatten(0, 1), inputs, y.repeat_interleave(self.k))

        return mean_loss

    def probabilities(self, outputs: "Tensor") -> "Tensor":
        """Return (rows, C) probabilities of the outputs (rows, k, C)."""
        return outputs.softmax(dim=2).mean(dim=1)

    def label(self, task: Task) -> Predictions:
        return training.label(task, self, self.network)

    def learn(self, task: Task) -> NetworkRule:
        return training.learn(task, self, self.network)


@hookimpl
def harness_labelers():
    return [TabM]
