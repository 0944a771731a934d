"""Metrics of values, merged over batches, against NumPy over the whole part."""

import numpy as np
import pytest

from minidl.component import make
from minidl.errors import DtypeError, ShapeError
from minidl.graph import tensor


def measure(metric, predictions, targets, batch=7):
    """Return the metric of a part that is seen in batches, as the trainer measures it."""
    made = make("metric", metric)
    total = None
    for start in range(0, len(targets), batch):
        p, y = predictions[start : start + batch], targets[start : start + batch]
        values = [
            np.asarray(value.numpy(), "float64") for value in made.statistics(tensor(p), tensor(y))
        ]
        kept = made.reduce(values)
        total = kept if total is None else made.merge(total, kept)
    return made.result(total)


def part(shape, mean=0.0, seed=0):
    rng = np.random.default_rng(seed)
    targets = mean + rng.normal(size=shape)
    predictions = targets + 0.5 * rng.normal(size=shape)
    return predictions.astype("float32"), targets.astype("float32")


@pytest.mark.parametrize("shape", [(30,), (30, 1), (30, 3), (30, 2, 2)])
def test_errors_are_means_over_samples_and_outputs(shape):
    p, y = part(shape)
    difference = p.astype("float64") - y
    assert measure("mae", p, y) == pytest.approx(np.abs(difference).mean(), rel=1e-6)
    assert measure("mse", p, y) == pytest.approx((difference**2).mean(), rel=1e-6)
    assert measure("rmse", p, y) == pytest.approx(np.sqrt((difference**2).mean()), rel=1e-6)


@pytest.mark.parametrize("mean", [0.0, 1e5])
@pytest.mark.parametrize("shape", [(101,), (101, 1), (101, 3)])
def test_r2_is_stable_far_from_zero(shape, mean):
    p, y = (array.astype("float64") for array in part(shape, mean))
    expected = 1 - ((y - p) ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0)
    ours = measure("r2", p.astype("float32"), y.astype("float32"))
    assert ours == pytest.approx(expected.mean(), rel=1e-9)


@pytest.mark.parametrize("shape", [(50,), (50, 3)])
def test_r2_is_that_of_scikit_learn(shape):
    metrics = pytest.importorskip("sklearn.metrics")
    p, y = part(shape, seed=4)
    theirs = metrics.r2_score(y.astype("float64"), p.astype("float64"))
    assert measure("r2", p, y) == pytest.approx(theirs, rel=1e-9)


def test_r2_does_not_depend_on_how_the_part_is_batched():
    p, y = part((60, 2), mean=1e5)
    whole = measure("r2", p, y, batch=60)
    assert [measure("r2", p, y, batch=size) for size in (1, 7, 59)] == pytest.approx([whole] * 3)


def test_r2_of_a_constant_target_is_one_or_zero():
    y = np.full((6,), 3.0, "float32")
    assert measure("r2", y, y) == 1
    assert measure("r2", y + 1, y) == 0
    both = np.stack([y, np.arange(6, dtype="float32")], axis=1)
    assert measure("r2", both, both) == 1


def test_r2_of_the_mean_is_zero_and_can_be_negative():
    y = np.arange(5, dtype="float32")
    assert measure("r2", np.full((5,), 2, "float32"), y) == pytest.approx(0)
    assert measure("r2", y[::-1].copy(), y) == pytest.approx(-3)


@pytest.mark.parametrize("name", ["mae", "mse", "rmse", "r2"])
def test_classes_are_no_values(name):
    with pytest.raises(DtypeError) as error:
        measure(name, np.array([1.5, 2.0], "float32"), np.array([1, 4]))
    assert str(error.value) == (
        f"metric '{name}': targets of dtype int64 are classes, not values; where they are numbers "
        f"to be predicted set task = 'regression' in [data], otherwise choose a metric of classes"
    )


@pytest.mark.parametrize("name", ["mae", "mse", "rmse", "r2"])
def test_a_column_against_a_vector_is_refused(name):
    with pytest.raises(ShapeError) as error:
        make("metric", name).statistics(tensor(np.zeros((4, 1))), tensor(np.zeros(4)))
    assert str(error.value) == (
        f"metric '{name}': predictions of shape (4, 1) do not fit targets of shape (4,), which "
        f"must be the same; end the model with {{ type = 'reshape', shape = [] }}"
    )


def test_which_direction_is_better():
    assert [make("metric", name).better for name in ("mae", "mse", "r2")] == [
        "lower",
        "lower",
        "higher",
    ]
