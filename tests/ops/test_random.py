"""Random draws: NumPy's Philox bit for bit, the right distributions, and nothing remembered."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidl import ops
from minidl.backends import use_backend
from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.graph import Program, grad, placeholder, tensor
from minidl.ops.random import _philox

BACKENDS = ["numpy", "array_api_strict"]
COUNT = 200_000


def bits(key, shape, backend="numpy"):
    with use_backend(backend):
        return ops.random_bits(tensor(key), shape=shape).numpy()


# -- bits ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        (
            (0, 0, 0, 0),
            (0, 0),
            (0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B),
        ),
        (
            (0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89),
            (0x452821E638D01377, 0xBE5466CF34E90C6C),
            (0xA528F45403E61D95, 0x38C72DBD566E9788, 0xA5A1610E72FD18B5, 0x57BD43B5E52B7FE6),
        ),
    ],
)
def test_known_answers_of_philox4x64_10(counter, key, words):
    """The vectors for zeros and for the digits of π that its authors publish (Random123)."""
    made = _philox(*([np.array([n], "uint64") for n in part] for part in (counter, key)))
    assert tuple(int(word[0]) for word in made) == words


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_key_and_the_counter_stand_as_documented(backend):
    generator = np.random.Philox(key=np.array([11, 22], "uint64"), counter=[0, 0, 33, 0])
    np.testing.assert_array_equal(bits([11, 22, 33], (50,), backend), generator.random_raw(50))


@pytest.mark.parametrize("key", [[0, 0, 0], [1, 2, 3], [-1, -2, -3], [2**62, 2**33 + 1, 2**50]])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (4, 1, 16)])
def test_the_kernel_and_the_array_rule_give_the_same_bits(key, shape):
    found, expected = bits(key, shape), bits(key, shape, "array_api_strict")
    assert found.dtype == expected.dtype == np.uint64
    np.testing.assert_array_equal(found, expected)


def test_each_word_of_the_key_changes_the_draw():
    draws = [bits(key, (64,)) for key in ([0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1])]
    assert len({word for draw in draws for word in draw.tolist()}) == 5 * 64


def test_every_bit_is_1_half_of_the_time():
    ones = np.unpackbits(bits([5, 6, 7], (COUNT,)).view("uint8").reshape(COUNT, 8), axis=1)
    deviation = np.abs(ones.mean(axis=0) - 0.5) * 2 * math.sqrt(COUNT)
    assert deviation.max() < 4.5


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_may_be_an_input_of_a_program(backend):
    with use_backend(backend) as here:
        step = placeholder("step", (), "int64")
        program = Program([step], [ops.random_bits(ops.random_key(3, 4, step), shape=(6,))])
        for number in (0, 1, 2**40):
            (found,) = program([here.from_numpy(np.array(number))])
            np.testing.assert_array_equal(here.to_numpy(found), bits([3, 4, number], (6,)))


def test_a_key_holds_its_three_numbers():
    key = ops.random_key(-5, tensor(7, "uint32"), 2**63 - 1)
    np.testing.assert_array_equal(key.numpy(), [-5, 7, 2**63 - 1])
    assert key.dtype == "int64"


# -- distributions ---------------------------------------------------------------------------


@pytest.mark.parametrize("op", [ops.uniform, ops.normal])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (7,), (2, 0), (3, 4)])
def test_backends_agree(op, dtype, shape):
    results = []
    for name in BACKENDS:
        with use_backend(name):
            results.append(op(ops.random_key(1, 2, 3), shape=shape, dtype=dtype).numpy())
    assert results[0].shape == shape
    assert results[0].dtype == dtype
    if op is ops.uniform:
        np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_allclose(results[0], results[1], rtol=1e-6)


def test_half_precision_draws_exist():
    for op in (ops.uniform, ops.normal):
        drawn = op(ops.random_key(1, 2, 3), shape=(1000,), dtype="float16").numpy()
        assert drawn.dtype == np.float16
        assert len(set(drawn.tolist())) > 500
    assert ops.uniform(ops.random_key(1, 2, 3), shape=(10**5,), dtype="float16").numpy().max() < 1


def test_uniform_values_are_the_upper_bits():
    words = bits([1, 2, 3], (3,))
    halves = np.stack([words & np.uint64(0xFFFFFFFF), words >> np.uint64(32)], 1).reshape(-1)
    key = ops.random_key(1, 2, 3)
    np.testing.assert_array_equal(
        ops.uniform(key, shape=(5,)).numpy(), (halves[:5] >> np.uint64(8)) / 2.0**24
    )
    np.testing.assert_array_equal(
        ops.uniform(key, shape=(3,), dtype="float64").numpy(), (words >> np.uint64(11)) / 2.0**53
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_draws_follow_their_distribution(dtype):
    key = ops.random_key(1, 2, 3)
    drawn = ops.uniform(key, shape=(COUNT,), low=-1.0, high=3.0, dtype=dtype).numpy()
    assert drawn.min() >= -1.0
    assert drawn.max() <= 3.0
    assert kolmogorov((np.sort(drawn) + 1.0) / 4.0) < 1.95
    assert abs(drawn.mean() - 1.0) < 4.5 * 4 / math.sqrt(12 * COUNT)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_draws_follow_their_distribution(dtype):
    key = ops.random_key(1, 2, 3)
    drawn = ops.normal(key, shape=(COUNT,), mean=5.0, std=2.0, dtype=dtype).numpy()
    standard = np.sort((drawn.astype("float64") - 5.0) / 2.0)
    distribution = 0.5 * (1 + np.vectorize(math.erf)(standard / math.sqrt(2)))
    assert kolmogorov(distribution) < 1.95
    assert abs(standard.mean()) < 4.5 / math.sqrt(COUNT)
    assert abs(standard.var() - 1) < 4.5 * math.sqrt(2 / COUNT)
    assert abs((standard**4).mean() - 3) < 4.5 * math.sqrt(96 / COUNT)


def kolmogorov(values):
    """Return √n times the distance of sorted values from the even distribution on [0, 1].

    Above 1.95 in one draw of a thousand.
    """
    n = len(values)
    steps = np.arange(n + 1) / n
    return math.sqrt(n) * max((values - steps[:-1]).max(), (steps[1:] - values).max())


@pytest.mark.parametrize(
    "pair", [((1, 2, 3), (1, 2, 4)), ((1, 2, 3), (1, 3, 3)), ((1, 2, 3), (2, 2, 3))]
)
def test_draws_of_different_keys_are_uncorrelated(pair):
    a, b = (ops.normal(ops.random_key(*key), shape=(COUNT,)).numpy() for key in pair)
    assert abs((a.astype("float64") * b).mean()) < 4.5 / math.sqrt(COUNT)


def test_both_numbers_of_a_pair_are_uncorrelated():
    drawn = ops.normal(ops.random_key(1, 2, 3), shape=(2, COUNT // 2), dtype="float64").numpy()
    assert abs((drawn[0] * drawn[1]).mean()) < 4.5 / math.sqrt(COUNT / 2)
    assert abs((drawn[0] ** 2 * drawn[1] ** 2).mean() - 1) < 4.5 * math.sqrt(8 / (COUNT / 2))


def test_normal_is_finite_where_the_bits_are_extreme():
    words = np.array([0, 2**64 - 1, 0, 2**64 - 1], "uint64")
    for backend in BACKENDS:
        with use_backend(backend):
            for dtype, largest in (("float32", 6.8), ("float64", 8.7)):
                drawn = ops.normal_from_bits(tensor(words), shape=(4,), dtype=dtype).numpy()
                assert np.isfinite(drawn).all()
                assert largest - 0.2 < np.abs(drawn).max() < largest


# -- bernoulli and dropout -------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.5, 0.93])
def test_bernoulli_is_true_with_probability_p(p):
    drawn = ops.bernoulli(ops.random_key(1, 2, 3), p, shape=(COUNT,)).numpy()
    assert drawn.dtype == bool
    assert abs(drawn.mean() - p) < 4.5 * math.sqrt(p * (1 - p) / COUNT)


def test_bernoulli_is_never_true_at_0_and_always_at_1():
    key = ops.random_key(1, 2, 3)
    assert not ops.bernoulli(key, 0, shape=(COUNT,)).numpy().any()
    assert ops.bernoulli(key, 1, shape=(COUNT,)).numpy().all()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.99])
def test_dropout_keeps_the_expected_value(p):
    x = tensor(np.ones(COUNT))
    dropped = ops.dropout(x, ops.random_key(1, 2, 3), p=p)
    values = dropped.numpy()
    assert sorted(set(values.tolist())) == [0.0, 1.0 / (1.0 - p)]
    assert abs((values == 0).mean() - p) < 4.5 * math.sqrt(p * (1 - p) / COUNT)
    np.testing.assert_array_equal(grad(dropped.sum(), x).numpy(), values)


def test_dropout_drops_what_is_not_finite():
    x = tensor(np.full(1000, np.nan))
    values = ops.dropout(x, ops.random_key(1, 2, 3), p=0.5).numpy()
    assert (values == 0).sum() + np.isnan(values).sum() == 1000
    assert 400 < (values == 0).sum() < 600


def test_dropout_of_nothing_is_the_value_itself():
    x = tensor([1.0, 2.0])
    assert ops.dropout(x, ops.random_key(1, 2, 3), p=0.0) is x


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_mask_depends_on_the_key_alone(backend):
    with use_backend(backend):
        x = tensor(np.arange(1.0, 65.0))
        first, again, other = (
            ops.dropout(x, ops.random_key(*key), p=0.5).numpy()
            for key in ((1, 2, 3), (1, 2, 3), (1, 2, 4))
        )
    np.testing.assert_array_equal(first, again)
    assert ((first == 0) != (other == 0)).any()


# -- messages --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda key: ops.dropout(tensor([1.0]), key, p=1.0),
            GraphError,
            "dropout: p must be at least 0 and below 1, not 1.0",
        ),
        (
            lambda key: ops.dropout(tensor([1.0]), key, p=-0.1),
            GraphError,
            "dropout: p must be at least 0 and below 1, not -0.1",
        ),
        (
            lambda key: ops.dropout(tensor([1]), key, p=0.5),
            DtypeError,
            "dropout: takes floats, not int64",
        ),
        (
            lambda key: ops.bernoulli(key, 1.5, shape=()),
            GraphError,
            "bernoulli: p must be from 0 to 1, not 1.5",
        ),
        (
            lambda key: ops.bernoulli(key, math.nan, shape=()),
            GraphError,
            "bernoulli: p must be from 0 to 1, not nan",
        ),
        (
            lambda key: ops.uniform(key, shape=(), low=1.0, high=0.5),
            GraphError,
            "uniform: high must not be below low, but 0.5 < 1.0",
        ),
        (
            lambda key: ops.normal(key, shape=(), std=-1.0),
            GraphError,
            "normal: std must not be negative, not -1.0",
        ),
        (
            lambda key: ops.uniform(key, shape=(), dtype="int64"),
            DtypeError,
            "uniform: draws have a float dtype, not int64",
        ),
        (
            lambda key: ops.uniform(tensor(3), shape=(2,)),
            DtypeError,
            "uniform: a key comes from random_key(seed, stream, step); this is int64[]",
        ),
        (
            lambda key: ops.random_key(1.5, 0, 0),
            DtypeError,
            "random_key: seed must be one integer, not float32[]",
        ),
        (
            lambda key: ops.random_key(0, [1, 2], 0),
            DtypeError,
            "random_key: stream must be one integer, not int64[2]",
        ),
        (
            lambda key: ops.uniform_from_bits(ops.random_bits(key, shape=(3,)), shape=(7,)),
            ShapeError,
            "uniform_from_bits: a draw of shape (7,) takes 4 words of bits, not uint64[3]",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, error, message):
    with pytest.raises(error) as caught:
        call(ops.random_key(1, 2, 3))
    assert str(caught.value) == message
