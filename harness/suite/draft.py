"""Write the first suite of a table, with a comment on every choice."""

import json
import re
from collections.abc import Sequence

from harness.data.classes import Value, write_value
from harness.data.guess import Guess
from harness.suite.suite import BLOCK_NAME

PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")  # needs no quotes in YAML
NOT_TEXT = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}  # in YAML 1.2 or in 1.1
MANY_LABELS = 50_000  # of more, a first board takes a sample
FIRST_SAMPLE = 20_000
WORD_DIMENSIONS = {5_000: 256, 500: 64, 0: 16}  # of so many rows: few texts have few words
MANY_STEPS = 5_000  # labels; with fewer an epoch has too few steps to lose patience after ten
MIN_PATTERN = 4  # columns x_0, x_1, ... that are written as one pattern
WIDTH = 110


def write_draft(guess: Guess, name: str, path: str, columns: Sequence[str], schema: str) -> str:
    """Return the text of a suite; `schema` is the file for editors.

    `columns` are all of the table.
    """
    blocks = _blocks(guess, columns)
    parts = [
        f"# yaml-language-server: $schema={schema}",
        f"# Which method labels {path} best? Written by `harness init`; every line is yours to change.",
        "version: 1",
        f"name: {name}",
        *_data(guess, path),
        *_population(guess),
        "blocks:   # the groups of columns that labelers work on",
        *(f"  {block}: {maker}" for block, maker in blocks.items()),
        *_splits(guess),
        *_labelers(guess, blocks),
        "metrics: {primary: accuracy}   # what ranks; or macro_f1, where rare classes count as much as common ones",
    ]
    return "\n".join(parts) + "\n"


def _data(guess: Guess, path: str) -> list[str]:
    target = guess.target
    labels = f"{target.labelled:,} of {guess.rows:,} rows have a label"
    order = ", in their order; 'ordered: false' if they are mere names" if target.classes.ordered else ""
    order = order if len(target.classes) > 2 else ""  # of two the order changes nothing
    if target.classes.are_numbered:
        order = f", 0 to {len(target.classes) - 1}{order}"
    lines = [
        "data:",
        f"  path: {_text(path)}",
        f"  target: {_text(target.name)}   # {labels}",
    ]
    if target.classes.cuts:
        cuts = ", ".join(f"{cut:.15g}" for cut in target.classes.cuts)
        lines.append(f"  cut: [{cuts}]   # thresholds of the score: low, middle, high, a third of the labels each")
        lines.append("  # cut: {shares: [0.33, 0.34, 0.33]}   # or this: thirds of each train set alone")
    else:
        lines.append(f"  classes: {_list(target.classes.values)}   # the values of the target{order}")
    if not target.classes.ordered:
        lines.append("  ordered: false   # if the classes have an order, list them in it and write true")
    if target.missing:
        shown = _value(target.missing[0]) if len(target.missing) == 1 else _list(target.missing)
        lines.append(f"  missing: {shown}   # of the target: a row that holds this has no label")
    roles = {
        "id": "names each row: splits depend on it, not on the order of the rows",
        "text": "conversations, or texts" if len(guess.text) == 1 else "a conversation, a column a turn",
        "source": "scores are also reported by source",
        "group": "rows of one group are never on both sides of a split",
    }
    for part, meaning in roles.items():
        column = getattr(guess, part)
        if column:
            names = list(map(_text, column if isinstance(column, tuple) else [column]))
            shown = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
            lines.append(f"  {part}: {shown}   # {meaning}")
    if guess.split is not None:
        name = _text(guess.split)
        lines += [
            f"  # {name} names a split of its own. It is no input, and the splits below are drawn anew: one split",
            f"  # tests no ranks. To score by it: {{splitter: column, column: {name}, train: [train], test: [test]}}",
        ]
    if guess.other_labels:
        lines.append(f"  # No inputs, since they look like labels too: {', '.join(map(_text, guess.other_labels))}.")
    if guess.unused:
        lines += _wrapped("  # Not used: ", list(map(_text, guess.unused)), "  #   ", ".")
    return lines


def _population(guess: Guess) -> list[str]:
    if guess.target.labelled <= MANY_LABELS:
        return []
    return [
        f"population: {{take: stratified, n: {FIRST_SAMPLE}}}   # for a quick first board; without this line, all rows",
    ]


def _blocks(guess: Guess, columns: Sequence[str]) -> dict[str, str]:
    """Return {name of a block: how it is made}."""
    blocks: dict[str, str] = {}
    for column in guess.vectors:
        name = column if BLOCK_NAME.fullmatch(column) else f"vectors{len(blocks) + 1}"
        blocks[name] = f"{{embedder: column, column: {_text(column)}}}"
    if guess.text:
        if not guess.vectors:
            dim = next(dim for rows, dim in WORD_DIMENSIONS.items() if guess.rows >= rows)
            words = (
                f"{{embedder: hashing_svd, dim: {dim}}}   # vectors of the words in the texts: nothing is downloaded"
            )
            blocks[_free("words", blocks)] = words
        blocks[_free("surface", blocks)] = "{features: text_v1}   # lengths, layout and style of the texts"
    if guess.columns:
        names = list(map(_text, _patterns(guess.columns, columns)))
        line = _wrapped("{features: columns, columns: [", names, "      ", "]}")
        blocks[_free("columns", blocks)] = "\n".join(line)
    if guess.source is not None:
        blocks[_free("source", blocks)] = f"{{features: one_hot, columns: [{_text(guess.source)}]}}"
    return blocks


def _free(name: str, blocks: dict[str, str]) -> str:
    return name if name not in blocks else f"{name}_block"


def _splits(guess: Guess) -> list[str]:
    n = min(guess.target.labelled, FIRST_SAMPLE) if guess.target.labelled > MANY_LABELS else guess.target.labelled
    ratios = [ratio for ratio in (0.1, 0.5) if ratio * n >= 100] or [0.6]
    test = 0.3
    trained = " and ".join(f"{ratio:.0%}".replace("%", " %") for ratio in ratios)
    return [
        f"splits:   # {test:.0%}".replace("%", " %")
        + f" of the labelled rows are locked away to test; {trained} of all train",
        f"  - {{splitter: nested, test: {test}, ratios: [{', '.join(map(str, ratios))}], seeds: [1, 2, 3]}}",
    ]


def _labelers(guess: Guess, blocks: dict[str, str]) -> list[str]:
    inputs = [name for name, maker in blocks.items() if "one_hot" not in maker]
    everything = inputs[0] if len(inputs) == 1 else f"[{', '.join(inputs)}]"
    preset = ", preset: fast" if guess.vectors else ""  # a fifth of the many columns at a time
    patience = ", patience: 10" if guess.target.labelled >= MANY_STEPS else ""
    lines = [
        "labelers:",
        "  - majority   # the floors: what no method may fall below",
        "  - prior",
    ]
    if guess.source is not None:
        (source,) = (name for name, maker in blocks.items() if "one_hot" in maker)
        lines.append(f"  - source_prior: {{on: {source}}}" if source != "source" else "  - source_prior")
    return [
        *lines,
        f"  - knn: {{on: {inputs[0]}}}   # the labels of the nearest rows",
        f"  - linear: {{on: {everything}}}   # logistic regression",
        f"  - gbm: {{on: {everything}, rounds: 300{preset}}}   # boosted trees",
        f"  - mlp: {{on: {everything}{patience}}}   # a network of two hidden layers",
    ]


def _patterns(chosen: Sequence[str], columns: Sequence[str]) -> list[str]:
    """Return names, with x_0, x_1, ... as "x_*" where it takes no other."""
    stems = {name: re.sub(r"\d+$", "", name) for name in chosen}
    names: dict[str, None] = {}
    for name, stem in stems.items():
        alike = [column for column in columns if stem and column.startswith(stem)]
        is_pattern = len(alike) >= MIN_PATTERN and set(alike) <= set(chosen) and not re.search(r"[*?\[]", stem)
        names[f"{stem}*" if is_pattern and stem != name else name] = None
    return list(names)


def _wrapped(start: str, words: Sequence[str], indent: str, end: str) -> list[str]:
    """Return lines of words with commas, none longer than WIDTH."""
    lines = [start]
    for i, word in enumerate(words):
        part = word + (", " if i < len(words) - 1 else end)
        if len(lines[-1]) + len(part) > WIDTH and lines[-1].strip():
            lines[-1] = lines[-1].rstrip()
            lines.append(indent)
        lines[-1] += part
    return lines


def _list(values: Sequence[Value]) -> str:
    """Return values as YAML; the whole numbers 0 to N - 1 as N."""
    if list(values) == list(range(len(values))) and not isinstance(values[0], bool):
        return str(len(values))
    return f"[{', '.join(map(_value, values))}]"


def _value(value: Value) -> str:
    return _text(value) if isinstance(value, str) else write_value(value)


def _text(text: str) -> str:
    """Return text as YAML reads it back, in quotes where it must be."""
    is_plain = PLAIN.fullmatch(text) and text.lower() not in NOT_TEXT
    return text if is_plain else json.dumps(text, ensure_ascii=False)
