"""One training step of small networks: minidl beside PyTorch and scikit-learn, where installed.

Prints milliseconds a step, the median of alternating rounds, for forward, backward and Adam.

    python benchmarks/training_step.py [--rounds 7] [--threads 4]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import time
from collections.abc import Callable

WORKLOADS = {
    "784-128-10, batch 64": ((784, 128, 10), 64),
    "784-30-10, batch 10": ((784, 30, 10), 10),
    "64-128-10, batch 32": ((64, 128, 10), 32),
    "784-512-512-10, batch 128": ((784, 512, 512, 10), 128),
}

Step = Callable[[], None]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=200, help="Steps of a round.")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(options.threads)
    makers = {name: make for name, (module, make) in RIVALS.items() if _installed(module)}
    rounds, count = options.rounds, options.steps
    print(f"{options.threads} threads, median of {rounds} rounds of {count} steps, ms/step")
    print(f"{'':28}" + "".join(f"{name:>14}" for name in makers))
    for label, (sizes, batch) in WORKLOADS.items():
        steps = {name: make(sizes, batch) for name, make in makers.items()}
        times = _alternate(steps, rounds, count)
        print(f"{label:28}" + "".join(f"{times[name]:14.3f}" for name in makers))


def _alternate(steps: dict[str, Step], rounds: int, count: int) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        for _ in range(20):
            step()
    for _ in range(rounds):
        for name, step in steps.items():
            began = time.perf_counter()
            for _ in range(count):
                step()
            found[name].append((time.perf_counter() - began) / count * 1e3)
    return {name: statistics.median(times) for name, times in found.items()}


def minidl_step(sizes: tuple[int, ...], batch: int) -> Step:
    """Return a step of minidl: trace, compile, run."""
    import numpy as np

    from minidl.component import make
    from minidl.graph import Spec
    from minidl.training.model import Model
    from minidl.training.step import Steps
    from minidl.training.update import Update

    layers: list[dict[str, object]] = []
    for size in sizes[1:]:
        layers += [{"type": "linear", "units": size}, {"type": "relu"}]
    root = make("layer", {"type": "sequential", "layers": layers[:-1]})
    model = Model(root, Spec((batch, sizes[0])))
    update = Update(make("optimizer", "adam"), model.parameters)
    steps = Steps(model, make("loss", "cross_entropy"), (), update)
    for name, spec in update.slots().items():
        model.state.values[name] = np.zeros(spec.shape, spec.dtype)
    inputs, targets = _batch(sizes, batch)
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        steps.train(inputs, targets, [1e-3], count)

    return step


def torch_step(sizes: tuple[int, ...], batch: int) -> Step:
    """Return a step of PyTorch, eager, with its fused Adam."""
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    layers: list[torch.nn.Module] = []
    for before, after in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    loss_function = torch.nn.CrossEntropyLoss()
    inputs, targets = (torch.from_numpy(array) for array in _batch(sizes, batch))

    def step() -> None:
        optimizer.zero_grad()
        loss = loss_function(network(inputs), targets)
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def sklearn_step(sizes: tuple[int, ...], batch: int) -> Step:
    """Return a step of scikit-learn's MLPClassifier."""
    from sklearn.neural_network import MLPClassifier

    inputs, targets = _batch(sizes, batch)
    network = MLPClassifier(hidden_layer_sizes=sizes[1:-1], batch_size=batch)
    classes = list(range(sizes[-1]))

    def step() -> None:
        network.partial_fit(inputs, targets, classes=classes)

    return step


def _batch(sizes: tuple[int, ...], batch: int):  # noqa: ANN202
    import numpy as np

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(batch, sizes[0])).astype("float32")
    return inputs, rng.integers(0, sizes[-1], size=batch)


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


RIVALS: dict[str, tuple[str, Callable[[tuple[int, ...], int], Step]]] = {
    "minidl": ("minidl", minidl_step),
    "PyTorch": ("torch", torch_step),
    "scikit-learn": ("sklearn", sklearn_step),
}

if __name__ == "__main__":
    main()
