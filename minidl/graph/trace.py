"""Tracing: receives a Python function, returns the graph of what it computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from minidl.errors import GraphError
from minidl.graph.leaves import placeholder
from minidl.graph.node import Tensor
from minidl.graph.op import as_tensor
from minidl.graph.spec import Spec


@dataclass(frozen=True, eq=False)
class Graph:
    """A traced function.

    Attributes
    ----------
    inputs : tuple of Tensor
        Placeholders, in order.
    outputs : tuple of Tensor
        The nodes it returns.
    state : tuple of (Tensor, Tensor)
        Pairs of a named placeholder and the node of its next value.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    state: tuple[tuple[Tensor, Tensor], ...] = ()

    @property
    def results(self) -> tuple[Tensor, ...]:
        """Everything that must be computed: outputs and next values of state."""
        return (*self.outputs, *(new for _, new in self.state))


def trace(function: Callable[..., Any], *specs: Spec, names: Sequence[str] = ()) -> Graph:
    """Call ``function`` on a placeholder for each spec and return the graph of its results.

    Parameters
    ----------
    function : callable
        Takes tensors; returns a tensor or a sequence of them.
    *specs : Spec
        Shape and dtype of each argument.
    names : sequence of str
        Symbols of the arguments; default ``x0``, ``x1`` …
    """
    given = list(names) or [f"x{index}" for index in range(len(specs))]
    inputs = tuple(placeholder(name, *spec) for name, spec in zip(given, specs, strict=True))
    results = function(*inputs)
    outputs = results if isinstance(results, tuple | list) else (results,)
    return Graph(inputs, tuple(as_tensor(result) for result in outputs))


def flatten(tree: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """Take nested dicts, lists and tuples apart.

    Returns
    -------
    (list, callable)
        The leaves, and a function that puts as many others into the same structure.
    """
    leaves: list[Any] = []
    rebuild = _take_apart(tree, leaves)

    def restore(values: Sequence[Any]) -> Any:
        if len(values) != len(leaves):
            raise GraphError(f"the structure holds {len(leaves)} leaves, not {len(values)}")
        return rebuild(iter(values))

    return leaves, restore


def _take_apart(tree: Any, leaves: list[Any]) -> Callable[[Any], Any]:
    if isinstance(tree, dict):
        parts = {key: _take_apart(tree[key], leaves) for key in tree}
        return lambda values: {key: part(values) for key, part in parts.items()}
    if isinstance(tree, list | tuple):
        items = [_take_apart(item, leaves) for item in tree]
        if hasattr(tree, "_fields"):
            return lambda values: type(tree)(*(item(values) for item in items))
        return lambda values: type(tree)(item(values) for item in items)
    leaves.append(tree)
    return next
