"""The rule of a network: its weights."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness import Block
from harness_plugins.networks.parameters import Training
from harness_plugins.networks.scaling import InputScaler

if TYPE_CHECKING:
    from torch.nn import Module

PREDICTED_ROWS = 8_192  # rows answered at a time


@dataclass(frozen=True, eq=False)
class NetworkRule:
    """The weights of a trained network, and the scales of its inputs."""

    recipe: Training
    scaler: InputScaler
    n_classes: int
    weights: dict[str, np.ndarray]  # by the names that torch gives them

    def label(self, blocks: Mapping[str, Block], rows: np.ndarray) -> np.ndarray:
        import torch

        with torch.device("meta"):  # without memory, and without a draw of weights
            network = self.recipe.network(self.scaler.width, self.n_classes)
        network.load_state_dict({name: torch.tensor(array) for name, array in self.weights.items()}, assign=True)
        network.to("cuda" if torch.cuda.is_available() else "cpu")
        parts = self.scaler.parts(blocks, rows, PREDICTED_ROWS)
        return predict(network, self.recipe, parts, (len(rows), self.n_classes))


def predict(
    network: "Module", recipe: Training, parts: Iterable[tuple[slice, np.ndarray]], shape: tuple[int, int]
) -> np.ndarray:
    """Return probabilities of `shape` (rows, C), float32, by `network`.

    `parts` are (slice of the rows, (len, d)); nothing is dropped.
    """
    import torch

    network.eval()
    device = next(network.parameters()).device
    proba = np.empty(shape, np.float32)
    with torch.inference_mode():
        for place, part in parts:
            proba[place] = recipe.probabilities(network(torch.from_numpy(part).to(device))).cpu().numpy()
    return proba
