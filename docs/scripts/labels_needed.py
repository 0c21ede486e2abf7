"""Ask real data how many labels an accuracy takes, where the answer is known.

`python docs/scripts/labels_needed.py measure` makes docs/data/labels_needed.csv from the scores of
raw_data/tulu_300k_scores.parquet: the accuracy of two models by the number of their labels, then twenty replays with
800 labels each. Without a word the table of docs/labelling.md is made from it.
"""

import csv
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NEEDED = ROOT / "docs" / "data" / "labels_needed.csv"
LABELS, FOLDS, REPLAYS = 800, 5, 10  # replays of each model
TRAIN_SIZES = (80, 160, 320, 640, 960, 1280, 1920, 2560)
TRAININGS = 12  # of each size, whose mean accuracy is taken for the truth
TRUE_NEEDS = (400, 1_000, 1_600)
HEADER = ("model", "replay", "true", "target", "needed", "low", "high", "at_least", "why")


def measure() -> None:
    """Replay the labels and write what the curve says beside what is true."""
    import numpy as np
    import pyarrow.parquet as pq
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    from harness.label.learning_curve import fit_growth, nested_parts

    scores = pq.read_table(ROOT / "raw_data" / "tulu_300k_scores.parquet")
    y = scores["gpt_scores"].to_numpy().astype(int)
    source = np.unique(scores["source"].to_pylist(), return_inverse=True)[1]
    others = scores["llama_scores"].to_numpy() * 6 + scores["mistral_scores"].to_numpy()
    X = np.concatenate([np.eye(column.max() + 1, dtype=np.float32)[column] for column in (source, others)], axis=1)
    rng = np.random.default_rng(0)
    test, pool = np.split(rng.permutation(len(y)), [4_000])
    models = {
        "logistic regression": lambda: LogisticRegression(max_iter=60),
        "nearest neighbours": lambda: KNeighborsClassifier(15, algorithm="brute"),
    }
    rows = []
    for name, make in models.items():

        def accuracy(size: int, make: Any = make) -> float:
            train = rng.choice(pool, size, replace=False)
            return float((make().fit(X[train], y[train]).predict(X[test]) == y[test]).mean())

        curve = [float(np.mean([accuracy(size) for _ in range(TRAININGS)])) for size in TRAIN_SIZES]
        for replay in range(REPLAYS):
            labelled, fold = rng.choice(pool, LABELS, replace=False), rng.permutation(LABELS) % FOLDS
            label, size = np.empty((4, LABELS), int), np.empty((4, FOLDS), int)
            for number in range(FOLDS):
                train, held_out = labelled[fold != number], labelled[fold == number]
                for s, part in enumerate([*nested_parts(y[train], None, number), np.arange(len(train))]):
                    model = make().fit(X[train[part]], y[train[part]])
                    label[s, fold == number], size[s, number] = model.predict(X[held_out]), len(part)
            for true in TRUE_NEEDS:
                target = float(np.interp(true, TRAIN_SIZES, np.maximum.accumulate(curve)))
                growth = fit_growth(target, y[labelled], fold, size, label, 6)
                numbers = (growth.needed, growth.low, growth.high, growth.at_least)
                rows.append((name, replay, true, f"{target:.4f}", *map(_rounded, numbers), growth.why))
    with NEEDED.open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([HEADER, *rows])


def _rounded(number: float | None) -> str:
    return "" if number is None else f"{number:.0f}"


def needed(rows: list[dict[str, str]]) -> str:
    """Return the table: what the curve says of a number of labels, and how much of it is true."""
    lines = [
        "| Labels that it takes | An interval | It holds | At least | It holds | Nothing |",
        "| --: | --: | --: | --: | --: | --: |",
    ]
    for true in dict.fromkeys(row["true"] for row in rows):
        some = [row for row in rows if row["true"] == true]
        closed, bounded = ([row for row in some if row[column]] for column in ("needed", "at_least"))
        held = sum(float(row["low"]) <= float(true) <= float(row["high"]) for row in closed)
        held_bounds = sum(float(row["at_least"]) <= float(true) for row in bounded)
        shares = (f"{held}/{len(closed)}", f"{held_bounds}/{len(bounded)}")
        nothing = len(some) - len(closed) - len(bounded)
        lines.append(f"| {int(true):,} | {len(closed)} | {shares[0]} | {len(bounded)} | {shares[1]} | {nothing} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:] == ["measure"]:
        measure()
    sys.path.insert(0, str(Path(__file__).parent))
    import labelling

    page = ROOT / "docs" / "labelling.md"
    page.write_text(labelling.with_tables(page.read_text(), ROOT))
