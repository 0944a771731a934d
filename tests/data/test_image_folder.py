import sys

import numpy as np
import pytest

from minidl.component import make
from minidl.data import batches
from minidl.errors import ConfigError, DataError

image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")

COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}


def save(path, colour, width=12, height=10):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.new("RGB", (width, height), colour).save(path)


@pytest.fixture
def folder(tmp_path):
    """Ten PNG files of each colour, of different sizes."""
    for name, colour in COLOURS.items():
        for i in range(10):
            save(tmp_path / "all" / name / f"{i}.png", colour, 12 + i, 10)
    return tmp_path / "all"


def dataset(path, **options):
    return make("dataset", {"type": "image_folder", "path": str(path), "size": 8, **options})


def refusal(path, **options):
    with pytest.raises(DataError) as caught:
        splits = dataset(path, **options).splits()
        splits.train.span(0, len(splits.train))
    return str(caught.value)


def test_a_folder_is_a_class(folder):
    splits = dataset(folder).splits(0.25, seed=1)
    assert splits.classes == ("blue", "green", "red")
    assert str(splits.input_spec) == "uint8[3, 8, 8]"
    assert [len(part) for _, part in splits.parts()] == [18, 6, 6]
    for _, part in splits.parts():
        images, labels = part.span(0, len(part))
        assert images.flags.c_contiguous
        wanted = np.array(list(COLOURS.values()))[labels]
        assert np.array_equal(images[:, :, 3, 4], wanted)
        assert (np.bincount(labels) == len(part) // 3).all()


def test_folders_for_the_parts(tmp_path):
    for part, count in (("train", 4), ("val", 2), ("test", 3)):
        for name, colour in COLOURS.items():
            for i in range(count):
                save(tmp_path / part / name / "deeper" / f"{i}.JPG", colour)
    splits = dataset(tmp_path).splits(0.5)
    assert [(name, len(part)) for name, part in splits.parts()] == [
        ("train", 12),
        ("validation", 6),
        ("test", 9),
    ]


def test_a_class_may_be_called_train(tmp_path):
    for name in ("car", "train"):
        for i in range(5):
            save(tmp_path / name / f"{i}.png", (1, 2, 3))
    assert dataset(tmp_path).splits().classes == ("car", "train")


def test_a_test_folder_may_lack_a_class_but_not_bring_one(tmp_path):
    for name in COLOURS:
        save(tmp_path / "train" / name / "a.png", (0, 0, 0))
    save(tmp_path / "test" / "red" / "a.png", (0, 0, 0))
    assert dataset(tmp_path).splits().test.targets.tolist() == [2]
    save(tmp_path / "test" / "pink" / "a.png", (0, 0, 0))
    assert refusal(tmp_path) == (
        f"{tmp_path / 'test' / 'pink'}: is no class that is trained (those are blue, green, red)"
    )


@pytest.mark.parametrize("cache", [True, False])
def test_pictures_are_decoded_when_they_are_used(folder, monkeypatch, cache):
    decoded = []
    real = sys.modules["minidl.data.image_folder"].read_picture

    def counted(path, *args, **kwargs):
        decoded.append(path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr("minidl.data.image_folder.read_picture", counted)
    train = dataset(folder, cache=cache, test_fraction=0.0).splits().train
    assert decoded == []
    epochs = [
        {y.tobytes(): x for x, y in batches(train, 7, 0, 0, prefetch=prefetch)}
        for prefetch in (0, 2)
    ]
    assert len(decoded) == (30 if cache else 60)
    for key, images in epochs[0].items():
        assert np.array_equal(images, epochs[1][key])


def test_pictures_are_cropped_or_stretched(tmp_path):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    path = tmp_path / "pictures" / "wide" / "a.png"
    path.parent.mkdir(parents=True)
    image.fromarray(wide).save(path)
    crop = dataset(path.parent.parent, test_fraction=0.0).splits().train.span(0, 1)[0][0]
    assert crop.shape == (3, 8, 8) and (crop[:, :, 1:-1] == 200).all()
    stretched = dataset(path.parent.parent, test_fraction=0.0, fit="stretch", size=[10, 30])
    assert np.array_equal(stretched.splits().train.span(0, 1)[0][0], wide.transpose(2, 0, 1))
    stretched = dataset(path.parent.parent, test_fraction=0.0, fit="stretch", size=(5, 6))
    found = stretched.splits().train.span(0, 1)[0][0]
    assert found.shape == (3, 5, 6)
    assert found[0, 2, 0] < 20 and found[0, 2, 2] > 150


def test_grey_pictures_have_one_channel(folder):
    splits = dataset(folder, channels=1).splits()
    assert str(splits.input_spec) == "uint8[1, 8, 8]"
    images, labels = splits.train.span(0, 24)
    assert {(int(label), int(x[0, 0, 0])) for x, label in zip(images, labels, strict=True)} == {
        (0, 29),
        (1, 150),
        (2, 76),
    }


def test_pictures_are_turned_as_their_camera_was(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255
    exif = image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    path = tmp_path / "a" / "b" / "c.png"
    path.parent.mkdir(parents=True)
    image.fromarray(pixels).save(path, exif=exif)
    found = dataset(tmp_path / "a", test_fraction=0.0).splits().train.span(0, 1)[0][0, 0]
    assert (found[:, 4:] == 255).all() and (found[:, :4] == 0).all()


def test_other_files_are_passed_over(folder):
    (folder / "blue" / "notes.txt").write_text("hello")
    (folder / "blue" / "._0.png").write_bytes(b"junk")
    (folder / ".cache").mkdir()
    (folder / "list.csv").write_text("a,b")
    assert len(dataset(folder, test_fraction=0.0).splits().train) == 30


def test_a_file_that_is_no_picture_is_named_before_training(folder):
    (folder / "red" / "4.png").write_text("<html>")
    assert refusal(folder) == (
        f"{folder / 'red' / '4.png'}: not a PNG or JPEG file that can be read"
    )


def test_a_damaged_picture_is_named_when_it_is_used(folder):
    path = folder / "red" / "4.png"
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:900])
    assert refusal(folder, test_fraction=0.0).startswith(f"{path}: cannot be read: ")


def test_a_picture_of_16_bits_is_refused(folder):
    path = folder / "red" / "4.png"
    image.fromarray(np.full((9, 9), 40000, np.uint16)).save(path)
    assert refusal(folder) == f"{path}: has more than 8 bits a pixel; save it with 8"


def test_missing_and_empty_folders_are_named(folder, tmp_path):
    assert refusal(tmp_path / "none") == f"{tmp_path / 'none'}: no such folder"
    assert refusal(folder / "red") == (
        f"{folder / 'red'}: found no folders in it; it must hold a folder of pictures for each "
        "class"
    )
    (folder / "empty").mkdir()
    assert refusal(folder) == f"{folder / 'empty'}: has no PNG or JPEG files to train with"


def test_without_pillow_it_says_what_to_do(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert refusal(folder) == (
        f"{folder / 'blue' / '0.png'}: reading pictures needs Pillow; install it with "
        "pip install 'minidl[data]'"
    )


def test_new_pictures_have_any_size_and_come_alone_or_in_folders(folder, tmp_path):
    made = dataset(folder)
    save(tmp_path / "new" / "b.png", (9, 9, 9), 70, 50)
    save(tmp_path / "new" / "a.jpeg", (200, 200, 200), 5, 7)
    assert made.read_inputs(str(tmp_path / "new" / "b.png")).shape == (1, 3, 8, 8)
    found = made.read_inputs(str(tmp_path / "new"))
    assert found.shape == (2, 3, 8, 8) and found.dtype == np.uint8
    assert found[:, 0, 0, 0].tolist() == [200, 9]
    np.save(tmp_path / "a.npy", np.zeros((4, 3, 8, 8), np.uint8))
    assert made.read_inputs(str(tmp_path / "a.npy")).shape == (4, 3, 8, 8)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError) as caught:
        made.read_inputs(str(tmp_path / "nothing"))
    assert str(caught.value) == f"{tmp_path / 'nothing'}: has no PNG or JPEG files"


def test_new_pictures_are_called_what_their_files_are(folder):
    made = dataset(folder)
    assert made.input_names(str(folder / "red" / "3.png")) == ("file", ["3.png"])
    what, names = made.input_names(str(folder))
    assert what == "file" and names[:2] == ["blue/0.png", "blue/1.png"]
    assert len(names) == len(made.read_inputs(str(folder)))
    assert made.input_names("pictures.npy") is None


def test_path_and_size_are_needed():
    for options in ({"path": "x"}, {"size": 8}, {"path": "x", "size": [8, 8, 8]}):
        with pytest.raises((ConfigError, ValueError)):
            make("dataset", {"type": "image_folder", **options})
