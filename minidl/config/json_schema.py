"""The JSON Schema of a config, over everything that is registered, for editors."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from minidl import registry
from minidl.component import schema_of
from minidl.config.schema import BatchConfig, General, ModelConfig, TrainingConfig

_ATTRIBUTE = re.compile(r"^(\w+(?:, \w+)*)(?: : .*)?\n((?:    .*\n?|\n(?=    ))+)", re.MULTILINE)
_AS_FOR = re.compile(r"^As for ``(\w+)``(?:; (.*))?")
_KINDS = ("layer", "initializer", "loss", "metric", "optimizer", "schedule", "transform")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a config.

    Every registered part is a definition, and so are the choices of each kind: a part is its name,
    or a table whose ``type`` is its name.
    """
    definitions: dict[str, Any] = {}
    general = _fields(General, definitions)
    properties = {
        **general["properties"],
        "data": _data(definitions),
        "model": _fields(ModelConfig, definitions),
        "loss": _reference("loss"),
        "optimizer": _reference("optimizer"),
        "schedule": _reference("schedule"),
        "training": _fields(TrainingConfig, definitions),
    }
    for kind in _KINDS:
        definitions[kind] = _choices(kind, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "minidl config",
        "type": "object",
        "properties": properties,
        "required": ["data", "model", "loss", "optimizer"],
        "additionalProperties": False,
        "$defs": dict(sorted(definitions.items())),
    }


def _choices(kind: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of any part of ``kind``, and enter each part's own."""
    names = []
    for entry in registry.entries(kind):
        schema = _fields(entry.value, definitions)
        schema["properties"] = {"type": {"const": entry.name}, **schema["properties"]}
        schema["required"] = ["type", *schema.get("required", [])]
        definitions[f"{kind}.{entry.name}"] = schema
        if schema["required"] == ["type"]:
            names.append(entry.name)
    tables = [_reference(f"{kind}.{entry.name}") for entry in registry.entries(kind)]
    return {"oneOf": [{"enum": names}, *tables] if names else tables}


def _data(definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of ``[data]``: of each dataset, its options beside how it is batched."""
    tables = []
    for entry in registry.entries("dataset"):
        schema = _fields(entry.value, definitions)
        schema["properties"] = {
            "dataset": {"const": entry.name},
            **schema["properties"],
            **_fields(BatchConfig, definitions)["properties"],
        }
        schema["required"] = ["dataset", *schema.get("required", [])]
        definitions[f"dataset.{entry.name}"] = schema
        tables.append(_reference(f"dataset.{entry.name}"))
    return {"oneOf": tables}


def _fields(cls: type, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the declared fields of ``cls``; enter the definitions that it needs."""
    schema = schema_of(cls).model_json_schema(schema_generator=_generator())
    prefix = f"{cls.__module__}.{cls.__qualname__}"
    for name, nested in schema.pop("$defs", {}).items():
        definitions[f"{prefix}.{name}"] = _tidy(nested, prefix)
    schema = _tidy(schema, prefix)
    told = descriptions(cls)
    schema["properties"] = {
        name: {"description": told[name], **field} if name in told else field
        for name, field in schema.get("properties", {}).items()
    }
    summary = (inspect.getdoc(cls) or "").partition("\n\n")[0]
    return {"description": " ".join(summary.split()), **schema}


def descriptions(cls: type) -> dict[str, str]:
    """Return what the docstrings of ``cls`` and its bases tell of each attribute.

    Where one says "As for" another part of its kind, what is said there stands in its place.
    """
    told: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        section = (inspect.cleandoc(base.__doc__ or "")).partition("Attributes\n----------\n")[2]
        for names, text in _ATTRIBUTE.findall(section.partition("\n---")[0]):
            told |= dict.fromkeys(re.split(r",\s*", names), " ".join(text.split()))
    return {name: _looked_up(cls, name, text) for name, text in told.items()}


def _looked_up(cls: type, name: str, text: str) -> str:
    """Return what is said of a field elsewhere, if its description refers to there."""
    found = _AS_FOR.match(text)
    other = None if found is None else registry.find(getattr(cls, "kind", ""), found[1])
    if found is None or other is None:
        return text
    also = f" {found[2][:1].upper()}{found[2][1:]}" if found[2] else ""
    return descriptions(other).get(name, text) + also


def _generator() -> Any:
    from pydantic.json_schema import GenerateJsonSchema

    class Generator(GenerateJsonSchema):
        """Lets a field of a type that JSON Schema cannot describe hold anything."""

        def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:
            return {}

        def emit_warning(self, kind: Any, detail: str) -> None:
            """Say nothing: a default that JSON cannot say is left out."""

    return Generator


def _tidy(schema: Any, prefix: str) -> Any:
    """Put references to kinds in place, and leave out what TOML has not or editors do not need."""
    if isinstance(schema, list):
        return [_tidy(item, prefix) for item in schema if item != {"type": "null"}]
    if not isinstance(schema, Mapping):
        return schema
    if "x-minidl-kind" in schema:
        rest = {k: v for k, v in schema.items() if k in ("default", "description")}
        return {**_reference(schema["x-minidl-kind"]), **rest}
    tidy = {
        key: _tidy(value, prefix)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "default" and value is None)
    }
    if len(tidy.get("anyOf", ())) == 1:
        tidy |= tidy.pop("anyOf")[0]
    if "$ref" in schema:
        tidy["$ref"] = tidy["$ref"].replace("#/$defs/", f"#/$defs/{prefix}.")
    return tidy


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}
