"""Advice on blocks whose numbers are of very different size.

A network learns slowly from small inputs beside large ones; whether that is a loss depends on the data
(docs/findings.md).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.plugin.block import Block, Rows, fit_scalings, scaled_matrix
from harness.plugin.protocols import block_names, iter_plugins

UNEVEN = 10.0  # times apart: from here on it is said
NAMED_LABELERS = 2  # in a line, at most


def root_mean_square(block: Block, rows: Rows) -> float:
    """Return that of a block's numbers at `rows`, features z-scored."""
    X = scaled_matrix([block], fit_scalings([block], rows), rows)
    return float(np.sqrt(np.square(X, dtype=np.float64).mean())) if X.size else 0.0


def scale_advice(labelers: Mapping[str, Any], scales: Mapping[str, float]) -> list[str]:
    """Return a line for each two blocks that are far apart.

    They are the smallest and the largest block of a labeler that is sensitive to scale. `labelers` are by title,
    `scales` are the blocks' root mean squares by name.
    """
    titles: dict[tuple[str, str], list[str]] = {}
    for title, labeler in labelers.items():
        names = sorted((name for name in mixed_blocks(labeler) if scales.get(name)), key=lambda name: scales[name])
        if names and scales[names[-1]] >= UNEVEN * scales[names[0]]:
            titles.setdefault((names[0], names[-1]), []).append(title)
    return [
        f"blocks {small!r} and {large!r} differ in scale {scales[large] / scales[small]:.0f} times (root mean square "
        f"{scales[small]:.2g} and {scales[large]:.2g}): try whether scale: standard is better for {_listed(names)}"
        for (small, large), names in titles.items()
    ]


def mixed_blocks(labeler: Any) -> tuple[str, ...]:
    """Return the blocks that a labeler takes on the scales they have.

    Those that a wrapper around it names (`on`) are on another scale by then.
    """
    plugins = list(iter_plugins(labeler))
    wrappers = [plugin for plugin in plugins if len(list(iter_plugins(plugin))) > 1]
    rescaled = {name for wrapper in wrappers for name in _names(getattr(wrapper, "on", ()))}
    sensitive = [plugin for plugin in plugins if getattr(plugin, "scale_sensitive", False)]
    return tuple(dict.fromkeys(n for plugin in sensitive for n in block_names(plugin) if n not in rescaled))


def _names(on: str | tuple[str, ...]) -> tuple[str, ...]:
    return (on,) if isinstance(on, str) else tuple(on)


def _listed(titles: list[str]) -> str:
    more = len(titles) - NAMED_LABELERS
    return ", ".join(titles[:NAMED_LABELERS]) + (f" and {more} more" if more > 0 else "")
