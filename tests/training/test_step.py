"""The training step as one graph: clipping, gradients, and state."""

import json

import numpy as np
import pytest

import minidl as md
from minidl.component import make
from minidl.graph import Program, placeholder
from minidl.metrics import Metric
from minidl.training.meter import Measured, Meter
from minidl.training.pipeline import make_trainer, prepare
from minidl.training.summary import summarize
from minidl.training.update import clip


def clipped(arrays, norm):
    nodes = {name: placeholder(name, a.shape, a.dtype.name) for name, a in arrays.items()}
    results = clip(nodes, norm)
    program = Program(tuple(nodes.values()), [results[name] for name in arrays])
    return dict(zip(arrays, program(list(arrays.values())), strict=True))


@pytest.mark.parametrize("norm", [0.5, 5.0, 100.0])
def test_clipping_scales_all_gradients_together(norm):
    arrays = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])}
    got = clipped(arrays, norm)
    factor = min(1.0, norm / (5.0 + 1e-6))
    for name, array in arrays.items():
        np.testing.assert_allclose(got[name], factor * array, rtol=1e-9)


def test_one_step_moves_every_parameter_against_its_gradient(small):
    trainer = make_trainer(prepare(small('optimizer={ type = "sgd", lr = 0.5 }')))
    before = trainer.model.weights()
    inputs, targets = trainer.parts["train"].span(0, 32)
    measured = trainer.steps.train(inputs, targets, [0.5], 1)
    after = trainer.model.weights()
    (accuracy,) = measured.statistics
    assert np.isfinite(measured.loss)
    assert (measured.total, measured.weight) == (pytest.approx(32 * measured.loss), 32)
    assert len(accuracy) == 2
    assert all(not np.array_equal(before[name], after[name]) for name in before)
    trainer.model.state.undo()
    for name, array in trainer.model.weights().items():
        np.testing.assert_array_equal(array, before[name])


def test_dropout_draws_anew_each_step_and_the_same_for_the_same_step(small):
    trainer = make_trainer(prepare(small("optimizer.lr=0", "model.layers[3].p=0.5")))
    inputs, targets = trainer.parts["train"].span(0, 32)
    losses = [trainer.steps.train(inputs, targets, [0.0], step).loss for step in (1, 2, 1)]
    assert losses[0] == losses[2] != losses[1]


def test_a_meter_weighs_batches_by_their_size_and_survives_json():
    class Count(Metric):
        type_name = "count"

        def result(self, total):
            return total[0]

    meter = Meter([Count()])
    meter.add(Measured(1.0, 3.0, 3, [[np.float32(3)]]))
    meter.add(Measured(5.0, 5.0, 1, [[np.float32(1)]]))
    assert meter.result() == {"loss": 2.0, "count": 4.0}
    other = Meter([Count()])
    other.restore(meter.to_dict())
    assert other.result() == meter.result()
    other.reset()
    assert other.result() == {}


def test_a_meter_that_keeps_every_score_is_stored_in_few_bytes_and_exactly():
    rng = np.random.default_rng(0)
    auc, other = Meter([make("metric", "auc")]), Meter([make("metric", "auc")])
    for _ in range(100):
        scores, yes = rng.normal(size=(64, 1)).astype("float32"), rng.integers(0, 2, (64, 1))
        auc.add(Measured(1.0, 64.0, 64, [[scores, yes]]))
    stored = json.dumps(auc.to_dict())
    assert len(stored) < 64 * 100 * 10
    other.restore(json.loads(stored))
    assert other.result() == auc.result()
    assert json.dumps(other.to_dict()) == stored


def test_the_summary_counts_parameters_and_operations(small):
    summary = summarize(prepare(small()).model)
    assert summary.parameters == 64 * 16 + 16 + 16 * 10 + 10
    hidden = next(row for row in summary.rows if row.name == "hidden")
    assert hidden.parameters == 64 * 16 + 16
    assert hidden.flops == 2 * 64 * 16 + 16
    assert hidden.output == "float32[100, 16]"
    text = summary.text()
    assert "parameters   1,210 (4.7 KiB)" in text
    assert "hidden" in text


def test_a_model_can_be_called_on_stored_inputs(small):
    model = md.Model.from_config(small())
    inputs = prepare(small()).splits.test.inputs[:3]
    assert model(inputs).shape == (3, 10)
    assert model.parameter_count == 1210


def test_the_summary_gives_a_layer_its_own_operations_and_those_it_holds_theirs():
    config = {
        "name": "a",
        "data": {"dataset": "digits"},
        "model": {
            "layers": [
                {"type": "reshape", "shape": [8, 8]},
                {"type": "multi_head_attention", "num_heads": 2},
                {"type": "flatten"},
                {"type": "linear", "units": 10},
            ]
        },
        "loss": {"type": "cross_entropy"},
        "optimizer": {"type": "adam"},
    }
    rows = {row.name: row for row in summarize(prepare(config).model).rows}
    attention, projection = "multi_head_attention_1", "multi_head_attention_1.out_proj"
    assert rows[projection].flops == 8 * (2 * 8 * 8 + 8)
    products = 3 * 8 * 2 * 8 * 8 + 2 * 2 * 8 * 8 * 8  # q, k, v, then scores and their use
    assert products < rows[attention].flops < 1.5 * products


def test_the_summary_counts_what_groups_freeze_as_not_trained(small):
    config = small('optimizer.groups=[{ match = "hidden.*", frozen = true }]')
    summary = summarize(prepare(config).model, config.optimizer)
    assert (summary.parameters, summary.frozen) == (170, 1040)
    assert "parameters   170 and 1,040 not trained (4.7 KiB)" in summary.text()
