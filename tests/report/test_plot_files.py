"""A plot is drawn once, until its values change or its file is altered."""

from dataclasses import replace

import pytest

from harness.report import plot_files, svg
from harness.report.plot_files import svg_text
from harness.report.svg import Figure, Panel, Series
from tests.command_line import harness, write_suite

SERIES = Series("a \r b", (10.0, 100.0), (0.25, 0.5), (0.1, None), texts=("first", "second"))
FIGURE = Figure("f-1", "T", "D", (Panel("A", "x", "y", (SERIES,), level=0.4),), ("a \r b",))


@pytest.fixture
def drawings(monkeypatch):
    """The names of the figures that were drawn."""
    names = []

    def draw_svg(figure, simulated):
        names.append(figure.name)
        return svg.draw_svg(figure, simulated)

    monkeypatch.setattr(plot_files, "draw_svg", draw_svg)
    return names


@pytest.fixture
def file(tmp_path, drawings):
    """The file of the figure, written once."""
    path = tmp_path / "f-1.svg"
    path.write_bytes(svg_text(FIGURE, False, tmp_path).encode())
    drawings.clear()
    return path


def test_equal_values_are_not_drawn_again(file, drawings):
    assert svg_text(FIGURE, False, file.parent).encode() == file.read_bytes()
    assert not drawings
    file.unlink()
    assert svg_text(FIGURE, False, file.parent)
    assert drawings == ["f-1"]


@pytest.mark.parametrize(
    "figure",
    [
        replace(FIGURE, title="other"),
        replace(FIGURE, text="other"),
        replace(FIGURE, names=("a \r b", "c")),
        replace(FIGURE, panels=(replace(FIGURE.panels[0], level=0.5),)),
        replace(FIGURE, panels=(replace(FIGURE.panels[0], series=(replace(SERIES, y=(0.25, 0.5000001)),)),)),
    ],
)
def test_other_values_are_drawn(file, drawings, figure):
    assert svg_text(figure, False, file.parent).encode() != file.read_bytes()
    assert drawings == ["f-1"]


def test_simulated_data_and_another_way_of_drawing_are_drawn(file, drawings, monkeypatch):
    assert "SIMULATED DATA: T" in svg_text(FIGURE, True, file.parent)
    monkeypatch.setattr(plot_files, "DRAWING_VERSION", svg.DRAWING_VERSION + 1)
    assert svg_text(FIGURE, False, file.parent).encode() != file.read_bytes()
    assert drawings == ["f-1", "f-1"]


@pytest.mark.parametrize(
    ("old", "new"), [(b"first", b"third"), (b"</metadata></svg>\n", b"</metadata></svg>"), (b"<svg", b"\xff")]
)
def test_an_altered_file_is_drawn_again(file, drawings, old, new):
    content = file.read_bytes()
    assert old in content
    file.write_bytes(content.replace(old, new, 1))
    assert svg_text(FIGURE, False, file.parent).encode() == content
    assert drawings == ["f-1"]


@pytest.mark.slow
def test_a_board_that_did_not_change_needs_no_matplotlib(tmp_path):
    """Writing it again, checking it and the report all take the plots on disk."""
    splits = [{"splitter": "prefix", "ratios": [0.25, 0.5], "seeds": [3]}]
    write_suite(tmp_path, ["majority", {"knn": {"on": "embedding", "k": 7}}], splits=splits)
    assert harness("run", "suite.yaml", "--threads", 1, cwd=tmp_path).returncode == 0
    plots = {path: path.read_bytes() for path in (tmp_path / "leaderboards/small/plots").glob("*.svg")}
    assert len(plots) == 4
    (tmp_path / "broken/matplotlib").mkdir(parents=True)
    (tmp_path / "broken/matplotlib/__init__.py").write_text("raise ImportError('no plot has to be drawn')")
    for command in (("leaderboard",), ("leaderboard", "--check"), ("report",)):
        name, *more = command
        done = harness(name, "suite.yaml", "--threads", 1, *more, cwd=tmp_path, env={"PYTHONPATH": tmp_path / "broken"})
        assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in plots} == plots
    next(iter(plots)).unlink()
    done = harness("leaderboard", "suite.yaml", "--threads", 1, cwd=tmp_path, env={"PYTHONPATH": tmp_path / "broken"})
    assert done.returncode != 0
    assert "no plot has to be drawn" in done.stderr
