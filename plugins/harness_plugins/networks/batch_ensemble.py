"""Layers of k networks that share their large weights (Wen et al. 2020).

It imports torch: import it late.
"""

import torch
from torch.nn import Module, Parameter, ReLU, Sequential, init

from harness_plugins.networks.layers import Dropout

PREDICTED_ROWS = 1_024  # rows answered at a time: each of them is k rows wide


class BatchEnsemble(Module):
    """k linear layers of one weight W: s_i * (W (r_i * x)) + b_i.

    Inputs (rows, k, d) or (rows, 1, d), which all k layers get; outputs (rows, k, outputs). r, s and b are each
    layer's own. All s start at 1 and all b alike; r starts at 1, or where the layer is the `first` at random signs,
    which is what makes the k networks differ (Gorishniy et al. 2024).
    """

    def __init__(self, d: int, outputs: int, k: int, first: bool) -> None:
        super().__init__()
        self.weight = Parameter(_uniform(outputs, d, d=d))
        self.r = Parameter(2 * torch.empty(k, d).bernoulli_(0.5) - 1 if first else torch.ones(k, d))
        self.s = Parameter(torch.ones(k, outputs))
        self.bias = Parameter(_uniform(outputs, d=d).repeat(k, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addcmul(self.bias, (x * self.r) @ self.weight.T, self.s)


class Heads(Module):
    """k linear layers that share nothing.

    Inputs (rows, k, d) to outputs (rows, k, outputs).
    """

    def __init__(self, d: int, outputs: int, k: int) -> None:
        super().__init__()
        self.weight = Parameter(_uniform(k, d, outputs, d=d))
        self.bias = Parameter(_uniform(k, outputs, d=d))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.transpose(0, 1) @ self.weight).transpose(0, 1) + self.bias


class TabMNetwork(Module):
    """Rows (rows, d) to the outputs of k perceptrons (rows, k, C)."""

    def __init__(self, d: int, n_classes: int, hidden: int, blocks: int, k: int, dropout: float) -> None:
        super().__init__()
        layers: list[Module] = []
        for number in range(blocks):
            linear = BatchEnsemble(hidden if number else d, hidden, k, first=number == 0)
            layers += [linear, ReLU(), Dropout(dropout)]
        self.members = Sequential(*layers, Heads(hidden, n_classes, k))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            return self.members(x[:, None])
        return torch.cat([self.members(part[:, None]) for part in x.split(PREDICTED_ROWS)])


def _uniform(*shape: int, d: int) -> torch.Tensor:
    """Draw from -1 / sqrt(d) to 1 / sqrt(d), as torch's linear layers."""
    return init.uniform_(torch.empty(*shape), -(d**-0.5), d**-0.5)
