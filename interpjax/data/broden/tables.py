"""The tables of Broden: categories, labels, what each label covers, and the rows of ``index.csv``."""

import csv
import dataclasses
import io
import math
import re
from pathlib import Path

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
      UserError: naming the file, and row and value where there are such, if a file is missing, empty, not UTF-8 or no
        table, a column is missing, a number is none or out of range, an image, a category, a label or its name is
        listed twice, a label is in no category, a cell has a negative number or a fraction, or no row carries a label.
    """
    categories = read_categories(folder)
    labels = _read_csv(folder / "label.csv", ["number", "name"])
    _require_names(labels, "name", folder / "label.csv")
    labels = labels.assign(number=_label_numbers(labels, folder / "label.csv")).sort_values("number")
    numbers = labels["number"].tolist()
    if not numbers:
        raise UserError(f"{folder}/label.csv lists no label; expected one at least")
    coverage = _read_coverage(folder, categories, numbers)
    concepts = pd.DataFrame(
        {"number": numbers, "name": labels["name"].to_numpy(), "category": primary_categories(coverage).to_numpy()}
    )
    rows, unlabelled = _read_rows(folder / "index.csv", categories, frozenset(numbers))
    if not rows:
        raise UserError(f"{folder}/index.csv: no row carries a label")
    return Tables(categories, concepts, coverage, rows, tuple(unlabelled))


def read_categories(folder: Path) -> tuple[str, ...]:
    """The names in ``category.csv``; raises UserError as :func:`read`."""
    file = folder / "category.csv"
    table = _read_csv(file, ["name"])
    _require_names(table, "name", file)
    if table.empty:
        raise UserError(f"{file} lists no category; expected one at least")
    return tuple(table["name"])


def file_names(categories: tuple[str, ...]) -> tuple[str, ...]:
    """The files that the tables are in."""
    return ("index.csv", "category.csv", "label.csv", *(f"c_{category}.csv" for category in categories))


def _read_coverage(folder: Path, categories: tuple[str, ...], numbers: list[int]) -> pd.DataFrame:
    columns = {}
    for category in categories:
        file = folder / f"c_{category}.csv"
        table = _read_csv(file, ["number", "coverage"])
        covered = pd.Series(_coverages(table, file), index=_label_numbers(table, file), dtype=float)
        columns[category] = covered.reindex(numbers)
    coverage = pd.DataFrame(columns, index=pd.Index(numbers, name="number"))
    homeless = coverage.index[coverage.isna().all(axis=1)]
    if len(homeless):
        raise UserError(f"{folder}/label.csv: the label {homeless[0]} is in no c_<category>.csv")
    return coverage


def _read_rows(file: Path, categories: tuple[str, ...], known: frozenset[int]) -> tuple[list[Row], list[str]]:
    index = _read_csv(file, [*INDEX_COLUMNS, *categories])
    _require_names(index, "image", file)
    sizes = {column: _whole_numbers(index, column, file) for column in INDEX_COLUMNS[1:]}
    rows: list[Row] = []
    unlabelled: list[str] = []
    for i, (row, entries) in enumerate(zip(index.index, index.to_dict("records"), strict=True)):
        image, where = entries["image"], f"{file} row {row} ({entries['image']})"
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
        numeric = [entry for entry in entries if isinstance(entry, str) and re.fullmatch(r"[-+]?[0-9.]+", entry)]
        if numeric:
            raise UserError(f"{where}: {category} = {numeric[0]!r}; expected a label's number, or a file below images/")
        unknown = [entry for entry in entries if isinstance(entry, int) and entry not in known and entry != 0]
        if unknown:
            raise UserError(f"{where}: {category} label {unknown[0]} is not in label.csv")
        kept = tuple(entry for entry in entries if entry != 0)  # the published data have 0 where a label was dropped
        if kept:
            cells[category] = kept
    return cells


def _read_csv(file: Path, columns: list[str]) -> pd.DataFrame:
    """A table of strings, by number of row; the header is row 1, and rows without any cell are left out.

    Read without pandas, which fills up rows that are too short, and takes the first column of longer ones for names.
    """
    if not file.is_file():
        raise UserError(f"{file} is missing")
    header, rows = _header_and_rows(file)
    missing = [column for column in columns if column not in header]
    if missing:
        raise UserError(f"{file}: the column {missing[0]!r} is missing; it has {', '.join(header)}")
    doubled = [column for column in columns if header.count(column) > 1]
    if doubled:
        raise UserError(f"{file}: the column {doubled[0]!r} is there {header.count(doubled[0])} times; expected once")
    for row, cells in rows.items():
        if len(cells) != len(header):
            raise UserError(f"{file} row {row}: has {len(cells)} cells; expected {len(header)}, as the header has")
    return pd.DataFrame(list(rows.values()), index=list(rows), columns=header, dtype=str)


def _header_and_rows(file: Path) -> tuple[list[str], dict[int, list[str]]]:
    content = file.read_bytes()
    if not content.strip():
        raise UserError(f"{file} is empty; expected a header, and a row for each entry")
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        rows = {row: cells for row, cells in enumerate(lines, start=1) if cells}
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{file} line {line}: the byte {content[error.start]:#04x}; expected UTF-8") from error
    except csv.Error as error:
        raise UserError(f"{file} line {lines.line_num}: {error}; expected cells with commas between") from error
    if 1 not in rows:
        raise UserError(f"{file} begins with an empty line; expected a header")
    return rows.pop(1), rows


def _require_names(table: pd.DataFrame, column: str, file: Path) -> None:
    """Raises UserError if a name is empty or is there twice."""
    names = table[column]
    for row in names.index[names == ""]:
        raise UserError(f"{file} row {row}: {column} is empty; expected a name")
    for row in names.index[names.duplicated()]:
        first = names.index[names == names[row]][0]
        raise UserError(f"{file} row {row}: {column} = {names[row]!r} is in row {first} already; expected once")


def _label_numbers(table: pd.DataFrame, file: Path) -> list[int]:
    numbers = pd.Series(_whole_numbers(table, "number", file), index=table.index, dtype=int)
    for row in numbers.index[numbers.duplicated()]:
        raise UserError(f"{file} row {row}: the label {numbers[row]} is listed twice; expected once")
    return numbers.tolist()


def _whole_numbers(table: pd.DataFrame, column: str, file: Path) -> list[int]:
    for row, text in table[column].items():
        if not re.fullmatch(r" *0*[1-9][0-9]{0,8} *", text):
            raise UserError(f"{file} row {row}: {column} = {text!r}; expected a whole number from 1 to 999999999")
    return [int(text) for text in table[column]]


def _coverages(table: pd.DataFrame, file: Path) -> list[float]:
    found = []
    for row, text in table["coverage"].items():
        try:
            found.append(float(text))
        except ValueError:
            found.append(math.nan)
        if not 0 <= found[-1] < math.inf:
            raise UserError(f"{file} row {row}: coverage = {text!r}; expected a finite number of 0 or more")
    return found
