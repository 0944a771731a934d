"""``minidl predict --prompt``: a network of text goes on with what it is given."""

import json

import pytest

TEXT = """
name = "letters"
device = "cpu"

[data]
dataset = "text"
path = "abc.txt"
context = 8
batch_size = 8

[model]
layers = [
  { type = "embedding", num_embeddings = 4, embedding_dim = 8 },
  { type = "linear", units = 4 },
]

[loss]
type = "cross_entropy"

[optimizer]
type = "adam"
lr = 0.1

[training]
epochs = 20
"""


@pytest.fixture
def alphabet(cli, tmp_path):
    """Return a run that was trained on ``abcdabcd…``; its text is gone."""
    (tmp_path / "abc.txt").write_text("abcd" * 200)
    (tmp_path / "text.toml").write_text(TEXT)
    result = cli("train", "text.toml", "-o", "run", "-q")
    assert result.code == 0, result.err
    (tmp_path / "abc.txt").unlink()
    return tmp_path / "run"


def test_it_continues_what_it_has_learnt(cli, alphabet):
    result = cli("predict", alphabet, "--prompt", "ab", "--length", 13, "--temperature", 0)
    assert result.code == 0, result.err
    assert result.out == "abcdabcdabcdabc\n"


def test_the_same_seed_draws_the_same_text(cli, alphabet):
    options = ("--prompt", "a", "--length", 60, "--temperature", 5)
    texts = [
        cli("predict", alphabet, *options, "--seed", seed, "--top-k", 3).out for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]
    report = json.loads(cli("predict", alphabet, *options, "--json").out)
    assert report["prompt"] == "a"
    assert len(report["text"]) == 61


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--prompt", "xyz"), "'x' is not among the 4 characters of the vocabulary"),
        (("--prompt", ""), "the prompt is empty; give at least one character to continue"),
        ((), "give either --input FILE or, for text, --prompt TEXT"),
    ],
)
def test_a_prompt_that_cannot_be_continued_is_an_error(cli, alphabet, options, message):
    result = cli("predict", alphabet, *options)
    assert result.code != 0
    assert message in result.err


def test_a_network_of_images_takes_no_prompt(cli, trained):
    result = cli("predict", trained, "--prompt", "7")
    assert result.code == 1
    assert result.err == (
        "error: a prompt continues a text, but this network was not trained on one\n"
    )
