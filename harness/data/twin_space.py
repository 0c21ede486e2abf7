"""Draw the twin's embeddings from sources, topics and qualities."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

TOPICS = 150


class Space(NamedTuple):
    """How one embedding is drawn; lengths are those before normalising."""

    dimensions: int
    noise: float  # sd of the noise on the quality, in points
    quality: float  # length per point
    own: float  # cosine of a point's direction and the topic's own; the rest is common to all topics
    shared: float = 0.74  # one direction for all rows
    source: float = 0.2
    topic: float = 0.33
    within: float = 0.38  # variation within a topic, of `rank` directions
    rank: int = 48
    isotropic: float = 0.34


class Geometry(NamedTuple):
    """The directions and centres of one embedding of d dimensions."""

    centres: Floats  # (sources * TOPICS, d) mean of a topic in a source
    directions: Floats  # (TOPICS, d) what a point of quality adds
    basis: Floats  # (rank, d) variation within a topic


def geometry(space: Space, sources: int, rng: np.random.Generator) -> Geometry:
    """Draw the directions and centres of an embedding."""

    def directions(length: float, *shape: int) -> Floats:  # of about that length
        drawn = rng.standard_normal((*shape, space.dimensions), dtype=np.float32)
        return drawn * np.float32(length / space.dimensions**0.5)

    shared = directions(space.shared, 1, 1)
    centres = shared + directions(space.source, sources, 1) + directions(space.topic, 1, TOPICS)
    common = directions(space.quality * (1 - space.own**2) ** 0.5, 1)
    return Geometry(
        centres=centres.reshape(-1, space.dimensions),
        directions=common + directions(space.quality * space.own, TOPICS),
        basis=directions(space.within / space.rank**0.5, space.rank),
    )


def vectors(
    space: Space, geometry: Geometry, source: Ints, topic: Ints, quality: Reals, rng: np.random.Generator
) -> Floats:
    """Draw (n, d) embeddings of length 1 from sources, topics and qualities."""
    n = len(source)
    noisy_quality = quality + space.noise * rng.standard_normal(n)
    X = rng.standard_normal((n, space.dimensions), dtype=np.float32)
    X *= np.float32(space.isotropic / space.dimensions**0.5)
    X += geometry.centres[source * TOPICS + topic]
    X += noisy_quality.astype(np.float32)[:, None] * geometry.directions[topic]
    X += rng.standard_normal((n, space.rank), dtype=np.float32) @ geometry.basis
    X /= np.sqrt(np.einsum("nd,nd->n", X, X))[:, None]
    return X
