"""`harness init`: from a file of data to a suite that runs."""

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import Output, format_tally
from harness.errors import DataError, HarnessError, clean_lines, first_few
from harness.suite import catalog

if TYPE_CHECKING:
    from harness.data.guess import Fixed, Guess, Guesser
    from harness.run.runner import Options

MAX_LISTED = 16  # columns in a line
NONE = "-"
SCHEMA_FILE = "harness.schema.json"
QUESTIONS = {  # of each part
    "target": "Target, the column of the labels",
    "text": "Text, or conversations",
    "vectors": "Vectors",
    "columns": "Numbers and categories",
    "id": "Id",
    "group": "Group, never on both sides of a split",
    "source": "Source",
}
SEVERAL = ("text", "vectors", "columns")
Target = Annotated[str | None, typer.Option(metavar="NAME", help="The column of the labels.")]
Texts = Annotated[list[str] | None, typer.Option(metavar="NAME", help="Texts, or a turn each. Repeatable.")]
Vectors = Annotated[list[str] | None, typer.Option(metavar="NAME", help="Lists of numbers. Repeatable.")]
Columns = Annotated[list[str] | None, typer.Option(metavar="NAME", help="Numbers, categories. Repeatable.")]
Id = Annotated[str | None, typer.Option(metavar="NAME", help="Names each row.")]
Group = Annotated[str | None, typer.Option(metavar="NAME", help="Rows that belong together.")]
Source = Annotated[str | None, typer.Option(metavar="NAME", help="Where a row is from.")]
Split = Annotated[str | None, typer.Option(metavar="NAME", help="A split of its own: no input.")]


def init(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A file, a folder or a pattern of files, hub:OWNER/NAME.")
    ],
    to: Annotated[Path | None, typer.Option(help="The suite to write; else it is named as the data.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    target: Target = None,
    text: Texts = None,
    vectors: Vectors = None,
    columns: Columns = None,
    id: Id = None,
    group: Group = None,
    source: Source = None,
    split: Split = None,
    output: Output = Path(),
) -> None:
    """Write a suite for your data: find the target, texts, vectors and other
    columns, and check what is written.

    On a terminal each part is asked for, with a guess; an option fixes a part, and - means that there is none.
    """
    from harness.data.guess import Guesser
    from harness.data.table import open_table
    from harness.report.leaderboard_page import SIMULATED_NOTE
    from harness.run.runner import Options, cache_of

    suite = to or Path(f"{_stem(file)}.yaml")
    if suite.exists():
        raise HarnessError(f"{suite} is there already, and is not overwritten; name another file by --to")
    given = {"target": target, "text": text, "vectors": vectors, "columns": columns}
    given |= {"id": id, "group": group, "source": source, "split": split}
    fixed: dict[str, str | tuple[str, ...] | None] = {
        part: _chosen(part, value if isinstance(value, list) else [value]) for part, value in given.items() if value
    }
    options = Options(output or Path())
    table = open_table(file, (Path.cwd(),), cache_of(options), "error", None)
    if table.simulated:
        print(SIMULATED_NOTE)
    guesser = Guesser(table)
    if not yes and sys.stdin.isatty() and sys.stdout.isatty():
        _ask(guesser, fixed)
    guess = guesser.guess(fixed)
    for line in _summary(file, guess):
        print(clean_lines(line))
    _write(suite, file, guess, list(guesser.samples))
    _validate(suite, options)
    place = "" if options.output == Path() else f" -o {options.output}"
    print("next:")
    print(f"  harness run {suite}{place}")
    print(f"  harness label {suite}{place} --to {suite.stem}_labels.parquet")


def _stem(file: str) -> str:
    """Return the name of data without folders, endings and odd letters."""
    name = Path(file.rstrip("/").removeprefix("hub:")).name
    name = Path(file).parent.name if any(mark in name for mark in "*?[") else name.partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-") or "data"


def _chosen(part: str, names: "list[str | None] | list[str]") -> str | tuple[str, ...] | None:
    chosen = tuple(name for name in names if name is not None and name != NONE)
    return chosen if part in SEVERAL else chosen[0] if chosen else None


def _ask(guesser: "Guesser", fixed: "dict[str, str | tuple[str, ...] | None]") -> None:
    """Ask for every part that no option fixes; the guess is the default.

    Each answer changes the guesses after it.
    """
    for part, question in QUESTIONS.items():
        while part not in fixed:
            guessed = _guess_part(guesser, fixed, part)
            names = [guessed] if isinstance(guessed, str) else list(guessed or ())
            default = ", ".join(names) or (None if part == "target" else NONE)
            answer = typer.prompt(question, default=default)
            words = [word.strip() for word in answer.split(",")] if answer != default else names
            try:
                guesser.check_names({part: tuple(word for word in words if word != NONE)})
                if part == "target":
                    guesser.read_target(words[0])
            except DataError as error:
                print(clean_lines(str(error)))
                continue
            fixed[part] = _chosen(part, words)


def _guess_part(guesser: "Guesser", fixed: "Fixed", part: str) -> str | tuple[str, ...] | None:
    try:
        if part == "target":
            return guesser.guess_target(fixed)
        guess = guesser.guess(fixed)
    except DataError as error:
        if part == "target":
            print(clean_lines(str(error)))
        return None
    value: str | tuple[str, ...] | None = getattr(guess, part)
    return value


def _summary(file: str, guess: "Guess") -> list[str]:
    """Return a line for the data, and one for each part that there is."""
    target, classes = guess.target, guess.target.classes
    named = (
        str(classes)
        if classes.are_numbered
        else (" < " if classes.ordered and not classes.cuts else ", ").join(classes.names)
    )
    parts = {
        "target": f"{target.name} ({named}; {target.labelled:,} rows have a label)",
        **{part: getattr(guess, part) for part in ("text", "vectors", "columns", "id", "group", "source", "split")},
        "other labels": guess.other_labels,
        "not used": guess.unused,
    }
    shown = {part: _listed(value) if isinstance(value, tuple) else value for part, value in parts.items()}
    return [f"{file}: {guess.rows:,} rows", *(f"  {part:<13} {value}" for part, value in shown.items() if value)]


def _listed(names: tuple[str, ...]) -> str:
    if len(names) <= MAX_LISTED:
        return ", ".join(names)
    return f"{first_few(names, MAX_LISTED // 2)} ({len(names):,} in all)"


def _write(suite: Path, file: str, guess: "Guess", columns: list[str]) -> None:
    """Write the suite, and the schema for editors beside it."""
    from harness.suite.draft import write_draft
    from harness.suite.schema import TITLE, suite_schema

    path = file
    if (
        not file.startswith(("hub:", "twin:"))
        and not Path(file).is_absolute()
        and suite.parent.absolute() != Path.cwd()
    ):
        path = str(Path(file).absolute())
    suite.parent.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", suite.stem).lstrip("._-") or "suite"
    with suite.open("x") as out:
        out.write(write_draft(guess, name, path, columns, SCHEMA_FILE))
    schema = suite.with_name(SCHEMA_FILE)
    if not schema.exists() or f'"title": "{TITLE}"' in schema.read_text(errors="replace"):  # of another time
        schema.write_text(json.dumps(suite_schema(catalog.discover()), indent=1) + "\n")
    print(f"wrote {suite}; an editor completes it by {schema}")


def _validate(suite: Path, options: "Options") -> None:
    """Check the suite and its data as `harness validate` does."""
    from harness.run.runner import cache_of, load_data, with_line
    from harness.suite.suite import load_suite

    plugins = catalog.discover()
    checked = load_suite(suite, plugins)
    try:
        load_data(checked, plugins, cache_of(options), options, lambda line: None)
    except DataError as error:
        raise with_line(error, checked) from error
    tally = format_tally({"labelers": len(checked.labelers), "blocks": len(checked.blocks)})
    print(f"{suite}: ok ({tally})")
