import numpy as np
import pytest

from minidl.data.draws import WINDOWS, Draws, random_below


def test_draws_are_a_function_of_their_arguments():
    first = Draws(1, 2, 3, 4).uniform(50)
    assert np.array_equal(first, Draws(1, 2, 3, 4).uniform(50))
    for other in [(0, 2, 3, 4), (1, 0, 3, 4), (1, 2, 0, 4), (1, 2, 3, 0)]:
        assert not np.isin(Draws(*other).uniform(50), first).any()


def test_draws_are_pinned_so_that_runs_can_be_resumed_by_later_versions():
    draws = Draws(7, 1, 2)
    assert draws.uniform(2).tolist() == [0.9993927097549617, 0.11375030275264253]
    assert draws.integers(1000, 3).tolist() == [99, 420, 994]
    assert draws.permutation(5).tolist() == [0, 1, 3, 4, 2]


def test_one_source_gives_new_numbers_each_time():
    draws = Draws(0, 0, 0)
    assert not np.isin(draws.uniform(100), draws.uniform(100)).any()


def test_uniform_numbers_are_uniform():
    drawn = Draws(0, 0, 0).uniform(100, 1000)
    assert drawn.shape == (100, 1000)
    assert drawn.min() >= 0 and drawn.max() < 1
    assert np.abs(np.histogram(drawn, 10, (0, 1))[0] - 10_000).max() < 400


def test_integers_take_every_value_alike():
    drawn = Draws(0, 0, 1).integers(7, 70_000)
    assert drawn.dtype == np.int64
    assert np.abs(np.bincount(drawn, minlength=7) - 10_000).max() < 400


def test_chance_is_true_as_often_as_asked():
    draws = Draws(0, 0, 2)
    assert draws.chance(0.3, 100_000).mean() == pytest.approx(0.3, abs=0.006)
    assert not draws.chance(0.0, 1000).any()
    assert draws.chance(1.0, 1000).all()


def test_a_permutation_has_every_order_alike():
    draws = Draws(0, 0, 3)
    orders = np.array([draws.permutation(3) for _ in range(6000)]) @ [9, 3, 1]
    _, counts = np.unique(orders, return_counts=True)
    assert len(counts) == 6
    assert np.abs(counts - 1000).max() < 150


@pytest.mark.parametrize("alpha", [0.01, 0.2, 0.5, 1.0, 3.0, 50.0])
def test_beta_has_the_distribution(alpha):
    drawn = np.sort(Draws(0, 0, 4).beta(alpha, 40_000))
    assert drawn[0] >= 0 and drawn[-1] <= 1
    other = np.sort(np.random.default_rng(0).beta(alpha, alpha, 40_000))
    drawn, other = drawn.round(12), other.round(12)  # close to 0, one of them has more digits
    everything = np.concatenate([drawn, other])
    distance = np.abs(
        np.searchsorted(drawn, everything, "right") - np.searchsorted(other, everything, "right")
    )
    # Kolmogorov and Smirnov: 0.0137 is passed by chance once in a thousand pairs of samples.
    assert distance.max() / 40_000 < 0.0137


def test_one_number_below_another():
    drawn = [random_below(5, seed, WINDOWS) for seed in range(5000)]
    assert np.abs(np.bincount(drawn, minlength=5) - 1000).max() < 150
    assert random_below(1, 3, WINDOWS) == 0
    assert random_below(10**6, 3, WINDOWS, 1) != random_below(10**6, 3, WINDOWS, 2)
