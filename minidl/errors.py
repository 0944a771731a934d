"""Every error minidl raises on purpose, as one tree.

    MinidlError
    ├── ConfigError           a config, an option or a declared field is wrong      (exit code 2)
    ├── RegistryError         a name in the registry
    │   ├── UnknownNameError  nothing of that name; suggests the near miss           (exit code 2)
    │   ├── CollisionError    two sources claim one name
    │   └── PluginError       a plugin could not be loaded                           (exit code 2)
    ├── GraphError            a graph that cannot be built or run
    │   ├── ShapeError        shapes that do not fit
    │   ├── DtypeError        dtypes that do not fit
    │   └── GradientError     a gradient that does not exist
    ├── BackendError          an unknown or unavailable backend or device
    ├── DataError             a dataset that is missing or malformed
    ├── CheckpointError       a checkpoint or run directory that cannot be used
    ├── CheckError            a gradient check that failed
    └── DivergedError         the loss became NaN or infinite                        (exit code 3)

A message says what happened, where, and what to do about it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from minidl.hints import is_inferred, nearest, same


class MinidlError(Exception):
    """Base of all errors of minidl.

    Attributes
    ----------
    exit_code : int
        What the command line exits with.
    place : str, optional
        Where in the config stands what it is about: ``"model.layers[2]"``.
    """

    exit_code = 1
    place: str | None = None


class ConfigError(MinidlError):
    """A config file, a command-line value or a declared field is wrong."""

    exit_code = 2


class RegistryError(MinidlError):
    """Base of the errors of :mod:`minidl.registry`."""


class UnknownNameError(RegistryError, LookupError):
    """Nothing is registered under this kind and name."""

    exit_code = 2


class CollisionError(RegistryError):
    """Two sources registered the same kind and name."""


class PluginError(RegistryError):
    """A plugin could not be loaded."""

    exit_code = 2


class GraphError(MinidlError):
    """A graph that cannot be built, traced or run.

    Attributes
    ----------
    op : str, optional
        The op that the message begins with.
    """

    op: str | None = None

    def named(self, op: str) -> GraphError:
        """Return this error with ``op`` in front, in place of an op that ``op`` is made of."""
        text = str(self) if self.op is None else str(self).removeprefix(f"{self.op}: ")
        named = type(self)(text if text.startswith(f"{op}: ") else f"{op}: {text}")
        named.op = op
        return named


class ShapeError(GraphError, ValueError):
    """Shapes, axes or sizes that do not fit together."""


class DtypeError(GraphError, TypeError):
    """Dtypes that an op does not take."""


class GradientError(GraphError):
    """A gradient that was asked for does not exist."""


class BackendError(MinidlError):
    """A backend or device that is unknown or unavailable."""


class DataError(MinidlError):
    """A dataset that is missing, truncated or malformed."""


class CheckpointError(MinidlError):
    """A checkpoint or run directory that cannot be read, written or matched to a model."""


class CheckError(MinidlError, AssertionError):
    """An op or layer whose gradient rule, shape rule or kernel is wrong."""


class DivergedError(MinidlError):
    """The loss became NaN or infinite during training."""

    exit_code = 3


@contextlib.contextmanager
def placed(place: str) -> Iterator[None]:
    """Say of an error from within that it is about ``place`` of the config, if it does not say."""
    try:
        yield
    except MinidlError as error:
        error.place = error.place or place
        raise


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known name, or an empty string."""
    found = nearest(name, known)
    return f"; did you mean '{found}'?" if found else ""


def field_hint(name: str, known: Iterable[str]) -> str:
    """Return what to say of a field that there is not: as :func:`suggestion`, or to leave it out.

    Parameters
    ----------
    name : str
        The field that was given.
    known : iterable of str
        The fields that there are.
    """
    fields = list(known)
    if is_inferred(name) and same(name, fields) is None:
        return "; leave it out: sizes of inputs are inferred"
    return suggestion(name, fields)
