"""The hooks of a plugin module: each returns plugin classes.

Hooks are called at start-up: import heavy libraries inside the method that needs them.
"""

from collections.abc import Iterable

import pluggy

from harness.plugin.protocols import Embedder, FeatureSet, Labeler, Splitter

hookspec = pluggy.HookspecMarker("harness")
hookimpl = pluggy.HookimplMarker("harness")


@hookspec
def harness_embedders() -> Iterable[type[Embedder]]:  # type: ignore[empty-body]
    """Return the embedder classes of this module."""


@hookspec
def harness_features() -> Iterable[type[FeatureSet]]:  # type: ignore[empty-body]
    """Return the feature-set classes of this module."""


@hookspec
def harness_splitters() -> Iterable[type[Splitter]]:  # type: ignore[empty-body]
    """Return the splitter classes of this module."""


@hookspec
def harness_labelers() -> Iterable[type[Labeler]]:  # type: ignore[empty-body]
    """Return the labeler classes of this module."""
