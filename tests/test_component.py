"""Components: declared fields are the config, checked alike from Python and from a table."""

from __future__ import annotations

import dataclasses
from dataclasses import field
from typing import Annotated, Any, ClassVar, Literal, Optional

import pytest
from annotated_types import Ge, Gt, MinLen

from minidl import registry
from minidl.component import (
    Component,
    component,
    config_fields,
    make,
    schema_of,
    to_config,
    validate,
)
from minidl.errors import CollisionError, ConfigError


class Inner(Component):
    kind = "schedule"


class Outer(Component):
    kind = "optimizer"
    common = ("name",)
    name: str = field(default="", kw_only=True)


@pytest.fixture(autouse=True)
def parts():
    """Register a few components, as a package of them would."""

    @component("schedule", "test_ramp")
    class Ramp(Inner):
        steps: Annotated[int, Ge(1)]
        shape: Literal["linear", "cosine"] = "linear"

    @component("optimizer", "test_walk")
    class Walk(Outer):
        lr: Annotated[float, Gt(0)]
        betas: tuple[float, float] = (0.9, 0.999)
        clip: float | None = None
        warmup: Inner | None = None
        phases: list[Inner] = field(default_factory=list)
        table: dict[str, int] = field(default_factory=dict)
        nesterov: bool = False
        window: Annotated[int, Ge(1)] | tuple[int, int] = 1
        family: ClassVar[str] = "walks"
        _cache: dict[str, Any] = field(default_factory=dict, init=False)

        def check_fields(self):
            if self.nesterov and self.clip is not None:
                raise ValueError("nesterov and clip do not go together")

    yield
    registry.forget("schedule", "test_ramp")
    registry.forget("optimizer", "test_walk")


def walk(**fields):
    return registry.get("optimizer", "test_walk")(**fields)


def ramp(**fields):
    return registry.get("schedule", "test_ramp")(**fields)


# -- declaring -------------------------------------------------------------------------------


def test_annotated_attributes_are_the_fields_and_nothing_else_is():
    names = [f.name for f in config_fields(registry.get("optimizer", "test_walk"))]
    assert names == [
        *("name", "lr", "betas", "clip", "warmup", "phases", "table", "nesterov", "window"),
    ]


def test_the_class_knows_its_kind_and_type():
    cls = registry.get("optimizer", "test_walk")
    assert (cls.kind, cls.type_name) == ("optimizer", "test_walk")


def test_fields_are_given_by_position_or_keyword_and_have_defaults():
    part = registry.get("optimizer", "test_walk")(0.1, (0.8, 0.9))
    assert (part.lr, part.betas, part.clip, part.phases) == (0.1, (0.8, 0.9), None, [])
    assert part._cache == {}


def test_defaults_are_not_shared():
    first, second = walk(lr=0.1), walk(lr=0.1)
    first.phases.append(ramp(steps=1))
    assert second.phases == []


def test_components_are_told_apart_by_identity():
    assert walk(lr=0.1) != walk(lr=0.1)
    assert len({walk(lr=0.1), walk(lr=0.1)}) == 2


def test_two_components_of_one_name_collide():
    with pytest.raises(CollisionError, match="two sources register the optimizer 'test_walk'"):

        @component("optimizer", "test_walk")
        class Rival(Outer):
            pass


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(walk(lr=0.1, nesterov=True)) == "Walk(lr=0.1, nesterov=True)"
    assert repr(ramp(steps=3)) == "Ramp(steps=3)"


# -- validation ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"lr": "1e-3"},
            "optimizer 'test_walk': lr: Input should be a valid number, got '1e-3'",
        ),
        (
            {"lr": -1.0},
            "optimizer 'test_walk': lr: Input should be greater than 0, got -1.0",
        ),
        (
            {"lr": 0.1, "window": "wide"},
            "optimizer 'test_walk': window: Input should be a valid integer or a valid tuple, "
            "got 'wide'",
        ),
        (
            {"lr": 0.1, "window": (1, 2, 3)},
            "optimizer 'test_walk': window: Tuple should have at most 2 items after validation, "
            "not 3, got (1, 2, 3)",
        ),
        (
            {"lr": float("nan")},
            "optimizer 'test_walk': lr: Input should be a finite number, got nan",
        ),
        (
            {"lr": 0.1, "betas": (0.9,)},
            "optimizer 'test_walk': betas: it must have more items, got (0.9,)",
        ),
        (
            {"lr": 0.1, "betas": (0.9, "x")},
            "optimizer 'test_walk': betas.1: Input should be a valid number, got 'x'",
        ),
        (
            {"lr": 0.1, "nesterov": 1},
            "optimizer 'test_walk': nesterov: Input should be a valid boolean, got 1",
        ),
        (
            {"lr": 0.1, "warmup": 3},
            "optimizer 'test_walk': warmup: a schedule is a name or a table with 'type', not 3, "
            "got 3",
        ),
        (
            {"lr": 0.1, "warmup": {"steps": 3}},
            "optimizer 'test_walk': warmup: this schedule has no 'type', got {'steps': 3}",
        ),
        (
            {"lr": 0.1, "nesterov": True, "clip": 1.0},
            "optimizer 'test_walk': nesterov and clip do not go together",
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_value(fields, message):
    with pytest.raises(ConfigError) as caught:
        walk(**fields)
    assert str(caught.value) == message


def test_a_part_of_an_unknown_type_is_named_with_what_there_is():
    with pytest.raises(ConfigError) as caught:
        walk(lr=0.1, warmup={"type": "test_rampp"})
    first, second = str(caught.value).split("\n")
    assert first == (
        "optimizer 'test_walk': warmup: unknown schedule 'test_rampp'; did you mean 'test_ramp'?"
    )
    assert second.startswith("known: constant, ") and second.endswith(", test_ramp")


def test_all_wrong_fields_are_named_at_once():
    with pytest.raises(ConfigError) as caught:
        walk(lr="fast", betas=[0.9], nesterov="yes")
    assert [line.split(":")[1].strip() for line in str(caught.value).splitlines()] == [
        *("lr", "betas", "nesterov"),
    ]


def test_integers_serve_as_floats_and_lists_as_tuples():
    part = walk(lr=1, betas=[0.5, 0.6], window=[2, 3])
    assert isinstance(part.lr, float)
    assert part.betas == (0.5, 0.6)
    assert part.window == (2, 3)


def test_an_unknown_field_suggests_the_nearest():
    cls = registry.get("optimizer", "test_walk")
    with pytest.raises(ConfigError) as caught:
        validate(cls, {"lr": 0.1, "nestrov": True})
    assert str(caught.value) == (
        "optimizer 'test_walk': unknown field 'nestrov'; did you mean 'nesterov'?"
    )


def test_a_schema_is_made_once():
    cls = registry.get("schedule", "test_ramp")
    assert schema_of(cls) is schema_of(cls)


# -- tables ----------------------------------------------------------------------------------


def test_a_part_is_made_from_itself_a_name_or_a_table():
    part = ramp(steps=2)
    assert make("schedule", part) is part
    made = make("optimizer", {"type": "test_walk", "lr": 0.5})
    assert type(made) is registry.get("optimizer", "test_walk")
    assert made._cache == {}
    with pytest.raises(ValueError, match="steps"):
        make("schedule", "test_ramp")


def test_a_part_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="^an optimizer is a name or a table with 'type'"):
        make("optimizer", ramp(steps=2))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (7, "a schedule is a name or a table with 'type', not 7"),
        ({"steps": 3}, "this schedule has no 'type'"),
        ({"type": 5}, "the 'type' of this schedule is a string, not 5"),
    ],
)
def test_a_table_that_names_no_type_is_refused(value, message):
    with pytest.raises(ValueError) as caught:
        make("schedule", value)
    assert str(caught.value) == message


def test_an_unknown_type_suggests_the_nearest():
    with pytest.raises(
        ValueError, match=r"^unknown schedule 'test_rampp'; did you mean 'test_ramp'\?"
    ):
        make("schedule", {"type": "test_rampp", "steps": 3})


def test_rules_between_fields_hold_for_tables_too():
    with pytest.raises(ValueError, match="nesterov and clip do not go together"):
        make("optimizer", {"type": "test_walk", "lr": 0.1, "nesterov": True, "clip": 1.0})


def test_nested_parts_are_made_from_tables():
    made = make(
        "optimizer",
        {
            "type": "test_walk",
            "lr": 0.1,
            "warmup": {"type": "test_ramp", "steps": 3},
            "phases": [{"type": "test_ramp", "steps": 1}, {"type": "test_ramp", "steps": 2}],
        },
    )
    assert made.warmup.steps == 3
    assert [phase.steps for phase in made.phases] == [1, 2]


def test_a_config_makes_the_part_again():
    part = walk(
        lr=0.5,
        betas=(0.5, 0.25),
        warmup=ramp(steps=4, shape="cosine"),
        phases=[ramp(steps=1)],
        table={"a": 1},
        name="first",
    )
    table = to_config(part)
    assert table == {
        "type": "test_walk",
        "name": "first",
        "lr": 0.5,
        "betas": [0.5, 0.25],
        "warmup": {"type": "test_ramp", "steps": 4, "shape": "cosine"},
        "phases": [{"type": "test_ramp", "steps": 1, "shape": "linear"}],
        "table": {"a": 1},
        "nesterov": False,
        "window": 1,
    }
    again = make("optimizer", table)
    assert to_config(again) == table
    assert repr(again) == repr(part)


def test_what_has_no_value_is_left_out_of_a_config():
    table = to_config(walk(lr=0.5))
    assert "clip" not in table
    assert "name" not in table
    assert table["betas"] == [0.9, 0.999]


def test_a_field_can_be_replaced():
    part = dataclasses.replace(walk(lr=0.5), lr=0.25)
    assert part.lr == 0.25
    with pytest.raises(ConfigError):
        dataclasses.replace(part, lr=-1.0)


def test_lists_serve_as_tuples_wherever_those_stand():
    class Sizes(Component):
        kind = "layer"
        many: Annotated[tuple[int, ...], MinLen(2)]
        maybe: Optional[tuple[int, int]] = None  # noqa: UP045
        pairs: list[tuple[int, int]] | None = None
        named: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)

    made = Sizes(many=[1, 2], maybe=[3, 4], pairs=[[5, 6]], named={"a": [7]})
    assert (made.many, made.maybe) == ((1, 2), (3, 4))
    assert (made.pairs, made.named) == ([(5, 6)], {"a": (7,)})
    with pytest.raises(ConfigError, match="many: "):
        Sizes(many=[1])
    with pytest.raises(ConfigError, match=r"pairs\.0\.1: "):
        Sizes(many=[1, 2], pairs=[[1, "x"]])
