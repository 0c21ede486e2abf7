"""Cost of proxy labels in seconds and money, against buying labels."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prices:
    """Prices in any one currency; None where none is given."""

    label: float | None = None  # of one bought label
    hour: float | None = None  # of the machine


@dataclass(frozen=True)
class Cost:
    """Cost of one accepted proxy label.

    A number is None where no label is accepted, or a price is missing.
    """

    seconds: float | None  # of the labeler's work
    compute: float | None  # money for these seconds
    total: float | None  # and for the labels it learned from, spread over the accepted ones
    saved: float | None  # share of the price of buying all rows' labels; below 0 the proxy costs more


def cost(seconds: float, train: int, rows: int, accepted: float, prices: Prices) -> Cost:
    """Return the cost of `accepted` proxy labels of `rows` rows.

    The labeler took `seconds` and `train` bought labels.

    Saved is the share of what buying the labels of all rows would cost when only those not accepted are bought. The
    train labels are bought either way, so they are no part of it.
    """
    if not accepted:
        return Cost(None, None, None, None)
    machine = None if prices.hour is None else seconds / 3600 * prices.hour
    compute = None if machine is None else machine / accepted
    if prices.label is None:
        return Cost(seconds / accepted, compute, None, None)
    spent = machine or 0.0
    total = (spent + train * prices.label) / accepted
    bought = rows * prices.label
    return Cost(seconds / accepted, compute, total, (accepted * prices.label - spent) / bought if bought else None)
