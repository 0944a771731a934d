import threading
import time

import pytest

from minidl.data.prefetch import prefetched


def threads():
    return [t for t in threading.enumerate() if t.name == "minidl-prefetch"]


@pytest.mark.parametrize("depth", [1, 2, 7, 100])
def test_the_values_are_the_same_in_the_same_order(depth):
    assert list(prefetched(iter(range(50)), depth)) == list(range(50))
    assert threads() == []


def test_nothing_runs_before_the_first_value_is_asked_for():
    made = []
    values = prefetched((made.append(i) or i for i in range(3)), 2)
    assert made == [] and threads() == []
    values.close()
    assert made == []


@pytest.mark.parametrize("depth", [1, 3])
def test_no_more_is_made_ahead_than_asked_for(depth):
    made = []
    values = prefetched((made.append(i) or i for i in range(100)), depth)
    for taken in range(1, 5):
        next(values)
        deadline = time.monotonic() + 5
        while len(made) < taken + depth and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.005)
        assert len(made) == taken + depth
    values.close()


def test_what_the_source_raises_is_raised_in_its_place():
    def source():
        yield 1
        yield 2
        raise ValueError("the third is broken")

    values = prefetched(source(), 8)
    assert [next(values), next(values)] == [1, 2]
    with pytest.raises(ValueError, match="the third is broken"):
        next(values)
    assert threads() == []


def test_the_thread_ends_when_who_takes_the_values_fails():
    with pytest.raises(KeyboardInterrupt):
        for value in prefetched(iter(range(1000)), 2):
            if value == 3:
                raise KeyboardInterrupt
    assert threads() == []


def test_the_thread_ends_on_close_while_it_waits_for_room():
    values = prefetched(iter(range(1000)), 2)
    next(values)
    assert len(threads()) == 1
    values.close()
    assert threads() == []
    assert list(values) == []
