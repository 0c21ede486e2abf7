"""From a leaderboard to labels: the winner, or another labeler, labels every row that has none."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.options import (
    Device,
    Json,
    Plugin,
    RequireReal,
    SuiteFile,
    Threads,
    TwinRows,
    load_suites,
    make_reporter,
    open_run,
)
from harness.errors import HarnessError, printable


def label(
    suite: SuiteFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="The parquet file to write; its card lies beside it.")],
    data: Annotated[Path | None, typer.Option(help="New rows to label; without it, those of the suite's data.")] = None,
    name: Annotated[str, typer.Option("--with", help="A labeler of the suite, or best.")] = "best",
    coverage: Annotated[float, typer.Option(help="Share of rows whose set of labels holds the truth.")] = 0.9,
    target_accuracy: Annotated[float | None, typer.Option(help="Accept rows as long as this accuracy is kept.")] = None,
    by_class: Annotated[bool, typer.Option("--by-class", help="Keep the accuracy for the rows of each label.")] = False,
    keep: Annotated[float, typer.Option(help="Accept this share of each label's rows in any case.")] = 0.0,
    top: Annotated[float | None, typer.Option(help="Accept this share of rows, the highest scores.")] = None,
    at_least: Annotated[int | None, typer.Option(help="Accept labels from this one on.")] = None,
    good: Annotated[int | None, typer.Option(help="True score that a selection is after; 4 of 0 to 5.")] = None,
    suggest: Annotated[int | None, typer.Option(min=1, help="Write this many rows to label next instead.")] = None,
    labels_for: Annotated[
        float | None, typer.Option(help="How many labels would bring the accuracy there: 0.6 for 60 %.")
    ] = None,
    calibration: Annotated[str, typer.Option(help="auto, none, temperature or isotonic.")] = "auto",
    folds: Annotated[int, typer.Option(min=2, help="Trainings that measure the labels.")] = 5,
    unseen: Annotated[bool, typer.Option("--unseen-classes", help="Go on where a class has no labelled row.")] = False,
    licence: Annotated[str, typer.Option(help="Licence of the source, for the card.")] = "unknown",
    push: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Put file and card on the hub, private.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Trainings at a time.")] = 1,
    threads: Threads = 0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds a training may take.")] = 6 * 3600,
    memory: Annotated[float, typer.Option(min=0, help="GiB of one. 0: four fifths of the machine's.")] = 0,
    device: Device = "auto",
    require_real: RequireReal = False,
    twin_rows: TwinRows = None,
    output: Annotated[Path, typer.Option("--output", help="Where runs/ is.")] = Path(),
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Label every row without a label, and say how good the labels are.

    The winner of the suite's run is trained on all labelled rows; answers for these out of fold calibrate and measure
    it. Interrupt it at any time and give the same command again: finished trainings are reused.
    """
    from harness.cli.progress import run_with_progress
    from harness.errors import did_you_mean
    from harness.label.postprocess import LabelOptions
    from harness.run import runner
    from harness.statistics.calibration import METHODS
    from harness.utils.locks import hold_lock

    if calibration not in ("auto", *METHODS):
        raise HarnessError(f"--calibration {calibration}: unknown{did_you_mean(calibration, ('auto', *METHODS))}")
    if labels_for is not None:
        from harness.label import learning_curve

        learning_curve.check_target(labels_for)
        if suggest is not None:
            raise HarnessError(
                "--labels-for and --suggest: give one of them; the second command reuses the trainings of the first"
            )
    if push is not None:
        from harness.label import publish

        publish.check_repository(push)
    talk = make_reporter(as_json)
    options = runner.Options(output, jobs, threads, timeout, memory, device, require_real, twin_rows)
    loaded, found = load_suites(suite, plugin)
    if loaded.name:
        raise HarnessError(f"{suite}: is a list of suites; name one of them")
    ready = open_run(talk, loaded.suites[0], found, options)
    n_classes = ready.dataset.n_classes
    label_options = LabelOptions(
        coverage,
        calibration,  # type: ignore[arg-type]
        target_accuracy,
        by_class,
        keep,
        top,
        at_least,
        max(1, n_classes - 2) if good is None else good,
    )
    label_options.check(n_classes)
    labelling, order = _prepare(ready, name, data, out, folds, licence, label_options, suggest is not None, labels_for)
    _check_unseen(labelling.dataset, unseen)
    with hold_lock(labelling.run.store.folder / "lock", wait=False):
        run_with_progress(talk, labelling.run, "trainings")
    if suggest is not None:
        _suggest(talk, labelling, order, suggest, out)
    else:
        _print_summary(talk, _write(labelling, order, out), out)
    if push is not None:
        card = {} if suggest is not None else {"README.md": out.with_suffix(".md")}
        talk.line(f"pushed: {publish.publish({out.name: out} | card, push)}")


def _prepare(
    ready: Any,
    name: str,
    data: Path | None,
    out: Path,
    folds: int,
    licence: str,
    label_options: Any,
    suggests: bool,
    labels_for: float | None,
) -> tuple[Any, Any]:
    """Return the labelling that is to be run, and the order for what is written of it."""
    from harness.data.table import open_table
    from harness.label import label_file, new_rows, suggestion_file, training
    from harness.label.columns import LabelJob

    source, table, before = ready.dataset.table, ready.dataset.table, 0
    if data is not None:
        source = open_table(str(data), (Path.cwd(),), ready.cache, "error", None)
        both = new_rows.join_rows(ready.suite, ready.dataset.table, source, ready.cache)
        table, before = both.table, both.before
    columns = suggestion_file.COLUMN_NAMES if suggests else label_file.COLUMN_NAMES
    label_file.check_target(source.path, source.display_name, out, source.sha256, columns)
    candidate, chosen = (
        training.best_labeler(ready) if name == "best" else (training.find_labeler(ready.suite, name), "by its name")
    )
    grows = labels_for is not None
    planned = training.plan_label_run(ready.suite, candidate, table, ready.catalog, ready.options, folds, grows)
    return planned, LabelJob(source, before, out.name, chosen, licence, label_options, labels_for)


def _check_unseen(dataset: Any, allowed: bool) -> None:
    from harness.label.training import unseen_classes

    missing = unseen_classes(dataset)
    if missing and not allowed:
        which = ", ".join(map(str, missing))
        raise HarnessError(
            f"{dataset.table.shown}: no labelled row is of class {which}, so no row can be labelled so; label some, "
            "correct data.classes, or go on with --unseen-classes"
        )


def _write(labelling: Any, order: Any, out: Path) -> Any:
    """Write the labels and their card; returns the account."""
    from harness.label import label_file
    from harness.label.card import render_card, to_json
    from harness.label.columns import build_columns

    seen = label_file.file_state(order.source.path)
    account, new = build_columns(labelling, order)
    origin = account.provenance
    about = {"data": origin.sha256, "run_id": origin.run_id, "labeler": origin.labeler, "simulated": origin.simulated}
    label_file.write_labels(order.source.path, out, new, about, seen)
    label_file.write_text(render_card(account), out.with_suffix(".md"))
    label_file.write_text(json.dumps(to_json(account), indent=1) + "\n", out.with_suffix(".json"))
    return account


def _suggest(talk: Any, labelling: Any, order: Any, k: int, out: Path) -> None:
    """Write the rows to label next, and say why these."""
    from harness.label import suggestion_file

    found = suggestion_file.suggest_rows(labelling, order, k)
    about = {
        "data": order.source.sha256,
        "labeler": labelling.run.cells[0].candidate.title,
        "suggested": len(found.rows),
    }
    suggestion_file.write_suggestion(order.source.path, out, found, about | {"simulated": labelling.run.simulated})
    if talk.as_json:
        counts = {"by_class": found.by_class, "by_source": found.by_source}
        talk.event(
            "suggested", file=str(out), rows=len(found.rows), need=[round(float(n), 4) for n in found.need], **counts
        )
        return
    for c, count in found.by_class.items():
        talk.line(f"class {c}: {count:,} rows that look like it; 1 - F1 out of fold {found.need[c]:.4f}")
    for name, count in found.by_source.items():
        talk.line(f"source {printable(name)}: {count:,} rows")
    talk.line(f"{len(found.rows):,} rows to label next: {out}")


def _print_summary(talk: Any, account: Any, out: Path) -> None:
    from harness.label import card_learning_curve
    from harness.label.card import to_json

    if talk.as_json:
        talk.event("labels", file=str(out), **to_json(account))
        return
    q, label_options = account.quality, account.rules.options
    talk.line(f"{account.labelled:,} rows labelled by {account.provenance.labeler}; {account.accepted:,} accepted")
    for what, found in (("accuracy", q.accuracy), ("macro-F1", q.macro_f1), ("MAE", q.mae)):
        talk.line(f"{what} {found.value:.4f} ({found.low:.4f} to {found.high:.4f})")
    if label_options.target is not None:
        for c, each in enumerate(account.rules.thresholds if label_options.by_class else account.rules.thresholds[:1]):
            who = f"label {c}: " if label_options.by_class else ""
            if each.confidence is None:
                talk.line(
                    f"{who}accuracy {label_options.target:g} cannot be reached: at most {each.bound:.4f} "
                    "can be promised"
                )
            else:
                talk.line(f"{who}accuracy over {each.bound:.4f} from confidence {each.confidence:.4f} on")
    if account.growth is not None:
        talk.line(card_learning_curve.summary_line(account.growth))
    talk.line(f"labels: {out}; card: {out.with_suffix('.md')}")
