"""The gradient engine: receives a loss and what to differentiate by, returns gradient nodes.

It is the chain rule with shared prefixes computed once: nodes are visited from the loss
backwards, each once, when all its consumers have been; what they contributed is summed (the sum
rule), and the op's own rule turns ∂L/∂z into ∂L/∂(each input).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from minidl import registry
from minidl.errors import DtypeError, GradientError, ShapeError
from minidl.graph.leaves import scalar_constant
from minidl.graph.node import Tensor, require_tensor, toposort
from minidl.graph.op import as_tensor
from minidl.graph.spec import Spec, is_float


def grad(
    loss: Tensor,
    wrt: Any,
    grad_output: Any = None,
    *,
    unused: Literal["error", "zeros"] = "error",
) -> Any:
    """Build the gradient of ``loss``.

    Parameters
    ----------
    loss : Tensor
        A scalar, or of any shape if ``grad_output`` is given.
    wrt : Tensor, or a sequence or dict of them
        What to differentiate by: any nodes of the graph, inner ones too.
    grad_output : Tensor, optional
        ∂L/∂loss for a loss that is not the end of the chain; default 1.
    unused : {"error", "zeros"}
        What to do for a ``wrt`` that the loss does not depend on.

    Returns
    -------
    Tensor, or a sequence or dict of them
        The gradients, in the structure of ``wrt`` and each in the shape and dtype of its
        variable. They are nodes themselves and can be differentiated again.

    Raises
    ------
    GradientError
        If an op on the way has no gradient, or the loss does not depend on a variable.
    ShapeError
        If the loss is not a scalar and no ``grad_output`` is given.
    """
    from minidl.graph.trace import flatten

    variables, restore = flatten(wrt)
    for variable in variables:
        _check_variable(require_tensor(variable, "wrt"))
    seed = _seed(require_tensor(loss, "loss"), grad_output)
    found = backward(loss, seed, variables)
    return restore([_result(found.get(id(v)), loss, v, unused) for v in variables])


def backward(
    loss: Tensor,
    seed: Tensor,
    variables: Sequence[Tensor],
    observe: Callable[[Tensor, Tensor, Sequence[Tensor | None]], None] | None = None,
) -> dict[int, Tensor]:
    """Return ∂L/∂(variable) by ``id``, for those variables that ``loss`` depends on.

    ``observe(node, g, gradients)`` is told each rule that was applied, in order.
    """
    wanted = {id(variable) for variable in variables}
    order = toposort([loss])
    active = _depending_on(order, wanted)
    contributions: dict[int, list[Tensor]] = {id(loss): [seed]}
    found: dict[int, Tensor] = {}
    for node in reversed(order):
        received = contributions.pop(id(node), None)
        if received is None or id(node) not in active:
            continue
        g = _sum(received)
        if id(node) in wanted:
            found[id(node)] = g
        if any(id(child) in active for child in node.inputs):
            gradients = apply_rule(node, g, active)
            if observe is not None:
                observe(node, g, gradients)
            for child, gradient in zip(node.inputs, gradients, strict=True):
                if gradient is not None:
                    contributions.setdefault(id(child), []).append(gradient)
    return found


def apply_rule(node: Tensor, g: Tensor, active: set[int]) -> list[Tensor | None]:
    """Return ∂L/∂(each input of ``node``) from g = ∂L/∂node, None for those not ``active``."""
    rule = node.op.backward
    if rule is None:
        raise GradientError(f"{node.op.name} has no gradient: {node.op.no_gradient}")
    given = rule(g, node, *node.inputs, **node.attributes)
    gradients = given if isinstance(given, tuple | list) else (given,)
    if len(gradients) != len(node.inputs):
        raise GradientError(
            f"the gradient rule of {node.op.name} returned {len(gradients)} gradients "
            f"for {len(node.inputs)} inputs"
        )
    return [
        None
        if gradient is None or id(child) not in active
        else fit(as_tensor(gradient), child.spec)
        for child, gradient in zip(node.inputs, gradients, strict=True)
    ]


def fit(gradient: Tensor, spec: Spec) -> Tensor:
    """Bring a gradient to its variable's spec: summing over broadcast axes undoes broadcasting.

    A gradient that is itself the same for many elements (of a sum, say) is broadcast to them.
    """
    if gradient.dtype != spec.dtype:
        gradient = gradient.astype(spec.dtype)
    if gradient.shape == spec.shape:
        return gradient
    extra = max(gradient.ndim - len(spec.shape), 0)
    tail = zip(reversed(gradient.shape[extra:]), reversed(spec.shape), strict=False)
    repeated = [gradient.ndim - 1 - i for i, (m, n) in enumerate(tail) if n == 1 != m]
    if extra or repeated:
        gradient = gradient.sum(axis=(*range(extra), *repeated), keepdims=True)
        gradient = gradient.reshape(gradient.shape[extra:])
    if gradient.shape == spec.shape:
        return gradient
    return registry.get("op", "broadcast_to")(gradient, spec.shape)


def _check_variable(variable: Tensor) -> None:
    if not is_float(variable.dtype):
        raise DtypeError(f"cannot differentiate by a value of dtype {variable.dtype}; use a float")


def _seed(loss: Tensor, grad_output: Any) -> Tensor:
    if not is_float(loss.dtype):
        raise DtypeError(f"cannot differentiate a loss of dtype {loss.dtype}; use a float")
    if grad_output is not None:
        seed = as_tensor(grad_output)
        if seed.shape != loss.shape:
            raise ShapeError(f"grad_output has shape {seed.shape}, the loss {loss.shape}")
        return seed
    if loss.shape != ():
        raise ShapeError(
            f"the loss must be a scalar, not of shape {loss.shape}; "
            f"reduce it (.sum(), .mean()) or give grad_output"
        )
    return scalar_constant(1.0, loss.dtype)


def _result(found: Tensor | None, loss: Tensor, variable: Tensor, unused: str) -> Tensor:
    if found is not None:
        return found
    if unused == "zeros":
        zero = scalar_constant(0.0, variable.dtype)
        return registry.get("op", "broadcast_to")(zero, variable.shape)
    label = f"'{variable.name}'" if variable.name else repr(variable)
    raise GradientError(
        f"the loss does not depend on {label} through differentiable ops; "
        f"give unused='zeros' if that is meant"
    )


def _depending_on(order: Sequence[Tensor], wanted: set[int]) -> set[int]:
    active = set()
    for node in order:
        reached = id(node) in wanted or any(id(child) in active for child in node.inputs)
        if reached and is_float(node.dtype) and not node.op.stops_gradient:
            active.add(id(node))
    return active


def _sum(parts: Sequence[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
