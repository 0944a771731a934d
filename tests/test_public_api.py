"""The names at the top level: few, locked, documented and typed."""

from __future__ import annotations

import ast
import inspect
import typing
from pathlib import Path

import pytest

import minidl as md
import minidl.testing

NAMES = {
    *("__version__", "MinidlError"),
    *("tensor", "Tensor", "Spec", "grad", "compile"),
    *("ops", "op", "sample", "Draw"),
    *("layer", "Layer", "Context"),
    *("initializer", "Initializer"),
    *("loss", "Loss"),
    *("metric", "Metric"),
    *("optimizer", "Optimizer"),
    *("schedule", "Schedule"),
    *("dataset", "Dataset"),
    *("transform", "Transform"),
    *("backend", "Backend", "register_backend", "use_backend", "kernel"),
    *("Model", "fit", "load"),
}

TESTING_NAMES = {"check_op", "check_layer", "check_gradient"}

CALLABLES = sorted(NAMES - {"__version__", "ops"})


def public_methods(cls: type) -> list[tuple[str, typing.Any]]:
    return [
        (name, value)
        for name, value in vars(cls).items()
        if not name.startswith("_") and inspect.isfunction(value)
    ]


def untyped(function: typing.Any) -> list[str]:
    """Return the parameters, and 'return', that ``function`` leaves without a type hint."""
    parameters = inspect.signature(function).parameters.values()
    missing = [
        p.name for p in parameters if p.annotation is p.empty and p.name not in ("self", "cls")
    ]
    has_return = "return" in getattr(function, "__annotations__", {})
    return missing if has_return else [*missing, "return"]


def test_the_names_are_these():
    assert set(md.__all__) == NAMES


def test_dir_shows_the_names():
    assert set(dir(md)) >= NAMES


def test_the_testing_names_are_there():
    assert set(minidl.testing.__all__) >= TESTING_NAMES


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(md.__file__).read_text("utf-8"))
    (block,) = (
        n for n in tree.body if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)
    )
    declared = {alias.asname or alias.name for node in block.body for alias in node.names}
    assert declared == NAMES - {"__version__"}


@pytest.mark.parametrize("name", CALLABLES)
def test_a_name_is_documented(name):
    assert len(inspect.getdoc(getattr(md, name)) or "") > 20
    assert getattr(md, name).__module__.startswith("minidl.")


@pytest.mark.parametrize("name", CALLABLES)
def test_a_name_is_typed(name):
    value = getattr(md, name)
    if not inspect.isclass(value):
        assert untyped(value) == []
        return
    for method, function in public_methods(value):
        assert untyped(function) == [], method
        assert inspect.getdoc(function), method


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'minidl' has no attribute 'tensro'"):
        md.tensro  # noqa: B018
