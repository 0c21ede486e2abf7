"""A small SVG has the shapes, places and colours of matplotlib's."""

import re
from collections import Counter
from copy import deepcopy
from xml.etree import ElementTree

import pytest

from harness.report import svg, svg_minifier
from harness.report.svg import Figure, Panel, Series
from harness.report.svg_minifier import INITIAL, LETTERS, LINK, SHEET, SVG

NAMES = (*INITIAL, *LETTERS, "font-size", "font-family")


def subpaths(path):
    """Return the subpaths of a path, absolute points in hundredths."""
    paths, at = [], (0, 0)
    for command, text in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        numbers = [round(100 * float(number)) for number in re.findall(r"-?(?:\d*\.\d+|\d+)", text)]
        if command in "zZ":
            paths[-1].append("z")
            at = paths[-1][0][1]
            continue
        length = {"h": 1, "v": 1, "c": 6}.get(command.lower(), 2)
        for place in range(0, len(numbers), length):
            step = numbers[place : place + length]
            step = [*step, 0] if command == "h" else [0, *step] if command == "v" else step
            base = at if command.islower() else (0, 0)
            points = [(base[0] + x, base[1] + y) for x, y in zip(step[::2], step[1::2], strict=True)]
            at = points[-1]
            if command in "Mm" and place == 0:
                paths.append([("M", at)])
            else:
                paths[-1].append(("C" if command in "Cc" else "L", *points))
    return paths


def moved(path, x, y):
    x, y = round(100 * x), round(100 * y)
    return [part if part == "z" else (part[0], *((a + x, b + y) for a, b in part[1:])) for part in path]


def drawn(root, sheet):
    """Count the subpaths and texts of an SVG.

    Each has the properties that show and the box it is cut to.
    """
    named = {element.get("id"): element for element in root.iter() if element.get("id")}
    items = Counter()

    def box(address):
        (rect,) = named[address[5:-1]]
        return tuple(round(float(rect.get(name)), 2) for name in ("x", "y", "width", "height"))

    def properties(element, inherited):
        style = dict(part.split(": ") for part in element.get("style", "").split("; ") if part)
        own = {name: element.get(name) for name in NAMES if element.get(name)}
        return inherited | own | sheet | style

    def visit(element, inherited, clips, place):
        kind = element.tag.removeprefix(SVG)
        if kind in ("defs", "clipPath", "title", "desc", "style"):
            return
        look = properties(element, inherited)
        clips = clips | {box(element.get("clip-path"))} if element.get("clip-path") else clips
        if move := re.fullmatch(r"translate\((\S+) (\S+)\)", element.get("transform", "")):
            place = float(move[1]), float(move[2])
        if kind == "use":
            mark = named[(element.get(LINK) or element.get("href"))[1:]]
            title = "".join(element.itertext())
            at = float(element.get("x")), float(element.get("y"))
            shape(mark.get("d"), properties(mark, look), clips, at, title)
        elif kind == "path":
            shape(element.get("d"), look, clips, place, "")
        elif kind == "text":
            turned = element.get("transform", "").replace("rotate(-0", "rotate(0")
            where = (*(round(float(element.get(name)), 2) for name in ("x", "y")), turned.startswith("rotate(-90"))
            shown = tuple(look[name] for name in ("fill", "text-anchor", "font-size", "font-family"))
            assert look["stroke"] == "none"
            items["text", element.text, where, shown] += 1
        for child in element:
            visit(child, look, clips, place)

    def shape(path, look, clips, place, title):
        fill = (look["fill"], look["fill-opacity"]) if look["fill"] != "none" else None
        names = ["stroke", "stroke-width", "stroke-opacity", "stroke-linejoin", "stroke-dasharray"]
        for points in subpaths(path):
            area = fill if len(points) > 2 else None
            ends = ["stroke-linecap"] if points[-1] != "z" else []
            line = tuple(look[name] for name in names + ends) if look["stroke"] != "none" else None
            if area or line:
                items["path", tuple(moved(points, *place)), area, line, frozenset(clips), title] += 1

    visit(root, INITIAL | LETTERS, frozenset(), (0, 0))
    return items


def panel(title, kinds, **more):
    """Return a panel with lines of many looks, half of them with bands."""
    series = tuple(
        Series(
            f"labeler {i}",
            (10.0, 20.0, 50.0, 80.0),
            tuple(0.1 + i / 40 + j / 97 for j in range(4)),
            (0.02, None, 0.031, 0.01) if i % 2 else (),
            tuple(f"labeler {i}, point {j}" for j in range(4)),
        )
        for i in range(kinds)
    )
    return Panel(title, "Labels", "Accuracy", series, **more)


FIGURES = {
    "dashes and bands": [panel("A", 11, log=True), panel("B", 3, share=True)],
    "lines across": [panel("C", 2, diagonal=True), panel("D", 5, level=0.3), panel("E", 1), panel("F", 1, log=True)],
    "one point": [Panel("G", "x", "y", (Series("labeler 0", (1.0,), (0.5,), texts=("alone",)),))],
    "nothing": [Panel("H", "x", "y", ())],
}


@pytest.mark.parametrize("panels", FIGURES.values(), ids=FIGURES)
@pytest.mark.parametrize("embedded", [False, True])
def test_the_small_svg_draws_the_same(monkeypatch, panels, embedded):
    before = []
    minify = svg_minifier.minify

    def watched(root):
        before.append(deepcopy(root))
        minify(root)

    monkeypatch.setattr(svg, "minify", watched)
    figure = Figure("f-1", "T", "D", tuple(panels), tuple(f"labeler {i}" for i in range(11)))
    text = svg.draw_svg(figure, False)
    text = svg.embed_svg(text, figure.name) if embedded else text
    (full,) = before
    expected, small = drawn(full, SHEET), drawn(ElementTree.fromstring(text), {})
    assert expected - small == Counter()
    assert small - expected == Counter()
    assert len(small) >= 20
    for i in range(11):  # a reader filters lines by these groups
        group = f".//{SVG}g[@data-labeler='labeler {i}']"
        assert len(ElementTree.fromstring(text).findall(group)) == len(full.findall(group))
    assert len(text) < 0.55 * len(ElementTree.tostring(full))


def test_ids_of_plots_on_one_page_differ_and_all_are_used():
    labelers = tuple(f"labeler {i}" for i in range(3))
    texts = [
        svg.embed_svg(svg.draw_svg(Figure(name, "T", "D", (panel("A", 3),), labelers), False), name)
        for name in ("f-1", "f-2")
    ]
    ids = [set(re.findall(r' id="(.*?)"', text)) for text in texts]
    assert not ids[0] & ids[1]
    for text, own in zip(texts, ids, strict=True):
        assert set(re.findall(r'(?:href="#|url\(#)(.*?)[")]', text)) == {name for name in own if "-m" in name}


def test_a_labeler_named_like_the_ink_keeps_its_name():
    name = svg.INK_COLOUR
    text = svg.draw_svg(Figure("f-1", "T", "D", (panel("A", 1),), ("labeler 0", name)), False)
    assert svg.INK_COLOUR not in text
    series = (Series(name, (1.0, 2.0), (0.5, 0.6)),)
    root = ElementTree.fromstring(
        svg.draw_svg(Figure("f-1", "T", "D", (Panel("A", "x", "y", series),), (name,)), False)
    )
    assert name in [element.text for element in root.iter(f"{SVG}text")]
