"""Convolutions, pooling and a whole CNN step, beside PyTorch's where that is installed.

Prints milliseconds, the quickest of some calls. The number of threads is that of the environment:

    OMP_NUM_THREADS=4 OPENBLAS_NUM_THREADS=4 python benchmarks/conv.py [NAME ...]
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.component import make
from minidl.graph import Program, Spec, grad, placeholder
from minidl.ops import conv2d, conv_transpose2d, max_pool2d
from minidl.training.model import Model
from minidl.training.step import Steps
from minidl.training.update import Update

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

Case = tuple[str, Any, list[tuple[int, ...]], dict[str, Any]]

CASES: list[Case] = [
    ("mnist-1", conv2d, [(64, 1, 28, 28), (32, 1, 3, 3)], {"padding": 1}),
    ("mnist-2", conv2d, [(64, 32, 14, 14), (64, 32, 3, 3)], {"padding": 1}),
    ("lenet-2", conv2d, [(64, 6, 14, 14), (16, 6, 5, 5)], {}),
    ("resnet-1", conv2d, [(64, 16, 32, 32), (16, 16, 3, 3)], {"padding": 1}),
    ("resnet-2", conv2d, [(64, 16, 32, 32), (32, 16, 3, 3)], {"padding": 1, "stride": 2}),
    ("resnet-3", conv2d, [(64, 64, 8, 8), (64, 64, 3, 3)], {"padding": 1}),
    ("pointwise", conv2d, [(64, 64, 14, 14), (128, 64, 1, 1)], {}),
    ("depthwise", conv2d, [(64, 64, 14, 14), (64, 1, 3, 3)], {"padding": 1, "groups": 64}),
    ("grouped", conv2d, [(64, 64, 14, 14), (64, 16, 3, 3)], {"padding": 1, "groups": 4}),
    ("large", conv2d, [(4, 64, 112, 112), (64, 64, 3, 3)], {"padding": 1}),
    ("sequence", conv2d, [(32, 64, 1, 256), (64, 64, 1, 5)], {"padding": (0, 2)}),
    ("decoder", conv_transpose2d, [(64, 64, 7, 7), (64, 32, 4, 4)], {"padding": 1, "stride": 2}),
    ("pool-2", max_pool2d, [(64, 32, 28, 28)], {"kernel_size": 2}),
    ("pool-3", max_pool2d, [(64, 32, 28, 28)], {"kernel_size": 3, "stride": 2}),
]
STEP = "cnn-step"


def main(chosen: list[str]) -> None:
    """Measure what is named, or everything, and print a table."""
    heads = ("forward", "by input", "by weight")
    print(f"{'':10}" + "".join(f" {head:>15}" for head in heads))
    print(f"{'':10}" + " " + "  ".join(f"{'minidl':>7} {'torch':>7}" for _ in heads))
    rng = np.random.default_rng(0)
    for name, op, shapes, options in CASES:
        if not chosen or name in chosen:
            arrays = [rng.normal(size=shape).astype("float32") for shape in shapes]
            report(name, minidl_times(op, arrays, options), torch_times(op.name, arrays, options))
    if not chosen or STEP in chosen:
        images = rng.random(size=(64, 1, 28, 28), dtype="float32")
        labels = rng.integers(0, 10, 64)
        theirs = [] if torch is None else [best_of(torch_step(images, labels), 30)]
        report(STEP, [best_of(minidl_step(images, labels), 30)], theirs)


def minidl_times(op: Any, arrays: list[np.ndarray], options: dict[str, Any]) -> list[float]:
    """Return milliseconds of the op and of its gradient by each input."""
    inputs = [placeholder(f"x{i}", a.shape, str(a.dtype)) for i, a in enumerate(arrays)]
    z = op(*inputs, **options)
    seed = placeholder("seed", z.shape, z.dtype)
    programs = [Program([*inputs, seed], [node]) for node in (z, *grad(z, inputs, seed))]
    given = [*arrays, np.ones(z.shape, z.dtype)]
    return [best_of(lambda program=program: program(given)) for program in programs]


def torch_times(name: str, arrays: list[np.ndarray], options: dict[str, Any]) -> list[float]:
    """Return the same of PyTorch, or nothing."""
    if torch is None:
        return []
    function = getattr(torch.nn.functional, name)
    with torch.no_grad():
        plain = [torch.tensor(array) for array in arrays]
        found = [best_of(lambda: function(*plain, **options))]
    for wanted in range(len(arrays)):
        inputs = [torch.tensor(a, requires_grad=i == wanted) for i, a in enumerate(arrays)]
        z = function(*inputs, **options)
        given = (z, inputs[wanted], torch.ones_like(z))
        found.append(best_of(lambda given=given: torch.autograd.grad(*given, retain_graph=True)))
    return found


def minidl_step(images: np.ndarray, labels: np.ndarray) -> Callable[[], object]:
    """Return a training step: two convolutions with pooling and one linear layer, with Adam."""
    layers: list[dict[str, Any]] = []
    for channels in (32, 64):
        layers += [
            {"type": "conv2d", "out_channels": channels, "kernel_size": 3, "padding": 1},
            {"type": "relu"},
            {"type": "max_pool2d", "kernel_size": 2},
        ]
    layers += [{"type": "flatten"}, {"type": "linear", "units": 10}]
    model = Model(make("layer", {"type": "sequential", "layers": layers}), Spec(images.shape))
    update = Update(make("optimizer", "adam"), model.parameters)
    steps = Steps(model, make("loss", "cross_entropy"), (), update)
    for name, spec in update.slots().items():
        model.state.values[name] = np.zeros(spec.shape, spec.dtype)
    return lambda: steps.train(images, labels, [1e-3], 1)


def torch_step(images: np.ndarray, labels: np.ndarray) -> Callable[[], object]:
    """Return the same step of PyTorch, eager, with its fused Adam."""
    nn = torch.nn
    network = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(64 * 7 * 7, 10)),
    )
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    x, y = torch.from_numpy(images), torch.from_numpy(labels)

    def step() -> None:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(x), y)
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def report(name: str, ours: list[float], theirs: list[float]) -> None:
    """Print a line, with PyTorch's figure beside each where there is one."""
    cells = [
        f"{own:7.2f} " + (f"{theirs[i]:7.2f}" if i < len(theirs) else f"{'':7}")
        for i, own in enumerate(ours)
    ]
    print(f"{name:10} " + "  ".join(cells))


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
    if torch is not None and "OMP_NUM_THREADS" in os.environ:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    main(sys.argv[1:])
