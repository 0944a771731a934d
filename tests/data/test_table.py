import numpy as np
import pytest

from minidl.data.table import (
    Format,
    find_facts,
    parse_number,
    read_names,
    read_numbers,
    read_table,
)
from minidl.errors import DataError


@pytest.fixture
def write(tmp_path):
    def made(text, encoding="utf-8"):
        path = tmp_path / "t.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return made


def refusal(read, path, *args):
    with pytest.raises(DataError) as caught:
        read(path, *args)
    return str(caught.value).replace(str(path), "t.csv")


def test_columns_are_read_as_what_they_hold(write):
    path = write('a, b ,c\n1,"x, y",2\n-1.5e3, z ,3\n\n0,"x, y",4\n')
    table = read_table(path, Format(), {"b": "categorical", "a": "numeric"}, {})
    assert len(table) == 3
    assert table.numbers("a").tolist() == [1, -1500, 0]
    assert table.labels("b").codes.tolist() == [0, 1, 0]
    assert table.labels("b").names == ("x, y", "z")
    assert table.where(2, "b") == f"{path}:5:2: column 'b'"


def test_missing_values_are_kept_as_such_or_refused(write):
    path = write("a,b\n1,x\n?,?\n")
    form = Format(missing_values=frozenset("?"))
    kinds = {"a": "numeric", "b": "categorical"}
    table = read_table(path, form, kinds, {})
    assert np.isnan(table.numbers("a")[1]) and table.labels("b").codes[1] == -1
    assert refusal(read_table, path, form, kinds, {"b": "fill it in"}) == (
        "t.csv:3:2: column 'b': the value is missing; fill it in"
    )


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("x", "'x' is not a number"),
        ("1_000", "'1_000' is not a number"),
        ("1,5", "'1,5' is not a number"),
        ("inf", "'inf' is not a finite number"),
        ("nan", "'nan' is not a finite number"),
        ("1e999", "'1e999' is not a finite number"),
    ],
)
def test_what_is_no_finite_number_is_named_with_its_place(write, cell, problem):
    path = write(f'a,b\n1,2\n3,"{cell}"\n')
    kinds = {"a": "numeric", "b": "numeric"}
    assert refusal(read_table, path, Format(), kinds, {}) == f"t.csv:3:2: column 'b': {problem}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.csv: is empty"),
        ("\n\n", "t.csv: is empty"),
        ("a,b\n", "t.csv: has no rows of data"),
        (
            "a,b\n1,2\n1,2,3\n",
            "t.csv:3: 3 cells where 2 columns are named; are delimiter and quotes right?",
        ),
        (
            "a,b\n1,2\n1\n",
            "t.csv:3: 1 cells where 2 columns are named; are delimiter and quotes right?",
        ),
        ("a,a\n1,2\n", "t.csv:1: 'a' names two columns"),
        ("a,\n1,2\n", "t.csv:1: column 2 has no name"),
        ('a,b\n1,"2\n', "t.csv:2: not a CSV row: unexpected end of data"),
        ('a,b\n1,"2"3\n', "t.csv:2: not a CSV row: ',' expected after '\"'"),
        ("x,b\n1,2\n", "t.csv: has no column 'a' (it has x, b)"),
    ],
)
def test_malformed_files_are_refused(write, text, message):
    assert refusal(read_table, write(text), Format(), {"a": "numeric"}, {}) == message


def test_text_that_is_not_utf_8_is_refused(write):
    path = write("a,b\n1,2\ncafé,3\n", "latin-1")
    assert refusal(read_table, path, Format(), {"b": "numeric"}, {}) == (
        "t.csv:3: not UTF-8 text (invalid continuation byte); save the file as UTF-8"
    )


def test_a_missing_file_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    message = "t.csv: cannot be read: No such file or directory"
    assert refusal(read_names, path, Format()) == message


def test_a_byte_order_mark_and_other_line_ends_are_taken(write):
    path = write("a;b\r\n1;2\r\n", "utf-8-sig")
    assert read_names(path, Format(";")) == ["a", "b"]
    table = read_table(path, Format(";"), {"a": "numeric"}, {})
    assert table.numbers("a").tolist() == [1]


def test_a_file_without_a_header(write):
    form = Format(columns=("a", "b", "y"), optional=("y",))
    assert read_names(write("1,2,3\n"), form) == ["a", "b", "y"]
    assert read_names(write("1,2\n"), form) == ["a", "b"]
    table = read_table(write("1,2\n3,4\n"), form, {"b": "numeric"}, {})
    assert table.numbers("b").tolist() == [2, 4]


def test_facts_of_columns(write):
    path = write("a,b,c,d\n1,1.5,x,\n2.0,2,y,\n1,2e3,3,\n")
    facts = find_facts(path, Format(), ["a", "b", "c", "d"])
    assert (facts["a"].numeric, facts["a"].integral) == (True, True)
    assert (facts["b"].numeric, facts["b"].integral) == (True, False)
    assert not facts["c"].numeric
    assert facts["a"].distinct == {"1", "2.0"}
    assert facts["d"].distinct == set()


def test_distinct_values_are_not_gathered_without_end(write):
    path = write("a\n" + "\n".join(map(str, range(1000))) + "\n")
    assert len(find_facts(path, Format(), ["a"])["a"].distinct) == 21


def test_numbers_with_a_header_or_without(write):
    assert read_numbers(write("1,2\n3,4\n")).tolist() == [[1, 2], [3, 4]]
    assert read_numbers(write("a,b\n3,4\n")).tolist() == [[3, 4]]
    assert read_numbers(write("1,1\n")).tolist() == [[1, 1]]
    assert refusal(read_numbers, write("1,2\n3,x\n")) == (
        "t.csv:2:2: column '1': 'x' is not a number"
    )
    assert refusal(read_numbers, write("1,2\n3,\n")) == (
        "t.csv:2:2: column '1': the value is missing; fill it in"
    )


def test_what_a_number_is():
    assert [parse_number(cell) for cell in ("1", "-.5", "1e-4", "0x10", "1_0", "")] == [
        1.0,
        -0.5,
        1e-4,
        None,
        None,
        None,
    ]
