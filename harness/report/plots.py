"""The plots of a run: which there are, and the numbers in each."""

from collections.abc import Sequence

from harness.report.svg import Figure, Panel, Series, describe
from harness.scoring.profiles import FITTED_METRICS, MAX_DRAWN_LABELERS, LabelerProfile, LearningCurve, RunProfile
from harness.statistics.metrics import DISPLAY_NAMES
from harness.statistics.selective import COVERAGE_STEPS


def learning_figures(run_profile: RunProfile, class_names: Sequence[str]) -> dict[str, list[Figure]]:
    """Return {kind of split: figures of its scores and of its classes}."""
    names, figures = _drawn_labelers(run_profile), {}
    for i, family in enumerate(dict.fromkeys(curve.family for curve in run_profile.curves), 1):
        curves = [curve for curve in run_profile.curves if curve.family == family]
        titles = list(dict.fromkeys(curve.title for curve in curves))[:MAX_DRAWN_LABELERS]
        curves = [curve for curve in curves if curve.title in titles]
        metrics = sorted({curve.metric for curve in curves if curve.label_class is None}, key=_metric_order)
        classes = sorted({curve.label_class for curve in curves if curve.label_class is not None})
        of_scores = [_curve_panel(DISPLAY_NAMES.get(metric, metric), curves, metric, None) for metric in metrics]
        of_classes = [_curve_panel(f"Class {class_names[c]}", curves, "accuracy", c) for c in classes]
        figures[family] = [
            _figure(f"curves-{i}", f"Scores against labels, {family}", of_scores, names),
            _figure(f"classes-{i}", f"Accuracy on each class against labels, {family}", of_classes, names),
        ]
    return figures


def _metric_order(metric: str) -> tuple[int, str]:
    """Sort the fitted metrics first, in their own order."""
    return (FITTED_METRICS.index(metric) if metric in FITTED_METRICS else len(FITTED_METRICS), metric)


def _curve_panel(title: str, curves: list[LearningCurve], metric: str, label_class: int | None) -> Panel:
    of_panel = [curve for curve in curves if (curve.metric, curve.label_class) == (metric, label_class)]
    series = tuple(map(_curve_series, of_panel))
    return Panel(title, "Labels", "" if label_class is None else "Accuracy", series, log=True, share=metric != "mae")


def _curve_series(curve: LearningCurve) -> Series:
    x = tuple(float(point.labels) for point in curve.points)
    y = tuple(point.value.mean for point in curve.points)
    sd = tuple(point.value.sd for point in curve.points)
    texts = []
    for point in curve.points:
        cells = f" (mean of {point.value.n} cells)" if point.value.n > 1 else ""
        texts.append(f"{curve.title}: {point.value.mean:.4f} with {point.labels:,} labels{cells}")
    return Series(curve.title, x, y, sd, tuple(texts))


def confidence_figures(run_profile: RunProfile, comparison: str, number: int, heading: str) -> list[Figure]:
    """Return the figure on confidence of the `number`-th comparison, if any.

    There is none where no labeler has answered. `heading` is the comparison's on the page.
    """
    profiles = run_profile.of(comparison)[:MAX_DRAWN_LABELERS]
    if not profiles:
        return []
    coverage, reliability = (tuple(map(series, profiles)) for series in (_coverage_series, _reliability_series))
    panels = [
        Panel("Accuracy of the surest rows", "Share of the rows", "", coverage, level=run_profile.target),
        Panel("Accuracy against confidence", "Confidence", "", reliability, diagonal=True),
    ]
    title = f"What confidence is worth, {heading}"
    return [_figure(f"confidence-{number}", title, panels, _drawn_labelers(run_profile))]


def _coverage_series(profile: LabelerProfile) -> Series:
    x = tuple((k + 1) / COVERAGE_STEPS for k in range(COVERAGE_STEPS))
    y = tuple(map(float, profile.accuracies))
    texts = [f"{profile.title}: {value:.4f} on the surest {at * 100:.0f} %" for at, value in zip(x, y, strict=True)]
    return Series(profile.title, x, y, texts=tuple(texts))


def _reliability_series(profile: LabelerProfile) -> Series:
    fewest = max(sum(part.rows for part in profile.bins) / 1000, 1)
    bins = [part for part in profile.bins if part.rows >= fewest]
    x = tuple(part.confidence / part.rows for part in bins)
    y = tuple(part.hits / part.rows for part in bins)
    texts = [
        f"{profile.title}: accuracy {accuracy:.4f} at confidence {confidence:.4f}, {part.rows:,} rows"
        for confidence, accuracy, part in zip(x, y, bins, strict=True)
    ]
    return Series(profile.title, x, y, texts=tuple(texts))


def _drawn_labelers(run_profile: RunProfile) -> tuple[str, ...]:
    """Return every labeler that any plot draws, in one order."""
    titles: dict[str, dict[str, None]] = {}  # of every plot
    for profile in run_profile.profiles:
        titles.setdefault(profile.comparison, {})[profile.title] = None
    for curve in run_profile.curves:
        titles.setdefault(f"curves of {curve.family}", {})[curve.title] = None
    return tuple(dict.fromkeys(title for group in titles.values() for title in list(group)[:MAX_DRAWN_LABELERS]))


def _figure(name: str, title: str, panels: list[Panel], names: tuple[str, ...]) -> Figure:
    texts = [f"{panel.title or panel.y}: {describe(panel.series)}." for panel in panels]
    return Figure(name, title, " ".join(texts), tuple(panels), names)
