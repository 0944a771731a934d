"""minidl: deep learning as a graph of ops, each declared once.

    import minidl as md

    x = md.tensor([1.0, 2.0, 3.0])
    loss = (x * x).sum()
    md.grad(loss, x).numpy()                 # [2, 4, 6]

    model = md.fit("net.toml")               # or: minidl train net.toml
    model.predict(images)

The names below are all there is at the top level; they are loaded when first used, so that the
command line starts fast. The op table is ``minidl.ops``; what plugins are tested with is
``minidl.testing``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "tensor": "minidl.graph",
    "Tensor": "minidl.graph",
    "Spec": "minidl.graph",
    "grad": "minidl.graph",
    "compile": "minidl.compiler",
    "op": "minidl.graph",
    "sample": "minidl.graph",
    "Draw": "minidl.graph",
    "layer": "minidl.layers",
    "Layer": "minidl.layers",
    "Context": "minidl.layers",
    "initializer": "minidl.initializers",
    "Initializer": "minidl.initializers",
    "loss": "minidl.losses",
    "Loss": "minidl.losses",
    "metric": "minidl.metrics",
    "Metric": "minidl.metrics",
    "optimizer": "minidl.optimizers",
    "Optimizer": "minidl.optimizers",
    "schedule": "minidl.schedules",
    "Schedule": "minidl.schedules",
    "dataset": "minidl.data",
    "Dataset": "minidl.data",
    "transform": "minidl.data",
    "Transform": "minidl.data",
    "backend": "minidl.backends",
    "Backend": "minidl.backends",
    "register_backend": "minidl.backends",
    "use_backend": "minidl.backends",
    "kernel": "minidl.backends",
    "Model": "minidl.training",
    "fit": "minidl.training",
    "load": "minidl.training",
    "MinidlError": "minidl.errors",
}

__all__ = ["__version__", "ops", *_HOME]  # noqa: PLE0604

if TYPE_CHECKING:
    from minidl import ops as ops
    from minidl.backends import Backend as Backend
    from minidl.backends import backend as backend
    from minidl.backends import kernel as kernel
    from minidl.backends import register_backend as register_backend
    from minidl.backends import use_backend as use_backend
    from minidl.compiler import compile as compile
    from minidl.data import Dataset as Dataset
    from minidl.data import Transform as Transform
    from minidl.data import dataset as dataset
    from minidl.data import transform as transform
    from minidl.errors import MinidlError as MinidlError
    from minidl.graph import Draw as Draw
    from minidl.graph import Spec as Spec
    from minidl.graph import Tensor as Tensor
    from minidl.graph import grad as grad
    from minidl.graph import sample as sample
    from minidl.graph import tensor as tensor
    from minidl.graph.op import op as op
    from minidl.initializers import Initializer as Initializer
    from minidl.initializers import initializer as initializer
    from minidl.layers import Context as Context
    from minidl.layers import Layer as Layer
    from minidl.layers import layer as layer
    from minidl.losses import Loss as Loss
    from minidl.losses import loss as loss
    from minidl.metrics import Metric as Metric
    from minidl.metrics import metric as metric
    from minidl.optimizers import Optimizer as Optimizer
    from minidl.optimizers import optimizer as optimizer
    from minidl.schedules import Schedule as Schedule
    from minidl.schedules import schedule as schedule
    from minidl.training import Model as Model
    from minidl.training import fit as fit
    from minidl.training import load as load


def __getattr__(name: str) -> Any:
    if name == "ops":
        return importlib.import_module("minidl.ops")
    if name in _HOME:
        value = globals()[name] = getattr(importlib.import_module(_HOME[name]), name)
        return value
    raise AttributeError(f"module 'minidl' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
