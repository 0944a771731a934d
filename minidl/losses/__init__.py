"""Losses: receive predictions and targets, return a scalar to minimise."""

from minidl.losses.base import Loss, loss

__all__ = ["Loss", "loss"]
