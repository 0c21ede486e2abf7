"""The account of a labelling: origin, quality, and limits of its labels."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.data.classes import Classes
from harness.label.card_shift import CardShift
from harness.label.learning_curve import Growth
from harness.label.postprocess import Postprocessor
from harness.label.quality import Pool, Quality
from harness.label.truth import TruthScore
from harness.report.markdown import escape

JSON_KEYS = {"shared_rows": "panel", "full": "whole"}  # attribute -> its older name, which the JSON file keeps


@dataclass(frozen=True)
class Provenance:
    """The origin of the labels."""

    file: str
    suite: str
    labeler: str
    spec: Mapping[str, Any]
    chosen: str  # how the labeler was chosen
    data: str
    sha256: str
    target: str
    run_id: str
    folds: int
    licence: str
    version: str
    simulated: bool


@dataclass(frozen=True)
class ChosenLabels:
    """Labels of rows that were chosen to be labelled, not drawn at random."""

    files: tuple[str, ...]
    rows: int
    right: float  # share that is labelled right out of fold

    def section(self, account: "Account") -> Iterable[str]:
        """Yield the paragraphs of the card's section, Markdown."""
        measured = account.quality.out_of_fold["accuracy"]
        before = account.labelled + self.rows
        yield "## Labels of chosen rows"
        yield (
            f"{self.rows:,} labels ({escape(', '.join(self.files))}) are of rows that were chosen to be labelled. Such "
            "rows are no random sample, so they are in no number below: the folds learn from them and hold them out as "
            f"other rows, and what is measured is measured on the {account.gold:,} labels of the data. Out of fold "
            f"{self.right:.4f} of the chosen rows are labelled right, and {measured:.4f} of these."
        )
        yield (
            f"The numbers are of all {before:,} rows without a label in the data, the chosen ones among them. Where "
            f"those are harder than the others, the {account.labelled:,} that remain are labelled better than stated."
        )


@dataclass(frozen=True)
class Account:
    """The origin, quality and limits of a file of labels."""

    provenance: Provenance
    classes: Classes
    rows: int
    gold: int  # labels in the data
    labelled: int  # by the labeler
    accepted: int  # of these
    postprocessor: Postprocessor
    quality: Quality
    pool: Pool
    shift: CardShift
    growth: Growth | None = None  # if an accuracy was given for it
    truth: TruthScore | None = None  # if a column was given for it
    chosen: ChosenLabels | None = None  # if a file of these was given


def to_json(account: Account) -> dict[str, Any]:
    """Return the account as JSON values, for programs."""
    postprocessor = account.postprocessor
    values: dict[str, Any] = {
        "provenance": asdict(account.provenance),
        "rows": {key: getattr(account, key) for key in ("rows", "gold", "labelled", "accepted")},
        "rules": {
            "wish": asdict(postprocessor.options),
            "calibration": postprocessor.method,
            "temperature": postprocessor.temperature,
            "thresholds": [asdict(threshold) for threshold in postprocessor.thresholds],
        },
        "quality": _json_values(account.quality),
        "pool": asdict(account.pool),
        "shift": asdict(account.shift),
    }
    if not account.classes.are_numbered:
        values["classes"] = {"values": list(account.classes.values), "ordered": account.classes.ordered}
    if account.classes.cuts:
        values["classes"]["cuts"] = list(account.classes.cuts)
    if not account.classes.ordered:  # distances and sums of classes mean nothing
        del values["quality"]["mae"], values["pool"]["at_least"], values["pool"]["score"]
    if account.growth is not None:
        values["growth"] = _json_values(account.growth)
    if account.truth is not None:
        values["truth"] = asdict(account.truth)
    if account.chosen is not None:
        values["chosen"] = asdict(account.chosen)
    return values


def _json_values(part: Quality | Growth) -> dict[str, Any]:
    """Return a part of the account by the keys of the JSON file."""
    return asdict(part, dict_factory=lambda items: {JSON_KEYS.get(name, name): value for name, value in items})
