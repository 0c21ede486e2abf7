"""Bad labelers: each has a one-line reason, and no other changes a byte."""

import json

import psutil
import pytest

from tests.command_line import answer, cells, harness, ranks, table, until, write_labelers, write_suite

RUN = ("run", "suite.yaml", "--plugin", "plugin.py", "--threads", 1)
ROWS = 240  # 120 of them to label, 6 classes
LIMIT = 5  # seconds a cell may take

GOOD = {
    "good": "return np.random.default_rng(task.seed).dirichlet([1] * 6, len(task.to_label))",
    "global_seed": """
        np.random.seed(1)
        np.seterr(all="raise")
        os.environ["HOME"] = "/nowhere"
        return uniform(task)
        """,
    "looks_around": "return Predictions(uniform(task), {'home': os.environ['HOME'], 'errors': np.geterr()})",
    "moves_away": "os.chdir('/'); return uniform(task)",
    "closes_stdout": "os.close(1); return uniform(task)",
    "prints_5_mb": "print('x' * 5_000_000); print('the end'); return uniform(task)",
    "leaves_files": """
        Path("folder.npy").mkdir()
        Path("labels.npy").mkdir()
        Path("checkpoints.npy").write_text("none")
        Path("rows.npz").write_text("none")
        Path("dangling").symlink_to("nothing")
        os.mkfifo("pipe")
        return uniform(task)
        """,
    "states_odd_parameters": "return Predictions(uniform(task), {'parameters': ['many'], 'epochs': {'seed': 2**62}})",
    "leaves_a_session": """
        import subprocess
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        return Predictions(uniform(task), {"pid": child.pid})
        """,
    "forks_twice": """
        ends = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.write(ends[1], str(os.getpid()).encode())
                time.sleep(600)
            os._exit(0)
        os.wait()
        return Predictions(uniform(task), {"pid": int(os.read(ends[0], 20))})
        """,
    "leaves_a_process": """
        import subprocess
        child = subprocess.Popen(["sleep", "600"])
        return Predictions(uniform(task), {"pid": child.pid})
        """,
}

LEAVING = ("leaves_a_process", "leaves_a_session", "forks_twice")
BAD = {
    # name: (body of label, reason)
    "raises": ("raise KeyError('no such thing\\nat all')", "KeyError: 'no such thing\\nat all'"),
    "raises_nothing": ("raise ValueError", "ValueError: no message"),
    "leaves": ("import sys; sys.exit(0)", "ended without an answer (exit code 0)"),
    "leaves_at_once": ("os._exit(0)", "ended without an answer (exit code 0)"),
    "aborts": ("os.abort()", "crashed: SIGABRT"),
    "segfault": ("import ctypes; ctypes.string_at(0)", "crashed: SIGSEGV"),
    "hangs": ("time.sleep(600)", f"timeout: not done after {LIMIT} s"),
    "hangs_in_c": (
        """
        import ctypes, signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ctypes.PyDLL(None).sleep(600)  # keeps the interpreter's lock
        """,
        f"timeout: not done after {LIMIT} s",
    ),
    "hangs_with_children": (
        """
        import subprocess
        pids = [subprocess.Popen(["sleep", "600"], start_new_session=new).pid for new in (False, True)]
        Path(PIDS).write_text(f"{os.getpid()} {pids[0]} {pids[1]}")
        time.sleep(600)
        """,
        f"timeout: not done after {LIMIT} s",
    ),
    "eats_memory_elsewhere": (
        """
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                eaten = []
                while True:
                    eaten.append(np.ones(1_000_000))
                    time.sleep(0.02)
            os._exit(0)
        os.wait()
        time.sleep(600)
        """,
        "memory: used 0.",
    ),
    "eats_memory": (
        """
        eaten = []
        while True:
            eaten.append(np.ones(1_000_000))
            time.sleep(0.02)
        """,
        "memory: used 0.",
    ),
    "too_few_rows": (
        "return uniform(task)[1:]",
        "probabilities must have shape (120, 6), got (119, 6)",
    ),
    "too_few_classes": (
        "return uniform(task)[:, 1:]",
        "probabilities must have shape (120, 6), got (120, 5); is a class missing from train?",
    ),
    "transposed": ("return uniform(task).T", "probabilities must have shape (120, 6), got (6, 120)"),
    "nan": (
        "p = uniform(task); p[7] = np.nan; return p",
        "probabilities must be finite; 1 rows are not, the first at position 7",
    ),
    "negative": (
        "p = uniform(task); p[7] = [2, -1, 0, 0, 0, 0]; return p",
        "probabilities must not be negative, the smallest is -1",
    ),
    "not_to_one": ("return uniform(task) * 2", "rows must sum to 1; 120 do not, position 0 sums to 2"),
    "int_labels": (
        "return np.zeros(len(task.to_label), int)",
        "probabilities must have shape (120, 6), got (120,)",
    ),
    "int_proba": ("return np.eye(6, dtype=int)[np.zeros(120, int)]", "probabilities must be floats, got int64"),
    "prints_to_nothing": ("os.close(1); print('?')", "OSError: [Errno 9] Bad file descriptor"),
    "none": ("return None", "must return an array of probabilities or Predictions, returned NoneType"),
    "writes_y": ("task.y[0] = 5", "ValueError: assignment destination is read-only"),
    "writes_block": (
        "task.blocks['embedding'].array[0] = 5",
        "ValueError: assignment destination is read-only",
    ),
    "odd_facts": (
        "return Predictions(uniform(task), {'model': object()})",
        "TypeError: facts must be JSON values, got object",
    ),
    "nan_facts": ("return Predictions(uniform(task), {'loss': float('nan')})", "ValueError: "),
    "odd_checkpoint": (
        "return Predictions(uniform(task), checkpoints={'epoch 1': task.to_label * 0})",
        "checkpoint 'epoch 1' must be a (120,) uint8 array of labels",
    ),
    "odd_class": (
        "return Predictions(uniform(task), checkpoints={'epoch 1': np.full(120, 6, np.uint8)})",
        "checkpoint 'epoch 1' holds label 6, but there are 6 classes",
    ),
    "numbered_checkpoints": (
        "return Predictions(uniform(task), checkpoints={epoch: np.zeros(120, np.uint8) for epoch in range(3)})",
        "checkpoints must have names that are strings, got 0",
    ),
    "paired_checkpoints": (
        "return Predictions(uniform(task), checkpoints={('epoch', 1): np.zeros(120, np.uint8)})",
        "checkpoints must have names that are strings, got ('epoch', 1)",
    ),
    "coloured_rows": (
        "return Predictions(uniform(task), rows={'\\x1b[31m': np.zeros(120, bool)})",
        "rows must have names that can be printed, got '\\x1b[31m'",
    ),
    "long_fact": (
        "return Predictions(uniform(task), {'base': {'x' * 201: 1}})",
        "facts must have names that have at most 200 characters, got 201",
    ),
    "odd_bytes": (
        "return Predictions(uniform(task), {'text': '\\ud800'})",
        r"facts must be valid Unicode, got '\ud800'",
    ),
    "reason_of_a_megabyte": ("raise ValueError('x' * 1_000_000)", f"ValueError: {'x' * 984} ..."),
    "panics": ("raise type('PanicException', (BaseException,), {})('of Rust')", "PanicException: of Rust"),
    "answers_nothing": ("Path('answer.json').write_text('{}'); os._exit(0)", "left an answer that has no status"),
    "answers_half": (
        """Path('answer.json').write_text('{"status": "ok", "reason": ""}'); os._exit(0)""",
        "left an answer that names other files than checkpoints.npy, proba.npy, rows.npz",
    ),
    "answers_a_list_as_reason": (
        """Path('answer.json').write_text('{"status": "failed", "reason": [1]}'); os._exit(0)""",
        "left an answer that has no reason",
    ),
    "answers_by_a_pipe": ("os.mkfifo('answer.json'); os._exit(0)", "ended without an answer (exit code 0)"),
    "answers_deeply": (
        "Path('answer.json').write_text('[' * 100_000); os._exit(0)",
        "left an unreadable answer: RecursionError: ",
    ),
    "links_its_log": (
        """
        Path("log.txt").unlink()
        Path("log.txt").symlink_to(LOG_OF_ANOTHER)
        raise ValueError("see another log")
        """,
        "ValueError: see another log",
    ),
    "needs_a_ghost": ("return uniform(task)", "needs() speaks of block 'ghost', which no field `on` names"),
    "needs_raises": ("return uniform(task)", "labeler 'needs_raises': needs() failed: RuntimeError: at once"),
    "reads_a_number": ("return uniform(task)", "could not be started: TypeError: "),
    "odd_rows": (
        "return Predictions(uniform(task), rows={'sure': np.zeros(120, object)})",
        "rows 'sure' must be a (120,) array of numbers or a mask",
    ),
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """The folders of a run with bad labelers, and of one without them."""
    folder = tmp_path_factory.mktemp("zoo")
    pids = f"PIDS = {str(folder / 'pids')!r}\nLOG_OF_ANOTHER = {str(folder / 'other.txt')!r}\n\n\n"
    (folder / "other.txt").write_text("x" * 200_000)
    bad = {name: body for name, (body, _) in BAD.items()}
    file = write_labelers(folder / "plugin.py", **GOOD, **bad)
    (folder / "pids").touch()
    writes = "\n\nHangsWithChildrenLabeler.writes = (PIDS,)\n"  # else its worker may not
    file.write_text(file.read_text().replace("def uniform", f"{pids}def uniform", 1) + writes)
    needs = """
def raise_at_once(self):
    raise RuntimeError("at once")

NeedsAGhostLabeler.needs = lambda self: [("ghost", 3)]
NeedsRaisesLabeler.needs = raise_at_once
ReadsANumberLabeler.reads = (1,)
"""
    file.write_text(file.read_text() + needs)
    everyone = [*bad, *GOOD, {"knn": {"on": "embedding"}}]
    write_suite(folder, everyone, table(ROWS))
    limits = ("--timeout", LIMIT, "--memory", 0.5, "-j", 4)
    result = harness(*RUN, *limits, "-o", "with", cwd=folder)
    assert result.returncode == 1, result.stderr
    write_suite(folder, everyone[len(bad) :], table(ROWS))
    assert harness(*RUN, "-o", "without", cwd=folder).returncode == 0
    return folder, result


def cells_by_labeler(output):
    return {labeler: row for (labeler, _, _), row in cells(output).items()}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_labeler_has_its_reason(zoo, name):
    folder, result = zoo
    row, expected = cells_by_labeler(folder / "with")[name], BAD[name][1].partition("\n")[0]
    assert row["status"] == "failed"
    assert row["reason"] == expected or (expected[-1] in ". " and row["reason"].startswith(expected))
    assert "\n" not in row["reason"]
    assert ranks(folder / "with")[name] == "–"
    assert f"failed: {name} (prefix, 50 % labelled): {row['reason']}\n" in result.stderr


@pytest.mark.parametrize("name", [*GOOD, "knn(on=embedding)", "majority"])
def test_a_good_labeler_is_unharmed(zoo, name):
    folder, _ = zoo
    alone, among = cells_by_labeler(folder / "without")[name], cells_by_labeler(folder / "with")[name]
    assert among["status"] == "ok", among["reason"]
    assert among["cell"] == alone["cell"]
    assert answer(folder / "with", among["cell"]) == answer(folder / "without", alone["cell"])
    if name not in LEAVING:  # its facts hold the process's number
        records = [folder / out / "runs/small/cells" / alone["cell"] / "cell.json" for out in ("with", "without")]
        assert records[0].read_bytes() == records[1].read_bytes()
    assert ranks(folder / "with")[name] == ranks(folder / "without")[name] != "–"


def test_processes_go_with_their_labeler(zoo):
    folder, _ = zoo
    pids = [int(pid) for pid in (folder / "pids").read_text().split()]
    assert len(pids) == 3
    until(lambda: not any(map(psutil.pid_exists, pids)), patience=60)  # they sleep ten times as long


@pytest.mark.parametrize("name", LEAVING)
def test_processes_that_a_labeler_leaves_behind_end_with_its_cell(zoo, name):
    folder, _ = zoo
    for output in ("with", "without"):
        key = cells_by_labeler(folder / output)[name]["cell"]
        record = json.loads((folder / output / "runs/small/cells" / key / "cell.json").read_text())
        assert not psutil.pid_exists(record["facts"]["pid"])


def test_logs_are_kept_short(zoo):
    folder, _ = zoo
    run = folder / "with" / "runs" / "small"
    log = (run / "cells" / cells_by_labeler(folder / "with")["prints_5_mb"]["cell"] / "log.txt").read_text()
    assert log.endswith("x\nthe end\n")
    assert 50_000 < len(log) < 200_000
    crash = (run / "failed" / f"{cells_by_labeler(folder / 'with')['segfault']['cell']}.log").read_text()
    assert "Fatal Python error: Segmentation fault" in crash
    error = (run / "failed" / f"{cells_by_labeler(folder / 'with')['raises']['cell']}.log").read_text()
    assert "Traceback" in error
    assert "at all" in error


def test_a_link_in_place_of_a_log_is_not_followed(zoo):
    assert (zoo[0] / "other.txt").stat().st_size == 200_000


def test_nothing_is_left_in_scratch(zoo):
    folder, _ = zoo
    assert list((folder / "with" / "runs" / "small" / "scratch").iterdir()) == []


def test_a_plugin_that_cannot_be_imported_harms_only_who_uses_it(tmp_path):
    write_labelers(tmp_path / "plugin.py", good="return uniform(task)")
    package = tmp_path / "site" / "broken-1.2.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.2\n")
    (package / "entry_points.txt").write_text("[harness]\nexits = exits_at_import\nmissing = no_such_module\n")
    (tmp_path / "site" / "exits_at_import.py").write_text("raise SystemExit('not today')\n")
    path = {"PYTHONPATH": str(tmp_path / "site")}
    write_suite(tmp_path, ["good"])
    assert harness(*RUN, cwd=tmp_path, env=path).returncode == 0
    listed = harness("plugins", cwd=tmp_path, env=path)
    assert "broken: exits (broken 1.2): SystemExit: not today\n" in listed.stdout
    assert "broken: missing (broken 1.2): ModuleNotFoundError: No module named 'no_such_module'\n" in listed.stdout
    write_suite(tmp_path, ["exits"])
    refused = harness(*RUN, cwd=tmp_path, env=path)
    assert refused.returncode == 2
    assert "no labeler is called 'exits'" in refused.stderr
    assert "broken plugin exits (broken 1.2): SystemExit: not today" in refused.stderr
