"""Every cheat of the zoo has the outcome that the table, and so the page, has for it."""

import runpy
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.audit.leakage import describe_leaks, find_leaking_columns, sample_labelled
from harness.audit.probe import AGAIN, BASE, PERMUTED, QUESTIONS, SHUFFLES, ProbeAnswer, make_bench, subsample
from harness.audit.verdict import beats_majority, judge_labeler
from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.data.section import Data
from harness.data.table import open_table
from harness.plugin.block import Block
from harness.plugin.protocols import Split
from harness.testing.examples import example
from tests.audit.zoo import CHEATS
from tests.audit.zoo import data as zoo_data
from tests.audit.zoo.cheat import LEAK, UNSEEN, WARNING
from tests.audit.zoo.data import CLASSES, DATA
from tests.audit.zoo.labelers import FILE, HONEST, LABELERS
from tests.audit.zoo.suite import PLUGIN, SUITE, SUITE_BLOCKS, SUITE_LABELERS
from tests.command_line import BLOCKS, events, harness, table, write_suite

ROOT = Path(__file__).parents[2]


def open_rows(columns, folder):
    pq.write_table(pa.table(columns), folder / "data.parquet")
    return open_table("data.parquet", (folder,), folder / "cache", "error", None)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """The bench and the hidden labels: 400 rows to learn from, 400 to label, 200 spare."""
    folder = tmp_path_factory.mktemp("bench")
    task, truth = example(("text",), 400, 600, 6, 0)
    rng = np.random.default_rng(0)
    truth = np.where(rng.random(len(truth)) < 0.4, rng.permutation(truth), truth)
    dataset = load_dataset(Data("data.parquet", "a", 6), Population(), open_rows({"a": truth}, folder))
    test, spare = np.sort(task.to_label[:400]), np.sort(np.concatenate([task.to_label[400:], task.spare]))
    split = subsample(Split(np.sort(task.labelled), test, np.empty(0, np.int64), 0), spare, None, None, None)
    FILE.update(y=truth, vectors=np.asarray(task.blocks["text"].array))
    return make_bench(dataset, split, {"text": task.blocks["text"]}, folder), truth[split.test]


def answer(labeler, task):
    proba = np.asarray(labeler.label(task))
    return ProbeAnswer("ok", "", proba.astype(np.float32), proba.tobytes().hex())


def judge(labeler, bench, truth):
    """Put the questions to a labeler as the audit does, without its workers."""
    answers = {question: answer(labeler, bench.task(question, ("text",))) for question in QUESTIONS}
    if answers[BASE].digest != answers[PERMUTED].digest:
        answers[AGAIN] = answer(labeler, bench.task(AGAIN, ("text",)))
    if beats_majority(answers["shuffled 1"], truth):
        more = [f"shuffled {number}" for number in range(2, SHUFFLES + 1)]
        answers |= {question: answer(labeler, bench.task(question, ("text",))) for question in more}
    return judge_labeler(labeler, answers, truth)


@pytest.mark.parametrize("cheat", LABELERS, ids=lambda cheat: cheat.name)
def test_labelers_in_this_process(cheat, bench):
    finding = judge(cheat.plant, *bench)
    if cheat.expected == UNSEEN:
        assert finding.judgement == "clean", finding.reasons
        task = bench[0].task(BASE, ("text",))
        assert answer(cheat.plant, task).digest != answer(HONEST, task).digest, "it must do what it says"
    else:
        assert finding.judgement == cheat.expected, finding.reasons
        assert any(cheat.reason in reason for reason in finding.reasons), finding.reasons


def leaks(world, folder):
    sections = {"text": "talk", "source": "source", "group": "group", "id": "id", "raters": ("y", "other")}
    data = Data("data.parquet", "y", CLASSES, **sections)
    dataset = load_dataset(data, Population(), open_rows(world.columns, folder))
    sample, blocks = sample_labelled(dataset), {"x": Block(world.X, "embedding", world.names)}
    return list(describe_leaks(find_leaking_columns(dataset, sample, blocks, ("", "other"), None), sample))


@pytest.mark.parametrize("cheat", DATA, ids=lambda cheat: cheat.name)
def test_data(cheat, tmp_path):
    world = zoo_data.honest()
    cheat.plant(world)
    sentences = leaks(world, tmp_path)
    if cheat.expected == UNSEEN:
        assert sentences == []
    else:
        assert any(cheat.reason in sentence for sentence in sentences), sentences


def test_the_world_that_all_data_disfigure_is_honest(tmp_path):
    assert leaks(zoo_data.honest(), tmp_path) == []


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """The events of one audit of a suite with the cheats that need processes of their own."""
    folder = tmp_path_factory.mktemp("audited")
    rng = np.random.default_rng(3)
    order = rng.permutation(240)  # the split of seed 3
    train, test = order[:120], order[120:]
    rows = table()
    turns = [[{"role": "user", "content": f"Why {rng.integers(10**9)}?"}] for _ in range(240)]
    vectors = np.array(rows["embeddings"].to_pylist())
    for a, b in zip(test[:4], train[:4], strict=True):
        turns[a] = turns[b]
    score = np.array(rows["score"].to_pylist())
    centres = np.eye(16)[:6] * 6
    day = rng.permutation(240)
    vectors += np.where((day >= 192)[:, None], centres[(score + 3) % 6], centres[score])
    for a, b in zip(test[10:14], train[10:14], strict=True):
        vectors[a] = vectors[b] + 1e-3
    columns = {"messages": turns, "embeddings": pa.array(list(vectors.astype(np.float32))), "day": day}
    rows = pa.table({name: rows[name] for name in rows.column_names} | columns)
    (folder / "zoo.py").write_text(PLUGIN.replace("{path!r}", repr(str(folder / "data.parquet"))))
    blocks = BLOCKS | {cheat.name: {cheat.kind: cheat.name} for cheat in SUITE_BLOCKS}
    np.save(folder / "array.npy", vectors)
    blocks |= {"array": {"embedder": "npy", "path": "array.npy", "order": "same"}, "far": {"embedder": "elsewhere"}}
    labelers = [*(cheat.name for cheat in SUITE_LABELERS), {"knn": {"on": "embedding", "k": 5}}]
    section = {"path": "data.parquet", "id": "row_id", "text": "messages", "target": "score", "classes": 6}
    write_suite(folder, labelers, rows, blocks=blocks, data=section | {"time": "day"})
    result = harness("audit", "suite.yaml", "--plugin", "zoo.py", "--threads", 1, "-j", 2, "--json", cwd=folder)
    assert result.returncode == 3, result.stderr
    return events(result)


@pytest.mark.slow
@pytest.mark.parametrize("cheat", SUITE, ids=lambda cheat: cheat.name)
def test_what_needs_processes_of_its_own(cheat, audited):
    if cheat in SUITE_LABELERS:
        (verdict,) = (e for e in audited if e["event"] == "verdict" and e["labeler"] == cheat.name)
        outcomes = [(verdict["verdict"], reason) for reason in verdict["reasons"]]
        judgement = verdict["verdict"]
    else:
        remarks = [(e["kind"], e["text"]) for e in audited if e["event"] == "remark"]
        outcomes = [r for r in remarks if cheat not in SUITE_BLOCKS or f"({cheat.name})" in r[1]]
        judgement = "clean" if not outcomes else ""
    if cheat.expected == UNSEEN:
        assert judgement == "clean" or not [kind for kind, _ in outcomes if kind != "note"]
    else:
        assert any(kind == cheat.expected and cheat.reason in text for kind, text in outcomes), outcomes


def test_of_honest_makers_no_more_is_said_than_cannot_be_checked(audited):
    remarks = [(e["kind"], e["text"]) for e in audited if e["event"] == "remark"]
    assert not [text for _, text in remarks if "(column)" in text]
    assert [r for r in remarks if "(npy)" in r[1] or "(elsewhere)" in r[1]] == [
        (
            "note",
            "block array (npy) goes by the row number for 240 of 240 rows: it reads another file, "
            "and what that file was made from cannot be checked",
        ),
        (
            "note",
            "block far (elsewhere) was not checked for hidden labels: block 'far': the model is not there",
        ),
    ]


def test_the_zoo_is_large_and_its_names_differ():
    names = [cheat.name for cheat in CHEATS]
    assert len(names) == len(set(names)) >= 40
    assert {cheat.kind for cheat in CHEATS} == {"labeler", "embedder", "features", "data"}
    assert {cheat.expected for cheat in CHEATS} == {LEAK, WARNING, UNSEEN}


def test_the_page_has_the_table_of_today():
    page = (ROOT / "docs" / "audit.md").read_text()
    script = runpy.run_path(str(ROOT / "docs" / "scripts" / "zoo.py"))
    assert script["with_table"](page) == page, "run python docs/scripts/zoo.py"
    assert all(f"`{cheat.name}`" in page for cheat in CHEATS)
