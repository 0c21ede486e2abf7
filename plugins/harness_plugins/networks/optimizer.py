"""AdamW and its learning rates, by torch's functional optimiser.

It imports torch: import it late.
"""

from collections.abc import Iterator
from math import cos, pi

import torch
from torch.nn import Parameter
from torch.optim.adamw import adamw


class AdamW:
    """torch.optim.AdamW's fused step, bit for bit, with default betas.

    It costs two thirds of that class's step, and no import of torch._dynamo, which takes a second.
    """

    def __init__(self, parameters: list[Parameter], weight_decay: float) -> None:
        self.parameters, self.weight_decay = parameters, weight_decay
        self.means = [torch.zeros_like(parameter, requires_grad=False) for parameter in parameters]
        self.squares = [torch.zeros_like(parameter, requires_grad=False) for parameter in parameters]
        self.steps = [torch.zeros((), device=parameter.device) for parameter in parameters]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Update the parameters by their gradients."""
        gradients = [parameter.grad for parameter in self.parameters]
        adamw(
            *(self.parameters, gradients, self.means, self.squares, [], self.steps),
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=lr,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )


def cosine(lr: float, epochs: int) -> Iterator[float]:
    """Yield the learning rate of each epoch, a cosine from `lr` to 0.

    From one to the next as torch.optim.lr_scheduler.CosineAnnealingLR rounds it.
    """
    for epoch in range(epochs):
        if epoch:
            lr = (1 + cos(pi * epoch / epochs)) / (1 + cos(pi * (epoch - 1) / epochs)) * lr
        yield lr
