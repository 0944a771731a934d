"""What each kernel of the numpy backend gains over the pure rule of its op.

OPENBLAS_NUM_THREADS=1 python benchmarks/kernels.py [OP ...]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from minidl import registry
from minidl.backends import backend

Case = tuple[str, list[np.ndarray], dict]


def main(chosen: list[str]) -> None:
    numpy = backend("numpy")
    print(f"{'op':12} {'inputs':34} {'pure':>10} {'kernel':>10} {'gain':>7}")
    for name, arrays, attributes in cases(np.random.default_rng(0)):
        if chosen and name not in chosen:
            continue
        op = registry.get("op", name)
        compute, _ = numpy.function(op)
        with numpy.running():
            out = np.empty_like(op.run(np, *arrays, **attributes))
            pure = best_of(lambda: op.run(np, *arrays, **attributes))  # noqa: B023
            fast = best_of(lambda: compute(*arrays, **attributes, out=out))  # noqa: B023
        shown = " ".join(str(list(array.shape)) for array in arrays)
        axis = f" axis={attributes['axis']}" if "axis" in attributes else ""
        print(f"{name:12} {shown + axis:34} {pure:7.1f} us {fast:7.1f} us {pure / fast:6.1f}x")


def cases(rng: np.random.Generator) -> list[Case]:
    """Return inputs of the sizes that training meets: a small batch, a large one, an image."""

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype("float32")

    found: list[Case] = []
    for shape in ((64, 128), (1024, 1024)):
        x, y, zero = normal(*shape), normal(*shape), np.zeros((), "float32")
        found += [(name, [x], {}) for name in ("sigmoid", "relu", "erf", "gelu_erf")]
        found += [("leaky_relu", [x], {"negative_slope": 0.01})]
        found += [("clip", [x], {"min": -1.0, "max": 1.0})]
        found += [("where", [x > 0, x, y], {}), ("where", [x > 0, x, zero], {})]
        found += [("pow", [x, np.asarray(k, "float32")], {}) for k in (2, 3)]
    reduced = [((64, 10), 1), ((64, 128), 0), ((4096, 10), 1), ((50176, 16), 0)]
    for shape, axis in [*reduced, ((64, 32, 14, 14), (0, 2, 3))]:
        x = normal(*shape)
        axes = axis if isinstance(axis, tuple) else (axis,)
        over = {"axis": axes, "keepdims": False}
        found += [(name, [x], over) for name in ("sum", "mean", "max", "logsumexp")]
        found += [("var", [x], {**over, "correction": 0.0})]
    for shape, axes in [((768, 128), (1,)), ((128, 256), (0,)), ((128, 16, 32, 32), (0, 2, 3))]:
        x, g = normal(*shape), normal(*shape)
        r = np.ones([1 if i in axes else n for i, n in enumerate(shape)], "float32")
        found += [("standardize", [x], {"axis": axes, "eps": 1e-5, "centred": True})]
        found += [("norm_gradient", [g, x, r], {"axis": axes})]
    for shape in ((64, 10), (4096, 10), (64, 10000)):
        found += [(name, [normal(*shape)], {"axis": 1}) for name in ("softmax", "log_softmax")]
    return found


def best_of(function: Callable[[], object], repeats: int = 20) -> float:
    """Return the microseconds of the quickest of some calls."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times) * 1e6


if __name__ == "__main__":
    main(sys.argv[1:])
