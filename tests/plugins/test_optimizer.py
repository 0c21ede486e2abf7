"""AdamW and its learning rates are those of torch, bit for bit."""

import subprocess
import sys

import pytest
import torch
from torch.nn import Parameter

from harness_plugins.networks.optimizer import AdamW, cosine


@pytest.mark.parametrize("shapes", [[(1_000,)], [(7, 5), (7,), (3, 7), ()]])
def test_steps_and_rates_are_those_of_torch(shapes):
    random = torch.Generator().manual_seed(3)
    ours = [Parameter(torch.randn(shape, generator=random)) for shape in shapes]
    theirs = [Parameter(parameter.detach().clone()) for parameter in ours]
    optimizer = torch.optim.AdamW(theirs, lr=0.01, weight_decay=0.1, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=30)
    mine = AdamW(ours, weight_decay=0.1)
    for lr in cosine(0.01, 30):
        assert lr == schedule.get_last_lr()[0]
        for _ in range(3):
            for one, other in zip(ours, theirs, strict=True):
                one.grad = other.grad = torch.randn(one.shape, generator=random)
            mine.step(lr)
            optimizer.step()
        schedule.step()
        assert all(map(torch.equal, ours, theirs))
    assert lr < 0.0001


@pytest.mark.slow
def test_training_imports_no_compiler():
    code = """
import sys, numpy as np
from harness import Block, Task
from harness_plugins.networks.plugins import MLP, ResNet
X = np.random.default_rng(0).standard_normal((40, 5)).astype(np.float32)
task = Task({"x": Block(X)}, np.arange(20), np.arange(20) % 3, np.arange(20, 40), 3)
for labeler in (MLP("x", epochs=2), ResNet("x", epochs=2)):
    labeler.label(task)
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
