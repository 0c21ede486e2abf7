"""The report in a real Chromium: it sorts, filters and tells, says nothing on the console, and asks nobody anything."""

import csv

import pytest

from tests.command_line import harness, table, write_labelers, write_suite

SURE = """
proba = np.full((len(task.to_label), task.n_classes), 0.1)
proba[np.arange(len(proba)), (task.to_label + self.k) % task.n_classes] = 0.5
return proba
"""
FIRST = "#comparison-1 table >> nth=0"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of a small run with curves, a failure and a name that would like to be a script."""
    folder = tmp_path_factory.mktemp("run")
    file = write_labelers(folder / "plugin.py", sure=SURE, breaks="raise RuntimeError('no')")
    file.write_text(file.read_text().replace("def label", 'word: str = ""\n\n    def label'))
    labelers = ["majority", {"sure": {"k": 1, "word": "<img src=x onerror=alert(1)>"}}, {"sure": {"k": 2}}, "breaks"]
    splits = [{"splitter": "nested", "test": 0.5, "ratios": [0.1, 0.2, 0.3, 0.4], "seeds": [1, 2]}]
    write_suite(folder, labelers, table(300), splits=splits, blocks=None)
    more = ("suite.yaml", "--plugin", "plugin.py", "--threads", 1)
    assert harness("run", *more, "-j", 2, cwd=folder).returncode == 1
    done = harness("report", *more, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "leaderboards/small/report.html"


@pytest.fixture
def page(browser, report):
    """The report, opened; afterwards nothing may have been asked for, and nothing said on the console."""
    context = browser.new_context(viewport={"width": 1200, "height": 800}, color_scheme="dark", accept_downloads=True)
    opened, asked, said = context.new_page(), [], []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("dialog", lambda dialog: said.append(dialog.message))
    opened.goto(report.as_uri())
    yield opened
    context.close()
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [report.as_uri()]
    assert said == []


def column(page, name):
    """Return the texts of one column of the first leaderboard, from the top."""
    heads = page.locator(f"{FIRST} >> thead th").all_inner_texts()
    place = next(i for i, head in enumerate(heads) if head.startswith(name))
    return [row.locator("th, td").nth(place).inner_text() for row in page.locator(f"{FIRST} >> tbody tr").all()]


def test_a_click_and_a_key_sort(page):
    head = page.locator(f"{FIRST} >> thead th", has_text="Accuracy")
    before = column(page, "Accuracy")
    assert head.get_attribute("aria-sort") == "none"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    falling = column(page, "Accuracy")
    assert falling == sorted(before, key=lambda text: text or "0", reverse=True)
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    rising = column(page, "Accuracy")
    assert rising == [*sorted(filter(None, before)), *(text for text in before if not text)], "empty ones stay last"
    assert "sorted by Accuracy" in page.locator("#sorting").text_content()
    page.locator(f"{FIRST} >> thead button", has_text="Labeler").click()
    assert column(page, "Labeler") == sorted(column(page, "Labeler"))
    assert head.get_attribute("aria-sort") == "none"


def test_the_filter_hides_rows_and_lines(page):
    lines = page.locator("#curves svg g[data-labeler='majority']")
    assert lines.first.is_visible()
    page.get_by_label("Show labelers whose name has").fill("SURE")
    rows = page.locator(f"{FIRST} >> tbody tr")
    assert [row.is_visible() for row in rows.all()] == [name.startswith("sure") for name in column(page, "Labeler")]
    assert page.locator("#count").inner_text() == "2 of 4 labelers"
    assert not lines.first.is_visible()
    page.keyboard.press("Escape")
    assert all(row.is_visible() for row in rows.all())
    assert lines.first.is_visible()
    assert page.locator("#count").inner_text() == ""


def test_a_point_tells_its_value_on_hover(page):
    mark = page.locator("#curves svg use[data-tip]").first
    mark.scroll_into_view_if_needed()
    tip = page.locator("#tip")
    assert not tip.is_visible()
    mark.hover(force=True)
    assert tip.is_visible()
    assert " labels (mean of 2 cells)" in tip.inner_text()
    page.mouse.move(1, 1)
    assert not tip.is_visible()


def test_a_table_is_saved_as_its_csv(page, report):
    with page.expect_download() as download:
        page.locator("button.save[data-file='leaderboard.csv']").first.click()
    saved = download.value.path().read_bytes()
    assert download.value.suggested_filename == "leaderboard.csv"
    assert saved == (report.parent / "report/leaderboard.csv").read_bytes()
    names = {row["labeler"] for row in csv.DictReader(saved.decode().splitlines())}
    assert "sure(k=1, word=<img src=x onerror=alert(1)>)" in names


def test_light_and_dark_differ_and_can_be_read(page):
    def contrast():
        return page.evaluate(
            """() => {
                const light = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number)
                    .map((v) => v / 255).map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
                    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
                const page = light(getComputedStyle(document.body).backgroundColor);
                return ["td", ".note", "a", "figure text"].map((selector) => {
                    const style = getComputedStyle(document.querySelector(selector));
                    const ink = light(selector === "figure text" ? style.fill : style.color);
                    return (Math.max(page, ink) + .05) / (Math.min(page, ink) + .05);
                });
            }"""
        )

    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert min(contrast()) >= 4.5
    page.emulate_media(color_scheme="light")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    assert min(contrast()) >= 4.5


def test_the_keyboard_reaches_everything(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the leaderboard"
    page.keyboard.press("Enter")
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName"))
    assert {"BUTTON", "DIV"} <= reached
    nameless = page.evaluate(
        "() => [...document.querySelectorAll('button, input, a, summary')].filter((e) => !(e.textContent.trim() || "
        "e.labels?.length || e.getAttribute('aria-label'))).length"
    )
    assert nameless == 0


def test_a_narrow_screen_does_not_scroll_sideways(page):
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_leaderboard_is_whole_on_a_wide_screen_and_shows_a_score_on_a_phone(page):
    page.set_viewport_size({"width": 1440, "height": 900})
    board = page.locator("#comparison-1 .scroll >> nth=0")
    assert board.evaluate("e => e.scrollWidth - e.clientWidth") == 0
    page.set_viewport_size({"width": 390, "height": 800})
    score = page.locator(f"{FIRST} >> tbody tr >> nth=0 >> td.number >> nth=0").bounding_box()
    assert score["x"] + score["width"] <= 390
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    plot = page.locator("#comparison-1 figure svg >> nth=0")
    assert plot.bounding_box()["width"] >= 600, "its text can be read: it is moved sideways, not made small"
    board.evaluate("e => e.scrollLeft = e.scrollWidth")
    name = page.locator(f"{FIRST} >> tbody tr >> nth=0 >> th").bounding_box()
    assert 0 <= name["x"] <= 40, "who it is stays in sight"


def test_paper_has_what_is_folded_and_no_buttons(page):
    folded = page.locator("details:not([open])").count()
    assert folded
    assert page.pdf()[:5] == b"%PDF-"
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.emulate_media(media="print")
    assert not page.locator(".controls").is_visible()
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() == folded


def test_without_javascript_everything_is_there(browser, report):
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(report.as_uri())
    assert opened.locator("table").count() > 20
    assert opened.locator("figure use > title").count() > 20
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_the_report_breaks_no_rule_of_accessibility(page, violations, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    assert violations(page) == []
