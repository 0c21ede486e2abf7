"""The learning curve in words: a line for the terminal, a card's section."""

from collections.abc import Iterable, Sequence

from harness.label.learning_curve import Growth
from harness.report.markdown import escape, format_table, mean_std, number
from harness.statistics.intervals import Interval


def summary_line(growth: Growth) -> str:
    """Return the number of labels that the target takes, or why it is unknown.

    >>> summary_line(Growth(0.6, 1851, needed=5214.3, low=4080.0, high=9020.0))
    'accuracy 0.6: about 5,200 labels (4,100 to 9,000); there are 1,851'
    >>> summary_line(Growth(0.7, 1851, at_least=2040.0))
    'accuracy 0.7: at least 2,000 labels, how many the curve cannot tell; there are 1,851'
    >>> summary_line(Growth(0.9, 1851, why="beyond the fitted asymptote"))
    'accuracy 0.9: the curve cannot tell (beyond the fitted asymptote)'
    """
    there = f"there are {growth.labels:,}"
    if growth.at_least is not None:
        least = f"at least {_rough(growth.at_least)} labels, how many the curve cannot tell"
        return f"accuracy {growth.target:g}: {least}; {there}"
    if growth.needed is None or growth.low is None or growth.high is None:
        return f"accuracy {growth.target:g}: the curve cannot tell ({growth.why})"
    interval = f"{_rough(growth.low)} to {_rough(growth.high)}"
    return f"accuracy {growth.target:g}: about {_rough(growth.needed)} labels ({interval}); {there}"


def card_section(growth: Growth, classes: Sequence[str]) -> Iterable[str]:
    """Yield the paragraphs of the card's section, Markdown."""
    yield "## How many more labels, and where"
    if not growth.points:
        yield f"Nothing can be said. {_sentence(summary_line(growth))}"
        return
    yield (
        "Each fold's labeler was also trained on random parts of its labels, each part within the next, and asked "
        "about the same rows. Accuracy as mean and standard deviation over the folds:"
    )
    rows = [[f"{point.labels:,}", mean_std(point.accuracy)] for point in growth.points]
    yield format_table(["Labels", "Accuracy"], rows, left_columns=())
    yield (
        f"**{_sentence(summary_line(growth))}** The law through these sizes is error = a n^-b + c "
        "(Hestness et al. 2017); it holds for labels that are drawn at random from the pool. The folds share most of "
        "their rows (Bengio and Grandvalet 2004), so an interval from them is a rough one."
    )
    half, full = (f"{point.labels:,}" for point in growth.points[-2:])
    yield _class_table(growth, classes, half, full)
    gaining = max(growth.by_class, key=lambda c: growth.by_class[c].gain.value)
    failing = max(growth.by_class, key=lambda c: growth.by_class[c].errors)
    gain, errors = growth.by_class[gaining].gain, growth.by_class[failing].errors
    most, worst = escape(classes[gaining]), escape(classes[failing])
    gained = f"class {most} has gained most ({gain.value:+.4f})" if gain.low > 0 else "no class has clearly gained"
    yield f"By the last doubling of the labels {gained}; most errors are of rows of class {worst} ({errors:.2%})."
    if growth.by_source:
        yield _source_table(growth, half, full)
        yield f"{_source_in_need(growth)} This takes each source's unlabelled rows to be like its labelled ones."


def _class_table(growth: Growth, classes: Sequence[str], half: str, full: str) -> str:
    header = ["Class", "Gold rows", f"F1 at {half}", f"F1 at {full}", "Gain", "Share of the errors"]
    rows = [
        [escape(classes[c]), f"{g.labelled:,}", number(g.half), number(g.full), _gain(g.gain), f"{g.errors:.2%}"]
        for c, g in growth.by_class.items()
    ]
    return format_table(header, rows, left_columns=("Class",))


def _source_table(growth: Growth, half: str, full: str) -> str:
    accuracies = [f"Accuracy at {half}", f"Accuracy at {full}"]
    header = ["Source", "Labelled", "Unlabelled", *accuracies, "Gain", "Errors to expect"]
    rows = [
        [
            escape(name),
            f"{g.labelled:,}",
            f"{g.unlabelled:,}",
            number(g.half) or "–",
            number(g.full) or "–",
            _gain(g.gain),
            "–" if g.errors is None else f"{g.errors:,.0f}",
        ]
        for name, g in growth.by_source.items()
    ]
    return format_table(header, rows, left_columns=("Source",))


def _source_in_need(growth: Growth) -> str:
    errors = {name: source.errors for name, source in growth.by_source.items() if source.errors is not None}
    name = max(errors, key=lambda name: errors[name])
    source = growth.by_source[name]
    clear = source.gain is not None and source.gain.low > 0
    return (
        f"The source with most to gain is {escape(name)}: of its {source.unlabelled:,} unlabelled rows "
        f"{errors[name]:,.0f} errors are to be expected, and the last doubling of the labels "
        f"{'has helped there' if clear else 'has not clearly helped there'}."
    )


def _gain(interval: Interval | None) -> str:
    return "–" if interval is None else f"{interval.value:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"


def _rough(n: float) -> str:
    """Write a number of labels to two digits: no curve is more precise."""
    return f"{float(f'{n:.1e}'):,.0f}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{escape(text[1:])}."
