"""GLAD: the skill of each rater and the difficulty of each row, by EM.

Whitehill, Ruvolo, Wu, Bergsma, Movellan: Whose Vote Should Count More, Optimal Integration of Labels from Labelers of
Unknown Expertise, 2009.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from harness import Predictions, Task, hookimpl
from harness_plugins._ranges import demand
from harness_plugins._raters import Patterns, find_patterns, gold_labels, labels_of_raters, raters_table
from harness_plugins.labelers.dawid_skene import fix_gold, softmax, start_posterior

PRIOR_MEAN = 1.0  # of skills and of the logarithms of ease, whose priors are normal with variance 1
MAX_LOG_EASE = 20.0
INNER_STEPS = 5  # of L-BFGS in an M step: the next one begins where it ended
TOLERANCE = 1e-3  # of the posteriors, at which EM stops


@dataclass(frozen=True)
class GLAD:
    """Posterior of the true class, given skills of raters and ease of rows.

    It needs raters on all rows. A rater of skill a labels a row of ease b > 0 right with probability 1 / (1 +
    exp(-ab)), and is wrong with equal probability for each other class. The class shares are those of the labelled
    rows, or equal where these are ignored.
    """

    name: ClassVar[str] = "glad"
    transductive: ClassVar[bool] = True

    gold: Literal["fixed", "ignore"] = "fixed"  # labels of labelled rows: true, or unused
    max_iter: int = 100  # EM steps

    def __post_init__(self) -> None:
        demand(self, ("max_iter", self.max_iter >= 1, "at least 1"))

    def label(self, task: Task) -> Predictions:
        labels = labels_of_raters(task)
        gold = gold_labels(task, labels.n_rows)
        prior = np.full(task.n_classes, 1 / task.n_classes)
        if self.gold == "fixed" and (gold >= 0).any():
            counts = np.bincount(gold[gold >= 0], minlength=task.n_classes) + 1 / task.n_classes
            prior = counts / counts.sum()
        known = gold if self.gold == "fixed" else np.full(len(gold), -1)
        patterns = find_patterns(labels, known, task.n_classes)
        posterior, skill, settled = self.fit(patterns, prior)
        given = np.bincount(labels.raters, minlength=labels.n_raters)
        facts = {"settled": settled, "tables": {"Raters": raters_table(given, "Skill", skill)}}
        return Predictions(posterior[patterns.of_row[task.to_label]], facts)

    def fit(self, patterns: Patterns, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
        """Return the posterior (u, C), the skills (R,), and settled."""
        answers = patterns.answers
        skill, log_ease = np.full(answers.n_raters, PRIOR_MEAN), np.full(answers.n_rows, PRIOR_MEAN)
        posterior = fix_gold(start_posterior(patterns, len(prior)), patterns.gold)
        settled = False
        for _ in range(self.max_iter):
            skill, log_ease = improve(patterns, posterior, skill, log_ease)
            updated = fix_gold(softmax(scores(patterns, skill, log_ease, prior)), patterns.gold)
            change = np.abs(updated - posterior).max()
            posterior = updated
            if change < TOLERANCE:
                settled = True
                break
        return posterior, skill, settled


def scores(patterns: Patterns, skill: np.ndarray, log_ease: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Return (u, C) log probabilities of the answers and each true class."""
    from scipy.special import log_expit

    answers, C = patterns.answers, len(prior)
    logit = skill[answers.raters] * np.exp(log_ease[answers.rows])
    wrong = log_expit(-logit) - np.log(C - 1)
    gain = np.bincount(answers.rows * C + answers.labels, log_expit(logit) - wrong, answers.n_rows * C)
    return np.log(prior) + np.bincount(answers.rows, wrong, answers.n_rows)[:, None] + gain.reshape(-1, C)


def improve(
    patterns: Patterns, posterior: np.ndarray, skill: np.ndarray, log_ease: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return skills (R,) and log eases (u,) of a larger expected likelihood."""
    from scipy.optimize import minimize
    from scipy.special import expit, log_expit

    answers, R = patterns.answers, len(skill)
    weight = patterns.weight[answers.rows]
    right = posterior[answers.rows, answers.labels]  # (v,) probability that the answer is right

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        skill, log_ease = parameters[:R], parameters[R:]
        ease = np.exp(np.minimum(log_ease, MAX_LOG_EASE))[answers.rows]
        logit = skill[answers.raters] * ease
        likelihood = weight @ (right * log_expit(logit) + (1 - right) * log_expit(-logit))
        slope = weight * (right - expit(logit))
        penalty = ((skill - PRIOR_MEAN) ** 2).sum() + patterns.weight @ (log_ease - PRIOR_MEAN) ** 2
        of_skill = np.bincount(answers.raters, slope * ease, R) - (skill - PRIOR_MEAN)
        of_ease = np.bincount(answers.rows, slope * logit, answers.n_rows)
        of_ease -= patterns.weight * (log_ease - PRIOR_MEAN)
        return float(penalty / 2 - likelihood), -np.concatenate([of_skill, of_ease])

    start = np.concatenate([skill, log_ease])
    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": INNER_STEPS}).x
    return best[:R], np.minimum(best[R:], MAX_LOG_EASE)


@hookimpl
def harness_labelers():
    return [GLAD]
