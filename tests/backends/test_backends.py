"""Backends: choosing one, what is unavailable, third parties', kernels."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from minidl import ops, registry
from minidl.backends import (
    Backend,
    backend,
    current_backend,
    kernel,
    register_backend,
    resolve_device,
    use_backend,
)
from minidl.backends import base as backends_base
from minidl.backends import cupy as cupy_backend
from minidl.errors import BackendError, CollisionError, UnknownNameError
from minidl.graph import Program, placeholder, tensor
from minidl.testing import check_op

NOT_INSTALLED = (
    "CuPy is not installed; "
    "pip install 'minidl[cuda12]' (or 'minidl[cuda13]', by the driver's CUDA version)"
)


@pytest.fixture
def without_cupy(monkeypatch):
    """Make CuPy look absent, whether or not it is installed."""

    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name == "cupy":
                raise ModuleNotFoundError("No module named 'cupy'", name="cupy")

    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    cupy_backend._missing.cache_clear()
    backends_base._open.cache_clear()
    yield
    cupy_backend._missing.cache_clear()
    backends_base._open.cache_clear()


# -- choosing --------------------------------------------------------------------------------


def test_a_backend_is_one_object_however_it_is_asked_for():
    assert backend("numpy") is backend("numpy")
    assert backend("numpy") is backend("numpy", "cpu")
    assert backend(backend("numpy")) is backend("numpy")
    assert repr(backend("numpy")) == "<backend numpy on cpu>"


def test_a_block_makes_a_backend_current_and_the_former_one_again():
    assert current_backend().name == "numpy"
    with use_backend("array_api_strict") as strict:
        assert current_backend() is strict
        with use_backend("numpy"):
            assert current_backend().name == "numpy"
        assert current_backend() is strict
    assert current_backend().name == "numpy"


def test_an_error_in_the_block_brings_the_former_one_back():
    with pytest.raises(ZeroDivisionError), use_backend("array_api_strict"):
        _ = 1 / 0
    assert current_backend().name == "numpy"


def test_a_statement_makes_a_backend_current_from_now_on():
    use_backend("array_api_strict")
    assert current_backend().name == "array_api_strict"
    assert type(tensor([1.0]).array()).__module__.startswith("array_api_strict")


def test_an_unknown_backend_suggests_the_near_miss():
    with pytest.raises(UnknownNameError, match=r"^unknown backend 'nunpy'; did you mean 'numpy'\?"):
        use_backend("nunpy")
    assert current_backend().name == "numpy"


def test_an_unknown_device_of_a_backend_is_named():
    with pytest.raises(BackendError) as caught:
        backend("numpy", "cuda:1")
    assert str(caught.value) == "backend 'numpy' has no device 'cuda:1' here (it has: cpu)"


# -- what is unavailable ---------------------------------------------------------------------


@pytest.mark.usefixtures("without_cupy")
def test_an_absent_gpu_is_an_error_that_names_the_cause():
    with pytest.raises(BackendError) as caught:
        backend("cupy")
    assert str(caught.value) == f"backend 'cupy' cannot be used here: {NOT_INSTALLED}"
    with pytest.raises(BackendError, match="cannot be used here: CuPy is not installed"):
        use_backend("cupy")
    assert registry.get("backend", "cupy").devices() == []


@pytest.mark.usefixtures("without_cupy")
def test_auto_falls_back_and_says_why():
    chosen, why = resolve_device("auto")
    assert chosen is backend("numpy")
    assert why == "cpu through numpy: no CUDA device (CuPy is not installed)"


@pytest.mark.usefixtures("without_cupy")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_gpu_that_was_asked_for_never_falls_back(device):
    with pytest.raises(BackendError) as caught:
        resolve_device(device)
    assert str(caught.value) == f"backend 'cupy' cannot be used here: {NOT_INSTALLED}"


class FakeCuda:
    """What ``cupy`` would say on a machine with as many devices as ``count``."""

    __version__ = "13.9"

    class CUDARuntimeError(RuntimeError):
        pass

    def __init__(self, count):
        self.count = count
        self.cuda = self.runtime = self

    def getDeviceCount(self):
        if self.count is None:
            raise self.CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
        return self.count


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (
            None,
            "CuPy 13.9 finds no usable CUDA driver or device "
            "(cudaErrorNoDevice: no CUDA-capable device is detected)",
        ),
        (0, "CuPy 13.9 sees no CUDA device"),
    ],
)
def test_cupy_without_a_device_says_so(monkeypatch, count, message):
    monkeypatch.setitem(sys.modules, "cupy", FakeCuda(count))
    cupy_backend._missing.cache_clear()
    try:
        assert registry.get("backend", "cupy").unavailable() == message
    finally:
        cupy_backend._missing.cache_clear()


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(cupy_backend, "_missing", lambda: None)
    monkeypatch.setattr(backends_base, "backend", lambda name, device=None: FakeBackend(name))
    chosen, why = resolve_device("auto")
    assert chosen.name == "cupy"
    assert why == "cuda:0 through cupy: a CUDA device is available"


class FakeBackend:
    device = "cuda:0"

    def __init__(self, name):
        self.name = name


# -- devices ---------------------------------------------------------------------------------


def test_the_cpu_is_numpy():
    assert resolve_device("cpu") == (backend("numpy"), "cpu through numpy, as asked")


def test_a_backend_by_name_comes_before_the_device():
    chosen, why = resolve_device("auto", "array_api_strict")
    assert chosen is backend("array_api_strict")
    assert why == "cpu through array_api_strict, as asked"


@pytest.mark.parametrize("device", ["gpu", "cpu:1", "", "CUDA"])
def test_an_unknown_device_lists_the_known_ones(device):
    with pytest.raises(BackendError) as caught:
        resolve_device(device)
    assert str(caught.value) == f"unknown device '{device}' (known: auto, cpu, cuda, cuda:N)"


def test_a_cpu_backend_refuses_a_cuda_device():
    with pytest.raises(BackendError) as caught:
        resolve_device("cuda", "numpy")
    assert str(caught.value) == "backend 'numpy' has no device 'cuda' here (it has: cpu)"


# -- transfer --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["numpy", "array_api_strict"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32", "float64"])
def test_arrays_come_back_from_a_backend_as_they_went(name, dtype):
    where = backend(name)
    for array in (
        np.arange(6).reshape(2, 3).astype(dtype),
        np.zeros((0, 2), dtype),
        np.ones((), dtype),
    ):
        back = where.to_numpy(where.from_numpy(array))
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)
        back[...] = 0
        np.testing.assert_array_equal(where.to_numpy(where.from_numpy(array)), array)


@pytest.mark.parametrize("name", ["numpy", "array_api_strict"])
def test_data_is_copied_into_a_backend(name):
    where = backend(name)
    data = np.ones(3)
    array = where.from_data(data, "float32")
    data[:] = 5
    np.testing.assert_array_equal(where.to_numpy(array), np.ones(3, "float32"))
    assert where.to_numpy(where.scalar(2, "float64")) == 2.0
    assert tuple(where.empty((2, 3), "int64").shape) == (2, 3)
    where.synchronize()


# -- third parties ---------------------------------------------------------------------------


@pytest.fixture
def tracing_backend():
    """Register a backend as a third party would: NumPy that remembers which ops it ran."""

    @register_backend("tracing")
    class Tracing(Backend):
        xp = np

        def __init__(self, device=None):
            super().__init__(device)
            self.ran = []

        @classmethod
        def devices(cls):
            return ["cpu", "cpu:big"]

        def from_data(self, data, dtype):
            return np.array(data, dtype=dtype)

        def from_numpy(self, array):
            return array

        def to_numpy(self, array):
            return np.array(array)

        def function(self, op):
            self.ran.append(op.name)
            return super().function(op)

    yield Tracing
    registry.forget("backend", "tracing")
    backends_base._open.cache_clear()


def test_a_third_partys_backend_is_used_like_a_built_in(tracing_backend):
    with use_backend("tracing") as tracing:
        assert isinstance(tracing, tracing_backend)
        assert (tracing.name, tracing.device) == ("tracing", "cpu")
        assert ops.exp(tensor([0.0])).numpy() == [1]
    assert tracing.ran == ["exp"]
    big, why = resolve_device("cpu:big", "tracing")
    assert big.device == "cpu:big"
    assert big is not tracing
    assert why == "cpu:big through tracing, as asked"
    assert "tracing" in registry.names("backend")


def test_its_ops_pass_the_same_checks(tracing_backend):
    with use_backend("tracing"):
        check_op("multiply")


def test_two_backends_of_one_name_collide(tracing_backend):
    with pytest.raises(CollisionError, match="two sources register the backend 'numpy'"):
        register_backend("numpy")(type("Other", (Backend,), {}))


def test_kernels_come_first_then_the_namespace_then_the_pure_rule(tracing_backend):
    where = backend("numpy")
    assert where.function(ops.exp) == (np.exp, True)
    compute, takes_out = where.function(ops.reshape)
    assert not takes_out
    assert compute(np.zeros(6), shape=(2, 3)).shape == (2, 3)
    tracing = backend("tracing")
    assert tracing.function(ops.exp)[1] is False

    def doubled(x):
        return 2 * np.exp(x)

    kernel("tracing", "exp")(doubled)
    try:
        assert tracing.function(ops.exp) == (doubled, False)
        assert where.function(ops.exp) == (np.exp, True)
        x = placeholder("x", (1,), "float64")
        assert Program([x], [ops.exp(x)], backend=tracing)([np.zeros(1)]) == [[2.0]]
    finally:
        registry.forget("kernel", "tracing:exp")


# -- on a GPU --------------------------------------------------------------------------------


@pytest.mark.gpu
def test_the_gpu_backend_moves_arrays_and_keeps_to_its_device():
    gpu = backend("cupy")
    array = np.arange(6.0).reshape(2, 3)
    held = gpu.from_numpy(array)
    np.testing.assert_array_equal(gpu.to_numpy(held), array)
    gpu.synchronize()
    assert gpu.device == gpu.devices()[0] == "cuda:0"
    with use_backend("cupy"):
        np.testing.assert_allclose(ops.exp(tensor(array)).numpy(), np.exp(array), rtol=1e-14)
    assert resolve_device("auto")[0] is gpu
    assert resolve_device("cuda")[0] is gpu


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["multiply", "exp", "sum", "matmul", "softmax", "where"])
def test_ops_pass_their_checks_on_the_gpu(name):
    with use_backend("cupy"):
        check_op(name, backends=["numpy"])
