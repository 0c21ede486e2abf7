"""Which plots a page shows of a run's portrait, and the numbers in each."""

from harness.report.svg import Figure, Panel, Series, describe
from harness.scoring.profiles import FITTED_METRICS, MAX_DRAWN_LABELERS, LabelerProfile, LearningCurve, RunProfile
from harness.statistics.metrics import DISPLAY_NAMES
from harness.statistics.selective import COVERAGE_STEPS


def learning_figures(run_profile: RunProfile) -> dict[str, list[Figure]]:
    """Return for every kind of split with several train sizes its figures: scores, and classes."""
    names, found = _names(run_profile), {}
    for place, family in enumerate(dict.fromkeys(curve.family for curve in run_profile.curves), 1):
        titles = list(dict.fromkeys(curve.title for curve in run_profile.curves if curve.family == family))[
            :MAX_DRAWN_LABELERS
        ]
        curves = [curve for curve in run_profile.curves if curve.family == family and curve.title in titles]
        whole = {c.metric for c in curves if c.label_class is None}
        panels = [
            _curve_panel(DISPLAY_NAMES.get(metric, metric), curves, metric, None)
            for metric in sorted(whole, key=_shown_first)
        ]
        per_class = sorted({curve.label_class for curve in curves if curve.label_class is not None})
        by_class = [_curve_panel(f"Class {c}", curves, "accuracy", c) for c in per_class]
        found[family] = [
            _figure(f"curves-{place}", f"Scores against labels, {family}", panels, names),
            _figure(f"classes-{place}", f"Accuracy on each class against labels, {family}", by_class, names),
        ]
    return found


def _shown_first(metric: str) -> tuple[int, str]:
    return (FITTED_METRICS.index(metric) if metric in FITTED_METRICS else len(FITTED_METRICS), metric)


def _curve_panel(title: str, curves: list[LearningCurve], metric: str, label_class: int | None) -> Panel:
    chosen = [curve for curve in curves if (curve.metric, curve.label_class) == (metric, label_class)]
    series = tuple(
        Series(
            curve.title,
            tuple(float(point.labels) for point in curve.points),
            tuple(point.value.mean for point in curve.points),
            tuple(point.value.sd for point in curve.points),
            tuple(
                f"{curve.title}: {p.value.mean:.4f} with {p.labels:,} labels" + _cells(p.value.n) for p in curve.points
            ),
        )
        for curve in chosen
    )
    return Panel(title, "Labels", "" if label_class is None else "Accuracy", series, log=True, share=metric != "mae")


def _cells(n: int) -> str:
    return f" (mean of {n} cells)" if n > 1 else ""


def confidence_figures(run_profile: RunProfile, comparison: str, place: int) -> list[Figure]:
    """Return the figure on the confidence of one comparison's labelers, if any has answered."""
    names = _names(run_profile)
    profiles = run_profile.of(comparison)[:MAX_DRAWN_LABELERS]
    if not profiles:
        return []
    panels = [
        Panel(
            "Accuracy of the surest rows",
            "Share of the rows",
            "",
            tuple(map(_coverage_series, profiles)),
            level=run_profile.target,
        ),
        Panel(
            "Accuracy against confidence", "Confidence", "", tuple(map(_reliability_series, profiles)), diagonal=True
        ),
    ]
    return [_figure(f"confidence-{place}", f"What confidence is worth, {comparison}", panels, names)]


def _coverage_series(profile: LabelerProfile) -> Series:
    x = tuple((k + 1) / COVERAGE_STEPS for k in range(COVERAGE_STEPS))
    y = tuple(map(float, profile.accuracies))
    texts = [f"{profile.title}: {value:.4f} on the surest {at * 100:.0f} %" for at, value in zip(x, y, strict=True)]
    return Series(profile.title, x, y, texts=tuple(texts))


def _reliability_series(profile: LabelerProfile) -> Series:
    bins = [each for each in profile.bins if each.rows >= max(sum(b.rows for b in profile.bins) / 1000, 1)]
    x = tuple(each.confidence / each.rows for each in bins)
    y = tuple(each.hits / each.rows for each in bins)
    texts = [
        f"{profile.title}: accuracy {b:.4f} where it says {a:.4f}, {each.rows:,} rows"
        for a, b, each in zip(x, y, bins, strict=True)
    ]
    return Series(profile.title, x, y, texts=tuple(texts))


def _names(run_profile: RunProfile) -> tuple[str, ...]:
    """Return every labeler that any plot draws, in one order."""
    found: dict[str, list[str]] = {}
    for profile in run_profile.profiles:
        found.setdefault(profile.comparison, []).append(profile.title)
    for curve in run_profile.curves:
        titles = found.setdefault(f"curves of {curve.family}", [])
        if curve.title not in titles:
            titles.append(curve.title)
    return tuple(dict.fromkeys(title for titles in found.values() for title in titles[:MAX_DRAWN_LABELERS]))


def _figure(name: str, title: str, panels: list[Panel], names: tuple[str, ...]) -> Figure:
    texts = [f"{panel.title or panel.y}: {describe(panel.series)}." for panel in panels]
    return Figure(name, title, " ".join(texts), tuple(panels), names)
