import time

import numpy as np
import pytest

from minidl.component import make
from minidl.data.draws import Draws
from minidl.errors import DataError
from minidl.graph.spec import Spec

IMAGE = Spec((3, 32, 32), "uint8")
CLASS = Spec((), "int64")
LABELS = np.arange(200) % 10


def images(count=200, shape=(3, 32, 32)):
    pixels = np.random.default_rng(0).integers(1, 256, (count, *shape), np.uint8)
    pixels.flags.writeable = False
    return pixels


def changed(options, inputs=None, targets=LABELS, seed=0, classes=10):
    """Return a batch transformed, and the batch."""
    inputs = images() if inputs is None else inputs
    made = make("transform", options)
    made.setup(
        Spec(inputs.shape[1:], inputs.dtype.name),
        Spec(targets.shape[1:], targets.dtype.name),
        classes,
    )
    return made, *made(inputs, targets[: len(inputs)], Draws(seed, 0, 0)), inputs


def refusal(options, inputs=IMAGE, targets=CLASS, classes=10):
    with pytest.raises(DataError) as caught:
        make("transform", options).setup(inputs, targets, classes)
    return str(caught.value)


EVERY = ["random_crop", "horizontal_flip", "cutout", "mixup"]


@pytest.mark.parametrize("name", EVERY)
def test_a_transform_is_a_function_of_the_draws_and_leaves_its_input_alone(name):
    before = images()
    before.flags.writeable = True
    copy = before.copy()
    made, first, targets, _ = changed(name, before)
    again, same_targets = made(before, LABELS, Draws(0, 0, 0))
    assert np.array_equal(before, copy)
    assert np.array_equal(first, again) and np.array_equal(targets, same_targets)
    assert not np.array_equal(first, made(before, LABELS, Draws(1, 0, 0))[0])
    assert first.shape == before.shape
    assert first.flags.c_contiguous


@pytest.mark.parametrize("name", ["random_crop", "horizontal_flip", "cutout"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_images_keep_their_dtype_and_targets_are_left_alone(name, dtype):
    _, found, targets, _ = changed(name, images().astype(dtype))
    assert found.dtype == dtype
    assert targets is LABELS or np.shares_memory(targets, LABELS)


def test_a_random_crop_is_a_shifted_image_with_the_fill_at_its_border():
    _, found, _, given = changed({"type": "random_crop", "padding": 3, "fill": 7.0})
    padded = np.pad(given, ((0, 0), (0, 0), (3, 3), (3, 3)), constant_values=7)
    shifts = []
    for image, source in zip(found, padded, strict=True):
        places = [
            (y, x)
            for y in range(7)
            for x in range(7)
            if np.array_equal(source[:, y : y + 32, x : x + 32], image)
        ]
        assert len(places) == 1
        shifts += places
    rows, columns = np.array(shifts).T
    assert set(rows) == set(columns) == set(range(7))
    assert np.abs(np.bincount(rows * 7 + columns, minlength=49) - 200 / 49).max() < 9


def test_a_random_crop_takes_images_that_are_not_square_and_small_ones():
    for shape in [(1, 5, 9), (2, 2, 2), (1, 2, 40)]:
        padding = min(4, *(length - 1 for length in shape[1:]))
        _, found, _, given = changed(
            {"type": "random_crop", "padding": padding, "fill": 0.0}, images(20, shape)
        )
        assert found.shape == given.shape
        assert (found != 0).any(axis=(1, 2, 3)).all()


def test_a_flip_mirrors_some_images():
    _, found, _, given = changed("horizontal_flip")
    same = (found == given).all(axis=(1, 2, 3))
    mirrored = (found == given[..., ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 70 < mirrored.sum() < 130


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_a_flip_can_be_sure(p):
    _, found, _, given = changed({"type": "horizontal_flip", "p": p})
    assert np.array_equal(found, given[..., ::-1] if p else given)


def test_cutout_covers_a_square_of_all_channels():
    _, found, _, given = changed({"type": "cutout", "size": 6, "fill": 0.0})
    covered = (found != given).any(axis=1)
    assert np.array_equal((found == 0).all(axis=1), covered)
    for square in covered:
        rows, columns = np.flatnonzero(square.any(1)), np.flatnonzero(square.any(0))
        assert square[np.ix_(rows, columns)].all()
        for places in (rows, columns):
            assert np.array_equal(places, np.arange(places[0], places[-1] + 1))
            inside = places[0] > 0 and places[-1] < 31
            assert len(places) == 6 if inside else 3 <= len(places) <= 6
    corners = covered[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.any() and covered[:, 15, 15].any()


def test_cutout_spares_some_images_and_covers_with_the_fill():
    _, found, _, given = changed({"type": "cutout", "p": 0.5, "fill": 128.0})
    touched = (found != given).any(axis=(1, 2, 3))
    assert 70 < touched.sum() < 130
    assert set(found[found != given]) == {128}


def test_mixup_mixes_inputs_and_targets_by_the_same_share():
    given = np.eye(10, dtype=np.float32) * 255
    _, found, targets, _ = changed({"type": "mixup", "alpha": 1.0}, given, np.arange(10))
    assert found.dtype == targets.dtype == np.float32
    assert np.allclose(found / 255, targets, atol=1e-6)
    assert np.allclose(targets.sum(axis=1), 1, atol=1e-6)
    assert ((targets > 0).sum(axis=1) <= 2).all()
    assert ((targets > 0.01) & (targets < 0.99)).any()


def test_mixup_mixes_bytes_as_numbers():
    given = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1).repeat(50, 0)
    _, found, targets, _ = changed("mixup", given, np.repeat([0, 1], 50), classes=2)
    assert np.allclose(found[:, 0, 0, 0] / 255, targets[:, 1], atol=1e-6)
    assert ((found > 1) & (found < 254)).any()


def test_mixup_mixes_values_too():
    values = np.linspace(0, 1, 20)[:, np.newaxis]
    _, found, targets, _ = changed("mixup", values.copy(), values, classes=0)
    assert found.dtype == targets.dtype == np.float64
    assert np.allclose(found, targets)
    assert not np.array_equal(targets, values)


def test_mixup_may_follow_mixup():
    made, inputs, targets, _ = changed("mixup")
    again, probabilities = made(inputs, targets, Draws(0, 0, 1))
    assert probabilities.shape == (200, 10)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("name", ["random_crop", "horizontal_flip", "cutout"])
def test_what_is_no_image_is_refused(name):
    assert refusal(name, Spec((784,), "uint8")) == (
        f"transform '{name}' takes images of shape (channels, height, width), "
        "not samples of shape (784,)"
    )


@pytest.mark.parametrize("name", ["random_crop", "cutout"])
def test_a_fill_that_cannot_be_stored_is_refused(name):
    for fill, shown in [(0.5, "0.5"), (256.0, "256"), (-1.0, "-1")]:
        assert refusal({"type": name, "fill": fill}) == (
            f"transform '{name}' cannot fill with {shown} what is stored as uint8"
        )
    make("transform", {"type": name, "fill": -0.5}).setup(Spec((1, 8, 8), "float32"), CLASS, 2)


@pytest.mark.parametrize(("shape", "shown"), [((3, 5, 9), "5 x 9"), ((1, 9, 5), "9 x 5")])
def test_what_leaves_nothing_of_an_image_is_refused(shape, shown):
    inputs = Spec(shape, "uint8")
    assert refusal({"type": "random_crop", "padding": 5}, inputs) == (
        f"transform 'random_crop' with padding = 5 may shift images of {shown} pixels out of "
        "sight; padding must be less than 5"
    )
    assert refusal({"type": "cutout", "size": 6}, inputs) == (
        f"transform 'cutout' with size = 6 covers squares larger than images of {shown} pixels; "
        "size may be 5 at most"
    )
    make("transform", {"type": "random_crop", "padding": 4}).setup(inputs, CLASS, 10)
    make("transform", {"type": "cutout", "size": 5}).setup(inputs, CLASS, 10)


def test_mixup_needs_to_know_the_classes():
    assert refusal("mixup", classes=0) == (
        "transform 'mixup' takes one class a sample, of known classes, or values; "
        "not targets of int64[] with 0 classes"
    )
    assert "int64[64] with 65 classes" in refusal("mixup", targets=Spec((64,), "int64"), classes=65)


def test_a_batch_of_cifar_takes_about_a_millisecond():
    chain = [make("transform", name) for name in ("random_crop", "horizontal_flip", "cutout")]
    batch, times = images(128), []
    for step in range(20):
        began = time.perf_counter()
        inputs, targets = batch, LABELS[:128]
        for stream, change in enumerate(chain):
            inputs, targets = change(inputs, targets, Draws(0, 0, step, stream))
        times.append(time.perf_counter() - began)
    assert min(times) < 0.004
