import sys

import numpy as np
import pytest

from minidl.component import make
from minidl.data.digits import Digits
from minidl.errors import ConfigError, DataError
from minidl.graph import tensor


@pytest.fixture
def mnist():
    return make("dataset", "mnist")


@pytest.fixture
def cifar():
    return make("dataset", "cifar10")


def refusal(made, path):
    with pytest.raises(DataError) as caught:
        made.read_inputs(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


def test_bytes_become_floats_in_0_to_1(mnist):
    images = np.array([0, 51, 255], np.uint8).reshape(3, 1, 1, 1) * np.ones((1, 28, 28), np.uint8)
    prepared = mnist.prepare(tensor(images))
    assert (prepared.dtype, prepared.shape) == ("float32", (3, 1, 28, 28))
    assert np.array_equal(prepared.numpy()[:, 0, 0, 0], np.float32([0, 0.2, 1]))


def test_images_are_normalised_a_channel():
    made = make("dataset", {"type": "cifar10", "mean": [0.5, 0.25, 0.0], "std": [0.5, 0.25, 2.0]})
    images = np.full((2, 3, 32, 32), 255, np.uint8)
    assert np.array_equal(made.prepare(tensor(images)).numpy()[1, :, 3, 4], [1.0, 3.0, 0.5])


def test_one_mean_serves_all_channels_and_images_can_be_flat():
    made = make("dataset", {"type": "cifar10", "mean": [0.5], "flat": True})
    prepared = made.prepare(tensor(np.zeros((2, 3, 32, 32), np.uint8)))
    assert prepared.shape == (2, 3072)
    assert set(prepared.numpy().reshape(-1)) == {-0.5}


def test_as_many_means_as_channels():
    made = make("dataset", {"type": "cifar10", "mean": [0.5, 0.5]})
    with pytest.raises(ConfigError) as caught:
        made.prepare(tensor(np.zeros((2, 3, 32, 32), np.uint8)))
    assert str(caught.value) == (
        "dataset 'cifar10': mean has 2 values; give one, or one for each of 3 channels"
    )


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (784,), (1, 784), (1, 1, 28, 28)])
def test_one_image_is_a_batch_of_one(mnist, tmp_path, shape):
    pixels = np.arange(784).reshape(shape) % 256
    np.save(tmp_path / "one.npy", pixels)
    found = mnist.read_inputs(str(tmp_path / "one.npy"))
    assert found.shape == (1, 1, 28, 28) and found.dtype == np.uint8
    assert np.array_equal(found.reshape(-1), pixels.reshape(-1))


@pytest.mark.parametrize("shape", [(5, 28, 28), (5, 1, 28, 28), (5, 784)])
def test_many_images(mnist, tmp_path, shape):
    np.savez_compressed(tmp_path / "many.npz", x=np.ones(shape, np.uint8), y=np.ones(5))
    assert mnist.read_inputs(str(tmp_path / "many.npz")).shape == (5, 1, 28, 28)


def test_images_in_idx_files(mnist, write_idx):
    for name in ("images.gz", "images"):
        found = mnist.read_inputs(str(write_idx(name, (3, 28, 28))))
        assert found.shape == (3, 1, 28, 28)
        assert found[2, 0, 27, 27] == (3 * 784 - 1) % 256


def test_pictures_grey_and_coloured(mnist, cifar, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")
    grey = np.arange(784, dtype=np.uint16).reshape(28, 28).astype(np.uint8)
    image.fromarray(grey).save(tmp_path / "grey.png")
    assert np.array_equal(mnist.read_inputs(str(tmp_path / "grey.png"))[0, 0], grey)
    colours = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    image.fromarray(colours).save(tmp_path / "colours.png")
    found = cifar.read_inputs(str(tmp_path / "colours.png"))
    assert found.shape == (1, 3, 32, 32)
    assert np.array_equal(found[0].transpose(1, 2, 0), colours)


def test_a_picture_of_a_digit_is_brought_to_its_17_levels(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")
    image.fromarray(np.full((8, 8), 255, np.uint8)).save(tmp_path / "white.png")
    assert set(make("dataset", "digits").read_inputs(str(tmp_path / "white.png")).flat) == {16}


def test_a_picture_of_another_size_is_refused(mnist, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")
    image.new("L", (40, 20)).save(tmp_path / "wide.png")
    assert refusal(mnist, tmp_path / "wide.png") == (
        "is 40 x 20 pixels; dataset 'mnist' takes 28 x 28; resize it first"
    )


def test_a_damaged_picture_is_refused(mnist, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")
    path = tmp_path / "cut.png"
    noise = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:300])
    assert refusal(mnist, path).startswith("cannot be read: ")


def test_without_pillow_a_picture_is_refused_with_what_to_do(mnist, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert refusal(mnist, tmp_path / "a.png") == (
        "reading pictures needs Pillow; install it with pip install 'minidl[data]', "
        "or give a .npy, .npz or IDX file"
    )


def test_a_file_of_no_known_kind_is_refused(mnist, tmp_path):
    pytest.importorskip("PIL", reason="without Pillow the message is another")
    (tmp_path / "a.txt").write_text("hello there")
    assert refusal(mnist, tmp_path / "a.txt") == (
        "not a .npy, .npz, IDX, PNG or JPEG file that can be read"
    )


def test_a_missing_file_is_refused(mnist, tmp_path):
    assert refusal(mnist, tmp_path / "none.png") == "no such file"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.zeros((3, 27, 28), np.uint8),
            "holds images of shape (3, 27, 28); dataset 'mnist' takes (1, 28, 28) each, "
            "in any number",
        ),
        (np.zeros((3, 28, 28)), "holds float64 pixels; expected integers from 0 to 255"),
        (np.full((28, 28), 300), "pixels run from 300 to 300; expected 0 to 255"),
    ],
)
def test_arrays_that_are_no_such_images_are_refused(mnist, tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    assert refusal(mnist, tmp_path / "a.npy") == message


def test_normalizing_learns_from_what_trains_alone():
    made = make("dataset", {"type": "digits", "normalize": True, "flat": False})
    train = made.splits(0.2, seed=1).train
    pixels = train.span(0, len(train))[0] / 16.0
    state = made.state()
    assert state == {"mean": pytest.approx([pixels.mean()]), "std": pytest.approx([pixels.std()])}
    prepared = made.prepare(tensor(train.span(0, len(train))[0])).numpy()
    assert prepared.mean() == pytest.approx(0, abs=1e-5)
    assert prepared.std() == pytest.approx(1, abs=1e-5)


def test_channels_are_normalized_each_by_its_own(tmp_path):
    records = np.random.default_rng(0).integers(0, 256, (40, 3073), np.uint8)
    records[:, 0] %= 10
    records[:, 1025:2049] //= 4
    records[:, 2049:] = 51
    for name in ("data_batch_1.bin", "test_batch.bin"):
        (tmp_path / name).write_bytes(records.tobytes())
    made = make("dataset", {"type": "cifar10", "root": str(tmp_path), "normalize": True})
    made.splits()
    planes = records[:, 1:].reshape(40, 3, 1024) / 255
    assert made.state()["mean"] == pytest.approx(planes.mean(axis=(0, 2)))
    assert made.state()["std"] == pytest.approx([*planes.std(axis=(0, 2))[:2], 1.0])


def test_what_was_learnt_is_kept_with_a_run():
    made = make("dataset", {"type": "digits", "normalize": True})
    made.restore({"mean": [0.25], "std": [0.5]})
    made.splits(0.1)
    assert made.state() == {"mean": [0.25], "std": [0.5]}
    prepared = made.prepare(tensor(np.full((1, 1, 8, 8), 16, np.uint8)))
    assert set(prepared.numpy().flat) == {1.5}
    assert make("dataset", "digits").state() == {}


@pytest.mark.parametrize("state", [{"mean": [0.5]}, {"mean": [1.0, 2.0], "std": [1.0, 2.0]}])
def test_what_is_no_mean_and_std_is_refused(state):
    with pytest.raises(DataError) as caught:
        make("dataset", {"type": "digits", "normalize": True}).restore(state)
    assert str(caught.value) == (
        "the stored state of the dataset is not a mean and std for 1 channels"
    )


def test_normalizing_needs_to_have_learnt():
    made = make("dataset", {"type": "digits", "normalize": True})
    with pytest.raises(DataError) as caught:
        made.prepare(tensor(np.zeros((1, 1, 8, 8), np.uint8)))
    assert str(caught.value) == (
        "dataset 'digits': nothing is learnt to normalize by; load the splits first"
    )


def test_normalizing_and_a_given_mean_exclude_each_other():
    with pytest.raises(ConfigError) as caught:
        Digits(normalize=True, mean=(0.5,))
    assert str(caught.value) == ("dataset 'digits': normalize learns mean and std; leave them out")
