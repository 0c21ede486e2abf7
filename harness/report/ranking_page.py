"""The page over boards of several data sets, and its tables."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from harness.report.critical_difference import draw_critical_difference
from harness.report.data_set_ranking import SEEDS_FOR_ERRORS, DataSetRanking
from harness.report.leaderboard_folder import write_files
from harness.report.leaderboard_page import SIMULATED_NOTE
from harness.report.leaderboard_tables import LEADER_MARK
from harness.report.markdown import escape, format_table, sentence
from harness.report.tables import Column, Estimate, IntervalCell, Table, to_csv_files, to_markdown
from harness.statistics.metrics import LOWER_IS_BETTER
from harness.statistics.ranking import friedman_test
from harness.statistics.signed_rank import data_sets_needed, least_p
from harness.statistics.significance import ALPHA, pairs_of

PLOT = "critical_difference.svg"


def write_ranking(ranked: DataSetRanking, folder: Path, command: str) -> Path:
    """Write README.md, its plot and its tables; return the page."""
    tables = [ranking_table(ranked), value_table(ranked), pair_table(ranked)]
    title = f"Critical difference over {len(ranked.boards)} data sets"
    plot = draw_critical_difference(ranked.ranking, ranked.labelers, _heading(title, ranked))
    write_files(folder, to_csv_files(tables) | {PLOT: plot, "README.md": markdown(ranked, folder, command)})
    return folder / "README.md"


def markdown(ranked: DataSetRanking, folder: Path, command: str) -> str:
    """Return the page for a folder; `command` makes it again."""
    parts = [f"# Ranking over {len(ranked.boards)} data sets"]
    parts += [f"> **{SIMULATED_NOTE}**"] if ranked.is_simulated else []
    parts += [f"> **{sentence(verdict(ranked))}**", to_markdown(ranking_table(ranked))]
    parts += ["\n".join(f"- {claim}" for claim in claims(ranked))]
    parts += [f"![Critical difference: bars join labelers that are not separated]({PLOT})"]
    parts += [f"## {ranked.metric_name} on each data set", to_markdown(value_table(ranked), ("Labeler",))]
    parts += ["## The data sets", _boards(ranked, folder)]
    if ranked.incomplete:
        note = (
            "They are not ranked: a mean over the data sets that a labeler happens to have would compare unequal tasks."
        )
        parts += ["## Labelers that lack a data set", note, to_markdown(incomplete_table(ranked), ("Labeler", "Lacks"))]
    parts += ["## Run it again", f"```\n{command}\n```", "Every pair is in `pairs.csv`. Nothing was trained."]
    return "\n\n".join(parts) + "\n"


def verdict(ranked: DataSetRanking) -> str:
    """Return how many pairs are separated, or could be by more data sets."""
    n, pairs = len(ranked.boards), len(ranked.ranking.p)
    count = f"{pairs} pair{'s' * (pairs > 1)}"
    least = pairs * least_p(n)
    if least >= ALPHA:
        return (
            f"Nothing can be separated: over {n} data sets the least p of the signed-rank test is {least_p(n):.3g}, of "
            f"{count} {min(least, 1):.3g} after Holm. It takes {data_sets_needed(pairs, ALPHA)} data sets."
        )
    separated = int(ranked.ranking.separated.sum())
    if not separated:
        return f"The labelers cannot be told apart: of {count} over {n} data sets none is separated."
    leaders = [ranked.labelers[i] for i in ranked.ranking.order if _leads(ranked, i)]
    lead = f"{leaders[0]} leads" if len(leaders) == 1 else f"{len(leaders)} labelers lead, not told apart"
    return f"{separated} of {count} {'is' if separated == 1 else 'are'} separated over {n} data sets; {lead}."


def claims(ranked: DataSetRanking) -> Iterator[str]:
    """Yield what the numbers mean, and what they leave out."""
    yield (
        "Ranks are intervals: from 1 + the number of labelers that are significantly better, to the number of labelers "
        f"- those that are significantly worse; `{LEADER_MARK}` marks those that no labeler beats significantly, where "
        "any pair is separated. Pairs are compared by Wilcoxon's signed-rank test, exact, one difference a data set; "
        "the chance of any false separation is at most 5 % (Holm)."
    )
    friedman = friedman_test(ranked.ranking.ranks)
    if friedman is not None:
        statistic, p = friedman
        yield f"All alike? Friedman's chi-squared is {statistic:.2f}, p = {p:.3g}; a rough p where data sets are few."
    yield (
        "Mean rank and win rate with 95 % intervals: over the draw of the data sets and, within each, of its test rows "
        "and seeds. Every data set counts once. The win rate is the mean share of the other labelers that one is "
        "better than."
    )
    few = [ranked_board.board.name for ranked_board in ranked.boards if ranked_board.seeds < SEEDS_FOR_ERRORS]
    if few:
        yield f"Fewer than {SEEDS_FOR_ERRORS} seeds, so errors of the test rows alone: {', '.join(map(escape, few))}."
    unknown = [ranked_board.board.name for ranked_board in ranked.boards if not ranked_board.has_errors]
    if unknown:
        yield f"No error is known within, so the order there counts as exact: {', '.join(map(escape, unknown))}."
    if ranked.related:
        names = ", ".join(map(escape, ranked.related))
        yield f"Of one file, and so no independent data sets: {names}. The test takes them for independent."


def ranking_table(ranked: DataSetRanking) -> Table:
    """Return the labelers by mean rank."""
    ranking = ranked.ranking
    rows = tuple(
        (
            _rank(ranked, i),
            ranked.labelers[i],
            Estimate(float(ranking.mean_rank[i]), IntervalCell(*map(float, ranking.interval[i]))),
            Estimate(float(ranking.win_rate[i]), IntervalCell(*map(float, ranking.win_rate_interval[i]))),
            int((ranking.ranks[:, i] == ranking.ranks.min(axis=1)).sum()),
            int(ranking.ranks[:, i].max()),
        )
        for i in ranking.order
    )
    names = (Column("Rank"), Column("Labeler"), Column("Mean rank ↓", 2), Column("Win rate ↑", 2))
    return Table("ranking", "Ranking", (*names, Column("Best on"), Column("Worst rank")), rows)


def value_table(ranked: DataSetRanking) -> Table:
    """Return every labeler's metric on every data set."""
    columns = [Column(ranked_board.board.name) for ranked_board in ranked.boards]
    rows = tuple((ranked.labelers[i], *map(float, ranked.values[:, i])) for i in ranked.ranking.order)
    arrow = "↓" if ranked.metric in LOWER_IS_BETTER else "↑"
    return Table("values", f"{ranked.metric_name} {arrow}", (Column("Labeler"), *columns), rows)


def pair_table(ranked: DataSetRanking) -> Table:
    """Return every pair: on how many data sets the first is better, and p."""
    ranking, n = ranked.ranking, len(ranked.boards)
    firsts, seconds = pairs_of(len(ranked.labelers))
    columns = (ranking.won, ranking.tied, n - ranking.won - ranking.tied, ranking.p, ranking.adjusted)
    rows = tuple(
        (ranked.labelers[a], ranked.labelers[b], *numbers, str(bool(apart)))
        for a, b, apart, *numbers in zip(
            firsts, seconds, ranking.separated, *map(np.ndarray.tolist, columns), strict=True
        )
    )
    names = ("Labeler_a", "Labeler_b", "Won", "Tied", "Lost", "p", "p_Holm", "Separated")
    return Table("pairs", "Pairs", tuple(map(Column, names)), rows)


def incomplete_table(ranked: DataSetRanking) -> Table:
    """Return the labelers without a rank on some board, and on which."""
    rows = tuple((name, ", ".join(missing)) for name, missing in ranked.incomplete.items())
    return Table("", "Labelers that lack a data set", (Column("Labeler"), Column("Lacks")), rows)


def _rank(ranked: DataSetRanking, i: int) -> str:
    low, high = ranked.ranking.places[i]
    return f"{low}" + (f"-{high}" if high > low else "") + (f" {LEADER_MARK}" if _leads(ranked, i) else "")


def _leads(ranked: DataSetRanking, i: int) -> bool:
    return bool(ranked.ranking.separated.any() and ranked.ranking.places[i, 0] == 1)


def _heading(text: str, ranked: DataSetRanking) -> str:
    return f"SIMULATED DATA: {text}" if ranked.is_simulated else text


def _boards(ranked: DataSetRanking, folder: Path) -> str:
    header = ["Board", "Data", "Population", "Target", "Comparison"]
    rows: list[Sequence[str]] = []
    for ranked_board in ranked.boards:
        board, record = ranked_board.board, ranked_board.board.record
        is_beside = board.folder.resolve().parent == folder.resolve().parent
        name = escape(board.name)
        link = f"[{name}](../{board.name}/README.md)" if is_beside else name
        facts = (
            board.facts.get("Data", record.get("data", "")),
            record.get("population", ""),
            record.get("target", ""),
        )
        rows.append([link, *(escape(str(fact)) for fact in facts), escape(ranked_board.comparison)])
    return format_table(header, [list(row) for row in rows], header)
