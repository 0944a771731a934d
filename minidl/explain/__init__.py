"""Explaining: receives layers and a loss, or the name of a part, returns rules and documentation.

The forward pass is traced and differentiated as in training; the graph that comes of it is
brought into the notation of a textbook (:mod:`minidl.explain.columns`), shortened
(:mod:`minidl.explain.algebra`), and written down by :mod:`minidl.graph.rules`.
"""

from minidl.explain.config import explain_config
from minidl.explain.network import explain_layer, explain_network
from minidl.explain.parts import Field, Part, explain_part
from minidl.graph.rules import Explanation, Rule, explain_op

__all__ = [
    "Explanation",
    "Field",
    "Part",
    "Rule",
    "explain_config",
    "explain_layer",
    "explain_network",
    "explain_op",
    "explain_part",
]
