import tracemalloc

import numpy as np
import pytest

from minidl.component import make
from minidl.data import batches
from minidl.errors import ConfigError, DataError
from minidl.graph import tensor

TEXT = "".join(f"{i % 10}{'abcdefg'[i % 7]}\n" for i in range(400))


@pytest.fixture
def text(tmp_path):
    """Write a text and return its dataset."""

    def write(content=TEXT, **options):
        path = tmp_path / "a.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return make("dataset", {"type": "text", "path": str(path), "context": 16, **options})

    return write


def strings(made, part, **options):
    """Return the windows of an epoch and their targets as text."""
    return [
        (made.decode(x), made.decode(y))
        for inputs, targets in batches(part, 4, **options)
        for x, y in zip(inputs, targets, strict=True)
    ]


def test_the_last_fractions_validate_and_test(text):
    made = text(validation_fraction=0.25, test_fraction=0.1)
    splits = made.splits(0.5, seed=3)
    pieces = [strings(made, part, shuffle=False) for _, part in splits.parts()]
    starts = [0, 780, 1080]
    for windows, start, tokens in zip(pieces, starts, (780, 300, 120), strict=True):
        for i, (x, y) in enumerate(windows):
            assert x == TEXT[start + 16 * i : start + 16 * i + 16]
            assert y == TEXT[start + 16 * i + 1 : start + 16 * i + 17]
        assert len(windows) == ((tokens - 1) // 16 if start else tokens // 16 - 1)


@pytest.mark.parametrize("tokenizer", ["char", "byte"])
def test_specs_say_what_a_network_takes(text, tokenizer):
    made = text(tokenizer=tokenizer)
    splits = made.splits()
    assert str(splits.input_spec) == "uint8[16]" and str(splits.target_spec) == "int64[16]"
    assert splits.task == "classification"
    inputs, targets = splits.train.gather(np.array([3, 0]))
    assert (inputs.dtype, targets.dtype) == ("uint8", "int64")
    assert np.array_equal(inputs[:, 1:], targets[:, :-1])
    prepared = made.prepare(tensor(inputs))
    assert prepared.dtype == "int64" and prepared.shape == (2, 16)


def test_an_epoch_begins_at_another_place_and_is_a_function_of_seed_and_epoch(text):
    made = text(validation_fraction=0.0)
    train = made.splits().train
    seen = set()
    for epoch in range(30):
        windows = strings(made, train, seed=5, epoch=epoch)
        assert len(windows) == len(train) == 1200 // 16 - 1
        assert all(x[1:] == y[:-1] and x + y[-1] in TEXT for x, y in windows)
        seen.add(windows[0])
        assert windows == strings(made, train, seed=5, epoch=epoch)
        assert windows[20:] == strings(made, train, seed=5, epoch=epoch, start=5)
    assert len(seen) > 20


def test_the_windows_of_an_epoch_lie_side_by_side(tmp_path):
    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(200)))
    options = {"type": "text", "path": str(path), "tokenizer": "byte", "context": 16}
    train = make("dataset", options | {"validation_fraction": 0.0}).splits().train
    firsts = []
    for epoch in range(200):
        found = np.concatenate([x for x, _ in batches(train, 5, 1, epoch)])
        order = np.sort(found[:, 0])
        assert np.array_equal(np.sort(found.reshape(-1)), np.arange(16 * 11) + order[0])
        assert np.array_equal(np.diff(order), np.full(10, 16))
        firsts.append(order[0])
    assert set(firsts) == set(range(16))


@pytest.mark.parametrize("tokens", [17, 18, 31, 32, 33, 47, 48, 49])
def test_short_texts_have_at_least_a_window(tmp_path, tokens):
    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(tokens)))
    options = {"type": "text", "path": str(path), "tokenizer": "byte", "context": 16}
    train = make("dataset", options | {"validation_fraction": 0.0}).splits().train
    last = set()
    for epoch in range(100):
        for x, y in batches(train, 5, 1, epoch):
            assert np.array_equal(x + 1, y)
            last.update(y[:, -1].tolist())
    assert max(last) == tokens - 1 if tokens < 33 else max(last) <= tokens - 1


def test_batches_that_are_measured_never_move(text):
    made = text()
    part = made.splits().validation
    assert strings(made, part, shuffle=False) == strings(made, part, shuffle=False, epoch=9)


def test_encoding_and_decoding(text):
    for tokenizer in ("char", "byte"):
        made = text(tokenizer=tokenizer)
        tokens = made.encode("3a\n0g")
        assert tokens.dtype == np.uint8 and tokens.shape == (5,)
        assert made.decode(tokens) == "3a\n0g" == made.decode(tokens.tolist())
        assert made.decode(np.array([], np.int64)) == ""
        assert made.encode("").shape == (0,)


def test_characters_beyond_256_take_two_bytes(text):
    content = "".join(map(chr, range(0x4E00, 0x4E00 + 300))) + "\U0001f600 é\r\n"
    made = text(content, validation_fraction=0.0)
    splits = made.splits()
    assert str(splits.input_spec) == "uint16[16]" and len(splits.classes) == 305
    assert made.decode(made.encode(content)) == content
    assert splits.classes[0] == "\n" and splits.classes[-1] == "\U0001f600"
    assert made.decode(splits.train.span(0, 1)[0][0]) == content[:16]


def test_bytes_are_any_bytes(text):
    made = text(bytes(range(256)) * 4, tokenizer="byte")
    splits = made.splits()
    assert len(splits.classes) == 256
    assert splits.classes[10] == "0x0a" and splits.classes[65] == "A"
    assert made.decode(made.encode("é")) == "é"
    assert made.decode([0xFF, 65]) == "\ufffdA"


def test_the_vocabulary_is_kept_with_a_run(text):
    first = text()
    first.splits()
    state = first.state()
    assert state == {"tokenizer": "char", "vocabulary": "\n0123456789abcdefg"}
    later = text(TEXT.replace("b", "a"))
    later.restore(state)
    assert later.decode(later.splits().train.span(0, 1)[0][0]) == TEXT.replace("b", "a")[:16]
    assert len(later.splits().classes) == 18
    assert np.array_equal(later.encode("g"), first.encode("g"))
    byte = text(tokenizer="byte")
    assert byte.state() == {}
    byte.splits()
    byte.restore(byte.state())
    assert byte.encode("a").tolist() == [97]


def test_the_vocabulary_is_read_when_it_is_needed(text):
    assert text().encode("a\n").tolist() == [11, 0]


def test_a_character_that_is_not_known_is_named(text):
    made = text()
    with pytest.raises(DataError) as caught:
        made.encode("a\nbc\u00e9")
    assert str(caught.value) == (
        "the text, line 2: 'é' is not among the 18 characters of the vocabulary"
    )
    later = text(TEXT + "1a\nZ")
    later.restore(made.state())
    with pytest.raises(DataError) as caught:
        later.splits()
    assert str(caught.value) == (
        f"{later.path}:402: 'Z' is not among the 18 characters of the vocabulary"
    )


@pytest.mark.parametrize("state", [{}, {"vocabulary": 3}, {"vocabulary": "ba"}])
def test_what_is_no_vocabulary_is_refused(text, state):
    with pytest.raises(DataError) as caught:
        text().restore(state)
    assert str(caught.value) == (
        "the stored state of the dataset is not a vocabulary of characters"
    )


def test_a_text_that_is_not_utf_8_is_refused(text):
    made = text("déjà vu".encode("latin-1") * 100)
    with pytest.raises(DataError) as caught:
        made.splits()
    assert str(caught.value) == (
        f"{made.path}: not UTF-8 text (invalid continuation byte); save it as UTF-8, or set "
        "tokenizer = 'byte'"
    )
    assert len(text("déjà vu".encode("latin-1") * 100, tokenizer="byte").splits().train) > 1


@pytest.mark.parametrize("tokenizer", ["char", "byte"])
def test_a_text_that_is_too_short_is_refused(text, tokenizer):
    made = text("", tokenizer=tokenizer)
    with pytest.raises(DataError) as caught:
        made.splits()
    assert str(caught.value) == f"{made.path}: is empty"
    made = text("ab" * 50, tokenizer=tokenizer)
    with pytest.raises(DataError) as caught:
        made.splits()
    assert str(caught.value) == (
        f"{made.path}: the validation part has 10 tokens, too few for a window of context = 16 "
        "and the token behind it; lower context, or bring more text"
    )


def test_a_missing_file_is_refused(tmp_path):
    for tokenizer in ("char", "byte"):
        options = {"type": "text", "path": str(tmp_path / "no.txt"), "tokenizer": tokenizer}
        with pytest.raises(DataError) as caught:
            make("dataset", options).splits()
        assert str(caught.value) == f"{tmp_path / 'no.txt'}: no such file"


def test_a_corpus_is_looked_for_among_the_data(no_data, tmp_path, monkeypatch):
    made = make("dataset", {"type": "text", "corpus": "tinyshakespeare"})
    with pytest.raises(DataError) as caught:
        made.splits()
    assert str(caught.value) == (
        f"dataset 'tinyshakespeare': found no input.txt in {no_data / 'tinyshakespeare'}\n"
        "get input.txt from https://raw.githubusercontent.com/karpathy/char-rnn/master/data/"
        "tinyshakespeare/input.txt; put them there, or set MINIDL_DATA (the folder that holds "
        "tinyshakespeare/) or path to where they are"
    )
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path))
    (tmp_path / "tales").mkdir()
    (tmp_path / "tales" / "grimm.txt").write_text(TEXT)
    assert len(make("dataset", {"type": "text", "corpus": "tales"}).splits().classes) == 18
    (tmp_path / "tales" / "andersen.txt").write_text(TEXT)
    with pytest.raises(DataError) as caught:
        make("dataset", {"type": "text", "corpus": "tales"}).splits()
    assert str(caught.value) == (
        f"{tmp_path / 'tales'}: has several texts (andersen.txt, grimm.txt); set path to one"
    )


@pytest.mark.parametrize("options", [{}, {"path": "a.txt", "corpus": "b"}])
def test_a_text_is_a_path_or_a_corpus(options):
    with pytest.raises((ConfigError, ValueError), match="give either path, a file of text, or cor"):
        make("dataset", {"type": "text", **options})


def test_something_must_remain_to_train_with(text):
    with pytest.raises((ConfigError, ValueError), match="leave nothing to train with"):
        text(validation_fraction=0.5, test_fraction=0.5)


@pytest.mark.parametrize("tokenizer", ["char", "byte"])
def test_a_long_text_takes_a_byte_a_character_and_windows_nothing(text, tokenizer):
    made = text(TEXT * 5000, tokenizer=tokenizer, context=256)
    tracemalloc.start()
    train = made.splits().train
    held = tracemalloc.get_traced_memory()[0]
    for epoch in range(2):
        for number, _ in enumerate(batches(train, 32, 0, epoch)):
            if number == 5:
                break
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = 6_000_000
    assert held < size * 1.2
    assert peak < size * 1.3 + 30 * (1 << 20)


@pytest.mark.data
def test_tiny_shakespeare(data_folder, monkeypatch):
    monkeypatch.setenv("MINIDL_DATA", str(data_folder))
    made = make("dataset", {"type": "text", "corpus": "tinyshakespeare"})
    splits = made.splits()
    assert len(splits.classes) == 65
    assert (len(splits.train), len(splits.validation)) == (15684, 1742)
    assert made.decode(splits.train.span(0, 1)[0][0]).startswith(
        "First Citizen:\nBefore we proceed"
    )
