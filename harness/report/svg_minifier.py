"""Make matplotlib's SVG small without a visible change.

The lines of a grid become one path, and what is alike one group. matplotlib writes every property of every mark and
letter, an id for every group, and absolute places. Here a group has the properties that most of what is in it has, as
attributes that are inherited; only ids that are referred to stay.
"""

import re
from collections import Counter
from itertools import pairwise
from xml.etree.ElementTree import Element

SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
GROUP, MARKS, PATH, TEXT, USE = (f"{SVG}{name}" for name in ("g", "defs", "path", "text", "use"))
GEOMETRY_ATTRIBUTES = {"d", "x", "y", "width", "height", "transform"}
NUMBER = re.compile(r"-?\d+\.\d+")
ADDRESS = re.compile(r"url\(#(.*?)\)")
COMMAND = re.compile(r"([A-Za-z])([^A-Za-z]*)")
TICK = re.compile(r"M 0 0 +L (\S+ \S+) *")
INITIAL = {  # the inherited properties of shapes, with the value where no element has one
    "fill": "#000",
    "fill-opacity": "1",
    "stroke": "none",
    "stroke-width": "1",
    "stroke-opacity": "1",
    "stroke-linecap": "butt",
    "stroke-linejoin": "miter",
    "stroke-dasharray": "none",
    "stroke-dashoffset": "0",
}
LETTERS = {"text-anchor": "start"}  # and of texts
SHEET = {"stroke-linecap": "butt", "stroke-linejoin": "round"}  # what matplotlib's style sheet sets on every element
Properties = dict[str, str]


def minify(root: Element) -> None:
    """Shorten a matplotlib SVG in place."""
    _drop_unseen(root)
    _round_places(root)
    _merge_ticks(root)
    _inline_bands(root)
    _rename_ids(root)
    _lift_clips(root)
    chosen: dict[Element, Properties] = {}
    _choose(root, {}, chosen)
    _write_properties(root, INITIAL | LETTERS, chosen)
    _flatten(root)
    for path in root.iter(PATH):
        path.set("d", _relative(path.get("d", "")))


def _drop_unseen(root: Element) -> None:
    """Remove frames without line or area, spaces, and the style sheet.

    The properties that the sheet sets are written where they count.
    """
    for parent in list(root.iter()):
        for child in list(parent):
            child.tail = None
            if child.get("type") == "text/css" or child.get("style") == "fill: none":
                parent.remove(child)
        if len(parent):
            parent.text = None


def _round_places(root: Element) -> None:
    """Round places to hundredths of a point.

    Finer is more than anyone sees, and not alike on every machine.
    """
    for element in root.iter():
        for name in GEOMETRY_ATTRIBUTES & element.attrib.keys():
            element.set(name, NUMBER.sub(lambda match: _short(float(match[0])), element.attrib[name]))
        if element.get("transform", "").startswith("rotate(-0 "):
            del element.attrib["transform"]


def _short(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else re.sub("^(-?)0(?=[.])", r"\1", text)


def _merge_ticks(root: Element) -> None:
    """Merge the grid lines of an axis into a path, and its tick marks.

    Its texts follow in a group.
    """
    marks = {f"#{path.get('id')}": TICK.fullmatch(path.get("d", "")) for path in root.iter(PATH)}
    for axis in [group for group in root.iter(GROUP) if "matplotlib.axis" in group.get("id", "")]:
        lines = [path for path in axis.iter(PATH) if path.get("clip-path")]
        ticks = list(axis.iter(USE))
        ends = [mark[1] for tick in ticks if (mark := marks[tick.get(LINK, "")])]
        if len(ends) < len(ticks) or any(len({line.get("style") for line in group}) > 1 for group in (lines, ticks)):
            continue  # one has a look of its own
        texts = Element(GROUP)
        texts.extend(axis.iter(TEXT))
        axis[:] = [*axis.iter(MARKS), *lines[:1], *ticks[:1], texts]
        if lines:
            lines[0].set("d", " ".join(line.get("d", "") for line in lines))
        if ticks:
            starts = [f"{tick.get('x')} {tick.get('y')}" for tick in ticks]
            path = " ".join(f"M {start} l {end}" for start, end in zip(starts, ends, strict=True))
            ticks[0].tag, ticks[0].attrib = PATH, {"d": path, "style": f"{ticks[0].get('style')}; fill: none"}


def _inline_bands(root: Element) -> None:
    """Draw shapes that are used once, bands, where they are used."""
    marks = {f"#{path.get('id')}": path for path in root.iter(PATH)}
    uses = Counter(use.get(LINK, "") for use in root.iter(USE))
    for use in list(root.iter(USE)):
        if uses[name := use.get(LINK, "")] == 1 and not len(use):
            style = "; ".join(filter(None, (use.get("style"), marks[name].get("style"))))
            move = f"translate({use.get('x')} {use.get('y')})"
            use.tag, use.attrib = PATH, {"d": marks[name].get("d", ""), "transform": move, "style": style}


def _relative(path: str) -> str:
    """Write a path as steps from point to point: short numbers.

    >>> _relative("M 10.5 2  L 10.5 4  L 12 4  L 13 5  z ")
    'm10.5 2v2h1.5l1 1z'
    >>> _relative("M -0.5 0  L 0 0.25  L 1 1  z M 3 3 l 0 2 ")
    'm-.5 0 .5 .25 1 .75zm3.5 3v2'
    """
    written, last, at, start = "", "", (0, 0), (0, 0)  # in hundredths: whole numbers add up exactly
    for command, text in COMMAND.findall(path):
        if command == "z":
            written, last, at = written + "z", "z", start
            continue
        numbers = [round(100 * float(number)) for number in text.split()]
        base = at if command.islower() else (0, 0)
        points = [(base[0] + x, base[1] + y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
        steps = [_short((end - begin) / 100) for point in points for begin, end in zip(at, point, strict=True)]
        name = command.lower()
        if name == "l" and "0" in steps:
            name, steps = ("v", steps[1:]) if steps[0] == "0" else ("h", steps[:1])
        written += (" " if name == {"m": "l"}.get(last, last) else name) + " ".join(steps)
        last, at = name, points[-1]
        start = at if name == "m" else start
    return written.replace(" -", "-")


def _rename_ids(root: Element) -> None:
    """Give short names to ids that are referred to; remove the others.

    Marks that nothing uses go with them.
    """
    names: dict[str, str] = {}
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            for address in [value[1:]] if name == LINK else ADDRESS.findall(value):
                names.setdefault(address, f"m{len(names)}")
            if name == LINK:
                element.set("href", f"#{names[element.attrib.pop(name)[1:]]}")
            else:
                element.set(name, ADDRESS.sub(lambda match: f"url(#{names[match[1]]})", value))
    for element in root.iter():
        if (old := element.attrib.pop("id", None)) in names:
            element.set("id", names[old])
    for marks in root.iter(MARKS):
        marks[:] = [mark for mark in marks if mark.get("id")]


def _lift_clips(root: Element) -> None:
    """Clip a group where all in it is clipped alike."""
    for group in root.iter(GROUP):
        drawn = [child for child in group if child.tag != MARKS]
        if "clip-path" not in group.attrib and len({child.get("clip-path") for child in drawn}) == 1:
            for child in drawn:
                if clip := child.attrib.pop("clip-path", None):
                    group.set("clip-path", clip)


def _choose(element: Element, above: Properties, chosen: dict[Element, Properties]) -> Counter[tuple[str, str]]:
    """Choose the properties of an element; return how many have which.

    A group gets those that most of what is drawn in it has.
    """
    own, votes = _parse_properties(element), Counter[tuple[str, str]]()
    if element.tag in (PATH, TEXT, USE):
        chosen[element] = _visible_properties(element.tag, above, own)
        votes.update(chosen[element].items())
    elif element.tag in (GROUP, f"{SVG}svg"):
        for child in element:
            votes += _choose(child, above | own, chosen)
        chosen[element] = {name: value for (name, value), _ in reversed(votes.most_common())}
    elif element.tag == MARKS:  # a mark has the properties of the place where it is used, but for its own
        for mark in element.findall(PATH):
            chosen[mark] = {name: value for name, value in _parse_properties(mark).items() if value != SHEET.get(name)}
    return votes


def _parse_properties(element: Element) -> Properties:
    """Take the style off an element and return its properties."""
    return dict(part.split(": ", 1) for part in element.attrib.pop("style", "").split("; ") if part)


def _visible_properties(tag: str, above: Properties, own: Properties) -> Properties:
    """Return the properties that show on a drawn element."""
    if tag == TEXT:
        return {"stroke": "none"} | LETTERS | above | own
    properties = INITIAL | above | SHEET | own | (SHEET if tag == USE else {})
    unseen = ["fill-opacity"] if properties["fill"] == "none" else []
    if tag == USE:
        unseen.append("stroke-linecap")  # marks are closed shapes
    if properties["stroke"] == "none":
        unseen += [name for name in properties if name.startswith("stroke-")]
    elif properties["stroke-dasharray"] == "none":
        unseen.append("stroke-dashoffset")
    return {name: value for name, value in properties.items() if name not in unseen}


def _write_properties(element: Element, inherited: Properties, chosen: dict[Element, Properties]) -> None:
    """Write the properties that are not inherited, down the tree."""
    properties = chosen.get(element, {})
    for name, value in properties.items():
        if inherited.get(name) != value:
            element.set(name, value)
    for child in element:
        _write_properties(child, {} if element.tag == MARKS else inherited | properties, chosen)


def _flatten(parent: Element) -> None:
    """Replace groups without properties of their own by what is in them.

    Neighbouring paths that look alike, the frame of a pair of axes, become one.
    """
    for child in list(parent):
        _flatten(child)
        place = list(parent).index(child)
        if child.tag in (GROUP, MARKS) and not len(child):
            parent.remove(child)
        elif child.tag == GROUP:
            if len(child) == 1 and not child.attrib.keys() & {"data-labeler", "clip-path"}:
                child[0].attrib, child.attrib = child.attrib | child[0].attrib, {}
            if not child.attrib:
                parent[place : place + 1] = list(child)
    for before, after in pairwise(list(parent)):
        if before.tag == after.tag == PATH and before.attrib | {"d": ""} == after.attrib | {"d": ""}:
            after.set("d", f"{before.get('d')} {after.get('d')}")
            parent.remove(before)
