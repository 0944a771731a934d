"""Where in a network a value, or an error that arose while it ran, came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from minidl.errors import MinidlError
from minidl.graph import Graph, Program, State, Tensor, toposort
from minidl.layers import Context, Layer

if TYPE_CHECKING:
    from minidl.training.model import Model


def layer_of(node: Tensor, root: Layer, context: Context) -> Layer | None:
    """Return the innermost layer whose output needs ``node``; None if none does.

    Parameters
    ----------
    root : Layer
        The network.
    context : Context
        That of the pass which made ``node``.
    """
    layers = {layer.path: layer for layer in root.all_layers()}
    for path, output in context.outputs.items():
        if any(needed is node for needed in toposort([output])):
            return layers.get(path)
    return None


def located(
    error: MinidlError,
    graph: Graph,
    arrays: Sequence[Any],
    model: Model,
    context: Context,
    state: State | None = None,
    otherwise: str = "",
) -> MinidlError:
    """Return an error of a program with the layer in which it arose in front.

    The run is replayed value by value.

    Parameters
    ----------
    error : MinidlError
        What running the program raised.
    graph : Graph
        What was to be computed, before it was simplified.
    arrays : sequence
        The values of its inputs.
    context : Context
        Of the pass that made it.
    state : State, optional
        What it ran on; default the model's own.
    otherwise : str
        What goes in front if it arose in no layer.
    """
    program = Program(graph.inputs, graph.outputs, graph.state, model.backend)
    node = _failing(program, arrays, state or model.state)
    if node is None:
        return error
    layer = layer_of(node, model.root, context)
    label = otherwise if layer is None else layer.label
    found = type(error)(f"{label}: {error}" if label else str(error))
    found.place = None if layer is None else layer.place
    return found


def _failing(program: Program, arrays: Sequence[Any], state: State) -> Tensor | None:
    """Return the first node that cannot be computed."""
    done = set()
    try:
        for node, _ in program.walk(arrays, state):
            done.add(id(node))
    except MinidlError:
        return next(node for node in program.nodes if id(node) not in done)
    return None
