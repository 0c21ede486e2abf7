"""Forward and backward passes of a network in its precision.

It imports torch: import it late.
"""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from harness_plugins.networks.fused_mlp import PREDICTED_ROWS, Perceptron, stages_of
from harness_plugins.networks.parameters import Objective


class Passes(Protocol):
    """What training needs of a network."""

    parameters: list[Parameter]  # what the optimiser updates, float32

    def differentiate(self, objective: Objective, inputs: Tensor, y: Tensor) -> Tensor:
        """Set the gradients of inputs (rows, d), y (rows,); return the loss."""

    def outputs(self, X: Tensor) -> Tensor:
        """Return float32 outputs (rows, outputs) for X (rows, d).

        X has the precision of the products; nothing is dropped.
        """


def passes(network: Module, dtype: torch.dtype, seed: int) -> Passes:
    """Return the passes of `network` with products in `dtype`.

    Those of a perceptron are written out, others go through autograd.

    The seed is that of a perceptron's dropout; a recorded network drops by torch's own generator.
    """
    checkpoints = stages_of(network)
    return Recorded(network, dtype) if checkpoints is None else Perceptron(checkpoints, dtype, seed)


class Recorded:
    """Any network: autograd records the forward pass and plays it back."""

    def __init__(self, network: Module, dtype: torch.dtype) -> None:
        self.network, self.dtype = network, dtype
        self.parameters = list(network.parameters())

    def differentiate(self, objective: Objective, inputs: Tensor, y: Tensor) -> Tensor:
        self.network.train()
        for parameter in self.parameters:
            parameter.grad = None
        loss = objective(self._forward, inputs, y)
        loss.backward()
        return loss.detach()

    def outputs(self, X: Tensor) -> Tensor:
        self.network.eval()
        with torch.inference_mode():
            return torch.cat([self._forward(part) for part in X.split(PREDICTED_ROWS)])

    def _forward(self, inputs: Tensor) -> Tensor:
        with torch.autocast(inputs.device.type, self.dtype, enabled=self.dtype != torch.float32):
            return self.network(inputs).float()
