"""A disk that is full stops a run; it is no failure of a labeler."""

import errno

import pytest

from harness.run.executor import execute
from harness.run.runner import Options, prepare_run
from harness.suite.catalog import discover
from harness.suite.suite import load_suite
from tests.command_line import no_file_beyond, write_labelers, write_suite


def test_a_worker_that_fails_on_a_full_disk_stops_the_run(tmp_path):
    catalog = discover((write_labelers(tmp_path / "plugin.py", failing="raise ValueError('no')"),))
    suite = load_suite(write_suite(tmp_path, ["failing"], blocks=None), catalog)
    ready = prepare_run(suite, catalog, Options(tmp_path, threads=1), lambda text: None)
    with no_file_beyond(100_000), pytest.raises(OSError, match=r"File too large: 1,\d+,\d+ bytes are needed") as caught:
        execute(ready, lambda *_: None, lambda outcome: None)
    assert caught.value.errno == errno.EFBIG
    assert str(caught.value.filename).startswith(str(ready.store.scratch))
    assert list(ready.store.failed.iterdir()) == []
    outcomes = []
    execute(ready, lambda *_: None, outcomes.append)
    assert [(outcome.status, outcome.reason) for outcome in outcomes] == [("failed", "ValueError: no")]
