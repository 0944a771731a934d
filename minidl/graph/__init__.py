"""The graph: receives ops applied to values, returns nodes, gradients, programs and print-outs.

A node (:class:`Tensor`) is an op applied to nodes. :func:`grad` adds the nodes of the backward
pass by the ops' own rules; :func:`trace` turns a function into a :class:`Graph` with named inputs,
outputs and state; :class:`Program` runs one on a backend.
"""

from minidl.graph.gradient import grad
from minidl.graph.interpreter import Program, State, evaluate
from minidl.graph.leaves import from_array, placeholder, tensor
from minidl.graph.node import Tensor, toposort
from minidl.graph.op import Draw, Op, Sample, op, sample
from minidl.graph.spec import Spec
from minidl.graph.trace import Graph, trace

__all__ = [
    "Draw",
    "Graph",
    "Op",
    "Program",
    "Sample",
    "Spec",
    "State",
    "Tensor",
    "evaluate",
    "from_array",
    "grad",
    "op",
    "placeholder",
    "sample",
    "tensor",
    "toposort",
    "trace",
]
