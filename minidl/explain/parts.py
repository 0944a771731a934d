"""Looking up a part: receives what is registered, returns its documentation, fields and rules."""

from __future__ import annotations

import inspect
import json
import math
import re
import textwrap
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass
from typing import Any

import annotated_types as limits

from minidl.component import Component, config_fields, make, to_config
from minidl.config.json_schema import descriptions
from minidl.config.problems import component_kind
from minidl.explain.network import explain_layer
from minidl.graph import Op, Spec
from minidl.graph.rules import Explanation, explain_op, spec_of
from minidl.layers import Layer
from minidl.registry import Entry

_ATTRIBUTES = re.compile(r"^Attributes\n-{3,}\n.*?(?=^\w[\w ]*\n-{3,}\n|\Z)", re.M | re.S)
_MARKUP = re.compile(r":\w+:`~?([^`]+)`|``([^`]+)``")


@dataclass(frozen=True)
class Field:
    """A declared field of a part.

    Attributes
    ----------
    name : str
        Its key in a config.
    type : str
        What it holds: ``int ≥ 1``.
    default : str, optional
        As TOML; empty where it may be left out and stands for nothing then, None where it is
        required.
    description : str
        What the documentation says of it.
    shared : bool
        Whether every part of the kind has it.
    """

    name: str
    type: str
    default: str | None
    description: str = ""
    shared: bool = False

    def text(self) -> str:
        """Return the field as lines of text: ``units : int ≥ 1, required`` …"""
        given = {None: ", required", "": ", optional"}.get(self.default, f" = {self.default}")
        about = textwrap.fill(_unmarked(self.description), 92)
        return f"{self.name} : {self.type}{given}\n{textwrap.indent(about, '    ')}".rstrip()


@dataclass(frozen=True)
class Part:
    """What is known of one registered part.

    Attributes
    ----------
    kind, name, source : str
        As it is registered.
    documentation : str
        Its docstring.
    fields : tuple of Field
        In order.
    rules : Explanation, optional
        Of an op or a layer, for the first of its samples.
    """

    kind: str
    name: str
    source: str
    documentation: str
    fields: tuple[Field, ...] = ()
    rules: Explanation | None = None

    def text(self) -> str:
        """Return everything as text."""
        blocks = [f"{self.kind} {self.name} ({self.source})"]
        if self.kind != "op":
            blocks.append(_unmarked(_ATTRIBUTES.sub("", self.documentation).strip()))
        blocks += [field.text() for field in self.fields if not field.shared]
        shared = ", ".join(field.name for field in self.fields if field.shared)
        blocks += [f"As every {self.kind}: {shared}"] if shared else []
        blocks += [self.rules.text()] if self.rules is not None else []
        return "\n\n".join(blocks)

    def latex(self) -> str:
        """Return the rules as LaTeX math, one a line; nothing where there are none."""
        return "" if self.rules is None else self.rules.latex()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, for JSON; an op as its rules are."""
        about: dict[str, Any] = {"kind": self.kind, "name": self.name, "source": self.source}
        if self.kind == "op" and self.rules is not None:
            return {**about, **self.rules.to_dict()}
        about["documentation"] = self.documentation
        about["fields"] = [asdict(field) for field in self.fields]
        if self.rules is not None:
            about["rules"] = self.rules.to_dict()
        return about


def explain_part(entry: Entry) -> Part:
    """Look up what is known of a registered part.

    Parameters
    ----------
    entry : registry.Entry
        Of any kind.

    Returns
    -------
    Part
        With the fields of a component, and the rules of an op or a layer that declares samples.
    """
    value, about = entry.value, (entry.kind, entry.name, entry.source)
    if isinstance(value, Op):
        return Part(*about, value.doc, rules=explain_op(value))
    documentation = inspect.getdoc(value) or ""
    if not (isinstance(value, type) and issubclass(value, Component)):
        return Part(*about, documentation)
    rules = _rules(value) if issubclass(value, Layer) else None
    return Part(*about, documentation, _fields(value), rules)


def summary(value: Any) -> str:
    """Return the first sentence of the documentation of what is registered."""
    doc = value.doc if isinstance(value, Op) else inspect.getdoc(value) or ""
    first = " ".join(_unmarked(doc.strip().partition("\n\n")[0]).split())
    return first.partition(". ")[0].partition("  ")[0].rstrip(".")


def _rules(cls: type[Layer]) -> Explanation | None:
    """Return the rules of a layer for its first sample."""
    if not cls.samples:
        return None
    sample = cls.samples[0]
    made = make("layer", {"type": cls.type_name, **sample.attributes})
    chosen = "".join(f", {name} = {_toml(value)}" for name, value in sample.attributes.items())
    specs = [_single(spec_of(each)) for each in sample.inputs]
    given = ", ".join(map(str, specs))
    return explain_layer(made, *specs, title=f"For {given}{chosen}:")


def _single(spec: Spec) -> Spec:
    return spec.with_dtype("float32") if spec.dtype == "float64" else spec


def _fields(cls: type[Component]) -> tuple[Field, ...]:
    hints, told = typing.get_type_hints(cls, include_extras=True), descriptions(cls)
    base = next(c for c in reversed(cls.__mro__) if issubclass(c, Component) and c.kind)
    common = {f.name for f in config_fields(base) if f.kw_only and base is not cls}
    return tuple(
        Field(f.name, type_text(hints[f.name]), _default(f), told.get(f.name, ""), f.name in common)
        for f in config_fields(cls)
    )


def _default(field: Any) -> str | None:
    if field.default_factory is not MISSING:
        return _toml(field.default_factory())
    if field.default is MISSING:
        return None
    return "" if field.default is None else _toml(field.default)


def _toml(value: Any) -> str:
    """Return a value as it stands in a config; a part by its name where it has only defaults."""
    if isinstance(value, Component):
        table = to_config(value)
        plain = to_config(make(value.kind, value.type_name)) if _has_defaults(value) else {}
        changed = {k: v for k, v in table.items() if k == "type" or v != plain.get(k)}
        return _toml(changed if len(changed) > 1 else value.type_name)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return f"{value:g}" if math.isinf(value) else repr(value)
    return json.dumps(value, ensure_ascii=False)


def _has_defaults(part: Component) -> bool:
    """Whether a part can be made from its name alone."""
    return all(_default(f) is not None for f in config_fields(type(part)))


def type_text(hint: Any) -> str:
    """Return a type hint as the reference gives it: ``int ≥ 1``, ``"mean" | "sum"``."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        bounds = ", ".join(filter(None, map(_limit, inner[1:])))
        return f"{type_text(inner[0])} {bounds}".rstrip()
    if origin is typing.Literal:
        return " | ".join(map(_toml, inner))
    if origin in (typing.Union, types.UnionType):
        return " | ".join(type_text(option) for option in inner if option is not type(None))
    if origin is tuple and inner[-1] is not ...:
        return f"[{', '.join(map(type_text, inner))}]"
    if origin in (tuple, list):
        return f"list of {type_text(inner[0])}"
    if origin is dict or hint is dict:
        return "table"
    if hint is Any:
        return "any value"
    return component_kind(hint) or str(getattr(hint, "__name__", hint))


def _limit(limit: Any) -> str:
    for kind, sign, name in _LIMITS:
        if isinstance(limit, kind):
            bound = getattr(limit, name)
            return "" if bound == math.inf else f"{sign} {bound:g}"
    return ""


_LIMITS = (
    (limits.Ge, "≥", "ge"),
    (limits.Gt, ">", "gt"),
    (limits.Le, "≤", "le"),
    (limits.Lt, "<", "lt"),
)


def _unmarked(text: str) -> str:
    """Return a docstring without the marks around code and references."""
    return _MARKUP.sub(lambda found: str(found[1] or found[2]), text)
