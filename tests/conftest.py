"""What several test files need: the plugins, a table made from columns, and the real scores where they lie around."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.data.table import open_table
from harness.suite.catalog import discover

ROOT = Path(__file__).parents[1]
REAL_DATA = (ROOT / "raw_data", ROOT.parent / "shared" / "data")  # in the checkout, or beside it
SCORES = "tulu_300k_scores.parquet"

# Before a test file loads torch, faiss or LightGBM: where several processes share few cores, threads that wait by
# spinning take three times the CPU time of the work itself.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


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
