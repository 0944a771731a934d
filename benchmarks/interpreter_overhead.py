"""What the interpreter costs beside the arithmetic: a graph of 1,000 ops on single numbers.

Prints milliseconds for building the graph, for its gradient, for planning both as one program,
and for a run of it, forward and backward, once it is planned: the median of several rounds. Exits
with 1 if that run takes 10 ms or longer.

    python benchmarks/interpreter_overhead.py
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl import ops
from minidl.graph import Program, Tensor, grad, placeholder

OPS = 1_000
ROUNDS = 15
RUNS = 10
LIMIT_MS = 10.0


def build(x: Tensor) -> Tensor:
    """Return a scalar made from ``x`` by 1,000 ops of six kinds, two inputs at most apart."""
    steps: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
        lambda a, b: a * b,
        lambda a, b: a + b,
        lambda a, b: ops.tanh(a),
        lambda a, b: a - b * 0.5,
        lambda a, b: ops.sigmoid(a),
    )
    before, value, count = x, x, 0
    while count < OPS:
        step = steps[count % len(steps)]
        before, value = value, step(value, before)
        count += 2 if step is steps[3] else 1
    return value


def measure(function: Callable[[], Any], rounds: int, runs: int = 1) -> float:
    """Return the median over rounds of the milliseconds of one call."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(runs):
            function()
        times.append((time.perf_counter() - start) / runs * 1000)
    return statistics.median(times)


def measurements() -> dict[str, float]:
    """Return milliseconds by what was measured."""
    x = placeholder("x", (), "float32")
    value = build(x)
    slope = grad(value, x)
    forward, both = Program([x], [value]), Program([x], [value, slope])
    point = [np.asarray(0.5, dtype="float32")]
    return {
        "build": measure(lambda: build(x), ROUNDS),
        "grad": measure(lambda: grad(value, x), ROUNDS),
        "plan": measure(lambda: Program([x], [value, slope]), ROUNDS),
        "run forward": measure(lambda: forward(point), ROUNDS, RUNS),
        "run forward and backward": measure(lambda: both(point), ROUNDS, RUNS),
    }


def main() -> int:
    """Print the measurements and return the exit code."""
    x = placeholder("x", (), "float32")
    value = build(x)
    both = Program([x], [value, grad(value, x)])
    print(f"{len(Program([x], [value]).nodes)} ops forward, {len(both.nodes)} with their gradient")
    found = measurements()
    for name, milliseconds in found.items():
        print(f"{name:26}{milliseconds:8.2f} ms")
    return int(found["run forward and backward"] >= LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
