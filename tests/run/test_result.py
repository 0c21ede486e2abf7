"""Results are read as numpy reads them, and once where memory allows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from harness.run import result as results
from harness.run.array_files import SMALL_BYTES, read_array
from harness.run.result import Result, ResultMemory

DTYPES = arrays.scalar_dtypes() | arrays.unicode_string_dtypes(max_len=3)


@settings(max_examples=50, deadline=None)
@given(arrays.arrays(DTYPES, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)), st.booleans())
def test_a_small_array_is_what_numpy_reads(tmp_path_factory, array, transposed):
    file = tmp_path_factory.getbasetemp() / "array.npy"
    np.save(file, array.T if transposed else array)
    expected, read = np.load(file), read_array(file)
    np.testing.assert_array_equal(read, expected)
    assert (read.dtype, read.shape, read.flags.writeable) == (expected.dtype, expected.shape, False)


def test_a_large_array_is_memory_mapped(tmp_path):
    array = np.arange(SMALL_BYTES // 4, dtype=np.float32).reshape(-1, 8)
    np.save(tmp_path / "large.npy", array)
    np.save(tmp_path / "small.npy", array[:-8])
    large, small = read_array(tmp_path / "large.npy"), read_array(tmp_path / "small.npy")
    assert (type(large), type(small)) == (np.memmap, np.ndarray)
    np.testing.assert_array_equal(large, array)
    np.testing.assert_array_equal(small, array[:-8])


@pytest.mark.parametrize("damage", ["torn", "longer", "text", "empty", "objects"])
def test_a_file_that_is_no_such_array_is_refused(tmp_path, damage):
    file = tmp_path / "array.npy"
    np.save(file, np.arange(6.0) if damage != "objects" else np.array([{}, []], object))
    content = file.read_bytes()
    damaged = {"torn": content[:-3], "longer": content + b"0123", "text": b"no array at all", "empty": b""}
    file.write_bytes(damaged.get(damage, content))
    with pytest.raises(ValueError, match=r"."):
        read_array(file)


def answer(rows):
    labels = np.zeros(rows, np.uint8)
    return Result(labels, np.ones((rows, 4), np.float32), {}, {"epoch 1": labels}, {"sure": labels > 0}, {})


def test_results_are_kept_until_memory_is_full(monkeypatch):
    size = results.FIXED_BYTES + 10 * (1 + 16 + 1 + 1)
    monkeypatch.setattr(results, "MAX_KEPT_BYTES", 3 * size + 100)
    memory, kept = ResultMemory(), {key: answer(10) for key in "abcd"}
    for key, result in kept.items():
        memory.add(key, result)
    assert [memory.get(key) for key in "abcde"] == [kept["a"], kept["b"], kept["c"], None, None]


def test_a_mapped_result_is_not_kept(tmp_path):
    np.save(tmp_path / "proba.npy", np.ones((10, 4), np.float32))
    mapped = np.load(tmp_path / "proba.npy", mmap_mode="r")
    memory = ResultMemory()
    memory.add("a", Result(np.zeros(10, np.uint8), mapped, {}, {}, {}, {}))
    assert memory.get("a") is None
