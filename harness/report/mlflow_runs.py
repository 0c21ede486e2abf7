"""Log the runs of a suite to MLflow: its board, and under it the labelers."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, describe_error
from harness.report.suite_run import ScoredRun
from harness.report.tracking import KEY_TAG, Tracked, TrackedRun, common_tags, tracked_runs
from harness.utils.hashing import digest

PENDING_TAG = "labelharness.pending"  # the key of a run that is not whole yet
MAX_METRICS, MAX_PARAMETERS = 1_000, 100  # of one request
MAX_VALUE = 6_000  # letters of a parameter


def log_to_mlflow(scored: ScoredRun, experiment: str, board: Path) -> Tracked:
    """Log a suite's board and its labelers, each once.

    The board is a run with the folder `board` as artifact; its labelers are runs nested in it. A run whose key is there
    already only gets its tags anew. Raises HarnessError with MLflow's reason.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # else a wrong address takes minutes
    with _one_line():
        import mlflow

        client = mlflow.MlflowClient()
        existing = client.get_experiment_by_name(experiment)
        identity = client.create_experiment(experiment) if existing is None else existing.experiment_id
        runs = list(tracked_runs(scored))
        of_board = TrackedRun(
            digest(scored.run.suite.name, sorted(run.key for run in runs)),
            f"board {scored.run.suite.name}",
            *("", {}, {}, {}),
            common_tags(scored),
        )
        parent, is_new = _log_run(client, identity, of_board, {})
        if is_new or not client.list_artifacts(parent, "board"):
            client.log_artifacts(parent, str(board), "board")
        nested = {"mlflow.parentRunId": parent}
        added = sum(_log_run(client, identity, run, nested)[1] for run in runs)
        return Tracked(added, len(runs) - added, f"{mlflow.get_tracking_uri()}, experiment {experiment}")


@contextmanager
def _one_line() -> Iterator[None]:
    """Raise what MLflow raises as one line."""
    try:
        yield
    except ImportError as error:
        raise HarnessError(f"--to mlflow: {error}; install it: pip install 'labelharness[mlflow]'") from None
    except HarnessError:
        raise
    except Exception as error:
        raise HarnessError(f"--to mlflow: {describe_error(error)}") from None


def _log_run(client: Any, experiment: str, run: TrackedRun, tags: Mapping[str, str]) -> tuple[str, bool]:
    """Return the id of a run, and whether it was logged now."""
    for unfinished in _find(client, experiment, PENDING_TAG, run.key):  # of a command that was killed
        client.delete_run(unfinished)
    existing = _find(client, experiment, KEY_TAG, run.key)
    if existing:
        for name, value in {**run.tags, **tags}.items():
            client.set_tag(existing[0], name, value)
        return existing[0], False
    created = client.create_run(experiment, run_name=run.name, tags={**run.tags, **tags, PENDING_TAG: run.key})
    identity: str = created.info.run_id
    _log_values(client, identity, run)
    client.set_terminated(identity)
    client.set_tag(identity, KEY_TAG, run.key)
    client.delete_tag(identity, PENDING_TAG)
    return identity, True


def _log_values(client: Any, identity: str, run: TrackedRun) -> None:
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    metrics = [
        Metric(name, value, now, seed) for name, by_seed in run.metrics.items() for seed, value in by_seed.items()
    ]
    metrics += [Metric(name, value, now, 0) for name, value in run.summary.items()]
    for first in range(0, len(metrics), MAX_METRICS):
        client.log_batch(identity, metrics=metrics[first : first + MAX_METRICS])
    parameters = [Param(name, value[:MAX_VALUE]) for name, value in run.parameters.items()]
    for first in range(0, len(parameters), MAX_PARAMETERS):
        client.log_batch(identity, params=parameters[first : first + MAX_PARAMETERS])


def _find(client: Any, experiment: str, tag: str, key: str) -> Sequence[str]:
    runs = client.search_runs([experiment], filter_string=f"tags.`{tag}` = '{key}'", max_results=10)
    return [run.info.run_id for run in runs]
