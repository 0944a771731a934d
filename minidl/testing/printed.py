"""Reading print-outs back: receives an explanation and values, returns what its text evaluates to.

So a printed rule can be held to the rule that runs: the text is evaluated by Python and NumPy,
with the ops for the functions it calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minidl import registry
from minidl.graph import tensor
from minidl.graph.rules import Explanation
from minidl.graph.text import evaluable

_SHORT = {"σ": "sigmoid", "Σ": "sum"}


def evaluate_rules(
    explanation: Explanation, given: Mapping[str, Any], *, columns: bool = False
) -> dict[str, np.ndarray]:
    """Evaluate the text of each rule, top to bottom, and return the results by symbol.

    The text becomes Python by :func:`minidl.graph.text.evaluable`: ``½`` is 0.5, ``²`` is
    ``**2``, ``Σ a_i`` sums over all elements, ``∂L/∂x`` is one name.

    Parameters
    ----------
    explanation : Explanation
        What was printed.
    given : Mapping
        Arrays by symbol. What is computed on the way is added to them, and not replaced.
    columns : bool
        Whether vectors are columns of shape (n, 1). Functions then take them as one sample, of
        shape (1, n).
    """
    known = {name: np.asarray(value) for name, value in {**explanation.constants, **given}.items()}
    rules = [*explanation.forward, *explanation.backward]
    symbols = {*known, *(rule.left for rule in rules)}
    names = {s: f"symbol{i}_" for i, s in enumerate(sorted(symbols)) if not s.isidentifier()}
    functions = _Functions(columns)
    results: dict[str, np.ndarray] = {}
    for rule in rules:
        functions.symbols = {names.get(name, name): value for name, value in known.items()}
        code = compile(evaluable(rule.expression, names), rule.left, "eval")
        results[rule.left] = np.asarray(eval(code, {"__builtins__": {}}, functions))
        known.setdefault(rule.left, results[rule.left])
    return results


class _Functions(dict[str, Any]):
    """The names that a text may use: symbols, and every op as a function of arrays."""

    def __init__(self, columns: bool) -> None:
        super().__init__(inf=np.inf, nan=np.nan)
        self.symbols: Mapping[str, Any] = {}
        self._columns = columns

    def __missing__(self, name: str) -> Any:
        if name in self.symbols:
            return self.symbols[name]
        return self._function(_SHORT.get(name, name))

    def _function(self, name: str) -> Callable[..., Any]:
        declared = registry.get("op", name)

        def call(*arguments: Any, **attributes: Any) -> Any:
            whole = not self._columns or declared.elementwise or declared.variadic
            whole = whole or name in ("sum", "mean")
            tensors = [_tensor(value, turned=not whole) for value in arguments]
            result = declared(*tensors, **attributes).numpy()
            return result if whole else _as_column(result)

        return call


def _tensor(value: Any, *, turned: bool) -> Any:
    if isinstance(value, list):
        return [_tensor(item, turned=turned) for item in value]
    if not isinstance(value, np.ndarray | np.generic):
        return value
    array = np.asarray(value)
    if turned and array.ndim == 2 and array.shape[1] == 1:
        array = array.T
    elif turned and array.ndim == 0:
        array = array.reshape(1)
    return tensor(array)


def _as_column(array: np.ndarray) -> np.ndarray:
    return array.reshape(()) if array.size == 1 else array.reshape(array.size, 1)
