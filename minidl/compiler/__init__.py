"""The compiler: receives a function of tensors or a graph, returns a program that runs it.

:func:`compile` traces a function once for each set of shapes and dtypes, simplifies the graph by
passes that never change a result, and lays it out as a :class:`minidl.graph.Program`.
:func:`autocast` is the one pass that does change results: it brings a graph to mixed precision.
"""

from minidl.compiler.autocast import autocast
from minidl.compiler.compiled import compile, compile_graph
from minidl.compiler.simplify import simplify

__all__ = ["autocast", "compile", "compile_graph", "simplify"]
