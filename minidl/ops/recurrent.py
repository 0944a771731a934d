"""Recurrence: the part of RNN, GRU and LSTM that must go through a sequence step by step.

An op takes what the inputs add to the gates, for all steps at once, and goes through time. Its
gradient goes back through time in one op too, ``…_gradient``, whose own gradient is that of its
``forward``, traced over graph values.

All values are (time, batch, features). Where ``valid`` is false, a sequence is padded and its
state stays as it is. The first row of a ``…_gradient`` is the gradient by ``start``, the state
before the first step, and the others are those by x, step by step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidl import registry
from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.graph.gradient import backward as differentiate
from minidl.graph.leaves import placeholder
from minidl.graph.node import Tensor, toposort
from minidl.graph.op import Draw, op, sample
from minidl.graph.spec import Spec, is_float
from minidl.ops.creation import zeros
from minidl.ops.joining import concat, stack

_STEPS = Draw((3, 2), dtype="bool")
_ONE, _ALL = [[True]], [[True], [True]]
_POSITIVE, _MIXED = Draw((3, 2, 3), 0.5, 2.0), [[[-1.0, 2.0]], [[1.0, 0.5]]]
_NONLINEARITIES = ("tanh", "relu")
_KINK = "where relu's argument is 0 its gradient is 0"


@op(
    "rnn_steps",
    autocast="float32",
    promoted=(0, 1, 3),
    floating=True,
    kink=_KINK,
    samples=[
        sample((3, 2, 4), (4, 4), _STEPS, (2, 4)),
        sample((2, 1, 3), (3, 3), _ALL, (1, 3)),
        sample(_POSITIVE, Draw((3, 3), 0.0, 0.5), _STEPS, Draw((2, 3), 0.5), nonlinearity="relu"),
        sample(_MIXED, [[0.1, 0.2], [-0.2, 0.1]], _ALL, [[0.5, -0.5]], nonlinearity="relu"),
        sample((0, 2, 3), (3, 3), Draw((0, 2), dtype="bool"), (2, 3)),
        sample((2, 0, 3), (3, 3), Draw((2, 0), dtype="bool"), (0, 3)),
    ],
)
class rnn_steps:
    """The states of a plain recurrent network.

    z_t = tanh(x_t + z_(t−1) @ W.T), with z_(−1) = start

    Parameters
    ----------
    x : Tensor, (time, batch, size)
        What inputs and biases add.
    weight : Tensor, (size, size)
        W.
    valid : Tensor of bool, (time, batch)
        Where it is false, z_t = z_(t−1).
    start : Tensor, (batch, size)
        The state before the first step.
    nonlinearity : {"tanh", "relu"}

    Raises
    ------
    ShapeError, DtypeError
        If the inputs do not fit together.
    """

    def normalize(x, weight, valid, start, /, *, nonlinearity="tanh"):
        _check_nonlinearity(nonlinearity)
        return {"nonlinearity": nonlinearity}

    def infer(x, weight, valid, start, /, *, nonlinearity="tanh"):
        _check_steps(x, weight, valid, 1)
        _check_same("start", start, x.shape[1:])
        return x

    def forward(xp, x, weight, valid, start, *, nonlinearity):
        h, states = start, []
        for t in range(x.shape[0]):
            sums = x[t, ...] + h @ weight.T
            new = xp.tanh(sums) if nonlinearity == "tanh" else xp.maximum(sums, xp.zeros_like(sums))
            h = xp.where(valid[t, :, None], new, h)
            states.append(h)
        return _stacked(xp, states, x)

    def backward(g, z, x, weight, valid, start, *, nonlinearity):
        d = rnn_steps_gradient(g, z, weight, valid, nonlinearity=nonlinearity)
        by_x, by_start = d[1:], d[0]
        return by_x, _rows(by_x).T @ _rows(_before(z, start)), None, by_start

    def flops(z, x, weight, valid, start, *, nonlinearity):
        return 2 * x.size * (weight.shape[1] + 1)


@op(
    "rnn_steps_gradient",
    autocast="float32",
    promoted=(0, 1, 2),
    floating=True,
    kink=_KINK,
    samples=[
        sample((1, 1, 1), (1, 1, 1), (1, 1), _ONE),
        sample((3, 2, 4), Draw((3, 2, 4), -1.0, 1.0), (4, 4), _STEPS),
        sample((2, 1, 3), Draw((2, 1, 3), 0.1, 1.0), (3, 3), _ALL, nonlinearity="relu"),
        sample((2, 1, 1), [[[0.5]], [[-0.5]]], (1, 1), _ALL, nonlinearity="relu"),
        sample((0, 2, 3), (0, 2, 3), (3, 3), Draw((0, 2), dtype="bool")),
    ],
)
class rnn_steps_gradient:
    """The gradients by start and by x of ``rnn_steps``, from the gradient by its result.

    z = [h_(−1), d_0, d_1, …], where d_t = h_t (1 − y_t²) and h_t = dy_t + d_(t+1) @ W

    Parameters
    ----------
    dy, y : Tensor, (time, batch, size)
        The gradient by the result of ``rnn_steps``, and that result.
    weight, valid : Tensor
        As given to it. Where a step is not valid, d_t = 0 and h passes through.
    nonlinearity : {"tanh", "relu"}
        For relu, d_t = h_t where y_t > 0, and 0 elsewhere.

    Returns
    -------
    Tensor, (time + 1, batch, size)
    """

    def normalize(dy, y, weight, valid, /, *, nonlinearity="tanh"):
        _check_nonlinearity(nonlinearity)
        return {"nonlinearity": nonlinearity}

    def infer(dy, y, weight, valid, /, *, nonlinearity="tanh"):
        _check_steps(y, weight, valid, 1)
        _check_same("dy", dy, y.shape)
        return y.with_shape((y.shape[0] + 1, *y.shape[1:]))

    def forward(xp, dy, y, weight, valid, *, nonlinearity):
        dh = xp.zeros((y.shape[1], y.shape[2]), dtype=y.dtype)
        zero = xp.zeros_like(dh)
        found = []
        for t in reversed(range(y.shape[0])):
            dh = dh + dy[t, ...]
            y_t = y[t, ...]
            through = (
                dh * (1 - y_t * y_t) if nonlinearity == "tanh" else xp.where(y_t > 0, dh, zero)
            )
            is_step = valid[t, :, None]
            d = xp.where(is_step, through, zero)
            dh = xp.where(is_step, d @ weight, dh)
            found.append(d)
        return xp.stack([dh, *found[::-1]])

    def backward(g, z, dy, y, weight, valid, *, nonlinearity):
        given = (dy, y, weight, valid)
        return _traced_gradient(rnn_steps_gradient, g, given, nonlinearity=nonlinearity)

    def flops(z, dy, y, weight, valid, *, nonlinearity):
        return 2 * y.size * (weight.shape[1] + 2)


@op(
    "gru_steps",
    autocast="float32",
    promoted=(0, 1, 2, 4),
    floating=True,
    samples=[
        sample((3, 2, 6), (6, 2), (6,), _STEPS, (2, 2)),
        sample((2, 1, 9), (9, 3), (9,), _ALL, (1, 3)),
        sample((0, 2, 3), (3, 1), (3,), Draw((0, 2), dtype="bool"), (2, 1)),
        sample((2, 0, 3), (3, 1), (3,), Draw((2, 0), dtype="bool"), (0, 1)),
    ],
)
class gru_steps:
    """The states of gated recurrent units, with gates r (reset), u (update) and n (new).

    r = σ(x_r + a_r),  u = σ(x_u + a_u),  n = tanh(x_n + r * a_n),  where a = z_(t−1) @ W.T + b

    z_t = (1 − u) * n + u * z_(t−1), with z_(−1) = start

    Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014, in the form of
    cuDNN and PyTorch, which reset after the product.

    Parameters
    ----------
    x : Tensor, (time, batch, 3 · size)
        What inputs and their biases add to r, u and n, in this order.
    weight : Tensor, (3 · size, size)
        W.
    bias : Tensor, (3 · size,)
        b.
    valid : Tensor of bool, (time, batch)
        Where it is false, z_t = z_(t−1).
    start : Tensor, (batch, size)
        The state before the first step.

    Raises
    ------
    ShapeError, DtypeError
        If the inputs do not fit together.
    """

    def infer(x, weight, bias, valid, start, /):
        _check_steps(x, weight, valid, 3)
        _check_same("bias", bias, weight.shape[:1])
        _check_same("start", start, (x.shape[1], weight.shape[1]))
        return x.with_shape((*x.shape[:2], weight.shape[1]))

    def forward(xp, x, weight, bias, valid, start):
        h, states = start, []
        for t in range(x.shape[0]):
            _, u, n, _ = _gru_gates(xp, x[t, ...], h @ weight.T + bias)
            h = xp.where(valid[t, :, None], n + u * (h - n), h)
            states.append(h)
        return _stacked(xp, states, x, h.shape[1])

    def backward(g, z, x, weight, bias, valid, start):
        size = weight.shape[1]
        whole = gru_steps_gradient(g, z, x, weight, bias, valid, start)
        d, by_start = whole[1:], whole[0, :, :size]
        by_a = concat([d[..., : 2 * size], d[..., 3 * size :]], axis=-1)
        by_weight = _rows(by_a).T @ _rows(_before(z, start))
        return d[..., : 3 * size], by_weight, by_a.sum(axis=(0, 1)), None, by_start

    def flops(z, x, weight, bias, valid, start):
        return 2 * x.size * weight.shape[1] + 8 * x.size


@op(
    "gru_steps_gradient",
    autocast="float32",
    promoted=(0, 1, 2, 3, 4, 6),
    floating=True,
    samples=[
        sample((1, 1, 1), (1, 1, 1), (1, 1, 3), (3, 1), (3,), _ONE, (1, 1)),
        sample((3, 2, 2), (3, 2, 2), (3, 2, 6), (6, 2), (6,), _STEPS, (2, 2)),
        sample((2, 1, 1), (2, 1, 1), (2, 1, 3), (3, 1), (3,), _ALL, (1, 1)),
        sample((0, 2, 1), (0, 2, 1), (0, 2, 3), (3, 1), (3,), Draw((0, 2), dtype="bool"), (2, 1)),
    ],
)
class gru_steps_gradient:
    """The gradients by start, x and a of ``gru_steps``, from the gradient by its result.

    z = [s, d_0, d_1, …], where s = [∂L/∂start, 0, 0, 0]

    d_t = [∂L/∂x_r, ∂L/∂x_u, ∂L/∂x_n, ∂L/∂a_n];  ∂L/∂a_r and ∂L/∂a_u are those by x

    Parameters
    ----------
    dy, y : Tensor, (time, batch, size)
        The gradient by the result of ``gru_steps``, and that result.
    x, weight, bias, valid, start : Tensor
        As given to it. Where a step is not valid, d_t = 0.

    Returns
    -------
    Tensor, (time + 1, batch, 4 · size)
    """

    def infer(dy, y, x, weight, bias, valid, start, /):
        _check_steps(x, weight, valid, 3)
        _check_same("bias", bias, weight.shape[:1])
        _check_same("start", start, (x.shape[1], weight.shape[1]))
        for name, spec in (("dy", dy), ("y", y)):
            _check_same(name, spec, (*x.shape[:2], weight.shape[1]))
        return x.with_shape((x.shape[0] + 1, x.shape[1], 4 * weight.shape[1]))

    def forward(xp, dy, y, x, weight, bias, valid, start):
        zero = xp.zeros_like(start)
        dh, found = zero, []
        for t in reversed(range(x.shape[0])):
            dh = dh + dy[t, ...]
            h = y[t - 1, ...] if t else start
            r, u, n, a_n = _gru_gates(xp, x[t, ...], h @ weight.T + bias)
            dn = dh * (1 - u) * (1 - n * n)
            du = dh * (h - n) * u * (1 - u)
            dr = dn * a_n * r * (1 - r)
            is_step = valid[t, :, None]
            d = xp.concat([dr, du, dn, dn * r], axis=-1)
            d = xp.where(is_step, d, xp.zeros_like(d))
            by_a = xp.concat([dr, du, dn * r], axis=-1)
            dh = xp.where(is_step, by_a @ weight + dh * u, dh)
            found.append(d)
        return xp.stack([xp.concat([dh, zero, zero, zero], axis=-1), *found[::-1]])

    def backward(g, z, dy, y, x, weight, bias, valid, start):
        return _traced_gradient(gru_steps_gradient, g, (dy, y, x, weight, bias, valid, start))

    def flops(z, dy, y, x, weight, bias, valid, start):
        return 4 * x.size * weight.shape[1] + 12 * x.size


@op(
    "lstm_steps",
    autocast="float32",
    promoted=(0, 1, 3),
    floating=True,
    samples=[
        sample((3, 2, 8), (8, 2), _STEPS, (2, 2, 2)),
        sample((2, 1, 12), (12, 3), _ALL, (2, 1, 3)),
        sample((0, 2, 4), (4, 1), Draw((0, 2), dtype="bool"), (2, 2, 1)),
        sample((2, 0, 4), (4, 1), Draw((2, 0), dtype="bool"), (2, 0, 1)),
    ],
)
class lstm_steps:
    """The states h and cells c of long short-term memory, with gates i, f, g and o.

    i = σ(a_i),  f = σ(a_f),  g = tanh(a_g),  o = σ(a_o),  where a = x_t + h_(t−1) @ W.T

    c_t = f * c_(t−1) + i * g,  h_t = o * tanh(c_t), with [h_(−1), c_(−1)] = start

    z = [h, c]

    Hochreiter & Schmidhuber, "Long short-term memory", 1997, with the forget gate of Gers et al.
    2000; the order of the gates is PyTorch's.

    Parameters
    ----------
    x : Tensor, (time, batch, 4 · size)
        What inputs and biases add to i, f, g and o, in this order.
    weight : Tensor, (4 · size, size)
        W.
    valid : Tensor of bool, (time, batch)
        Where it is false, h and c stay.
    start : Tensor, (2, batch, size)
        The state and the cells before the first step.

    Returns
    -------
    Tensor, (2, time, batch, size)

    Raises
    ------
    ShapeError, DtypeError
        If the inputs do not fit together.
    """

    def infer(x, weight, valid, start, /):
        _check_steps(x, weight, valid, 4)
        _check_same("start", start, (2, x.shape[1], weight.shape[1]))
        return x.with_shape((2, *x.shape[:2], weight.shape[1]))

    def forward(xp, x, weight, valid, start):
        h, c = start[0, ...], start[1, ...]
        states, cells = [], []
        for t in range(x.shape[0]):
            i, f, g, o = _lstm_gates(xp, x[t, ...] + h @ weight.T)
            new = f * c + i * g
            is_step = valid[t, :, None]
            h = xp.where(is_step, o * xp.tanh(new), h)
            c = xp.where(is_step, new, c)
            states.append(h)
            cells.append(c)
        size = weight.shape[1]
        return xp.stack([_stacked(xp, states, x, size), _stacked(xp, cells, x, size)])

    def backward(g, z, x, weight, valid, start):
        size = weight.shape[1]
        d = lstm_steps_gradient(g, z, x, weight, valid, start)
        by_x, by_h, by_c = d[1:], d[0, :, :size], d[0, :, size : 2 * size]
        by_weight = _rows(by_x).T @ _rows(_before(z[0], start[0]))
        return by_x, by_weight, None, stack([by_h, by_c])

    def flops(z, x, weight, valid, start):
        return 2 * x.size * weight.shape[1] + 8 * x.size


@op(
    "lstm_steps_gradient",
    autocast="float32",
    promoted=(0, 1, 2, 3, 5),
    floating=True,
    samples=[
        sample((2, 1, 1, 1), (2, 1, 1, 1), (1, 1, 4), (4, 1), _ONE, (2, 1, 1)),
        sample((2, 3, 2, 2), (2, 3, 2, 2), (3, 2, 8), (8, 2), _STEPS, (2, 2, 2)),
        sample((2, 2, 1, 1), (2, 2, 1, 1), (2, 1, 4), (4, 1), _ALL, (2, 1, 1)),
        sample(
            (2, 0, 2, 1), (2, 0, 2, 1), (0, 2, 4), (4, 1), Draw((0, 2), dtype="bool"), (2, 2, 1)
        ),
    ],
)
class lstm_steps_gradient:
    """The gradients by start and by x of ``lstm_steps``, from the gradient by its result.

    z = [s, d_0, d_1, …], where s = [∂L/∂h_(−1), ∂L/∂c_(−1), 0, 0]

    d_t = [C * g * i(1 − i),  C * c_(t−1) * f(1 − f),  C * i * (1 − g²),  H * tanh(c_t) * o(1 − o)]

    where H = ∂L/∂h_t + d_(t+1) @ W and C = ∂L/∂c_t + H * o * (1 − tanh²(c_t)) + C_(t+1) * f_(t+1).

    Parameters
    ----------
    dy, y : Tensor, (2, time, batch, size)
        The gradient by the result of ``lstm_steps``, and that result.
    x, weight, valid, start : Tensor
        As given to it. Where a step is not valid, d_t = 0, and H and C pass through.

    Returns
    -------
    Tensor, (time + 1, batch, 4 · size)
    """

    def infer(dy, y, x, weight, valid, start, /):
        _check_steps(x, weight, valid, 4)
        _check_same("start", start, (2, x.shape[1], weight.shape[1]))
        for name, spec in (("dy", dy), ("y", y)):
            _check_same(name, spec, (2, *x.shape[:2], weight.shape[1]))
        return x.with_shape((x.shape[0] + 1, *x.shape[1:]))

    def forward(xp, dy, y, x, weight, valid, start):
        before = (start[0, ...], start[1, ...])
        zero = xp.zeros_like(before[0])
        dh, dc, found = zero, zero, []
        for t in reversed(range(x.shape[0])):
            dh, dc = dh + dy[0, t, ...], dc + dy[1, t, ...]
            h, c = (y[0, t - 1, ...], y[1, t - 1, ...]) if t else before
            i, f, g, o = _lstm_gates(xp, x[t, ...] + h @ weight.T)
            tanh_c = xp.tanh(y[1, t, ...])
            whole = dc + dh * o * (1 - tanh_c * tanh_c)
            parts = (
                whole * g * i * (1 - i),
                whole * c * f * (1 - f),
                whole * i * (1 - g * g),
                dh * tanh_c * o * (1 - o),
            )
            is_step = valid[t, :, None]
            d = xp.concat(parts, axis=-1)
            d = xp.where(is_step, d, xp.zeros_like(d))
            dh = xp.where(is_step, d @ weight, dh)
            dc = xp.where(is_step, whole * f, dc)
            found.append(d)
        return xp.stack([xp.concat([dh, dc, zero, zero], axis=-1), *found[::-1]])

    def backward(g, z, dy, y, x, weight, valid, start):
        return _traced_gradient(lstm_steps_gradient, g, (dy, y, x, weight, valid, start))

    def flops(z, dy, y, x, weight, valid, start):
        return 4 * x.size * weight.shape[1] + 12 * x.size


# -- what their rules share ----------------------------------------------------------------------


def _gru_gates(xp: Any, x: Any, a: Any) -> tuple[Any, Any, Any, Any]:
    """Return r, u, n and a_n."""
    size = x.shape[-1] // 3
    r = _sigmoid(xp, x[:, :size] + a[:, :size])
    u = _sigmoid(xp, x[:, size : 2 * size] + a[:, size : 2 * size])
    a_n = a[:, 2 * size :]
    return r, u, xp.tanh(x[:, 2 * size :] + r * a_n), a_n


def _lstm_gates(xp: Any, a: Any) -> tuple[Any, Any, Any, Any]:
    """Return i, f, g and o."""
    size = a.shape[-1] // 4
    i, f, g, o = (a[:, k * size : (k + 1) * size] for k in range(4))
    return _sigmoid(xp, i), _sigmoid(xp, f), xp.tanh(g), _sigmoid(xp, o)


def _sigmoid(xp: Any, x: Any) -> Any:
    return 1 / (1 + xp.exp(-x))


def _stacked(xp: Any, steps: Sequence[Any], x: Any, size: int | None = None) -> Any:
    """Return the values of all steps as one; there may be none."""
    if steps:
        return xp.stack(list(steps))
    return xp.zeros((0, x.shape[1], x.shape[2] if size is None else size), dtype=x.dtype)


def _before(states: Tensor, start: Tensor) -> Tensor:
    """Return the state before each step."""
    if not states.shape[0]:
        return states
    first = start.reshape(1, *start.shape)
    return concat([first, states[:-1]], axis=0)


def _rows(x: Tensor) -> Tensor:
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2])


class _GraphNamespace:
    """The ops as an array namespace, so that a ``forward`` can be traced over graph values."""

    def __getattr__(self, name: str) -> Any:
        return registry.get("op", name)


def _traced_gradient(
    of: Any, g: Tensor, inputs: Sequence[Tensor], **attributes: Any
) -> list[Tensor | None]:
    """Return the gradient by each input of the op ``of``, through a trace of its ``forward``.

    It is traced on placeholders: inputs may depend on each other, and partial derivatives by
    each are wanted.
    """
    stand_ins = [placeholder(f"x{index}", *x.spec) for index, x in enumerate(inputs)]
    seed = placeholder("g", *g.spec)
    output = of.forward(_GraphNamespace(), *stand_ins, **attributes)
    found = differentiate(output, seed, [x for x in stand_ins if is_float(x.dtype)])
    results = [found.get(id(x)) for x in stand_ins]
    actual = {id(seed): g, **{id(a): x for a, x in zip(stand_ins, inputs, strict=True)}}
    for node in toposort([result for result in results if result is not None]):
        if id(node) not in actual:
            children = tuple(actual[id(child)] for child in node.inputs)
            changed = Tensor(node.op, children, node.attributes, node.spec, node.name, node._value)
            actual[id(node)] = changed
    return [
        (zeros(x.shape, dtype=x.dtype) if is_float(x.dtype) else None)
        if result is None
        else actual[id(result)]
        for x, result in zip(inputs, results, strict=True)
    ]


def _check_steps(x: Spec, weight: Spec, valid: Spec, gates: int) -> None:
    if x.ndim != 3 or weight.ndim != 2:
        raise ShapeError(
            f"takes x of shape (time, batch, features) and a matrix, not {x.shape} and "
            f"{weight.shape}"
        )
    size = weight.shape[1]
    if weight.shape[0] != gates * size or x.shape[2] != gates * size:
        times = f"{gates} · " if gates > 1 else ""
        raise ShapeError(
            f"a weight of shape {weight.shape} and {x.shape[2]} features do not fit: both take "
            f"{times}{size} = {gates * size}"
        )
    if valid.dtype != "bool":
        raise DtypeError(f"valid must be bool, not {valid.dtype}")
    _check_same("valid", valid, x.shape[:2])


def _check_same(name: str, spec: Spec, shape: tuple[int, ...]) -> None:
    if spec.shape != shape:
        raise ShapeError(f"{name} must have shape {shape}, not {spec.shape}")


def _check_nonlinearity(nonlinearity: str) -> None:
    if nonlinearity not in _NONLINEARITIES:
        known = ", ".join(_NONLINEARITIES)
        raise GraphError(f"unknown nonlinearity '{nonlinearity}' (known: {known})")
