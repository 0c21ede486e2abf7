"""The engine of the neighbour search: selected, refused, and recorded."""

import csv

import pytest

from harness.errors import HarnessError
from harness.search.engine import ENGINES, current_engine, parse_engine, record_search, use_engine
from harness.search.inner_products import check_engine
from tests.command_line import harness, write_suite


def test_the_innermost_engine_counts_and_records_its_own_searches():
    assert current_engine() == "auto"
    with use_engine("int8") as outer:
        record_search({"k": 1})
        with use_engine("faiss") as inner:
            assert current_engine() == "faiss"
            record_search({"k": 2})
        assert current_engine() == "int8"
        record_search({"k": 3})
    assert (outer, inner) == ([{"k": 1}, {"k": 3}], [{"k": 2}])
    assert current_engine() == "auto"
    record_search({"k": 4})  # outside: not recorded
    assert len(outer) == 2


def test_an_error_inside_leaves_the_engine_as_it_was():
    with pytest.raises(ZeroDivisionError), use_engine("int8"):
        raise ZeroDivisionError
    assert current_engine() == "auto"


def test_an_unknown_engine_is_refused_with_the_nearest_name():
    assert [parse_engine(engine) for engine in ENGINES] == list(ENGINES)
    with pytest.raises(HarnessError, match=r"^--engine flaot32: there is no such engine; did you mean 'float32'\?$"):
        parse_engine("flaot32")


def test_a_gpu_is_searched_on_only_by_a_run_that_sees_one():
    with pytest.raises(HarnessError, match=r"^--engine cuda: .*--device cuda$"):
        check_engine("cuda", "cpu")
    check_engine("cuda", "cuda")


def test_a_torch_that_cannot_multiply_int8_is_refused(monkeypatch):
    check_engine("int8", "cpu")
    monkeypatch.delattr("torch._int_mm")
    with pytest.raises(HarnessError, match=r"^--engine int8: the torch that is installed cannot"):
        check_engine("int8", "cpu")


SUITE = [{"knn": {"on": "embedding", "k": 5}}, {"graph_propagation": {"on": "embedding"}}, "majority"]


def timings(output):
    with (output / "leaderboards/small/timings.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["kind"] == "cell"]


@pytest.mark.slow
def test_a_run_forces_it_and_the_timings_name_it(tmp_path):
    write_suite(tmp_path, SUITE)
    done = harness("run", "suite.yaml", "--threads", 1, "--engine", "float32", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    before = timings(tmp_path)
    assert sorted(row["engine"] for row in before) == ["", "float32", "float32"]
    assert all(float(row["neighbors_own"]) >= 0 and row["neighbors_shared"] == "" for row in before if row["engine"])
    # No cell runs again for it: all engines find the same.
    assert harness("run", "suite.yaml", "--threads", 1, "--engine", "faiss", cwd=tmp_path).returncode == 0
    assert timings(tmp_path) == before


@pytest.mark.parametrize(
    ("engine", "line"),
    [("warp", "--engine warp: there is no such engine"), ("cuda", "--engine cuda: this run shall not see a GPU")],
)
def test_an_engine_that_is_not_there_is_one_line_and_exit_code_2(tmp_path, engine, line):
    write_suite(tmp_path, SUITE)
    done = harness("run", "suite.yaml", "--threads", 1, "--engine", engine, cwd=tmp_path)
    assert done.returncode == 2
    assert line in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "runs/small/cells").exists()
