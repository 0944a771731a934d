"""Losses over positions: sequences, images, ignored positions, weights, labels without places."""

import numpy as np
import pytest

from minidl import ops, registry
from minidl.component import make
from minidl.errors import ConfigError, DataError, DtypeError, ShapeError
from minidl.graph import grad, placeholder, tensor

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(2, 3, 5))
CLASSES = np.array([[0, -100, 4], [2, 2, -100]])
KEPT = CLASSES >= 0


def test_every_position_that_is_not_ignored_counts_the_same():
    made = make("loss", {"type": "cross_entropy", "ignore_index": -100})
    prediction = tensor(LOGITS)
    found = made(prediction, tensor(CLASSES))
    expected = make("loss", "cross_entropy")(tensor(LOGITS[KEPT]), tensor(CLASSES[KEPT]))
    assert found.item() == pytest.approx(expected.item())
    assert (grad(found, prediction).numpy()[~KEPT] == 0).all()


def test_without_ignore_index_every_target_must_be_a_class():
    with pytest.raises(DataError) as error:
        make("loss", "cross_entropy")(tensor(LOGITS), tensor(CLASSES)).numpy()
    assert str(error.value) == "class index -100 at [0, 1] is not one of 5 classes (0 to 4)"


@pytest.mark.parametrize("name", ["cross_entropy", "nll"])
def test_the_classes_of_images_stand_on_axis_one(name):
    images, classes = RNG.normal(size=(2, 5, 3, 4)), RNG.integers(0, 5, (2, 3, 4))
    made = make("loss", {"type": name, "axis": 1})
    last = make("loss", name)(tensor(np.moveaxis(images, 1, -1)), tensor(classes))
    assert made(tensor(images), tensor(classes)).item() == pytest.approx(last.item())
    shares = made.output(tensor(images)).numpy()
    again = make("loss", name).output(tensor(np.moveaxis(images, 1, -1))).numpy()
    np.testing.assert_allclose(np.moveaxis(shares, 1, -1), again)


@pytest.mark.parametrize("options", [{}, {"ignore_index": -100, "weight": [1.0, 2, 3, 4, 5]}])
def test_nll_of_log_softmax_is_cross_entropy(options):
    classes = tensor(CLASSES if options else np.abs(CLASSES) % 5)
    log = ops.log_softmax(tensor(LOGITS), axis=-1)
    found = make("loss", {"type": "nll", **options})(log, classes)
    expected = make("loss", {"type": "cross_entropy", **options})(tensor(LOGITS), classes)
    assert found.item() == pytest.approx(expected.item())
    np.testing.assert_allclose(
        make("loss", "nll").output(log).numpy(), ops.softmax(LOGITS, axis=-1).numpy()
    )


def test_kl_divergence_is_the_mean_over_samples():
    shares = RNG.dirichlet(np.ones(5), size=(2, 3))
    log = ops.log_softmax(tensor(LOGITS), axis=-1)
    expected = (shares * (np.log(shares) - log.numpy())).sum(-1).mean()
    made = make("loss", "kl_div")
    assert made(log, tensor(shares)).item() == pytest.approx(expected)
    of_logs = make("loss", {"type": "kl_div", "log_target": True})
    assert of_logs(log, tensor(np.log(shares))).item() == pytest.approx(expected)
    np.testing.assert_allclose(made.output(log).numpy().sum(-1), 1)


def test_binary_cross_entropy_takes_a_class_for_one_logit():
    z, y = RNG.normal(size=(4, 1)), np.array([0, 1, 1, 0])
    made = make("loss", "binary_cross_entropy")
    assert made(tensor(z), tensor(y)).item() == made(tensor(z), tensor(y[:, None])).item()
    with pytest.raises(ShapeError):
        made(tensor(z), tensor(y.astype("float32")))


@pytest.mark.parametrize("weight", [3.0, [3.0, 0.5]])
def test_binary_cross_entropy_weighs_positives(weight):
    z, y = RNG.normal(size=(4, 2)), RNG.integers(0, 2, (4, 2))
    p = 1 / (1 + np.exp(-z))
    expected = -(np.array(weight) * y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
    made = make("loss", {"type": "binary_cross_entropy", "pos_weight": weight})
    assert made(tensor(z), tensor(y)).item() == pytest.approx(expected)


def test_triplets_pull_classes_together():
    points, classes = RNG.normal(size=(8, 2)), np.array([0, 0, 1, 1, 2, 2, 0, 1])
    made = make("loss", {"type": "triplet_margin", "margin": 0.5})
    before = x = tensor(points)
    first = made(x, tensor(classes)).item()
    for _ in range(200):
        x = tensor((x - 0.1 * grad(made(x, tensor(classes)), x)).numpy())
    assert made(x, tensor(classes)).item() < 0.2 * first
    assert before.shape == made.output(x).shape


def test_ctc_finds_its_lengths_in_the_padding():
    logits = RNG.normal(size=(3, 6, 4))
    labels, lengths = np.array([[1, 2, 3], [2, -1, -1], [3, 0, 0]]), [3, 1, 1]
    log = ops.permute_dims(ops.log_softmax(tensor(logits), axis=-1), (1, 0, 2))
    expected = ops.ctc(log, labels, [6, 6, 6], lengths).item()
    for dtype in ("int64", "int32", "int8"):
        found = make("loss", "ctc")(tensor(logits), tensor(labels.astype(dtype)))
        assert found.item() == pytest.approx(expected)


def test_ctc_gives_the_labels_of_the_best_path():
    steps = [0, 1, 1, 0, 1, 2, 2, 3]
    logits = np.eye(4)[[steps, [3, 3, 0, 0, 0, 0, 0, 3]]]
    found = make("loss", "ctc").output(tensor(logits)).numpy()
    assert found.tolist() == [[-1, 1, -1, -1, 1, 2, -1, 3], [3, -1, -1, -1, -1, -1, -1, 3]]
    assert found.dtype == "int64"
    other = make("loss", {"type": "ctc", "blank": 1}).output(tensor(logits[:1])).numpy()
    assert other.tolist() == [[0, -1, -1, 0, -1, 2, -1, 3]]


def test_ctc_names_a_label_that_is_no_class():
    with pytest.raises(DataError) as error:
        make("loss", "ctc")(tensor(LOGITS), tensor([[1], [7]])).numpy()
    assert str(error.value) == "class 7 at [1, 0] is not from 0 to 4"


def test_a_sample_without_a_path_is_infinite_or_left_out():
    logits, labels = tensor(LOGITS), tensor([[1, 1, 1], [1, 2, 3]])
    assert make("loss", "ctc")(logits, labels).item() == np.inf
    made = make("loss", {"type": "ctc", "zero_infinity": True})
    assert np.isfinite(made(logits, labels).item())


SEQUENCE = (2, 3, 5)


@pytest.mark.parametrize(
    ("loss", "prediction", "target", "dtype", "error", "message"),
    [
        (
            {"type": "cross_entropy", "weight": [1.0, 2.0]},
            SEQUENCE,
            (2, 3),
            "int64",
            ShapeError,
            "weight has 2 values, but predictions of shape (2, 3, 5) have 5 classes",
        ),
        (
            {"type": "cross_entropy", "ignore_index": 0},
            SEQUENCE,
            SEQUENCE,
            "float32",
            DtypeError,
            "ignore_index goes with integer classes, not with probabilities (float32)",
        ),
        (
            {"type": "cross_entropy", "axis": 3},
            SEQUENCE,
            (2, 3),
            "int64",
            ShapeError,
            "axis 3 is out of range for predictions of shape (2, 3, 5)",
        ),
        (
            {"type": "cross_entropy", "axis": 1},
            SEQUENCE,
            (2, 3),
            "int64",
            ShapeError,
            "logits of shape (2, 3, 5) take integer classes of shape (2, 5), not (2, 3)",
        ),
        (
            "nll",
            SEQUENCE,
            SEQUENCE,
            "float32",
            DtypeError,
            "targets must be integer classes, not float32; for probabilities use the loss 'kl_div'",
        ),
        (
            "kl_div",
            (5,),
            (5,),
            "float32",
            ShapeError,
            "predictions must be log probabilities of shape (batch, ..., classes), not (5,)",
        ),
        (
            {"type": "binary_cross_entropy", "pos_weight": [1.0, 2.0]},
            (4, 3),
            (4, 3),
            "int64",
            ShapeError,
            "pos_weight has 2 values, which do not fit the last axis of predictions of shape "
            "(4, 3)",
        ),
        (
            "triplet_margin",
            (4, 3),
            (4, 1),
            "int64",
            ShapeError,
            "takes vectors of shape (batch, features) and classes of shape (batch,), "
            "not (4, 3) and (4, 1)",
        ),
        (
            "triplet_margin",
            (4, 3),
            (4,),
            "float32",
            DtypeError,
            "targets are classes and must be integers, not float32",
        ),
        (
            "ctc",
            (2, 5),
            (2, 3),
            "int64",
            ShapeError,
            "takes logits of shape (batch, time, classes) and targets of shape (batch, labels), "
            "not (2, 5) and (2, 3)",
        ),
        ("ctc", SEQUENCE, (2, 3), "float32", DtypeError, "targets must be integers, not float32"),
        (
            {"type": "ctc", "blank": 5},
            SEQUENCE,
            (2, 3),
            "int64",
            ShapeError,
            "blank is 5, but predictions of shape (2, 3, 5) have 5 classes",
        ),
        (
            "cosine_embedding",
            (5,),
            (5,),
            "float32",
            ShapeError,
            "predictions must be vectors of shape (batch, ..., features), not (5,)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(loss, prediction, target, dtype, error, message):
    made = make("loss", loss)
    with pytest.raises(error) as caught:
        made(placeholder("z", prediction), placeholder("y", target, dtype))
    assert str(caught.value) == f"loss '{made.type_name}': {message}"


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("triplet_margin", {"margin": 0.0}, "margin: Input should be greater than 0, got 0.0"),
        ("smooth_l1", {"beta": -1.0}, "beta: Input should be greater than 0, got -1.0"),
        ("ctc", {"blank": -1}, "blank: Input should be greater than or equal to 0, got -1"),
        (
            "cross_entropy",
            {"weight": [1.0, -1.0]},
            "weight.1: Input should be greater than or equal to 0, got -1.0",
        ),
    ],
)
def test_fields_out_of_range_are_refused(name, fields, message):
    with pytest.raises(ConfigError) as error:
        registry.get("loss", name)(**fields)
    assert str(error.value) == f"loss '{name}': {message}"
