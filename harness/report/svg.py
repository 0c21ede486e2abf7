"""Plots as SVG, the same bytes for the same values.

A plot has a title and a description for those who cannot see it, a text beside every point, and the colour of the text
around it, so that it fits a light and a dark page.
"""

import re
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
MARK_ID = re.compile(r"(^|#)(m\d+)(?![\w-])")  # an id that a drawing refers to itself by
PANEL_WIDTH, PANEL_HEIGHT, LEGEND_LINE = 3.0, 2.6, 0.2  # inches
MAX_COLUMNS = 3  # of panels
DRAWING_VERSION = 2  # raise it where the same values are drawn in another way: boards draw their plots again
ElementTree.register_namespace("", SVG)


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
    """Panels under one title.

    `names` is every labeler of the page in one order, so that each keeps its colour.
    """

    name: str
    title: str
    text: str  # the description
    panels: tuple[Panel, ...]
    names: tuple[str, ...]


def draw_svg(figure: Figure, simulated: bool) -> str:
    """Draw a figure as a file with colours for light and dark."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
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
        names = [name for name in figure.names if any(s.name == name for p in figure.panels for s in p.series)]
        canvas = Canvas(facecolor="none")
        axes = _place_axes(canvas, figure.panels, legend_lines=-(-len(names) // 2))
        for i, (panel, ax) in enumerate(zip(figure.panels, axes, strict=True)):
            _draw_panel(panel, ax, figure.names, i)
        _legend(canvas, names, figure.names)
        out = BytesIO()
        # Not savefig, which draws everything once more, to lay it out.
        FigureCanvasSVG(canvas).print_svg(out, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    return _finish(out.getvalue(), figure, simulated)


def embed_svg(drawn: str, name: str) -> str:
    """Make a drawn figure fit to stand in a page beside others.

    Its ids begin with the figure's `name`, and its colours are the page's.
    """
    root = ElementTree.fromstring(drawn)
    for style in root.findall(f"{{{SVG}}}style"):
        root.remove(style)
    for element in root.iter():
        for key, value in element.attrib.items():
            if key in ("id", "href", "clip-path"):
                element.set(key, MARK_ID.sub(rf"\1{name}-\2", value))
    return _to_text(root)


def _place_axes(canvas: Any, panels: Sequence[Panel], legend_lines: int) -> list[Any]:
    """Set the size of a figure and add the axes of its panels, row by row.

    Sizes are inches: room for what stands around axes of a known font. matplotlib's own layout takes longer than all
    drawing.
    """
    columns = min(len(panels), MAX_COLUMNS)
    rows = -(-len(panels) // columns)
    left, above, below = 0.55 + 0.2 * any(panel.y for panel in panels), 0.28, 0.47
    width, bottom = max(PANEL_WIDTH, 6.0 / columns), LEGEND_LINE * legend_lines + 0.1
    height = PANEL_HEIGHT * rows + bottom
    canvas.set_size_inches(width * columns, height)
    axes = []
    for i in range(len(panels)):
        row, column = divmod(i, columns)
        low = (height - PANEL_HEIGHT * (row + 1) + below) / height
        size = (width - left - 0.15) / (width * columns), (PANEL_HEIGHT - above - below) / height
        axes.append(canvas.add_axes(((width * column + left) / (width * columns), low, *size)))
    return axes


def _draw_panel(panel: Panel, ax: Any, names: Sequence[str], number: int) -> None:
    ax.set_title(panel.title, fontsize=9, loc="left", y=1.0)  # where it would be laid out to lie
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
        index = names.index(series.name)
        style = _line_style(index)
        (line,) = ax.plot(series.x, series.y, linewidth=1.4, markersize=4, **style)
        line.set_gid(f"s{number}-{index}")
        if any(series.sd):
            low, high = zip(*(_band(panel, y, sd or 0) for y, sd in zip(series.y, series.sd, strict=True)), strict=True)
            band = ax.fill_between(series.x, low, high, color=style["color"], alpha=0.15, linewidth=0)
            band.set_gid(f"b{number}-{index}")


def _band(panel: Panel, y: float, sd: float) -> tuple[float, float]:
    return (max(y - sd, 0.0), min(y + sd, 1.0)) if panel.share else (y - sd, y + sd)


def _log_axis(ax: Any, ticks: list[float]) -> None:
    ax.set_xscale("log")
    ax.minorticks_off()
    labelled = [ticks[-1]]  # labels that would touch are left out, never the last
    for tick in reversed(ticks[:-1]):
        if labelled[-1] > tick * (ticks[-1] / ticks[0]) ** 0.16:
            labelled.append(tick)
    ax.set_xticks(labelled, [f"{tick:,.0f}" for tick in labelled])


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
    legend = canvas.legend(handles, [f"{i}" for i in range(len(names))], loc="lower left", ncols=2, frameon=False)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(shorten(name))


def shorten(name: str) -> str:
    """Return a name as one line that fits a legend."""
    flat = " ".join(printable(name).split())
    return flat if len(flat) <= MAX_NAME_LENGTH else f"{flat[: MAX_NAME_LENGTH - 3]}..."


def _finish(drawn: bytes, figure: Figure, simulated: bool) -> str:
    """Make matplotlib's SVG small; add title, description, texts and colours."""
    root = ElementTree.fromstring(drawn)
    for element in root.iter():
        if INK_COLOUR in (style := element.get("style", "")):
            element.set("style", style.replace(INK_COLOUR, "currentColor"))
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)
    _add_texts(root, figure)
    minify(root)
    title, text, sheet = (ElementTree.Element(f"{{{SVG}}}{tag}") for tag in ("title", "desc", "style"))
    title.text = ("SIMULATED DATA: " if simulated else "") + printable(figure.title)
    text.text = printable(figure.text)
    sheet.text = STYLE
    title.set("id", f"{figure.name}-title")
    text.set("id", f"{figure.name}-text")
    root.set("role", "img")
    root.set("aria-labelledby", f"{figure.name}-title {figure.name}-text")
    root[:0] = [title, text, sheet]
    return _to_text(root)


def _to_text(root: ElementTree.Element) -> str:
    return ElementTree.tostring(root, encoding="unicode").replace(" />", "/>") + "\n"


def _add_texts(root: ElementTree.Element, figure: Figure) -> None:
    """Add a text to every marker and a name to every line.

    Browsers show the text on hover.
    """
    groups = {group.get("id"): group for group in root.iter(f"{{{SVG}}}g")}
    for i, panel in enumerate(figure.panels):
        for series in panel.series:
            index = figure.names.index(series.name)
            for part in ("s", "b"):
                if f"{part}{i}-{index}" in groups:
                    groups[f"{part}{i}-{index}"].set("data-labeler", printable(series.name))
            marks = list(groups[f"s{i}-{index}"].iter(f"{{{SVG}}}use"))
            styles = {mark.attrib.pop("style") for mark in marks}
            groups[f"s{i}-{index}"].set("style", "".join(styles))  # the same for all: written once
            for mark, text in zip(marks, series.texts, strict=False):
                ElementTree.SubElement(mark, f"{{{SVG}}}title").text = printable(text)


def describe(series: Iterable[Series]) -> str:
    """Describe each line by its ends, in words."""
    return "; ".join(f"{line.name} from {line.y[0]:.4f} to {line.y[-1]:.4f}" for line in series if line.y)
