"""One line and one page for each section of a reference file."""

import re

from harness.report.reference_page import SIMULATED_REASON, ReferenceVerdict
from harness.report.section_pages import section_pages, section_table, verdict_text
from harness.scoring.reference_cells import OwnNumber
from harness.suite.reference import PublishedNumber


def verdict(section, value, ours=None, outcome="matches", why="", metric="accuracy", label_class=None, suite="one"):
    row = PublishedNumber(
        "p.csv", 2, section, "knn(k=5) [remark]", "pool", ("bge",), 0.1, metric, label_class, f"{value}", value, 0.01
    )
    return ReferenceVerdict(row, suite, None if ours is None else OwnNumber(ours), outcome, why)


VERDICTS = [
    verdict("2.4", 0.41, 0.41),
    verdict("2.4", 0.45, 0.52, "differs"),
    verdict("2.4", 0.99, None, "cannot be compared", "not run"),
    verdict("2.4", 0.98, 0.1, "differs", metric="macro_f1"),
    verdict("4.10", 0.3, 0.2, "cannot be compared", SIMULATED_REASON, "n_test", 5, "two"),
    verdict("a/b", 0.5, None, "cannot be compared", "not run"),
]


def test_a_line_has_the_highest_accuracy_that_ours_has_too():
    _, _, *lines = section_table(VERDICTS).splitlines()
    assert lines == [
        "| [2.4](sections/2.4.md): accuracy of knn(k=5) bge, 10 % labelled | 0.45 | 0.52 "
        "| 1 match, 2 differ, 1 cannot be compared: not run |",
        "| [4.10](sections/4.10.md): n_test of knn(k=5) bge, class 5, 10 % labelled | 0.30 | 0.20 "
        f"| 1 cannot be compared: {SIMULATED_REASON} |",
        "| [a/b](sections/a-b.md): accuracy of knn(k=5) bge, 10 % labelled | 0.5 | – | 1 cannot be compared: not run |",
    ]
    mixed = [verdict("1", 0.5, None, "cannot be compared", why) for why in ("not run", SIMULATED_REASON)]
    assert verdict_text(mixed) == "2 cannot be compared", "two reasons are for the page"


def test_a_page_has_its_numbers_its_reasons_and_its_links():
    pages = dict(section_pages("record", VERDICTS, {"one": ("all; score", "ranks/all-score.md")}))
    assert [*pages] == ["sections/2.4.md", "sections/4.10.md", "sections/a-b.md"]
    page = pages["sections/2.4.md"]
    assert "| knn(k=5) &#91;remark&#93; bge | 0.1 | accuracy | 0.45 | 0.52 | +0.0700 | differs |" in page
    assert "| Class |" not in page, "no column is empty"
    assert "| not run | 1 | knn(k=5) bge |" in page
    assert set(re.findall(r"\]\((.*?)\)", page)) == {"../../one/README.md", "../ranks/all-score.md", "../README.md"}
    assert "SIMULATED DATA" not in page
    assert "> **SIMULATED DATA: every number of ours on this page" in pages["sections/4.10.md"]
    assert "| Method |" not in pages["sections/a-b.md"]
