"""Label simulated pools of eight kinds, and see whether their cards hold or warn. SIMULATED DATA.

`python docs/scripts/cards.py measure [SEEDS]` makes docs/data/cards.csv; without a word the table of docs/labelling.md
is made from it. The labelings are those of `harness label`, with every training in this process.
"""

import csv
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).parents[2]
CARDS = ROOT / "docs" / "data" / "cards.csv"
SEEDS = 60
UNLABELLED = 1_000
DIMENSIONS = 8
METRICS = ("accuracy", "macro_f1", "mae", "coverage")
HEADER = ("world", "seed", "labels", "warned", *METRICS, "shares", "classes", "target", "accepted", "error")
TARGET = 0.75
SUITE = {
    "version": 1,
    "blocks": {"x": {"embedder": "column", "column": "x"}},
    "splits": [{"splitter": "kfold", "folds": 5, "seeds": [0]}],
    "labelers": [
        "majority",
        {"knn": {"on": "x", "k": 5}},
        {"knn": {"on": "x", "k": 25}},
        {"sklearn": {"on": "x", "model": "sklearn.linear_model.LogisticRegression"}},
        {"sklearn": {"on": "x", "model": "sklearn.naive_bayes.GaussianNB"}},
    ],
}


@dataclass(frozen=True)
class World:
    """A kind of pool, and the rows of it that are labelled."""

    labels: int
    prior: tuple[float, ...]
    pool_prior: tuple[float, ...] | None = None  # None: the same
    moved: float = 0.0  # by how much the unlabelled rows are elsewhere, in standard deviations a dimension
    group: int = 1  # rows of a group
    sources: bool = False  # the second of two sources, which has few labels, is elsewhere and has other classes


WORLDS = {
    "random": World(300, (0.25,) * 4),
    "few": World(30, (0.25,) * 4),
    "many classes": World(200, (0.05,) * 20),
    "two classes": World(100, (0.88, 0.12)),
    "groups": World(300, (0.25,) * 4, group=5),
    "feature shift": World(300, (0.25,) * 4, moved=0.4),
    "class shift": World(300, (0.25,) * 4, pool_prior=(0.5, 0.3, 0.15, 0.05)),
    "moved source": World(300, (0.25,) * 4, sources=True),
}


def draw(world: World, seed: int) -> dict[str, Any]:
    """Return the columns of a pool: labelled rows, then the others."""
    import numpy as np

    rng, n = np.random.default_rng(seed), world.labels + UNLABELLED
    groups = np.arange(n) // world.group
    labelled = groups < world.labels // world.group
    priors = world.prior, world.pool_prior or world.prior
    of_group = [int(rng.choice(len(world.prior), p=priors[int(g >= world.labels // world.group)])) for g in set(groups)]
    y = np.array(of_group)[groups]
    y = np.where(rng.random(n) < (0.4 if world.group > 1 else 0.0), rng.integers(0, len(world.prior), n), y)
    source = np.zeros(n, int)
    means = 0.8 * rng.normal(size=(len(world.prior), DIMENSIONS))
    common = 0.7 * rng.normal(size=(groups.max() + 1, DIMENSIONS))[groups] if world.group > 1 else 0.0
    X = means[y] + common + rng.normal(size=(n, DIMENSIONS))
    X += world.moved * ~labelled[:, None] * rng.choice([-1, 1], DIMENSIONS)
    if world.sources:
        source = (rng.random(n) < np.where(labelled, 0.1, 0.5)).astype(int)
        X += 0.5 * source[:, None] * rng.choice([-1, 1], DIMENSIONS)
        y = np.where((source == 1) & (rng.random(n) < 0.3), (y + 1) % len(world.prior), y)
    return {"y": y, "x": X.astype(np.float32), "labelled": labelled, "group": groups, "source": source}


class MemoryStore:
    """The finished cells of a run, in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = self.cells = folder
        self.results: dict[str, Any] = {}

    def has(self, key: str) -> bool:
        return key in self.results

    def read(self, key: str) -> Any:
        return self.results[key]

    def failure(self, key: str) -> None:
        return None

    def save_fingerprints(self) -> None:
        """Nothing is on a disk."""


def train(run: Any, processes: Any, store: MemoryStore) -> Any:
    """Return the run with all its cells finished, trained here."""
    import numpy as np

    from harness import Predictions
    from harness.data.tasks import make_task
    from harness.run.block_builder import build_block
    from harness.run.blocks import open_block
    from harness.run.result import Result

    for recipe in run.missing_blocks():
        build_block(recipe, run.dataset.items, run.cache, processes, run.options.limits, lambda rows: None)
    blocks = {name: open_block(recipe, run.cache) for name, recipe in run.recipes.items()}
    for cell in run.cells:
        task = make_task(run.dataset, cell.evaluation.split, {name: blocks[name] for name in cell.blocks})
        answer = cell.candidate.labeler.label(task)
        proba = (answer.proba if isinstance(answer, Predictions) else answer).astype(np.float32)
        store.results[cell.key] = Result(proba.argmax(axis=1).astype(np.uint8), proba, {}, {}, {}, {})
    return replace(run, store=store)


def label(world: World, seed: int, folder: Path, processes: Any, plugins: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Return the account of a labelling, its columns, and the pool."""
    import json

    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from harness.label.columns import build_columns, fit_postprocessors
    from harness.label.job import LabelOptions, prepare_labels
    from harness.label.training import read_probabilities
    from harness.run.runner import Options, prepare_run
    from harness.suite.collection import load_collection

    pool = draw(world, seed)
    order = np.random.default_rng(seed).permutation(len(pool["y"]))
    pool = {name: column[order] for name, column in pool.items()}
    columns = {
        "y": pa.array(pool["y"], pa.int64(), mask=~pool["labelled"]),
        "x": pa.array(list(pool["x"]), pa.list_(pa.float32())),
        "group": pa.array([f"g{g}" for g in pool["group"]]),
        "source": pa.array([f"s{s}" for s in pool["source"]]),
    }
    pq.write_table(pa.table(columns), folder / "pool.parquet")
    data = {"path": "pool.parquet", "target": "y", "classes": len(world.prior)}
    data |= {"group": "group"} if world.group > 1 else {}
    data |= {"source": "source"} if world.sources else {}
    (folder / "cards.yaml").write_text(json.dumps(SUITE | {"name": "cards", "data": data}))
    suite = load_collection(folder / "cards.yaml", plugins).suites[0]
    store = MemoryStore(folder)
    run = prepare_run(suite, plugins, Options(folder, threads=1, device="cpu"), lambda line: None)
    run = train(run, processes, store)
    options = LabelOptions(folder / "labels.parquet", target_accuracy=TARGET, unseen_classes=True)
    job = prepare_labels(run, options)
    job = replace(job, label_run=replace(job.label_run, run=train(job.label_run.run, processes, store)))
    proba = read_probabilities(job.label_run)
    account, made = build_columns(job, proba, fit_postprocessors(job, proba))
    return account, made, pool


def measured(account: Any, made: Any, pool: dict[str, Any]) -> dict[str, Any]:
    """Return what the card states and whether it is true of the rows that were labelled."""
    import numpy as np

    from harness.statistics.metrics import count_confusion, macro_f1, mae

    rows = ~pool["labelled"]
    names = ("proxy_label", "label_low", "label_high", "accepted")
    label, low, high, accepted = (made[name].to_numpy()[rows].astype(int) for name in names)
    y, n_classes = pool["y"][rows], len(account.pool.shares)
    confusion = count_confusion(y, label, n_classes)
    truth = {
        "accuracy": (label == y).mean(),
        "macro_f1": macro_f1(confusion),
        "mae": mae(confusion),
        "coverage": ((low <= y) & (y <= high)).mean(),
    }
    q, accepted = account.quality, accepted.astype(bool)
    held = {name: int(getattr(q, name).holds(truth[name])) for name in METRICS}
    corrected = account.shift.corrected
    stated = [share.powered for share in account.pool.shares.values()]
    of_pool = np.bincount(pool["y"], minlength=n_classes) / len(pool["y"])
    if account.shift.shifted:  # then the card's shares are the corrected ones, of the unlabelled rows, or none
        stated = [] if corrected is None else list(corrected.shares)
        of_pool = np.bincount(y, minlength=n_classes) / len(y)
    by_class = []
    for c in range(n_classes):
        single = (
            (q.recall[c], label == c, y == c),
            (q.precision[c], y == c, label == c),
            (q.coverage_by_class[c], (low <= c) & (c <= high), y == c),
        )
        by_class += [i.holds(hit[of].mean()) for i, hit, of in single if i is not None and of.any()]
    shares = [interval.holds(share) for interval, share in zip(stated, of_pool, strict=False)]
    return held | {
        "labels": account.gold,
        "warned": int(account.shift.shifted),
        "shares": f"{mean(shares):.4f}" if shares else "",
        "classes": f"{mean(by_class):.4f}" if by_class else "",
        "target": int((label == y)[accepted].mean() >= TARGET) if accepted.any() else "",
        "accepted": f"{accepted.mean():.4f}",
        "error": f"{q.accuracy.value - truth['accuracy']:.4f}",
    }


def measure(seeds: int) -> None:
    """Label every world with every seed, and write what held."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with CARDS.open("w", newline="") as out:
        writer = csv.DictWriter(out, HEADER, lineterminator="\n")
        writer.writeheader()
        for row in simulate(WORLDS, range(seeds)):
            writer.writerow(row)
            out.flush()


def simulate(names: Any, seeds: Any) -> Iterator[dict[str, Any]]:
    """Yield a row for every world and seed."""
    from harness.suite import catalog
    from harness.utils.processes import Processes

    plugins, processes = catalog.discover(()), Processes(("harness.run.worker",), 1, "cpu", 1)
    for name in names:
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                found = measured(*label(WORLDS[name], seed, Path(folder), processes, plugins))
            yield {"world": name, "seed": seed} | found


def cards(rows: list[dict[str, str]]) -> str:
    """Return the table: of the seeds of a world, how many held or warned."""
    columns = ["Accuracy", "Macro-F1", "MAE", "Sets", "Single classes", "Pool shares", "Target kept"]
    lines = [
        f"| World | Labels | Warned | {' | '.join(columns)} | Held or warned | Accuracy stated − true |",
        "| --- | --: | --: |" + " --: |" * (len(columns) + 2),
    ]
    for name in dict.fromkeys(row["world"] for row in rows):
        some = [row for row in rows if row["world"] == name]
        n = len(some)

        def part(column: str, count: Callable[[list[float]], str], some: list[dict[str, str]] = some) -> str:
            values = [float(row[column]) for row in some if row[column] != ""]
            return count(values) if values else "–"

        cells = [part(metric, lambda values: f"{sum(values):.0f}/{len(values)}") for metric in METRICS]
        cells += [part(column, lambda values: f"{mean(values):.1%}") for column in ("classes", "shares")]
        cells.append(part("target", lambda values: f"{sum(values):.0f}/{len(values)}"))
        good = sum(row["warned"] == "1" or row["accuracy"] == row["macro_f1"] == "1" for row in some)
        cells.append(f"{good}/{n}")
        cells.append(part("error", lambda values: f"{mean(values):+.4f}"))
        warned = sum(int(row["warned"]) for row in some)
        lines.append(f"| {name} | {some[0]['labels']} | {warned}/{n} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["measure", *seeds]:
            measure(int(seeds[0]) if seeds else SEEDS)
    sys.path.insert(0, str(Path(__file__).parent))
    import labelling

    page = ROOT / "docs" / "labelling.md"
    page.write_text(labelling.with_tables(page.read_text(), ROOT))
