"""Layers that torch does not have.

It imports torch: import it late.
"""

from math import prod

import torch
from torch.nn import GELU, LayerNorm, Linear, Module, Parameter, Sequential

BYTE_VALUES = 256  # values of the random byte that decides whether a number is dropped
MAX_DROPOUT = 1 - 1 / BYTE_VALUES  # the highest rate of a dropout: a higher one counts as this


def keep_mask(
    shape: torch.Size, rate: float, chance: float, dtype: torch.dtype, generator: torch.Generator
) -> torch.Tensor:
    """Return a dropout mask: 0 for dropped, 1 for kept.

    A random byte each, eight to a draw.

    256 * rate is rarely whole: the `chance`, uniform in [0, 1), chooses between its two neighbours, so that the rate,
    at most MAX_DROPOUT, is met on average.
    """
    words = torch.empty(-(-prod(shape) // 8), dtype=torch.int64, device=generator.device)
    fate = words.random_(-(2**63), None, generator=generator).view(torch.uint8)[: prod(shape)].view(shape)
    return torch.ge(fate, int(BYTE_VALUES * rate + chance), out=torch.empty_like(fate, dtype=dtype))


class Dropout(torch.nn.Dropout):
    """Torch's dropout at a tenth of the price on a CPU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return x
        rate = min(self.p, MAX_DROPOUT)
        generator = torch.default_generator
        if x.is_cuda:
            generator = torch.cuda.default_generators[x.device.index]
        return x * keep_mask(x.shape, rate, torch.rand(()).item(), x.dtype, generator) * (1 / (1 - rate))


class Residual(Sequential):
    """x + f(x), where f is the layers in sequence."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(x)


class Thresholds(Module):
    """Scores (rows, 1) to logits score - t_k (rows, C - 1) of P(y > k).

    The C - 1 thresholds t_k are learnt and start evenly spaced from -2 to 2. Nothing keeps them in order.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.t = Parameter(torch.linspace(-2, 2, n_classes - 1))

    def forward(self, score: torch.Tensor) -> torch.Tensor:
        return score - self.t


def trunk(d: int, hidden: int, blocks: int, dropout: float) -> Sequential:
    """Build the residual network (rows, d) to (rows, hidden).

    It is normalised, and lacks the last layer.
    """

    def block() -> Residual:
        return Residual(
            *(LayerNorm(hidden), Linear(hidden, hidden), GELU(), Dropout(dropout)),
            *(Linear(hidden, hidden), Dropout(dropout)),
        )

    return Sequential(Linear(d, hidden), *(block() for _ in range(blocks)), LayerNorm(hidden))
