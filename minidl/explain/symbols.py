"""Symbols of a network: receives layers and the graph they made, returns a name for each value."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping

from minidl.graph import Tensor
from minidl.layers import Layer

LOSS = "LOSS"
TARGET = "y"


class Symbols:
    """Names that no two values share, in the order in which they were given.

    Parameters
    ----------
    alias : callable, optional
        ``alias(node)``: whether a node without a name of its own takes that of its input.

    Attributes
    ----------
    names : dict
        By ``id`` of the node.
    nodes : dict
        By name.
    legend : dict
        For names that were made up here, what they stand for.
    """

    def __init__(self, alias: Callable[[Tensor], bool] | None = None) -> None:
        self._alias = alias
        self.names: dict[int, str] = {}
        self.nodes: dict[str, Tensor] = {}
        self.legend: dict[str, str] = {}

    def add(self, node: Tensor, wanted: str) -> str:
        """Name a node, unless it has a name, and return its name."""
        if id(node) in self.names:
            return self.names[id(node)]
        name = symbol_of(wanted)
        while name in self.nodes:
            name += "′"
        self.names[id(node)] = name
        self.nodes[name] = node
        return name

    def owns(self, node: Tensor) -> bool:
        """Whether a node has a name that is not borrowed from its input."""
        return id(node) in self.names and self.nodes[self.names[id(node)]] is node

    def add_outputs(self, root: Layer, outputs: dict[str, Tensor]) -> None:
        """Name the output of every layer, ``h1``, ``h2`` … where the layer has no name.

        ``outputs`` is by path, inner layers before those that hold them. What a layer passes on
        unchanged keeps the name it had.
        """
        layers = {layer.path: layer for layer in root.all_layers()}
        named = Counter(layer.name for layer in layers.values())
        count = 0
        for path, node in outputs.items():
            layer = layers[path]
            if id(node) in self.names:
                continue
            if layer.name and named[layer.name] == 1:
                self.add(node, layer.name)
            elif layer.name:
                self.add(node, path)
            elif self._alias and self._alias(node) and id(node.inputs[0]) in self.names:
                self.names[id(node)] = self.names[id(node.inputs[0])]
            else:
                count += 1
                self.legend[self.add(node, f"h{count}")] = layer.label

    def add_parameters(
        self, root: Layer, values: Mapping[str, Tensor], outputs: Mapping[str, Tensor]
    ) -> None:
        """Name parameters by their symbols, and by their layer's output where two share one."""
        shared = Counter(parameter.symbol for parameter in root.all_parameters())
        for layer in root.all_layers():
            for parameter in layer.parameters:
                name = parameter.symbol
                if shared[name] > 1:
                    name = _with_owner(name, self.names.get(id(outputs.get(layer.path))), layer)
                self.add(values[parameter.path], name)


def symbol_of(name: str) -> str:
    """Return a name as one word: letters, digits and underscores."""
    word = re.sub(r"\W+", "_", name).strip("_") or "v"
    return f"v{word}" if word[0].isdigit() else word


def _with_owner(symbol: str, output: str | None, layer: Layer) -> str:
    if output is None:
        return f"{symbol}_{layer.path}"
    numbered = re.fullmatch(r"h(\d+)", output)
    return f"{symbol}{numbered[1]}" if numbered else f"{symbol}_{output}"
