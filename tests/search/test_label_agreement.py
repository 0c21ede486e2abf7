"""Label agreement against counting by hand, a loop, and scikit-learn."""

import csv
import json
import os
import pty

import numpy as np
import pyarrow as pa
import pytest

from harness import Block
from harness.errors import DataError
from harness.search.label_agreement import diagnose
from tests.command_line import COMMAND, events, harness, table, vectors, write_suite

pytestmark = pytest.mark.slow


def look(X, y, k, rows=None, copies=None, sources=None, kind="embedding"):
    rows = np.arange(len(X)) if rows is None else np.asarray(rows)
    copies = rows if copies is None else np.asarray(copies)
    block = Block(np.asarray(X, np.float32), kind)
    return diagnose(block, rows, np.asarray(y)[: len(rows)], copies, sources, k, lambda done: None)


def numbers(groups):
    return {(g.kind, g.name): (g.rows, g.cosine, g.match, g.chance, g.lift) for g in groups}


def test_a_case_counted_by_hand():
    """Five rows on a circle, at 0 to 180 degrees, with two neighbours cosines."""
    angle = np.radians([0, 10, 30, 90, 180])
    groups = look(np.stack([np.cos(angle), np.sin(angle)], 1), [0, 0, 1, 1, 1], 2, sources=np.array(list("aabbb")))
    measured = numbers(groups)
    # Nearest two: of 0: 10, 30. Of 10: 0, 30. Of 30: 10, 0. Of 90: 30, 10. Of 180: 90, 30.
    cos = {d: np.cos(np.radians(d)) for d in (10, 20, 30, 60, 80, 90, 150)}
    cosines = [cos[10] + cos[30], cos[10] + cos[20], cos[20] + cos[30], cos[60] + cos[80], cos[90] + cos[150]]
    match = [0.5, 0.5, 0, 0.5, 1]
    expected = {
        ("all", ""): (5, np.sum(cosines) / 10, 0.5, 0.4**2 + 0.6**2),
        ("class", "0"): (2, sum(cosines[:2]) / 4, 0.5, 0.4),
        ("class", "1"): (3, sum(cosines[2:]) / 6, np.mean(match[2:]), 0.6),
        ("source", "a"): (2, sum(cosines[:2]) / 4, 0.5, 0.4),
        ("source", "b"): (3, sum(cosines[2:]) / 6, np.mean(match[2:]), 0.6),
    }
    assert list(measured) == list(expected), "all, then classes, then sources"
    for key, figures in expected.items():
        np.testing.assert_allclose(measured[key], (*figures, figures[2] / figures[3]), atol=1e-6, err_msg=str(key))


@pytest.mark.parametrize("kind", ["embedding", "feature"])
def test_a_plain_loop_finds_the_same(kind):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 300)
    X = vectors(y, d=12) * rng.lognormal(size=12).astype(np.float32) + 1
    rows = np.sort(rng.permutation(300)[:260])
    sources = np.array(["one", "two", "three"])[rng.integers(0, 3, 260)]
    labels = y[rows]
    block = Block(X, kind)
    measured = numbers(diagnose(block, rows, labels, rows, sources, 9, lambda done: None))
    Z = X[rows].astype(np.float64)
    if kind == "feature":
        Z = (Z - Z.mean(0)) / Z.std(0)
    Z /= np.linalg.norm(Z, axis=1, keepdims=True)
    cosine, match = [], []
    for i in range(260):
        near = sorted((j for j in range(260) if j != i), key=lambda j: -float(Z[i] @ Z[j]))[:9]
        cosine.append(np.mean([Z[i] @ Z[j] for j in near]))
        match.append(np.mean([labels[j] == labels[i] for j in near]))
    share = [np.mean(labels == c) for c in range(4)]
    masks = {("all", ""): np.ones(260, bool)}
    masks |= {("class", str(c)): labels == c for c in range(4)}
    masks |= {("source", s): sources == s for s in ("one", "three", "two")}
    assert list(measured) == list(masks)
    for key, mask in masks.items():
        means = [np.mean(np.array(values)[mask]) for values in (cosine, match, np.array(share)[labels])]
        np.testing.assert_allclose(
            measured[key], (mask.sum(), *means, means[1] / means[2]), rtol=1e-5, err_msg=str(key)
        )


def test_scikit_learn_finds_the_same():
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(1)
    y = rng.integers(0, 6, 2_500)
    X = vectors(y, d=32)
    done = []
    everything = np.arange(2_500)
    groups = diagnose(Block(X, "embedding"), everything, y, everything, None, 50, done.append)
    distance, index = NearestNeighbors(n_neighbors=50, metric="cosine").fit(X).kneighbors()  # each without itself
    assert numbers(groups)["all", ""][1:4] == pytest.approx(
        (1 - distance.mean(), (y[index] == y[:, None]).mean(), ((np.bincount(y) / 2_500) ** 2).sum()), rel=1e-5
    )
    assert done[-1] == 2_500
    assert done == sorted(done)


def test_labels_that_have_nothing_to_do_with_the_vectors_have_a_lift_of_one():
    rng = np.random.default_rng(2)
    y = rng.choice(3, 4_000, p=[0.6, 0.3, 0.1])
    (overall, *_) = look(rng.normal(size=(4_000, 8)), y, 50)
    assert overall.lift == pytest.approx(1, abs=0.02)


def test_a_row_is_no_neighbour_of_its_copies():
    """Each row has two copies; the nearest other row is at 60 degrees."""
    angle = np.radians([0, 0, 0, 60, 60, 60])
    X = np.stack([np.cos(angle), np.sin(angle)], 1)
    (overall, *_) = look(X, [0, 0, 0, 1, 1, 1], 2, copies=[4, 4, 4, 9, 9, 9])
    assert (overall.cosine, overall.match) == (pytest.approx(0.5), 0)
    (overall, *_) = look(X, [0, 0, 0, 1, 1, 1], 2)
    assert (overall.cosine, overall.match) == (pytest.approx(1), 1), "equal vectors of different rows are neighbours"


def test_k_is_cut_to_the_rows_there_are():
    measured = numbers(look([[1, 0], [0, 1], [1, 1]], [0, 1, 1], 50))
    root = np.sqrt(0.5)
    assert measured["all", ""] == pytest.approx((3, 2 * root / 3, 1 / 3, 5 / 9, 0.6))
    with pytest.raises(DataError, match="two different rows with a label, there is 1"):
        look([[1, 0], [1, 0]], [0, 1], 1, copies=[3, 3])


# The command.


@pytest.fixture(scope="module")
def diagnosed(tmp_path_factory):
    """Return a diagnosed suite of 240 rows, 40 unlabelled, and the output."""
    folder = tmp_path_factory.mktemp("diagnosed")
    blocks = {"embedding": {"embedder": "column", "column": "embeddings"}, "text": {"features": "text_v1"}}
    data = {"path": "data.parquet", "text": "messages", "target": "score", "source": "source", "classes": 6}
    write_suite(folder, ["majority"], table(unlabelled=40), blocks=blocks, data=data)
    return folder, harness("diagnose", "suite.yaml", "--json", "--k", 7, "-o", "out", cwd=folder)


def test_the_command_prints_the_agreement_of_the_vectors(diagnosed):
    folder, result = diagnosed
    assert result.returncode == 0, result.stderr
    neighborhoods = events(result)
    assert {e["event"] for e in neighborhoods} == {"neighborhood"}
    assert {e["simulated"] for e in neighborhoods} == {False}
    assert {(e["block"], e["kind"], e["group"]) for e in neighborhoods} == {
        (block, *group)
        for block in ("embedding", "text")
        for group in [("all", "")]
        + [("class", str(c)) for c in range(6)]
        + [("source", s) for s in ("dolly", "flan", "oasst")]
    }
    labelled = table(unlabelled=40)[:200]
    X = np.array(labelled["embeddings"].to_pylist(), np.float64)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    S = X @ X.T
    np.fill_diagonal(S, -np.inf)
    y = labelled["score"].to_numpy()
    near = np.argsort(-S, axis=1)[:, :7]
    overall = next(e for e in neighborhoods if (e["block"], e["kind"]) == ("embedding", "all"))
    assert (overall["rows"], overall["k"]) == (200, 7)
    assert overall["cosine"] == pytest.approx(np.take_along_axis(S, near, 1).mean(), abs=2e-6)
    assert overall["match"] == pytest.approx((y[near] == y[:, None]).mean(), abs=1e-6)
    assert overall["chance"] == pytest.approx(((np.bincount(y) / 200) ** 2).sum(), abs=1e-6)
    assert overall["lift"] == pytest.approx(overall["match"] / overall["chance"], abs=1e-5)
    with (folder / "out/leaderboards/small/diagnosis.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["block"], row["kind"], row["group"], float(row["match"])) for row in rows] == [
        (e["block"], e["kind"], e["group"], e["match"]) for e in neighborhoods
    ]
    assert [path.name for path in (folder / "out/leaderboards/small").iterdir()] == ["diagnosis.csv"]


def test_a_forced_engine_prints_the_same(diagnosed):
    folder, result = diagnosed
    again = harness("diagnose", "suite.yaml", "--json", "--k", 7, "--engine", "int8", "-o", "out", cwd=folder)
    assert (again.returncode, again.stdout) == (0, result.stdout)


def test_people_get_a_table_and_blocks_are_made_once(diagnosed):
    folder, _ = diagnosed
    result = harness("diagnose", "suite.yaml", "--block", "text", "--rows", 50, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("small, block text (text_v1): 49 nearest among 50 labelled rows\n")
    rows = [line.split()[1] for line in result.stdout.splitlines() if line.startswith("|")]
    assert rows[2:] == ["all"] + 6 * ["class"] + 3 * ["source"]
    assert "making block text (text_v1)\n" in result.stderr
    assert not (folder / "leaderboards").exists(), "without -o nothing but the cache is written"
    again = harness("diagnose", "suite.yaml", "--block", "text", "--rows", 50, cwd=folder)
    assert (again.stdout, again.stderr) == (result.stdout, "")


def test_there_is_a_bar_on_a_terminal(diagnosed):
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(diagnosed[0])
        os.execvpe(COMMAND[0], [*COMMAND, "diagnose", "suite.yaml", "-o", "out"], os.environ | {"TERM": "xterm"})
    parts = []
    while True:
        try:
            parts.append(os.read(terminal, 65536))
        except OSError:
            break
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0
    assert "neighbours in embedding" in b"".join(parts).decode()
    assert "200/200" in b"".join(parts).decode()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--block", "txt"), "suite.yaml: no block is called 'txt'; did you mean 'text'?"),
        (("--k", "0"), "--k"),
        (("--rows", "1"), "--rows"),
        (("--engine", "fais"), "error: --engine fais: there is no such engine; did you mean 'faiss'?"),
    ],
)
def test_a_mistake_is_refused(diagnosed, arguments, message):
    result = harness("diagnose", "suite.yaml", *arguments, cwd=diagnosed[0])
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr


def test_a_suite_without_blocks_and_one_without_labels_are_refused(tmp_path):
    write_suite(tmp_path, ["majority"], blocks=None)
    result = harness("diagnose", "suite.yaml", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (2, "error: suite.yaml: has no blocks to diagnose\n")
    late = table().set_column(3, "score", pa.array([None] * 200 + [1, 2] * 20, pa.int8()))
    write_suite(tmp_path, ["majority"], late)
    result = harness("diagnose", "suite.yaml", "--rows", 150, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("error: a diagnosis needs two different rows with a label")


def test_simulated_data_are_headed_so(tmp_path):
    data = {"path": "twin:tulu_300k:300", "target": "gpt_scores", "classes": 6}
    file = write_suite(tmp_path, ["majority"], data=data)
    assert json.loads(file.read_text())["data"] == data
    result = harness("diagnose", "suite.yaml", "-o", ".", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("SIMULATED DATA: ")
    with (tmp_path / "leaderboards/small/diagnosis.csv").open(newline="") as written:
        assert {row["simulated"] for row in csv.DictReader(written)} == {"True"}
