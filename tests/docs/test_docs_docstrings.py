"""Docstrings as the reference prints them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "docs" / "_extensions" / "docstrings.py"


@pytest.fixture(scope="module")
def docstrings():
    spec = importlib.util.spec_from_file_location("docstrings", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_formula_stands_in_a_block_and_prose_does_not(docstrings):
    found = docstrings.to_markdown("Sum of a and b.\n\nz = a * b\n\nHere a * b = 1, as _one_ says.")
    assert found == (
        "Sum of a and b.\n\n```text\nz = a * b\n```\n\nHere a \\* b = 1, as \\_one\\_ says."
    )


def test_sections_become_definition_lists(docstrings):
    doc = (
        "Head.\n\nParameters\n----------\n"
        "x : float, shape (n, *)\n    First\n    line.\ny\n    Last."
    )
    assert docstrings.to_markdown(doc) == (
        "Head.\n\n**Parameters**\n\n`x` (float, shape (n, \\*))\n: First\n  line.\n\n`y`\n: Last."
    )


def test_roles_become_code_and_code_is_left_alone(docstrings):
    assert docstrings.prose("See :func:`~minidl.grad` and ``a_b * c``.") == (
        "See ``minidl.grad`` and ``a_b * c``."
    )


def test_indented_code_keeps_its_indentation(docstrings):
    found = docstrings.to_markdown("Head.\n\n    if x:\n        y()")
    assert found == "Head.\n\n```text\nif x:\n    y()\n```"
