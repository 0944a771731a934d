"""Faults planted in ops: check_op must refuse each, and say where it is."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from minidl import ops, registry
from minidl.backends import current_backend, kernel
from minidl.errors import CheckError
from minidl.graph import Draw, Spec, op, sample
from minidl.testing import check_op
from minidl.testing.ops import sample_call

RULES = [e.value for e in registry.entries("op") if e.value.backward and e.value.samples]


def with_fault(declared, factor, position=0):
    """Return ``declared`` with its ``position``-th gradient multiplied by ``factor``."""

    def backward(g, z, *inputs, **attributes):
        given = declared.backward(g, z, *inputs, **attributes)
        gradients = list(given) if isinstance(given, tuple | list) else [given]
        gradients[position] = gradients[position] * factor
        return gradients

    return dataclasses.replace(declared, backward=backward)


def influential(declared) -> list[int]:
    """Return the inputs of an op by which its gradient is not 0 in every sample."""
    found = set()
    for index, each in enumerate(declared.samples):
        call = sample_call(declared, each, index)
        traced = call.traced(np.random.default_rng(0))
        if not (traced.variables and traced.smooth):
            continue
        values = traced.gradient_values(traced.arrays)
        moving = [traced.names[i] for i, v in zip(traced.variables, values, strict=True) if v.any()]
        found.update(declared.tensors.index(name.partition("[")[0]) for name in moving)
    return sorted(found)


@pytest.mark.parametrize("declared", RULES, ids=lambda declared: declared.name)
def test_a_fault_of_a_thousandth_is_found_in_every_rule_of_the_table(declared):
    for position in influential(declared):
        with pytest.raises(CheckError, match=f"the gradient by '{declared.tensors[position]}"):
            check_op(with_fault(declared, 1.001, position))


@pytest.mark.parametrize("factor", [1.001, 0.999, 1.01, -1.0])
@pytest.mark.parametrize("name", ["multiply", "exp", "sum", "tanh", "matmul", "softmax", "divide"])
def test_a_rule_that_is_slightly_wrong_is_refused(name, factor):
    faulty = with_fault(registry.get("op", name), factor)
    with pytest.raises(CheckError, match=rf"^op '{name}', sample \d+ of \d+, .*the gradient by"):
        check_op(faulty)


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("name", ["multiply", "subtract", "divide", "pow", "matmul", "maximum"])
def test_a_fault_in_either_input_is_found_and_named(name, position):
    declared = registry.get("op", name)
    with pytest.raises(CheckError, match=f"the gradient by '{declared.tensors[position]}'"):
        check_op(with_fault(declared, 1.001, position))


def test_the_message_names_sample_input_element_and_both_values():
    faulty = with_fault(ops.multiply, 1.001, position=1)
    with pytest.raises(CheckError) as caught:
        check_op(faulty, [sample([[1.0, 2.0]], [[3.0, 4.0]])])
    assert re.fullmatch(
        r"op 'multiply', sample 1 of 1, multiply\(float64\[1, 2\], float64\[1, 2\]\): "
        r"the gradient by 'b' is wrong at \[0, \d\]: the rule gives -?\d\.\d+, "
        r"finite differences give -?\d\.\d+ \(relative error 0\.001, allowed 1e-06\)",
        str(caught.value),
    )


def test_a_fault_in_one_element_only_is_found():
    def backward(g, z, x):
        spot = np.zeros((3, 4))
        spot[1, 2] = 0.001
        return g * z * (1.0 + spot if x.shape == (3, 4) else 1.0)

    with pytest.raises(CheckError, match=r"wrong at \[1, 2\]"):
        check_op(dataclasses.replace(ops.exp, backward=backward))


def test_a_rule_right_in_value_but_cut_off_from_its_input_fails_to_second_order():
    @op("detached", samples=[sample((2,))])
    class detached:
        """z = x, with no gradient, which is wrong"""

        def infer(x, /):
            return x

        def forward(xp, x):
            return xp.asarray(x, copy=True)

        def backward(g, z, x):
            return None

    registry.forget("op", "detached")
    faulty = dataclasses.replace(
        ops.multiply, backward=lambda g, z, a, b: (g * detached(b), g * detached(a))
    )
    assert check_op(faulty, second_order=False).worst("the gradient by") < 1e-4
    with pytest.raises(CheckError, match="the second derivative by 'a' is wrong"):
        check_op(faulty)


def test_a_gradient_that_is_missing_is_refused():
    faulty = dataclasses.replace(ops.multiply, backward=lambda g, z, a, b: (g * b, None))
    with pytest.raises(CheckError, match=r"by 'b' is wrong at .*: the rule gives 0, "):
        check_op(faulty)


def test_a_wrong_shape_rule_is_refused():
    faulty = dataclasses.replace(
        ops.sum, infer=lambda x, /, *, axis=None, keepdims=False: x.with_shape(())
    )
    with pytest.raises(CheckError) as caught:
        check_op(faulty, [sample((3, 4), axis=1)])
    assert str(caught.value) == (
        "op 'sum', sample 1 of 1, sum(float64[3, 4], axis=1): "
        "infer says float64[], the value on numpy is float64[3]"
    )


def test_a_wrong_dtype_rule_is_refused():
    faulty = dataclasses.replace(ops.exp, infer=lambda x, /: x.with_dtype("float32"))
    with pytest.raises(CheckError, match=r"infer says float32\[3, 4\], the value on numpy is"):
        check_op(faulty)


def test_a_rule_that_needs_more_than_the_standard_is_refused():
    faulty = dataclasses.replace(ops.exp, function="", forward=lambda xp, x: xp.float_power(1, x))
    with pytest.raises(CheckError, match="forward does not run on array_api_strict: Attribute"):
        check_op(faulty)


def test_a_forward_that_changes_its_input_is_refused():
    def forward(xp, x):
        x += 1
        return xp.exp(x - 1)

    faulty = dataclasses.replace(ops.exp, function="", forward=forward)
    with pytest.raises(CheckError, match="forward changes its input 'x'"):
        check_op(faulty)


def test_a_view_that_is_not_declared_is_refused():
    faulty = dataclasses.replace(ops.reshape, view=False)
    with pytest.raises(CheckError, match="shares memory with its input 'x': declare view=True"):
        check_op(faulty)


def test_attributes_that_are_not_canonical_are_refused():
    def normalize(x, /, *, axis=None, keepdims=False):
        return {"axis": list(range(x.ndim)), "keepdims": keepdims}

    faulty = dataclasses.replace(ops.sum, normalize=normalize)
    with pytest.raises(CheckError, match="attribute 'axis' is not hashable"):
        check_op(faulty)


def test_normalising_twice_must_change_nothing():
    def normalize(x, /, *, shift=0):
        return {"shift": shift + 1}

    @op("drifting", no_gradient="for this test it needs none", samples=[sample((2,))])
    class drifting:
        """z = x"""

        def infer(x, /, *, shift=0):
            return x

        def forward(xp, x, *, shift):
            return x + shift

    registry.forget("op", "drifting")
    with pytest.raises(CheckError, match="normalize changes its own result: from {'shift': 1}"):
        check_op(dataclasses.replace(drifting, normalize=normalize))


def test_a_wrong_scalar_expression_is_refused():
    faulty = dataclasses.replace(ops.exp, scalar="exp(x) * 1.001")
    with pytest.raises(CheckError, match="the scalar expression is wrong"):
        check_op(faulty)
    with pytest.raises(CheckError, match="scalar expression 'expo.x.' cannot be computed: NameE"):
        check_op(dataclasses.replace(ops.exp, scalar="expo(x)"))


@pytest.fixture
def kernel_for_negative():
    """Enter a kernel for ``negative`` that a test gives, and take it out again."""

    def enter(function):
        kernel("numpy", "negative")(function)

    yield enter
    registry.forget("kernel", "numpy:negative")


def test_a_kernel_that_differs_is_refused(kernel_for_negative):
    def compute(x, *, out):
        return np.multiply(x, -1.0001, out=out)

    kernel_for_negative(compute)
    with pytest.raises(CheckError, match="the kernel of numpy is wrong at .*: the kernel gives"):
        check_op("negative")


def test_a_kernel_that_does_not_fill_out_is_refused(kernel_for_negative):
    def compute(x, *, out):
        np.negative(x[:1], out=out[:1])
        return out

    kernel_for_negative(compute)
    with pytest.raises(
        CheckError, match="the kernel of numpy is wrong at .*: the kernel gives nan"
    ):
        check_op("negative", [sample((3,))])


def test_a_kernel_that_returns_another_array_than_out_is_refused(kernel_for_negative):
    kernel_for_negative(lambda x, *, out: -x)
    with pytest.raises(CheckError, match="the kernel of numpy does not return out"):
        check_op("negative")


def test_a_kernel_that_changes_its_input_is_refused(kernel_for_negative):
    def compute(x, *, out):
        np.negative(x, out=out)
        x *= 2
        return out

    kernel_for_negative(compute)
    with pytest.raises(CheckError, match="the kernel of numpy changes its input 'x'"):
        check_op("negative")


def test_a_kernel_that_reads_memory_as_if_it_were_contiguous_is_refused(kernel_for_negative):
    def compute(x, *, out):
        base = x if x.base is None or not x.ndim else x.base
        flat = np.ascontiguousarray(base).ravel()[: x.size]
        return np.negative(flat.reshape(x.shape), out=out)

    kernel_for_negative(compute)
    with pytest.raises(CheckError, match="the kernel of numpy with every other element inputs"):
        check_op("negative", [sample((3, 4))])


def test_a_sample_at_a_kink_is_told_from_a_wrong_rule():
    with pytest.raises(CheckError) as caught:
        check_op("relu", [sample([0.0])])
    assert "there is a kink at 0, with slope 0 to its left and" in str(caught.value)
    assert "kinks=(…)" in str(caught.value)


def test_a_sample_outside_the_domain_is_told_from_a_wrong_rule():
    with pytest.raises(CheckError, match="not finite near this point"):
        check_op("log", [sample([0.0])])


def test_an_op_without_samples_is_refused():
    with pytest.raises(CheckError) as caught:
        check_op("constant")
    assert str(caught.value) == (
        "op 'constant' has no samples: declare it with samples=[sample(…)], "
        "or give some to check_op"
    )


def test_samples_that_never_exercise_the_rule_are_refused():
    with pytest.raises(CheckError, match="so the rule is never checked"):
        check_op("exp", [sample([1, 2, 3])])


def test_the_report_says_what_was_checked_and_how_well():
    report = check_op("multiply")
    assert report.subject == "op 'multiply'"
    names = report.by_name()
    assert {"shape and dtype", "the gradient by 'a'", "the second derivative by 'b'"} <= {*names}
    assert 0 < report.worst("the gradient by") < 1e-4
    exact = [c for c in report.checks if c.name == "the gradient by 'a'"]
    assert len(exact) == len(ops.multiply.samples)
    assert max(c.error for c in exact) < 1e-9
    assert {c.allowed for c in exact} == {1e-6}


def test_a_large_input_is_checked_in_part_and_along_a_direction():
    report = check_op("exp", [sample((40, 50))], max_elements=20)
    by_element = report.by_name()["the gradient by 'x'"]
    assert by_element.elements == 20
    assert "the gradient by 'x' along all its axes" in report.by_name()
    faulty = with_fault(ops.exp, 1.001)
    with pytest.raises(CheckError):
        check_op(faulty, [sample((40, 50))], max_elements=1)


def test_the_same_seed_draws_the_same_inputs():
    first, second = (check_op("exp", seed=7).checks for _ in range(2))
    assert first == second
    assert check_op("exp", seed=8).checks != first


def test_the_current_backend_is_left_as_it_was():
    check_op("add")
    assert current_backend().name == "numpy"


def test_integer_inputs_are_drawn_as_such():
    report = check_op("add", [sample(Draw((3,), 0, 10, "int64"), (3,))])
    assert "add(int64[3], float64[3])" in report.checks[0].case
    assert Spec((3,), "float64") == ops.add([1], np.zeros(3)).spec
