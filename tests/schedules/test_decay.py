"""Schedules: the factor in each step of a run."""

import math

import pytest

from minidl import registry
from minidl.component import make
from minidl.errors import ConfigError


def factors(schedule, total):
    made = make("schedule", schedule)
    return [made.factor(step, total) for step in range(total)]


def test_constant_is_one_throughout():
    assert factors("constant", 4) == [1, 1, 1, 1]


def test_cosine_falls_from_one_along_half_a_wave():
    expected = [1, 0.5 * (1 + math.sqrt(0.5)), 0.5, 0.5 * (1 - math.sqrt(0.5))]
    assert factors("cosine", 4) == pytest.approx(expected)


def test_cosine_rises_first_and_ends_at_its_floor():
    made = make("schedule", {"type": "cosine", "min_factor": 0.2, "warmup_steps": 4})
    assert [made.factor(step, 8) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert made.factor(6, 8) == pytest.approx(0.6)
    assert made.factor(8, 8) == made.factor(100, 8) == pytest.approx(0.2)


def test_cosine_of_a_run_shorter_than_its_warm_up_only_rises():
    assert factors({"type": "cosine", "warmup_steps": 10}, 3) == [0.1, 0.2, 0.3]


def test_step_multiplies_every_so_many_steps():
    schedule = {"type": "step", "every": 2, "gamma": 0.5}
    assert factors(schedule, 5) == [1, 1, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("cosine", {"min_factor": 1.5}, "min_factor: Input should be less than or equal to 1"),
        (
            "cosine",
            {"warmup_steps": -1},
            "warmup_steps: Input should be greater than or equal to 0",
        ),
        ("step", {"every": 0}, "every: Input should be greater than or equal to 1"),
        ("step", {"every": 5, "gamma": 0.0}, "gamma: Input should be greater than 0"),
    ],
)
def test_fields_out_of_range_are_refused(name, fields, message):
    with pytest.raises(ConfigError) as error:
        registry.get("schedule", name)(**fields)
    (value,) = [value for key, value in fields.items() if message.startswith(key)]
    assert str(error.value) == f"schedule '{name}': {message}, got {value!r}"
