"""Cheating labelers, embedders and feature sets, and data that give labels away: one table, CHEATS."""

from tests.audit.zoo.data import DATA
from tests.audit.zoo.labelers import LABELERS
from tests.audit.zoo.suite import SUITE
from tests.audit.zoo.unconfined import UNCONFINED

CHEATS = [*LABELERS, *DATA, *SUITE, *UNCONFINED]
