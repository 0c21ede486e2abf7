"""Label the rows of a new file by a saved rule, without a training."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness.data.column_reader import ColumnReader
from harness.data.dataset import TEXT_PATHS
from harness.data.row_copy import RowCopy, check_rows
from harness.data.table import DataTable, open_table
from harness.errors import DataError, HarnessError, did_you_mean
from harness.label import label_file
from harness.label.applied import Applied, judge_rows, render_card
from harness.label.new_rows import storage_type, type_family, vector_width
from harness.label.postprocess import Postprocessor
from harness.label.rule_file import SavedRule, read_rule
from harness.label.rule_saving import code_of
from harness.plugin.block import Block
from harness.plugin.items import Items, columns_of
from harness.plugin.task import find_error
from harness.run import block_builder, blocks
from harness.run.blocks import Recipe, open_block
from harness.run.hardware import processor_kernels
from harness.run.key_diff import differences
from harness.run.locations import naming_user_files
from harness.run.rule_worker import ARRAYS_FILE
from harness.run.rules import label_rows
from harness.run.runner import Options, cache_of
from harness.statistics.intervals import Numbers
from harness.suite import spec
from harness.suite.catalog import Catalog
from harness.utils.hashing import digest, hash_array, library_versions
from harness.utils.processes import Processes

READ_ROWS = 65_536  # rows whose probabilities are in memory at a time


@dataclass(frozen=True, eq=False)
class ApplyJob:
    """New rows, and the rule that labels them."""

    saved: SavedRule
    table: DataTable
    items: Items
    recipes: dict[str, Recipe]  # of the blocks
    rows: RowCopy
    out: Path
    catalog: Catalog
    options: Options

    @property
    def card(self) -> Path:
        """The card beside the labels."""
        return self.out.with_suffix(".md")

    @property
    def simulated(self) -> bool:
        """Whether the rule's data or the new rows are the simulated twin."""
        return bool(self.table.simulated or self.saved.record.origin["simulated"])


def open_job(rule: Path, data: Path, out: Path, catalog: Catalog, options: Options) -> ApplyJob:
    """Open a rule and new rows; nothing is made or written.

    Options left at their defaults are those that the rule was learnt with. Raises HarnessError for a damaged rule, a
    file that does not fit it, or a target that cannot be written.
    """
    saved = read_rule(rule, catalog)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(f"--output {options.output}: {error.strerror}") from None
    options = options.with_defaults_from(saved.record.environment)
    cache = cache_of(options)
    table = open_table(str(data), (Path.cwd(),), cache, "error", None)
    label_file.check_target(table.path, table.display_name, out, table.sha256, label_file.column_names(saved.classes))
    _check_columns(saved, table)
    items = _items(saved, table)
    with naming_user_files(table, items):
        recipes = {name: _recipe(name, saved, items, catalog, cache) for name in saved.record.blocks}
    return ApplyJob(saved, table, items, recipes, check_rows(table.path, table.display_name), out, catalog, options)


def environment_changes(job: ApplyJob) -> list[str]:
    """Return what is other here than where the rule was learnt, one line."""
    recorded, labeler = job.saved.record.environment, job.saved.candidate.labeler
    names = ("kernels", "libraries", "code")
    code = code_of([labeler, *(recipe.maker for recipe in job.recipes.values())], job.catalog)
    now = dict(zip(names, (processor_kernels(), library_versions(), code), strict=True))
    changed = differences({name: recorded[name] for name in names}, now)
    if not changed:
        return []
    advice = "probabilities may differ in their last digits, and labels where two are nearly equal"
    return [f"other than where the rule was learnt: {'; '.join(changed)}: {advice}"]


def apply_rule(
    job: ApplyJob, on_block: Callable[[Recipe, int, int], None] = lambda recipe, rows, total: None
) -> Applied:
    """Make the blocks, label every row, and write labels, card and JSON.

    `on_block` is called with the finished rows of a block. The new file is never whole in memory. Raises DataError.
    """
    state = label_file.file_state(job.table.path)
    opened = build_blocks(job, on_block)
    with tempfile.TemporaryDirectory(prefix="apply-", dir=cache_of(job.options)) as folder:
        proba = predict(job, opened, Path(folder))
        answers = _Answers(proba, job.saved.measured.postprocessor())
        label, accepted = answers.label_all()
        support = job.saved.measured.support
        sources = _sources(job)
        far = support.find_far(list(opened.values()), np.arange(len(job.items)))
        strange = support.find_strange(sources, len(label))
        applied = judge_rows(job.saved, job.table, label, accepted, far, strange, sources, job.simulated, job.out.name)
        columns = _LabelColumns(job.saved, answers, accepted, far | strange, applied.run_id)
        metadata = {
            "data": job.table.sha256,
            "run_id": applied.run_id,
            "labeler": job.saved.record.title,
            "simulated": job.simulated,
        }
        label_file.write_with_columns(job.rows, job.out, columns, metadata, state)
    label_file.write_text(render_card(applied, job.saved), job.card)
    label_file.write_text(json.dumps(asdict(applied), indent=1) + "\n", job.out.with_suffix(".json"))
    return applied


def _check_columns(saved: SavedRule, table: DataTable) -> None:
    """Raise DataError where a column is missing or of another type."""
    schema = pq.read_schema(table.path)
    text_columns = columns_of(saved.record.text)
    for name, form in saved.record.columns.items():
        if name not in schema.names:
            raise DataError(
                f"{table.display_name}: no column {name!r}, which the rule reads{did_you_mean(name, schema.names)}"
            )
        table.check_column(name, TEXT_PATHS if name in text_columns else None)
        kind = storage_type(schema.field(name).type)
        if not pa.types.is_null(kind) and type_family(kind) != form.family:
            raise DataError(f"{table.display_name}: column {name!r} is {kind}, the rule has learnt from {form.type}")
        width = vector_width(table, name, kind)
        if None not in (width, form.width) and width != form.width:
            raise DataError(
                f"{table.display_name}: column {name!r} holds vectors of {width} numbers, the rule has learnt from "
                f"{form.width}"
            )


def _items(saved: SavedRule, table: DataTable) -> Items:
    """Return every row of the table; the rule's target cannot be read."""
    columns, roles = ColumnReader(table), saved.record.roles
    rows = np.arange(columns.size)
    ids = columns.ids(roles["id"]) if roles["id"] is not None else rows
    hidden = tuple(roles["hidden"])
    readable = tuple(name for name in table.columns if name not in hidden)
    identity = digest(table.sha256, hash_array(rows), hash_array(ids), roles["text"], hidden)
    return Items(str(table.path), rows, ids, readable, hidden, saved.record.text, identity)


def _recipe(name: str, saved: SavedRule, items: Items, catalog: Catalog, cache: Path) -> Recipe:
    """Return the recipe of a block of the new rows, made as the rule's was."""
    source = saved.record.blocks[name]
    maker = spec.from_spec(source.maker, lambda _kind, plugin: catalog.find(source.kind, plugin))
    recipe = blocks.recipe(name, maker, items, catalog, cache / "digests")
    if spec.identity(maker, cache / "digests") != source.identity:
        raise DataError(f"block {name!r}: a file that its maker reads is another than the rule was learnt with")
    return recipe


def build_blocks(job: ApplyJob, on_block: Callable[[Recipe, int, int], None]) -> dict[str, Block]:
    """Make the blocks of the new rows, and map them."""
    options, cache, n = job.options, cache_of(job.options), len(job.items)
    hardware = options.hardware
    processes = Processes(("harness.run.block_writer",), hardware.threads, hardware.device, options.jobs)
    with naming_user_files(job.table, job.items):
        for recipe in job.recipes.values():
            if blocks.is_made(recipe, cache):
                continue
            on_block(recipe, 0, n)

            def progress(rows: int, recipe: Recipe = recipe) -> None:
                on_block(recipe, rows, n)

            slots = block_builder.default_slots(recipe, n, options.jobs * hardware.threads)
            block_builder.build_block(recipe, job.items, cache, processes, options.limits, progress, slots)
    return {name: open_block(recipe, cache) for name, recipe in job.recipes.items()}


def predict(job: ApplyJob, opened: Mapping[str, Block], folder: Path) -> NDArray[np.float32]:
    """Return (m, C) probabilities of the new rows, in a file in `folder`.

    They are those that the labeler itself would give them, trained on what the rule has learnt from.
    """
    saved = job.saved
    arrays_file, m = saved.folder / ARRAYS_FILE, len(job.items)
    return label_rows(
        saved.candidate,
        saved.record.form,
        arrays_file,
        opened,
        m,
        len(saved.classes),
        job.catalog,
        job.options,
        folder,
    )


def _sources(job: ApplyJob) -> NDArray[Any] | None:
    name = job.saved.record.roles["source"]
    return None if name is None else ColumnReader(job.table).names(name)


class _Answers:
    """The probabilities of all rows, postprocessed part by part."""

    def __init__(self, proba: Numbers, postprocessor: Postprocessor) -> None:
        self.proba, self.postprocessor = proba, postprocessor

    def label_all(self) -> tuple[Numbers, Numbers]:
        """Return (m,) labels and (m,) True for those to accept.

        Raises DataError where the rule's answer is no probability.
        """
        m = len(self.proba)
        label, confidence, score = np.empty(m, np.uint8), np.empty(m), np.empty(m)
        for part in self._parts():
            rows = np.asarray(self.proba[part])
            fault = find_error(rows, *rows.shape)
            if fault is not None:
                raise DataError(f"the rule's answer: {fault}")
            answers = self.postprocessor.apply(rows)
            label[part], confidence[part], score[part] = answers.label, answers.confidence, answers.score
        return label, self.postprocessor.choose_accepted(label, confidence, score)

    def _parts(self) -> Iterator[slice]:
        for start in range(0, len(self.proba), READ_ROWS):
            yield slice(start, start + READ_ROWS)


@dataclass(frozen=True, eq=False)
class _LabelColumns:
    """The new columns, made a slice at a time."""

    saved: SavedRule
    answers: _Answers
    accepted: Numbers  # (m,)
    outside: Numbers  # (m,)
    run_id: str

    @property
    def schema(self) -> pa.Schema:
        return self.slice(0, 1).schema

    def slice(self, offset: int, length: int) -> pa.Table:
        rows = slice(offset, offset + length)
        answers = self.answers.postprocessor.apply(np.asarray(self.answers.proba[rows]))
        answers, m = replace(answers, accepted=self.accepted[rows]), len(answers.label)
        return label_file.make_columns(
            m,
            self.saved.classes,
            [(np.arange(m), answers)],
            np.empty(0, np.int64),
            np.flatnonzero(self.outside[rows]),
            self.saved.record.title,
            self.run_id,
        )
