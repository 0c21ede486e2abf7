"""Plain sentences on what the ranks of a comparison claim."""

from collections.abc import Iterator, Sequence

from harness.report.leaderboard_tables import LEADER_MARK
from harness.report.markdown import number
from harness.scoring.leaderboard import DECIMALS, Leaderboard
from harness.scoring.standings import Standings
from harness.statistics.significance import MIN_UNITS

MAX_NAMED_LEADERS = 3  # the others are counted
MAX_OVERLAP = 0.9  # share of train rows that two seeds share, above which they say nothing of other train sets


def rank_claims(leaderboard: Leaderboard, classes: Sequence[str]) -> Iterator[str]:
    """Yield what the ranks of a comparison claim and what they do not.

    `classes` are the names of the classes.
    """
    standings = leaderboard.standings
    if standings is None or not standings.pairs:
        if standings is not None and standings.evidence.why and len(standings.evidence.titles) > 1:
            yield f"Ranks are by the numbers alone: {standings.evidence.why}."
        return
    unit = standings.evidence.unit
    if not standings.has_enough_rows:
        yield f"Fewer than {MIN_UNITS} test {unit}: the labelers cannot be told apart."
        return
    if standings.untested is not None:
        yield f"{standings.untested}: ranks are not tested; the labelers stand in the order of their numbers"
    else:
        yield from _tested(standings)
    yield _interval_claim(standings)
    if any(standing.chosen for standing in standings.by_title.values()):
        yield (
            "Best of settings: the best setting of a method was chosen on these rows. Its number when chosen on other "
            "rows is what its interval is for."
        )
    if standings.evidence.classes is not None:
        ranked = ", ".join(classes[c] for c in standings.evidence.classes)
        yield f"Macro-F1 is ranked, and its intervals and differences taken, over the classes {ranked} alone."


def _tested(standings: Standings) -> Iterator[str]:
    unit = standings.evidence.unit
    has_leaders = any(standing.leading for standing in standings.by_title.values())
    leading = f"; `{LEADER_MARK}` marks the leading group, which no labeler beats significantly" if has_leaders else ""
    yield (
        "Ranks are intervals: from 1 + the number of labelers that are significantly better, to the number of ranked "
        f"labelers - those that are significantly worse{leading}. {len(standings.pairs):,} "
        f"pair{'s' if len(standings.pairs) > 1 else ''} on the same test {unit}; the chance of any false separation is "
        "at most 5 % (Holm)."
    )
    yield (
        f"Smallest detectable difference: {number(standings.detectable)} among all pairs, {number(standings.planned)} "
        "for one pair that is the only question (found in four of five such runs)."
    )


def _interval_claim(standings: Standings) -> str:
    """Return what the intervals are over, and how alike the train sets are."""
    unit, overlap = standings.evidence.unit, standings.evidence.overlap
    subject = f"Each 95 % interval is for its own value alone, over the draw of the test {unit}"
    if standings.seeds == 1 or overlap is None:
        return f"{subject} alone: another seed would change more, and how much is not measured."
    shared = f"two seeds share {overlap:.0%} of their train rows"
    if overlap > MAX_OVERLAP:
        return f"{subject}: {shared}, so that nothing is claimed of other train sets."
    return f"{subject} and of the {standings.seeds} seeds: {shared}."


def leader_sentence(leaderboard: Leaderboard, heading: str) -> str:
    """Return who leads, as far as that is claimed; "" without standings."""
    leaders = leaderboard.leaders
    if not leaders:
        return f"{heading}: the labelers cannot be told apart." if leaderboard.standings else ""
    values = ["" if row.standing is None else f"{row.standing.value:.{DECIMALS}f}" for row in leaders]
    named = [f"{row.title} ({value})" for row, value in zip(leaders, values, strict=True)][:MAX_NAMED_LEADERS]
    more = f" and {len(leaders) - len(named)} more" if len(leaders) > len(named) else ""
    names = ", ".join(named) + more
    if not any(row.standing and row.standing.leading for row in leaders):
        return f"{heading}: first by number {names}; nothing is claimed."
    if len(leaders) == 1:
        return f"{heading}: {names} is ahead of all others."
    return f"{heading}: {names} lead, and cannot be told apart."
