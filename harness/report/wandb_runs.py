"""Log the runs of a suite to Weights & Biases: a group of runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, describe_error
from harness.report.suite_run import ScoredRun
from harness.report.tracking import KEY_TAG, Tracked, TrackedRun, common_tags, tracked_runs
from harness.utils.hashing import digest

MAX_TITLE = 128  # letters of a run's name


def log_to_wandb(scored: ScoredRun, project: str, board: Path) -> Tracked:
    """Log a suite's labelers as runs of one group, and its board as artifact.

    A run's id is its key, so a run that is there already is not logged again: one on the server, and in offline mode
    one in the folder of runs. Raises HarnessError with the library's reason.
    """
    with _one_line():
        import wandb

        runs = list(tracked_runs(scored))
        is_new = [_log_run(wandb, project, scored, run) for run in runs]
        key = digest(scored.run.suite.name, sorted(run.key for run in runs))
        of_board = TrackedRun(key, f"board {scored.run.suite.name}", "board", {}, {}, {}, common_tags(scored))
        if not _is_logged(wandb, of_board):
            with _open(wandb, project, scored, of_board) as opened:
                artifact = wandb.Artifact(f"board-{scored.run.suite.name}", type="board")
                artifact.add_dir(str(board))
                opened.log_artifact(artifact)
        return Tracked(sum(is_new), len(runs) - sum(is_new), f"project {project}")


@contextmanager
def _one_line() -> Iterator[None]:
    """Raise what the library raises as one line."""
    try:
        yield
    except ImportError as error:
        raise HarnessError(f"--to wandb: {error}; install it: pip install 'labelharness[wandb]'") from None
    except HarnessError:
        raise
    except Exception as error:
        raise HarnessError(f"--to wandb: {describe_error(error)}") from None


def _open(wandb: Any, project: str, scored: ScoredRun, run: TrackedRun) -> Any:
    return wandb.init(
        project=project,
        id=_identity(run),
        name=run.name[:MAX_TITLE],
        group=scored.run.suite.name,
        job_type=run.comparison,
        config={**run.parameters, **run.tags, KEY_TAG: run.key},
        resume="allow",
        settings=wandb.Settings(silent=True, disable_git=True, disable_code=True, console="off"),
    )


def _log_run(wandb: Any, project: str, scored: ScoredRun, run: TrackedRun) -> bool:
    """Log a run unless it is there; return whether it was not."""
    if _is_logged(wandb, run):
        return False
    with _open(wandb, project, scored, run) as opened:
        if opened.resumed:
            opened.config.update(dict(run.tags), allow_val_change=True)
            return False
        opened.define_metric("*", step_metric="seed")
        for seed in sorted({seed for by_seed in run.metrics.values() for seed in by_seed}):
            values = {name: by_seed[seed] for name, by_seed in run.metrics.items() if seed in by_seed}
            opened.log({"seed": seed, **values})
        opened.summary.update(dict(run.summary))
    return True


def _is_logged(wandb: Any, run: TrackedRun) -> bool:
    """Return True if a run of this key lies in the folder of runs."""
    folder = Path(wandb.setup().settings.wandb_dir)
    return any(folder.glob(f"*run-*-{_identity(run)}"))


def _identity(run: TrackedRun) -> str:
    return run.key[:32]
