"""The tree of errors, and suggestions of near misses."""

from __future__ import annotations

import inspect
import re

import pytest

from minidl import errors

CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, Exception)
}


def drawn_tree() -> dict[str, str]:
    """Return {class: parent} as drawn in the module's docstring."""
    parents, path = {}, []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^    ((?:[│ ]   )*(?:[├└]── )?)(\w+)", line)
        if found:
            depth = len(found[1]) // 4
            path[depth:] = [found[2]]
            parents[found[2]] = path[depth - 1] if depth else "Exception"
    return parents


def test_the_docstring_draws_the_tree_that_is():
    assert drawn_tree() == {name: value.__bases__[0].__name__ for name, value in CLASSES.items()}


def test_the_docstring_gives_the_exit_codes_that_are():
    drawn = dict(re.findall(r"── (\w+)  .*\(exit code (\d)\)", errors.__doc__ or ""))
    real = {name: str(value.exit_code) for name, value in CLASSES.items() if value.exit_code != 1}
    assert drawn == real


@pytest.mark.parametrize("name", CLASSES)
def test_every_error_has_a_docstring_and_is_a_minidl_error(name):
    assert CLASSES[name].__doc__
    assert issubclass(CLASSES[name], errors.MinidlError)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.UnknownNameError, LookupError),
        (errors.ShapeError, ValueError),
        (errors.DtypeError, TypeError),
        (errors.CheckError, AssertionError),
    ],
)
def test_errors_are_also_what_python_calls_them(error, builtin):
    assert issubclass(error, builtin)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("batch_sise", "; did you mean 'batch_size'?"),
        ("epoch", "; did you mean 'epochs'?"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_suggested_if_it_is_near(name, expected):
    assert errors.suggestion(name, ["batch_size", "epochs", "lr"]) == expected
