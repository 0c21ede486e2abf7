"""Plots as SVG, the same bytes for the same values. Each has a title and a description for those who cannot see it, a
text beside every point, and takes the colour of the text around it, so that it fits a light and a dark page."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from xml.etree import ElementTree

from harness.errors import printable
from harness.report.svg_minifier import minify

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a67c00", "#3fa7dd", "#8c6bb1", "#808080")  # seen by most eyes
MARKERS = "osD^vPX*"
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)))
INK_COLOUR = "#010203"  # becomes the colour of the text around
MAX_NAME_LENGTH = 44  # letters of a labeler's name in a legend
STYLE = "svg{color:#1f2328;background:#fff}@media(prefers-color-scheme:dark){svg{color:#e6edf3;background:#0d1117}}"
SVG = "http://www.w3.org/2000/svg"


@dataclass(frozen=True)
class Series:
    """One line: its points and, where there is one, the band around it."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    sd: tuple[float | None, ...] = ()
    texts: tuple[str, ...] = ()  # one for each point


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    log: bool = False  # the x axis
    diagonal: bool = False
    level: float | None = None  # a horizontal line
    share: bool = False  # y lies between 0 and 1, and so does its band


@dataclass(frozen=True)
class Figure:
    """Panels under one title. `names` is every labeler of the page in one order, so that each keeps its colour."""

    name: str
    title: str
    text: str  # the description
    panels: tuple[Panel, ...]
    names: tuple[str, ...]


def draw_svg(figure: Figure, simulated: bool, standalone: bool = True) -> str:
    """Draw a figure; alone it brings its colours for light and dark, else it has those of the page it stands in."""
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    fixed: Any = {
        "svg.hashsalt": figure.name,
        "text.parse_math": False,
        "svg.fonttype": "none",
        "font.family": "DejaVu Sans",
        "font.size": 9,
    }
    inked = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color")
    bare = {"axes.facecolor": "none", "axes.spines.top": False, "axes.spines.right": False, "grid.alpha": 0.15}
    with matplotlib.rc_context(fixed | dict.fromkeys(inked, INK_COLOUR) | bare), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter that the font lacks is drawn by the reader's own
        rows = -(-len(figure.panels) // 3)
        columns = min(len(figure.panels), 3)
        names = [name for name in figure.names if any(s.name == name for p in figure.panels for s in p.series)]
        height = 2.6 * rows + 0.2 * -(-len(names) // 2) + 0.3
        canvas = Canvas(figsize=(max(3.0 * columns, 6.0), height), layout="constrained", facecolor="none")
        axes = canvas.subplots(rows, columns, squeeze=False).ravel()
        for place, (panel, ax) in enumerate(zip(figure.panels, axes, strict=False)):
            _draw(panel, ax, figure.names, place)
        for ax in axes[len(figure.panels) :]:
            ax.set_axis_off()
        _legend(canvas, names, figure.names)
        written = BytesIO()
        canvas.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return _finish(written.getvalue(), figure, simulated, standalone)


def _draw(panel: Panel, ax: Any, names: Sequence[str], place: int) -> None:
    ax.set_title(panel.title, fontsize=9, loc="left")
    ax.set_xlabel(panel.x)
    ax.set_ylabel(panel.y)
    ax.grid(True)
    if panel.log:
        _log_axis(ax, sorted({x for series in panel.series for x in series.x}))
    if panel.diagonal:
        ax.plot([0, 1], [0, 1], color=INK_COLOUR, alpha=0.4, linewidth=0.8)
    if panel.level is not None:
        ax.axhline(panel.level, color=INK_COLOUR, alpha=0.4, linewidth=0.8, linestyle=(0, (4, 3)))
    for series in panel.series:
        look = _line_style(names.index(series.name))
        (line,) = ax.plot(series.x, series.y, linewidth=1.4, markersize=4, **look)
        line.set_gid(f"s{place}-{names.index(series.name)}")
        if any(series.sd):
            low, high = zip(*(_band(panel, y, sd or 0) for y, sd in zip(series.y, series.sd, strict=True)), strict=True)
            band = ax.fill_between(series.x, low, high, color=look["color"], alpha=0.15, linewidth=0)
            band.set_gid(f"b{place}-{names.index(series.name)}")


def _band(panel: Panel, y: float, sd: float) -> tuple[float, float]:
    return (max(y - sd, 0.0), min(y + sd, 1.0)) if panel.share else (y - sd, y + sd)


def _log_axis(ax: Any, ticks: list[float]) -> None:
    ax.set_xscale("log")
    ax.minorticks_off()
    apart = [ticks[-1]]  # labels that would touch are left out, never the last
    for tick in reversed(ticks[:-1]):
        if apart[-1] > tick * (ticks[-1] / ticks[0]) ** 0.16:
            apart.append(tick)
    ax.set_xticks(apart, [f"{tick:,.0f}" for tick in apart])


def _line_style(index: int) -> dict[str, Any]:
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": DASHES[index // len(COLOURS) % len(DASHES)],
    }


def _legend(canvas: Any, names: list[str], order: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], markersize=4, linewidth=1.4, **_line_style(order.index(name))) for name in names]
    # matplotlib leaves a name out that begins with an underscore.
    legend = canvas.legend(
        handles, [f"{i}" for i in range(len(names))], loc="outside lower left", ncols=2, frameon=False
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(shorten(name))


def shorten(name: str) -> str:
    """Return a name as one line that fits a legend."""
    flat = " ".join(printable(name).split())
    return flat if len(flat) <= MAX_NAME_LENGTH else f"{flat[: MAX_NAME_LENGTH - 3]}..."


def _finish(drawn: bytes, figure: Figure, simulated: bool, standalone: bool) -> str:
    """Make the SVG small and fit to stand beside others: ids of its own, texts, colours that follow the page."""
    ElementTree.register_namespace("", SVG)
    root = ElementTree.fromstring(drawn)
    for element in root.iter():
        if INK_COLOUR in (look := element.get("style", "")):
            element.set("style", look.replace(INK_COLOUR, "currentColor"))
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)
    _add_texts(root, figure)
    minify(root, "" if standalone else f"{figure.name}-")
    title, text = ElementTree.Element(f"{{{SVG}}}title"), ElementTree.Element(f"{{{SVG}}}desc")
    title.text = ("SIMULATED DATA: " if simulated else "") + printable(figure.title)
    text.text = printable(figure.text)
    title.set("id", f"{figure.name}-title")
    text.set("id", f"{figure.name}-text")
    root.set("role", "img")
    root.set("aria-labelledby", f"{figure.name}-title {figure.name}-text")
    head = [title, text]
    if standalone:
        style = ElementTree.Element(f"{{{SVG}}}style")
        style.text = STYLE
        head.append(style)
    for place, element in enumerate(head):
        root.insert(place, element)
    return ElementTree.tostring(root, encoding="unicode").replace(" />", "/>") + "\n"


def _add_texts(root: ElementTree.Element, figure: Figure) -> None:
    """Put beside every marker the text of its point, which browsers show on hover, and name every line."""
    groups = {group.get("id"): group for group in root.iter(f"{{{SVG}}}g")}
    for place, panel in enumerate(figure.panels):
        for series in panel.series:
            index = figure.names.index(series.name)
            for part in ("s", "b"):
                if f"{part}{place}-{index}" in groups:
                    groups[f"{part}{place}-{index}"].set("data-labeler", printable(series.name))
            marks = list(groups[f"s{place}-{index}"].iter(f"{{{SVG}}}use"))
            looks = {mark.attrib.pop("style") for mark in marks}
            groups[f"s{place}-{index}"].set("style", "".join(looks))  # they look alike: said once
            for mark, text in zip(marks, series.texts, strict=False):
                ElementTree.SubElement(mark, f"{{{SVG}}}title").text = printable(text)


def describe(series: Iterable[Series]) -> str:
    """Return each line by its ends, in words."""
    parts = [f"{each.name} from {each.y[0]:.4f} to {each.y[-1]:.4f}" for each in series if each.y]
    return "; ".join(parts)
