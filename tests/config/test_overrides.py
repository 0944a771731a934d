"""Values from outside the file: how they are read, and what they replace."""

import tomllib

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from minidl.config import Override, parse_override
from minidl.config.overrides import apply, format_path, parse_literal, parse_path
from minidl.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-4", 1e-4),
        (" true ", True),
        ("True", "True"),
        ("cuda:1", "cuda:1"),
        ('"3"', "3"),
        ("", ""),
        ("[1, 2]", [1, 2]),
        ("[1, a]", "[1, a]"),
        ('{ type = "relu" }', {"type": "relu"}),
        ("nan-like", "nan-like"),
        ("1\nother = 2", "1\nother = 2"),
        ("__import__('os')", "__import__('os')"),
        ("a=b", "a=b"),
        ("[" * 5000, "[" * 5000),
    ],
)
def test_a_value_is_a_toml_literal_or_a_string(text, value):
    assert parse_literal(text) == value


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("seed", ("seed",)),
        ("training.epochs", ("training", "epochs")),
        ("model.layers[0].units", ("model", "layers", 0, "units")),
        ("model.layers.0.units", ("model", "layers", "0", "units")),
        ("model.layers[-1]", ("model", "layers", -1)),
        ("a[0][1]", ("a", 0, 1)),
        ('data."a.b".c', ("data", "a.b", "c")),
        ("data.'a=b'", ("data", "a=b")),
    ],
)
def test_paths(text, path):
    assert parse_path(text) == path


@pytest.mark.parametrize("text", ["", ".a", "a.", "a..b", "a b", "a[x]", "a[0", '"a', '"\\z"'])
def test_what_is_no_path_is_refused(text):
    with pytest.raises(ConfigError) as error:
        parse_path(text)
    assert str(error.value) == f"'{text}' is not a path such as model.layers[0].units"


@given(st.lists(st.text(min_size=1) | st.integers(0, 99), min_size=1, max_size=4))
def test_a_written_path_reads_as_itself(parts):
    path = ("head", *parts)
    assert parse_path(format_path(path)) == path


VALUES = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=3), VALUES)
def test_an_override_arrives_where_and_as_it_was_written(path, value):
    literal = tomlkit.item(value).as_string().replace("\r\n", "\\r\\n")
    override = Override.parse(f"{format_path(tuple(path))} = {literal}")
    table, paths = apply({}, [override])
    assert paths == [tuple(path)]
    for part in path:
        table = table[part]
    assert table == value


@given(st.text())
def test_a_value_never_breaks_out(text):
    value = parse_literal(text)
    assert value == text.strip() or {"value": value} == tomllib.loads(f"value = {text.strip()}")


@pytest.mark.parametrize("text", ["epochs", "=3", "a..b=3", "a b=3", ""])
def test_an_assignment_without_a_key_is_refused(text):
    with pytest.raises(ConfigError) as error:
        Override.parse(text)
    assert str(error.value) == f"--set {text}: expected KEY=VALUE, such as training.epochs=3"


def test_parse_override_returns_key_and_value():
    assert parse_override("model.layers[0].units=64") == ("model.layers[0].units", 64)


def set_in(table, *assignments):
    return apply(table, [Override.parse(each) for each in assignments])


def test_list_items_are_set_in_either_notation():
    table = {"layers": [{"units": 1}, {"units": 2}]}
    merged, paths = set_in(table, "layers[0].units=8", "layers.1.units=9", "layers[-1].name=x")
    assert merged == {"layers": [{"units": 8}, {"units": 9, "name": "x"}]}
    assert paths == [("layers", 0, "units"), ("layers", 1, "units"), ("layers", 1, "name")]


def test_what_is_given_is_not_changed():
    table = {"a": {"b": [1, 2]}}
    value = Override(("c",), [1], "")
    merged, _ = apply(table, [value, Override.parse("c[0]=9"), Override.parse("a.b[0]=9")])
    assert merged == {"a": {"b": [9, 2]}, "c": [9]}
    assert table == {"a": {"b": [1, 2]}}
    assert value.value == [1]


def test_a_later_override_wins():
    assert set_in({"a": 1}, "a=2", "a=3")[0] == {"a": 3}


def test_missing_tables_are_made():
    assert set_in({}, "schedule.type=cosine")[0] == {"schedule": {"type": "cosine"}}


def test_the_name_of_a_part_becomes_a_table():
    merged, _ = set_in({"loss": "huber", "model": {"layers": ["relu"]}}, "loss.delta=2")
    assert merged["loss"] == {"type": "huber", "delta": 2}
    merged, _ = set_in(merged, "model.layers[0].name=r")
    assert merged["model"]["layers"] == [{"type": "relu", "name": "r"}]
    merged, _ = set_in({"data": {"transforms": ["horizontal_flip"]}}, "data.transforms[0].p=0.3")
    assert merged["data"]["transforms"] == [{"type": "horizontal_flip", "p": 0.3}]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("seed.x=1", "--set seed.x=1: seed is a plain value and holds nothing"),
        ("data.path.x=1", "--set data.path.x=1: data.path is a plain value and holds nothing"),
        ("name.x=1", "--set name.x=1: name is a plain value and holds nothing"),
        ("layers[2]=1", "--set layers[2]=1: layers has no item [2]; its last is [1]"),
        ("layers[-3]=1", "--set layers[-3]=1: layers has no item [-3]; its last is [1]"),
        ("none[0]=1", "--set none[0]=1: none has no item [0]; it is empty"),
        (
            "layers.units=1",
            "--set layers.units=1: layers is a list: an index must follow, not 'units'",
        ),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(assignment, message):
    table = {"seed": 0, "name": "x", "layers": [{}, {}], "none": [], "data": {"path": "x.csv"}}
    with pytest.raises(ConfigError) as error:
        set_in(table, assignment)
    assert str(error.value) == message


def test_a_long_value_is_cut_in_messages_and_kept_in_the_config():
    assignment = f"layers[7].units={list(range(1, 40))}"
    with pytest.raises(ConfigError) as error:
        set_in({"layers": [{}]}, assignment)
    assert str(error.value) == (
        "--set layers[7].units=[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,...: "
        "layers has no item [7]; its last is [0]"
    )
    assert Override.parse(assignment).label == f"--set {assignment}"
