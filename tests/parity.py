"""Comparison with PyTorch: outputs and all gradients, in float64 and in float32.

A test that uses it is marked ``parity`` and begins with ``pytest.importorskip("torch")``; this
module itself can be imported without PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch_ops

from minidl import registry
from minidl.component import make
from minidl.graph import grad, sample, tensor
from minidl.graph.interpreter import evaluate
from minidl.graph.spec import is_float
from minidl.layers import Context
from minidl.testing.ops import sample_call

TOLERANCES = {"float64": 1e-9, "float32": 1e-4}
"""Allowed difference, of the largest element."""
_NOISE = 0.1
"""Smallest size that a difference is taken of: a gradient that ought to be 0 is rounding alone."""


def compare_op_with_torch(name: str, *inputs: Any, **attributes: Any) -> None:
    """Hold one call of an op to PyTorch's function in the table :mod:`torch_ops`.

    Parameters
    ----------
    name : str
        Of the op.
    *inputs, **attributes
        Of the call, as ``minidl.sample`` takes them: a shape is drawn from [-2, 2).
    """
    op = registry.get("op", name)
    call = sample_call(op, sample(*inputs, **attributes))
    ours, theirs = call.apply, replace(call, op=torch_ops.function(name)).apply
    if name in torch_ops.BEFORE:
        before = torch_ops.BEFORE[name]
        ours = _after(registry.get("op", before), ours)
        theirs = _after(torch_ops.function(before), theirs)
    constants = torch_ops.CONSTANTS.get(name, ())
    gradients = op.differentiable or op.stops_gradient
    compare_with_torch(ours, theirs, call.arrays, gradients=gradients, constants=constants)


def _after(first: Callable[..., Any], second: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, *others: second(first(x, axis=-1), *others)


def compare_with_torch(
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    arrays: Sequence[np.ndarray],
    *,
    gradients: bool = True,
    constants: Collection[int] = (),
    tolerances: Mapping[str, float] = TOLERANCES,
) -> None:
    """Hold a function of Tensors to one of torch tensors.

    Parameters
    ----------
    ours, theirs : callable
        Take a tensor for each array; return one, or a tuple of them in the same order.
    arrays : sequence of ndarray
        Inputs. Floats are converted to each dtype, and differentiated by; others stay.
    gradients : bool
        Whether gradients are compared too.
    constants : collection of int
        Positions of arrays that are not differentiated by.
    tolerances : mapping
        For each dtype to try, the allowed difference, of the largest element.
    """
    for dtype, tolerance in tolerances.items():
        given = [np.asarray(a, dtype) if a.dtype.kind == "f" else a for a in arrays]
        floats = [i for i, a in enumerate(given) if a.dtype.kind == "f"] if gradients else []
        variables = [i for i in floats if i not in constants]
        expected, expected_gradients = _run_theirs(theirs, given, variables)
        found, found_gradients = _run_ours(ours, given, variables)
        assert len(found) == len(expected)
        for index, (a, b) in enumerate(zip(found, expected, strict=True)):
            _assert_near(a, b, tolerance, f"output {index} in {dtype}")
        for index, (a, b) in enumerate(zip(found_gradients, expected_gradients, strict=True)):
            _assert_near(a, b, tolerance, f"gradient {index} in {dtype}")


def compare_layer_with_torch(
    config: Mapping[str, Any],
    module: Any,
    arrays: Sequence[np.ndarray],
    *,
    call: Callable[..., Any] | None = None,
    training: bool = False,
    tolerances: Mapping[str, float] = TOLERANCES,
) -> None:
    """Hold a layer to a torch module whose parameters have the same names.

    Parameters
    ----------
    config : mapping
        The table of the layer.
    module : torch.nn.Module
        The values of its parameters and buffers are used for both.
    arrays : sequence of ndarray
        Inputs; see :func:`compare_with_torch`.
    call : callable, optional
        ``call(module, *inputs)`` returns what the layer should; default calls the module.
    training : bool
        Whether the layer and the module run in training mode.
    """
    import torch

    module.train(training)
    apply = call or (lambda module, *inputs: module(*inputs))
    layer = make("layer", dict(config))
    layer.setup(*(tensor(_single(array)).spec for array in arrays))
    parameters = list(layer.all_parameters())
    wanted = {p.path: p.spec.shape for p in parameters if p.trainable}
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == wanted
    state, names, count = module.state_dict(), [p.path for p in parameters], len(arrays)
    buffers = [count + i for i, p in enumerate(parameters) if not p.trainable]

    def ours(*tensors: Any) -> Any:
        values = dict(zip(names, tensors[count:], strict=True))
        return layer(*tensors[:count], context=Context(values, training=training))

    def theirs(*tensors: Any) -> Any:
        values = dict(zip(names, tensors[count:], strict=True))
        return torch.func.functional_call(_Caller(module, apply), _below(values), tensors[:count])

    given = [*arrays, *(state[name].numpy().copy() for name in names)]
    compare_with_torch(ours, theirs, given, constants=buffers, tolerances=tolerances)


def _below(values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"module.{name}": value for name, value in values.items()}


def _Caller(module: Any, apply: Callable[..., Any]) -> Any:
    """Return a module that calls ``apply`` on another, so that its parameters can be replaced."""
    import torch

    class Caller(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *inputs: Any) -> Any:
            return apply(self.module, *inputs)

    return Caller()


def _run_theirs(
    function: Callable[..., Any], arrays: Sequence[np.ndarray], variables: Sequence[int]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    import torch

    inputs = [torch.tensor(array) for array in arrays]
    leaves = [inputs[i].requires_grad_() for i in variables]
    outputs = _listed(function(*inputs))
    values = [output.detach().numpy() for output in outputs]
    seeds = [torch.tensor(seed) for seed in _seeds(values)]
    reached = [i for i, output in enumerate(outputs) if output.requires_grad]
    if not leaves or not reached:
        return values, [np.zeros_like(arrays[i]) for i in variables]
    roots, seeds = [outputs[i] for i in reached], [seeds[i] for i in reached]
    found = torch.autograd.grad(roots, leaves, seeds, materialize_grads=True)
    return values, [g.numpy() for g in found]


def _run_ours(
    function: Callable[..., Any], arrays: Sequence[np.ndarray], variables: Sequence[int]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    inputs = [tensor(array) for array in arrays]
    leaves = [inputs[i] for i in variables]
    outputs = _listed(function(*inputs))
    seeds = _seeds([np.empty(z.shape, z.dtype) for z in outputs])
    parts = [
        grad(z, leaves, tensor(seed), unused="zeros")
        for z, seed in zip(outputs, seeds, strict=True)
        if leaves and is_float(z.dtype)
    ]
    nodes = [*outputs, *(sum(column[1:], column[0]) for column in zip(*parts, strict=True))]
    values = [np.asarray(array) for array in evaluate(nodes)]
    gradients = values[len(outputs) :] or [np.zeros_like(arrays[i]) for i in variables]
    return values[: len(outputs)], gradients


def _seeds(outputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the gradient of a loss by each output: random, but the same for both sides."""
    rng = np.random.default_rng(7)
    return [rng.normal(size=z.shape).astype(z.dtype) for z in outputs]


def _listed(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, tuple | list) else [outputs]


def _single(array: np.ndarray) -> np.ndarray:
    return array.astype("float32") if array.dtype.kind == "f" else array


def _assert_near(found: np.ndarray, expected: np.ndarray, tolerance: float, what: str) -> None:
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, not {expected.shape}"
    assert found.dtype == expected.dtype, f"{what}: dtype {found.dtype}, not {expected.dtype}"
    if expected.size:
        largest = float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0))
        margin = tolerance * max(largest, _NOISE)
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=margin, err_msg=what)
