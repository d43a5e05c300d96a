"""A table as Markdown, as LaTeX and as CSV."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd

from interpjax.comparison.statistics import DECIMALS, Difference, Mean
from interpjax.tables.cells import Line
from interpjax.tables.choosing import are_apart
from interpjax.tables.table import Table

HEADINGS = {
    "accuracy": "accuracy, %",
    "validation_accuracy": "validation accuracy, %",
    "top5": "top-5 accuracy, %",
    "interpretability_score": "score",
    "calibrated": "calibrated",
    "by_chance": "by chance",
    "zero_groups": "zero groups, %",
    "zero_weights": "zero weights, %",
    "rud": "RUD",
}
WORDS = "Means over seeds with 95 % t-intervals."
WORDS_OF_COLUMNS = {
    "interpretability_score": "*score*: unique detectors, summed over layers",
    "calibrated": (
        "*calibrated*: unique detectors above the IoU that shuffled labels reach in 5 % of draws, summed over layers"
    ),
    "by_chance": "*by chance*: the score of shuffled labels",
    "untrained": "*untrained*: that of the network with the random weights of the seed",
    "zero_groups": "*zero groups*: the mean over layers",
    "zero_weights": "*zero weights*: of all convolutions together",
    "rud": "*RUD*: unique detectors for each unit",
}
WORDS_OF_DIFFERENCES = """Each row minus the first of its section, seed by seed, with 95 % t-intervals; p is that of the
exact sign-flip test, two-sided, and *smallest p* what it can give at so many seeds. It is not corrected for the number
of comparisons."""
WORDS_OF_APART = """† The accuracies are more than one percentage point apart, so nothing follows from the scores."""
ESCAPED = {"\\": r"\textbackslash ", "%": r"\%", "&": r"\&", "_": r"\_", "#": r"\#", "$": r"\$"}
ESCAPED |= {"{": r"\{", "}": r"\}", "~": r"\textasciitilde ", "^": r"\textasciicircum ", "|": r"\textbar "}
ESCAPED |= {"<": r"\textless ", ">": r"\textgreater ", "±": r"$\pm$", "–": "--", "†": r"$\dag$"}
ESCAPED |= {"₁": "$_1$", "₂": "$_2$"}


def to_markdown(table: Table, lines: Sequence[Line], notes: Sequence[str] = ()) -> str:
    """The table, the differences from the baselines, what the words mean, and some notes on its runs."""
    return "\n".join(
        [
            f"## {table.title}",
            "",
            _markdown(_header(table), _cells(table, lines)),
            "",
            _words(table),
            *([] if table.search else _differences(table, lines)),
            *(each for note in (table.notes, *notes) if note for each in ("", note)),
            "",
        ]
    )


def _words(table: Table) -> str:
    """What the columns that the table has mean."""
    columns = [words for name, words in WORDS_OF_COLUMNS.items() if name in table.columns]
    published = " *published* is of single runs." if _published(table) else ""
    return "\n".join(textwrap.wrap(f"{WORDS} {'; '.join(columns)}{'.' if columns else ''}{published}".strip(), 120))


def _differences(table: Table, lines: Sequence[Line]) -> list[str]:
    if not any(line.differences for line in lines):
        return []
    words = [WORDS_OF_DIFFERENCES, *([WORDS_OF_APART] if any(map(is_apart, lines)) else [])]
    return ["", _markdown(_difference_header(table), _difference_cells(table, lines)), "", *words]


def is_apart(line: Line) -> bool:
    """Whether its accuracy is more than one percentage point from its baseline's, so that scores tell nothing."""
    return are_apart(line.apart)


def row_name(line: Line) -> str:
    """The name of a row, with a mark where its scores tell nothing."""
    return f"{line.row.name} †" if is_apart(line) else line.row.name


def to_latex(table: Table, lines: Sequence[Line]) -> str:
    """The table as a ``tabular`` of booktabs, with a rule between sections."""
    header = _header(table)
    rows, section = [], lines[0].row.section
    for line, cells in zip(lines, _cells(table, lines), strict=True):
        if line.row.section != section:
            rows.append(r"\midrule")
            section = line.row.section
        rows.append(" & ".join(map(_escape, cells)) + r" \\")
    head = " & ".join(map(_escape, header)) + r" \\"
    columns = "ll" + "r" * (len(header) - 2)
    apart = rf"\multicolumn{{{len(header)}}}{{l}}{{{_escape(WORDS_OF_APART)}}} \\"
    foot = [r"\bottomrule", *([apart] if any(map(is_apart, lines)) else []), r"\end{tabular}", ""]
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *rows, *foot])


def to_csv(table: Table, lines: Sequence[Line]) -> str:
    """The same numbers for machines: a row for each row and column of the table."""
    found = []
    for line in lines:
        for name in table.columns:
            own: dict[str, Any] = {"section": line.row.section, "row": line.row.name, "column": name}
            own |= line.means[name]._asdict() if name in line.means else {"seeds": 0}
            if name in line.differences:
                apart = line.differences[name]
                own |= {f"difference_{key}": value for key, value in apart.difference._asdict().items()}
                own["p"] = apart.p
            own["accuracy_apart"] = line.apart
            found.append(own | {"published": line.row.published.get(name, math.nan)})
    return pd.DataFrame(found).to_csv(index=False)


def _published(table: Table) -> list[str]:
    return [name for name in table.columns if any(name in row.published for row in table.rows)]


def _header(table: Table) -> list[str]:
    known = _published(table)
    columns = [
        h
        for name in table.columns
        for h in (_heading(name), *([f"{_heading(name)}, published"] if name in known else []))
    ]
    return ["", "", "seeds", *columns]


def _cells(table: Table, lines: Sequence[Line]) -> list[list[str]]:
    known, found = _published(table), []
    for number, line in enumerate(lines):
        repeated = number > 0 and lines[number - 1].row.section == line.row.section
        cells = ["" if repeated else line.row.section, row_name(line)]
        cells.append(str(line.seeds))
        for name in table.columns:
            cells.append(_mean(line.means[name], line.seeds) if name in line.means else "–")
            if name in known:
                cells.append(f"{line.row.published[name]:g}" if name in line.row.published else "–")
        found.append(cells)
    return found


def _difference_header(table: Table) -> list[str]:
    return ["", "", "seeds", "smallest p", *(h for name in table.columns for h in (_heading(name), "p"))]


def _difference_cells(table: Table, lines: Sequence[Line]) -> list[list[str]]:
    found = []
    for line in lines:
        if line.differences:
            most = max(line.differences.values(), key=lambda each: each.difference.seeds)
            seeds = most.difference.seeds
            cells = [line.row.section, row_name(line), str(seeds), "–" if seeds == 1 else f"{most.smallest_p:.2g}"]
            for name in table.columns:
                apart = line.differences.get(name)
                cells += ["–", "–"] if apart is None else [_mean(apart.difference, seeds, "+.4g"), _p(apart)]
            found.append(cells)
    return found


def _p(apart: Difference) -> str:
    """The p of a difference; a dash for a single pair, of which it can only be 1."""
    return f"{apart.p:.2g}" if apart.smallest_p < 1 else "–"


def _mean(mean: Mean, seeds: int, form: str = ".4g") -> str:
    """As ``17.3 ± 0.6``, see :func:`with_reach`; ``seeds`` are those of the row."""
    value = mean.value if abs(mean.value) >= 10**-DECIMALS else 0.0  # what is left of numbers that cancel out
    reach = f"{mean.reach:{'.0f' if mean.reach >= 99.5 else '.2g'}}"
    return with_reach(mean, f"{value:{form}}", reach, seeds)


def with_reach(mean: Mean, value: str, reach: str, seeds: int) -> str:
    """A mean with half the width of its interval, both as they are written.

    Of one seed alone no interval, and none of equal values, where it says nothing; with the number of its seeds where
    that is another than ``seeds``.
    """
    fewer = f" ({mean.seeds} seed{'' if mean.seeds == 1 else 's'})" if mean.seeds != seeds else ""
    if not mean.has_interval:
        return f"{value}{' (all equal)' if mean.all_equal else ''}{fewer}"
    return f"{value} ± {reach}{fewer}"


def _heading(name: str) -> str:
    return HEADINGS.get(name, name.replace("calibrated/", "calibrated, "))


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    ruled = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in ruled)


def _escape(text: str) -> str:
    return "".join(ESCAPED.get(letter, letter) for letter in text)
