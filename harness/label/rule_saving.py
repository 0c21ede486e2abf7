"""Save the rule of the labeler that wrote the labels."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from harness import __version__
from harness.errors import DataError, HarnessError, PluginError, describe_error
from harness.label.account import Account, to_json
from harness.label.card import render_card
from harness.label.new_rows import storage_type, type_family, vector_width
from harness.label.out_of_distribution import fit_reference
from harness.label.postprocess import Postprocessor
from harness.label.rule_file import (
    ACCOUNT_FILE,
    CARD_FILE,
    MEASURED_FILE,
    RULE_FILE,
    BlockSource,
    ColumnForm,
    Measured,
    RuleRecord,
    measured_to_arrays,
    save_arrays,
    seal_rule,
    text_to_json,
)
from harness.label.training import LabelRun, Probabilities
from harness.plugin.protocols import block_names, iter_plugins
from harness.run.blocks import Recipe, open_block
from harness.run.hardware import processor_kernels
from harness.run.plan import core_code
from harness.run.rule_worker import ARRAYS_FILE
from harness.run.rules import clear, learn_rule
from harness.run.runner import Run
from harness.suite import rule_spec, spec
from harness.suite.catalog import Catalog
from harness.utils.files import remove_folder, sync, write_text
from harness.utils.hashing import library_versions
from harness.utils.locks import hold_lock


def check_savable(run: Run, folder: Path) -> None:
    """Raise HarnessError if no rule of a labelling can be saved to `folder`."""
    cell = run.cells[0]
    reason = rule_spec.find_learn_error(cell.candidate.labeler)
    if reason is not None:
        names = sorted(e.name for e in run.catalog.entries if e.kind == "labelers" and hasattr(e.cls, "learn"))
        raise HarnessError(
            f"--save {folder}: {cell.candidate.title}: {reason}; rules of these are saved: {', '.join(names)}"
        )
    rule_spec.rule_classes(cell.candidate.labeler)
    for name in block_names(cell.candidate.labeler):  # of one that names none it turns out which its rule reads
        check_maker(run.recipes[name], folder)
    if folder.exists() and not (folder / RULE_FILE).is_file() and not (folder.is_dir() and not any(folder.iterdir())):
        raise HarnessError(f"--save {folder}: is there already and is no rule; name another folder")
    if not folder.absolute().parent.is_dir():
        raise HarnessError(f"--save {folder}: no such folder: {folder.absolute().parent}")


def check_maker(recipe: Recipe, folder: Path) -> None:
    """Raise HarnessError where a block cannot be made of new rows alone."""
    maker = recipe.maker
    rowwise = getattr(maker, "resumable", True) if recipe.kind == "embedding" else getattr(maker, "rowwise", False)
    if not rowwise and not hasattr(maker, "fitted"):
        raise HarnessError(
            f"--save {folder}: block {recipe.name!r} ({maker.name}) is fitted on all rows of the data, and cannot be "
            "made of new rows alone; label them with harness label --data, or leave the block out"
        )


def save_rule(label_run: LabelRun, proba: Probabilities, refit: Postprocessor, account: Account, folder: Path) -> None:
    """Learn the rule of the refit labeler and write its folder.

    `refit` is the postprocessor of its labels. Raises HarnessError; a rule that was there before stays then.
    """
    run, dataset, cell = label_run.run, label_run.dataset, label_run.run.cells[0]
    target = folder.absolute()
    scratch = clear(target.with_name(f".{target.name}.partial"))
    try:
        with hold_lock(run.store.folder / "lock", wait=False):
            learnt = learn_rule(run, cell, clear(run.store.scratch / "rule"))
            shutil.copyfile(run.store.scratch / "rule" / ARRAYS_FILE, scratch / ARRAYS_FILE)
            remove_folder(run.store.scratch / "rule")
        for name in learnt.blocks:
            check_maker(run.recipes[name], folder)
        opened = {name: open_block(run.recipes[name], run.cache) for name in learnt.blocks}
        measured = Measured(
            fit_reference(dataset, list(opened.values())),
            np.bincount(proba.refit.argmax(axis=1), minlength=dataset.n_classes),
            proba.held_out,
            dataset.y,
            refit.options,
            refit.method,
            refit.max_score,
            refit.thresholds,
            refit.temperature,
        )
        arrays, measured_form = measured_to_arrays(measured)
        save_arrays(scratch / MEASURED_FILE, arrays)
        write_text(scratch / CARD_FILE, render_card(account))
        write_text(scratch / ACCOUNT_FILE, json.dumps(to_json(account), indent=1) + "\n")
        sources = {name: _source(run, run.recipes[name], block.names) for name, block in opened.items()}
        seal_rule(scratch, _record(label_run, account, learnt.form, measured_form, sources))
        old = target.with_name(f".{target.name}.old")
        remove_folder(old)
        if target.exists():
            target.rename(old)
        scratch.rename(target)
        sync(target.parent)
        remove_folder(old)
    finally:
        remove_folder(scratch)


def _record(
    label_run: LabelRun, account: Account, form: Any, measured_form: Any, sources: dict[str, BlockSource]
) -> RuleRecord:
    run, data, cell = label_run.run, label_run.run.suite.data, label_run.run.cells[0]
    return RuleRecord(
        cell.candidate.title,
        spec.to_spec(cell.candidate.labeler),
        form,
        measured_form,
        {name: getattr(account.classes, name) for name in ("values", "ordered", "cuts", "stored")},
        sources,
        _columns(run, sources),
        {"id": data.id, "text": text_to_json(data.text), "source": data.source, "hidden": list(data.hidden)},
        {
            "threads": run.options.hardware.threads,
            "device": run.options.hardware.device,
            "kernels": processor_kernels(),
            "libraries": library_versions(),
            "code": code_of([cell.candidate.labeler, *(run.recipes[name].maker for name in sources)], run.catalog),
        },
        {**asdict(account.provenance), "labelled": account.gold, "unlabelled": account.labelled},
        __version__,
    )


def code_of(plugins: list[Any], catalog: Catalog) -> dict[str, str]:
    """Return the hash of the code of plugins and of all that they reach."""
    nested = [part for plugin in plugins for part in iter_plugins(plugin)]
    return {"harness": core_code()} | {part.name: catalog.of(part).code() for part in nested}


def _source(run: Run, recipe: Recipe, names: tuple[str, ...]) -> BlockSource:
    """Return how a block is made of new rows; its columns are `names`."""
    maker = recipe.maker
    if hasattr(maker, "fitted"):
        try:
            maker = maker.fitted(run.dataset.items, names)
        except DataError as error:
            raise DataError(f"block {recipe.name!r}: {error}") from None
        except Exception as error:
            raise PluginError(f"block {recipe.name!r}: fitted() failed: {describe_error(error)}") from error
    kind = "embedders" if recipe.kind == "embedding" else "features"
    return BlockSource(kind, spec.to_spec(maker), spec.identity(maker, run.cache / "digests"))


def _columns(run: Run, sources: dict[str, BlockSource]) -> dict[str, ColumnForm]:
    """Return the types of the columns that new rows must have."""
    data, table = run.suite.data, run.dataset.table
    named = {text for source in sources.values() for text in _texts(source.maker)}
    needed = {data.id, data.source, *data.text_columns, *named}.difference(data.hidden)
    schema = pq.read_schema(table.path)
    forms = {}
    for name in (column for column in table.columns if column in needed):
        kind = storage_type(schema.field(name).type)
        forms[name] = ColumnForm(str(kind), type_family(kind), vector_width(table, name, kind))
    return forms


def _texts(value: Any) -> list[str]:
    """Return every text in a spec, names of columns among them."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in _texts(part)]
