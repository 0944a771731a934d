"""What comes next: how a token is drawn from logits."""

import numpy as np
import pytest

from minidl.data.draws import Draws
from minidl.data.generation import pick


def picked(logits, temperature=1.0, top_k=None, times=200):
    draws = (Draws(0, 0, index) for index in range(times))
    return [pick(np.array(logits), temperature, top_k, each) for each in draws]


def test_probabilities_are_those_of_the_softmax():
    logits = np.log([0.1, 0.6, 0.3])
    shares = np.bincount(picked(logits, times=2000)) / 2000
    assert shares == pytest.approx([0.1, 0.6, 0.3], abs=0.04)
    assert set(picked(logits, temperature=0)) == {1}


def test_top_k_draws_from_the_largest():
    assert set(picked([0.0, 1.0, -1.0, 1.5], top_k=2)) == {1, 3}
    assert set(picked([0.0, 1.0, -1.0, 1.5], top_k=9)) == {0, 1, 2, 3}


def test_of_equal_logits_top_k_takes_the_first():
    assert set(picked([0.0, 2.0, 2.0, 2.0], top_k=1)) == {1}
    assert set(picked([0.0, 2.0, 1.0, 2.0, 1.0], top_k=3)) == {1, 2, 3}
