"""The folder of a saved rule: what it holds, and that it is whole.

``rule.json`` has everything but arrays: the labeler, how the blocks of new rows are made, what the arrays are, and a
checksum of each other file. No file is a program, and none is unpickled.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.classes import Classes
from harness.errors import DataError, HarnessError, PluginError, printable
from harness.label.out_of_distribution import SupportReference
from harness.label.postprocess import PostprocessOptions, Postprocessor
from harness.plugin.items import Template, Text
from harness.run.checksums import file_checksum
from harness.run.rule_worker import ARRAYS_FILE
from harness.statistics.calibration import Method, fit_calibration
from harness.statistics.intervals import Numbers
from harness.statistics.selective import Threshold
from harness.suite import rule_spec, spec
from harness.suite.candidates import Candidate
from harness.suite.catalog import Catalog
from harness.utils.files import naming_file, sync_folder, write_text
from harness.utils.hashing import canonical_json, digest

FORMAT = 1
RULE_FILE, MEASURED_FILE, CARD_FILE, ACCOUNT_FILE = "rule.json", "measured.npz", "card.md", "labels.json"
SEALED_FILES = (ARRAYS_FILE, MEASURED_FILE, CARD_FILE, ACCOUNT_FILE)


@dataclass(frozen=True, eq=False)
class Measured:
    """What was fitted and measured beside the rule."""

    support: SupportReference
    label_counts: Numbers  # (C,) labels that the rule gave to the unlabelled rows of its data
    held_out: Numbers  # (n, C) probabilities of the labelled rows, out of fold: the calibration is fitted on them
    y: Numbers  # (n,) their labels
    options: PostprocessOptions
    method: Method
    max_score: float
    thresholds: tuple[Threshold, ...]
    temperature: float

    def postprocessor(self) -> Postprocessor:
        """Return the postprocessor of the labels that were measured."""
        calibrate = fit_calibration(self.method, self.held_out, self.y)
        return Postprocessor(self.options, self.method, calibrate, self.max_score, self.thresholds, self.temperature)


@dataclass(frozen=True)
class BlockSource:
    """How a block is made of new rows."""

    kind: str  # of its maker: "embedders" or "features"
    maker: Mapping[str, Any]  # spec
    identity: Mapping[str, Any]  # the spec with the hash of each file in place of its path


@dataclass(frozen=True)
class ColumnForm:
    """The type that a column of new rows must have."""

    type: str  # as Arrow writes it
    family: str  # within which types can be cast
    width: int | None  # numbers of a vector


@dataclass(frozen=True)
class RuleRecord:
    """What is in rule.json."""

    title: str
    labeler: Mapping[str, Any]  # spec
    form: Any  # of the rule's arrays
    measured: Any  # form of the arrays in MEASURED_FILE
    classes: Mapping[str, Any]
    blocks: Mapping[str, BlockSource]
    columns: Mapping[str, ColumnForm]
    roles: Mapping[str, Any]  # id, text, source: columns of the data; hidden: those of its target
    environment: Mapping[str, Any]  # threads, device, kernels, libraries, code
    origin: Mapping[str, Any]  # data, target, run and labels that it was learnt from
    version: str  # of labelharness

    @property
    def text(self) -> Text | None:
        """What the texts of the rows are made of."""
        text = self.roles["text"]
        if isinstance(text, dict):
            return Template(text["template"])
        return tuple(text) if isinstance(text, list) else text


@dataclass(frozen=True, eq=False)
class SavedRule:
    """A rule that was read from its folder."""

    folder: Path
    record: RuleRecord
    candidate: Candidate
    classes: Classes
    measured: Measured
    account: Mapping[str, Any]  # labels.json of the labelling that measured it
    sha256: str  # of the record, and so of all files


def text_to_json(text: Text | None) -> Any:
    """Return what texts are made of as JSON."""
    if isinstance(text, Template):
        return {"template": text.template}
    return list(text) if isinstance(text, tuple) else text


def measured_to_arrays(measured: Measured) -> tuple[dict[str, Any], Any]:
    """Return what was measured as arrays and JSON."""
    return rule_spec.to_arrays(measured, rule_spec.dataclass_names(Measured))


def seal_rule(folder: Path, record: RuleRecord) -> None:
    """Write rule.json with the checksums of the other files; sync all."""
    content = {"format": FORMAT, **asdict(record)}
    content["checksums"] = {name: file_checksum(folder / name) for name in SEALED_FILES}
    write_text(folder / RULE_FILE, canonical_json(content | {"sha256": digest(content)}))
    sync_folder(folder)


def save_arrays(file: Path, arrays: Mapping[str, Any]) -> None:
    """Write named arrays to an .npz file."""
    with naming_file(file), file.open("wb") as out:
        np.savez(out, allow_pickle=False, **arrays)


def read_rule(folder: Path, catalog: Catalog) -> SavedRule:
    """Read a rule, and check that it is whole and its labeler installed.

    Raises HarnessError with one line.
    """
    content = read_record(folder)
    sha256 = content.pop("sha256")
    for name, checksum in content.pop("checksums").items():
        if name not in SEALED_FILES or not (folder / name).is_file() or file_checksum(folder / name) != checksum:
            raise DataError(f"{folder / name}: is missing or damaged: it is not the file that was saved; save it again")
    del content["format"]
    try:
        content["blocks"] = {name: BlockSource(**source) for name, source in content["blocks"].items()}
        content["columns"] = {name: ColumnForm(**form) for name, form in content["columns"].items()}
        record = RuleRecord(**content)
        labeler = spec.from_spec(record.labeler, catalog.find)
        classes = Classes(
            **{**record.classes, "values": tuple(record.classes["values"]), "cuts": tuple(record.classes["cuts"])}
        )
        with np.load(folder / MEASURED_FILE, allow_pickle=False) as archive:
            arrays = dict(archive)
        measured = rule_spec.from_arrays(arrays, record.measured, rule_spec.dataclass_names(Measured), catalog.find)
        if not isinstance(measured, Measured):
            raise TypeError("it lacks what was measured")
        account = json.loads((folder / ACCOUNT_FILE).read_text(encoding="utf-8"))
    except HarnessError as error:
        raise PluginError(f"{folder}: the rule cannot be used here: {error.problems[0]}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / RULE_FILE}: is of another form than this version reads: {error}") from None
    return SavedRule(folder, record, Candidate(record.title, labeler), classes, measured, account, sha256)


def read_record(folder: Path) -> dict[str, Any]:
    """Return the content of rule.json; raise DataError unless it is whole."""
    file = folder / RULE_FILE
    if not folder.is_dir():
        raise DataError(
            f"{folder}: {'is a file' if folder.exists() else 'no such folder'}; a rule is the folder of "
            "harness label --save"
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{folder}: has no {RULE_FILE}, so it is no rule of harness label --save") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: cannot be read: {printable(str(error)):.200}") from None
    if not isinstance(content, dict) or "format" not in content:
        raise DataError(f"{file}: is no rule of harness label --save")
    if content["format"] != FORMAT:
        raise DataError(
            f"{file}: has format {content['format']!r:.40}, this version of labelharness reads {FORMAT}; install the "
            "version that wrote it, or save the rule again"
        )
    if content.get("sha256") != digest({key: value for key, value in content.items() if key != "sha256"}):
        raise DataError(f"{file}: is damaged: it is not what was saved; save the rule again")
    return content
