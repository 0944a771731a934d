"""Schedules: receive the step, return the factor that the learning rate is multiplied by."""

from minidl.schedules.base import Schedule, schedule

__all__ = ["Schedule", "schedule"]
