"""The simulated pool: exact where it copies, plausible where it invents."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from harness.data import twin
from harness.errors import HarnessError
from harness.run.runner import Options, prepare_run
from harness.suite.suite import load_suite

ROWS = 9_000  # more than one chunk


SOURCES = np.array([0, 0, 0, 1, 2, 3, 4])  # of the stretches


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("twin") / "twin.parquet"
    twin.write(path, ROWS)
    return pq.read_table(path)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same twin with its second embedding."""
    path = tmp_path_factory.mktemp("twin") / "both.parquet"
    twin.write(path, ROWS, skywork=True)
    return pq.read_table(path)


def array(table, column):
    return table[column].combine_chunks().flatten().to_numpy().reshape(len(table), -1)


@pytest.fixture(scope="module")
def vectors(table):
    return array(table, "embeddings")


def neighbours(vectors, queries, k=50):
    """Return (queries, k) similarities and rows of the nearest, unsorted."""
    similarity = vectors[queries] @ vectors.T
    similarity[np.arange(len(queries)), queries] = -1
    nearest = np.argpartition(-similarity, k, axis=1)[:, :k]
    return np.take_along_axis(similarity, nearest, 1), nearest


def ridge(X, y, train, test):
    """Return the correlation of a ridge regression's answers and the truth."""
    A = X[train] - X[train].mean(axis=0)
    weight = np.linalg.solve(A.T @ A + 3 * np.eye(X.shape[1]), A.T @ (y[train] - y[train].mean()))
    return np.corrcoef(X[test] @ weight, y[test])[0, 1]


def source_shares():
    counts = np.zeros((5, 6, 6, 6), int)
    np.add.at(counts, SOURCES, twin.shares())
    return counts


def test_blocks_of_the_whole_pool_start_where_the_record_says():
    assert np.cumsum([0, *twin.block_sizes(twin.POOL)]).tolist() == [0, 100_000, 133_919, 233_919, 248_930, 300_932]


@given(st.integers(1, twin.POOL))
def test_blocks_are_proportional(rows):
    sizes = np.array(twin.block_sizes(rows))
    assert sizes.sum() == rows
    exact = np.array([100_000, 33_919, 100_000, 15_011, 52_002]) * rows / 300_932
    assert sizes.min() >= (rows >= 5)
    if rows >= 50:  # below, a source may have been lifted to its one row
        assert np.abs(sizes - exact).max() < 1


@pytest.mark.parametrize("rows", [1, 5, 200])
def test_rows_stand_in_source_blocks(tmp_path, rows):
    twin.write(tmp_path / "t.parquet", rows)
    table = pq.read_table(tmp_path / "t.parquet")
    names = ["flan_v2", "oasst1", "wizardlm", "dolly", "stanford_alpaca"]
    expected = [name for name, size in zip(names, twin.block_sizes(rows), strict=True) for _ in range(size)]
    assert table["source"].to_pylist() == expected
    assert table["id"].to_pylist() == list(range(rows))


def test_the_file_is_marked_as_simulated(table):
    assert table.schema.metadata[b"simulated"] == b"twin:tulu_300k"


def test_table_of_shares_agrees_with_the_record():
    counts = source_shares()
    assert counts.sum(axis=(1, 2, 3)).tolist() == twin.block_sizes(twin.POOL)
    by_class = counts.sum(axis=(0, 2, 3)) / twin.POOL
    assert (100 * by_class).round(2).tolist() == [6.19, 14.75, 28.62, 29.23, 19.93, 1.27]
    first = twin.shares()[0]  # the record's agreement rates are of the first 30,000 rows
    gpt, llama, mistral = np.indices((6, 6, 6))
    same = [gpt == llama, gpt == mistral, (gpt == llama) & (gpt == mistral)]
    some = (gpt == llama) | (gpt == mistral) | (llama == mistral)
    rates = [first[which].sum() / 30_000 for which in [*same, some]]
    assert rates == pytest.approx([0.2827, 0.3363, 0.1059, 0.6946], abs=5e-5)
    half = twin.shares()[:2].sum(axis=(0, 2, 3)) / 50_000  # what two rows share by chance, of the first 50,000 rows
    assert (half**2).sum() == pytest.approx(0.2915, abs=5e-5)


def test_table_of_shares_is_the_count_of_the_real_scores(scores):
    counts = np.zeros((7, 6, 6, 6), int)
    columns = [scores[name].to_pylist() for name in ("source", "gpt_scores", "llama_scores", "mistral_scores")]
    stretch_of = {name: 2 + number for number, name in enumerate(twin.BLOCKS)}
    for row, (source, *labels) in enumerate(zip(*columns, strict=True)):
        stretch = 0 if row < 30_000 else 1 if row < 50_000 else stretch_of[source]
        counts[(stretch, *labels)] += 1
    np.testing.assert_array_equal(twin.shares(), counts)


def test_whole_pool_has_exactly_the_scores_of_the_table():
    source, scores = twin._scores(twin.POOL, np.random.default_rng(7))
    counts = np.zeros((5, 6, 6, 6), int)
    np.add.at(counts, (source, *scores.T), 1)
    np.testing.assert_array_equal(counts, source_shares())
    wizardlm = scores[133_919:233_919, 0]
    halves = [np.bincount(half, minlength=6) / 50_000 for half in np.split(wizardlm, 2)]
    np.testing.assert_allclose(*halves, atol=0.015)  # shuffled within the source, not sorted


def test_first_rows_of_the_pool_have_the_classes_of_the_real_ones(scores):
    """The record uses the first 30,000 rows, and 50,000 for its diagnosis."""
    real = np.array(scores["gpt_scores"])
    _, drawn = twin._scores(twin.POOL, np.random.default_rng(7))
    for rows in (30_000, 50_000, 100_000):
        assert np.bincount(drawn[:rows, 0]).tolist() == np.bincount(real[:rows]).tolist()
    # The record's test rows at 10 %: the level is right, the draw is another.
    test = np.random.default_rng(3).permutation(30_000)[3_000:]
    supports = np.bincount(drawn[test, 0], minlength=6)
    np.testing.assert_allclose(supports, [1701, 4848, 10204, 8622, 1612, 13], atol=60)


def test_a_smaller_flan_drifts_alike():
    _, drawn = twin._scores(30_000, np.random.default_rng(0))
    flan = drawn[: twin.block_sizes(30_000)[0], 0]
    early, late = np.split(flan, [round(0.3 * len(flan))])
    assert (early == 4).mean() == pytest.approx(0.0599, abs=0.012)  # of the real first 30,000 rows
    assert (late == 4).mean() == pytest.approx(0.0914, abs=0.012)  # of the real rows from 30,000 to 99,999


def test_part_of_the_pool_is_a_sample_of_the_table(table):
    """Classes and agreements of raters in each source, to 4.5 standard errors."""
    source, gpt = np.array(table["source"]), np.array(table["gpt_scores"])
    llama, mistral = np.array(table["llama_scores"]), np.array(table["mistral_scores"])
    a, b, c = np.indices((6, 6, 6))
    for block, counts in zip(twin.BLOCKS, source_shares(), strict=True):
        in_block = source == block
        checks = [(gpt == k, a == k) for k in range(6)] + [(llama == k, b == k) for k in range(6)]
        checks += [(mistral == k, c == k) for k in range(6)]
        checks += [(gpt == llama, a == b), (gpt == mistral, a == c), (llama == mistral, b == c)]
        for rows, cells in checks:
            expected = counts[cells].sum() / counts.sum()
            error = np.sqrt(expected * (1 - expected) / in_block.sum())
            assert abs(rows[in_block].mean() - expected) <= 4.5 * error + 1 / in_block.sum()


def test_same_arguments_same_values_other_seed_other_values(table, tmp_path):
    twin.write(tmp_path / "again.parquet", ROWS, seed=0)
    assert pq.read_table(tmp_path / "again.parquet").equals(table)
    twin.write(tmp_path / "other.parquet", 50, seed=1)
    twin.write(tmp_path / "small.parquet", 50)
    other, small = pq.read_table(tmp_path / "other.parquet"), pq.read_table(tmp_path / "small.parquet")
    for column in ("gpt_scores", "messages", "embeddings"):
        assert not other[column].equals(small[column])


@pytest.mark.slow
def test_the_second_embedding_changes_no_other_column(table, both):
    assert table.column_names == both.column_names[:-1]
    assert both.column_names[-1] == "embeddings_skywork"
    assert both.drop_columns(["embeddings_skywork"]).equals(table)
    assert both.schema.metadata == table.schema.metadata


@pytest.mark.slow
def test_the_second_embedding_is_the_same_on_every_run(both, tmp_path):
    twin.write(tmp_path / "again.parquet", ROWS, skywork=True)
    again = pq.read_table(tmp_path / "again.parquet", columns=["embeddings_skywork"])
    assert again["embeddings_skywork"].equals(both["embeddings_skywork"])


@pytest.mark.parametrize(
    ("blocks", "columns"),
    [
        ("{bge: {embedder: column, column: embeddings}}", 7),
        ("{sky: {embedder: column, column: embeddings_skywork}}", 8),
        ("{who: {features: one_hot, columns: [source]}}", 7),
    ],
)
def test_a_suite_has_the_second_embedding_where_a_block_names_it(catalog, tmp_path, blocks, columns):
    ready = made_ready(catalog, tmp_path, blocks)
    assert len(ready.dataset.table.columns) == columns


def test_both_kinds_of_twin_are_kept_and_share_their_cells(catalog, tmp_path):
    bge = "{embedder: column, column: embeddings}"
    without = made_ready(catalog, tmp_path, f"{{bge: {bge}}}")
    having = made_ready(catalog, tmp_path, f"{{bge: {bge}, sky: {{embedder: column, column: embeddings_skywork}}}}")
    assert without.dataset.table.path != having.dataset.table.path
    assert len(list((tmp_path / "runs" / "cache" / "twin").glob("*.parquet"))) == 2
    knn = [{cell.key for cell in run.cells if cell.candidate.title == "knn(on=bge)"} for run in (without, having)]
    assert len(knn[0]) == 1
    assert knn[0] == knn[1]
    assert without.recipes["bge"].key == having.recipes["bge"].key
    # ... while another size is another table
    smaller = made_ready(catalog, tmp_path, f"{{bge: {bge}}}", rows=200)
    assert smaller.recipes["bge"].key != without.recipes["bge"].key


def made_ready(catalog, folder, blocks, rows=300):
    suite = f"""
version: 1
name: s
data: {{path: "twin:tulu_300k:{rows}", target: gpt_scores, classes: 6}}
blocks: {blocks}
splits: [{{splitter: prefix, ratios: [0.1], seeds: [3]}}]
labelers: [{{knn: {{on: {blocks[1:4]}}}}}]
"""
    (folder / "s.yaml").write_text(suite)
    loaded = load_suite(folder / "s.yaml", catalog)
    return prepare_run(loaded, catalog, Options(output=folder, threads=1), lambda _: None)


@pytest.mark.parametrize("rows", [0, -3, twin.POOL + 1])
def test_rows_out_of_range_are_refused_in_one_line(tmp_path, rows):
    with pytest.raises(HarnessError, match=rf"1 to 300932 rows, asked for {rows}$"):
        twin.write(tmp_path / "t.parquet", rows)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("column", "width"), [("embeddings", 1024), ("embeddings_skywork", 4096)])
def test_embeddings_are_float32_of_unit_length(both, column, width):
    vectors = array(both, column)
    assert vectors.dtype == np.float32
    assert vectors.shape == (ROWS, width)
    np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float64), axis=1), 1, atol=1e-5)


def test_neighbours_share_topics_far_more_than_labels(table, vectors):
    y, queries = np.array(table["gpt_scores"]), np.random.default_rng(0).permutation(ROWS)[:1_500]
    similarity, nearest = neighbours(vectors, queries)
    match = (y[nearest] == y[queries, None]).mean()
    chance = ((np.bincount(y) / ROWS) ** 2).sum()
    assert 1.2 * chance < match < 2 * chance
    assert 0.7 < similarity.mean() < 0.8
    assert (vectors[queries] @ vectors.T).mean() < 0.65


@pytest.mark.slow
def test_the_second_embedding_is_the_stronger_one(both):
    """Neighbours share more labels, and a ridge regression is better."""
    y, queries = np.array(both["gpt_scores"]), np.arange(0, ROWS, 2)
    first, second = array(both, "embeddings"), array(both, "embeddings_skywork")
    matches = [(y[neighbours(X, queries, 10)[1]] == y[queries, None]).mean() for X in (first, second)]
    assert matches[1] > matches[0] + 0.01
    assert matches[1] < 0.5


def test_quality_shows_in_the_embedding_within_every_source(table, vectors):
    """A ridge regression is better than chance, and far from perfect."""
    source, gpt = np.array(table["source"]), np.array(table["gpt_scores"], float)
    for block in ("flan_v2", "wizardlm", "stanford_alpaca"):
        rows = np.flatnonzero(source == block)
        assert 0.2 < ridge(vectors, gpt, rows[::2], rows[1::2]) < 0.8


def test_conversations_alternate_and_say_something(table):
    source, conversations = table["source"].to_pylist(), table["messages"].to_pylist()
    for conversation in conversations:
        assert len(conversation) % 2 == 0
        assert [turn["role"] for turn in conversation] == ["user", "assistant"] * (len(conversation) // 2)
        assert all(turn["content"] and turn["content"] == turn["content"].lstrip() for turn in conversation)
    assert {name for name, turns in zip(source, conversations, strict=True) if len(turns) > 2} == {"oasst1", "wizardlm"}
    lengths = [sum(len(turn["content"]) for turn in turns) for turns in conversations]
    assert 400 < np.mean(lengths) < 2_000
    assert np.mean(lengths) > 1.3 * np.median(lengths)  # heavy-tailed


def test_quality_shows_in_the_answer_but_not_all_of_it(table):
    source, gpt = np.array(table["source"]), np.array(table["gpt_scores"])
    answers = [
        "".join(t["content"] for t in turns if t["role"] == "assistant") for turns in table["messages"].to_pylist()
    ]
    length = np.array([len(answer) for answer in answers])
    for block in twin.BLOCKS:
        in_block = source == block
        assert 0.4 < spearmanr(length[in_block], gpt[in_block]).statistic < 0.85
    wizardlm = source == "wizardlm"
    for mark in ("\n- ", "## ", "```"):  # devices are commoner in better answers of the same source
        uses = np.array([mark in answer for answer in answers])
        assert uses[wizardlm & (gpt >= 4)].mean() > uses[wizardlm & (gpt <= 2)].mean() > 0
    word_length = np.array([np.mean([len(word) for word in answer.split()]) for answer in answers])
    # Better answers use rarer, longer words.
    assert 0.2 < spearmanr(word_length[wizardlm], gpt[wizardlm]).statistic < 0.8
