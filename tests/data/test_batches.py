import itertools
import tracemalloc

import numpy as np
import pytest

from minidl.data import Part, Transform, batch_count, batches, hold_out
from minidl.data.batches import (
    SHUFFLE,
    TEST,
    VALIDATION,
    balanced_order,
    random_order,
    split_rows,
)
from minidl.errors import DataError


def numbered(count, targets=None):
    inputs = np.arange(count * 2, dtype=np.uint8).reshape(count, 2)
    return Part(inputs, np.arange(count) if targets is None else targets)


def seen(part, *args, **kwargs):
    return [targets.tolist() for _, targets in batches(part, *args, **kwargs)]


def test_a_random_order_is_a_permutation_and_a_function_of_its_arguments():
    order = random_order(1000, seed=5, epoch=3)
    assert sorted(order) == list(range(1000))
    assert np.array_equal(order, random_order(1000, seed=5, epoch=3))
    others = [(6, SHUFFLE, 3), (5, VALIDATION, 3), (5, TEST, 3), (5, SHUFFLE, 4)]
    for seed, purpose, epoch in others:
        assert np.mean(order == random_order(1000, seed, purpose, epoch)) < 0.05


def test_a_random_order_is_pinned_so_that_runs_can_be_resumed_by_later_versions():
    assert random_order(8, seed=0).tolist() == [0, 2, 1, 5, 4, 3, 6, 7]
    assert random_order(8, seed=-1, epoch=2).tolist() == [5, 0, 1, 3, 2, 7, 6, 4]


def test_a_random_order_has_every_sample_in_every_place_alike():
    places = np.array([random_order(4, seed).tolist() for seed in range(4000)])
    counts = np.array([np.bincount(places[:, i], minlength=4) for i in range(4)])
    assert np.abs(counts - 1000).max() < 150


def test_an_epoch_has_each_sample_once_in_batches_of_the_size():
    found = seen(numbered(10), 4, seed=1)
    assert [len(batch) for batch in found] == [4, 4, 2]
    assert sorted(sum(found, [])) == list(range(10))


def test_batches_hold_the_inputs_of_their_targets():
    part = numbered(10)
    for inputs, targets in batches(part, 3, seed=2):
        assert np.array_equal(inputs, part.inputs[targets])
        assert inputs.dtype == np.uint8


def test_epochs_differ_and_are_repeatable():
    part = numbered(50)
    assert seen(part, 7, 1, 0) == seen(part, 7, 1, 0)
    assert seen(part, 7, 1, 0) != seen(part, 7, 1, 1)
    assert seen(part, 7, 1, 0) != seen(part, 7, 2, 0)


@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_goes_on_where_it_was_interrupted(shuffle):
    part = numbered(23)
    whole = seen(part, 5, 3, 2, shuffle=shuffle)
    for start in range(6):
        assert seen(part, 5, 3, 2, shuffle=shuffle, start=start) == whole[start:]


def test_the_last_batch_can_be_left_out():
    assert [len(b) for b in seen(numbered(10), 4, drop_last=True)] == [4, 4]
    assert batch_count(10, 4) == 3
    assert batch_count(10, 4, drop_last=True) == 2
    assert batch_count(8, 4, drop_last=True) == 2


def test_without_shuffling_batches_are_views_in_order():
    part = numbered(10)
    found = list(batches(part, 4, shuffle=False))
    assert np.concatenate([targets for _, targets in found]).tolist() == list(range(10))
    assert all(np.shares_memory(inputs, part.inputs) for inputs, _ in found)


def test_unshuffled_batches_are_laid_out_plainly_whatever_the_part():
    part = Part(np.asfortranarray(np.ones((9, 4))), np.zeros(9, np.int64))
    assert all(x.flags.c_contiguous and x.flags.aligned for x, _ in batches(part, 4, shuffle=False))


@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_heed_the_rows_of_a_part(shuffle):
    part = Part(np.arange(20).reshape(10, 2), np.arange(10), rows=np.array([1, 4, 9]))
    found = list(batches(part, 2, shuffle=shuffle))
    assert sorted(np.concatenate([targets for _, targets in found])) == [1, 4, 9]
    assert all(np.array_equal(inputs[:, 0], 2 * targets) for inputs, targets in found)


def test_an_epoch_takes_the_memory_of_a_batch_and_an_order():
    part = Part(np.ones((20_000, 784), np.uint8), np.zeros(20_000, np.int64))
    train, _ = hold_out(part, 0.1, 0)
    tracemalloc.start()
    for _ in batches(train, 64, seed=1):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    batch, order = 64 * (784 + 8), len(train) * 8
    assert peak < 3 * batch + 5 * order < part.inputs.nbytes / 10


def test_no_batch_is_an_error_on_the_call():
    with pytest.raises(DataError) as caught:
        batches(numbered(3), 4, drop_last=True)
    assert str(caught.value) == (
        "3 samples make no batch of 4; lower batch_size, or keep the last, smaller batch"
    )
    with pytest.raises(DataError) as caught:
        batches(numbered(3), 0)
    assert str(caught.value) == "a batch needs at least one sample, not batch_size = 0"


def test_hold_out_divides_a_part_and_copies_none_of_it():
    part = numbered(100, np.linspace(0, 1, 100, dtype=np.float32)[:, np.newaxis])
    train, held = hold_out(part, 0.25, seed=3)
    assert (len(train), len(held)) == (75, 25)
    assert sorted([*train.rows, *held.rows]) == list(range(100))
    assert train.inputs is part.inputs and held.targets is part.targets


def test_hold_out_is_a_function_of_the_seed():
    part = numbered(100)
    assert np.array_equal(hold_out(part, 0.2, 1)[1].rows, hold_out(part, 0.2, 1)[1].rows)
    assert not np.array_equal(hold_out(part, 0.2, 1)[1].rows, hold_out(part, 0.2, 2)[1].rows)


def test_hold_out_keeps_the_share_of_every_class():
    labels = np.repeat([0, 1, 2], [100, 37, 13])
    part = numbered(150, np.random.default_rng(0).permutation(labels))
    for seed in range(20):
        _, held = hold_out(part, 0.2, seed)
        counts = np.bincount(part.targets[held.rows], minlength=3)
        assert counts.sum() == 30
        assert np.abs(counts - [20, 7.4, 2.6]).max() <= 1


def test_every_sample_of_a_class_may_be_held_out():
    part = numbered(30, np.repeat([0, 1, 2], 10))
    ever = np.unique(np.concatenate([hold_out(part, 0.2, s)[1].rows for s in range(60)]))
    assert ever.tolist() == list(range(30))


def test_hold_out_of_a_part_that_shares_its_arrays_stays_within_it():
    part = numbered(40)
    rest, first = hold_out(part, 0.5, 0)
    rest, second = hold_out(rest, 0.5, 0)
    assert sorted([*rest.rows, *first.rows, *second.rows]) == list(range(40))


def test_hold_out_takes_at_least_one_and_leaves_at_least_one():
    rest, held = split_rows(5, 0.01, 0)
    assert (len(rest), len(held)) == (4, 1)
    with pytest.raises(DataError) as caught:
        hold_out(numbered(3), 0.9, 0)
    assert str(caught.value) == (
        "cannot hold out 0.9 of 3 samples and keep any; hold out less, or bring more samples"
    )


def imbalanced():
    return numbered(100, np.random.default_rng(1).permutation(np.repeat([0, 1, 2], [80, 15, 5])))


def positions(part, epoch, **options):
    """Return which samples an epoch has, in order, by their first input."""
    found = batches(part, 7, 3, epoch, **options)
    return np.concatenate([inputs[:, 0] // 2 for inputs, _ in found]).tolist()


def test_a_balanced_epoch_has_as_many_samples_of_every_class():
    part = imbalanced()
    for epoch in range(5):
        chosen = positions(part, epoch, sampler="balanced")
        counts = np.bincount(part.targets[chosen], minlength=3)
        assert counts.sum() == 100 and counts.max() - counts.min() <= 1
        times = np.bincount(chosen, minlength=100)
        for label in range(3):
            of_class = times[part.targets == label]
            assert of_class.max() - of_class.min() <= 1


def test_a_balanced_epoch_mixes_the_classes_and_differs_from_the_next():
    part = imbalanced()
    first, second = (positions(part, epoch, sampler="balanced") for epoch in (0, 1))
    assert first == positions(part, 0, sampler="balanced")
    assert first != second
    assert set(first) != set(second)
    changes = np.count_nonzero(np.diff(part.targets[first]))
    assert 50 < changes < 85
    assert positions(part, 0, sampler="balanced", start=9) == first[63:]


def test_every_sample_is_seen_over_balanced_epochs():
    ever = set().union(*(positions(imbalanced(), e, sampler="balanced") for e in range(40)))
    assert ever == set(range(100))


def test_which_class_has_one_more_says_nothing_about_the_order():
    classes = np.array([0, 1, 1])
    orders = {tuple(classes[balanced_order(classes, 0, epoch)]) for epoch in range(60)}
    assert orders == {o for o in itertools.product((0, 1), repeat=3) if 0 < sum(o) < 3}


def test_balancing_heeds_the_rows_of_a_part():
    rest, held = hold_out(imbalanced(), 0.5, 0)
    assert set(positions(rest, 0, sampler="balanced")) <= set(rest.rows.tolist())


def test_what_cannot_be_balanced_is_refused_on_the_call():
    with pytest.raises(DataError) as caught:
        batches(numbered(4, np.zeros((4, 1), np.float32)), 2, sampler="balanced")
    assert str(caught.value) == (
        "sampler = 'balanced' needs a class for each sample; the targets are float32[1] a sample"
    )
    with pytest.raises(DataError) as caught:
        batches(numbered(4), 2, sampler="balanced", shuffle=False)
    assert str(caught.value) == (
        "sampler = 'balanced' draws an order of its own; leave shuffle = true"
    )


class Noise(Transform):
    """Adds a number drawn for the batch, and remembers it."""

    def __call__(self, inputs, targets, draws):
        return inputs + draws.uniform(*inputs.shape), targets


@pytest.mark.parametrize("shuffle", [True, False])
def test_transforms_draw_anew_for_every_epoch_batch_and_place(shuffle):
    part = Part(np.zeros((12, 1)), np.arange(12))

    def noise(count, epoch=0):
        found = batches(part, 4, 1, epoch, shuffle=shuffle, transforms=[Noise()] * count)
        return np.concatenate([inputs for inputs, _ in found]).reshape(-1)

    once = noise(1)
    drawn = np.concatenate([once, noise(2) - once, noise(1, epoch=1)])
    assert len(np.unique(drawn.round(12))) == 36
    assert np.array_equal(once, noise(1))
    assert not part.inputs.any()


@pytest.mark.parametrize("prefetch", [0, 1, 3])
@pytest.mark.parametrize("sampler", ["uniform", "balanced"])
def test_a_transformed_epoch_goes_on_where_it_was_interrupted(prefetch, sampler):
    options = {"sampler": sampler, "transforms": [Noise(), Noise()]}
    part = imbalanced()
    whole = list(batches(part, 9, 3, 2, **options))
    for start in (0, 1, 5, 11, 12):
        found = list(batches(part, 9, 3, 2, start=start, prefetch=prefetch, **options))
        assert len(found) == 12 - start
        for (x, y), (wanted_x, wanted_y) in zip(found, whole[start:], strict=True):
            assert np.array_equal(x, wanted_x) and np.array_equal(y, wanted_y)


def test_an_error_in_a_transform_passes_through_the_thread():
    class Broken(Transform):
        def __call__(self, inputs, targets, draws):
            raise self.refuse("is broken")

    Broken.type_name = "broken"
    with pytest.raises(DataError, match="^transform 'broken' is broken$"):
        list(batches(numbered(10), 4, transforms=[Broken()], prefetch=2))
