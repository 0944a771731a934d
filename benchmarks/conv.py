"""Convolutions and pooling of the numpy backend, beside PyTorch's where that is installed.

python benchmarks/conv.py [NAME ...]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.graph import Program, grad, placeholder
from minidl.ops import conv2d, conv_transpose2d, max_pool2d

try:
    import torch
    import torch.nn.functional as torch_functions
except ImportError:
    torch = None

CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "mnist-1": ((64, 1, 28, 28), (32, 1, 3, 3), {"padding": 1}),
    "mnist-2": ((64, 32, 14, 14), (64, 32, 3, 3), {"padding": 1}),
    "lenet-2": ((64, 6, 14, 14), (16, 6, 5, 5), {}),
    "resnet-1": ((64, 16, 32, 32), (16, 16, 3, 3), {"padding": 1}),
    "resnet-2": ((64, 16, 32, 32), (32, 16, 3, 3), {"padding": 1, "stride": 2}),
    "resnet-3": ((64, 64, 8, 8), (64, 64, 3, 3), {"padding": 1}),
    "pointwise": ((64, 64, 14, 14), (128, 64, 1, 1), {}),
    "depthwise": ((64, 64, 14, 14), (64, 1, 3, 3), {"padding": 1, "groups": 64}),
    "grouped": ((64, 64, 14, 14), (64, 16, 3, 3), {"padding": 1, "groups": 4}),
    "large": ((4, 64, 112, 112), (64, 64, 3, 3), {"padding": 1}),
    "sequence": ((32, 64, 1, 256), (64, 64, 1, 5), {"padding": (0, 2)}),
}
TRANSPOSED: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "decoder": ((64, 64, 7, 7), (64, 32, 4, 4), {"padding": 1, "stride": 2}),
}
POOLS = {"pool-2": ((64, 32, 28, 28), 2, {}), "pool-3": ((64, 32, 28, 28), 3, {"stride": 2})}


def main(chosen: list[str]) -> None:
    print(f"{'milliseconds':12} {'forward':>15} {'by input':>15} {'by weight':>15}")
    print(f"{'':12}" + f" {'minidl':>7} {'torch':>7}" * 3)
    rng = np.random.default_rng(0)
    table = [(name, conv2d, "conv2d", case) for name, case in CONVOLUTIONS.items()]
    table += [(name, conv_transpose2d, "conv_transpose2d", c) for name, c in TRANSPOSED.items()]
    for name, ours, theirs, (image, weight, options) in table:
        if not chosen or name in chosen:
            arrays = [rng.normal(size=shape).astype("float32") for shape in (image, weight)]
            report(name, ours_times(ours, arrays, options), their_times(theirs, arrays, options))
    for name, (image, size, options) in POOLS.items():
        if not chosen or name in chosen:
            arrays = [rng.normal(size=image).astype("float32")]
            given = {"kernel_size": size, **options}
            pooled = ours_times(max_pool2d, arrays, given)
            report(name, pooled, their_times("max_pool2d", arrays, given))


def ours_times(op: Callable, arrays: list[np.ndarray], options: dict[str, Any]) -> list[float]:
    """Return milliseconds of the op and of its gradient by each input."""
    inputs = [placeholder(f"x{i}", a.shape, str(a.dtype)) for i, a in enumerate(arrays)]
    z = op(*inputs, **options)
    seed = placeholder("seed", z.shape, z.dtype)
    given = np.ones(z.shape, z.dtype)
    forward = Program(inputs, [z])
    backward = [Program([*inputs, seed], [grad(z, x, seed)]) for x in inputs]
    return [
        best_of(lambda: forward(arrays)),
        *(best_of(lambda p=p: p([*arrays, given])) for p in backward),
    ]


def their_times(name: str, arrays: list[np.ndarray], options: dict[str, Any]) -> list[float]:
    """Return the same of PyTorch, or nothing."""
    if torch is None:
        return []
    function = getattr(torch_functions, name)
    found = []
    with torch.no_grad():
        plain = [torch.tensor(array) for array in arrays]
        found.append(best_of(lambda: function(*plain, **options)))
    for index in range(len(arrays)):
        inputs = [torch.tensor(a, requires_grad=i == index) for i, a in enumerate(arrays)]
        z = function(*inputs, **options)
        seed = torch.ones_like(z)
        wanted = inputs[index]
        found.append(
            best_of(lambda z=z, w=wanted, s=seed: torch.autograd.grad(z, w, s, retain_graph=True))
        )
    return found


def report(name: str, ours: list[float], theirs: list[float]) -> None:
    cells = [
        f" {a:7.2f} {theirs[i] if i < len(theirs) else float('nan'):7.2f}"
        for i, a in enumerate(ours)
    ]
    print(f"{name:12}" + "".join(cells))


def best_of(function: Callable[[], object], repeats: int = 10) -> float:
    """Return the milliseconds of the quickest of some calls."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


if __name__ == "__main__":
    main(sys.argv[1:])
