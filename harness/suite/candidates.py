"""The labelers of a suite: each entry, a grid of parameters, the baseline."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from harness.errors import did_you_mean
from harness.plugin.protocols import block_names, iter_plugins
from harness.suite import spec
from harness.utils.yaml_file import Document, Place

DISPLAY = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+()=,-]{0,79}")
LABELERS_FORM = "a list of labelers, as '- majority: {}'"
MAX_CELLS = 20_000


@dataclass(frozen=True)
class Candidate:
    """A labeler of the suite with its title on the leaderboard."""

    title: str
    labeler: Any


def read_labelers(section: Any, blocks: set[str], reader: spec.Reader) -> list[Candidate]:
    """Read the labelers of a suite, whose blocks are called so."""
    if not isinstance(section, list) or not section:
        reader.add_problem(("labelers",), f"must be {LABELERS_FORM}")
        return []
    candidates: list[Candidate] = []
    titles: set[str] = set()
    for i, value in enumerate(section):
        for candidate in _candidates(value, ("labelers", i), reader):
            if any(getattr(plugin, "on", None) == () for plugin in iter_plugins(candidate.labeler)):
                reader.add_problem(("labelers", i), "'on' must name at least one block")
            for missing in [name for name in block_names(candidate.labeler) if name not in blocks]:
                reader.add_problem(("labelers", i), f"no block is called {missing!r}{did_you_mean(missing, blocks)}")
            if candidate.title in titles:
                reader.add_problem(
                    ("labelers", i), f"two labelers are called {candidate.title!r}; give one a name with 'as'"
                )
            titles.add(candidate.title)
            candidates.append(candidate)
    return candidates


def _candidates(value: Any, place: Place, reader: spec.Reader) -> Iterator[Candidate]:
    """Yield the labelers of an entry, one per combination of its grid."""
    display = value.get("as") if isinstance(value, dict) else None
    if display is not None and (not isinstance(display, str) or not DISPLAY.fullmatch(display)):
        reader.add_problem((*place, "as"), f"must be a short plain name, got {display!r}")
        return
    named = [key for key in value if key != "as"] if isinstance(value, dict) else []
    parameters = value[named[0]] if len(named) == 1 else None
    grid = parameters.get("grid") if isinstance(parameters, dict) else None
    if not isinstance(parameters, dict) or "grid" not in parameters:
        labeler = reader.read_plugin("labelers", value, place, without=("as",))
        if labeler is not spec.INVALID:
            yield Candidate(display or spec.display_name(labeler), labeler)
        return
    grid_place = (*place, named[0], "grid")
    if not isinstance(grid, dict) or not grid or not all(isinstance(v, list) and v for v in grid.values()):
        reader.add_problem(grid_place, f"must map parameters to lists of values, as {{k: [20, 50]}}, got {grid!r}")
        return
    if prod(len(values) for values in grid.values()) > MAX_CELLS:
        sizes = " x ".join(f"{key} {len(values)}" for key, values in grid.items())
        reader.add_problem(grid_place, f"more than {MAX_CELLS:,} combinations ({sizes})")
        return
    fixed = {key: item for key, item in parameters.items() if key != "grid"}
    for key in fixed.keys() & grid.keys():
        reader.add_problem(grid_place, f"{key!r} is given both beside the grid and in it")
    for combination in product(*grid.values()):
        varied = dict(zip(grid, combination, strict=True))
        labeler = reader.read_plugin("labelers", {named[0]: fixed | varied}, place)
        if labeler is spec.INVALID:
            return  # the others would only repeat the problem
        values = ", ".join(f"{key}={item}" for key, item in varied.items())
        yield Candidate(f"{display}({values})" if display else spec.display_name(labeler), labeler)


def with_baseline(labelers: list[Candidate], baseline: str, reader: spec.Reader) -> list[Candidate]:
    """Add the baseline where the labelers do not have it."""
    if any(candidate.title == baseline for candidate in labelers):
        return labelers
    titles = [candidate.title for candidate in labelers]
    trial = spec.Reader(Document("", None, {}), reader.find)
    labeler = trial.read_plugin("labelers", baseline, ())
    if trial.problems:
        suggestion = did_you_mean(baseline, titles)
        message = f"no labeler of the suite is called {baseline!r}{suggestion}"
        reader.add_problem(("metrics", "baseline"), message)
        return labelers
    return [Candidate(baseline, labeler), *labelers]
