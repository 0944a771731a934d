"""Array backends: receive arrays and op names, return arrays; chosen at run time, as values.

A :class:`Backend` is an array namespace with a device, transfer to and from NumPy,
synchronisation and optional faster kernels. ``numpy`` and ``cupy`` are built in; others arrive
through the entry-point group ``minidl.backends``.
"""

from minidl.backends.base import (
    Backend,
    backend,
    current_backend,
    kernel,
    register_backend,
    resolve_device,
    use_backend,
)

__all__ = [
    "Backend",
    "backend",
    "current_backend",
    "kernel",
    "register_backend",
    "resolve_device",
    "use_backend",
]
