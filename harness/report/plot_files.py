"""Plots on disk, drawn only where no file has the same values.

The end of an SVG has two hashes: of the values that it was drawn from, and of the drawing. An equal first hash
means that nothing has to be drawn; by the second one a file that was altered afterwards is drawn again.
"""

import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path

from harness.report.svg import DRAWING_VERSION, Figure, draw_svg

HASH_DIGITS = 16
SEAL = re.compile(rf"<metadata>values (\w{{{HASH_DIGITS}}}), drawing (\w{{{HASH_DIGITS}}})</metadata></svg>\n\Z")


def svg_text(figure: Figure, simulated: bool, folder: Path) -> str:
    """Return the SVG of a figure: the file in the folder, or a new drawing.

    The file is taken if it was drawn from equal values and is as it was written. Otherwise matplotlib, which takes a
    second to import, draws the figure.
    """
    values = _hash(json.dumps([DRAWING_VERSION, simulated, asdict(figure)]))
    file = folder / f"{figure.name}.svg"
    if file.is_file():
        text = file.read_bytes().decode(errors="replace")
        seal = SEAL.search(text)
        if seal is not None and (values, _hash(text[: seal.start()])) == seal.groups():
            return text
    drawing = draw_svg(figure, simulated).removesuffix("</svg>\n")
    return f"{drawing}<metadata>values {values}, drawing {_hash(drawing)}</metadata></svg>\n"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS]
