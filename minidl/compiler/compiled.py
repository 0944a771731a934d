"""From a Python function to a cached program."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Hashable
from typing import Any

from minidl.backends import Backend, current_backend
from minidl.compiler.simplify import simplify
from minidl.errors import GraphError
from minidl.graph import Graph, Program, Tensor, evaluate, from_array, trace
from minidl.graph.op import as_tensor
from minidl.graph.trace import flatten


class compile:
    """Make a function of tensors run as a planned program; use it as a decorator.

    The function is traced on placeholders the first time it is called with arguments of given
    shapes and dtypes, and from then on runs as a flat program without Python in between. It may
    use :func:`minidl.grad` inside.

    Parameters
    ----------
    function : callable
        Takes and returns tensors, or dicts, lists and tuples of them. Whatever else it reads
        (Python numbers, closures) is fixed at the time of tracing; keyword arguments must be
        hashable and are part of what a program is cached by.

    Raises
    ------
    GraphError
        If the function asks for the value of a tensor (``numpy()``, ``if tensor``) while traced.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._programs: dict[Hashable, tuple[Program, Callable[..., Any]]] = {}
        self._lock = threading.Lock()
        functools.update_wrapper(self, function)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        structure = _structure(arguments)
        leaves, restore = flatten(arguments)
        tensors = [as_tensor(leaf) for leaf in leaves]
        key = (
            current_backend(),
            structure,
            tuple(node.spec for node in tensors),
            tuple(sorted(options.items())),
        )
        with self._lock:
            if key not in self._programs:
                self._programs[key] = self._trace(tensors, restore, options)
        program, rebuild = self._programs[key]
        return rebuild([from_array(array) for array in program(evaluate(tensors))])

    def _trace(
        self, tensors: list[Tensor], restore: Callable[..., Any], options: dict[str, Any]
    ) -> tuple[Program, Callable[..., Any]]:
        rebuild: list[Callable[..., Any]] = []

        def flat(*inputs: Tensor) -> list[Any]:
            results, back = flatten(self._function(*restore(inputs), **options))
            rebuild.append(back)
            return results

        graph = trace(flat, *(node.spec for node in tensors))
        return compile_graph(graph), rebuild[0]

    @property
    def programs(self) -> int:
        """How many programs it holds: one for each set of shapes, dtypes and options met."""
        return len(self._programs)


def compile_graph(graph: Graph, backend: Backend | None = None) -> Program:
    """Simplify ``graph`` and make it a program on ``backend`` (default: the current one)."""
    simple = simplify(graph)
    chosen = backend or current_backend()
    return Program(simple.inputs, simple.outputs, simple.state, chosen)


def _structure(tree: Any) -> Hashable:
    if isinstance(tree, dict):
        return "dict", tuple((key, _structure(value)) for key, value in tree.items())
    if isinstance(tree, list | tuple):
        return type(tree), tuple(_structure(item) for item in tree)
    if not isinstance(tree, Tensor) and not hasattr(tree, "__array__"):
        _require_number(tree)
    return None


def _require_number(value: Any) -> None:
    if not isinstance(value, bool | int | float):
        raise GraphError(
            f"a compiled function takes tensors, arrays and numbers by position, "
            f"not {type(value).__name__}; give other options by keyword"
        )
