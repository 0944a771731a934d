"""What a backend is, how one is chosen, and how faster kernels are entered for it."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from minidl import registry
from minidl.backends.dtypes import dtype_object
from minidl.errors import BackendError

if TYPE_CHECKING:
    import numpy as np

Class = TypeVar("Class", bound=type)
Function = TypeVar("Function", bound=Callable[..., Any])


class Backend:
    """An array namespace on a device; subclass it under :func:`register_backend`.

    Attributes
    ----------
    name : str
        Its name in the registry.
    device : str
        ``"cpu"``, ``"cuda:0"`` …
    xp : module
        Array namespace that follows the Python array API standard.
    """

    name: str = ""
    device: str = "cpu"
    xp: Any = None

    def __init__(self, device: str | None = None) -> None:
        self.device = device or self.device

    @classmethod
    def unavailable(cls) -> str | None:
        """Return why this backend cannot be used on this machine, or None if it can."""
        return None

    @classmethod
    def advice(cls) -> str:
        """Return what to do where it is unavailable, if there is something to do."""
        return ""

    @classmethod
    def devices(cls) -> list[str]:
        """Return the devices it can use here, the default one first."""
        return ["cpu"]

    def from_data(self, data: Any, dtype: str | None) -> Any:
        """Return a new array holding a copy of ``data`` (numbers, nested lists, an array)."""
        raise NotImplementedError

    def from_numpy(self, array: np.ndarray) -> Any:
        """Return ``array`` on this backend; may share memory with it."""
        raise NotImplementedError

    def to_numpy(self, array: Any) -> np.ndarray:
        """Return a NumPy copy of ``array``."""
        raise NotImplementedError

    def synchronize(self) -> None:
        """Wait until everything asked of the device is done."""

    def running(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which a program runs (floating-point warnings, device)."""
        return contextlib.nullcontext()

    def out_function(self, name: str) -> Callable[..., Any] | None:
        """Return the namespace's function ``name`` if it writes into ``out=``, else None."""
        return None

    def shares_memory(self, a: Any, b: Any) -> bool:
        """Whether ``a`` is surely a view of the same memory as ``b``, so that it follows it."""
        return False

    def empty(self, shape: tuple[int, ...], dtype: str) -> Any:
        """Return an array with arbitrary contents."""
        return self.xp.empty(shape, dtype=self.dtype(dtype))

    def scalar(self, value: bool | int | float, dtype: str) -> Any:
        """Return a 0-d array holding ``value``."""
        return self.xp.asarray(value, dtype=self.dtype(dtype))

    def dtype(self, name: str) -> Any:
        """Return the namespace's dtype object called ``name``; BackendError if it has none."""
        return dtype_object(self.xp, name)

    def check_precision(self, dtype: str) -> str:
        """Return what to know of computing in the low-precision ``dtype`` here, if anything.

        Raises
        ------
        BackendError
            If this backend does not have it.
        """
        self.empty((0,), dtype)
        return ""

    def function_for(self, node: Any) -> tuple[Callable[..., Any], bool]:
        """Return what :meth:`function` does, for one node of known shapes and dtypes."""
        return self.function(node.op)

    def function(self, op: Any) -> tuple[Callable[..., Any], bool]:
        """Return what computes ``op`` here, and whether it takes ``out=``.

        A kernel entered by :func:`kernel` comes first, then the namespace's own function with
        ``out=``, then the op's pure array-namespace rule.
        """
        fast = registry.find("kernel", f"{self.name}:{op.name}")
        if fast is not None:
            return fast.compute, fast.takes_out
        direct = self.out_function(op.function) if op.function else None
        if direct is not None:
            return direct, True
        return functools.partial(op.run, self.xp), False

    def __repr__(self) -> str:
        return f"<backend {self.name} on {self.device}>"


@dataclass(frozen=True)
class Kernel:
    """A faster way for one backend to compute one op, held to the op's own ``forward`` by tests.

    ``compute(*arrays, **attributes)`` returns the array; if it has a parameter ``out``, it is
    given an array of the result's shape and dtype to write into, which is none of the inputs.
    """

    backend: str
    op: str
    compute: Callable[..., Any]
    takes_out: bool
    declared_in: tuple[str, str]


def kernel(backend_name: str, op_name: str) -> Callable[[Function], Function]:
    """Enter the decorated function as the kernel of an op on a backend."""

    def enter(function: Function) -> Function:
        takes_out = "out" in inspect.signature(function).parameters
        place = (function.__module__, function.__qualname__)
        made = Kernel(backend_name, op_name, function, takes_out, place)
        registry.register("kernel", f"{backend_name}:{op_name}", made)
        return function

    return enter


def register_backend(name: str) -> Callable[[Class], Class]:
    """Enter the decorated :class:`Backend` subclass into the registry under ``name``."""

    def enter(cls: Class) -> Class:
        cls.name = name  # type: ignore[attr-defined]
        return registry.register("backend", name, cls)

    return enter


@functools.cache
def _open(name: str, device: str | None) -> Backend:
    cls = registry.get("backend", name)
    reason = cls.unavailable()
    if reason is not None:
        parts = [f"backend '{name}' cannot be used here: {reason}", cls.advice()]
        raise BackendError("; ".join(part for part in parts if part))
    if device is not None and device not in cls.devices():
        known = ", ".join(cls.devices())
        raise BackendError(f"backend '{name}' has no device '{device}' here (it has: {known})")
    if device is not None and device == cls.devices()[0]:
        return _open(name, None)
    return cls(device)


def backend(name: str | Backend, device: str | None = None) -> Backend:
    """Return the backend called ``name``, on ``device`` (default: its first).

    Raises
    ------
    UnknownNameError
        If there is no backend of that name.
    BackendError
        If it cannot be used on this machine; the message says why.
    """
    return name if isinstance(name, Backend) else _open(name, device)


_current: ContextVar[Backend | None] = ContextVar("minidl_backend", default=None)


def current_backend() -> Backend:
    """Return the backend that values are computed on in this context; ``numpy`` by default."""
    return _current.get() or _open("numpy", None)


class use_backend:
    """Make a backend current: from now on, or for a ``with`` block.

    Parameters
    ----------
    name : str or Backend
        Its name, or a backend that :func:`backend` returned.
    device : str, optional
        For example ``"cuda:1"``.
    """

    def __init__(self, name: str | Backend, device: str | None = None) -> None:
        self.backend = backend(name, device)
        self._token = _current.set(self.backend)

    def __enter__(self) -> Backend:
        return self.backend

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


def resolve_device(device: str = "auto", backend_name: str | None = None) -> tuple[Backend, str]:
    """Choose a backend for ``device`` (``auto``, ``cpu``, ``cuda``, ``cuda:1``), and say why.

    Returns
    -------
    (Backend, str)
        The backend, and a sentence for the log on what was chosen and why.

    Raises
    ------
    BackendError
        If the device that was asked for is unavailable. Only ``auto`` ever falls back.
    """
    if backend_name is not None:
        chosen = backend(backend_name, None if device in ("auto", "cuda") else device)
        if device == "cuda" and not chosen.device.startswith("cuda"):
            raise BackendError(
                f"backend '{backend_name}' has no device 'cuda' here (it has: {chosen.device})"
            )
        return chosen, f"{chosen.device} through {chosen.name}, as asked"
    if device == "auto":
        reason = registry.get("backend", "cupy").unavailable()
        if reason is None:
            chosen = backend("cupy")
            return chosen, f"{chosen.device} through cupy: a CUDA device is available"
        return backend("numpy"), f"cpu through numpy: no CUDA device ({reason})"
    if device == "cpu":
        chosen = backend("numpy")
    elif device.partition(":")[0] == "cuda":
        chosen = backend("cupy", None if device == "cuda" else device)
    else:
        raise BackendError(f"unknown device '{device}' (known: auto, cpu, cuda, cuda:N)")
    return chosen, f"{chosen.device} through {chosen.name}, as asked"
