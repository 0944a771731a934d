"""Printing a graph: receives a traced graph, returns a listing, DOT or Mermaid.

All three show the same: a name for every value, the op that makes it, its shape and dtype, and
which values are inputs, outputs and state.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from minidl.graph.expression import attribute, shown_attributes
from minidl.graph.leaves import constant, placeholder_op, scalar_value
from minidl.graph.node import Tensor, toposort
from minidl.graph.trace import Graph

_DOT_SHAPES = {
    "input": "shape=ellipse, style=bold",
    "state": "shape=cylinder",
    "constant": "shape=ellipse, style=dashed",
    "output": "shape=box, style=bold",
    "value": "shape=box",
}
_MERMAID_SHAPES = {
    "input": ("([", "])"),
    "state": ("[(", ")]"),
    "constant": ("([", "])"),
    "output": ("[[", "]]"),
    "value": ("[", "]"),
}


def listing(graph: Graph) -> str:
    """Return the graph as text, one line a node, inputs before their consumers.

    x = input                    float32[2, 3]
    v1 = multiply(x, 2)          float32[2, 3]
    v2 = sum(v1, axis=1)          float32[2]
    return v2
    """
    view = _view(graph)
    rows = [(view.statement(node), str(node.spec)) for node in view.shown]
    width = max((len(left) for left, _ in rows), default=0)
    lines = [f"{left:<{width}}  {right}" for left, right in rows]
    lines += [f"next {view.names[id(old)]} = {view.operand(new)}" for old, new in graph.state]
    lines.append(f"return {', '.join(view.operand(node) for node in graph.outputs)}".rstrip())
    return "\n".join(lines)


def dot(graph: Graph, name: str = "graph") -> str:
    """Return the graph in Graphviz's DOT language.

    Inputs are ellipses, state cylinders, outputs bold; a dashed edge leads from the next value of
    a state to the state.
    """
    view = _view(graph)
    lines = [f"digraph {_dot_text(name)} {{", '  node [fontname="monospace"];']
    for node in view.shown:
        label = _dot_text(f"{view.statement(node)}\n{node.spec}")
        lines.append(f"  {view.key(node)} [label={label}, {_DOT_SHAPES[view.role(node)]}];")
    for source, target in view.edges():
        lines.append(f"  {view.key(source)} -> {view.key(target)};")
    for old, new in view.updates():
        lines.append(f"  {view.key(new)} -> {view.key(old)} [style=dashed];")
    return "\n".join([*lines, "}"])


def mermaid(graph: Graph) -> str:
    """Return the graph as a Mermaid flowchart, drawn as :func:`dot` draws it."""
    view = _view(graph)
    lines = ["flowchart TD"]
    for node in view.shown:
        left, right = _MERMAID_SHAPES[view.role(node)]
        label = _mermaid_text(f"{view.statement(node)}\n{node.spec}")
        lines.append(f"  {view.key(node)}{left}{label}{right}")
    lines += [f"  {view.key(source)} --> {view.key(target)}" for source, target in view.edges()]
    lines += [f"  {view.key(new)} -.-> {view.key(old)}" for old, new in view.updates()]
    return "\n".join(lines)


@dataclass
class _View:
    """A graph with names for its nodes. Numbers stand where they are used."""

    graph: Graph
    shown: list[Tensor]
    names: dict[int, str] = field(default_factory=dict)
    keys: dict[int, str] = field(default_factory=dict)
    roles: dict[int, str] = field(default_factory=dict)

    def role(self, node: Tensor) -> str:
        return self.roles.get(id(node), "value")

    def key(self, node: Tensor) -> str:
        return self.keys[id(node)]

    def operand(self, node: Tensor) -> str:
        return self.names[id(node)] if id(node) in self.names else repr(scalar_value(node))

    def statement(self, node: Tensor) -> str:
        """Return ``name = op(inputs, attributes)``."""
        return f"{self.names[id(node)]} = {self._value(node)}"

    def edges(self) -> Iterator[tuple[Tensor, Tensor]]:
        for node in self.shown:
            for child in node.inputs:
                if id(child) in self.keys:
                    yield child, node

    def updates(self) -> Iterator[tuple[Tensor, Tensor]]:
        for old, new in self.graph.state:
            if new is not old and id(new) in self.keys:
                yield old, new

    def _value(self, node: Tensor) -> str:
        if node.op is constant:
            return "constant"
        if node.op is placeholder_op:
            return "state" if self.role(node) == "state" else "input"
        shown = [
            f"{name}={ast.unparse(attribute(name, value))}"
            for name, value in shown_attributes(node).items()
        ]
        return f"{node.op.name}({', '.join([*map(self.operand, node.inputs), *shown])})"


def _view(graph: Graph) -> _View:
    leaves = (*graph.inputs, *(old for old, _ in graph.state))
    order = toposort((*leaves, *graph.results))
    view = _View(graph, [node for node in order if scalar_value(node) is None])
    taken = {node.name for node in view.shown if node.name}
    used: set[str] = set()
    numbers = iter(range(1, len(order) + len(taken) + 2))
    for index, node in enumerate(view.shown):
        view.keys[id(node)] = f"n{index}"
        name = node.name
        while not name or name in used:
            name = f"v{next(numbers)}"
            if name in taken:
                name = ""
        used.add(name)
        view.names[id(node)] = name
    for node in view.shown:
        if node.op is constant:
            view.roles[id(node)] = "constant"
    view.roles.update((id(node), "output") for node in graph.outputs)
    view.roles.update((id(node), "input") for node in graph.inputs)
    view.roles.update((id(old), "state") for old, _ in graph.state)
    return view


def _dot_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _mermaid_text(text: str) -> str:
    escaped = text.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;")
    escaped = escaped.replace(">", "#gt;").replace("\n", "<br/>")
    return f'"{escaped}"'
