"""From a Python function to a cached program."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from minidl.backends import Backend, current_backend
from minidl.compiler.simplify import simplify
from minidl.errors import GraphError
from minidl.graph import Graph, Program, Tensor, evaluate, from_array, tensor, toposort, trace
from minidl.graph.leaves import placeholder_op
from minidl.graph.op import as_tensor
from minidl.graph.spec import DEFAULT_FLOAT, is_float, promote
from minidl.graph.trace import flatten


class compile:
    """Make a function of tensors run as a planned program; use it as a decorator.

    The function is traced on placeholders the first time it is called with arguments of given
    shapes and dtypes, and from then on runs as a flat program without Python in between. It may
    use :func:`minidl.grad` inside, and call other compiled functions, which become part of it.
    What it returns is computed: a gradient that is taken outside does not see into it.

    Parameters
    ----------
    function : callable
        Takes and returns tensors, or dicts, lists and tuples of them. A number given by position
        is an input too: a float of the widest float dtype among the other inputs, an integer of
        int64. What is given by keyword and is no tensor or array must be hashable and is part of
        what a program is cached by. What else the function reads is fixed when it is traced.

    Raises
    ------
    GraphError
        If the function asks for the value of a tensor (``numpy()``, ``if tensor``) while traced.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._programs: dict[Hashable, tuple[Program, Callable[..., Any]]] = {}
        self._lock = threading.RLock()
        functools.update_wrapper(self, function)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        given = {name: options[name] for name in sorted(options)}
        structure = _structure(arguments, by_name=False), _structure(given, by_name=True)
        leaves, restore = flatten((arguments, given))
        count = len(flatten(arguments)[0])
        varying = [i for i, leaf in enumerate(leaves) if i < count or _is_array(leaf)]
        tensors = _as_inputs([leaves[i] for i in varying])
        if any(node.op is placeholder_op for node in toposort(tensors, computed=False)):
            return self._function(*arguments, **options)  # called by a function being traced
        key = current_backend(), structure, tuple(node.spec for node in tensors)
        with self._lock:
            if key not in self._programs:

                def refill(inputs: Sequence[Tensor]) -> Any:
                    held = dict(zip(varying, inputs, strict=True))
                    return restore([held.get(i, leaf) for i, leaf in enumerate(leaves)])

                self._programs[key] = self._trace(tensors, refill)
        program, rebuild = self._programs[key]
        return rebuild([from_array(array) for array in program(evaluate(tensors))])

    def _trace(
        self, tensors: list[Tensor], refill: Callable[..., Any]
    ) -> tuple[Program, Callable[..., Any]]:
        rebuild: list[Callable[..., Any]] = []

        def flat(*inputs: Tensor) -> list[Any]:
            arguments, options = refill(inputs)
            results, back = flatten(self._function(*arguments, **options))
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


def _structure(tree: Any, *, by_name: bool) -> Hashable:
    """Return all of ``tree`` that a program is cached by, but for the specs of its tensors."""
    if isinstance(tree, dict):
        parts = ((key, _structure(value, by_name=by_name)) for key, value in tree.items())
        return dict, tuple(parts)
    if isinstance(tree, list | tuple):
        return type(tree), tuple(_structure(item, by_name=by_name) for item in tree)
    if _is_array(tree):
        return None
    if by_name:
        return _option(tree)
    _require_number(tree)
    return None


def _is_array(value: Any) -> bool:
    return isinstance(value, Tensor) or hasattr(value, "__array__")


def _option(value: Any) -> Hashable:
    """Return what tells an option from others: 1 from 1.0 and True, 0.0 from -0.0."""
    try:
        hash(value)
    except TypeError:
        raise GraphError(
            f"an option of a compiled function must be hashable, and {type(value).__name__} is not"
        ) from None
    return type(value), repr(value) if isinstance(value, float) else value


def _require_number(value: Any) -> None:
    if not isinstance(value, bool | int | float):
        raise GraphError(
            f"a compiled function takes tensors, arrays and numbers by position, "
            f"not {type(value).__name__}; give other options by keyword"
        )


def _as_inputs(leaves: Sequence[Any]) -> list[Tensor]:
    nodes = [None if isinstance(leaf, float) else as_tensor(leaf) for leaf in leaves]
    floats = [node.dtype for node in nodes if node is not None and is_float(node.dtype)]
    dtype = promote(floats) if floats else DEFAULT_FLOAT
    return [
        tensor(leaf, dtype) if node is None else node
        for leaf, node in zip(leaves, nodes, strict=True)
    ]
