"""`harness log` to a real MLflow, in a file of its own and over a server, and to wandb in offline mode."""

import contextlib
import os
import subprocess
import sys
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.command_line import harness, scores, table, until, write_labelers, write_suite

needs_mlflow = pytest.mark.skipif(find_spec("mlflow") is None, reason="needs the extra mlflow")
needs_wandb = pytest.mark.skipif(find_spec("wandb") is None, reason="needs the extra wandb")
SEEDS, RATIOS = (1, 2), (0.2, 0.5)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A folder with a run of two labelers by two ratios and two seeds, and a third labeler that fails."""
    folder = tmp_path_factory.mktemp("log")
    splits = [{"splitter": "nested", "test": 0.3, "ratios": list(RATIOS), "seeds": list(SEEDS)}]
    write_labelers(folder / "bad.py", bad='raise ValueError("not today")')
    labelers = ["majority", {"knn": {"on": "embedding", "k": 7}}, "bad"]
    suite = write_suite(folder, labelers, table(240), splits=splits)
    assert harness("run", suite, "--threads", 1, "--plugin", "bad.py", cwd=folder).returncode == 1
    return folder


def log(folder, tracker, **environment):
    done = harness("log", "suite.yaml", "--to", tracker, "--plugin", "bad.py", cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def by_seed(folder, labeler, ratio):
    """Return {seed: accuracy} of the board's own scores."""
    return {
        int(row["seed"]): float(row["value"])
        for row in scores(folder)
        if (row["labeler"], row["ratio"], row["metric"]) == (labeler, str(ratio), "accuracy")
        and not row["class"]
        and not row["source"]
        and row["oracle"] == "False"
    }


@contextlib.contextmanager
def mlflow_server(folder):
    """Serve MLflow on the loopback, its data in `folder`; yields the address."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    words = ("server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    store = ("--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "kept"))
    with (folder / "server.txt").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words, *store], cwd=folder, stdout=output, stderr=output
        )
        try:
            until(lambda: answers(f"{address}/health") or process.poll() is not None)
            assert process.poll() is None, (folder / "server.txt").read_text()
            yield address
        finally:
            process.terminate()
            process.wait(60)


def answers(address):
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(address, timeout=5).status == 200
    return False


def check_mlflow(folder, uri):
    """Compare what MLflow has with the board's files."""
    import mlflow

    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("small")
    runs = {run.data.tags["labelharness.key"]: run for run in client.search_runs([experiment.experiment_id])}
    parents = [run for run in runs.values() if "mlflow.parentRunId" not in run.data.tags]
    (parent,) = parents
    nested = [run for run in runs.values() if run is not parent]
    assert len(nested) == 4  # two labelers, two ratios; what failed has no numbers
    standings = pd.read_csv(folder / "leaderboards" / "small" / "standings.csv", dtype=str)
    for run in nested:
        tags, parameters = run.data.tags, run.data.params
        assert tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.info.status == "FINISHED"
        ratio = RATIOS["50 %" in tags["labelharness.comparison"]]
        title = "majority" if run.info.run_name == "majority" else "knn(on=embedding, k=7)"
        assert run.info.run_name == title
        assert parameters["comparison"] == tags["labelharness.comparison"]
        if title != "majority":
            assert (parameters["knn.k"], parameters["knn.on"], parameters["labeler"]) == ("7", "embedding", title)
        history = {point.step: point.value for point in client.get_metric_history(run.info.run_id, "accuracy")}
        assert history == pytest.approx(by_seed(folder, title, ratio))
        assert set(history) == set(SEEDS)
        assert run.data.metrics["accuracy_mean"] == pytest.approx(np.mean(list(history.values())))
        row = standings[(standings.labeler == title) & (standings.comparison == parameters["comparison"])]
        assert tags["labelharness.rank"] == str(row["rank"].iloc[0])
        assert len(tags["labelharness.data"]) == 64
    files = {artifact.path for artifact in client.list_artifacts(parent.info.run_id, "board")}
    assert {"board/README.md", "board/scores.parquet"} <= files
    page = mlflow.artifacts.download_artifacts(
        run_id=parent.info.run_id, artifact_path="board/README.md", tracking_uri=uri, dst_path=str(folder / "fetched")
    )
    assert Path(page).read_bytes() == (folder / "leaderboards" / "small" / "README.md").read_bytes()
    return set(runs)


@needs_mlflow
@pytest.mark.slow  # a server, and four starts of Python with MLflow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow's own data base
def test_mlflow_has_each_run_once_in_a_file_and_over_a_server(ran, tmp_path):
    uri = f"sqlite:///{tmp_path}/runs.db"
    assert "4 runs added, 0 there before" in log(ran, "mlflow", MLFLOW_TRACKING_URI=uri)
    keys = check_mlflow(ran, uri)
    assert "0 runs added, 4 there before" in log(ran, "mlflow", MLFLOW_TRACKING_URI=uri)
    assert check_mlflow(ran, uri) == keys
    with mlflow_server(tmp_path) as address:
        assert "4 runs added, 0 there before" in log(ran, "mlflow", MLFLOW_TRACKING_URI=address)
        assert check_mlflow(ran, address) == keys
        assert "0 runs added, 4 there before" in log(ran, "mlflow", MLFLOW_TRACKING_URI=address)
        assert check_mlflow(ran, address) == keys


@needs_mlflow
def test_no_server_is_one_line(ran):
    arguments = ("log", "suite.yaml", "--to", "mlflow", "--plugin", "bad.py")
    environment = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    done = harness(*arguments, cwd=ran, env=environment)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: --to mlflow: MlflowException: ")
    assert "Traceback" not in done.stderr


@needs_wandb
def test_wandb_has_each_run_once_in_offline_mode(ran, tmp_path):
    environment = {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path)}
    assert "4 runs added, 0 there before: project small" in log(ran, "wandb", **environment)
    folders = sorted(path.name for path in (tmp_path / "wandb").glob("offline-run-*"))
    assert len(folders) == 5  # and the board
    assert "0 runs added, 4 there before" in log(ran, "wandb", **environment)
    assert sorted(path.name for path in (tmp_path / "wandb").glob("offline-run-*")) == folders


@pytest.mark.parametrize(("tracker", "words"), [("mlfow", "did you mean 'mlflow'?"), ("wandb", "labelharness[wandb]")])
def test_an_unknown_tracker_and_an_absent_library_are_one_line(ran, tmp_path, tracker, words):
    (tmp_path / "wandb.py").write_text("raise ImportError('no module of this name here')")
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    done = harness("log", "suite.yaml", "--to", tracker, "--plugin", "bad.py", cwd=ran, env=environment)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert words in done.stderr


def test_nothing_run_is_one_line(ran, tmp_path):
    done = harness("log", ran / "suite.yaml", "--to", "mlflow", "--plugin", ran / "bad.py", cwd=tmp_path)
    assert done.returncode == 2
    assert "no cell of small has run in runs/small" in done.stderr
