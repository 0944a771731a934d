"""Layer checks: receive a layer and its input's specs, return a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minidl.component import make, to_config
from minidl.errors import CheckError
from minidl.graph import Program, Tensor, placeholder, tensor
from minidl.graph.spec import check_dtype, is_float
from minidl.registry import get
from minidl.testing.draws import draw
from minidl.testing.gradients import (
    Traced,
    first_order,
    in_double,
    same_in_float32,
    same_in_other_layouts,
    second_order_checks,
)
from minidl.testing.report import Check, CheckReport, Tolerance, listed


def check_layer(
    layer: Any,
    *inputs: Any,
    seed: int = 0,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    second_order: bool = True,
    max_elements: int = 100,
    unused: Sequence[str] = (),
) -> CheckReport:
    """Check a layer, or a whole network of them, as a user would use it.

    That its config makes it again; that its output has the shape and dtype it said; that the
    same seed gives the same bits; that every input and trainable parameter reaches the output;
    and that the gradients by all of them agree with finite differences in float64, in evaluation
    and in training mode, to second order.

    Parameters
    ----------
    layer : Layer, or a class of them
        A class is made with its defaults. What is checked is a copy made from its config.
    *inputs
        What :func:`minidl.testing.draw` takes: shapes, Specs, Draws, arrays. Arrays and Draws
        are best for integers, which are otherwise drawn from {0, 1}. A class may go without: it
        is checked on each of the ``samples`` it declares.
    seed : int
        Decides drawn inputs, parameters, output weights and directions.
    rtol, atol : float
        Allowed difference of an element: ``atol + rtol * max(|rule|, |finite difference|)``.
    second_order : bool
        Whether to check the second derivative, at a relative tolerance of 1e-4.
    max_elements : int
        Of a larger input or parameter so many elements, chosen at random, are checked one by
        one, and all of them together along a random direction.
    unused : sequence of str
        Inputs (``"input0"``) and parameters, by path, that need not reach the output.

    Returns
    -------
    CheckReport

    Raises
    ------
    CheckError
        At the first fault, saying where it is.
    """
    options = (seed, rtol, atol, second_order, max_elements, unused)
    if inputs or not isinstance(layer, type):
        given = layer() if isinstance(layer, type) else layer
        subject = _label(given)
        return CheckReport(subject, tuple(_checks(given, inputs, subject, *options)))
    cls: Any = layer
    subject = _label(cls)
    if not cls.samples:
        raise CheckError(f"{subject} declares no samples; give its inputs' shapes to check_layer")
    checks: list[Check] = []
    for number, each in enumerate(cls.samples, 1):
        made = make(cls.kind, {"type": cls.type_name, **each.attributes})
        case = f"{subject}, sample {number} of {len(cls.samples)}"
        checks += _checks(made, each.inputs, case, *options)
    return CheckReport(subject, tuple(checks))


def _checks(
    given: Any,
    inputs: Sequence[Any],
    subject: str,
    seed: int,
    rtol: float,
    atol: float,
    second_order: bool,
    max_elements: int,
    unused: Sequence[str],
) -> list[Check]:
    fresh = through_config(given, subject)
    rng = np.random.default_rng(seed)
    arrays = [draw(each, rng) for each in inputs]
    arrays = [a.astype("float32") if a.dtype.kind == "f" else a for a in arrays]
    fresh.setup(*(tensor(array).spec for array in arrays))
    run = LayerRun(fresh, subject, arrays, first_values(fresh, seed, rng))
    checks = [Check(subject, "the config round trip"), run.check_outputs()]
    for training in (False, True):
        checks.append(run.check_repeats(training, seed))
        traced = run.traced(training, seed, rng)
        require_connected(traced, unused)
        checks += first_order(traced, Tolerance(rtol, atol), rng, max_elements)
        checks += second_order_checks(traced, rng) if second_order else ()
        checks += same_in_float32(traced, forgiving=True)
        checks += same_in_other_layouts(traced)
    return checks


class LayerRun:
    """A layer that is set up, with arrays for its inputs and parameters."""

    def __init__(
        self,
        layer: Any,
        subject: str,
        inputs: Sequence[np.ndarray],
        parameters: dict[str, np.ndarray],
    ) -> None:
        self.layer, self.subject, self.inputs = layer, subject, list(inputs)
        self.paths, self.values = list(parameters), list(parameters.values())
        self.names = [f"input{i}" for i in range(len(inputs))] + self.paths

    def function(self, training: bool, seed: int, extra: bool = False) -> Callable[..., Any]:
        """Return the layer as a function of its inputs and, behind them, its parameters.

        With ``extra`` it also returns the next values of buffers.
        """

        def call(*tensors: Tensor) -> Any:
            count = len(self.inputs)
            values = dict(zip(self.paths, tensors[count:], strict=True))
            context = self.layer.new_context(values, training=training, seed=seed, step=0)
            output = self.layer(*tensors[:count], context=context)
            self._check_updates(context.updates)
            return (output, *context.updates.values()) if extra else output

        return call

    def traced(
        self, training: bool, seed: int, rng: np.random.Generator, fixed: Sequence[str] = ()
    ) -> Traced:
        """Return the layer traced in float64; ``fixed`` inputs are not differentiated by."""
        mode = "in training" if training else "in evaluation"
        arrays = [in_double(array) for array in (*self.inputs, *self.values)]
        case = f"{self.subject} {mode}"
        buffers = [p.path for p in self.layer.all_parameters() if not p.trainable]
        function = self.function(training, seed)
        return Traced(case, function, self.names, arrays, rng, [*fixed, *buffers])

    def check_outputs(self) -> Check:
        """Hold the output to the spec that ``setup`` announced."""
        (output,) = self._results(False, 0, extra=False)
        found = f"{check_dtype(output.dtype)}{list(output.shape)}"
        if found != str(self.layer.output_spec):
            raise CheckError(
                f"{self.subject}: setup says its output is {self.layer.output_spec}, it is {found}"
            )
        return Check(self.subject, "shape and dtype")

    def check_repeats(self, training: bool, seed: int) -> Check:
        """Require the same bits from two runs that were traced apart from each other."""
        mode = "in training" if training else "in evaluation"
        first, second = (self._results(training, seed, extra=True) for _ in range(2))
        for a, b in zip(first, second, strict=True):
            if a.tobytes() != b.tobytes():
                raise CheckError(
                    f"{self.subject} {mode}: two runs from the same seed differ; draw random "
                    f"numbers from context.random_key(self), and keep no state on the layer"
                )
        return Check(f"{self.subject} {mode}", "the same seed, the same bits")

    def _results(self, training: bool, seed: int, extra: bool) -> list[np.ndarray]:
        arrays = [*self.inputs, *self.values]
        nodes = [
            placeholder(name, array.shape, check_dtype(array.dtype))
            for name, array in zip(self.names, arrays, strict=True)
        ]
        results = self.function(training, seed, extra)(*nodes)
        program = Program(nodes, results if extra else [results])
        where = program.backend
        return [where.to_numpy(a) for a in program([where.from_numpy(a) for a in arrays])]

    def _check_updates(self, updates: dict[str, Tensor]) -> None:
        specs = {p.path: p.spec for p in self.layer.all_parameters() if not p.trainable}
        for path, value in updates.items():
            if path not in specs:
                raise CheckError(f"{self.subject}: it updates '{path}', which is no buffer of it")
            if value.shape != specs[path].shape:
                raise CheckError(
                    f"{self.subject}: the next value of buffer '{path}' has shape "
                    f"{value.shape}, the buffer {specs[path].shape}"
                )


def through_config(layer: Any, subject: str) -> Any:
    """Return the layer that its own config makes."""
    config = to_config(layer)
    try:
        again = make(layer.kind, config)
    except Exception as error:
        raise CheckError(
            f"{subject}: its config {config} does not make it again: {error}"
        ) from error
    if type(again) is not type(layer) or to_config(again) != config:
        raise CheckError(f"{subject}: its config {config} makes another layer, {to_config(again)}")
    return again


def first_values(layer: Any, seed: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return initial values; those of trainable parameters moved a little, away from zero.

    Weights that begin small are moved by less, so that a deep network of them stays tame.
    """
    values = {}
    for number, parameter in enumerate(layer.all_parameters()):
        key = get("op", "random_key")(seed, number, 0)
        value = parameter.init(key, parameter.spec.shape, parameter.spec.dtype).numpy()
        if parameter.trainable and is_float(parameter.spec.dtype):
            size = float(np.sqrt(np.mean(np.square(value, dtype="float64")))) if value.size else 0.0
            most = min(0.3, size or 0.3)
            value = value + rng.uniform(-most, most, value.shape).astype(value.dtype)
        values[parameter.path] = value
    return values


def require_connected(traced: Traced, unused: Sequence[str] = ()) -> None:
    """Raise CheckError unless a gradient reaches every variable, but for those ``unused``."""
    missing = [
        f"'{traced.names[i]}'"
        for i, gradient in zip(traced.variables, traced.gradients, strict=True)
        if gradient is None and traced.names[i] not in unused
    ]
    if missing:
        raise CheckError(
            f"{traced.case}: no gradient reaches {listed(missing)}; use it in forward, "
            f"or name it in unused=[…] if that is meant"
        )


def _label(layer: Any) -> str:
    name = layer.type_name or getattr(layer, "__name__", type(layer).__name__)
    return f"layer '{name}'"
