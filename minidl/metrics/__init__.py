"""Metrics: receive predictions and targets batch by batch, return a number for a whole part."""

from minidl.metrics.base import Metric, metric

__all__ = ["Metric", "metric"]
