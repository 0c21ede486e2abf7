"""The table of contents for plugin authors: four hooks, each returning classes.

Hooks are called at start-up: import heavy libraries inside the method that needs them.
"""

from collections.abc import Iterable

import pluggy

from harness.plugin.protocols import Embedder, FeatureSet, Labeler, Splitter

hookspec = pluggy.HookspecMarker("harness")
hookimpl = pluggy.HookimplMarker("harness")


@hookspec
def harness_embedders() -> Iterable[type[Embedder]]:  # type: ignore[empty-body]
    """The embedder classes this plugin offers."""


@hookspec
def harness_features() -> Iterable[type[FeatureSet]]:  # type: ignore[empty-body]
    """The feature-set classes this plugin offers."""


@hookspec
def harness_splitters() -> Iterable[type[Splitter]]:  # type: ignore[empty-body]
    """The splitter classes this plugin offers."""


@hookspec
def harness_labelers() -> Iterable[type[Labeler]]:  # type: ignore[empty-body]
    """The labeler classes this plugin offers."""
