"""What all tests share: a fresh choice of backend, and why GPU tests skip."""

from __future__ import annotations

import pytest

import minidl.testing  # noqa: F401  (it registers the backend array_api_strict)
from minidl import registry
from minidl.backends import use_backend


@pytest.fixture(autouse=True)
def numpy_is_current():
    """Start each test on numpy, and let none leave another backend behind."""
    with use_backend("numpy"):
        yield


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") is not None:
        reason = registry.get("backend", "cupy").unavailable()
        if reason is not None:
            pytest.skip(f"needs a CUDA device: {reason}")
