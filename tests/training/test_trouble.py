"""What goes wrong in a run is said plainly, and nothing is lost."""

import numpy as np
import pytest

import minidl as md
from minidl import ops, registry
from minidl.errors import CheckpointError, ConfigError, DataError, DivergedError, ShapeError
from minidl.training import RunDirectory, fit, load
from minidl.training.pipeline import make_trainer, prepare, reopen
from minidl.training.state import RunState


@pytest.fixture
def log_layer():
    """Register a layer that computes the logarithm of what it gets, shifted."""

    @md.layer("test_log")
    class Log(md.Layer):
        def forward(self, x):
            return ops.log(x - 100.0)

    yield
    registry.forget("layer", "test_log")


def test_divergence_names_the_step_the_op_and_the_layer(small, tmp_path, log_layer):
    config = small('model.layers[2]={ type = "test_log", name = "bad" }')
    with pytest.raises(DivergedError) as caught:
        fit(config, output_dir=tmp_path / "run")
    assert str(caught.value) == (
        "the loss became nan in step 1 (epoch 1): the first NaN came from log in "
        "layer 'bad' (test_log, model.layers[2]), at index (0, 0) of its output "
        "float32[100, 16]; lower [optimizer] lr, or set [training] clip_norm"
    )
    assert caught.value.exit_code == 3


def test_divergence_through_an_update_names_the_parameter_and_keeps_the_state(small, tmp_path):
    with pytest.raises(DivergedError) as caught:
        fit(small("optimizer.lr=1e38", 'optimizer.type="sgd"'), output_dir=tmp_path / "run")
    message = str(caught.value)
    assert message.startswith("the loss became ")
    assert "step 2" in message or "step 1" in message
    run = RunDirectory.open(tmp_path / "run")
    assert run.load("last").state["step"] >= 0
    assert run.info()["status"] == "stopped: DivergedError"


@pytest.fixture
def shift_layer():
    """Register a layer that holds a buffer and leaves it as it is."""

    @md.layer("test_shift")
    class Shift(md.Layer):
        def build(self, x):
            self.buffer("shift", (1,))

        def forward(self, x, shift):
            return x + shift

    yield
    registry.forget("layer", "test_shift")


def test_divergence_leaves_what_no_step_replaces_alone(small, tmp_path, shift_layer):
    changes = ("optimizer.lr=1e38", 'optimizer.type="sgd"', 'model.layers[2].type="test_shift"')
    with pytest.raises(DivergedError):
        fit(small(*changes), output_dir=tmp_path / "run")
    weights = RunDirectory.open(tmp_path / "run").load("last").model
    assert weights["test_shift_2.shift"].tolist() == [0.0]


def test_divergence_amid_accumulated_batches_keeps_the_last_update(small, tmp_path):
    changes = ("optimizer.lr=1e18", 'optimizer.type="sgd"', "training.accumulate=3")
    config = small(*changes, "training.checkpoint_every=1")
    with pytest.raises(DivergedError, match=r"the first NaN|no longer finite"):
        fit(config, output_dir=tmp_path / "run")
    run = RunDirectory.open(tmp_path / "run")
    last = run.load("last")
    assert last.state["step"] > 0
    again = make_trainer(prepare(small(*changes, f"training.max_steps={last.state['step']}")))
    again.train()
    for name, array in again.model.weights().items():
        np.testing.assert_array_equal(last.model[name], array)


def test_a_parameter_that_is_nan_is_blamed_on_the_update_before(small):
    trainer = make_trainer(prepare(small("training.epochs=1")))
    trainer.model.state.values["out.bias"][:] = np.nan
    with pytest.raises(DivergedError) as caught:
        trainer.train()
    assert str(caught.value) == (
        "the loss became nan in step 1 (epoch 1): 'out.bias' was no longer finite after the "
        "update of step 0; lower [optimizer] lr, or set [training] clip_norm"
    )


def test_a_checkpoint_of_another_architecture_is_refused_and_every_difference_listed(
    small, tmp_path
):
    fit(small("training.epochs=1"), output_dir=tmp_path / "run")
    resolved = tmp_path / "run/config.resolved.toml"
    resolved.write_text(resolved.read_text().replace("units = 16", "units = 12"))
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path / "run")
    path = RunDirectory.open(tmp_path / "run").load("last").path
    assert str(caught.value) == (
        f"the checkpoint {path} is of another architecture:\n"
        "  hidden.bias: float32[16] there, float32[12] in this model\n"
        "  hidden.weight: float32[16, 64] there, float32[12, 64] in this model\n"
        "  out.weight: float32[10, 16] there, float32[10, 12] in this model"
    )


def test_a_checkpoint_of_another_optimizer_is_refused(small, tmp_path):
    fit(small("training.epochs=1"), output_dir=tmp_path / "run")
    resolved = tmp_path / "run/config.resolved.toml"
    text = resolved.read_text()
    start = text.index("[optimizer]")
    end = text.index("[training]")
    resolved.write_text(text[:start] + '[optimizer]\ntype = "sgd"\nlr = 0.1\n\n' + text[end:])
    with pytest.raises(CheckpointError, match="the optimiser state in .* is of another"):
        reopen(RunDirectory.open(tmp_path / "run"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("last.json", "{", "Expecting property name enclosed in double quotes"),
        ("last.json", "{}", "it has no 'checkpoint'"),
        ("step-00000013/state.json", "[]", "it has no 'sha256'"),
        ("step-00000013/state.json", '{"step": 13, "sha256": {}}', "it has no 'epoch'"),
    ],
)
def test_a_damaged_note_beside_a_checkpoint_is_named(small, tmp_path, name, text, message):
    fit(small("training.epochs=1"), output_dir=tmp_path / "run")
    path = tmp_path / "run/checkpoints" / name
    path.write_text(text)
    with pytest.raises(CheckpointError) as caught:
        reopen(RunDirectory.open(tmp_path / "run"))
    assert str(caught.value).startswith(f"{path} is damaged: {message}")


def test_a_flipped_bit_in_a_checkpoint_is_noticed(small, tmp_path):
    fit(small("training.epochs=1"), output_dir=tmp_path / "run")
    path = RunDirectory.open(tmp_path / "run").load("last").path / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path / "run")
    assert str(caught.value) == (
        f"{path} is damaged: its checksum is not the one that was written with it; "
        f"use another checkpoint"
    )


def test_a_run_directory_that_cannot_be_written_is_an_error_before_training(small, tmp_path):
    (tmp_path / "file").write_text("in the way")
    target = tmp_path / "file" / "run"
    with pytest.raises(CheckpointError) as caught:
        fit(small(), output_dir=target)
    assert str(caught.value) == (
        f"cannot write run directory {target}: Not a directory; name another with -o"
    )


def test_a_run_directory_that_is_not_empty_is_left_alone(small, tmp_path):
    (tmp_path / "notes.txt").write_text("keep me")
    with pytest.raises(CheckpointError) as caught:
        fit(small(), output_dir=tmp_path)
    assert str(caught.value) == (
        f"run directory {tmp_path} is not empty; name another with -o, "
        f"or go on with it: minidl resume {tmp_path}"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_that_is_no_run_says_so(tmp_path):
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} is not a run directory: it has no config.resolved.toml; "
        f"give the directory that 'minidl train' printed"
    )


def test_inputs_of_another_shape_are_refused(small):
    model = md.Model.from_config(small())
    with pytest.raises(ShapeError, match=r"the model takes inputs of shape \(samples, "):
        model.predict(np.zeros((2, 3), dtype="uint8"))


def test_a_part_the_dataset_does_not_have_is_an_error(small, tmp_path):
    from minidl.errors import DataError
    from minidl.training import evaluate

    fit(small("data.validation=0", "training.epochs=1"), output_dir=tmp_path / "run")
    with pytest.raises(DataError) as caught:
        evaluate(tmp_path / "run", "validation")
    assert str(caught.value) == "the dataset 'digits' has no validation part"


def test_a_layer_that_does_not_fit_is_named_with_its_line_in_the_config(small):
    config = small('model.layers[2]={ type = "reshape", shape = [3, 5], name = "fold" }')
    with pytest.raises(ShapeError) as caught:
        prepare(config)
    assert str(caught.value) == (
        '--set model.layers[2]={ type = "reshape", shape = [3, 5], name = "fold" }: '
        "layer 'fold' (reshape, model.layers[2]): a sample of shape (16,) has 16 elements and "
        "cannot become (3, 5) (its input is float32[100, 16])"
    )


def test_a_layer_in_the_file_is_named_with_line_and_column(small):
    addition = '{ type = "add", inputs = ["hidden", "input"] }'
    with pytest.raises(ShapeError) as caught:
        prepare(small(replace=('{ type = "relu" }', addition)))
    assert str(caught.value).startswith("small.toml:14:3: layer 'add_2' (add, model.layers[2]): ")


def test_fewer_outputs_than_classes_are_an_error_before_the_first_step(small):
    with pytest.raises(ShapeError) as caught:
        prepare(small("model.layers[4].units=5"))
    assert str(caught.value) == (
        "small.toml:10:1: the model gives 5 values a sample, but dataset 'digits' has 10 classes; "
        "end the model with a layer of units = 10"
    )


def test_one_output_for_more_than_two_classes_is_an_error(small):
    with pytest.raises(ShapeError) as caught:
        prepare(small("model.layers[4].units=1", "loss.type=binary_cross_entropy"))
    assert str(caught.value).startswith(
        "small.toml:10:1: the model gives 1 value a sample, but dataset 'digits' has 10 classes; "
    )


def test_an_index_out_of_range_names_the_layer(tmp_path):
    arrays = {"x": np.array([[0, 5], [1, 5]]), "y": np.array([0, 1])}
    np.savez(tmp_path / "d.npz", **arrays)
    layers = [
        {"type": "embedding", "num_embeddings": 5, "embedding_dim": 2},
        {"type": "flatten"},
        {"type": "linear", "units": 2},
    ]
    config = {
        "name": "words",
        "data": {
            "dataset": "npz",
            "path": str(tmp_path / "d.npz"),
            "dtype": "int64",
            "task": "classification",
            "validation": 0,
        },
        "model": {"layers": layers},
        "loss": {"type": "cross_entropy"},
        "optimizer": "sgd",
    }
    message = (
        "layer 'embedding_0' (embedding, model.layers[0]): index 5 at [0, 1] is not from 0 to 4"
    )
    with pytest.raises(DataError) as caught:
        fit(config)
    assert str(caught.value) == message
    with pytest.raises(DataError) as caught:
        md.Model.from_config(config).predict(arrays["x"])
    assert str(caught.value) == message
    assert caught.value.place == "model.layers[0]"


def test_places_without_a_class_must_be_ignored(small, tmp_path):
    np.savez(tmp_path / "d.npz", x=np.zeros((4, 3, 2)), y=np.array([[0, 1, -100]] * 4))
    config = {
        "name": "tags",
        "data": {"dataset": "npz", "path": str(tmp_path / "d.npz"), "task": "classification"},
        "model": {"layers": [{"type": "linear", "units": 2}]},
        "loss": {"type": "cross_entropy"},
        "optimizer": "sgd",
    }
    with pytest.raises(ConfigError) as caught:
        prepare(config)
    assert str(caught.value) == (
        f"some targets of dataset 'npz' ({tmp_path}/d.npz) are -100, which is no class; "
        "set ignore_index = -100 in [loss]"
    )
    prepare({**config, "loss": {"type": "cross_entropy", "ignore_index": -100}})


def test_two_results_of_one_name_are_an_error(small):
    twice = "training.metrics=['f1', { type = 'f1', average = 'micro' }]"
    with pytest.raises(ConfigError) as caught:
        fit(small(twice))
    assert str(caught.value) == (
        f"--set {twice}: [training] metrics: two results are called 'f1'; give one metric a name "
        "of its own: { type = ..., name = ... }"
    )
    named = "training.metrics=['f1', { type = 'f1', average = 'micro', name = 'micro_f1' }]"
    results = fit(small(named, "training.epochs=1")).results["test"]
    assert list(results) == ["loss", "f1", "micro_f1"]


def test_weights_that_are_set_are_copied(small):
    model = md.Model.from_config(small())
    weights = model.weights()
    kept = {name: array.copy() for name, array in weights.items()}
    model.set_weights(weights)
    trainer = make_trainer(prepare(small()))
    trainer.model.set_weights(weights)
    RunState(trainer.model, trainer.update)
    inputs, targets = trainer.parts["train"].span(0, 16)
    for step in (1, 2, 3):
        trainer.steps.train(inputs, targets, [0.1], step)
    for name, array in weights.items():
        np.testing.assert_array_equal(array, kept[name])


@pytest.fixture
def sloping_layer():
    """Register a layer whose value is finite and whose gradient is not."""

    @md.layer("test_slope")
    class Slope(md.Layer):
        def forward(self, x):
            return ops.sqrt(ops.relu(x))

    yield
    registry.forget("layer", "test_slope")


@pytest.mark.parametrize("epochs", ["training.max_steps=1", "training.epochs=3"])
def test_weights_that_are_not_finite_are_never_saved(small, tmp_path, sloping_layer, epochs):
    config = small('model.layers[2]={ type = "test_slope" }', epochs)
    with pytest.raises(DivergedError) as caught:
        fit(config, output_dir=tmp_path / "run")
    assert "was no longer finite after " in str(caught.value)
    assert not any((tmp_path / "run/checkpoints").iterdir())


def test_divergence_amid_accumulated_batches_leaves_all_as_it_was(small, tmp_path):
    plain = '{ type = "relu" },'
    config = small(
        "training.accumulate=4", "training.epochs=1", replace=(plain, '{ type = "batch_norm" },')
    )
    trainer = make_trainer(prepare(config), RunDirectory.create(tmp_path / "run", config))
    train, before = trainer.steps.train, {}

    def step(*arguments, draw, last):
        if draw == 5:
            before.update(trainer.model.weights(), position=trainer._position())
        measured = train(*arguments, draw=draw, last=last)
        return measured._replace(loss=np.nan) if draw == 7 else measured

    trainer.steps.train = step
    with pytest.raises(DivergedError, match="replaying the step did not show which op"):
        trainer.train()
    last = RunDirectory.open(tmp_path / "run").load("last")
    position = before.pop("position")
    assert {key: last.state[key] for key in position} == position
    for path, array in before.items():
        np.testing.assert_array_equal(last.model[path], array)
