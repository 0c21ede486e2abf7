"""The parameters that networks share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from harness import On
from harness_plugins._ranges import demand
from harness_plugins.networks import losses
from harness_plugins.networks.precision import precision
from harness_plugins.networks.scaling import Scale

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

EPOCHS = 100  # where a recipe leaves them open
MIN_STEPS = 500  # of the optimiser, then: on few rows 100 epochs of a step or two train nothing

Objective = Callable[["Module", "Tensor", "Tensor"], "Tensor"]
"""(network, inputs (rows, d), y (rows,)) -> the loss of the batch, a scalar to minimise."""


@dataclass(frozen=True)
class Training:
    """The parameters of every network.

    A value out of range is a ValueError.
    """

    on: On
    dropout: float = 0.1
    epochs: int = 0  # 0 = 100, or as many more as make MIN_STEPS steps
    batch: int = 512  # rows per step
    lr: float = 1e-3  # of the first epoch; a cosine takes it to 0
    weight_decay: float = 1e-4
    validation: float = 0.1  # share of the labelled rows held out to choose the epoch; 0 = none, the last epoch answers
    choose: Literal["holdout", "folds"] = "holdout"  # folds: the epoch by 5 folds, then all rows train: 6 trainings
    patience: int = 0  # stop after so many epochs, none of them better on the share; 0 = train all epochs
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # of products; auto: bfloat16 where it has instructions
    scale: Scale = "none"  # of embeddings; standard: z-scored as features are; auto: that where blocks differ ten times

    def __post_init__(self) -> None:
        demand(
            self,
            ("dropout", 0 <= self.dropout < 1, "in [0, 1)"),
            ("epochs", self.epochs >= 0, "0 or more"),
            ("batch", self.batch >= 1, "at least 1"),
            ("lr", 0 < self.lr < inf, "positive"),
            ("weight_decay", 0 <= self.weight_decay < inf, "0 or more"),
            ("validation", 0 <= self.validation <= 0.5, "in [0, 0.5]"),
            ("patience", self.patience >= 0, "0 or more"),
            ("patience", self.patience == 0 or self.validation > 0, "0 where validation is 0"),
            ("patience", self.patience == 0 or self.choose == "holdout", "0 where choose is folds"),
            ("choose", self.validation > 0 or self.choose == "holdout", "left out where validation is 0"),
        )

    @property
    def scale_sensitive(self) -> bool:
        """True where embeddings stand as they are beside features."""
        return self.scale == "none"

    def epochs_for(self, rows: int) -> int:
        """Return the number of epochs for `rows` rows to train on."""
        return self.epochs or max(EPOCHS, -(-MIN_STEPS // -(-rows // self.batch)))

    def rates(self, rows: int) -> Iterator[float]:
        """Return the learning rate of each epoch: a cosine to 0."""
        from harness_plugins.networks.optimizer import cosine

        return cosine(self.lr, self.epochs_for(rows))

    def resolve(self, device: str) -> Self:
        """Return the same network with its precision settled for `device`."""
        return replace(self, precision=precision(self.precision, device))


@dataclass(frozen=True)
class Recipe(Training):
    """The parameters of every network with a softmax.

    A value, or a pair of values, without a meaning is a ValueError.
    """

    loss: Literal["cross_entropy", "focal", "sord", "emd"] = "cross_entropy"  # the last two use the order of classes
    gamma: float = 2.0  # of the focal loss: the loss of a row counts (1 - p_t)^gamma
    alpha: float = 1.0  # of sord: class i has the share softmax(-alpha |i - y|) of the target of a row of class y
    class_weight: bool = False  # a row counts by the inverse frequency of its class among the rows trained on
    label_smoothing: float = 0.0  # part of every target that is spread evenly over the classes
    mixup: float = 0.0  # train on mixed pairs of rows, each batch in shares drawn from Beta(mixup, mixup); 0 = do not

    def __post_init__(self) -> None:
        super().__post_init__()
        demand(
            self,
            ("gamma", 0 <= self.gamma < inf, "0 or more"),
            ("gamma", self.loss == "focal" or self.gamma == Recipe.gamma, "left out where loss is not focal"),
            ("alpha", 0 < self.alpha < inf, "positive"),
            ("alpha", self.loss == "sord" or self.alpha == Recipe.alpha, "left out where loss is not sord"),
            ("label_smoothing", 0 <= self.label_smoothing < 1, "in [0, 1)"),
            ("mixup", 0 <= self.mixup < inf, "0 or more"),
            # p_t of the focal loss is the probability of the row's one class; sord and emd are soft already
            (
                "label_smoothing",
                self.loss == "cross_entropy" or self.label_smoothing == 0,
                f"0 where loss is {self.loss}",
            ),
            ("mixup", self.loss != "focal" or self.mixup == 0, "0 where loss is focal"),
        )

    @property
    def needs_order(self) -> bool:
        """True where the loss measures distances between classes."""
        return self.loss in ("sord", "emd")

    def objective(self, y: "Tensor", n_classes: int, seed: int) -> Objective:
        """Return the loss to minimise, given all classes y (n',) and a seed.

        The seed is that of the mixing.
        """
        weight = losses.class_weights(y, n_classes) if self.class_weight else None
        rng = np.random.default_rng(seed)

        def loss(network: "Module", inputs: "Tensor", y: "Tensor") -> "Tensor":
            if self.loss == "focal":
                return losses.focal(network(inputs), y, self.gamma, weight)
            if self.mixup > 0:
                inputs, y = self._mixed(inputs, y, n_classes, rng)
            if self.loss == "sord":
                return losses.soft_ordinal(network(inputs), y, self.alpha, weight)
            if self.loss == "emd":
                return losses.earth_mover(network(inputs), y, weight)
            return losses.cross_entropy(network(inputs), y, weight, self.label_smoothing)

        return loss

    def _mixed(
        self, inputs: "Tensor", y: "Tensor", n_classes: int, rng: np.random.Generator
    ) -> tuple["Tensor", "Tensor"]:
        import torch

        shares = torch.nn.functional.one_hot(y, n_classes).float()  # (rows, C)
        partner = torch.from_numpy(rng.permutation(len(y)))
        return losses.mix(inputs, shares, partner, rng.beta(self.mixup, self.mixup))

    def probabilities(self, outputs: "Tensor") -> "Tensor":
        """Return (rows, C) probabilities of the network's outputs."""
        return outputs.softmax(dim=1)
