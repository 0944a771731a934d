"""Positions in a TOML text, held to tomlkit's own rendering."""

import string
import tomllib

import pytest
import tomlkit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidl.config.positions import Locator, Position, positions

MARK = "@@here@@"

STYLES = {
    "plain table": ("a = 1\n[data]\n  size = 3", ("data", "size"), "3:10", "3:3"),
    "dotted key": ("data.loader . size = 3", ("data", "loader", "size"), "1:22", "1:15"),
    "part of a dotted key": ("data.loader.size = 3", ("data", "loader"), "1:6", "1:6"),
    "quoted key": ("\"a.b\".'c d' = 3", ("a.b", "c d"), "1:15", "1:7"),
    "escaped key": ('"\\u0061" = 3', ("a",), "1:12", "1:1"),
    "inline table": ("x = { a = 1, b = { c = 2 } }", ("x", "b", "c"), "1:24", "1:20"),
    "dotted key in an inline table": ("x = {a.b = 1, a.c = 2}", ("x", "a", "c"), "1:21", "1:17"),
    "array": ("x = [1, 2, [3, 4]]", ("x", 2, 1), "1:16", "1:16"),
    "array on several lines": ("x = [\n  1, # [\n  2,\n]", ("x", 1), "3:3", "3:3"),
    "tables in an array": ("x = [\n  {a = 1},\n  {b = 2},\n]", ("x", 1, "b"), "3:8", "3:4"),
    "array of tables": ("[[x]]\na = 1\n[[x]]\na = 2", ("x", 1, "a"), "4:5", "4:1"),
    "an item of an array of tables": ("[[x]]\na = 1\n\n [[x]]\na = 2", ("x", 1), "4:2", "4:2"),
    "nested arrays of tables": (
        "[[x]]\n[[x.y]]\n[[x]]\n[[x.y]]\na = 1\n[[x.y]]\na = 2",
        ("x", 1, "y", 1, "a"),
        "7:5",
        "7:1",
    ),
    "table in an array of tables": ("[[x]]\n[[x]]\n[x.y]\na = 1", ("x", 1, "y", "a"), "4:5", "4:1"),
    "table header": ("[a.b]\nc = 1", ("a", "b"), "1:1", "1:1"),
    "table made by a deeper header": ("\n[a.b]\nc = 1", ("a",), "2:1", "2:1"),
    "header after a deeper header": ("[a.b]\nc = 1\n[a]\nd = 1", ("a",), "3:1", "3:1"),
    "after a multi-line string": ('s = """\n] " "" # [\n"""""\nx = 1', ("x",), "4:5", "4:1"),
    "after a literal string": ("s = '''\n ] '' '''''\nx = 1", ("x",), "3:5", "3:1"),
    "after an escaped quote": ('x = ["a\\"],", 7]', ("x", 1), "1:15", "1:15"),
    "after a comment": ("# x = 1\nx = 2 # = 3", ("x",), "2:5", "2:1"),
    "after a date with a blank": ("x = [1979-05-27 07:32:00, 7]", ("x", 1), "1:27", "1:27"),
    "after an empty array and table": ("a = []\nb = {}\nc = 1", ("c",), "3:5", "3:1"),
    "windows line ends": ("a = 1\r\n[b]\r\nc = 2\r\n", ("b", "c"), "3:5", "3:1"),
}


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_found(style):
    text, path, value, key = STYLES[style]
    tomllib.loads(text)
    found = positions(text)
    assert (str(found.value(path)), str(found.key(path))) == (value, key)


def test_columns_count_characters_not_bytes():
    found = positions('x = { "é" = "üü", y = 3 }')
    assert str(found.value(("x", "y"))) == "1:23"


KEYS = st.text(string.ascii_letters + " .#[]\"'=", min_size=1, max_size=4)
LEAVES = st.one_of(
    st.integers(-99, 99),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(string.ascii_letters + "\"'\\\n#[]{},= \té", max_size=6),
    st.datetimes(),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=4)


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from leaves(item, (*path, i))
    else:
        yield path


def sentinel_position(text, path):
    """Where tomlkit puts another value for the one at ``path``."""
    document = tomlkit.parse(text)
    holder = document
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = MARK
    before = tomlkit.dumps(document).split(f'"{MARK}"')[0]
    return Position(before.count("\n") + 1, len(before) - before.rfind("\n"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(DOCUMENTS)
def test_positions_are_those_of_a_sentinel(document):
    text = tomlkit.dumps(document)
    found = positions(text)
    for path in leaves(tomllib.loads(text)):
        assert found.value(path) == sentinel_position(text, path)


def test_a_locator_prefers_what_was_set_last():
    locator = Locator("f", positions("a.b = 1"), ((("a",), "first"), (("a", "b"), "second")))
    assert locator.locate(("a", "b")) == "second"
    assert locator.locate(("a", "c")) == "first"


def test_a_locator_points_at_the_nearest_table():
    locator = Locator("f", positions("x = 1\n[a]\nb = 1"))
    assert locator.locate(("a", "c", "d"), key=True) == "f:2:1"
    assert locator.locate(("z",)) == "f:1:1"
    assert locator.locate(()) == "f:1:1"


def test_a_locator_without_a_text_gives_the_source():
    assert Locator("config").locate(("a",)) == "config"


def test_a_missing_table_that_an_override_made_is_the_override():
    locator = Locator("f", positions("x = 1"), ((("a", "b"), "--set a.b=1"),))
    assert locator.locate(("a", "c")) == "--set a.b=1"
