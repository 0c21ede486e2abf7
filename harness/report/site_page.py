"""The pages of the site as HTML: templates, style, scripts, policy."""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

import pyarrow as pa

import harness
from harness.errors import printable
from harness.report.html_report import as_json
from harness.report.leaderboard_page import SIMULATED_NOTE
from harness.report.long_table import ROWS_IN_SIGHT, as_data, long_columns


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = files("harness.report") / "html"
    return Environment(
        loader=FileSystemLoader(str(folder)), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )


@cache
def _text(file: str) -> str:
    return (files("harness.report") / "html" / file).read_text(encoding="utf-8")


def render(template: str, title: str, script: str = "report.js", root: str = "", **values: Any) -> str:
    """Return a page of the site; `root` leads from its folder to the index.

    The page loads nothing: style and script stand in it, and its policy allows this script alone, or none for "".
    """
    from markupsafe import Markup

    code = _text(script) if script else ""
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    shared = {"simulated": False, "warnings": [], "here": "", "csv_files": Markup("{}")}
    return str(
        _environment()
        .get_template(template)
        .render(
            **shared | values,
            title=printable(title),
            root=root,
            style=Markup(_text("report.css") + _text("site.css")),
            script=Markup(code),
            policy=Markup(f"'sha256-{digest}'" if script else "'none'"),
            made_with=f"Made by labelharness {harness.__version__} from the files of the boards.",
        )
    )


def table_page(board: str, title: str, text: str, table: pa.Table, file: str, simulated: bool) -> str:
    """Return the page of a long table of a board, which has it as a file."""
    from markupsafe import Markup

    columns = long_columns(table)
    first = [[column.text(row) for column in columns] for row in range(min(ROWS_IN_SIGHT, table.num_rows))]
    return render(
        "site_table.html",
        f"{board}: {title}",
        script="long_table.js",
        root="../",
        simulated=simulated,
        warnings=[SIMULATED_NOTE] if simulated else [],
        board=board,
        text=text,
        file=file,
        total=table.num_rows,
        columns=columns,
        first=first,
        data=Markup(as_json(as_data(columns, table.num_rows))),
    )
