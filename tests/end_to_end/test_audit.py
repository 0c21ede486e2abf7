"""`harness audit`: leaks in labelers and data, the board, exit codes."""

import csv
import json

import numpy as np
import pyarrow as pa
import pytest

from harness.report.page_consistency import read_leaderboards
from tests.command_line import BLOCKS, board, events, harness, ranks, table, write_labelers, write_suite

READS = """
    import pyarrow.parquet as pq
    y = np.array(pq.read_table({path!r})["score"].to_pylist())
    return np.eye(task.n_classes)[y[task.to_label]]
"""
SCALES = """
    X, X_pool = task.matrix("embedding")
    both = np.concatenate([X, X_pool])
    middle = both.mean(axis=0)
    nearest = ((X_pool - middle) @ (X - middle).T).argmax(axis=1)
    return np.eye(task.n_classes)[task.y[nearest]]
"""
AUDIT = ("audit", "suite.yaml", "--plugin", "plugin.py", "--threads", 1, "-j", 2)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A folder with a suite of honest and leaking labelers, run and audited."""
    folder = tmp_path_factory.mktemp("planted")
    reads = READS.format(path=str(folder / "data.parquet"))
    declared = f"ReadsLabeler.reads = ({str(folder)!r},)\n"  # else its worker may not open the file
    file = write_labelers(
        folder / "plugin.py", reads=reads, scales=SCALES, declared=SCALES, unfit="raise NotApplicable('no')"
    )
    file.write_text(file.read_text() + "\n\nDeclaredLabeler.transductive = True\n" + declared)
    section = {"path": "data.parquet", "id": "row_id", "text": "messages", "target": "score", "classes": 6}
    section |= {"source": "source", "raters": ["score", "other"]}
    rows = table()
    other = np.minimum(np.array(rows["score"].to_pylist()) + 1, 5)
    splits = [{"splitter": "nested", "test": 0.5, "ratios": [0.25], "seeds": [1, 2]}]
    labelers = [{"knn": {"on": "embedding", "k": 7}}, "reads", "scales", "declared", "unfit"]
    write_suite(folder, labelers, rows.append_column("other", pa.array(other)), data=section, splits=splits)
    assert harness("run", *AUDIT[1:], cwd=folder).returncode == 0
    before = board(folder), ranks(folder)
    return folder, before, harness(*AUDIT, "--json", cwd=folder)


def test_each_planted_leak_is_found_and_no_honest_labeler(planted):
    _, _, result = planted
    assert result.returncode == 3, result.stderr
    verdicts = {e["labeler"]: e for e in events(result) if e["event"] == "verdict"}
    assert {labeler: event["verdict"] for labeler, event in verdicts.items()} == {
        "majority": "clean",
        "knn(on=embedding, k=7)": "clean",
        "reads": "leak",
        "scales": "leak",
        "declared": "transductive",
    }  # and nothing of the labeler that is not made for the task
    assert verdicts["reads"]["reasons"][0].startswith(
        "knows hidden labels: trained on shuffled labels it is right on 100.0%"
    )
    assert verdicts["scales"]["reasons"][0].startswith("fitted on rows it must only label")


def test_a_leak_is_off_the_ranking_and_the_board_gives_the_reason(planted):
    folder, (_, ranked), _ = planted
    assert ranked["reads"] == "1"
    now = ranks(folder)
    assert (now["reads"], now["scales"]) == ("–", "–")
    assert {now["knn(on=embedding, k=7)"][0], now["declared"][0]} & {"1"}  # alone, or first of an interval
    page = board(folder)["README.md"].decode()
    assert "- reads: leak: knows hidden labels: trained on shuffled labels" in page
    column = {rest["Labeler"]: rest["Audit"] for _, _, rest in read_leaderboards(page)}
    assert (column["reads"], column["declared"], column["majority"], column["unfit"]) == (
        "leak",
        "transductive",
        "clean",
        "–",
    )


def test_the_page_has_every_check_and_the_numbers_are_those_of_a_plain_computation(planted):
    folder, _, _ = planted
    page = (folder / "leaderboards/small/audit.md").read_text()
    for heading in (
        "## The data",
        "## The labelers",
        "### Other raters as truth",
        "### One source left out of the test rows",
    ):
        assert f"\n{heading}\n" in page
    with (folder / "leaderboards/small/audit.csv").open(newline="") as file:
        rows = {(row["check"], row["labeler"], row["what"]): row["value"] for row in csv.DictReader(file)}
    y = np.array(table()["score"].to_pylist())
    runs = json.loads((folder / "runs/small/audit.json").read_text())
    keys = next(verdict["keys"] for verdict in runs["verdicts"] if verdict["title"] == "reads")
    labels = [np.load(folder / "runs/small/cells" / key / "labels.npy") for key in keys]
    assert len(labels) == 2
    assert float(rows["Other raters as truth", "reads", "the target"]) == 1.0
    truth = labels[0].astype(int)  # it reads the truth, so its labels are the hidden ones
    assert len(truth) == len(y) // 2
    assert float(rows["Other raters as truth", "reads", "other"]) == (np.minimum(truth + 1, 5) == truth).mean()
    assert float(rows["Seeds and checkpoints", "majority", "flip rate"]) in (0.0, 1.0)
    assert float(rows["Seeds and checkpoints", "reads", "flip rate"]) == 0.0
    assert float(rows["shown", "", "same row"]) == 0.0


def test_a_second_audit_writes_the_same_bytes_and_another_code_has_no_verdict(planted):
    folder, _, _ = planted
    first = {
        name: (folder / "leaderboards/small" / name).read_bytes() for name in ("audit.md", "audit.csv", "README.md")
    }
    assert harness(*AUDIT, cwd=folder).returncode == 3
    assert {name: (folder / "leaderboards/small" / name).read_bytes() for name in first} == first
    assert not (folder / "runs/small/audit").exists()
    plugin = folder / "plugin.py"
    plugin.write_text(plugin.read_text() + "\n# changed\n")
    assert harness("run", *AUDIT[1:], cwd=folder).returncode == 0
    assert ranks(folder)["reads"] == "1", "a verdict holds for the code that was looked at"
    assert "| Audit |" in board(folder)["README.md"].decode(), "the verdicts on the others still hold"


def plain_turns(rows):
    """Return the turns of each row with answers of no length that the score decides."""
    prompts = [turns[0] for turns in rows["messages"].to_pylist()]
    return [[prompt, {"role": "assistant", "content": f"Answer {i}."}] for i, prompt in enumerate(prompts)]


def remarks(folder, *more):
    result = harness("audit", "suite.yaml", "--threads", 1, "--json", *more, cwd=folder)
    return result.returncode, [(e["kind"], e["text"]) for e in events(result) if e["event"] == "remark"]


def test_oversampling_before_the_split_fails_the_audit(tmp_path):
    write_suite(tmp_path, ["majority"], population={"take": "oversampled", "per_class": 60}, blocks=None)
    code, leaks = remarks(tmp_path, "--full")
    assert code == 3
    assert leaks[0] == ("leak", "the population is oversampled: its rows are repeated before the split")
    assert any(
        kind == "leak" and text.endswith("are rows of the file that stand among the train rows too")
        for kind, text in leaks
    )


def test_what_both_sides_share_is_counted_one_by_one(tmp_path):
    rows = table()
    order = np.random.default_rng(3).permutation(240)
    train, test = order[:120], order[120:]
    turns, vectors = plain_turns(rows), rows["embeddings"].to_pylist()
    turns[test[0]] = turns[train[0]]  # the same text, and so the same prompt
    turns[test[1]] = [turns[train[1]][0], {"role": "assistant", "content": "Another answer."}]
    vectors[test[2]] = (np.array(vectors[train[2]]) + 1e-3).tolist()
    rows = rows.set_column(1, "messages", [turns])
    rows = rows.set_column(4, "embeddings", pa.array(vectors, pa.list_(pa.float32())).cast(rows["embeddings"].type))
    blocks = BLOCKS | {"svd": {"embedder": "hashing_svd", "dim": 4}}
    write_suite(tmp_path, [{"knn": {"on": ["embedding", "svd"], "k": 3}}], rows, blocks=blocks)
    assert harness("run", "suite.yaml", "--threads", 1, cwd=tmp_path).returncode == 0
    code, warnings = remarks(tmp_path, "--full")
    assert code == 0, "so few duplicates are a note or a warning"
    warnings = [(kind, text) for kind, text in warnings if not text.endswith("in svd")]  # of 4 numbers many are near
    split = "prefix, 50 % labelled, seed 3"
    assert warnings == [
        ("note", f"{split}: 1 of 120 test rows (0.83%) have the text of a train row"),
        ("warning", f"{split}: 2 of 120 test rows (1.67%) have the prompt of a train row, with its answer or another"),
        ("note", f"{split}: 1 of 120 test rows (0.83%) have a train row with a cosine above 0.98 in embedding"),
        ("note", "block svd (hashing_svd) is fitted on the texts of all rows, test rows included"),
    ]
    page = (tmp_path / "leaderboards/small/audit.md").read_text()
    assert "without same prompt (n=118)" in page


def test_many_equal_texts_and_a_text_as_long_as_its_label_are_leaks(tmp_path):
    order = np.random.default_rng(3).permutation(240)
    train, test = order[:120], order[120:]
    rows = table()
    turns = rows["messages"].to_pylist()  # the answer is the longer the higher the score
    for a, b in zip(test[:3], train[:3], strict=True):
        turns[a] = turns[b]
    write_suite(tmp_path, ["majority"], rows.set_column(1, "messages", [turns]), blocks=None)
    code, found = remarks(tmp_path)
    assert code == 3
    leaks = [text for kind, text in found if kind == "leak"]
    assert leaks[0] == "prefix, 50 % labelled, seed 3: 3 of 120 test rows (2.50%) have the text of a train row"
    assert leaks[1].startswith("the characters of the last turn predicts the label by itself: right on ")
