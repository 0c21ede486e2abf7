"""What is said of more labels: one line for the terminal, a section for the card."""

from collections.abc import Iterable

from harness.label.learning_curve import Growth
from harness.report.markdown import escape, format_table, mean_std, number
from harness.statistics.intervals import Interval


def summary_line(growth: Growth) -> str:
    """Return how many labels the target takes, or why nobody can say.

    >>> line(Growth(0.6, 1851, needed=5214.3, low=4080.0, high=9020.0))
    'accuracy 0.6: about 5,200 labels (4,100 to 9,000); there are 1,851'
    >>> line(Growth(0.9, 1851, why="beyond the fitted asymptote"))
    'accuracy 0.9: beyond the fitted asymptote'
    """
    if growth.needed is None:
        return f"accuracy {growth.target:g}: {growth.why}"
    interval = ""
    if growth.low is not None:
        high = "out of reach" if growth.high is None else _rough(growth.high)
        interval = f" ({_rough(growth.low)} to {high})"
    return f"accuracy {growth.target:g}: about {_rough(growth.needed)} labels{interval}; there are {growth.labels:,}"


def card_section(growth: Growth) -> Iterable[str]:
    """Yield the parts of the card's section, Markdown."""
    yield "## How many more labels, and where"
    if not growth.points:
        yield f"Nothing can be said. {_sentence(summary_line(growth))}"
        return
    yield (
        "Each fold's labeler was also trained on random parts of its labels, each part within the next, and asked "
        "about the same rows. Accuracy as mean and standard deviation over the folds:"
    )
    rows = [[f"{point.labels:,}", mean_std(point.accuracy)] for point in growth.points]
    yield format_table(["Labels", "Accuracy"], rows, left=())
    yield (
        f"**{_sentence(summary_line(growth))}** The law through these sizes is error = a n^-b + c "
        "(Hestness et al. 2017); it "
        "holds for labels that are drawn at random from the pool. The folds share most of their rows (Bengio and "
        "Grandvalet 2004), so an interval from them is a rough one."
    )
    half, whole = (f"{point.labels:,}" for point in growth.points[-2:])
    yield _by_class(growth, half, whole)
    yield _class_in_need(growth)
    if growth.by_source:
        yield _by_source(growth, half, whole)
        yield f"{_source_in_need(growth)} This takes each source's unlabelled rows to be like its labelled ones."


def _by_class(growth: Growth, half: str, whole: str) -> str:
    header = ["Class", "Gold rows", f"F1 at {half}", f"F1 at {whole}", "Gain", "Share of the errors"]
    rows = [
        [str(c), f"{each.labelled:,}", number(each.half), number(each.whole), _gain(each.gain), f"{each.errors:.2%}"]
        for c, each in growth.by_class.items()
    ]
    return format_table(header, rows, left=("Class",))


def _by_source(growth: Growth, half: str, whole: str) -> str:
    accuracies = [f"Accuracy at {half}", f"Accuracy at {whole}"]
    header = ["Source", "Labelled", "Unlabelled", *accuracies, "Gain", "Errors to expect"]
    rows = [
        [
            escape(name),
            f"{each.labelled:,}",
            f"{each.unlabelled:,}",
            number(each.half) or "–",
            number(each.whole) or "–",
            _gain(each.gain),
            "–" if each.errors is None else f"{each.errors:,.0f}",
        ]
        for name, each in growth.by_source.items()
    ]
    return format_table(header, rows, left=("Source",))


def _class_in_need(growth: Growth) -> str:
    best = max(growth.by_class, key=lambda c: growth.by_class[c].gain.value)
    worst = max(growth.by_class, key=lambda c: growth.by_class[c].errors)
    gain, errors = growth.by_class[best].gain, growth.by_class[worst].errors
    gained = f"class {best} has gained most ({gain.value:+.4f})" if gain.low > 0 else "no class has clearly gained"
    return f"By the last doubling of the labels {gained}; most errors are of rows of class {worst} ({errors:.2%})."


def _source_in_need(growth: Growth) -> str:
    known = {name: each.errors for name, each in growth.by_source.items() if each.errors is not None}
    worst = max(known, key=lambda name: known[name])
    each = growth.by_source[worst]
    clear = each.gain is not None and each.gain.low > 0
    return (
        f"The source with most to gain is {escape(worst)}: of its {each.unlabelled:,} unlabelled rows "
        f"{known[worst]:,.0f} errors are to be expected, and the last doubling of the labels "
        f"{'has helped there' if clear else 'has not clearly helped there'}."
    )


def _gain(found: Interval | None) -> str:
    return "–" if found is None else f"{found.value:+.4f} ({found.low:+.4f} to {found.high:+.4f})"


def _rough(n: float) -> str:
    """Write a number of labels to two digits: no curve knows more."""
    return f"{float(f'{n:.1e}'):,.0f}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{escape(text[1:])}."
