"""No hidden label reaches a labeler: proof through the whole harness."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pytest

from harness.suite.catalog import discover
from tests.command_line import BLOCKS, PREAMBLE, answer, cells, harness, table, write_labelers, write_suite

RUN = ("run", "suite.yaml", "--threads", 1, "-j", 2)
HIDDEN = np.random.default_rng(3).permutation(240)[120:]  # the test rows of a prefix split with seed 3

# Cheap parameters of every bundled labeler.
PARAMETERS = {
    "majority": {},
    "prior": {},
    "source_prior": {"on": "origin"},
    "table_prior": {"on": "origin"},
    "knn": {"on": "embedding", "k": 7},
    "linear": {"on": "embedding"},
    "rescaled": {"on": "embedding", "how": "whiten", "dims": 4, "base": {"knn": {"on": "embedding"}}},
    "mlp": {"on": ["embedding", "text"], "epochs": 3, "hidden": 8, "validation": 0.0},
    "resnet": {"on": "embedding", "epochs": 2, "hidden": 8, "blocks": 1, "loss": "focal", "class_weight": True},
    "ordinal": {"on": "embedding", "epochs": 2, "hidden": 8, "blocks": 1},
    "tabm": {"on": ["embedding", "text"], "epochs": 2, "hidden": 8, "k": 3, "blocks": 2},
    "gbm": {"on": ["embedding", "text"], "rounds": 5},
    "sklearn": {"on": "embedding", "model": "sklearn.linear_model.LogisticRegression", "parameters": {"C": 0.5}},
    "forest": {"on": "embedding", "n_estimators": 5},
    "extra_trees": {"on": ["embedding", "text"], "n_estimators": 5},
    "hist_gbm": {"on": "text", "max_iter": 4},
    "label_spreading": {"on": "embedding", "pca": 4},
    "graph_propagation": {"on": "embedding"},
    "self_training": {"base": {"knn": {"on": "embedding", "k": 7}}, "rounds": 2, "threshold": 0.5},
    "cleanlab": {"base": {"knn": {"on": "embedding", "k": 7}}, "folds": 3},
    "simifeat": {"base": {"knn": {"on": "embedding", "k": 7}}, "on": "embedding", "cap": 0.9},
    "oversample": {"base": {"knn": {"on": "embedding", "k": 7}}},
    "balanced": {"base": {"knn": {"on": "embedding", "k": 7}}},
    "label_fusion": {"base": {"knn": {"on": "embedding", "k": 7}}, "how": "majority"},
    "ensemble": {"members": ["prior", {"knn": {"on": "embedding", "k": 7}}], "choose": "validation"},
    "greedy_ensemble": {"members": ["prior", {"knn": {"on": "embedding", "k": 7}}], "folds": 2, "rounds": 5},
    "decide": {"base": {"knn": {"on": "embedding", "k": 7}}, "rule": "median", "prior": "macro_f1", "folds": 2},
    "seeds": {"base": {"mlp": {"on": "text", "epochs": 2, "hidden": 4}}, "n": 2},
    "calibrated": {"base": {"knn": {"on": "embedding", "k": 7}}, "folds": 2},
}

# Of those that read the raters of the rows to label.
RATER_PARAMETERS = {
    "majority_vote": {},
    "dawid_skene": {"band": 1},
    "glad": {"max_iter": 5},
    "crowdlab": {"base": {"knn": {"on": ["embedding", "raters"], "k": 7}}},
    "label_fusion": {"base": {"knn": {"on": "raters", "k": 7}}},
}


def with_hidden_labels_permuted():
    y = np.array(table()["score"].to_pylist())
    y[HIDDEN] = np.random.default_rng(0).permutation(y[HIDDEN])
    return table().set_column(3, "score", pa.array(y, pa.int8()))


def test_every_bundled_labeler_is_tried():
    names = {entry.name for entry in discover().entries if entry.kind == "labelers"}
    assert names == PARAMETERS.keys() | RATER_PARAMETERS.keys(), "name cheap parameters of a new labeler above"


def rater_lines():
    """Return (row, rater, label) of noisy raters: each labelled some rows, test rows too."""
    rng, y = np.random.default_rng(5), np.array(table()["score"].to_pylist())
    rows, raters = np.nonzero(rng.random((len(y), 5)) < 0.6)
    labels = np.clip(y[rows] + rng.integers(-1, 2, len(rows)), 0, 5)
    lines = zip((rows + 1000).tolist(), raters.tolist(), labels.tolist(), strict=True)
    return "row,rater,label\n" + "".join(f"{row},ann {rater},{label}\n" for row, rater, label in lines)


@pytest.mark.parametrize(
    ("parameters", "raters", "more_blocks"),
    [
        (PARAMETERS, ["score"], {"origin": {"features": "one_hot", "columns": ["source"]}}),
        (RATER_PARAMETERS, {"path": "raters.csv", "on": "all"}, {"raters": {"features": "raters"}}),
    ],
    ids=["raters of labelled rows", "raters of all rows"],
)
def test_other_hidden_labels_change_no_byte_of_any_answer(tmp_path, parameters, raters, more_blocks):
    blocks = BLOCKS | {"text": {"features": "text_v1"}} | more_blocks
    labelers = [{name: of_labeler} for name, of_labeler in parameters.items()]
    (tmp_path / "raters.csv").write_text(rater_lines())
    data = {
        "path": "data.parquet",
        "id": "row_id",
        "text": "messages",
        "target": "score",
        "raters": raters,
        "classes": 6,
    }
    write_suite(tmp_path, labelers, blocks=blocks, data=data)
    assert harness(*RUN, "-o", "true", cwd=tmp_path).returncode == 0
    write_suite(tmp_path, labelers, with_hidden_labels_permuted(), blocks=blocks, data=data)
    assert harness(*RUN, "-o", "permuted", cwd=tmp_path).returncode == 0
    true, permuted = cells(tmp_path / "true"), cells(tmp_path / "permuted")
    assert true.keys() == permuted.keys()
    assert len(true) == len(parameters.keys() | {"majority"})
    for key in true:
        for what in ("proba", "labels"):
            one = answer(tmp_path / "true", true[key]["cell"], what)
            assert one == answer(tmp_path / "permuted", permuted[key]["cell"], what), key
    # The scores do change, so the labels were those of another file.
    one, other = ((tmp_path / out / "leaderboards/small/scores.parquet").read_bytes() for out in ("true", "permuted"))
    assert one != other


CHEATER = """
    import gc, hashlib, multiprocessing, sys, threading

    def fingerprint(values):
        return hashlib.sha256(np.ascontiguousarray(values, np.int64).tobytes()).hexdigest()

    def numbers(thing):
        "Read a thing as whole numbers, if it can be."
        try:
            if hasattr(thing, "to_numpy") and not isinstance(thing, type):
                thing = thing.to_numpy(zero_copy_only=False)
            if isinstance(thing, (bytes, bytearray, memoryview)):
                thing = np.frombuffer(thing, np.uint8)
            if not isinstance(thing, (np.ndarray, list, tuple)) or len(thing) < 100:
                return
            array = np.asarray(thing)
            if array.dtype.kind in "iufb":
                yield array.reshape(-1)
                yield from (array.T.reshape(-1),) if array.ndim > 1 else ()
        except Exception:
            return

    def reachable():
        yield from gc.get_objects()
        frame = sys._getframe()
        while frame is not None:
            yield from (*frame.f_locals.values(), *frame.f_globals.values())
            frame = frame.f_back
        for stack in sys._current_frames().values():
            while stack is not None:
                yield from stack.f_locals.values()
                stack = stack.f_back
        for module in list(sys.modules.values()):
            yield from list(vars(module).values())
        yield from os.environ.values()
        yield from sys.argv

    def inside(thing, depth, seen):
        "Follow what a thing holds, the parents of arrays included."
        if depth < 0 or id(thing) in seen:
            return
        seen[id(thing)] = thing
        yield thing
        held = gc.get_referents(thing)
        base = getattr(thing, "base", None) if isinstance(thing, np.ndarray) else None
        for part in (*held, *([] if base is None else [base])):
            yield from inside(part, depth - 1, seen)

    sys.setrecursionlimit(10_000)
    seen, found = {}, set()
    for root in (task, multiprocessing.current_process(), *reachable()):
        for thing in inside(root, 4 if root is task else 2, seen):
            for values in numbers(thing):
                for n in SIZES:
                    for start in range(len(values) - n + 1 if len(values) <= 2 * max(SIZES) else 1):
                        mark = fingerprint(values[start : start + n])
                        found |= {MARKS[mark]} if mark in MARKS else set()
    return Predictions(uniform(task), {"found": sorted(found), "looked_at": len(seen)})
    """


def test_a_cheater_that_looks_everywhere_finds_nothing(tmp_path):
    y = np.array(table()["score"].to_pylist())
    shown = np.setdiff1d(np.arange(len(y)), HIDDEN)

    def fingerprint(values):
        return hashlib.sha256(values.astype(np.int64).tobytes()).hexdigest()

    marks = {
        fingerprint(y): "all labels",
        fingerprint(y[np.sort(HIDDEN)]): "hidden labels in the order of rows",
        fingerprint(y[HIDDEN]): "hidden labels in the order of the split",
        fingerprint(y[shown]): "labels of the train rows",
    }
    assert len(marks) == 4
    file = write_labelers(tmp_path / "plugin.py", cheater=CHEATER)
    constants = f"MARKS = {marks!r}\nSIZES = (120, 240)\n\n\ndef uniform"
    file.write_text(file.read_text().replace("def uniform", constants, 1))
    write_suite(tmp_path, ["cheater"])
    result = harness(*RUN, "--plugin", "plugin.py", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    key = cells(tmp_path)["cheater", 3, 0.5]["cell"]
    facts = json.loads((tmp_path / "runs/small/cells" / key / "cell.json").read_text())["facts"]
    assert facts["looked_at"] > 10_000
    assert facts["found"] == ["labels of the train rows"], "it can find labels, and finds those it was given alone"


PEEKERS = f"""{PREAMBLE}

@dataclass(frozen=True)
class Peek:
    name: ClassVar[str] = "peek"
    column: str = "score"

    def features(self, items):
        return np.array(items.values(self.column).to_pylist(), float)[:, None], ("peek",)


@dataclass(frozen=True)
class PeekToo:
    name: ClassVar[str] = "peek_too"

    def embed(self, items, start):
        for batch in items.batches("score", start):
            yield np.array(batch.to_pylist(), float)[:, None]


@hookimpl
def harness_features():
    return [Peek]


@hookimpl
def harness_embedders():
    return [PeekToo]
"""


@pytest.mark.parametrize(
    "block",
    [{"features": "peek"}, {"embedder": "peek_too"}, {"features": "one_hot", "columns": ["source", "score"]}],
    ids=["feature set", "embedder", "one_hot"],
)
def test_no_block_is_made_of_the_target(tmp_path, block):
    (tmp_path / "plugin.py").write_text(PEEKERS)
    write_suite(tmp_path, [{"knn": {"on": "peek"}}], blocks={"peek": block})
    result = harness(*RUN, "--plugin", "plugin.py", cwd=tmp_path)
    assert result.returncode == 2
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "block 'peek': " in last
    assert "column 'score' may not be used as an input: the target is made of it" in last
    assert "Traceback" not in result.stderr
    assert not list((tmp_path / "runs" / "small").glob("cells/*"))


def test_a_fused_target_hides_every_column_it_is_made_of(tmp_path):
    (tmp_path / "plugin.py").write_text(PEEKERS)
    data = table().append_column("other", table()["score"])
    fused = {"fuse": "median", "of": ["score", "other"]}
    section = {"path": "data.parquet", "target": fused, "classes": 6}
    write_suite(
        tmp_path,
        [{"knn": {"on": "peek"}}],
        data,
        data=section,
        blocks={"peek": {"features": "peek", "column": "other"}},
    )
    result = harness(*RUN, "--plugin", "plugin.py", cwd=tmp_path)
    assert result.returncode == 2
    assert "column 'other' may not be used as an input: the target is made of it" in result.stderr
