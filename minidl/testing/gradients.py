"""Gradient checks: receive a function of tensors and arrays, return a report.

The reference is finite differences in float64 (see :mod:`minidl.testing.differences`) of the
function's outputs, weighted at random so that one number stands for them all. The second
derivative is compared as H v, for the random direction v: by differentiating the gradient's
graph along v, and by finite differences of the gradient. The two agree only if H, the matrix of
second derivatives, is symmetric, so they also hold the gradients by two inputs to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minidl.backends import Backend, backend, current_backend
from minidl.errors import CheckError, GradientError
from minidl.graph import Program, Tensor, placeholder, tensor, toposort
from minidl.graph.gradient import backward
from minidl.graph.op import as_tensor
from minidl.graph.spec import check_dtype, is_float
from minidl.testing.differences import derivative, slopes
from minidl.testing.draws import draw
from minidl.testing.layouts import layouts
from minidl.testing.report import Check, CheckReport, Tolerance, compare

SAME = Tolerance(1e-9, 1e-12)
"""Between two ways to compute the same thing in float64."""
SECOND = Tolerance(1e-4, 1e-6)
"""For second derivatives."""
FLOAT32 = Tolerance(1e-4, 1e-6)
"""Between float32 and float64, of the largest element."""
_ROUNDINGS = 256
"""How much more than one rounding of each result the rounding inside an op may do."""
_NUMERIC_SHARE = 0.1
"""How much of a tolerance the finite differences may use up."""


def check_gradient(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    *,
    names: Sequence[str] = (),
    subject: str = "function",
    seed: int = 0,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    second_order: bool = True,
    max_elements: int = 400,
) -> CheckReport:
    """Hold the gradient of a function to finite differences, and its second derivative too.

    Parameters
    ----------
    function : callable
        Takes a Tensor for each input; returns one, or a sequence of them.
    inputs : sequence
        What :func:`minidl.testing.draw` takes: shapes, Specs, Draws, arrays. The gradient is
        taken by those of a float dtype, in float64; others are passed on as they are.
    names : sequence of str, optional
        What the inputs are called in messages; default ``x0``, ``x1`` …
    subject : str
        What the function is called in messages.
    seed : int
        Decides drawn inputs, output weights and directions.
    rtol, atol : float
        Allowed difference of an element: ``atol + rtol * max(|rule|, |finite difference|)``.
    second_order : bool
        Whether to check the second derivative, at a relative tolerance of 1e-4.
    max_elements : int
        Of a larger input so many elements, chosen at random, are checked one by one, and all of
        them together along a random direction.

    Returns
    -------
    CheckReport

    Raises
    ------
    CheckError
        At the first element that differs, naming it and both values.
    """
    rng = np.random.default_rng(seed)
    arrays = [in_double(draw(each, rng)) for each in inputs]
    names = list(names) or [f"x{index}" for index in range(len(arrays))]
    traced = Traced(subject, function, names, arrays, rng)
    checks = [
        *first_order(traced, Tolerance(rtol, atol), rng, max_elements),
        *(second_order_checks(traced, rng) if second_order else ()),
        *same_in_other_layouts(traced),
        *same_in_float32(traced),
    ]
    return CheckReport(subject, tuple(checks))


class Traced:
    """A function traced on arrays, with the graph of its gradient.

    Attributes
    ----------
    case : str
        What it is called in messages.
    inputs, outputs : list of Tensor
        Its placeholders and results.
    variables : list of int
        Which inputs it is differentiated by: those of a float dtype that are not ``fixed``.
    weights : list of ndarray
        What each float output is multiplied by before all are summed.
    """

    def __init__(
        self,
        case: str,
        function: Callable[..., Any],
        names: Sequence[str],
        arrays: Sequence[np.ndarray],
        rng: np.random.Generator,
        fixed: Sequence[str] = (),
    ) -> None:
        self.case, self.names, self.arrays = case, list(names), list(arrays)
        self.function, self.fixed = function, tuple(fixed)
        self.inputs = [
            placeholder(name, array.shape, check_dtype(array.dtype))
            for name, array in zip(names, arrays, strict=True)
        ]
        results = function(*self.inputs)
        results = results if isinstance(results, tuple | list) else (results,)
        self.outputs = [as_tensor(result) for result in results]
        self.smooth = [node for node in self.outputs if is_float(node.dtype)]
        self.variables = [
            i
            for i, node in enumerate(self.inputs)
            if is_float(node.dtype) and node.name not in self.fixed
        ]
        self.weights = [signs(node.shape, rng) for node in self.smooth]
        self._programs: dict[tuple[str, str], Program] = {}
        self._gradients: list[Tensor | None] | None = None

    def at(self, arrays: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> Traced:
        """Return the same function traced on other arrays, with given weights."""
        rng = np.random.default_rng(0)
        other = Traced(self.case, self.function, self.names, arrays, rng, self.fixed)
        other.weights = list(weights)
        return other

    @property
    def in_double(self) -> bool:
        """Whether every float input and output is float64."""
        nodes = [*self.smooth, *(self.inputs[i] for i in self.variables)]
        return all(node.dtype == "float64" for node in nodes)

    @property
    def gradients(self) -> list[Tensor | None]:
        """∂(weighted sum of outputs)/∂(each variable); None where none flows."""
        if self._gradients is None:
            variables = [self.inputs[i] for i in self.variables]
            self._gradients = self.vector_product(self.smooth, self.weights, variables)
        return self._gradients

    def vector_product(
        self,
        nodes: Sequence[Tensor],
        vectors: Sequence[np.ndarray],
        variables: Sequence[Tensor],
    ) -> list[Tensor | None]:
        """Return ∂(Σ vectors · nodes)/∂(each variable); None where none flows."""
        total: list[Tensor | None] = [None] * len(variables)
        for node, vector in zip(nodes, vectors, strict=True):
            try:
                found = backward(node, tensor(vector, node.dtype), variables)
            except GradientError as error:
                raise CheckError(f"{self.case}: {error}") from error
            for index, variable in enumerate(variables):
                part, held = found.get(id(variable)), total[index]
                if part is not None:
                    total[index] = part if held is None else held + part
        return total

    def values(self, arrays: Sequence[np.ndarray], on: Backend | None = None) -> list[np.ndarray]:
        """Return the outputs of a float dtype."""
        return self.run("values", self.smooth, arrays, on)

    def gradient_values(
        self, arrays: Sequence[np.ndarray], on: Backend | None = None
    ) -> list[np.ndarray]:
        """Return the gradient by each variable, zeros where none flows."""
        return self.run("gradients", self.gradients, arrays, on)

    def run(
        self,
        name: str,
        nodes: Sequence[Tensor | None],
        arrays: Sequence[np.ndarray],
        on: Backend | None = None,
    ) -> list[np.ndarray]:
        """Compute ``nodes``; a None among them, which stands for a variable's zeros, too."""
        where = on or current_backend()
        program = self._programs.get((name, where.name))
        if program is None:
            present = [node for node in nodes if node is not None]
            program = Program(self.inputs, present, backend=where)
            self._programs[name, where.name] = program
        given = [where.from_numpy(np.asarray(array)) for array in arrays]
        found = iter([where.to_numpy(array) for array in program(given)])
        return [
            next(found) if node is not None else np.zeros(arrays[self.variables[i]].shape)
            for i, node in enumerate(nodes)
        ]

    def project(self, difference: np.ndarray) -> np.ndarray:
        """Return the weighted sum of a difference of :func:`flat` outputs."""
        return np.asarray(np.dot(flat(self.weights), difference))

    def along(
        self, directions: dict[int, np.ndarray], compute: Callable[..., list[np.ndarray]]
    ) -> Callable[[float], np.ndarray]:
        """Return ``t -> compute(inputs + t * directions)``, flattened."""

        def function(t: float) -> np.ndarray:
            moved = list(self.arrays)
            for index, direction in directions.items():
                moved[index] = self.arrays[index] + t * direction
            return flat(compute(moved))

        return function


def first_order(
    traced: Traced, tolerance: Tolerance, rng: np.random.Generator, max_elements: int
) -> Iterator[Check]:
    """Hold the gradient by each variable to finite differences of the values."""
    gradients = traced.gradient_values(traced.arrays)
    for index, gradient in zip(traced.variables, gradients, strict=True):
        name, array = f"the gradient by '{traced.names[index]}'", traced.arrays[index]
        _require_same_spec(traced, name, gradient, array)
        chosen = _choose(array.size, max_elements, rng)
        numeric = np.zeros(array.shape)
        where = np.zeros(array.shape, dtype=bool)
        for position in chosen:
            unit = _unit(array.shape, position)
            numeric[unit] = _slope(traced, index, _indicator(array.shape, unit), tolerance)
            where[unit] = True
        yield compare(
            traced.case, name, gradient, numeric, tolerance, WORDS, _explain(traced, index), where
        )
        if len(chosen) < array.size:
            direction = signs(array.shape, rng)
            along = _slope(traced, index, direction, tolerance)
            rule, scale = np.vdot(gradient, direction), float(np.linalg.norm(gradient))
            slack = tolerance.widened(tolerance.relative * scale)
            yield compare(traced.case, f"{name} along all its axes", rule, along, slack, WORDS)


def second_order_checks(traced: Traced, rng: np.random.Generator) -> Iterator[Check]:
    """Hold the gradient of the gradient, along a random direction, to finite differences."""
    directions = {i: signs(traced.arrays[i].shape, rng) for i in traced.variables}
    present = [i for i, g in zip(traced.variables, traced.gradients, strict=True) if g is not None]
    nodes = [g for g in traced.gradients if g is not None]
    variables = [traced.inputs[i] for i in traced.variables]
    try:
        second = traced.vector_product(nodes, [directions[i] for i in present], variables)
    except CheckError as error:
        raise CheckError(f"{error} (in the second derivative)") from error
    rule = traced.run("second", second, traced.arrays)
    numeric = derivative(
        traced.along(directions, traced.gradient_values),
        lambda value: _NUMERIC_SHARE * (SECOND.absolute + SECOND.relative * np.abs(value)),
    ).value
    start = 0
    for index, by_rule in zip(traced.variables, rule, strict=True):
        part = numeric[start : start + by_rule.size].reshape(by_rule.shape)
        start += by_rule.size
        name = f"the second derivative by '{traced.names[index]}'"
        yield compare(traced.case, name, by_rule, part, SECOND, WORDS)


def same_in_other_layouts(traced: Traced) -> Iterator[Check]:
    """Hold values and gradients of strided and broadcast inputs to those of contiguous ones."""
    for layout, changed, contiguous in layouts(traced.arrays):
        yield from _same(
            traced,
            f"with {layout} inputs",
            (traced.values(changed), traced.gradient_values(changed)),
            (traced.values(contiguous), traced.gradient_values(contiguous)),
            (f"with {layout} inputs it gives", "with contiguous ones"),
        )


def same_on_backend(traced: Traced, name: str) -> Iterator[Check]:
    """Hold values and gradients on another backend to those on the current one."""
    other = backend(name)
    try:
        found = (
            traced.values(traced.arrays, other),
            traced.gradient_values(traced.arrays, other),
        )
    except Exception as error:
        kind = type(error).__name__
        raise CheckError(f"{traced.case}: it does not run on {name}: {kind}: {error}") from error
    here = (traced.values(traced.arrays), traced.gradient_values(traced.arrays))
    words = (f"{name} gives", f"{current_backend().name} gives")
    yield from _same(traced, f"on {name}", found, here, words)


def same_in_float32(traced: Traced, *, forgiving: bool = False) -> Iterator[Check]:
    """Hold values and gradients in float32 to those in float64 of the same, rounded, inputs.

    A composition may be ill-conditioned though each of its ops is right: a gradient that cancels
    out, a sigmoid that is 1. With ``forgiving`` it may also differ by what rounding does to it,
    as found by rounding each step of the computation in float64 to float32.
    """
    single = [in_single(array) for array in traced.arrays]
    double = [in_double(array) for array in single]
    weights = [in_double(in_single(weight)) for weight in traced.weights]
    low, high = traced.at(single, weights), traced.at(double, weights)
    got = low.values(single), low.gradient_values(single)
    expected = high.values(double), high.gradient_values(double)

    def compared(slack: Sequence[list[np.ndarray]] | None = None) -> list[Check]:
        words = ("float32 gives", "float64 gives")
        return list(_same(traced, "in float32", got, expected, words, FLOAT32, slack))

    try:
        yield from compared()
    except CheckError:
        if not forgiving:
            raise
        yield from compared(_rounding_errors(high, double, expected))


def _rounding_errors(
    traced: Traced, arrays: Sequence[np.ndarray], exact: Sequence[list[np.ndarray]]
) -> list[list[np.ndarray]]:
    """Return how far values and gradients move if each step is rounded to float32."""
    nodes = [*traced.smooth, *(g for g in traced.gradients if g is not None)]
    rounded = dict(zip(map(id, nodes), _rounded(nodes), strict=True))
    values = [rounded[id(node)] for node in traced.smooth]
    gradients = [None if node is None else rounded[id(node)] for node in traced.gradients]
    moved = (
        traced.run("rounded values", values, arrays),
        traced.run("rounded gradients", gradients, arrays),
    )
    return [
        [_ROUNDINGS * np.abs(a - b) for a, b in zip(found, still, strict=True)]
        for found, still in zip(moved, exact, strict=True)
    ]


def _rounded(nodes: Sequence[Tensor]) -> list[Tensor]:
    """Return ``nodes`` computed in float64, each step rounded to float32."""
    new: dict[int, Tensor] = {}
    for node in toposort(nodes, computed=False):
        inputs = tuple(new[id(child)] for child in node.inputs)
        step = Tensor(node.op, inputs, node.attributes, node.spec, node.name) if inputs else node
        is_computed = inputs and node.dtype == "float64"
        new[id(node)] = step.astype("float32").astype("float64") if is_computed else step
    return [new[id(node)] for node in nodes]


def in_double(array: np.ndarray) -> np.ndarray:
    """Return ``array``, in float64 if it holds floats."""
    return array.astype("float64") if array.dtype.kind == "f" else array


def in_single(array: np.ndarray) -> np.ndarray:
    """Return ``array``, in float32 if it holds float64."""
    return array.astype("float32") if array.dtype == "float64" else array


def signs(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return random numbers of either sign and of a size between ½ and 1½."""
    return rng.uniform(0.5, 1.5, shape) * rng.choice((-1.0, 1.0), shape)


def flat(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return all elements of ``arrays`` in one float64 vector."""
    parts = [np.asarray(array, dtype="float64").ravel() for array in arrays]
    return np.concatenate(parts) if parts else np.zeros(0)


WORDS = ("the rule gives", "finite differences give")


def _same(
    traced: Traced,
    how: str,
    got: tuple[list[np.ndarray], list[np.ndarray]],
    expected: tuple[list[np.ndarray], list[np.ndarray]],
    words: tuple[str, str],
    tolerance: Tolerance = SAME,
    more: Sequence[list[np.ndarray]] | None = None,
) -> Iterator[Check]:
    """Compare values and gradients; ``more`` is what each array may differ by beside that."""
    labels = (
        ["the value"] * len(traced.smooth),
        [f"the gradient by '{traced.names[i]}'" for i in traced.variables],
    )
    for kind in (0, 1):
        for index, label in enumerate(labels[kind]):
            a, b = got[kind][index], expected[kind][index]
            slack = relative_to_largest(tolerance, b)
            if more is not None:
                slack = slack.widened(float(more[kind][index].max(initial=0.0)))
            yield compare(traced.case, f"{label} {how}", a, b, slack, words)


def relative_to_largest(tolerance: Tolerance, array: np.ndarray) -> Tolerance:
    """Return ``tolerance`` with its absolute part widened by the largest finite element."""
    sizes = np.abs(array[np.isfinite(array)])
    return tolerance.widened(tolerance.relative * float(sizes.max(initial=0.0)))


def _slope(traced: Traced, index: int, direction: np.ndarray, tolerance: Tolerance) -> np.ndarray:
    return derivative(
        traced.along({index: direction}, traced.values),
        lambda value: _NUMERIC_SHARE * (tolerance.absolute + tolerance.relative * np.abs(value)),
        traced.project,
    ).value


def _explain(traced: Traced, index: int) -> Callable[[tuple[int, ...]], str]:
    """Return what looks for a kink at an element, to say so in the message."""

    def explain(element: tuple[int, ...]) -> str:
        array = traced.arrays[index]
        direction = _indicator(array.shape, element)
        along = traced.along({index: direction}, traced.values)
        left, right = (float(slope) for slope in slopes(along, traced.project))
        if not (np.isfinite(left) and np.isfinite(right)):
            return "the function is not finite near this point: draw samples from its domain"
        if abs(left - right) <= 1e-3 * max(abs(left), abs(right), 1e-3):
            return ""
        return (
            f"there is a kink at {array[element]:.6g}, with slope {left:.6g} to its left and "
            f"{right:.6g} to its right: keep samples away from it by kinks=(…) or "
            f"Draw(…, kinks=(…)), or Draw(…, distinct=True) for ties"
        )

    return explain


def _require_same_spec(traced: Traced, name: str, gradient: np.ndarray, array: np.ndarray) -> None:
    if (gradient.shape, gradient.dtype) != (array.shape, array.dtype):
        raise CheckError(
            f"{traced.case}: {name} is {gradient.dtype}{list(gradient.shape)}, "
            f"its input {array.dtype}{list(array.shape)}"
        )


def _choose(size: int, at_most: int, rng: np.random.Generator) -> np.ndarray:
    return np.arange(size) if size <= at_most else rng.choice(size, at_most, replace=False)


def _unit(shape: tuple[int, ...], position: int) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(position), shape)) if shape else ()


def _indicator(shape: tuple[int, ...], element: tuple[int, ...]) -> np.ndarray:
    indicator = np.zeros(shape)
    indicator[element] = 1.0
    return indicator
