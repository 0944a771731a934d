"""The JSON Schema: complete, closed, and right about what the loader accepts and refuses."""

import json

import pytest

from minidl import registry
from minidl.component import config_fields
from minidl.config import config_from_dict, json_schema, parse_config
from minidl.config.json_schema import descriptions
from minidl.errors import ConfigError


@pytest.fixture(scope="module")
def schema():
    return json_schema()


def references(value):
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from references(item)


def accepts(schema, value, whole):
    """Judge by the keywords of JSON Schema that config schemas are written in."""
    known = {
        "$ref": lambda s: accepts(whole["$defs"][s.removeprefix("#/$defs/")], value, whole),
        "type": lambda s: any(is_a(value, each) for each in ([s] if isinstance(s, str) else s)),
        "const": lambda s: value == s and isinstance(value, type(s)),
        "enum": lambda s: value in s,
        "oneOf": lambda s: sum(accepts(each, value, whole) for each in s) == 1,
        "anyOf": lambda s: any(accepts(each, value, whole) for each in s),
        "minimum": lambda s: is_a(value, "number") and value >= s,
        "maximum": lambda s: is_a(value, "number") and value <= s,
        "exclusiveMinimum": lambda s: is_a(value, "number") and value > s,
        "exclusiveMaximum": lambda s: is_a(value, "number") and value < s,
        "minItems": lambda s: isinstance(value, list) and len(value) >= s,
        "maxItems": lambda s: isinstance(value, list) and len(value) <= s,
        "items": lambda s: all(accepts(s, item, whole) for item in value),
        "prefixItems": lambda s: all(
            accepts(each, item, whole) for each, item in zip(s, value, strict=False)
        ),
        "required": lambda s: isinstance(value, dict) and set(s) <= set(value),
        "properties": lambda s: (
            isinstance(value, dict)
            and all(accepts(s[key], item, whole) for key, item in value.items() if key in s)
        ),
        "additionalProperties": lambda s: (
            s is not False or set(value) <= set(schema.get("properties", ()))
        ),
    }
    said_nothing = {"description", "default", "$schema", "title", "$defs"}
    assert set(schema) <= set(known) | said_nothing, f"unknown keywords in {sorted(schema)}"
    # In the order above: the type first, so that the rest may rely on it.
    return all(judge(schema[key]) for key, judge in known.items() if key in schema)


def is_a(value, kind):
    if isinstance(value, bool):
        return kind == "boolean"
    types = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float)}
    return kind in types and isinstance(value, types[kind])


def test_it_is_json(schema):
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema


def test_every_reference_leads_somewhere(schema):
    names = {f"#/$defs/{name}" for name in schema["$defs"]}
    assert set(references(schema)) <= names


@pytest.mark.parametrize("kind", ["layer", "loss", "optimizer", "schedule", "metric", "transform"])
def test_every_registered_part_is_in_it(schema, kind):
    for name in registry.names(kind):
        part = schema["$defs"][f"{kind}.{name}"]
        assert part["properties"]["type"] == {"const": name}
        assert part["additionalProperties"] is False
        assert part["required"][0] == "type"
        assert part["description"]


def test_a_dataset_stands_beside_how_it_is_batched(schema):
    for name in registry.names("dataset"):
        part = schema["$defs"][f"dataset.{name}"]
        assert part["properties"]["dataset"] == {"const": name}
        assert "batch_size" in part["properties"]


def test_fields_carry_what_their_docstrings_say(schema):
    training = schema["properties"]["training"]["properties"]
    assert training["epochs"]["description"] == "Passes over the training part."
    linear = schema["$defs"]["layer.linear"]["properties"]
    assert linear["name"]["description"].startswith("Its name in the model")


CHANGES = {
    "nothing": ("seed", 0),
    "unknown key": ("data", {"dataset": "digits", "batch_sise": 3}),
    "unknown dataset": ("data", {"dataset": "digit"}),
    "dataset's own option": ("data", {"dataset": "digits", "flat": False}),
    "wrong type": ("training", {"epochs": "ten"}),
    "too small": ("training", {"epochs": 0}),
    "bool for an integer": ("seed", True),
    "integer for a number": ("optimizer", {"type": "sgd", "lr": 1}),
    "part by name": ("optimizer", "adam"),
    "unknown part": ("optimizer", "adm"),
    "part without type": ("optimizer", {"lr": 0.1}),
    "layer by name": ("model", {"layers": ["relu"]}),
    "layer that needs more than a name": ("model", {"layers": ["linear"]}),
    "no layers": ("model", {"layers": []}),
    "nested layers": (
        "model",
        {"layers": [{"type": "sequential", "layers": [{"type": "linear", "units": 3}]}]},
    ),
    "wrong nested layer": (
        "model",
        {"layers": [{"type": "sequential", "layers": [{"type": "linear", "unit": 3}]}]},
    ),
    "nested part by name": (
        "model",
        {"layers": [{"type": "linear", "units": 3, "init": "zeros"}]},
    ),
    "metrics": ("training", {"metrics": ["accuracy", {"type": "accuracy"}]}),
    "unknown table": ("trainin", {}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_agrees_with_the_loader(schema, good, change):
    key, value = CHANGES[change]
    table = parse_config(good, environ={}).to_dict()
    table[key] = value
    try:
        config_from_dict(table)
        loads = True
    except ConfigError:
        loads = False
    assert accepts(schema, table, schema) == loads


PARTS = [
    entry.value
    for kind in ("layer", "initializer", "loss", "metric", "optimizer", "schedule", "dataset")
    for entry in registry.entries(kind)
    if entry.source == "minidl"
]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part.kind}-{part.type_name}")
def test_every_field_of_every_part_is_described(part):
    told = descriptions(part)
    names = {field.name for field in config_fields(part)} - set(part.common)
    assert {name for name in names if not told.get(name)} == set()
    assert not [text for text in told.values() if text.startswith("As for ``")]
