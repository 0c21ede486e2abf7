"""Layers that torch does not have: a helper of the networks, not a plugin. It imports torch, so import it late."""

import torch
from torch.nn import GELU, Dropout, LayerNorm, Linear, Module, Parameter, Sequential


class Residual(Sequential):
    """x + f(x), where f is the layers in sequence."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(x)


class Thresholds(Module):
    """From a score (rows, 1) to the logits score - t_k (rows, C - 1) of P(y > k).

    The C - 1 thresholds t_k are learnt and start evenly spaced from -2 to 2. Nothing keeps them in order.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.t = Parameter(torch.linspace(-2, 2, n_classes - 1))

    def forward(self, score: torch.Tensor) -> torch.Tensor:
        return score - self.t


def trunk(d: int, hidden: int, blocks: int, dropout: float) -> Sequential:
    """Return the residual network from (rows, d) to (rows, hidden), normalised: all but its last layer."""

    def block() -> Residual:
        return Residual(
            *(LayerNorm(hidden), Linear(hidden, hidden), GELU(), Dropout(dropout)),
            *(Linear(hidden, hidden), Dropout(dropout)),
        )

    return Sequential(Linear(d, hidden), *(block() for _ in range(blocks)), LayerNorm(hidden))
