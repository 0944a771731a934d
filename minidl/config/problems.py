"""Messages: receives what the validation found, returns one line of plain words for each problem.

pydantic says where inside a table something is wrong, and with a code of what kind; the words are
ours, so that they are the same for every field of every part.
"""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from minidl import registry
from minidl.component import Component, config_fields
from minidl.config.overrides import format_path, parse_literal
from minidl.config.positions import Locator, Path
from minidl.config.schema import Config, DataConfig, General, ModelConfig, TrainingConfig
from minidl.errors import ConfigError, field_hint, suggestion

SECTIONS = ("data", "model", "loss", "optimizer", "schedule", "training")
_TABLES = (DataConfig, ModelConfig, TrainingConfig)

_EXPECTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a string",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "dict_type": "a table",
    "mapping_type": "a table",
    "model_type": "a table",
    "dataclass_type": "a table",
    "none_required": "left out",
    "finite_number": "a finite number",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "string_pattern_mismatch": "a string that matches {pattern}",
}
_UNQUOTED = {"int_type": (int,), "float_type": (int, float), "bool_type": (bool,)}
_LENGTHS = {"too_short": ("at least", "min_length"), "too_long": ("at most", "max_length")}


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, and in which words; ``key`` points at the key itself."""

    path: Path
    text: str
    key: bool = False


def config_error(problems: Iterable[Problem], locator: Locator) -> ConfigError:
    """Return the error that tells all problems, a line each, in the order of the file."""
    ordered = sorted(problems, key=lambda p: locator.order(p.path, key=p.key))
    lines = (f"{locator.locate(p.path, key=p.key)}: {p.text}" for p in ordered)
    return ConfigError("\n".join(dict.fromkeys(lines)))


def problems_of(error: ValueError, at: Path, raw: Mapping[str, Any]) -> list[Problem]:
    """Return the problems that validating the table at ``at`` of the document ``raw`` found.

    Parameters
    ----------
    error : ValueError
        What :func:`minidl.component.make` or a pydantic model raised.
    """
    import pydantic

    if isinstance(error, pydantic.ValidationError):
        details: Sequence[Mapping[str, Any]] = error.errors(include_url=False)
    else:
        kind = getattr(error, "type", "value_error")
        details = [{"type": kind, "loc": (), "msg": str(error), "ctx": {"error": error}}]
    alternatives: dict[Path, list[tuple[Path, Mapping[str, Any]]]] = {}
    for detail in details:
        path, union = _document_path(at, detail, raw)
        alternatives.setdefault(path if union is None else union, []).append((path, detail))
    return [_problem(group, raw) for group in alternatives.values() for group in _split(group)]


def unknown_key(path: Path, raw: Mapping[str, Any]) -> Problem:
    """Return the problem of a key that its table does not have."""
    return Problem(path, _unknown_key(path, raw), key=True)


def describe(path: Path) -> str:
    """Return how messages call a value: ``[training] epochs``, ``[model] layers[0].units``."""
    if len(path) > 1 and path[0] in SECTIONS:
        return f"[{path[0]}] {format_path(path[1:])}"
    return f"[{path[0]}]" if path[0] in SECTIONS else format_path(path)


def shown(value: Any) -> str:
    """Return a value as messages give it: a short literal, or what kind of value it is."""
    if isinstance(value, Mapping):
        return "a table"
    text = json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, float) and not math.isfinite(value):
        text = str(value)
    if len(text) <= 60:
        return text
    return "a list" if isinstance(value, list) else f"{text[:57]}..."


def _split(
    group: list[tuple[Path, Mapping[str, Any]]],
) -> Iterable[list[tuple[Path, Mapping[str, Any]]]]:
    """Keep, of the alternatives of a union, those that agree furthest with what was written."""
    lengths = [[problem] for problem in group if _is_of_length(problem[1])]
    if lengths:
        return lengths[:1]
    if not _is_choice(group):
        return [[problem] for problem in group]
    depth = max(len(path) for path, _ in group)
    deepest: dict[Path, list[tuple[Path, Mapping[str, Any]]]] = {}
    for path, detail in group:
        if len(path) == depth:
            deepest.setdefault(path, []).append((path, detail))
    return deepest.values()


def _is_of_length(detail: Mapping[str, Any]) -> bool:
    """Whether a list was wanted and given, of another length."""
    lacks_item = detail["type"] == "missing" and isinstance(detail["loc"][-1], int)
    return lacks_item or detail["type"] in _LENGTHS


def _is_choice(group: list[tuple[Path, Mapping[str, Any]]]) -> bool:
    return len(group) > 1 and all(detail["type"] in _EXPECTED for _, detail in group)


def _problem(group: list[tuple[Path, Mapping[str, Any]]], raw: Mapping[str, Any]) -> Problem:
    path, detail = group[0]
    if len(group) > 1:
        kinds = list(dict.fromkeys(_expected(each) for _, each in group))
        return Problem(path, _must_be(path, " or ".join(kinds), raw))
    kind = detail["type"]
    if kind == "extra_forbidden":
        return unknown_key(path, raw)
    if kind in ("missing", "component_missing_type"):
        name = detail["loc"][-1] if kind == "missing" else _type_key(path)
        if isinstance(name, int):
            return Problem(path, _must_be(path, "longer", raw))
        return Problem(path, f"missing key '{name}' in {_table(path, raw)}")
    if kind == "component_unknown_type":
        return _unknown_type(path, detail["msg"], raw)
    if kind == "component_type_name":
        at = (*path, _type_key(path))
        return Problem(at, _must_be(at, "a string", raw))
    if kind == "component_table":
        return Problem(path, _must_be(path, "a name or a table with 'type'", raw))
    if kind in _LENGTHS:
        bound, name = _LENGTHS[kind]
        count = detail["ctx"][name]
        items = "item" if count == 1 else "items"
        return Problem(path, f"{describe(path)} must have {bound} {count} {items}")
    if kind in _EXPECTED:
        hint = _literal_hint(detail, _at(path, raw))
        return Problem(path, _must_be(path, _expected(detail), raw) + hint)
    if _classes_at(path, raw):
        return Problem(path, f"{_table(path, raw)}: {_reason(detail)}")
    return Problem(path, f"{describe(path)}: {_reason(detail)}, got {shown(_at(path, raw))}")


def _expected(detail: Mapping[str, Any]) -> str:
    context = dict(detail.get("ctx", {}))
    if context.get("lt") == math.inf or context.get("le") == math.inf:
        return "a finite number"
    if "expected" in context and " or " in context["expected"]:
        context["expected"] = f"one of {context['expected']}"
    context = {name: _short(value) for name, value in context.items()}
    return _EXPECTED[detail["type"]].format(**context)


def _short(bound: Any) -> Any:
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound


def _must_be(path: Path, expected: str, raw: Mapping[str, Any]) -> str:
    return f"{describe(path)} must be {expected}, got {shown(_at(path, raw))}"


def _literal_hint(detail: Mapping[str, Any], value: Any) -> str:
    """Say so where a number or a truth value stands in quotes, or a choice is nearly right."""
    if not isinstance(value, str):
        return ""
    if detail["type"] in _UNQUOTED:
        is_wanted = type(parse_literal(value)) in _UNQUOTED[detail["type"]]
        return "; write it without quotes" if is_wanted else ""
    if detail["type"] == "literal_error":
        choices = detail["ctx"]["expected"].replace(" or ", ", ").split(", ")
        return suggestion(value, [choice.strip("'") for choice in choices])
    return ""


def _reason(detail: Mapping[str, Any]) -> str:
    cause = detail.get("ctx", {}).get("error")
    text = str(cause) if isinstance(cause, Exception) else detail["msg"]
    return text[:1].lower() + text[1:]


def _unknown_key(path: Path, raw: Mapping[str, Any]) -> str:
    *table, name = path
    known = _keys(tuple(table), raw)
    elsewhere = [place for place in _places() if name in _keys(place, raw)]
    hint = field_hint(str(name), known) or f"; known: {', '.join(known)}"
    if path == ("data", "type"):
        hint = "; did you mean 'dataset'?"
    elif len(table) <= 1 and elsewhere and name != "type":
        hint = f"; it belongs {_inside(elsewhere[0], raw)}"
    return f"unknown key '{name}' {_inside(tuple(table), raw)}{hint}"


def _unknown_type(path: Path, message: str, raw: Mapping[str, Any]) -> Problem:
    """Point at the name itself, and put where it stands into the registry's own message."""
    head, *more = message.split("\n")
    value = _at(path, raw)
    at = (*path, _type_key(path)) if isinstance(value, Mapping) else path
    if not head.startswith("unknown "):
        return Problem(at, message)
    head, mark, hint = head.partition(";")
    known = "" if hint else "".join(f"; {line}" for line in more if line.startswith("known: "))
    broken = "".join(f"; {line}" for line in more if not line.startswith("known: "))
    # A part that fills a section is placed by its kind: unknown loss, unknown optimizer.
    place = "" if len(path) == 1 else f" in {format_path(path)}"
    return Problem(at, f"{head}{place}{mark}{hint}{known}{broken}")


def _type_key(path: Path) -> str:
    """Return the key that names the type of the component at ``path``."""
    return "dataset" if path == ("data",) else "type"


def _inside(table: Path, raw: Mapping[str, Any]) -> str:
    return f"in {_table(table, raw)}" if table else "at the top level"


def _table(path: Path, raw: Mapping[str, Any]) -> str:
    """Return how messages call a table: ``[optimizer] (adam)``, ``model.layers[0] (linear)``."""
    name = f"[{path[0]}]" if len(path) == 1 else format_path(path)
    value = raw.get(str(path[0])) if len(path) == 1 else _at(path, raw)
    type_name = value.get("type") if isinstance(value, Mapping) else value
    of_component = isinstance(type_name, str) and path[0] != "data"
    return f"{name} ({type_name})" if of_component else name


def _document_path(
    at: Path, detail: Mapping[str, Any], raw: Mapping[str, Any]
) -> tuple[Path, Path | None]:
    """Return the path of a problem in the document, and that of the union it is in, if any.

    A location names the alternatives of unions too (``kernel, tuple[int, int], 1``); those parts
    are no keys of the document, and are left out. So is the name of a missing key.
    """
    path, union = at, None
    value = _at(at, raw)
    for part in detail["loc"]:
        if _holds(value, part):
            value = value[part]
        else:
            union = path if union is None else union
            continue
        path = (*path, part)
    is_key = detail["type"] == "missing" and isinstance(detail["loc"][-1], str)
    return path, None if is_key else union


def _holds(value: Any, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, Mapping) and part in value


def _at(path: Path, raw: Mapping[str, Any]) -> Any:
    value: Any = raw
    for part in path:
        value = value[part]
    return value


def _places() -> list[Path]:
    return [(), *((name,) for name in SECTIONS)]


def _keys(table: Path, raw: Mapping[str, Any]) -> list[str]:
    """Return the keys that the table at ``table`` may have."""
    if not table:
        return [*(f.name for f in dataclasses.fields(General)), *SECTIONS]
    names = [f.name for cls in _classes_at(table, raw) for f in config_fields(cls)]
    return (
        names if table[0] in ("data", "model", "training") and len(table) == 1 else [*names, "type"]
    )


def _classes_at(path: Path, raw: Mapping[str, Any]) -> list[Any]:
    """Return the classes whose declared fields are the keys of the table at ``path``."""
    value: Any = raw
    classes: list[Any] = [Config]
    hint: Any = None
    for part in path:
        value = value[part] if _holds(value, part) else None
        if isinstance(part, str):
            hints = [typing.get_type_hints(cls).get(part) for cls in classes]
            hint = next((found for found in hints if found is not None), None)
        classes = _classes_of(hint, value)
    return classes


def _classes_of(hint: Any, value: Any) -> list[Any]:
    if hint in _TABLES:
        named = value.get("dataset") if hint is DataConfig and isinstance(value, Mapping) else None
        return [hint, *_registered("dataset", named)]
    name = value.get("type") if isinstance(value, Mapping) else value
    return _registered(component_kind(hint), name)


def _registered(kind: str | None, name: Any) -> list[Any]:
    found = registry.find(kind, name) if kind and isinstance(name, str) else None
    return [] if found is None else [found]


def component_kind(hint: Any) -> str | None:
    """Return the kind of component that a type hint holds, in whatever it holds it."""
    if isinstance(hint, type) and issubclass(hint, Component):
        return hint.kind
    kinds = (component_kind(inner) for inner in typing.get_args(hint))
    return next((kind for kind in kinds if kind), None)
