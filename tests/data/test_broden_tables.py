"""What is wrong with Broden's tables is refused by name, by the reader and by the builder."""

import broden_layout
import pandas as pd
import pytest

from interpjax.data import build_broden, load_broden
from interpjax.errors import UserError

TABLES = ["category.csv", "label.csv", "c_object.csv", "index.csv"]
B_ROW = "\nb.jpg,train,32,32,16,16,b_color.png,,4"
WHOLE = "expected a whole number from 1 to 999999999"


@pytest.fixture
def folder(tmp_path):
    return broden_layout.make_broden(tmp_path / "broden")


def edit(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def refused(folder, message):
    with pytest.raises(UserError, match=message):
        load_broden(folder)
    with pytest.raises(UserError, match=message):
        build_broden(folder, folder.parent / "built")


@pytest.mark.parametrize("name", TABLES)
def test_missing_tables_are_named(folder, name):
    (folder / name).unlink()
    refused(folder, name)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\n"])
def test_empty_tables_are_named(folder, name, content):
    (folder / name).write_bytes(content)
    refused(folder, rf"{name} is empty; expected a header, and a row for each entry")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("category.csv", "category.csv lists no category; expected one at least"),
        ("label.csv", "label.csv lists no label; expected one at least"),
        ("c_object.csv", "label.csv: the label 300 is in no c_<category>.csv"),
        ("index.csv", "index.csv: no row carries a label"),
    ],
)
def test_tables_of_a_header_alone_are_named(folder, name, message):
    (folder / name).write_text((folder / name).read_text().splitlines()[0] + "\n")
    refused(folder, message)


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_are_not_utf8_are_named_with_line_and_byte(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content.replace(b"\n", b"\nstra\xdfe", 1))
    refused(folder, rf"{name} line 2: the byte 0xdf; expected UTF-8")
    (folder / name).write_bytes(content.decode().encode("utf-16"))
    refused(folder, rf"{name} line 1: the byte 0xff; expected UTF-8")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_names_beyond_ascii_are_read_and_a_byte_order_mark_is_no_part_of_the_header(folder, encoding):
    for name in TABLES:
        text = (folder / name).read_text().replace("street-s", "Straße")
        (folder / name).write_text(text, encoding=encoding)
    assert "Straße" in load_broden(folder).concepts["name"].tolist()


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("index.csv", "sh,sw", "sh,s_w", r"index.csv: the column 'sw' is missing; it has image,.*, s_w, color"),
        ("index.csv", "sh,sw", "sh,sh,sw", r"index.csv: the column 'sh' is there 2 times; expected once"),
        ("category.csv", "name,first", "title,first", r"category.csv: the column 'name' is missing; it has title, f"),
        ("index.csv", ",,4\n", ",4\n", r"index.csv row 3: has 8 cells; expected 9, as the header has"),
        ("index.csv", ",,4\n", ",,4,\n", r"index.csv row 3: has 10 cells; expected 9, as the header has"),
        ("label.csv", "wheel", '"wheel', r"label.csv line 5: .*; expected cells with commas between"),
        ("label.csv", "number,name", "\nnumber,name", r"label.csv begins with an empty line; expected a header"),
        ("category.csv", "\nscene,4,4", "\ncolor,4,4", "category.csv row 4: name = 'color' is in row 2 already; exp"),
        ("category.csv", "\nscene,4,4", "\n,4,4", "category.csv row 4: name is empty; expected a name"),
        ("label.csv", "2,blue-c", "2,red-c", r"label.csv row 3: name = 'red-c' is in row 2 already; expected once"),
        ("label.csv", "2,blue-c", "2,", r"label.csv row 3: name is empty; expected a name"),
        ("index.csv", ",,4\n", ",,-4\n", r"index.csv row 3 \(b.jpg\): scene = '-4'; expected a label's number, or a f"),
        ("index.csv", ",,4\n", ",,4.0\n", r"index.csv row 3 \(b.jpg\): scene = '4.0'; expected a label's number, or"),
        ("label.csv", "\n2,blue", "\n1,blue", r"label.csv row 3: the label 1 is listed twice; expected once"),
        ("label.csv", "\n2,blue", "\n7,blue", r"label.csv: the label 7 is in no c_<category>.csv"),
        ("label.csv", "\n2,blue", "\n0,blue", rf"label.csv row 3: number = '0'; {WHOLE}"),
        ("c_color.csv", "2,2,blue-c", "2,1,blue-c", r"c_color.csv row 3: the label 1 is listed twice; expected once"),
        ("c_color.csv", "2,2,blue-c", "2,2.0,blue-c", rf"c_color.csv row 3: number = '2.0'; {WHOLE}"),
        ("index.csv", B_ROW, 2 * B_ROW, r"index.csv row 4: image = 'b.jpg' is in row 3 already; expected once"),
        ("index.csv", "\nbare.jpg", "\na.jpg", r"index.csv row 5: image = 'a.jpg' is in row 2 already"),
        ("index.csv", "\nbare.jpg", "\n\na.jpg", r"index.csv row 6: image = 'a.jpg' is in row 2 already"),
        ("index.csv", "\nbare.jpg", "\n", r"index.csv row 5: image is empty; expected a name"),
    ],
)
def test_wrong_tables_are_refused_with_row_and_value(folder, name, old, new, message):
    edit(folder / name, old, new)
    refused(folder, message)


@pytest.mark.parametrize("value", ["0", "-16", "16.0", "1_6", "", "big", "nan", "1e2", "9" * 30])
@pytest.mark.parametrize("column", ["ih", "iw", "sh", "sw"])
def test_sizes_that_are_none_are_named_with_row_and_column(folder, column, value):
    table = pd.read_csv(folder / "index.csv", dtype=str, keep_default_na=False)
    table.loc[1, column] = value
    table.to_csv(folder / "index.csv", index=False)
    refused(folder, rf"index.csv row 3: {column} = '{value}'; {WHOLE}")


@pytest.mark.parametrize("value", ["", "nan", "inf", "-0.5", "half"])
def test_coverages_that_are_none_are_named_with_their_row(folder, value):
    edit(folder / "c_color.csv", "2,2,blue-c,3,1.0", f"2,2,blue-c,3,{value}")
    refused(folder, rf"c_color.csv row 3: coverage = '{value}'; expected a finite number of 0 or more")
