"""Data and options that do not fit: the line of the config, the layer or loss, and the numbers."""

from __future__ import annotations

import numpy as np
import pytest

from minidl.component import make
from minidl.config import parse_config
from minidl.errors import ConfigError, DataError, DivergedError, DtypeError, ShapeError
from minidl.graph import Spec
from minidl.training import Model, fit
from minidl.training.step import Steps

NET = """
[data]
dataset = "inline"
{data}
batch_size = 2
shuffle = false
[model]
layers = [
  {layers}
]
[loss]
{loss}
[optimizer]
type = "sgd"
lr = 0.1
[training]
epochs = 1
{training}
"""
INPUTS = "[[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]"
VECTORS = f"inputs = {INPUTS}\ntargets = [0, 1, 1, 0]"
TOKENS = 'dtype = "int64"\ninputs = [[0, 1], [2, 0], [1, {}], [0, 0]]\ntargets = [0, 1, 1, 0]'
SPOKEN = 'task = "classification"\ninputs = [[[0.0], [1.0]], [[1.0], [0.0]]]\ntargets = {}'
TWO = '{ type = "linear", units = 2 }'
EMBEDDING = '{ type = "embedding", num_embeddings = 3, embedding_dim = 2, name = "words" }'
EMBEDDED = f'{EMBEDDING}, "flatten", {TWO}'


def net(data=VECTORS, layers=TWO, loss='type = "cross_entropy"', training=""):
    """Return a config of four samples and a few lines."""
    return parse_config(
        NET.format(data=data, layers=layers, loss=loss, training=training), "n.toml"
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"layers": '{ type = "linear", units = 1 }'},
            ShapeError,
            "n.toml:12:1: loss 'cross_entropy': predictions must be logits of shape "
            "(batch, classes) with two classes or more, not (2, 1); end the model with "
            "{ type = 'linear', units = <classes> }, or use the loss 'binary_cross_entropy' for "
            "one logit a sample",
        ),
        (
            {"loss": 'type = "cross_entropy"\nweight = [1.0, 2.0, 3.0]'},
            ShapeError,
            "n.toml:12:1: loss 'cross_entropy': weight has 3 values, but predictions of shape "
            "(2, 2) have 2 classes",
        ),
        (
            {"training": 'metrics = [{ type = "top_k_accuracy", k = 3 }]'},
            ShapeError,
            "n.toml:19:12: metric 'top_k_accuracy': k is 3 but there are 2 classes; choose a "
            "smaller k",
        ),
        (
            {"training": 'metrics = ["accuracy", "mae"]'},
            DtypeError,
            "n.toml:19:24: metric 'mae': targets of dtype int64 are classes, not values; where "
            "they are numbers to be predicted set task = 'regression' in [data], otherwise choose "
            "a metric of classes",
        ),
        (
            {
                "data": f"inputs = {INPUTS}\ntargets = [0.0, 1.0, 0.5, 0.0]",
                "layers": '{ type = "linear", units = 1 }',
                "loss": 'type = "mse"',
                "training": 'metrics = ["mae", "accuracy"]',
            },
            ConfigError,
            "n.toml:19:19: metric 'accuracy' is of classes, and the loss 'mse' of values; choose a "
            "metric of values or a loss of classes",
        ),
        (
            {"data": f"inputs = {INPUTS}\ntargets = [0, 1, -1, 0]"},
            DataError,
            "n.toml:2:1: dataset 'inline': train target 2 is class -1; the 2 classes count from 0",
        ),
        (
            {"data": VECTORS.replace("[0.0, 1.0]", "[0.0, nan]")},
            DataError,
            "n.toml:2:1: dataset 'inline': train inputs[0, 1] is nan; replace it or leave the "
            "sample out",
        ),
        (
            {"data": f'{VECTORS}\ntransforms = ["horizontal_flip"]'},
            DataError,
            "n.toml:6:15: transform 'horizontal_flip' takes images of shape "
            "(channels, height, width), not samples of shape (2,)",
        ),
        (
            {
                "data": f"inputs = {INPUTS}\ntargets = [0.0, 1.0, 2.0, 0.0]",
                "layers": '{ type = "linear", units = 1 }',
                "loss": 'type = "binary_cross_entropy"',
            },
            DataError,
            "n.toml:2:1: dataset 'inline', train part: target 2.0 of sample 2 is not from 0 to 1, "
            "as the loss 'binary_cross_entropy' takes it",
        ),
        (
            {"data": f"inputs = {INPUTS}\ntargets = {INPUTS.replace('1.0]', '-1.0]')}"},
            DataError,
            "n.toml:2:1: dataset 'inline', train part: target -1.0 of sample 0 is not from 0 to 1, "
            "as the loss 'cross_entropy' takes it",
        ),
        (
            {
                "data": f"inputs = {INPUTS}\ntargets = {INPUTS}",
                "loss": 'type = "kl_div"\nlog_target = true',
            },
            DataError,
            "n.toml:2:1: dataset 'inline', train part: target 1.0 of sample 0 is not from -inf to "
            "0, as the loss 'kl_div' takes it",
        ),
        (
            {
                "data": SPOKEN.format("[[0, 1], [1, 2]]"),
                "layers": '{ type = "linear", units = 3 }',
                "loss": 'type = "ctc"',
            },
            DataError,
            "n.toml:2:1: dataset 'inline', train part: label 1 of sample 0 stands behind one that "
            "is none; fill targets up at their end, and let no label be 0, the blank, as the loss "
            "'ctc' takes it",
        ),
        (
            {
                "data": f'{VECTORS}\ntransforms = ["mixup"]',
                "loss": 'type = "nll"',
                "layers": f'{TWO}, "log_softmax"',
            },
            DtypeError,
            "n.toml:13:1: loss 'nll': targets must be integer classes, not float32; for "
            "probabilities use the loss 'kl_div'; the transforms make inputs of float32[2, 2] and "
            "targets of float32[2, 2] of a batch",
        ),
        (
            {
                "data": f'{VECTORS.replace("[0, 1, 1, 0]", INPUTS)}\nsampler = "balanced"',
                "loss": 'type = "mse"',
            },
            DataError,
            "n.toml:6:11: sampler = 'balanced' draws an order of its own; leave shuffle = true",
        ),
        (
            {"loss": 'type = "triplet_margin"'},
            ConfigError,
            "n.toml:6:14: the loss 'triplet_margin' needs batches of 3 samples or more; here they "
            "have 2",
        ),
        (
            {"data": TOKENS.format(3), "layers": EMBEDDED},
            DataError,
            "n.toml:11:3: layer 'words' (embedding, model.layers[0]): index 3 at [0, 1] is not "
            "from 0 to 2",
        ),
        (
            {"data": TOKENS.format(-1), "layers": EMBEDDED},
            DataError,
            "n.toml:11:3: layer 'words' (embedding, model.layers[0]): index -1 at [0, 1] is not "
            "from 0 to 2",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(options, error, message):
    with pytest.raises(error) as caught:
        fit(net(**options))
    assert str(caught.value) == message


def test_a_label_out_of_range_names_the_loss():
    model = Model(make("layer", {"type": "linear", "units": 2}), Spec((3, 4)))
    steps = Steps(model, make("loss", "cross_entropy"), [make("metric", "confusion_matrix")])
    with pytest.raises(DataError) as caught:
        steps.evaluate(np.zeros((3, 4), "float32"), np.array([0, 1, 7]))
    assert str(caught.value) == (
        "the loss 'cross_entropy': class index 7 at [2] is not one of 2 classes (0 to 1)"
    )
    assert caught.value.place == "loss"


def test_labels_that_ctc_cannot_spell_make_it_infinite_and_say_what_to_do():
    data = SPOKEN.format("[[1, 2], [2, 2]]")
    layers = '{ type = "linear", units = 3 }'
    with pytest.raises(DivergedError) as caught:
        fit(net(data, layers, 'type = "ctc"'))
    assert str(caught.value) == (
        "the loss became inf in step 1 (epoch 1): the first infinity came from where in the loss "
        "'ctc', at index (1,) of its output float32[2]; a target has more labels than its steps "
        "of time can spell, equal neighbours needing a blank between them; shorten it, or set "
        "zero_infinity = true in [loss]"
    )
    fit(net(data, layers, 'type = "ctc"\nzero_infinity = true'))


# -- predictions -------------------------------------------------------------------------------


def embedding_model():
    return Model.from_config(net(TOKENS.format(1), EMBEDDED))


@pytest.mark.parametrize("batch_size", [1, 256])
def test_an_index_that_the_network_has_no_vector_for_names_the_layer(batch_size):
    with pytest.raises(DataError) as caught:
        embedding_model().predict(np.array([[0, 1], [4, 0]]), batch_size=batch_size)
    place = [0, 0] if batch_size == 1 else [1, 0]
    assert str(caught.value) == (
        f"layer 'words' (embedding, model.layers[0]): index 4 at {place} is not from 0 to 2"
    )
