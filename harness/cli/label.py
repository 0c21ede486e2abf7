"""`harness label`: label every row without a label, by the suite's winner."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import (
    EXIT_GATE,
    RUN_OPTIONS,
    SharedOptions,
    SuiteFile,
    load_suites,
    make_reporter,
    open_run,
    target_file,
    with_options,
)
from harness.errors import printable

if TYPE_CHECKING:
    from harness.cli.console import Reporter
    from harness.label.account import Account
    from harness.label.suggestion_file import Suggestion


@dataclass(frozen=True)
class LabelArguments:
    """The options of this command alone, as LabelOptions takes them."""

    out: Annotated[Path | None, typer.Option("--to", help="The parquet file to write, its card beside it.")] = None
    gold: Annotated[
        list[Path] | None,
        typer.Option("--gold", help="Labels that people gave to suggested rows: CSV, Label Studio, Argilla."),
    ] = None
    data: Annotated[Path | None, typer.Option(help="New rows to label; without it, those of the suite's data.")] = None
    truth: Annotated[str | None, typer.Option(help="Column of these rows to score the labels against.")] = None
    labeler: Annotated[str, typer.Option("--with", help="A labeler of the suite, or best.")] = "best"
    coverage: Annotated[float, typer.Option(help="Share of rows whose set of labels holds the truth.")] = 0.9
    target_accuracy: Annotated[float | None, typer.Option(help="Accept rows as long as this accuracy is kept.")] = None
    by_class: Annotated[bool, typer.Option("--by-class", help="Keep the accuracy for the rows of each label.")] = False
    keep: Annotated[float, typer.Option(help="Accept this share of each label's rows in any case.")] = 0.0
    top: Annotated[float | None, typer.Option(help="Accept this share of rows, the highest scores.")] = None
    at_least: Annotated[str | None, typer.Option(help="Accept labels from this one on.")] = None
    good: Annotated[str | None, typer.Option(help="True score that a selection is after; 4 of 0 to 5.")] = None
    save: Annotated[
        Path | None, typer.Option(help="Keep what the labeler has learnt in this folder, for harness apply.")
    ] = None
    suggest: Annotated[int | None, typer.Option(min=1, help="Write this many rows to label next instead.")] = None
    form: Annotated[
        str | None, typer.Option("--as", metavar="FORM", help="Of --suggest: label-studio, argilla or csv.")
    ] = None
    labels_for: Annotated[
        float | None, typer.Option(help="How many labels would bring the accuracy there: 0.6 for 60 %.")
    ] = None
    calibration: Annotated[str, typer.Option(help="auto, none, temperature or isotonic.")] = "auto"
    folds: Annotated[int, typer.Option(min=2, help="Trainings that measure the labels.")] = 5
    unseen_classes: Annotated[
        bool, typer.Option("--unseen-classes", help="Go on where a class has no labelled row.")
    ] = False
    licence: Annotated[str, typer.Option(help="Licence of the source, for the card.")] = "unknown"
    fail_if: Annotated[str | None, typer.Option("--fail-if", metavar="shift", help="Exit code 3 where it is seen.")] = (
        None
    )
    push: Annotated[str | None, typer.Option(metavar="OWNER/NAME", help="Put file and card on the hub, private.")] = (
        None
    )


@dataclass(frozen=True)
class TrainingOptions(SharedOptions):
    """The shared options, in words that fit trainings."""

    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Trainings at a time.")] = 1
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds a training may take.")] = 6 * 3600
    memory: Annotated[float, typer.Option(min=0, help="GiB of one. 0: four fifths of the machine's.")] = 0
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where runs/ is.")] = Path()


@with_options(*RUN_OPTIONS)
def label(suite: SuiteFile, arguments: LabelArguments, shared: TrainingOptions) -> None:
    """Label every row without a label, and measure how good the labels are.

    The winner of the suite's run is trained on all labelled rows; answers for these out of fold calibrate and measure
    it. Interrupt it at any time and give the same command again: finished trainings are reused.
    """
    from harness.cli.progress import run_with_progress
    from harness.label.job import LabelOptions, prepare_labels
    from harness.label.output import write_labels, write_suggestion
    from harness.label.publish import publish
    from harness.label.task_file import SUFFIXES
    from harness.run.opening import only_suite

    out = target_file(arguments.out, shared.output, SUFFIXES.get(arguments.form or "", ".parquet"))
    options = LabelOptions(**vars(arguments) | {"out": out, "gold": tuple(arguments.gold or ())})
    options.check()
    reporter = make_reporter(shared.as_json)
    collection, plugins = load_suites(suite, shared.plugin)
    job = prepare_labels(open_run(reporter, only_suite(collection), plugins, shared.to_run_options()), options)
    job.train(lambda run, blocks: run_with_progress(reporter, run, "trainings", blocks))
    shifted = False
    if options.suggest is None:
        account = write_labels(job)
        shifted = account.shift.shifted
        _show_labels(reporter, account, options.out)
        if options.save is not None:
            if reporter.as_json:
                reporter.event("rule", folder=str(options.save))
            reporter.line(
                f"rule: {options.save}; harness apply {options.save} NEW_FILE --to LABELS.parquet labels other rows"
            )
        files = {options.out.name: options.out, "README.md": job.card}
    else:
        _show_suggestion(reporter, write_suggestion(job, options.suggest), options.out)
        files = {options.out.name: options.out}
    if options.push is not None:
        reporter.line(f"pushed: {publish(files, options.push)}")
    if shifted and options.fail_if is not None:
        raise typer.Exit(EXIT_GATE)


def _show_suggestion(reporter: "Reporter", suggestion: "Suggestion", out: Path) -> None:
    """Print how many rows of each class and source are suggested."""
    by_class, by_source, need = suggestion.by_class, suggestion.by_source, suggestion.need
    rows = len(suggestion.rows)
    if reporter.as_json:
        needs = [round(float(n), 4) for n in need]
        reporter.event("suggested", file=str(out), rows=rows, need=needs, by_class=by_class, by_source=by_source)
        return
    for (name, count), of_class in zip(by_class.items(), need, strict=True):
        reporter.line(f"class {name}: {count:,} rows that look like it; 1 - F1 out of fold {of_class:.4f}")
    for name, count in by_source.items():
        reporter.line(f"source {printable(name)}: {count:,} rows")
    reporter.line(f"{rows:,} rows to label next: {out}")


def _show_labels(reporter: "Reporter", account: "Account", out: Path) -> None:
    """Print how good the labels are, and which are accepted."""
    from harness.label.account import to_json
    from harness.label.card import warnings_of
    from harness.label.card_learning_curve import summary_line

    if reporter.as_json:
        reporter.event("labels", file=str(out), **to_json(account))
        return
    quality, options = account.quality, account.postprocessor.options
    for line in warnings_of(account):
        reporter.line(line.replace("**", ""))
    reporter.line(f"{account.labelled:,} rows labelled by {account.provenance.labeler}; {account.accepted:,} accepted")
    intervals = {"accuracy": quality.accuracy, "macro-F1": quality.macro_f1}
    for name, interval in (intervals | ({"MAE": quality.mae} if account.classes.ordered else {})).items():
        reporter.line(f"{name} {interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f})")
    if options.target is not None:
        thresholds = account.postprocessor.thresholds
        for c, threshold in enumerate(thresholds if options.by_class else thresholds[:1]):
            prefix = f"label {account.classes.names[c]}: " if options.by_class else ""
            if threshold.confidence is None:
                reporter.line(
                    f"{prefix}accuracy {options.target:g} cannot be reached: for the surest {threshold.bound:.4f} "
                    "can be promised"
                )
            else:
                reporter.line(
                    f"{prefix}accuracy {options.target:g} is kept from confidence {threshold.confidence:.4f} on"
                )
    if (score := account.truth) is not None:
        distance = "" if score.mae is None else f", MAE {score.mae:.4f}"
        reporter.line(
            f"against {printable(score.column)}, {score.rows:,} rows: accuracy {score.accuracy:.4f}, macro-F1 "
            f"{score.macro_f1:.4f}{distance}"
        )
    if account.growth is not None:
        reporter.line(summary_line(account.growth))
    reporter.line(f"labels: {out}; card: {out.with_suffix('.md')}")
