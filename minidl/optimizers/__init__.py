"""Optimisers: receive parameters, gradients and their own slots, return the next values of both."""

from minidl.optimizers.base import Optimizer, optimizer

__all__ = ["Optimizer", "optimizer"]
