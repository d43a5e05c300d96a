"""The tables of Broden: categories, labels, what each label covers, and the rows of ``index.csv``."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from interpjax.data.concepts import primary_categories
from interpjax.errors import UserError

INDEX_COLUMNS = ["image", "ih", "iw", "sh", "sw"]
Cells = dict[str, tuple[str | int, ...]]  # by category: label maps below images/ and labels of the whole image


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """A row of ``index.csv`` that carries a label.

    Attributes:
      position: its number among the rows that do, from 0.
      where: file and row (the header being row 1) and image, for messages.
      image: name of the image.
      image_shape: (height, width) of the image.
      label_shape: (height, width) of the label maps.
      cells: what it carries, in the categories in which it carries something.
    """

    position: int
    where: str
    image: str
    image_shape: tuple[int, int]
    label_shape: tuple[int, int]
    cells: Cells


@dataclasses.dataclass(frozen=True)
class Tables:
    """All that the tables say.

    Attributes:
      categories: in the order of ``category.csv``.
      concepts: a row per label of ``label.csv``, by number: ``number``, ``name``, ``category`` (primary).
      coverage: by label number and category, NaN where ``c_<category>.csv`` does not list the label.
      rows: those that carry a label.
      unlabelled: images of those that carry none.
    """

    categories: tuple[str, ...]
    concepts: pd.DataFrame
    coverage: pd.DataFrame
    rows: list[Row]
    unlabelled: tuple[str, ...]


def read(folder: Path) -> Tables:
    """Reads the tables of a folder.

    Raises:
      UserError: naming the file, and row and value where there are such, if a file or a column is missing, a number
        is none, a label is listed twice or in no category, or no row carries a label.
    """
    categories = read_categories(folder)
    labels = _read_csv(folder / "label.csv", ["number", "name"])
    labels = labels.assign(number=_label_numbers(labels, folder / "label.csv")).sort_values("number")
    numbers = labels["number"].tolist()
    if not numbers:
        raise UserError(f"{folder}/label.csv lists no label")
    coverage = _read_coverage(folder, categories, numbers)
    concepts = pd.DataFrame(
        {"number": numbers, "name": labels["name"].to_numpy(), "category": primary_categories(coverage).to_numpy()}
    )
    rows, unlabelled = _read_rows(folder / "index.csv", categories, frozenset(numbers))
    if not rows:
        raise UserError(f"{folder}/index.csv: no row carries a label")
    return Tables(categories, concepts, coverage, rows, tuple(unlabelled))


def read_categories(folder: Path) -> tuple[str, ...]:
    """The names in ``category.csv``."""
    return tuple(_read_csv(folder / "category.csv", ["name"])["name"])


def file_names(categories: tuple[str, ...]) -> tuple[str, ...]:
    """The files that the tables are in."""
    return ("index.csv", "category.csv", "label.csv", *(f"c_{category}.csv" for category in categories))


def _read_coverage(folder: Path, categories: tuple[str, ...], numbers: list[int]) -> pd.DataFrame:
    columns = {}
    for category in categories:
        file = folder / f"c_{category}.csv"
        table = _read_csv(file, ["number", "coverage"])
        covered = _convert(table, "coverage", file, float)
        columns[category] = pd.Series(covered, index=_label_numbers(table, file), dtype=float).reindex(numbers)
    coverage = pd.DataFrame(columns, index=pd.Index(numbers, name="number"))
    homeless = coverage.index[coverage.isna().all(axis=1)]
    if len(homeless):
        raise UserError(f"{folder}/label.csv: the label {homeless[0]} is in no c_<category>.csv")
    return coverage


def _read_rows(file: Path, categories: tuple[str, ...], known: frozenset[int]) -> tuple[list[Row], list[str]]:
    index = _read_csv(file, [*INDEX_COLUMNS, *categories])
    sizes = {column: _convert(index, column, file, int) for column in INDEX_COLUMNS[1:]}
    rows: list[Row] = []
    unlabelled: list[str] = []
    for i, entries in enumerate(index.to_dict("records")):
        image, where = entries["image"], f"{file} row {i + 2} ({entries['image']})"
        cells = _cells({category: entries[category] for category in categories}, where, known)
        if cells:
            image_shape, label_shape = (sizes["ih"][i], sizes["iw"][i]), (sizes["sh"][i], sizes["sw"][i])
            rows.append(Row(len(rows), where, image, image_shape, label_shape, cells))
        else:
            unlabelled.append(image)
    return rows, unlabelled


def _cells(texts: dict[str, str], where: str, known: frozenset[int]) -> Cells:
    cells: Cells = {}
    for category, text in texts.items():
        entries = [int(entry) if entry.isdecimal() else entry for entry in text.split(";") if entry]
        unknown = [entry for entry in entries if isinstance(entry, int) and entry not in known and entry != 0]
        if unknown:
            raise UserError(f"{where}: {category} label {unknown[0]} is not in label.csv")
        kept = tuple(entry for entry in entries if entry != 0)  # the published data have 0 where a label was dropped
        if kept:
            cells[category] = kept
    return cells


def _read_csv(file: Path, columns: list[str]) -> pd.DataFrame:
    if not file.is_file():
        raise UserError(f"{file} is missing")
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise UserError(f"{file}: the column {missing[0]!r} is missing; it has {', '.join(table.columns)}")
    return table


def _label_numbers(table: pd.DataFrame, file: Path) -> list[int]:
    numbers = pd.Index(_convert(table, "number", file, int))
    if numbers.has_duplicates:
        raise UserError(f"{file}: the label {numbers[numbers.duplicated()][0]} is listed twice")
    return numbers.tolist()


def _convert(table: pd.DataFrame, column: str, file: Path, number: Callable[[str], Any]) -> list[Any]:
    values = []
    for row, text in enumerate(table[column], start=2):
        try:
            values.append(number(text))
        except ValueError as error:
            raise UserError(f"{file} row {row}: {column} = {text!r} is no number") from error
    return values
