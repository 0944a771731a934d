"""What all tests share: a fresh choice of backend, and why GPU tests skip."""

from __future__ import annotations

import os

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # several workers with several BLAS threads each stall
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import minidl.testing  # noqa: E402, F401  (it registers the backend array_api_strict)
from minidl import registry  # noqa: E402
from minidl.backends import use_backend  # noqa: E402


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
