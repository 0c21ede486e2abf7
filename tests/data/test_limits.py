"""More rows than the memory holds are refused before they are read."""

import pytest

from harness.data.limits import check_memory
from harness.errors import DataError
from harness.utils.memory import machine_memory


def test_half_of_the_memory_is_the_limit():
    half = machine_memory() // 2
    check_memory(half // 100 - 1, 100, "d.parquet")
    with pytest.raises(DataError, match=r"^d.parquet: [\d,]+ rows take some [\d.]+ GiB of memory, which is too much"):
        check_memory(half // 100 + 100, 100, "d.parquet")
