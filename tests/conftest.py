"""What several test files need: the plugins, a table made from columns, and the real scores where they lie around."""

import os
import signal
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.linalg  # noqa: F401 - has a BLAS of its own, loaded before its threads are limited
from hypothesis import settings
from threadpoolctl import threadpool_limits

from harness.data.table import open_table
from harness.suite.catalog import discover
from tests import fork_server
from tests.command_line import warm

ROOT = Path(__file__).parents[1]
REAL_DATA = (ROOT / "raw_data", ROOT.parent / "shared" / "data")  # in the checkout, or beside it
SCORES = "tulu_300k_scores.parquet"

# Before a test file loads torch, faiss or LightGBM: where several processes share few cores, threads that wait by
# spinning take three times the CPU time of the work itself.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # `make test &` in a script; what tests start would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.platform == "linux":
    fork_server.ask(lambda: warm().workers)
settings.register_profile("untimed", deadline=None)  # an example that takes long is no fault
settings.load_profile("untimed")
threadpool_limits(1, "blas")  # there are as many processes of tests as cores

LONGEST = (
    "test_every_cell_of_a_suite_ends_well",
    "test_tests_of_the_source_distribution_are_found_and_pass",
    "test_a_real_model_killed_among_two_workers_gives_the_bytes_of_one_run",
)


def pytest_collection_modifyitems(items):
    """Put the longest tests first, every second one at the middle of the list, where the second of two workers starts.

    The last to start would else run alone, when all others are done.
    """
    longest = [item for name in LONGEST for item in items if item.name.partition("[")[0] == name]
    others = [item for item in items if item not in longest]
    half = len(items) // 2 - len(longest[::2])
    items[:] = [*longest[::2], *others[:half], *longest[1::2], *others[half:]]


@pytest.fixture(scope="session")
def catalog():
    """The plugins that are installed."""
    return discover()


@pytest.fixture
def table_of(tmp_path):
    """A function that writes columns (or an Arrow table) to a parquet file and opens it as the harness does."""

    def write(columns, name="data.parquet", **options):
        written = columns if isinstance(columns, pa.Table) else pa.table(columns)
        pq.write_table(written, tmp_path / name, **options)
        return open_table(name, (tmp_path,), tmp_path / "cache", "error", None)

    return write


@pytest.fixture(scope="session")
def scores():
    """The public scores of the three raters for all 300,932 rows."""
    for folder in REAL_DATA:
        if (folder / SCORES).exists():
            return pq.read_table(folder / SCORES)
    pytest.skip(f"needs {SCORES} in raw_data/: the real scores of the pool, which are not in the repository")
