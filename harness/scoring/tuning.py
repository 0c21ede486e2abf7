"""The settings tried of each method, and what the best of them is worth."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from harness.plugin.protocols import block_names, iter_plugins
from harness.scoring.standings import Choice, Standings
from harness.statistics import significance
from harness.statistics.selection_bias import SelectionEffect, selection_effect
from harness.statistics.value_interval import value_interval
from harness.suite.candidates import Candidate

Settings = Mapping[str, tuple[str, ...]]
"""From a method to the titles of the labelers that differ in its other parameters alone."""


def settings_by_method(candidates: Iterable[Candidate]) -> Settings:
    """Group labelers by method.

    A method is a labeler, with those it holds, on certain blocks.
    """
    methods: dict[str, dict[str, None]] = {}
    by_title = {candidate.title: candidate for candidate in candidates}  # one labeler has a cell on every split
    for candidate in by_title.values():
        if candidate.labeler is not None:
            methods.setdefault(method_name(candidate.labeler), {})[candidate.title] = None
    return {method: tuple(titles) for method, titles in methods.items()}


def method_name(labeler: Any) -> str:
    """Return a labeler's name without its settings: "cleanlab(mlp) on bge".

    >>> from harness_plugins.labelers.majority import Majority
    >>> method_name(Majority())
    'majority'
    """
    outer, *inner = (str(plugin.name) for plugin in iter_plugins(labeler))
    blocks = block_names(labeler)
    return outer + (f"({', '.join(inner)})" if inner else "") + (f" on {'+'.join(blocks)}" if blocks else "")


def selection_effects(standings: Standings, settings: Settings, lower_is_better: bool) -> Mapping[str, SelectionEffect]:
    """Return by method what choosing the best of its settings gained.

    Empty where nothing is measured, or on too few rows.
    """
    measured, titles = standings.evidence.measured, standings.evidence.titles
    if measured is None or not standings.has_enough_rows:
        return {}
    places = {title: i for i, title in enumerate(titles)}
    members = {method: np.array([places[t] for t in group if t in places]) for method, group in settings.items()}
    return {
        method: selection_effect(measured, group, lower_is_better) for method, group in members.items() if len(group)
    }


def with_choices(standings: Standings, settings: Settings, lower_is_better: bool) -> Standings:
    """Add to the best of several settings its value when chosen apart.

    Its interval is that of this number, which no luck of the choice has raised.
    """
    effects = [e for e in selection_effects(standings, settings, lower_is_better).values() if e.settings > 1]
    measured, by_title = standings.evidence.measured, dict(standings.by_title)
    if measured is None or not effects:
        return standings
    own = significance.estimate_values(measured)
    for effect in effects:
        title, one = standings.evidence.titles[effect.best], slice(effect.best, effect.best + 1)
        apart = significance.Estimates(np.array([effect.apart]), own.se[one], own.df[one])
        low, high = value_interval(apart, standings.evidence.bounds, measured.units)
        by_title[title] = replace(
            by_title[title], interval=(float(low[0]), float(high[0])), chosen=Choice(effect.settings, effect.apart)
        )
    return replace(standings, by_title=by_title)
