"""Explaining a network: receives layers and a loss, returns the rules of its backward pass.

The forward pass is traced and differentiated as in training; the graph that comes of it is
brought into the notation of a textbook (:mod:`minidl.explain.columns`), shortened
(:mod:`minidl.explain.algebra`), and written down by :mod:`minidl.graph.rules`.
"""

from minidl.explain.config import explain_config
from minidl.explain.network import explain_network
from minidl.graph.rules import Explanation, Rule, explain_op

__all__ = ["Explanation", "Rule", "explain_config", "explain_network", "explain_op"]
