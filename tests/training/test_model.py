"""What a model does in Python: take what it is given, measure, write, and say what it is."""

import numpy as np
import pytest

import minidl as md
from minidl.component import make
from minidl.data import LazyArray
from minidl.errors import ConfigError, DataError, ShapeError
from minidl.graph import Spec
from minidl.training import Model, fit
from minidl.training.pipeline import prepare


@pytest.fixture(scope="module")
def lines():
    """Return a network made by hand, without a dataset: y = x @ W.T + bias, of float32."""
    return Model(make("layer", {"type": "linear", "units": 2}), Spec((1, 3)))


@pytest.fixture
def digits(small):
    return Model.from_config(small())


# -- what predict takes ----------------------------------------------------------------------


def test_predict_takes_lists_and_other_dtypes(lines):
    inputs = np.array([[1, 2, 3], [-4, 5, 6]], np.float32)
    expected = lines.predict(inputs)
    assert expected.dtype == np.float32
    for given in (
        inputs.tolist(),
        inputs.astype("float64"),
        inputs.astype("int8"),
        np.asfortranarray(inputs),
    ):
        np.testing.assert_array_equal(lines.predict(given), expected)
        np.testing.assert_array_equal(lines(given).numpy(), expected)


def test_predict_takes_other_integers_that_fit_and_no_others(small, digits):
    pixels = prepare(small()).splits.test.inputs[:4]
    assert pixels.dtype == np.uint8
    expected = digits.predict(pixels)
    for dtype in ("int64", "float32", "uint16"):
        np.testing.assert_array_equal(digits.predict(pixels.astype(dtype)), expected)
    with pytest.raises(DataError) as caught:
        digits.predict(pixels / 16)
    assert str(caught.value).endswith(", but the samples are stored as uint8, which cannot hold it")


def test_predict_says_what_to_do_with_a_single_sample(small, digits):
    pixels = prepare(small()).splits.test.inputs[:4]
    with pytest.raises(ShapeError) as caught:
        digits.predict(pixels[0, 0])
    assert str(caught.value) == (
        "the model takes inputs of shape (samples, 1, 8, 8), not (8, 8); a single sample is a "
        "batch of one: numpy.reshape(inputs, (1, 1, 8, 8))"
    )
    with pytest.raises(ShapeError) as caught:
        digits.predict(pixels.reshape(-1, 64))
    assert str(caught.value).endswith("; reshape them: numpy.reshape(inputs, (-1, 1, 8, 8))")


def test_no_samples_give_no_predictions(lines):
    assert lines.predict(np.empty((0, 3))).shape == (0, 2)


# -- evaluate --------------------------------------------------------------------------------


def test_evaluate_measures_what_the_config_names(small):
    config = small("training.metrics=['accuracy', 'f1']", "training.epochs=1")
    model = fit(config)
    test = prepare(config).splits.test
    found = model.evaluate(test.inputs.astype("int32"), test.targets.astype("uint8").tolist())
    assert found == pytest.approx(model.results["test"])
    assert model.evaluate(test.inputs, test.targets, batch_size=50) == pytest.approx(found)
    guesses = model.predict(test.inputs).argmax(axis=1)
    assert found["accuracy"] == pytest.approx(np.mean(guesses == test.targets))


@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        (np.zeros((2, 1, 8, 8)), None, "targets are missing; only a network that reconstructs "),
        (np.zeros((2, 1, 8, 8)), [1], "2 inputs but 1 targets; each sample needs one of both"),
        (
            np.zeros((2, 1, 8, 8)),
            [1, 0.5],
            "targets[1] is 0.5, but the samples are stored as int64",
        ),
        (np.zeros((2, 1, 8, 8)), [1, np.nan], "targets[1] is nan; replace it or leave the sample "),
        (np.zeros((0, 1, 8, 8)), [], "0 samples make no batch of 256"),
    ],
)
def test_evaluate_refuses_what_it_cannot_measure(digits, inputs, targets, message):
    with pytest.raises(DataError) as caught:
        digits.evaluate(inputs, targets)
    assert str(caught.value).startswith(message)


def test_a_model_made_by_hand_measures_its_loss():
    layer = make("layer", {"type": "linear", "units": 2})
    model = Model(layer, Spec((1, 3)), loss=make("loss", "mse"))
    inputs, targets = np.eye(3), np.ones((3, 2), np.float32)
    expected = np.mean((model.predict(inputs) - targets) ** 2)
    assert model.evaluate(inputs, targets) == {"loss": pytest.approx(expected)}


def test_a_model_without_a_loss_cannot_be_measured(lines):
    with pytest.raises(ConfigError) as caught:
        lines.evaluate(np.eye(3), np.ones((3, 2)))
    assert str(caught.value) == "the model was made without a loss; give one: Model(..., loss=...)"


# -- generate --------------------------------------------------------------------------------

LETTERS = {
    "data": {"dataset": "text", "context": 8, "batch_size": 8},
    "model": {
        "layers": [
            {"type": "embedding", "num_embeddings": 4, "embedding_dim": 8},
            {"type": "linear", "units": 4},
        ]
    },
    "loss": "cross_entropy",
    "optimizer": {"type": "adam", "lr": 0.1},
    "training": {"epochs": 20},
}


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    """Return a network that has learnt what follows each letter of ``abcdabcd…``."""
    path = tmp_path_factory.mktemp("text") / "abc.txt"
    path.write_text("abcd" * 200)
    return fit({**LETTERS, "data": {**LETTERS["data"], "path": str(path)}})


def test_text_goes_on_as_it_was_learnt(letters):
    assert letters.generate("ab", 13, temperature=0) == "abcdabcdabcdabc"
    drawn = [letters.generate("a", 60, temperature=5.0, top_k=3, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 61


def test_tokens_are_taken_in_any_integer_dtype(letters):
    tokens = np.arange(8)[np.newaxis] % 4
    np.testing.assert_array_equal(letters.predict(tokens), letters.predict(tokens.astype("uint8")))
    assert letters.predict(tokens).argmax(axis=-1).tolist() == [[1, 2, 3, 0, 1, 2, 3, 0]]


@pytest.mark.parametrize(
    ("prompt", "options", "message"),
    [
        ("", {}, "the prompt is empty; give at least one character to continue"),
        ("a", {"length": 0}, "length must be at least 1, got 0"),
        ("a", {"temperature": -0.5}, "temperature must be at least 0, got -0.5"),
        ("a", {"top_k": 0}, "top_k must be at least 1, got 0"),
        ("a", {"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_text_that_cannot_be_continued_is_an_error(letters, prompt, options, message):
    with pytest.raises(DataError) as caught:
        letters.generate(prompt, **options)
    assert str(caught.value) == message


def test_a_network_of_images_continues_no_text(digits):
    with pytest.raises(DataError) as caught:
        digits.generate("7")
    assert str(caught.value) == (
        "a prompt continues a text, but this network was not trained on one"
    )


# -- what it is ------------------------------------------------------------------------------


def test_a_model_says_what_it_is(digits, lines):
    assert repr(digits) == (
        "Model(uint8[1, 8, 8] -> float32[10], 1,210 parameters, dataset 'digits', "
        "loss 'cross_entropy')"
    )
    assert repr(lines) == "Model(float32[3] -> float32[2], 8 parameters)"


def test_a_summary_prints_as_a_table(digits):
    summary = digits.summary()
    assert summary.parameters == digits.parameter_count
    assert str(summary) == summary.text()
    assert "linear" in str(summary)


@pytest.mark.parametrize(
    ("dataset", "shape"),
    [("mnist", (1, 28, 28)), ("fashion_mnist", (1, 28, 28)), ("cifar10", (3, 32, 32))],
)
def test_the_model_of_well_known_images_needs_no_files(
    small, monkeypatch, tmp_path, dataset, shape
):
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path))
    config = small(f"data.dataset={dataset}")
    model = md.Model.from_config(config)
    assert model.input_spec == Spec((100, *shape), "uint8")
    assert len(model.classes) == 10
    with pytest.raises(DataError):
        prepare(config)
    with pytest.raises(DataError):
        md.Model.from_config(small(f"data.dataset={dataset}", "data.normalize=true"))


def test_an_outline_holds_no_samples():
    outline = make("dataset", "mnist").outline()
    assert isinstance(outline.train.inputs, LazyArray)
    assert outline.train.inputs.shape == (60000, 1, 28, 28)
    assert make("dataset", "digits").outline() is None
