"""Kernels of the numpy backend for recurrence: few passes a step, over what is in the cache.

A gate is read off one tanh for all: σ(x) = ½ tanh(½ x) + ½. It is within one unit in the last
place of 1, which is what counts for a gate.
"""

from __future__ import annotations

import numpy as np

from minidl.backends.base import kernel


@kernel("numpy", "rnn_steps")
def rnn_steps(
    x: np.ndarray,
    weight: np.ndarray,
    valid: np.ndarray,
    start: np.ndarray,
    *,
    nonlinearity: str,
    out: np.ndarray,
) -> np.ndarray:
    """One product, one sum and one function a step, in place."""
    turned, padded, h = _transposed(weight), _padded(valid), start
    for t in range(len(x)):
        z = np.matmul(h, turned, out=out[t])
        np.add(z, x[t], out=z)
        if nonlinearity == "tanh":
            np.tanh(z, out=z)
        else:
            np.maximum(z, 0, out=z)
        if padded is not None:
            z[padded[t]] = h[padded[t]]
        h = z
    return out


@kernel("numpy", "rnn_steps_gradient")
def rnn_steps_gradient(
    dy: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    valid: np.ndarray,
    *,
    nonlinearity: str,
    out: np.ndarray,
) -> np.ndarray:
    """Slopes of all steps first, then back through time."""
    padded = _padded(valid)
    slopes = 1 - y * y if nonlinearity == "tanh" else y > 0
    dh = np.zeros(y.shape[1:], y.dtype)
    for t in reversed(range(len(y))):
        np.add(dh, dy[t], out=dh)
        d = np.multiply(dh, slopes[t], out=out[t + 1])
        if padded is None:
            np.matmul(d, weight, out=dh)
        else:
            d[padded[t]] = 0
            dh = np.where(padded[t][:, None], dh, d @ weight)
    out[0] = dh
    return out


@kernel("numpy", "gru_steps")
def gru_steps(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    valid: np.ndarray,
    start: np.ndarray,
    *,
    out: np.ndarray,
) -> np.ndarray:
    """Reset and update gates together, then the new state, in place."""
    turned, padded = _transposed(weight), _padded(valid)
    size = weight.shape[1]
    two, h = 2 * size, start
    a = np.empty(x.shape[1:], x.dtype)
    for t in range(len(x)):
        np.add(np.matmul(h, turned, out=a), bias, out=a)
        _gru_gates(x[t], a, two)
        u, n, z = a[:, size:two], a[:, two:], out[t]
        np.subtract(h, n, out=z)
        np.multiply(z, u, out=z)
        np.add(z, n, out=z)
        if padded is not None:
            z[padded[t]] = h[padded[t]]
        h = z
    return out


@kernel("numpy", "gru_steps_gradient")
def gru_steps_gradient(
    dy: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    valid: np.ndarray,
    start: np.ndarray,
    *,
    out: np.ndarray,
) -> np.ndarray:
    """Gates again, from one product for all steps; then back through time."""
    padded, size = _padded(valid), weight.shape[1]
    two, three = 2 * size, 3 * size
    before = _before(y, start)
    a = _all_products(before, weight)
    np.add(a, bias, out=a)
    a_n = a[..., two:].copy()
    for_two, for_new = weight[:two], weight[two:]
    dh = np.zeros(y.shape[1:], x.dtype)
    work, back = np.empty_like(dh), np.empty_like(dh)
    for t in reversed(range(len(x))):
        gates, h, z = a[t], before[t], out[t + 1]
        _gru_gates(x[t], gates, two)
        r, u, n = gates[:, :size], gates[:, size:two], gates[:, two:]
        dr, du, dn, da = z[:, :size], z[:, size:two], z[:, two:three], z[:, three:]
        np.add(dh, dy[t], out=dh)
        np.multiply(dh, np.subtract(1, u, out=work), out=dn)
        np.multiply(np.multiply(dh, np.subtract(h, n, out=du), out=du), u, out=du)
        np.multiply(du, work, out=du)
        np.subtract(1, np.multiply(n, n, out=work), out=work)
        np.multiply(dn, work, out=dn)
        np.multiply(dn, r, out=da)
        np.multiply(np.multiply(da, a_n[t], out=dr), np.subtract(1, r, out=work), out=dr)
        if padded is not None:
            z[padded[t]] = 0
        np.matmul(z[:, :two], for_two, out=back)
        np.add(back, np.matmul(da, for_new, out=work), out=back)
        np.add(back, np.multiply(dh, u, out=work), out=back)
        if padded is not None:
            back[padded[t]] = dh[padded[t]]
        dh, back = back, dh
    out[0, :, :size], out[0, :, size:] = dh, 0
    return out


@kernel("numpy", "lstm_steps")
def lstm_steps(
    x: np.ndarray, weight: np.ndarray, valid: np.ndarray, start: np.ndarray, *, out: np.ndarray
) -> np.ndarray:
    """All gates of a step together, in place."""
    turned, padded = _transposed(weight), _padded(valid)
    size = weight.shape[1]
    scale, shift = _gate_rows(size, x.dtype)
    h, c = start
    a = np.empty(x.shape[1:], x.dtype)
    i, f, g, o = (a[:, k * size : (k + 1) * size] for k in range(4))
    for t in range(x.shape[0]):
        np.add(np.matmul(h, turned, out=a), x[t], out=a)
        _lstm_gates(a, scale, shift)
        new_h, new_c = out[0, t], out[1, t]
        np.multiply(f, c, out=new_c)
        np.add(new_c, np.multiply(i, g, out=i), out=new_c)
        np.multiply(np.tanh(new_c, out=new_h), o, out=new_h)
        if padded is not None:
            new_h[padded[t]] = h[padded[t]]
            new_c[padded[t]] = c[padded[t]]
        h, c = new_h, new_c
    return out


@kernel("numpy", "lstm_steps_gradient")
def lstm_steps_gradient(
    dy: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    valid: np.ndarray,
    start: np.ndarray,
    *,
    out: np.ndarray,
) -> np.ndarray:
    """Gates again, from one product for all steps; then back through time."""
    padded, size = _padded(valid), weight.shape[1]
    scale, shift = _gate_rows(size, x.dtype)
    before, cells = _before(y[0], start[0]), _before(y[1], start[1])
    gates = _all_products(before, weight)
    dh, dc = np.zeros((2, *y.shape[2:]), x.dtype)
    tanh_c, whole, work = np.empty((3, *y.shape[2:]), x.dtype)
    columns = [slice(k * size, (k + 1) * size) for k in range(4)]
    for t in reversed(range(x.shape[0])):
        a, z = gates[t], out[t + 1]
        _lstm_gates(np.add(a, x[t], out=a), scale, shift)
        i, f, g, o = (a[:, part] for part in columns)
        by_i, by_f, by_g, by_o = (z[:, part] for part in columns)
        np.add(dh, dy[0, t], out=dh)
        np.add(dc, dy[1, t], out=dc)
        np.tanh(y[1, t], out=tanh_c)
        np.multiply(dh, tanh_c, out=by_o)
        np.subtract(1, np.multiply(tanh_c, tanh_c, out=work), out=work)
        np.multiply(np.multiply(work, o, out=work), dh, out=work)
        np.add(dc, work, out=whole)
        np.multiply(whole, g, out=by_i)
        np.multiply(whole, cells[t], out=by_f)
        np.multiply(whole, i, out=by_g)
        np.multiply(whole, f, out=whole)
        np.multiply(z, _slopes(a, g, columns[2]), out=z)
        if padded is None:
            np.matmul(z, weight, out=dh)
            dc, whole = whole, dc
        else:
            z[padded[t]] = 0
            is_padded = padded[t][:, None]
            dh, dc = np.where(is_padded, dh, z @ weight), np.where(is_padded, dc, whole)
    out[0, :, : 2 * size], out[0, :, 2 * size :] = np.concatenate((dh, dc), axis=1), 0
    return out


def _padded(valid: np.ndarray) -> np.ndarray | None:
    """Return where steps are padded, or None if none is."""
    return None if valid.all() else ~valid


def _transposed(weight: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(weight.T)


def _before(states: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the state before each step."""
    before = np.empty(states.shape, states.dtype)
    before[:1] = start
    before[1:] = states[:-1]
    return before


def _all_products(before: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return h_(t−1) @ W.T for all steps."""
    time, batch, size = before.shape
    rows = before.reshape(time * batch, size) @ weight.T
    return rows.reshape(time, batch, weight.shape[0])


def _gate_rows(size: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Return what tanh is multiplied by and what is added to it, for gates i, f, g and o."""
    scale = np.repeat(np.array([0.5, 0.5, 1, 0.5], dtype), size)
    return scale, 1 - scale


def _lstm_gates(a: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> None:
    """Turn the sums of a step into its gates, in place."""
    np.tanh(np.multiply(a, scale, out=a), out=a)
    np.add(np.multiply(a, scale, out=a), shift, out=a)


def _slopes(a: np.ndarray, g: np.ndarray, of_g: slice) -> np.ndarray:
    """Return the derivatives of the gates by their sums: s(1 − s), and 1 − g² for g."""
    result = np.subtract(1, a)
    np.multiply(result, a, out=result)
    np.subtract(1, np.square(g), out=result[:, of_g])
    return result


def _gru_gates(x: np.ndarray, a: np.ndarray, two: int) -> None:
    """Turn the sums a of a step into r, u and n, in place."""
    gates, new = a[:, :two], a[:, two:]
    np.add(gates, x[:, :two], out=gates)
    np.tanh(np.multiply(gates, 0.5, out=gates), out=gates)
    np.add(np.multiply(gates, 0.5, out=gates), 0.5, out=gates)
    np.multiply(new, gates[:, : two // 2], out=new)
    np.tanh(np.add(new, x[:, two:], out=new), out=new)
