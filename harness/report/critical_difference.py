"""The critical difference diagram: mean ranks, and who is not separated.

As Demšar 2006 draws it; a bar joins labelers of which no two are separated.
"""

from collections.abc import Iterator, Sequence
from html import escape

from harness.report.names import shorten
from harness.report.svg import STYLE, SVG
from harness.statistics.ranking import Ranking, cliques

WIDTH, MARGIN, LINE, BAR_GAP = 760, 250, 20, 9  # pixels; names stand in the margins
TOP, NAME_WIDTH, MAX_TICKS = 46, 36, 12


def draw_critical_difference(ranking: Ranking, labelers: Sequence[str], title: str) -> str:
    """Return the diagram as SVG with colours for light and dark."""
    order, mean_rank = ranking.order, ranking.mean_rank
    names = shorten(labelers, NAME_WIDTH)
    runs = cliques(ranking)
    m = len(labelers)
    places = [_x(float(mean_rank[i]), m) for i in order]
    below = TOP + 12 + BAR_GAP * len(runs)
    n_left = (m + 1) // 2
    height = below + LINE * n_left + 10
    titles = [f"{labelers[i]} {mean_rank[i]:.2f}" for i in order]
    groups = "; ".join(f"{labelers[order[first]]} to {labelers[order[last]]}" for first, last in runs)
    text = f"Mean ranks: {', '.join(titles)}. Not separated: {groups or 'none'}."
    parts = [
        f'<svg xmlns="{SVG}" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-labelledby="title text" font-family="DejaVu Sans, sans-serif" font-size="12">',
        f'<title id="title">{_text(title)}</title><desc id="text">{_text(text)}</desc><style>{STYLE}</style>',
        f'<text x="{WIDTH / 2:.0f}" y="14" text-anchor="middle" fill="currentColor">mean rank (1 is the best)</text>',
        *_axis(m),
    ]
    for i, (first, last) in enumerate(runs):
        y = TOP + 8 + BAR_GAP * i
        ends = f'x1="{places[first] - 4:.1f}" x2="{places[last] + 4:.1f}" y1="{y}" y2="{y}"'
        parts.append(f'<line {ends} stroke="currentColor" stroke-width="4"/>')
    for i, (place, labeler) in enumerate(zip(places, order, strict=True)):
        is_left = i < n_left
        y = below + LINE * (i if is_left else m - 1 - i) + 10
        x, anchor = (MARGIN - 8, "end") if is_left else (WIDTH - MARGIN + 8, "start")
        parts.append(
            f'<path d="M{place:.1f} {TOP}V{y}H{x}" fill="none" stroke="currentColor"/><text '
            f'x="{x + (-4 if is_left else 4)}" y="{y + 4}" text-anchor="{anchor}" fill="currentColor">'
            f"{_text(names[labelers[labeler]])}<title>{_text(titles[i])}</title></text>"
        )
    return "\n".join([*parts, "</svg>\n"])


def _x(rank: float, m: int) -> float:
    return MARGIN + (rank - 1) / (m - 1) * (WIDTH - 2 * MARGIN)


def _axis(m: int) -> Iterator[str]:
    yield f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{TOP}" y2="{TOP}" stroke="currentColor"/>'
    step = -(-(m - 1) // (MAX_TICKS - 1))
    for rank in range(1, m + 1, step):
        x = _x(rank, m)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{TOP}" stroke="currentColor"/>'
        yield f'<text x="{x:.1f}" y="{TOP - 11}" text-anchor="middle" fill="currentColor">{rank}</text>'


def _text(text: str) -> str:
    return escape("".join(c if c.isprintable() else " " for c in text))
