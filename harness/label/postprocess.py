"""What is learnt from out-of-fold answers, and said of every row with it: calibrated, spanned, accepted."""

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
class LabelOptions:
    """What the user asks of the labels. At most one of `target`, `top` and `at_least` chooses the accepted rows."""

    coverage: float = 0.9  # of the spans
    calibration: Method | Literal["auto"] = "auto"
    target: float | None = None  # accuracy of the accepted rows
    by_class: bool = False  # of those of every label
    keep: float = 0.0  # share of each label's rows accepted in any case
    top: float | None = None  # share of the rows, by score
    at_least: int | None = None  # label
    good: int = 4  # a true score from here on is what a selection is after

    def check(self, n_classes: int) -> None:
        """Raise a HarnessError with the option that cannot be."""
        for option, value in (("--coverage", self.coverage), ("--target-accuracy", self.target), ("--top", self.top)):
            if value is not None and not 0 < value < 1:
                raise HarnessError(f"{option} {value:g}: must be between 0 and 1, as 0.8 for 80 %")
        if not 0 <= self.keep < 1:
            raise HarnessError(f"--keep {self.keep:g}: must be from 0 to less than 1")
        for option, label in (("--at-least", self.at_least), ("--good", self.good)):
            if label is not None and not 0 < label < n_classes:
                raise HarnessError(f"{option} {label}: must be from 1 to {n_classes - 1}")
        if (self.target is not None) + (self.top is not None) + (self.at_least is not None) > 1:
            raise HarnessError(
                "--target-accuracy, --top and --at-least: give one of them, each decides what is accepted"
            )
        if self.target is None and (self.by_class or self.keep):
            raise HarnessError("--by-class and --keep: need --target-accuracy")


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """What is said of r rows."""

    label: Numbers  # (r,) the labeler's own: the class it finds likeliest
    proba: Numbers  # (r, C) calibrated
    confidence: Numbers  # (r,) calibrated probability of the label
    low: Numbers  # (r,) least and
    high: Numbers  # (r,) highest class of the conformal set
    accepted: Numbers  # (r,) bool

    @property
    def score(self) -> Numbers:
        """(r,) expected class."""
        return expected_score(self.proba)

    def of(self, mask: Numbers) -> "LabelledRows":
        """Return the answers for some of the rows."""
        return LabelledRows(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))

    @classmethod
    def concatenate(cls, parts: Sequence["LabelledRows"]) -> "LabelledRows":
        """Return the answers of several parts, one behind the other."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class Postprocessor:
    """How an answer becomes what is said of its row."""

    options: LabelOptions
    method: Method
    calibrate: Calibration
    span: float  # threshold of the conformal score
    thresholds: tuple[Threshold, ...]  # of each label; none where no accuracy is asked for
    temperature: float = 1.0  # that makes a labeler as sure as those that the rules were learnt on

    def apply(self, proba: Numbers) -> LabelledRows:
        """Return what is said of rows that nothing was learnt from, by (m, C) probabilities of the labeler."""
        calibrated = self.calibrate(calibration.scale(proba, self.temperature))
        label, low_high = proba.argmax(axis=1), conformal.label_ranges(calibrated, self.span)
        return self._accept(LabelledRows(label, calibrated, _of_label(calibrated, label), *low_high, label >= 0))

    def transferred(self, proba: Numbers, like: Numbers) -> "Postprocessor":
        """Return the rules for another labeler, by its answers (p, C) for rows that the labelers whom the rules were
        learnt from have answered for, too: `like` (p, C)."""
        if len(proba) < MIN_SHARED_ROWS:
            return self
        temperature = recalibration.match_temperature(proba, like)
        mine, theirs = self.calibrate(calibration.scale(proba, temperature)), self.calibrate(like)
        label, other = proba.argmax(axis=1), like.argmax(axis=1)
        sure, as_sure = _of_label(mine, label), _of_label(theirs, other)
        thresholds = []
        for c, each in enumerate(self.thresholds):
            here, there = (label == c, other == c) if self.options.by_class else (label >= 0, other >= 0)
            if each.confidence is not None:
                each = replace(each, confidence=recalibration.match_level(sure[here], as_sure[there], each.confidence))
            thresholds.append(each)
        span = recalibration.match_bound(
            conformal.conformal_scores(mine), conformal.conformal_scores(theirs), self.span
        )
        return replace(self, span=span, thresholds=tuple(thresholds), temperature=temperature)

    def _accept(self, answers: LabelledRows) -> LabelledRows:
        options, taken = self.options, answers.accepted
        if options.top is not None:
            taken = selective.top_share(answers.score, options.top)
        elif options.at_least is not None:
            taken = answers.label >= options.at_least
        elif self.thresholds:
            levels = [np.inf if each.confidence is None else each.confidence for each in self.thresholds]
            taken = selective.accept(answers.confidence, answers.label, np.array(levels), options.keep)
        return replace(answers, accepted=taken)


def fit_postprocessor(
    proba: Numbers, y: Numbers, fold: Numbers, unit: Numbers | None, options: LabelOptions
) -> tuple[Postprocessor, LabelledRows]:
    """Learn the rules from out-of-fold probabilities (n, C); returns them and what they say of these rows themselves.

    What is said of a labelled row is learnt from the other folds, so that it can be measured.
    """
    if options.calibration == "auto":
        method, crossed = calibration.best_method(proba, y, fold)
    else:
        method = options.calibration
        crossed = calibration.cross_fit_calibration(method, proba, y, fold)
    label = proba.argmax(axis=1)
    confidence = _of_label(crossed, label)
    of_truth = conformal.conformal_scores(crossed)[np.arange(len(y)), y]
    postprocessor = Postprocessor(
        options,
        method,
        calibration.fit_calibration(method, proba, y),
        conformal.score_threshold(of_truth, options.coverage),
        _thresholds(confidence, label, label == y, proba.shape[1], unit, options),
    )
    low, high = conformal.cross_fit_ranges(crossed, y, fold, options.coverage)
    return postprocessor, postprocessor._accept(LabelledRows(label, crossed, confidence, low, high, label >= 0))


def _thresholds(
    confidence: Numbers, label: Numbers, hit: Numbers, n_classes: int, unit: Numbers | None, options: LabelOptions
) -> tuple[Threshold, ...]:
    if options.target is None:
        return ()
    if options.by_class:
        return tuple(selective.find_class_thresholds(confidence, label, hit, n_classes, options.target, unit))
    return (selective.find_threshold(confidence, hit, options.target, unit),) * n_classes


def _of_label(proba: Numbers, label: Numbers) -> Numbers:
    return np.asarray(proba[np.arange(len(label)), label])
