"""What the worker of a cell can reach, tried by labelers in real workers."""

import json

import pytest

from harness.run.access import opens_sockets
from harness.utils.confinement import can_forbid_sockets, landlock_version
from tests.command_line import harness, table, write_labelers, write_suite

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(landlock_version() == 0, reason="this kernel has no Landlock"),
]

PARENT = "open(f'/proc/{os.getppid()}/mem', 'rb').read(1)"
FORBIDDEN = {
    "reads_the_memory_of_its_parent": PARENT,
    "reads_the_data_file": "open('../../../../data.parquet', 'rb').read(4)",
    "lists_other_cells": "os.listdir('../../cells')",
    "writes_beside_its_folder": "open('../planted', 'w')",
    "writes_answers_of_others": "[open(f, 'w') for f in glob.glob('../../cells/*/labels.npy') or ['../../cells/x']]",
    "writes_where_others_look": "open('/tmp/planted-by-a-labeler', 'w')",
    "writes_into_the_package": "open(harness.__file__, 'a')",
    "lists_the_semaphores_of_others": "os.listdir('/dev/shm')",
    "stops_its_parent": "os.kill(os.getppid(), signal.SIGCONT)",
    "traces_its_parent": "os.open(f'/proc/{os.getppid()}/fd/0', os.O_RDONLY)",
    "starts_a_program_that_reads": "subprocess.run(['cat', '../../../../data.parquet'], check=True)",
}
if can_forbid_sockets():
    FORBIDDEN["opens_a_socket"] = "socket.socket()"
    FORBIDDEN["opens_a_local_socket"] = "socket.socket(socket.AF_UNIX)"
IN_PARALLEL = "assert Parallel(n_jobs=2)(delayed(np.sum)(np.ones(300_000)) for _ in range(2)) == [3e5, 3e5]"
ALLOWED = {
    "has_a_temporary_folder": "tempfile.TemporaryFile(); assert tempfile.gettempdir().startswith(os.getcwd())",
    "writes_its_folder": "open('notes.txt', 'w').write('x')",
    "works_in_parallel": f"from joblib import Parallel, delayed; {IN_PARALLEL}",
    "has_semaphores": "multiprocessing.Lock(); multiprocessing.Pipe(); assert os.cpu_count()",
    "compiles": "import numba; assert numba.njit(cache=False)(lambda x: x + 1)(1) == 2",
    "imports_what_is_installed": "import sklearn.svm, xml.dom.minidom, zoneinfo; zoneinfo.ZoneInfo('UTC')",
    "has_its_blocks": "assert task.blocks['embedding'].array[:].sum() != 0",
}
IMPORTS = "import glob, multiprocessing, os, signal, socket, subprocess, tempfile, harness"
UNIFORM = "return np.full((len(task.to_label), task.n_classes), 1 / task.n_classes)"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Run every labeler in one suite; return (status, reason) by labeler."""
    folder = tmp_path_factory.mktemp("access")
    bodies = {name: f"{IMPORTS}\n{body}\n{UNIFORM}" for name, body in (FORBIDDEN | ALLOWED).items()}
    write_labelers(folder / "plugin.py", **bodies)
    labelers = [{name: {}} for name in FORBIDDEN | ALLOWED]
    splits = [{"splitter": "nested", "ratios": [0.4], "test": 0.5, "seeds": [1]}]
    write_suite(folder, labelers, table(200), splits=splits)
    done = harness("run", "suite.yaml", "--plugin", "plugin.py", "--json", "-j", "2", cwd=folder)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert not (folder / "runs/small/planted").exists()
    return {e["labeler"].partition("(")[0]: (e["status"], e["reason"]) for e in events if e["event"] == "cell"}


@pytest.mark.parametrize("labeler", FORBIDDEN)
def test_nothing_but_the_task_can_be_reached(outcomes, labeler):
    status, reason = outcomes[labeler]
    assert status == "failed", "it went through"
    assert "may not" in reason or "not permitted" in reason or "CalledProcessError" in reason


@pytest.mark.parametrize("labeler", ALLOWED)
def test_what_honest_labelers_need_works(outcomes, labeler):
    assert outcomes[labeler] == ("ok", "")


def test_a_labeler_reads_what_it_declares_and_a_changed_answer_counts_for_nothing(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights").write_text("1")
    write_labelers(
        tmp_path / "plugin.py", **{name: f"open({str(tmp_path / 'model/weights')!r})\n{UNIFORM}" for name in "ab"}
    )
    plugin = (tmp_path / "plugin.py").read_text()
    declared = f"    reads: ClassVar[tuple[str, ...]] = ({str(tmp_path / 'model')!r},)\n"
    (tmp_path / "plugin.py").write_text(
        plugin.replace('    name: ClassVar[str] = "a"\n', f'    name: ClassVar[str] = "a"\n{declared}')
    )
    splits = [{"splitter": "nested", "ratios": [0.4], "test": 0.5, "seeds": [1]}]
    write_suite(tmp_path, ["majority", "a", "b"], table(200), splits=splits)
    done = harness("run", "suite.yaml", "--plugin", "plugin.py", "--json", cwd=tmp_path)
    cells = {e["labeler"]: e for e in map(json.loads, done.stdout.splitlines()) if e["event"] == "cell"}
    assert (cells["a"]["status"], cells["b"]["status"]) == ("ok", "failed")
    assert f"may not use {tmp_path / 'model/weights'}" in cells["b"]["reason"]
    for answer in (tmp_path / "runs/small/cells").glob("*/labels.npy"):
        answer.write_bytes(answer.read_bytes()[:-1] + b"\x03")
    harness("leaderboard", "suite.yaml", "--plugin", "plugin.py", cwd=tmp_path)
    page = (tmp_path / "leaderboards/small/README.md").read_text()
    assert "its files have changed since it was finished" in page


def test_only_a_declaration_opens_sockets(catalog):
    """The networks of the bundled plugins have a method of that name."""
    for entry in catalog.entries:
        if entry.kind == "labelers":
            assert not opens_sockets([entry.cls]), entry.name

    class Declared:
        network = True

    assert opens_sockets([Declared()])
