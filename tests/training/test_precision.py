"""Mixed precision: what is trained in 16 bits, and what loss scaling skips and remembers."""

import json

import numpy as np
import pytest

from minidl import ops, tensor
from minidl.backends import backend
from minidl.errors import BackendError, ConfigError, DivergedError
from minidl.graph import Graph, Program, Spec, State, placeholder, toposort
from minidl.training import Interrupted, RunDirectory, fit, resume
from minidl.training.loss_scale import EXPONENT, GOOD, SKIPPED, LossScale
from minidl.training.pipeline import make_trainer, prepare, train

from .conftest import StopAt, checkpoint_bytes

MIXED = ["mixed_float16", "mixed_bfloat16"]


def precision(name):
    return f'training.precision="{name}"'


@pytest.mark.parametrize("name", MIXED)
def test_products_of_training_are_in_16_bits_and_all_that_is_kept_in_32(small, name):
    trainer = make_trainer(prepare(small(precision(name))))
    inputs, targets = trainer.parts["train"].input_spec, trainer.parts["train"].target_spec
    batch = [spec.with_shape((8, *spec.shape)) for spec in (inputs, targets)]
    graph = trainer.steps.trace_update(*batch)
    dtypes = {node.dtype for node in toposort(graph.results) if node.op.name == "matmul"}
    assert dtypes == {name.removeprefix("mixed_")}
    assert all(new.spec == old.spec for old, new in graph.state)
    assert {old.dtype for old, _ in graph.state} == {"float32"}
    measured = toposort(trainer.steps.trace_evaluate(*batch).outputs)
    assert {node.dtype for node in measured if node.op.name == "matmul"} == {"float32"}


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("name", MIXED)
def test_it_learns_what_float32_learns(small, name, accumulate):
    several = f"training.accumulate={accumulate}"
    exact = fit(small(several))
    mixed = fit(small(precision(name), several))
    for split in ("train", "test"):
        assert mixed.results[split]["loss"] == pytest.approx(exact.results[split]["loss"], rel=0.03)
    scaled = [line for line in mixed.history if "loss_scale" in line]
    assert bool(scaled) == (name == "mixed_float16")
    assert all(line["loss_scale"] <= 2**16 for line in scaled)


def test_a_resumed_run_goes_on_with_its_scale(small, tmp_path):
    config = small(precision("mixed_float16"), "training.ema=0.9", "training.accumulate=2")
    fit(config, output_dir=tmp_path / "whole")
    stop = StopAt(7)
    trainer = make_trainer(prepare(config), RunDirectory.create(tmp_path / "parts", config), stop)
    stop.trainer = trainer
    with pytest.raises(Interrupted):
        train(trainer)
    resume(tmp_path / "parts")
    assert checkpoint_bytes(tmp_path / "parts") == checkpoint_bytes(tmp_path / "whole")
    lines = [json.loads(line) for line in (tmp_path / "parts/metrics.jsonl").open()]
    assert {"loss_scale", "skipped"} <= lines[0].keys()


def test_an_overflow_skips_the_update_and_halves_the_scale(small):
    trainer = make_trainer(prepare(small(precision("mixed_float16"), "training.ema=0.9")))
    values = trainer.model.state.values
    values[EXPONENT] = np.asarray(24.0, "float32")  # a factor of 2^40
    inputs, targets = trainer.parts["train"].span(0, 64)
    before = {name: np.array(value) for name, value in values.items()}
    trainer.steps.train(inputs, targets, trainer._rates(0), 1)
    after = trainer.model.state.values
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {EXPONENT, SKIPPED}
    assert (after[EXPONENT], after[SKIPPED]) == (23, 1)
    assert trainer._scaling() == {"loss_scale": 2.0**39, "skipped": 1}


def test_a_skipped_update_does_not_count_for_the_optimizer(small):
    """Adam's first update moves each weight by lr, whatever step of the run it is made in."""
    config = small(precision("mixed_float16"))
    moved = []
    for step, skipped in ((1, 0), (4, 3)):
        trainer = make_trainer(prepare(config))
        trainer.model.state.values[SKIPPED] = np.asarray(skipped, "float32")
        inputs, targets = trainer.parts["train"].span(0, 64)
        trainer.steps.train(inputs, targets, trainer._rates(0), step, draw=1)
        moved.append(trainer.model.weights()["out.weight"])
    np.testing.assert_array_equal(*moved)


def scale_program(scale, shape=(3,)):
    """Return the program of one turn of a scale: gradient in, whether it is accepted out."""
    gradient = placeholder("g", shape)
    held = {name: placeholder(name, *spec) for name, spec in scale.slots().items()}
    accepted = scale.accepts({"w": gradient}, held)
    state = tuple((held[name], value) for name, value in scale.next(accepted, held).items())
    return Program((gradient,), (accepted, scale.factor(held)), state)


def scale_state():
    return State({name: np.zeros((), "float32") for name in (EXPONENT, GOOD, SKIPPED)})


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_scale_falls_at_an_overflow_and_grows_after_the_interval(bad):
    program, state = scale_program(LossScale(interval=3)), scale_state()
    good, overflow = np.ones(3, "float32"), np.array([1.0, bad, 2.0], "float32")
    factors = []
    for gradient in [good, good, overflow, good, good, good, good]:
        accepted, factor = program([gradient], state)
        assert bool(accepted) == (gradient is good)
        factors.append(np.log2(factor))
    assert factors == [16, 16, 16, 15, 15, 15, 16]
    assert (state.values[GOOD], state.values[SKIPPED]) == (1, 1)


def test_at_the_smallest_scale_nothing_is_skipped():
    program, state = scale_program(LossScale(lowest=15)), scale_state()
    overflow = np.full(3, np.inf, "float32")
    assert [bool(program([overflow], state)[0]) for _ in range(3)] == [False, True, True]
    assert state.values[EXPONENT] == -1


def test_the_scale_ends_at_the_highest():
    program, state = scale_program(LossScale(interval=1, highest=17)), scale_state()
    found = [program([np.ones(3, "float32")], state)[1] for _ in range(3)]
    assert found == [2.0**16, 2.0**17, 2.0**17]


def test_a_network_that_diverges_is_told_of(small):
    config = small(precision("mixed_float16"), "optimizer.lr=1e6", "training.epochs=30")
    with pytest.raises(DivergedError, match="the loss became"):
        fit(config)


def test_what_float16_cannot_hold_is_named(small):
    before = '{ type = "linear", units = 16, name = "hidden" },'
    loud = f'{before}\n  {{ type = "scale_up" }},'
    from minidl import Layer, layer, registry

    @layer("scale_up")
    class ScaleUp(Layer):
        def forward(self, x):
            return x * 1e5

    try:
        with pytest.raises(DivergedError) as caught:
            fit(small(precision("mixed_float16"), replace=(before, loud)))
    finally:
        registry.forget("layer", "scale_up")
    assert "set [training] precision to mixed_bfloat16: float16 ends at 65504" in str(caught.value)


def test_an_unknown_precision_is_refused(small):
    with pytest.raises(ConfigError, match="training.precision"):
        small(precision("float16"))


def test_a_backend_without_bfloat16_says_so(small, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ml_dtypes", None)
    with pytest.raises(BackendError) as caught:
        prepare(small(precision("mixed_bfloat16")))
    assert str(caught.value) == (
        "bfloat16 needs the package ml_dtypes; pip install 'minidl[bfloat16]'"
    )


def test_the_log_says_that_the_cpu_emulates(small):
    assert prepare(small(precision("mixed_float16"))).device_reason.endswith(
        "; float16 is emulated on the CPU, rounding what is computed in float32: "
        "results are those of float16, speed is below that of float32"
    )
    assert "emulated" not in prepare(small()).device_reason


@pytest.mark.parametrize("low", ["float16", "bfloat16"])
def test_the_cpu_computes_in_float32_and_rounds_once(low):
    rng = np.random.default_rng(0)
    a, b = (tensor(rng.normal(size=(300, 300)), low) for _ in range(2))
    wide = [x.astype("float32").numpy() for x in (a, b)]
    with np.errstate(over="ignore"):
        expected = (wide[0] @ wide[1]).astype(a.numpy().dtype)
    np.testing.assert_array_equal((a @ b).numpy(), expected)
    assert ops.sum(tensor(np.ones(5000), low)).item() == pytest.approx(5000, rel=2**-8)
    assert (a @ b).sum().dtype == low


def test_a_number_stays_a_number_on_the_backend():
    assert backend("numpy").scalar(1.5, "bfloat16").dtype.name == "bfloat16"
    assert Spec((3,), "bfloat16").nbytes == 6
    x = placeholder("x", (2,), "bfloat16")
    assert Graph((x,), (x + 1.0,)).outputs[0].dtype == "bfloat16"


def test_an_overflow_in_one_batch_of_several_skips_their_update_and_no_other(small):
    trainer = make_trainer(prepare(small(precision("mixed_float16"), "training.accumulate=2")))
    values, part = trainer.model.state.values, trainer.parts["train"]
    before = trainer.model.weights()
    values[EXPONENT] = np.asarray(24.0, "float32")
    trainer.steps.train(*part.span(0, 64), [0.1], 1, draw=1, last=False)
    values = trainer.model.state.values
    values[EXPONENT] = np.asarray(0.0, "float32")
    trainer.steps.train(*part.span(64, 128), [0.1], 1, draw=2)
    for name, array in trainer.model.weights().items():
        np.testing.assert_array_equal(array, before[name])
    assert trainer._scaling() == {"loss_scale": 2.0**15, "skipped": 1}
    trainer.steps.train(*part.span(0, 64), [0.1], 2, draw=3, last=False)
    trainer.steps.train(*part.span(64, 128), [0.1], 2, draw=4)
    weights = trainer.model.weights()
    assert all(np.isfinite(array).all() for array in weights.values())
    assert all(not np.array_equal(weights[name], before[name]) for name in before)
