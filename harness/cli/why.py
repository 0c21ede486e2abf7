"""Why a cell runs again, or would."""

from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.options import Device, Json, Output, Plugin, Threads, TwinRows, load_suites, make_reporter, open_run
from harness.errors import HarnessError, did_you_mean


def why(
    cell: Annotated[str, typer.Argument(help="The first digits of a cell's key, or the name of a labeler.")],
    suite: Annotated[
        Path | None, typer.Argument(metavar="[SUITE]", help="The suite to plan; else runs/ alone.")
    ] = None,
    threads: Threads = 0,
    device: Device = "auto",
    twin_rows: TwinRows = None,
    output: Output = Path(),
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Explain why a cell runs again: what differs between its key and that of the finished cell most like it.

    With a SUITE the cells it plans are explained; without, a finished cell is compared with its predecessor in runs/.
    """
    talk = make_reporter(as_json)
    if suite is None:
        _of_runs(talk, cell, output / "runs")
        return
    from harness.run import runner

    options = runner.Options(output, 1, threads, device=device, twin_rows=twin_rows)
    loaded, found = load_suites(suite, plugin)
    readies = [open_run(talk, each, found, options) for each in loaded.suites]
    planned = [(ready, each) for ready in readies for each in ready.cells if _matches(cell, each)]
    if not planned:
        titles = {each.candidate.title for ready in readies for each in ready.cells}
        raise HarnessError(
            f"{suite}: plans no cell {cell!r}; give the first digits of a key{did_you_mean(cell, titles)}"
        )
    for ready, each in planned:
        _explain(talk, ready, each)


def _matches(asked: str, cell: Any) -> bool:
    return cell.candidate.title == asked or (bool(asked) and cell.key.startswith(asked))


def _explain(talk: Any, ready: Any, cell: Any) -> None:
    from harness.run.key_diff import explain

    failure = ready.store.failure(cell.key)
    if ready.store.has(cell.key):
        _print_explanation(talk, cell.key, str(cell), "finished: it would not run again", None, [])
    elif failure:
        _print_explanation(
            talk, cell.key, str(cell), f"would run again because it {failure['status']}: {failure['reason']}", None, []
        )
    else:
        before, found = explain(cell, ready.store)
        state = "would run" if before is None else "would run again"
        _print_explanation(talk, cell.key, str(cell), state, before, found)


def _of_runs(talk: Any, asked: str, folder: Path) -> None:
    from harness.run.key_diff import differences, most_similar, read_finished
    from harness.run.store import Store

    stores = [Store(path.parent) for path in sorted(folder.glob("*/cells"))]
    known = {store.folder.name: read_finished(store) for store in stores}
    meant = [(name, each) for name, cells in known.items() for each in cells if each.key.startswith(asked)]
    if not asked or not meant:
        raise HarnessError(f"{folder}: no finished cell has a key that begins with {asked!r}; name the suite as well")
    for name, each in meant:
        if not each.parts:
            _print_explanation(
                talk, each.key, str(each), "finished, before the parts of a key were written down", None, []
            )
            continue
        before = most_similar(each.parts, each.key, each.split, known[name])
        found = [] if before is None else differences(before.parts, each.parts)
        _print_explanation(talk, each.key, str(each), "finished", before, found)


def _print_explanation(talk: Any, key: str, name: str, state: str, before: Any, found: list[str]) -> None:
    if talk.as_json:
        like = None if before is None else before.key
        talk.event("why", cell=key, what=name, state=state, like=like, differences=found)
        return
    talk.line(f"{key[:12]}  {name}: {state}")
    if before is not None:
        talk.line(f"  most like it: {before.key[:12]}  {before}; it differs in")
        for sentence in found:
            talk.line(f"  - {sentence}")
    elif state == "would run":
        talk.line("  no finished cell is of this labeler, with the parts of its key written down")
