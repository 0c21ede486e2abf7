"""Prepare a labelling: from a suite's run and options to a job."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.data.classes import Classes
from harness.data.row_copy import RowCopy, check_rows
from harness.data.table import DataTable, open_table
from harness.errors import HarnessError, did_you_mean
from harness.label import (
    label_file,
    learning_curve,
    new_rows,
    publish,
    rule_saving,
    suggestion_file,
    task_file,
    training,
)
from harness.label.choice import Choice, choose_labeler
from harness.label.postprocess import PostprocessOptions
from harness.label.training import LabelRun
from harness.label.truth import TruthColumn, read_truth
from harness.run.runner import Run
from harness.statistics.calibration import METHODS
from harness.suite.suite import Suite
from harness.utils.locks import hold_lock


@dataclass(frozen=True)
class LabelOptions:
    """The options of a labelling."""

    out: Path  # the file to write
    data: Path | None = None  # new rows to label; None: those of the suite's data
    truth: str | None = None  # column of the rows to label that they are scored against
    labeler: str = "best"  # of the suite, or "best"
    coverage: float = 0.9  # of the conformal sets
    calibration: str = "auto"
    target_accuracy: float | None = None  # of the accepted rows
    by_class: bool = False  # whether the accuracy holds for the rows of each label
    keep: float = 0.0  # share of each label's rows accepted in any case
    top: float | None = None  # share of rows to accept, by score
    at_least: str | None = None  # label to accept from, as the data have it
    good: str | None = None  # least true class of a good row; None: the second highest
    suggest: int | None = None  # rows to label next, written instead of labels
    form: str | None = None  # of the file of these rows: an annotation tool's; None: parquet
    gold: Sequence[str | Path] = ()  # files of labels that people gave to chosen rows
    labels_for: float | None = None  # accuracy that more labels shall reach
    folds: int = 5
    unseen_classes: bool = False  # whether a class may have no labelled row
    licence: str = "unknown"  # of the source
    fail_if: str | None = None  # "shift": an exit code of its own where one is seen
    push: str | None = None  # OWNER/NAME of a data set on the hub
    save: Path | None = None  # the folder to save the labeler's rule to

    def check(self) -> None:
        """Raise a HarnessError for what is wrong whatever the data are."""
        methods = ("auto", *METHODS)
        if self.calibration not in methods:
            raise HarnessError(f"--calibration {self.calibration}: unknown{did_you_mean(self.calibration, methods)}")
        if self.fail_if not in (None, "shift"):
            raise HarnessError(f"--fail-if {self.fail_if}: must be shift")
        if self.fail_if is not None and self.suggest is not None:
            raise HarnessError("--fail-if is about labels; --suggest writes none")
        if self.form is not None and self.form not in task_file.SUFFIXES:
            raise HarnessError(f"--as {self.form}: unknown{did_you_mean(self.form, task_file.SUFFIXES)}")
        if self.form is not None and self.suggest is None:
            raise HarnessError("--as is a form of rows to label next: give --suggest N, too")
        if self.save is not None and self.suggest is not None:
            raise HarnessError("--save keeps the rule that wrote labels; --suggest writes none")
        if self.labels_for is not None:
            learning_curve.check_target(self.labels_for)
            if self.gold:
                raise HarnessError(
                    "--labels-for and --gold: its curve is of labels drawn at random, and those of --gold were chosen; "
                    "give one of them"
                )
            if self.suggest is not None:
                raise HarnessError(
                    "--labels-for and --suggest: give one of them; the second command reuses the trainings of the first"
                )
        if self.push is not None:
            publish.check_repository(self.push)

    def postprocessing(self, classes: Classes) -> PostprocessOptions:
        """Return the checked options of the postprocessor."""
        options = PostprocessOptions(
            self.coverage,
            self.calibration,  # type: ignore[arg-type]
            self.target_accuracy,
            self.by_class,
            self.keep,
            self.top,
            None if self.at_least is None else _number_class("--at-least", self.at_least, classes),
            max(1, len(classes) - 2) if self.good is None else _number_class("--good", self.good, classes),
            classes.ordered,
        )
        options.check()
        return options


def _number_class(option: str, name: str, classes: Classes) -> int:
    """Return the number of a class that is named; the least is refused."""
    above = classes.names[1:]
    if name not in above:
        raise HarnessError(f"{option} {name}: must be one of {', '.join(above)}{did_you_mean(name, above)}")
    return above.index(name) + 1


@dataclass(frozen=True, eq=False)
class LabelJob:
    """A planned labelling: its run, and what is to be written of it."""

    label_run: LabelRun
    options: LabelOptions
    postprocessing: PostprocessOptions
    source: DataTable  # whose rows are written
    rows: RowCopy  # these rows, with all of their columns
    source_start: int  # rows of the run's data that stand before those of the source
    choice: Choice
    truth: TruthColumn | None = None  # to score the labels against

    @property
    def run(self) -> Run:
        """The run whose cells must be finished before anything is written."""
        return self.label_run.run

    @property
    def card(self) -> Path:
        """The card beside the labels."""
        return self.options.out.with_suffix(".md")

    def train(self, execute_cells: Callable[[Run, Collection[str]], object]) -> None:
        """Run the unfinished trainings, by a function that shows progress.

        It is given the run, and the names of the blocks that must be on disk afterwards.
        """
        with hold_lock(self.run.store.folder / "lock", wait=False):
            execute_cells(self.run, self.run.cells[0].blocks)


def _with_classes(run: Run) -> Suite:
    """Return the suite with the classes that its column has.

    Rows to label do not change them.
    """
    data, classes = run.suite.data, run.dataset.classes
    if data.given_classes is not None:
        return run.suite
    return replace(run.suite, data=replace(data, classes=classes.values, ordered=classes.ordered))


def _new_columns(run: Run, options: LabelOptions) -> tuple[str, ...]:
    """Return the names of the columns that are added to the rows."""
    if options.suggest is not None:
        return suggestion_file.COLUMN_NAMES
    return label_file.column_names(run.dataset.classes) + (label_file.GOLD_COLUMNS if options.gold else ())


def prepare_labels(run: Run, options: LabelOptions) -> LabelJob:
    """Choose the labeler, open the rows to label, and plan the trainings.

    `run` is that of the suite. Nothing is trained or written. Raises HarnessError for options, data or a target file
    that do not fit.
    """
    postprocessing = options.postprocessing(run.dataset.classes)
    suite = _with_classes(run)
    source = table = run.dataset.table
    source_start = 0
    if options.data is not None:
        source = open_table(str(options.data), (Path.cwd(),), run.cache, "error", None)
        joined = new_rows.join_rows(suite, table, source, run.cache)
        table, source_start = joined.table, joined.before
    if options.form is None:
        columns = _new_columns(run, options)
        label_file.check_target(source.path, source.display_name, options.out, source.sha256, columns)
    else:
        task_file.check_target(options.form, options.out)
    choice = choose_labeler(run, options.labeler)
    with_curve = options.labels_for is not None
    label_run = training.plan_label_run(
        suite,
        choice.candidate,
        table,
        run.catalog,
        run.options,
        options.folds,
        with_curve,
        tuple(map(Path, options.gold)),
        source_start,
    )
    if options.save is not None:
        rule_saving.check_savable(label_run.run, options.save)
    classes = label_run.dataset.classes
    unseen = training.unseen_classes(label_run.run.dataset)
    if unseen and not options.unseen_classes:
        named = ", ".join(classes.names[c] for c in unseen)
        raise HarnessError(
            f"{table.display_name}: no labelled row is of class {named}, so no row can be "
            "labelled so; label some, correct data.classes, or go on with --unseen-classes"
        )
    truth = None
    if options.truth is not None:
        rows = label_run.dataset.items.rows[label_run.unlabelled] - source_start
        truth = read_truth(source, options.truth, label_run.dataset, rows)
    rows_to_copy = check_rows(source.path, source.display_name)
    return LabelJob(label_run, options, postprocessing, source, rows_to_copy, source_start, choice, truth)
