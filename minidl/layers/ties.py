"""Tied parameters: receives a layer and what it declares, returns the parameter that it shares.

``tie`` names parameters as the layers of one list name each other: what it names is looked for
in the list that holds the layer, then in the list that holds that one, and so on outwards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from minidl.errors import ConfigError, DtypeError, ShapeError, suggestion

if TYPE_CHECKING:
    from minidl.layers.base import Layer, Parameter


def resolve(layer: Layer, declared: Parameter) -> Parameter:
    """Return ``declared``, or the parameter that a ``tie`` of the layer or its holders names.

    Raises
    ------
    ConfigError
        If there is no such parameter before it, or one is a buffer and the other is not.
    ShapeError, DtypeError
        If the two differ, naming both layers.
    """
    for holder, wanted in _ties(layer, declared.name):
        owner, source = _find(holder, wanted)
        _check_fit(layer, declared, owner, source)
        return dataclasses.replace(source, name=declared.name, symbol=source.symbol, tied=True)
    return declared


def check_names(layer: Layer) -> None:
    """Raise ConfigError if a layer is to share parameters that it does not have."""
    if layer.tie is None:
        return
    known = [
        _relative(layer, inner, held.name)
        for inner in layer.all_layers()
        for held in inner.parameters
    ]
    if not known:
        raise ConfigError(f"{layer.label}: tie: it has no parameters to share")
    for name in layer.tie if isinstance(layer.tie, dict) else ():
        if name not in known:
            raise ConfigError(
                f"{layer.label}: tie: it has no parameter '{name}'{suggestion(name, known)} "
                f"(it has: {', '.join(known)})"
            )


def _ties(layer: Layer, name: str) -> Iterator[tuple[Layer, str]]:
    """Yield what the parameter ``name`` is tied to, by the layer itself and those that hold it."""
    holder: Layer | None = layer
    while holder is not None:
        relative = _relative(holder, layer, name)
        if isinstance(holder.tie, str):
            yield holder, f"{holder.tie}.{relative}"
        elif holder.tie and relative in holder.tie:
            yield holder, holder.tie[relative]
        holder = holder.parent


def _relative(holder: Layer, layer: Layer, name: str) -> str:
    """Return what a parameter of ``layer`` is called within ``holder``."""
    path = f"{layer.path}.{name}" if layer.path else name
    return path[len(holder.path) + 1 :] if holder.path else path


def _find(layer: Layer, wanted: str) -> tuple[Layer, Parameter]:
    """Return the parameter that ``wanted`` means at the place of ``layer``, and its layer."""
    root = layer
    while root.parent is not None:
        root = root.parent
    known = {
        _relative(root, owner, held.name): (owner, held)
        for owner in root.all_layers()
        for held in owner.parameters
    }
    holder = layer.parent
    while holder is not None:
        path = f"{holder.path}.{wanted}" if holder.path else wanted
        if path in known:
            return known[path]
        holder = holder.parent
    before = ", ".join(known) if known else "none"
    raise ConfigError(
        f"{layer.label}: tie: there is no parameter '{wanted}' before it"
        f"{suggestion(wanted, list(known))} (before it stand: {before})"
    )


def _check_fit(layer: Layer, declared: Parameter, owner: Layer, source: Parameter) -> None:
    other = f"the '{source.name}' of {owner.label}"
    if declared.spec.shape != source.spec.shape:
        raise ShapeError(
            f"its '{declared.name}' of shape {declared.spec.shape} cannot be {other}, "
            f"of shape {source.spec.shape}"
        )
    if declared.spec.dtype != source.spec.dtype:
        raise DtypeError(
            f"its '{declared.name}' of dtype {declared.spec.dtype} cannot be {other}, "
            f"of dtype {source.spec.dtype}"
        )
    if declared.trainable != source.trainable:
        kinds = ("a parameter", "a buffer") if declared.trainable else ("a buffer", "a parameter")
        raise ConfigError(
            f"{layer.label}: tie: its '{declared.name}' is {kinds[0]} and cannot be {other}, "
            f"which is {kinds[1]}"
        )
