"""From a labeler's probabilities to labels: calibrate, add sets, accept.

The postprocessor is fitted on out-of-fold probabilities of the labelled rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from harness.errors import HarnessError
from harness.statistics import calibration, conformal, recalibration, selective
from harness.statistics.calibration import Calibration, Method
from harness.statistics.intervals import Numbers
from harness.statistics.metrics import expected_score
from harness.statistics.selective import Threshold

MIN_SHARED_ROWS = 100  # rows on which two labelers can be compared


@dataclass(frozen=True)
class PostprocessOptions:
    """How labels are calibrated, and which rows are accepted.

    At most one of `target`, `top` and `at_least` chooses the accepted rows.
    """

    coverage: float = 0.9  # of the conformal sets
    calibration: Method | Literal["auto"] = "auto"
    target: float | None = None  # accuracy of the accepted rows
    by_class: bool = False  # whether the target holds for the rows of each label
    keep: float = 0.0  # share of each label's rows accepted in any case
    top: float | None = None  # share of the rows, by score
    at_least: int | None = None  # label
    good: int = 4  # least true class of a good row, where rows are selected by score or label
    ordered: bool = True  # whether the classes are; else sets have no neighbours, and no score is expected

    @property
    def selects(self) -> bool:
        """Whether rows are selected by score or label."""
        return self.top is not None or self.at_least is not None

    def check(self) -> None:
        """Raise a HarnessError naming an option that is out of range."""
        for option, value in (("--coverage", self.coverage), ("--target-accuracy", self.target), ("--top", self.top)):
            if value is not None and not 0 < value < 1:
                raise HarnessError(f"{option} {value:g}: must be between 0 and 1, as 0.8 for 80 %")
        if not 0 <= self.keep < 1:
            raise HarnessError(f"--keep {self.keep:g}: must be from 0 to less than 1")
        if self.selects and not self.ordered:
            raise HarnessError("--top and --at-least: need classes in an order, and these have none")
        if (self.target is not None) + (self.top is not None) + (self.at_least is not None) > 1:
            raise HarnessError(
                "--target-accuracy, --top and --at-least: give one of them, each decides what is accepted"
            )
        if self.target is None and (self.by_class or self.keep):
            raise HarnessError("--by-class and --keep: need --target-accuracy")


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """The labels of r rows, with confidence, conformal set and acceptance."""

    label: Numbers  # (r,) the labeler's most probable class
    proba: Numbers  # (r, C) calibrated
    confidence: Numbers  # (r,) calibrated probability of the label
    inside: Numbers  # (r, C) bool: the classes of the conformal set
    accepted: Numbers  # (r,) bool

    @property
    def score(self) -> Numbers:
        """(r,) expected class."""
        return expected_score(self.proba)

    @property
    def low(self) -> Numbers:
        """(r,) least class of the conformal set."""
        return np.asarray(self.inside.argmax(axis=1))

    @property
    def high(self) -> Numbers:
        """(r,) highest class of the conformal set."""
        return np.asarray(self.inside.shape[1] - 1 - self.inside[:, ::-1].argmax(axis=1))

    def of(self, mask: Numbers) -> "LabelledRows":
        """Return some of the rows."""
        return LabelledRows(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))

    @classmethod
    def concatenate(cls, parts: Sequence["LabelledRows"]) -> "LabelledRows":
        """Return the rows of several parts, one after the other."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class Postprocessor:
    """A fitted calibration, conformal threshold and acceptance thresholds."""

    options: PostprocessOptions
    method: Method
    calibrate: Calibration
    max_score: float  # threshold of the conformal score
    thresholds: tuple[Threshold, ...]  # of each label; none without a target accuracy
    temperature: float = 1.0  # makes a labeler as confident as those that the postprocessor was fitted on

    def apply(self, proba: Numbers) -> LabelledRows:
        """Return the labels of rows from a labeler's probabilities (m, C).

        Nothing may have been fitted on these rows.
        """
        calibrated = self.calibrate(calibration.scale(proba, self.temperature))
        label = proba.argmax(axis=1)
        inside = conformal.label_sets(calibrated, self.max_score, label, self.options.ordered)
        return self._accept(LabelledRows(label, calibrated, _of_label(calibrated, label), inside, label >= 0))

    def transferred(self, proba: Numbers, reference: Numbers) -> "Postprocessor":
        """Return the postprocessor for another labeler.

        `proba` (p, C) are its probabilities of some rows, `reference` (p, C) those of the labelers that the
        postprocessor was fitted on, of the same rows.
        """
        if len(proba) < MIN_SHARED_ROWS:
            return self
        temperature = recalibration.match_temperature(proba, reference)
        calibrated = self.calibrate(calibration.scale(proba, temperature))
        calibrated_reference = self.calibrate(reference)
        label, reference_label = proba.argmax(axis=1), reference.argmax(axis=1)
        confidence = _of_label(calibrated, label)
        reference_confidence = _of_label(calibrated_reference, reference_label)
        thresholds = []
        for c, threshold in enumerate(self.thresholds):
            if threshold.confidence is not None:
                rows, reference_rows = (
                    (label == c, reference_label == c) if self.options.by_class else (label >= 0, reference_label >= 0)
                )
                level = recalibration.match_level(
                    confidence[rows], reference_confidence[reference_rows], threshold.confidence
                )
                threshold = replace(threshold, confidence=level)
            thresholds.append(threshold)
        max_score = recalibration.match_bound(
            conformal.conformal_scores(calibrated, label, self.options.ordered),
            conformal.conformal_scores(calibrated_reference, reference_label, self.options.ordered),
            self.max_score,
        )
        return replace(self, max_score=max_score, thresholds=tuple(thresholds), temperature=temperature)

    def _accept(self, rows: LabelledRows) -> LabelledRows:
        return replace(rows, accepted=self.choose_accepted(rows.label, rows.confidence, rows.score))

    def choose_accepted(self, label: Numbers, confidence: Numbers, score: Numbers) -> Numbers:
        """Return (r,) True for the rows to accept, among all rows of a file."""
        options = self.options
        if options.top is not None:
            return selective.top_share(score, options.top)
        if options.at_least is not None:
            return np.asarray(label >= options.at_least)
        if self.thresholds:
            levels = [np.inf if t.confidence is None else t.confidence for t in self.thresholds]
            return selective.accept(confidence, label, np.array(levels), options.keep)
        return np.ones(len(label), np.bool_)


def fit_postprocessor(
    proba: Numbers, y: Numbers, fold: Numbers, unit: Numbers | None, options: PostprocessOptions
) -> tuple[Postprocessor, LabelledRows]:
    """Fit on out-of-fold probabilities (n, C) and labels y (n,).

    Also returns the labels of these rows, each by what was fitted on the other folds, so that they can be measured.
    """
    if options.calibration == "auto":
        method, calibrated = calibration.best_method(proba, y, fold)
    else:
        method = options.calibration
        calibrated = calibration.cross_fit_calibration(method, proba, y, fold)
    label = proba.argmax(axis=1)
    confidence = _of_label(calibrated, label)
    true_class_scores = conformal.conformal_scores(calibrated, label, options.ordered)[np.arange(len(y)), y]
    postprocessor = Postprocessor(
        options,
        method,
        calibration.fit_calibration(method, proba, y),
        conformal.score_threshold(true_class_scores, options.coverage),
        _fit_thresholds(confidence, label, label == y, proba.shape[1], unit, options),
    )
    inside = conformal.cross_fit_sets(calibrated, y, fold, options.coverage, label, options.ordered)
    return postprocessor, postprocessor._accept(LabelledRows(label, calibrated, confidence, inside, label >= 0))


def _fit_thresholds(
    confidence: Numbers,
    label: Numbers,
    hit: Numbers,
    n_classes: int,
    unit: Numbers | None,
    options: PostprocessOptions,
) -> tuple[Threshold, ...]:
    if options.target is None:
        return ()
    if options.by_class:
        return tuple(selective.find_class_thresholds(confidence, label, hit, n_classes, options.target, unit))
    return (selective.find_threshold(confidence, hit, options.target, unit),) * n_classes


def _of_label(proba: Numbers, label: Numbers) -> Numbers:
    """Return (r,) the probability of each row's label."""
    return np.asarray(proba[np.arange(len(label)), label])
