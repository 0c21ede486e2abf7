"""Recognise other formats than parquet, with the command to convert them."""

from pathlib import Path

ARROW = "import pyarrow.feather as f, pyarrow.parquet as p; p.write_table(f.read_table({file!r}), {parquet!r})"
SIGNATURES = {
    b"ARROW1": ("an Arrow (Feather) file", f'python -c "{ARROW}"'),
    b"\x1f\x8b": ("compressed by gzip", "gunzip {file}"),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "unzstd {file}"),
    b"PK\x03\x04": ("a ZIP archive, as Excel files are", "export the table as CSV, and name that"),
    b"SQLite format 3": ("an SQLite data base", "export the table as CSV, and name that"),
}


def describe_format(file: Path) -> str | None:
    """Return what a file is and the command that converts it, or None."""
    with file.open("rb") as source:
        start = source.read(16)
    for signature, (words, command) in SIGNATURES.items():
        if start.startswith(signature):
            parquet = str(file.with_suffix(".parquet"))
            return f"is {words}, not parquet; convert it: {command.format(file=str(file), parquet=parquet)}"
    return None
