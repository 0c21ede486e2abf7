"""Forward and backward passes of a perceptron, written out.

It imports torch: import it late.
"""

import random
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import Dropout, Linear, Module, Parameter, ReLU, Sequential

from harness_plugins.networks.layers import MAX_DROPOUT, keep_mask
from harness_plugins.networks.parameters import Objective

PREDICTED_ROWS = 8_192  # rows answered at a time


class Stage(NamedTuple):
    """A linear layer and what happens to its inputs first."""

    linear: Linear
    rectified: bool
    rate: float  # of the dropout


def stages_of(network: Module) -> list[Stage] | None:
    """Return the stages of a perceptron, or None for any other network.

    A perceptron is a sequence of linear layers with a ReLU before all but the first of them; a dropout may stand before
    each.
    """
    stages: list[Stage] = []
    rectified, rate = False, 0.0
    for layer in network if type(network) is Sequential else ():
        ready = (rectified or not stages) and not rate
        if type(layer) is ReLU and stages and not rectified:
            rectified = True
        elif type(layer) is Dropout and ready:
            rate = min(layer.p, MAX_DROPOUT)
        elif type(layer) is Linear and layer.bias is not None and (rectified or not stages):
            stages.append(Stage(layer, rectified, rate))
            rectified, rate = False, 0.0
        else:
            return None
    return stages if stages and not rectified and not rate else None


class Perceptron:
    """Passes of a perceptron without autograd but for the loss.

    All parameters are one vector.

    The network's own parameters become views of the float32 vector that the optimiser updates. Once a step it is copied
    to the precision of the products; a layer behind a dropout gets its weights times 1 / (1 - rate) there, so that what
    is kept needs no scaling. A perceptron has no slope for its inputs.
    """

    def __init__(self, stages: list[Stage], dtype: torch.dtype, seed: int) -> None:
        own = [parameter for stage in stages for parameter in (stage.linear.weight, stage.linear.bias)]
        shapes = [parameter.shape for parameter in own]
        self.stages, self.dtype = stages, dtype
        vector = Parameter(torch.cat([parameter.detach().flatten() for parameter in own]))
        vector.grad = torch.zeros_like(vector)
        self.parameters = [vector]
        self.used = torch.empty_like(vector, dtype=dtype, requires_grad=False)
        self.slope = vector.grad if dtype == torch.float32 else torch.empty_like(self.used)
        for parameter, view in zip(own, _views(vector.data, shapes), strict=True):
            parameter.data = view
        self.used_views, self.slope_views, self.grad_views = (
            list(_pairs(_views(flat, shapes))) for flat in (self.used, self.slope, vector.grad)
        )
        self.fate = torch.Generator(vector.device).manual_seed(seed)
        self.chance = random.Random(seed)
        self.seen: list[Tensor] = []  # the inputs of every linear layer in the last training pass

    def differentiate(self, objective: Objective, inputs: Tensor, y: Tensor) -> Tensor:
        self._take_over(training=True)
        outputs: list[Tensor] = []

        def forward(inputs: Tensor) -> Tensor:
            outputs.append(self._forward(inputs).requires_grad_())
            return outputs[-1]

        loss = objective(forward, inputs, y)
        self._backward(*torch.autograd.grad(loss, outputs))
        return loss.detach()

    @torch.no_grad()
    def outputs(self, X: Tensor) -> Tensor:
        self._take_over(training=False)
        answers = []
        for x in X.split(PREDICTED_ROWS):
            for stage, (weight, bias) in zip(self.stages, self.used_views, strict=True):
                x = torch.addmm(bias, x.relu_() if stage.rectified else x, weight.T)
            answers.append(x.float())
        return torch.cat(answers)

    @torch.no_grad()
    def _take_over(self, training: bool) -> None:
        self.used.copy_(self.parameters[0])
        for stage, (weight, _) in zip(self.stages, self.used_views, strict=True):
            if training and stage.rate:
                torch.mul(stage.linear.weight, 1 / (1 - stage.rate), out=weight)

    @torch.no_grad()
    def _forward(self, x: Tensor) -> Tensor:
        self.seen = []
        for stage, (weight, bias) in zip(self.stages, self.used_views, strict=True):
            if stage.rectified:
                x = x.relu_()
            if stage.rate:
                mask = self._kept(x.shape, stage.rate)
                x = x.mul_(mask) if stage.rectified else x * mask  # what came in is not ours to change
            self.seen.append(x)
            x = torch.addmm(bias, x, weight.T)
        return x.float()

    def _kept(self, shape: torch.Size, rate: float) -> Tensor:
        return keep_mask(shape, rate, self.chance.random(), self.dtype, self.fate)

    @torch.no_grad()
    def _backward(self, slope: Tensor) -> None:
        slope = slope.to(self.dtype)
        layers = list(zip(self.stages, self.seen, self.used_views, self.slope_views, strict=True))
        for stage, x, (weight, _), (weight_slope, bias_slope) in reversed(layers):
            torch.mm(slope.T, x, out=weight_slope)
            torch.sum(slope, 0, out=bias_slope)
            if stage.rectified:  # what is 0 was negative or dropped
                slope = torch.ops.aten.threshold_backward(slope @ weight, x, 0)
        if self.slope is not self.parameters[0].grad:
            self.parameters[0].grad.copy_(self.slope)
        for stage, (weight_slope, _) in zip(self.stages, self.grad_views, strict=True):
            if stage.rate:
                weight_slope.mul_(1 / (1 - stage.rate))


def _views(flat: Tensor, shapes: list[torch.Size]) -> list[Tensor]:
    parts = flat.split([shape.numel() for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


def _pairs(views: list[Tensor]) -> "zip[tuple[Tensor, Tensor]]":
    return zip(views[::2], views[1::2], strict=True)
