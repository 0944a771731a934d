"""Schedules: the factor in each step of a run, by hand and against PyTorch."""

import json
import math
from dataclasses import replace

import pytest
from torch_training import SCHEDULES

from minidl import registry
from minidl.component import make
from minidl.errors import ConfigError
from minidl.schedules import Schedule

TOTAL = 40


def factors(schedule, total):
    made = make("schedule", schedule)
    return [made(step, total) for step in range(total)]


def test_constant_is_one_throughout():
    assert factors("constant", 4) == [1, 1, 1, 1]


def test_cosine_falls_from_one_along_half_a_wave():
    expected = [1, 0.5 * (1 + math.sqrt(0.5)), 0.5, 0.5 * (1 - math.sqrt(0.5))]
    assert factors("cosine", 4) == pytest.approx(expected)


def test_cosine_rises_first_and_ends_at_its_floor():
    made = make("schedule", {"type": "cosine", "min_factor": 0.2, "warmup_steps": 4})
    assert [made(step, 8) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert made(6, 8) == pytest.approx(0.6)
    assert made(8, 8) == made(100, 8) == pytest.approx(0.2)


def test_step_multiplies_every_so_many_steps():
    schedule = {"type": "step", "every": 2, "gamma": 0.5}
    assert factors(schedule, 5) == [1, 1, 0.5, 0.5, 0.25]


def test_multistep_multiplies_at_each_milestone():
    schedule = {"type": "multistep", "milestones": [1, 3, 3], "gamma": 0.5}
    assert factors(schedule, 5) == [1, 0.5, 0.5, 0.125, 0.125]


def test_exponential_multiplies_in_every_step():
    assert factors({"type": "exponential", "gamma": 0.5}, 4) == [1, 0.5, 0.25, 0.125]


def test_linear_and_polynomial_end_at_their_floor():
    assert factors({"type": "linear", "min_factor": 0.5}, 4) == [1, 0.875, 0.75, 0.625]
    assert factors({"type": "polynomial", "power": 2.0}, 4) == [1, 0.5625, 0.25, 0.0625]
    for name in ("linear", "polynomial"):
        made = make("schedule", {"type": name, "min_factor": 0.25})
        assert made(4, 4) == made(100, 4) == 0.25


def test_cosine_restarts_in_periods_that_grow():
    schedule = {"type": "cosine_restarts", "period": 2, "multiplier": 2, "min_factor": 0.2}
    first, second = [1, 0.6], [1, 0.2 + 0.4 * (1 + math.sqrt(0.5)), 0.6]
    assert factors(schedule, 7) == pytest.approx(
        [*first, *second, 0.2 + 0.4 * (1 - math.sqrt(0.5)), 1]
    )


def test_cosine_restarts_far_into_a_run_are_found_at_once():
    made = make("schedule", {"type": "cosine_restarts", "period": 3})
    assert made(3 * 10**12 + 1, 10**13) == pytest.approx(0.75)


def test_one_cycle_rises_to_one_and_falls_below_where_it_began():
    found = factors({"type": "one_cycle", "anneal_strategy": "linear", "pct_start": 0.5}, 8)
    assert found[0] == pytest.approx(1 / 25)
    assert found[3] == max(found) == 1
    assert found[-1] == pytest.approx(1 / 25e4)
    assert found[1] - found[0] == pytest.approx(found[3] - found[2])
    assert make("schedule", "one_cycle")(100, 8) == pytest.approx(1 / 25e4)


# -- warm-up ----------------------------------------------------------------------------------

EVERY = [
    "constant",
    {"type": "cosine", "min_factor": 0.1},
    {"type": "cosine_restarts", "period": 5},
    {"type": "exponential", "gamma": 0.9},
    "linear",
    {"type": "multistep", "milestones": [4, 20]},
    "one_cycle",
    {"type": "polynomial", "power": 0.5},
    "reduce_on_plateau",
    {"type": "step", "every": 7},
]


def test_every_schedule_is_among_them():
    names = {entry.name for entry in registry.entries("schedule") if entry.source == "minidl"}
    assert {each if isinstance(each, str) else each["type"] for each in EVERY} == names


@pytest.mark.parametrize("schedule", EVERY, ids=str)
def test_a_warm_up_rises_to_where_the_schedule_begins(schedule):
    table = {"type": schedule} if isinstance(schedule, str) else schedule
    plain = factors(table, TOTAL)
    warm = factors({**table, "warmup_steps": 4}, TOTAL + 4)
    assert warm[:4] == pytest.approx([plain[0] * share for share in (0.25, 0.5, 0.75, 1)])
    assert warm[4:] == plain


@pytest.mark.parametrize("schedule", EVERY, ids=str)
def test_a_run_shorter_than_its_warm_up_only_rises(schedule):
    table = {"type": schedule} if isinstance(schedule, str) else schedule
    first = make("schedule", table)(0, 1)
    expected = pytest.approx([first * share for share in (0.1, 0.2, 0.3)])
    assert factors({**table, "warmup_steps": 10}, 3) == expected


@pytest.mark.parametrize("schedule", EVERY, ids=str)
@pytest.mark.parametrize("total", [1, 2, 3])
def test_the_shortest_runs_have_factors_in_range(schedule, total):
    assert all(0 <= factor <= 1 for factor in factors(schedule, total))


def test_a_plugin_has_a_warm_up_too():
    class Half(Schedule):
        def factor(self, step, total):
            return 0.5

    assert [Half(warmup_steps=2)(step, 5) for step in range(3)] == [0.25, 0.5, 0.5]


def test_a_schedule_without_a_rule_says_so():
    class Empty(Schedule):
        pass

    with pytest.raises(NotImplementedError) as error:
        Empty()(0, 1)
    assert str(error.value) == "Empty has no factor"


# -- reduce on plateau --------------------------------------------------------------------------


def follow(schedule, values, metric="loss"):
    """Return the factor after each measurement."""
    found = []
    for value in values:
        better = {"loss": "lower", "accuracy": "higher", "mae": "lower"}
        schedule.measured({"loss": 0.0, metric: value}, better)
        found.append(schedule(0, 1))
    return found


def test_a_plateau_of_more_than_patience_epochs_lowers_the_factor():
    made = make("schedule", {"type": "reduce_on_plateau", "gamma": 0.5, "patience": 1})
    assert follow(made, [3, 2, 2, 2, 2, 1, 1]) == [1, 1, 1, 0.5, 0.5, 0.5, 0.5]


def test_what_is_not_a_number_is_no_progress():
    made = make("schedule", {"type": "reduce_on_plateau", "gamma": 0.5, "patience": 0})
    assert follow(made, [math.nan, 2, math.nan, 1]) == [0.5, 0.5, 0.25, 0.25]


def test_its_floor_is_kept():
    made = make(
        "schedule", {"type": "reduce_on_plateau", "gamma": 0.5, "patience": 0, "min_factor": 0.4}
    )
    assert follow(made, [1, 1, 1, 1]) == [1, 0.5, 0.4, 0.4]


@pytest.mark.parametrize(("metric", "higher"), [("accuracy", True), ("mae", False)])
def test_a_metric_knows_its_direction(metric, higher):
    made = make(
        "schedule", {"type": "reduce_on_plateau", "metric": metric, "gamma": 0.5, "patience": 0}
    )
    rising, falling = [1, 2, 3], [3, 2, 1]
    assert follow(made, rising if higher else falling, metric) == [1, 1, 1]
    assert follow(replace(made), falling if higher else rising, metric) == [1, 0.5, 0.25]


def test_its_state_goes_through_json_and_a_copy_begins_anew():
    made = make(
        "schedule", {"type": "reduce_on_plateau", "gamma": 0.5, "patience": 1, "cooldown": 2}
    )
    values = [3.0, 2.0, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 1.0, 1.0]
    whole = follow(made, values)
    for cut in range(len(values)):
        before, after = replace(made), replace(made)
        assert follow(before, values[:cut]) == whole[:cut]
        after.restore(json.loads(json.dumps(before.state())))
        assert follow(after, values[cut:]) == whole[cut:]
    assert make("schedule", "cosine").state() == {}
    assert (made.follows, make("schedule", "cosine").follows) == ("loss", None)


# -- messages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("cosine", {"min_factor": 1.5}, "min_factor: Input should be less than or equal to 1"),
        (
            "constant",
            {"warmup_steps": -1},
            "warmup_steps: Input should be greater than or equal to 0",
        ),
        ("step", {"every": 0}, "every: Input should be greater than or equal to 1"),
        ("step", {"every": 5, "gamma": 0.0}, "gamma: Input should be greater than 0"),
        ("exponential", {"gamma": 1.1}, "gamma: Input should be less than or equal to 1"),
        ("cosine_restarts", {"period": 0}, "period: Input should be greater than or equal to 1"),
        ("reduce_on_plateau", {"gamma": 1.0}, "gamma: Input should be less than 1"),
    ],
)
def test_fields_out_of_range_are_refused(name, fields, message):
    with pytest.raises(ConfigError) as error:
        registry.get("schedule", name)(**fields)
    (value,) = [value for key, value in fields.items() if message.startswith(key)]
    assert str(error.value) == f"schedule '{name}': {message}, got {value!r}"


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("multistep", {"milestones": [5, 3]}, "milestones must rise, got [5, 3]"),
        ("one_cycle", {"pct_start": 1.0}, "pct_start must be below 1.0, got 1.0"),
        (
            "one_cycle",
            {"pct_start": 0.5, "three_phase": True},
            "with three_phase pct_start must be below 0.5, got 0.5",
        ),
    ],
)
def test_fields_that_make_no_sense_are_refused(name, fields, message):
    with pytest.raises(ConfigError) as error:
        registry.get("schedule", name)(**fields)
    assert str(error.value) == f"schedule '{name}': {message}"


# -- PyTorch ------------------------------------------------------------------------------------

BASE = 0.3
"""The learning rate that schedules multiply."""

LIKE_TORCH = {
    "constant": [({}, {"factor": 1.0})],
    "cosine": [
        ({}, {"T_max": TOTAL}),
        ({"min_factor": 0.2}, {"T_max": TOTAL, "eta_min": 0.2 * BASE}),
    ],
    "cosine_restarts": [
        ({"period": 7}, {"T_0": 7}),
        ({"period": 1}, {"T_0": 1}),
        (
            {"period": 3, "multiplier": 2, "min_factor": 0.1},
            {"T_0": 3, "T_mult": 2, "eta_min": 0.1 * BASE},
        ),
    ],
    "exponential": [({"gamma": gamma}, {"gamma": gamma}) for gamma in (0.9, 0.5, 1.0)],
    "linear": [
        ({}, {"start_factor": 1.0, "end_factor": 0.0, "total_iters": TOTAL}),
        (
            {"min_factor": 0.25},
            {"start_factor": 1.0, "end_factor": 0.25, "total_iters": TOTAL},
        ),
    ],
    "multistep": [
        ({"milestones": [3, 11, 11, 30]}, {"milestones": [3, 11, 11, 30]}),
        ({"milestones": [1], "gamma": 0.5}, {"milestones": [1], "gamma": 0.5}),
    ],
    "one_cycle": [
        (options, {"max_lr": BASE, "total_steps": TOTAL, "cycle_momentum": False, **options})
        for options in (
            {},
            {"anneal_strategy": "linear", "pct_start": 0.1},
            {"three_phase": True, "div_factor": 10.0, "final_div_factor": 100.0},
            {"three_phase": True, "anneal_strategy": "linear", "pct_start": 0.45},
            {"pct_start": 0.01},
        )
    ],
    "polynomial": [
        ({"power": power}, {"total_iters": TOTAL, "power": power}) for power in (1.0, 2.5, 0.5)
    ],
    "step": [
        ({"every": 7, "gamma": 0.3}, {"step_size": 7, "gamma": 0.3}),
        ({"every": 1}, {"step_size": 1}),
    ],
}
"""Our fields and PyTorch's for each schedule that both have but reduce_on_plateau, which follows
a metric."""

WITH_TORCH = [
    pytest.param({"type": name, **ours}, SCHEDULES[name], theirs, id=f"{name}-{index}")
    for name in SCHEDULES
    if name != "reduce_on_plateau"
    for index, (ours, theirs) in enumerate(LIKE_TORCH[name])
]


def torch_rates(name, options, warmup=0):
    """Return PyTorch's learning rate in each step."""
    torch = pytest.importorskip("torch")
    schedulers = torch.optim.lr_scheduler
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    scheduler = getattr(schedulers, name)(optimizer, **options)
    if warmup:
        rise = schedulers.LinearLR(optimizer, 1 / warmup, 1.0, warmup - 1)
        scheduler = schedulers.SequentialLR(optimizer, [rise, scheduler], [warmup])
    found = []
    for _ in range(TOTAL + warmup):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(found) < TOTAL + warmup:
            scheduler.step()
    return found


@pytest.mark.parity
@pytest.mark.parametrize(("ours", "name", "options"), WITH_TORCH)
def test_every_learning_rate_is_that_of_pytorch(ours, name, options):
    found = [BASE * factor for factor in factors(ours, TOTAL)]
    assert found == pytest.approx(torch_rates(name, options), rel=1e-9, abs=1e-12)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:The epoch parameter")
@pytest.mark.parametrize(
    ("ours", "name", "options"),
    # a cycle without a rise begins at its top here, and PyTorch's warm-up still below it
    [each for each in WITH_TORCH if each.values[0].get("pct_start") != 0.01],
)
def test_a_warm_up_is_pytorchs_sequence_of_two(ours, name, options):
    found = [BASE * factor for factor in factors({**ours, "warmup_steps": 5}, TOTAL + 5)]
    theirs = torch_rates(name, options, warmup=5)
    assert found == pytest.approx(theirs, rel=1e-9, abs=1e-12)


@pytest.mark.parity
@pytest.mark.parametrize("metric", ["loss", "accuracy"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"patience": 0},
        {"patience": 2, "cooldown": 3},
        {"patience": 1, "threshold": 0.1, "threshold_mode": "abs"},
        {"patience": 1, "threshold": 0.2},
        {"patience": 0, "threshold": 0.0, "cooldown": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("holes", [(), (0, 1, 30, 31)], ids=["numbers", "with NaN"])
def test_plateaus_are_those_of_pytorch(metric, options, holes):
    torch = pytest.importorskip("torch")
    values = [math.sin(0.7 * i) + 1.5 + 2 / (i + 1) for i in range(60)]
    values = [math.nan if i in holes else value for i, value in enumerate(values)]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    mode = "min" if metric == "loss" else "max"
    theirs = getattr(torch.optim.lr_scheduler, SCHEDULES["reduce_on_plateau"])(
        optimizer, mode=mode, factor=0.7, min_lr=0.05 * BASE, eps=0.0, **options
    )
    expected = []
    for value in values:
        theirs.step(value)
        expected.append(optimizer.param_groups[0]["lr"])
    fields = {"gamma": 0.7, "min_factor": 0.05, "metric": metric, **options}
    made = make("schedule", {"type": "reduce_on_plateau", **fields})
    assert [BASE * factor for factor in follow(made, values, metric)] == pytest.approx(expected)
