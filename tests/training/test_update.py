"""What decides an update: groups, accumulation, averages, clipping; and when training ends."""

import numpy as np
import pytest

from minidl import registry, tensor
from minidl.component import make
from minidl.errors import ConfigError, ShapeError
from minidl.training import Interrupted, RunDirectory, fit, load, resume
from minidl.training.pipeline import make_trainer, prepare, train

from .conftest import StopAt, checkpoint_bytes

SGD = 'optimizer={ type = "sgd", lr = 0.1 }'
NO_DROPOUT = "model.layers[3].p=0.0"


def trained_weights(config, steps=1):
    """Return the weights before and after some steps on the first samples."""
    trainer = make_trainer(prepare(config))
    before = trainer.model.weights()
    inputs, targets = trainer.parts["train"].span(0, 64)
    for step in range(1, steps + 1):
        trainer.steps.train(inputs, targets, trainer._rates(step - 1), step)
    return before, trainer.model.weights()


def test_a_frozen_group_does_not_move_and_keeps_no_state(small):
    config = small('optimizer.groups=[{ match = "hidden.*", frozen = true }]')
    before, after = trained_weights(config, 3)
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {"out.weight", "out.bias"}
    slots = make_trainer(prepare(config)).update.slots()
    assert not any(name.startswith("hidden") for name in slots)


def test_a_group_has_a_learning_rate_and_other_fields_of_its_own(small):
    plain = trained_weights(small(SGD, NO_DROPOUT))
    grouped = trained_weights(
        small(
            'optimizer={ type = "sgd", lr = 0.1, groups = ['
            '{ match = ["*.bias"], lr = 0.2 }, { match = "out.*", weight_decay = 0.5 }] }',
            NO_DROPOUT,
        )
    )
    step = {name: plain[1][name] - plain[0][name] for name in plain[0]}
    other = {name: grouped[1][name] - grouped[0][name] for name in plain[0]}
    np.testing.assert_array_equal(other["hidden.weight"], step["hidden.weight"])
    np.testing.assert_allclose(other["hidden.bias"], 2 * step["hidden.bias"], rtol=1e-4)
    np.testing.assert_allclose(other["out.bias"], 2 * step["out.bias"], rtol=1e-4)
    decay = -0.1 * 0.5 * plain[0]["out.weight"]
    np.testing.assert_allclose(other["out.weight"], step["out.weight"] + decay, atol=1e-6)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (
            '{ match = "nothing.*", lr = 0.1 }',
            "optimizer 'adam': the group with match = 'nothing.*' matches no parameter; "
            "they are: hidden.weight, hidden.bias, out.weight, out.bias",
        ),
        ("{ lr = 0.1 }", "groups[0] needs match, a pattern or a list of patterns"),
        (
            '{ match = "*", weight_decya = 0.1 }',
            "groups[0]: optimizer 'adam': unknown field 'weight_decya'; "
            "did you mean 'weight_decay'?",
        ),
        ('{ match = "*", frozen = 1 }', "groups[0].frozen must be true or false"),
    ],
)
def test_a_wrong_group_is_an_error(small, group, message):
    with pytest.raises(ConfigError) as caught:
        make_trainer(prepare(small(f"optimizer.groups=[{group}]")))
    assert message in str(caught.value)


def test_groups_survive_the_resolved_config(small):
    config = small('optimizer.groups=[{ match = "out.*", lr = 0.5 }]')
    assert 'match = "out.*"' in config.to_toml()


def test_accumulated_batches_make_the_step_of_one_large_batch(small):
    base = (SGD, NO_DROPOUT, "training.max_steps=3", "data.shuffle=false", "training.log_every=1")
    large = fit(small(*base, "data.batch_size=120"))
    parts = fit(small(*base, "data.batch_size=40", "training.accumulate=3"))
    for name, array in large.weights().items():
        np.testing.assert_allclose(parts.weights()[name], array, rtol=1e-4, atol=1e-6)
    assert parts.history[0]["loss"] == pytest.approx(large.history[0]["loss"], rel=1e-5)


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_smaller_batch_counts_less(small, loss, precision):
    """1,293 samples in one batch, or in twelve of 100 and one of 93."""
    base = (SGD, NO_DROPOUT, "training.max_steps=2", "data.shuffle=false", "training.log_every=1")
    base += (f'training.precision="{precision}"',)
    if loss == "squared_error":
        base += ('loss.type="squared_error"', "data.reconstruct=true", "model.layers[4].units=64")
        base += ("optimizer.lr=1e-5",)
    large = fit(small(*base, "data.batch_size=1293"))
    parts = fit(small(*base, "data.batch_size=100", "training.accumulate=13"))
    tolerance = 1e-6 if precision == "float32" else 1e-3
    for name, array in large.weights().items():
        np.testing.assert_allclose(parts.weights()[name], array, rtol=1e-4, atol=tolerance)
    for a, b in zip(large.history[:2], parts.history[:2], strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-4)


def test_the_last_step_of_an_epoch_takes_what_batches_are_left(small):
    trainer = make_trainer(prepare(small("data.batch_size=100", "training.accumulate=4")))
    assert trainer.batches_per_epoch == 13
    assert trainer.total_steps == 3 * 4
    train(trainer)
    assert trainer.step == 12


def test_the_average_of_the_weights_is_what_is_measured_saved_and_returned(small, tmp_path):
    config = small("training.ema=0.9", "training.epochs=1", NO_DROPOUT)
    trainer = make_trainer(prepare(config), RunDirectory.create(tmp_path / "run", config))
    expected = {name: array.astype("float64") for name, array in trainer.model.weights().items()}
    original = trainer._train_step

    def step(group):
        loss = original(group)
        decay = min(0.9, (1 + trainer.step) / (10 + trainer.step))
        for name, array in trainer.model.weights().items():
            expected[name] = decay * expected[name] + (1 - decay) * array
        return loss

    trainer._train_step = step
    averages = train(trainer).weights()
    for name, array in averages.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-4, atol=1e-6)
    loaded = load(tmp_path / "run").weights()
    assert all(np.array_equal(loaded[name], averages[name]) for name in loaded)


@pytest.mark.parametrize("step", [2, 4, 6])
def test_a_run_with_averages_and_accumulation_resumes_exactly(small, tmp_path, step):
    config = small("training.ema=0.95", "training.accumulate=3", "training.clip_norm=1.0")
    fit(config, output_dir=tmp_path / "whole")
    stop = StopAt(step)
    run = RunDirectory.create(tmp_path / "parts", config)
    stop.trainer = make_trainer(prepare(config), run, stop)
    with pytest.raises(Interrupted):
        train(stop.trainer)
    resume(tmp_path / "parts")
    assert checkpoint_bytes(tmp_path / "parts") == checkpoint_bytes(tmp_path / "whole")


def test_training_ends_when_validation_no_longer_improves(small):
    model = fit(small("training.epochs=50", "training.patience=2", "training.min_delta=0.5"))
    epochs = [line["epoch"] for line in model.history if line["split"] == "validation"]
    assert 3 <= len(epochs) < 50
    assert "test" in model.results


def test_patience_needs_a_validation_part(small):
    with pytest.raises(ConfigError) as caught:
        fit(small("training.patience=2", "data.validation=0"))
    assert str(caught.value) == (
        "--set training.patience=2: [training] patience needs a validation part; "
        "set [data] validation = 0.1"
    )


def test_the_best_weights_may_be_decided_by_the_loss(small, tmp_path):
    fit(small('training.best_metric="loss"'), output_dir=tmp_path / "run")
    best = RunDirectory.open(tmp_path / "run").pointed("best")
    lines = RunDirectory.open(tmp_path / "run").read_metrics()
    losses = [line["loss"] for line in lines if line["split"] == "validation"]
    assert best["metric"] == "loss"
    assert best["value"] == min(losses)


def test_a_best_metric_that_is_not_measured_is_an_error(small):
    with pytest.raises(ConfigError) as caught:
        fit(small('training.best_metric="acuracy"'))
    assert str(caught.value) == (
        "--set training.best_metric=\"acuracy\": [training] best_metric 'acuracy' is not "
        "measured (measured are: loss, accuracy); "
        "did you mean 'accuracy'?"
    )


def test_clip_value_limits_each_element(small):
    config = small(SGD, NO_DROPOUT, "training.clip_value=1e-3")
    before, after = trained_weights(config)
    for name in before:
        assert np.abs(after[name] - before[name]).max() <= 0.1 * 1e-3 * 1.001


@pytest.mark.parametrize("step", [16, 40])
def test_a_schedule_that_follows_the_validation_part_resumes_exactly(small, tmp_path, step):
    config = small(
        'schedule={ type = "reduce_on_plateau", patience = 0, gamma = 0.5, threshold = 0.5 }',
        "training.epochs=5",
        "training.log_every=1",
    )
    fit(config, output_dir=tmp_path / "whole")
    rates = [
        line["lr"]
        for line in RunDirectory.open(tmp_path / "whole").read_metrics()
        if line["split"] == "train"
    ]
    assert rates[-1] < rates[0]
    stop = StopAt(step)
    run = RunDirectory.create(tmp_path / "parts", config)
    stop.trainer = make_trainer(prepare(config), run, stop)
    with pytest.raises(Interrupted):
        train(stop.trainer)
    resume(tmp_path / "parts")
    assert checkpoint_bytes(tmp_path / "parts") == checkpoint_bytes(tmp_path / "whole")


def test_a_schedule_that_follows_the_validation_part_needs_one(small):
    with pytest.raises(ConfigError) as caught:
        fit(small('schedule.type="reduce_on_plateau"', "data.validation=0"))
    assert str(caught.value) == (
        '--set schedule.type="reduce_on_plateau": '
        "schedule 'reduce_on_plateau' needs a validation part; set [data] validation = 0.1"
    )


@pytest.mark.parametrize(
    "option", ["ignore_index=3", "weight=[1.0, 5.0, 0.0, 1.0, 0.2, 1.0, 1.0, 3.0, 1.0, 1.0]"]
)
def test_what_the_loss_leaves_out_counts_in_no_batch(small, option):
    base = (SGD, NO_DROPOUT, "training.max_steps=1", "data.shuffle=false", f"loss.{option}")
    large = fit(small(*base, "data.batch_size=1293", "data.evaluation_batch_size=1000"))
    parts = fit(
        small(*base, "data.batch_size=7", "training.accumulate=185", "data.evaluation_batch_size=7")
    )
    for name, array in large.weights().items():
        np.testing.assert_allclose(parts.weights()[name], array, rtol=1e-4, atol=1e-6)
    for split in ("train", "validation", "test"):
        assert parts.results[split]["loss"] == pytest.approx(large.results[split]["loss"], rel=1e-5)


def test_the_triplets_of_a_batch_count_by_their_anchors():
    triplet = make("loss", "triplet_margin")
    count = triplet.count(tensor(np.zeros((6, 2))), tensor([0, 0, 1, 2, 2, 2]))
    assert count.item() == 5
    assert triplet.count(tensor(np.zeros((2, 2))), tensor([1, 1])).item() == 0


@pytest.mark.parametrize("groups", ['groups = [{ match = "*", frozen = true }]'])
def test_a_network_with_nothing_to_train_is_refused(small, groups):
    override = f'optimizer={{ type = "adam", {groups} }}'
    with pytest.raises(ConfigError) as caught:
        fit(small(override))
    assert str(caught.value) == (
        f"--set {override}: there is nothing to train: every parameter is frozen"
    )


def test_a_last_batch_too_small_to_train_on_is_told_before_the_first_step(small):
    plain = '{ type = "relu" },'
    normed = small("data.batch_size=1292", replace=(plain, '{ type = "batch_norm" },'))
    with pytest.raises(ShapeError) as caught:
        make_trainer(prepare(normed))
    message = str(caught.value)
    assert message.startswith(
        "--set data.batch_size=1292: the last batch of an epoch has 1 of 1292 samples (1293 in "
        "all): layer 'batch_norm_2' (batch_norm, model.layers[2]): in training it needs"
    )
    assert message.endswith("; set [data] drop_last = true, or another batch_size")


def test_a_smaller_last_batch_can_be_left_out(small):
    trainer = make_trainer(prepare(small("data.batch_size=100", "data.drop_last=true")))
    assert (trainer.batches_per_epoch, trainer.total_steps) == (12, 36)
    train(trainer)
    assert trainer.step == 36


def test_epochs_are_counted_up_to_the_last_one_measured(small):
    model = fit(small("training.epochs=50", "training.patience=1", "training.min_delta=0.5"))
    last = [line["epoch"] for line in model.history if line["split"] == "validation"][-1]
    assert [line["epoch"] for line in model.history if line["split"] == "test"] == [last]


def test_a_run_of_some_steps_counts_the_epochs_that_they_take(small):
    trainer = make_trainer(prepare(small("training.epochs=50", "training.max_steps=14")))
    assert trainer._progress().epochs == 2


def test_what_is_not_a_number_is_never_the_best(small):
    trainer = make_trainer(prepare(small()))
    assert not trainer.best.judge({"loss": 1.0, "accuracy": np.nan}, 1, 1)
    assert trainer.best.judge({"loss": 1.0, "accuracy": 0.5}, 1, 1)
    assert not trainer.best.judge({"loss": 1.0, "accuracy": np.nan}, 1, 1)


@pytest.mark.parametrize("name", sorted(registry.names("optimizer")))
def test_every_optimizer_goes_on_exactly_where_it_was(small, tmp_path, name):
    config = small(f'optimizer={{ type = "{name}", lr = 1e-3 }}', "training.epochs=1")
    fit(config, output_dir=tmp_path / "whole")
    stop = StopAt(5)
    stop.trainer = make_trainer(
        prepare(config), RunDirectory.create(tmp_path / "parts", config), stop
    )
    with pytest.raises(Interrupted):
        train(stop.trainer)
    resume(tmp_path / "parts")
    assert checkpoint_bytes(tmp_path / "parts") == checkpoint_bytes(tmp_path / "whole")


def test_a_schedule_follows_only_what_is_measured(small):
    config = small('schedule={ type = "reduce_on_plateau", metric = "acuracy" }')
    with pytest.raises(ConfigError) as caught:
        fit(config)
    assert str(caught.value) == (
        '--set schedule={ type = "reduce_on_plateau", metric = "acuracy" }: schedule '
        "'reduce_on_plateau': metric 'acuracy' is not measured; did you mean "
        "'accuracy'? (measured are: loss, accuracy)"
    )


def test_a_plateau_of_a_rising_f1_is_none(small):
    plateau = 'schedule={ type = "reduce_on_plateau", metric = "f1", patience = 0 }'
    model = fit(small(plateau, 'training.metrics=["f1"]', "optimizer.lr=1e-3"))
    measured = [line for line in model.history if line["split"] == "validation"]
    assert measured[0]["f1"] < measured[1]["f1"] < measured[2]["f1"]
    assert [line["lr"] for line in model.history if "lr" in line][-1] == 1e-3


def test_a_frozen_batch_norm_keeps_its_statistics(small):
    plain = '{ type = "relu" },'
    config = small(
        'optimizer.groups=[{ match = "norm.*", frozen = true }]',
        replace=(plain, '{ type = "batch_norm", name = "norm" },'),
    )
    before, after = trained_weights(config, 2)
    held = {name for name in before if np.array_equal(before[name], after[name])}
    assert held == {f"norm.{name}" for name in ("weight", "bias", "running_mean", "running_var")}
