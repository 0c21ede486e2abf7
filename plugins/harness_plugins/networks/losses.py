"""Loss functions of tensors.

Every loss is a mean over the rows of a batch. Where classes have weights, the loss of a row is multiplied by the weight
of its class and the sum is divided by the sum of these weights: only their ratios matter.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def class_weights(y: "Tensor", n_classes: int) -> "Tensor":
    """Return (C,) inverse class frequencies of y (n,), of sum C.

    A class that y lacks has no frequency to invert: it gets 0, and the others share the sum C.
    """
    import torch

    counts = torch.bincount(y, minlength=n_classes).double()
    inverse = torch.where(counts > 0, 1 / counts, 0.0)
    return (n_classes * inverse / inverse.sum()).float()


def cross_entropy(
    outputs: "Tensor", targets: "Tensor", weight: "Tensor | None" = None, smoothing: float = 0.0
) -> "Tensor":
    """Return the mean cross-entropy of the softmax of `outputs` (rows, C).

    The `targets` are classes (rows,) or class shares (rows, C); `smoothing` spreads that part of every target evenly
    over all classes (Szegedy et al. 2016).
    """
    from torch.nn import functional

    total = functional.cross_entropy(outputs, targets, weight, label_smoothing=smoothing, reduction="sum")
    return total / _total_weight(targets, weight)


def focal(outputs: "Tensor", y: "Tensor", gamma: float, weight: "Tensor | None" = None) -> "Tensor":
    """Return the focal loss, the mean of -(1 - p_t)^gamma log p_t.

    p_t is the softmax of the row's class y (rows,) (Lin et al. 2017).

    The weight stays outside of p_t, which would be no probability with it.
    """
    log_p = outputs.log_softmax(dim=1).gather(1, y[:, None])[:, 0]  # (rows,)
    miss = (-log_p.expm1()).clamp(min=1e-12)  # 1 - p_t; from 0 a power below 1 has an infinite slope
    loss = -(miss**gamma) * log_p
    return (loss if weight is None else weight[y] * loss).sum() / _total_weight(y, weight)


def soft_ordinal(outputs: "Tensor", targets: "Tensor", alpha: float, weight: "Tensor | None" = None) -> "Tensor":
    """Return the cross-entropy with soft ordinal labels, a mean over rows.

    Class i has the share softmax(-alpha |i - y|) of the target of a row of class y (Diaz and Marathe 2019). The
    `targets` are classes (rows,) or class shares (rows, C), which mix these.
    """
    import torch

    shares = _shares(targets, outputs)
    classes = torch.arange(outputs.shape[1], device=outputs.device)
    soft = (-alpha * (classes[:, None] - classes).abs()).to(outputs.dtype).softmax(dim=1)  # (C, C), a row for each y
    return _mean(-((shares @ soft) * outputs.log_softmax(dim=1)).sum(dim=1), shares, weight)


def earth_mover(outputs: "Tensor", targets: "Tensor", weight: "Tensor | None" = None) -> "Tensor":
    """Return the mean squared earth mover's distance to the targets.

    Of a row it is the sum over k of (P(y <= k) - target share of classes up to k)^2, classes one step apart (Hou et
    al. 2016). The `targets` are classes (rows,) or class shares (rows, C).
    """
    shares = _shares(targets, outputs)
    return _mean((outputs.softmax(dim=1) - shares).cumsum(dim=1).square().sum(dim=1), shares, weight)


def mix(inputs: "Tensor", shares: "Tensor", partner: "Tensor", share: float) -> tuple["Tensor", "Tensor"]:
    """Mix inputs (rows, d) and shares (rows, C) with `partner` (rows,).

    `share` is what a row keeps of itself (Zhang et al. 2018).
    """
    return tuple(share * own + (1 - share) * own[partner] for own in (inputs, shares))


def ordinal(outputs: "Tensor", y: "Tensor") -> "Tensor":
    """Return the mean binary cross-entropy of the C - 1 targets y > k.

    The `outputs` (rows, C - 1) are the logits of P(y > k) for k from 0 to C - 2.
    """
    import torch
    from torch.nn import functional

    above = y[:, None] > torch.arange(outputs.shape[1], device=y.device)  # (rows, C - 1)
    return functional.binary_cross_entropy_with_logits(outputs, above.float())


def ordinal_probabilities(outputs: "Tensor") -> "Tensor":
    """Turn logits of P(y > k) into (rows, C) probabilities.

    They are the differences P(y > k - 1) - P(y > k).

    Where P(y > k) rises with k a difference is negative: it counts as 0, and the rest is scaled to sum 1.
    """
    from torch.nn import functional

    above = functional.pad(outputs.sigmoid(), (0, 1))  # P(y > C - 1) is 0 and
    before = functional.pad(above[:, :-1], (1, 0), value=1.0)  # P(y > -1) is 1,
    proba = (before - above).clamp(min=0)  # so the differences sum to 1, and clamped ones to no less
    return proba / proba.sum(dim=1, keepdim=True)


def _shares(targets: "Tensor", outputs: "Tensor") -> "Tensor":
    """Return class shares like `outputs` (rows, C) of classes or shares."""
    from torch.nn import functional

    return targets if targets.ndim == 2 else functional.one_hot(targets, outputs.shape[1]).to(outputs.dtype)


def _mean(losses: "Tensor", shares: "Tensor", weight: "Tensor | None") -> "Tensor":
    """Return the mean of losses (rows,), weighted by the rows' classes."""
    return losses.mean() if weight is None else ((shares @ weight) * losses).sum() / (shares @ weight).sum()


def _total_weight(targets: "Tensor", weight: "Tensor | None") -> "Tensor | int":
    if weight is None:
        return len(targets)
    return (weight[targets] if targets.ndim == 1 else targets @ weight).sum()
