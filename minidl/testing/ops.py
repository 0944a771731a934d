"""Op checks: receive an op of the table and its samples, return a report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl import registry
from minidl.backends import Backend, backend, current_backend
from minidl.errors import CheckError
from minidl.graph import Draw, Op, Program, Sample, Spec, Tensor
from minidl.graph.spec import check_dtype
from minidl.testing.draws import draw
from minidl.testing.gradients import (
    Traced,
    first_order,
    in_double,
    in_single,
    relative_to_largest,
    same_in_float32,
    same_in_other_layouts,
    same_on_backend,
    second_order_checks,
)
from minidl.testing.layouts import layouts
from minidl.testing.report import Check, CheckReport, Tolerance, compare, listed
from minidl.testing.strict import ArrayApiStrictBackend

_KERNEL = {"float64": Tolerance(1e-12, 1e-300), "float32": Tolerance(2e-6, 1e-37)}
"""Between a kernel and the pure rule, of the largest element."""

_NUMPY_NAMES = (
    *("abs", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "copysign"),
    *("cos", "cosh", "exp", "expm1", "floor", "hypot", "isfinite", "isinf", "isnan", "log"),
    *("log10", "log1p", "log2", "logaddexp", "logical_and", "logical_not", "logical_or"),
    *("logical_xor", "maximum", "minimum", "round", "sign", "signbit", "sin", "sinh", "sqrt"),
    *("tan", "tanh", "trunc", "where"),
)
SCALAR_FUNCTIONS: dict[str, Any] = {
    **{name: getattr(np, name) for name in _NUMPY_NAMES},
    "erf": np.vectorize(math.erf, otypes=["float64"]),
    "pow": np.power,
    "pi": math.pi,
}
"""What the scalar expression of an elementwise op may use, beside operators."""


def check_op(
    op: Op | str,
    samples: Sequence[Sample] | None = None,
    *,
    seed: int = 0,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    second_order: bool = True,
    max_elements: int = 400,
    backends: Sequence[str] | None = None,
) -> CheckReport:
    """Check everything that is declared of an op, on each of its samples.

    That the inferred shape and dtype are those of the value; that the forward rule changes no
    input, runs on each of ``backends``, takes inputs of any memory layout and agrees with itself
    in float32; that the current backend's kernel and the scalar expression agree with it; and
    that the gradient rule agrees with finite differences in float64, to second order.

    Parameters
    ----------
    op : Op or str
        The op, or its registered name.
    samples : sequence of Sample, optional
        Default: those it is declared with.
    seed : int
        Decides drawn inputs, output weights and directions.
    rtol, atol : float
        Allowed difference of an element: ``atol + rtol * max(|rule|, |finite difference|)``.
    second_order : bool
        Whether to check the second derivative, at a relative tolerance of 1e-4.
    max_elements : int
        Of a larger input so many elements, chosen at random, are checked one by one.
    backends : sequence of str, optional
        What else to run on; default ``array_api_strict`` where that is installed.

    Returns
    -------
    CheckReport

    Raises
    ------
    CheckError
        At the first fault: which sample, which input, which element, both values.
    """
    declared: Op = registry.get("op", op) if isinstance(op, str) else op
    given = declared.samples if samples is None else tuple(samples)
    if not given:
        raise CheckError(
            f"op '{declared.name}' has no samples: declare it with samples=[sample(…)], "
            f"or give some to check_op"
        )
    others = _default_backends() if backends is None else list(backends)
    checks: list[Check] = []
    differentiated = False
    for number, each in enumerate(given, 1):
        rng = np.random.default_rng([seed, number])
        call = Call.of(declared, each, f"sample {number} of {len(given)}", rng)
        checks += _forward_checks(call, others)
        traced = call.traced(rng)
        if not declared.differentiable or not traced.variables or not traced.smooth:
            continue
        if traced.in_double:
            differentiated = True
            checks += first_order(traced, Tolerance(rtol, atol), rng, max_elements)
            checks += second_order_checks(traced, rng) if second_order else ()
            checks += same_in_float32(traced)
        checks += same_in_other_layouts(traced)
        for name in others:
            checks += same_on_backend(traced, name)
    if declared.differentiable and not differentiated:
        raise CheckError(
            f"op '{declared.name}' has a gradient rule, but no sample of it is computed in "
            f"float64 from float inputs, so the rule is never checked; add one"
        )
    return CheckReport(f"op '{declared.name}'", tuple(checks))


@dataclass
class Call:
    """An op applied to drawn inputs: arrays, and Python numbers that stay as they are."""

    op: Op
    case: str
    arrays: list[np.ndarray]
    names: list[str]
    slots: list[Any]
    attributes: dict[str, Any]

    @classmethod
    def of(cls, op: Op, sample: Sample, which: str, rng: np.random.Generator) -> Call:
        arrays, names = [], []
        slots: list[Any] = []
        tensors, rest = _split_positions(op, sample)
        shown = []
        for position, given in enumerate(tensors):
            if isinstance(given, bool | int | float):
                slots.append(given)
                shown.append(repr(given))
                continue
            array = draw(given, rng)
            arrays.append(in_double(array) if isinstance(given, list) else array)
            names.append(_input_name(op, position))
            slots.append(_HOLE)
            shown.append(str(Spec(array.shape, check_dtype(array.dtype))))
        shown += [repr(value) for value in rest]
        shown += [f"{key}={value!r}" for key, value in sample.attributes.items()]
        slots += rest
        case = f"op '{op.name}', {which}, {op.name}({listed(shown)})"
        return cls(op, case, arrays, names, slots, sample.attributes)

    def apply(self, *tensors: Tensor) -> Any:
        """Return the op's result on ``tensors`` in the places of the arrays."""
        rest = iter(tensors)
        inputs = [next(rest) if slot is _HOLE else slot for slot in self.slots]
        return self.op(*inputs, **self.attributes)

    def traced(
        self, rng: np.random.Generator, arrays: Sequence[np.ndarray] | None = None
    ) -> Traced:
        """Return the call traced on its arrays, or on others like them."""
        given = self.arrays if arrays is None else arrays
        return Traced(self.case, self.apply, self.names, given, rng)


_HOLE = object()


def _split_positions(op: Op, sample: Sample) -> tuple[list[Any], list[Any]]:
    """Return the inputs of a sample, and attributes that it gives by position behind them."""
    count = len(sample.inputs) if op.variadic else len(op.tensors)
    # sample() takes every tuple for a shape to draw; behind the inputs it is meant as it stands.
    rest = [each.shape if isinstance(each, Draw) else each for each in sample.inputs[count:]]
    return list(sample.inputs[:count]), rest


def sample_call(op: Op, sample: Sample, seed: int = 0) -> Call:
    """Return one sample of an op with its inputs drawn."""
    return Call.of(op, sample, "a sample", np.random.default_rng(seed))


def _forward_checks(call: Call, others: Sequence[str]) -> Iterator[Check]:
    """Check values in the sample's own precision, and in float32 where that is another."""
    yield from _value_checks(call, call.arrays, others)
    single = [in_single(array) for array in call.arrays]
    if any(a.dtype != b.dtype for a, b in zip(single, call.arrays, strict=True)):
        yield from _value_checks(call, single, others)


def _value_checks(
    call: Call, arrays: Sequence[np.ndarray], others: Sequence[str]
) -> Iterator[Check]:
    traced = call.traced(np.random.default_rng(0), arrays)
    here = current_backend()
    if call.op.compose is not None:
        for where in (here, *(backend(name) for name in others)):
            yield _composed_spec(traced, where)
        return
    (node,) = traced.outputs
    _check_attributes(call, node)
    inputs = _promoted(traced, node)
    reference = _pure(call, node, here, inputs)
    yield Check(call.case, "shape and dtype")
    for name in others:
        value = _pure(call, node, backend(name), inputs)
        slack = _kernel_tolerance(node, reference)
        words = (f"{name} gives", f"{here.name} gives")
        yield compare(call.case, f"the value on {name}", value, reference, slack, words)
    if call.op.scalar:
        yield _check_scalar(call, node, inputs, reference)
    yield from _check_kernel(call, node, here, inputs, reference)


def _composed_spec(traced: Traced, where: Backend) -> Check:
    program = Program(traced.inputs, traced.outputs, backend=where)
    try:
        results = program([where.from_numpy(array) for array in traced.arrays])
    except Exception as error:
        raise _does_not_run(traced.case, where, error) from error
    for node, result in zip(traced.outputs, results, strict=True):
        _check_spec(traced.case, where, node.spec, result)
    return Check(traced.case, "shape and dtype")


def _check_attributes(call: Call, node: Tensor) -> None:
    for key, value in node.attributes.items():
        try:
            hash(value)
        except TypeError:
            raise CheckError(
                f"{call.case}: attribute '{key}' is not hashable ({value!r}): "
                f"make it a tuple, a number or a string in normalize"
            ) from None
    if call.op.normalize is not None:
        again = call.op.normalize(*(child.spec for child in node.inputs), **node.attributes)
        if again != node.attributes:
            raise CheckError(
                f"{call.case}: normalize changes its own result: from {dict(node.attributes)} "
                f"it makes {again}"
            )


def _promoted(traced: Traced, node: Tensor) -> list[np.ndarray]:
    """Return the arrays that the op itself receives, after promotion of dtypes."""
    where = current_backend()
    program = Program(traced.inputs, list(node.inputs), backend=where)
    return [where.to_numpy(a) for a in program([where.from_numpy(a) for a in traced.arrays])]


def _pure(call: Call, node: Tensor, where: Backend, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """Run the op's own forward rule on a backend; check its spec and that inputs stay whole."""
    arrays = [where.from_numpy(array.copy()) for array in inputs]
    try:
        with where.running():
            result = call.op.run(where.xp, *arrays, **node.attributes)
    except Exception as error:
        raise _does_not_run(call.case, where, error) from error
    _check_spec(call.case, where, node.spec, result)
    for position, (array, before) in enumerate(zip(arrays, inputs, strict=True)):
        if where.to_numpy(array).tobytes() != before.tobytes():
            raise CheckError(
                f"{call.case}: forward changes its input '{_input_name(call.op, position)}'"
            )
        _check_sharing(call, position, result, array)
    return where.to_numpy(result)


def _check_sharing(call: Call, position: int, result: Any, array: Any) -> None:
    if not (isinstance(result, np.ndarray) and isinstance(array, np.ndarray)):
        return
    if np.shares_memory(result, array) and not (call.op.view and position == 0):
        advice = "only the first input of a view may be" if call.op.view else "declare view=True"
        raise CheckError(
            f"{call.case}: the result shares memory with its input "
            f"'{_input_name(call.op, position)}': {advice}, or return a copy"
        )


def _check_kernel(
    call: Call,
    node: Tensor,
    where: Backend,
    inputs: Sequence[np.ndarray],
    reference: np.ndarray,
) -> Iterator[Check]:
    """Hold what a program would run here to the pure rule, in every layout of its inputs."""
    compute, takes_out = where.function(node.op)
    words = ("the kernel gives", "forward gives")
    slack = _kernel_tolerance(node, reference)

    def run(arrays: Sequence[np.ndarray]) -> np.ndarray:
        given = [where.from_numpy(array) for array in arrays]
        before = [where.to_numpy(array) for array in given]
        out = _filled(where, node.spec) if takes_out else None
        extra = {} if out is None else {"out": out}
        with where.running():
            result = compute(*given, **node.attributes, **extra)
        if out is not None and result is not out:
            raise CheckError(f"{call.case}: the kernel of {where.name} does not return out")
        _check_spec(call.case, where, node.spec, result)
        for position, (array, old) in enumerate(zip(given, before, strict=True)):
            if where.to_numpy(array).tobytes() != old.tobytes():
                name = _input_name(call.op, position)
                raise CheckError(
                    f"{call.case}: the kernel of {where.name} changes its input '{name}'"
                )
        return where.to_numpy(result)

    name = f"the kernel of {where.name}"
    yield compare(call.case, name, run(inputs), reference, slack, words)
    for layout, changed, contiguous in layouts(inputs):
        expected = _pure(call, node, where, contiguous)
        slack = _kernel_tolerance(node, expected)
        label = f"{name} with {layout} inputs"
        yield compare(call.case, label, run(changed), expected, slack, words)
        if takes_out:
            label = f"forward with {layout} inputs"
            with where.running():
                strided = call.op.run(
                    where.xp, *(where.from_numpy(a) for a in changed), **node.attributes
                )
            words_here = ("it gives", "with contiguous ones it gives")
            got = where.to_numpy(strided)
            yield compare(call.case, label, got, expected, slack, words_here)


def _check_scalar(
    call: Call, node: Tensor, inputs: Sequence[np.ndarray], reference: np.ndarray
) -> Check:
    """Hold the scalar expression, computed by NumPy in double precision, to the pure rule."""
    given = dict(zip(call.op.tensors, (in_double(array) for array in inputs), strict=True))
    scope = {"__builtins__": {}, **SCALAR_FUNCTIONS, **given, **node.attributes}
    try:
        with np.errstate(all="ignore"):
            value = eval(call.op.scalar, scope)
    except Exception as error:
        raise CheckError(
            f"{call.case}: its scalar expression {call.op.scalar!r} cannot be computed: "
            f"{type(error).__name__}: {error}"
        ) from error
    value = np.broadcast_to(np.asarray(value), node.shape)
    slack = _kernel_tolerance(node, reference)
    words = (f"{call.op.scalar!r} gives", "forward gives")
    return compare(call.case, "the scalar expression", value, reference, slack, words)


def _check_spec(case: str, where: Backend, spec: Spec, result: Any) -> None:
    found = Spec(tuple(result.shape), check_dtype(result.dtype))
    if found != spec:
        raise CheckError(f"{case}: infer says {spec}, the value on {where.name} is {found}")


def _kernel_tolerance(node: Tensor, reference: np.ndarray) -> Tolerance:
    if node.dtype not in _KERNEL:
        return Tolerance(1e-2 if node.dtype == "float16" else 0.0, 0.0)
    return relative_to_largest(_KERNEL[node.dtype], reference)


def _filled(where: Backend, spec: Spec) -> Any:
    """Return an array to write into, holding what a kernel must not leave there."""
    rubbish = {"b": True, "f": np.nan}.get(np.dtype(spec.dtype).kind, 77)
    return where.from_numpy(np.full(spec.shape, rubbish, dtype=spec.dtype))


def _does_not_run(case: str, where: Backend, error: Exception) -> CheckError:
    kind = type(error).__name__
    return CheckError(f"{case}: forward does not run on {where.name}: {kind}: {error}")


def _input_name(op: Op, position: int) -> str:
    return f"{op.tensors[0]}[{position}]" if op.variadic else op.tensors[position]


def _default_backends() -> list[str]:
    return [] if ArrayApiStrictBackend.unavailable() else [ArrayApiStrictBackend.name]
