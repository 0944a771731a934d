"""Training: receives a config, returns a trained model and what is on disk of its run.

A :class:`Model` is layers with values. A :class:`Trainer` runs the training step, one traced
program, over batches; a :class:`RunDirectory` keeps config, metrics and checkpoints.
"""

from minidl.training.model import Model
from minidl.training.pipeline import evaluate, fit, load, resume
from minidl.training.reporter import Reporter
from minidl.training.run import RunDirectory
from minidl.training.trainer import Interrupted, Trainer

__all__ = [
    "Interrupted",
    "Model",
    "Reporter",
    "RunDirectory",
    "Trainer",
    "evaluate",
    "fit",
    "load",
    "resume",
]
