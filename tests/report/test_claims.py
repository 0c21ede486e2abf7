"""Sentences on ranks: of few rows, of one leader and of several."""

from types import SimpleNamespace

from harness.report.claims import leader_sentence, rank_claims


def leaderboard(leading, rows=3, enough=True, seeds=3, overlap=0.4, ranks=("1", "2", "3")):
    """Return a leaderboard, its first `leading` labelers the leading group."""
    listed = [
        SimpleNamespace(
            title=f"l{i}",
            rank=ranks[i],
            standing=SimpleNamespace(leading=i < leading, value=0.5 - i / 100, chosen=None),
        )
        for i in range(rows)
    ]
    evidence = SimpleNamespace(unit="rows", why="", classes=None, overlap=overlap, titles=[row.title for row in listed])
    standings = SimpleNamespace(
        evidence=evidence,
        pairs=[None] * 3,
        has_enough_rows=enough,
        by_title={row.title: row.standing for row in listed},
        detectable=0.01,
        planned=0.005,
        seeds=seeds,
        untested="one seed" if seeds == 1 else None,
    )
    leaders = listed[:leading] or [row for row in listed if row.rank in ("1", "1=")]
    return SimpleNamespace(rows=listed, standings=standings, leaders=leaders)


def test_few_rows_claim_nothing():
    (line,) = rank_claims(leaderboard(0, enough=False), "012345")
    assert line == "Fewer than 30 test rows: the labelers cannot be told apart."


def test_ranks_name_the_pairs_and_the_leading_group():
    ranks, detectable, intervals = rank_claims(leaderboard(2), "012345")
    assert "`•` marks the leading group, which no labeler beats significantly. 3 pairs on the same test rows" in ranks
    assert detectable.startswith("Smallest detectable difference: 0.0100 among all pairs, 0.0050 for one pair")
    assert intervals.endswith(
        "over the draw of the test rows and of the 3 seeds: two seeds share 40% of their train rows."
    )
    ranks, _, _ = rank_claims(leaderboard(0), "012345")
    assert "leading group" not in ranks


def test_seeds_that_share_their_train_rows_claim_nothing_of_others():
    *_, intervals = rank_claims(leaderboard(2, overlap=0.95), "012345")
    assert "and of the 3 seeds" not in intervals
    assert "two seeds share 95% of their train rows, so that nothing is claimed of other train sets" in intervals


def test_one_seed_ranks_nothing():
    ranks, intervals = rank_claims(leaderboard(0, seeds=1, overlap=None), "012345")
    assert ranks == "one seed: ranks are not tested; the labelers stand in the order of their numbers"
    assert intervals.endswith("of the test rows alone: another seed would change more, and how much is not measured.")


def test_the_first_sentence_claims_no_more_than_the_ranks():
    assert leader_sentence(leaderboard(1), "H") == "H: l0 (0.5000) is ahead of all others."
    assert leader_sentence(leaderboard(2), "H") == "H: l0 (0.5000), l1 (0.4900) lead, and cannot be told apart."
    many = leader_sentence(leaderboard(5, rows=6, ranks=["1-6"] * 6), "H")
    assert many == "H: l0 (0.5000), l1 (0.4900), l2 (0.4800) and 2 more lead, and cannot be told apart."
    assert leader_sentence(leaderboard(0), "H") == "H: first by number l0 (0.5000); nothing is claimed."
    assert leader_sentence(leaderboard(0, ranks=["1-3"] * 3), "H") == "H: the labelers cannot be told apart."
