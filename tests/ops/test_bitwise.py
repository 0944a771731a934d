"""Bits: those of Python's integers, and the dtypes that have none."""

from __future__ import annotations

import pytest

from minidl import ops
from minidl.errors import DtypeError
from minidl.graph import tensor

PAIRS = [(0b1100, 0b1010), (-1, 7), (0, 5), (-8, -3)]


@pytest.mark.parametrize(
    ("name", "symbol"), [("bitwise_and", "&"), ("bitwise_or", "|"), ("bitwise_xor", "^")]
)
def test_bits_combine_as_those_of_python_do(name, symbol):
    a, b = (tensor(list(side)) for side in zip(*PAIRS, strict=True))
    expected = [eval(f"{x} {symbol} {y}") for x, y in PAIRS]
    assert getattr(ops, name)(a, b).numpy().tolist() == expected
    flags = getattr(ops, name)(tensor([True, True]), tensor([True, False]))
    assert flags.dtype == "bool"
    assert flags.numpy().tolist() == [eval(f"True {symbol} {y}") for y in (True, False)]


def test_bits_move_and_turn():
    assert ops.bitwise_left_shift([3, -3], 2).numpy().tolist() == [12, -12]
    assert ops.bitwise_right_shift([12, -13], 2).numpy().tolist() == [3, -4]
    assert ops.bitwise_invert([0, 5]).numpy().tolist() == [-1, -6]
    assert ops.bitwise_invert(tensor([True])).numpy().tolist() == [False]


@pytest.mark.parametrize("name", ["bitwise_and", "bitwise_left_shift", "bitwise_right_shift"])
def test_floats_have_no_bits(name):
    with pytest.raises(DtypeError) as caught:
        getattr(ops, name)(tensor([1.0]), 1)
    assert str(caught.value) == f"{name}: takes integers or bool, not float32"


def test_booleans_are_not_shifted():
    with pytest.raises(DtypeError) as caught:
        ops.bitwise_left_shift(tensor([True]), tensor([True]))
    assert str(caught.value) == (
        "bitwise_left_shift: takes integers, not bool; convert with astype"
    )
