"""Arguments that an op cannot take: the error names the op that was called and the numbers."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import ops
from minidl.errors import DataError, DtypeError, GraphError, ShapeError
from minidl.graph import placeholder, tensor


def of(*shape):
    return placeholder("x", shape)


SEQUENCE, IMAGE = of(2, 3, 8), of(2, 3, 8, 8)
KERNEL, KERNEL_2D, BACK = of(4, 3, 3), of(4, 3, 3, 3), of(3, 4, 3)
ONES = tensor(np.ones((2, 3), "float32"))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ops.conv1d(SEQUENCE, of(4, 3, 9)),
            "conv1d: a kernel of 9 does not fit into an input of 8",
        ),
        (
            lambda: ops.conv1d(SEQUENCE, KERNEL, dilation=4),
            "conv1d: a kernel of 3 with dilation 4 does not fit into an input of 8",
        ),
        (
            lambda: ops.conv1d(SEQUENCE, of(4, 2, 3)),
            "conv1d: an input with 3 channels in 1 groups takes a weight of shape "
            "(out, 3, length), not (4, 2, 3)",
        ),
        (
            lambda: ops.conv1d(SEQUENCE, KERNEL, groups=2),
            "conv1d: 3 channels in and 4 out do not fall into 2 groups",
        ),
        (
            lambda: ops.conv1d(SEQUENCE, KERNEL, padding="same", stride=2),
            "conv1d: padding 'same' needs a stride of 1, not 2; give it as numbers",
        ),
        (
            lambda: ops.conv1d(SEQUENCE, KERNEL, padding="full"),
            "conv1d: padding of a sequence is a number, ((before, after),), 'same' or 'valid', "
            "not 'full'",
        ),
        (
            lambda: ops.conv1d(SEQUENCE, KERNEL, stride=0),
            "conv1d: stride of a sequence is one number from 1 on, not 0",
        ),
        (
            lambda: ops.conv1d(IMAGE, KERNEL),
            "conv1d: takes sequences of shape (batch, channels, length) and a weight of shape "
            "(out, in, length), not (2, 3, 8, 8) and (4, 3, 3)",
        ),
        (
            lambda: ops.conv2d(IMAGE, KERNEL_2D, stride=1.5),
            "conv2d: stride is a number or a pair of numbers from 1 on, not 1.5",
        ),
        (
            lambda: ops.conv_transpose1d(SEQUENCE, of(2, 4, 3)),
            "conv_transpose1d: an input with 3 channels takes a weight of shape "
            "(3, out / groups, length), not (2, 4, 3)",
        ),
        (
            lambda: ops.conv_transpose1d(SEQUENCE, BACK, padding=9),
            "conv_transpose1d: an input of 8 and a kernel of 3 make an output of -8 when padding "
            "(9, 9) is cut from it",
        ),
        (
            lambda: ops.conv_transpose1d(SEQUENCE, BACK, padding="same"),
            "conv_transpose1d: a transposed convolution takes padding as numbers, not 'same'",
        ),
        (
            lambda: ops.conv_transpose1d(SEQUENCE, BACK, output_padding=1),
            "conv_transpose1d: output_padding 1 must be less than the stride or the dilation, "
            "1 and 1",
        ),
        (
            lambda: ops.conv_transpose2d(of(2, 3, 0, 8), of(3, 4, 3, 3)),
            "conv_transpose2d: takes an input and a kernel that have elements, not 0 x 8 and 3 x 3",
        ),
        (
            lambda: ops.max_pool1d(SEQUENCE, kernel_size=9),
            "max_pool1d: a kernel of 9 does not fit into an input of 8",
        ),
        (
            lambda: ops.max_pool1d(SEQUENCE, kernel_size=2, padding=2),
            "max_pool1d: padding (2, 2) leaves a window of 2 without any element of the input of 8",
        ),
        (
            lambda: ops.max_pool1d(SEQUENCE, kernel_size=2, padding=-1),
            "max_pool1d: padding -1 is negative; cut with a slice instead",
        ),
        (
            lambda: ops.avg_pool1d(SEQUENCE, kernel_size=2, padding="same"),
            "avg_pool1d: padding of a sequence is a number or ((before, after),), not 'same'",
        ),
        (
            lambda: ops.avg_pool1d(SEQUENCE, kernel_size=(1, 2)),
            "avg_pool1d: kernel_size of a sequence is one number from 1 on, not (1, 2)",
        ),
        (
            lambda: ops.avg_pool2d(IMAGE, kernel_size=9),
            "avg_pool2d: a kernel of 9 x 9 does not fit into an input of 8 x 8",
        ),
        (
            lambda: ops.avg_pool2d(IMAGE, kernel_size=2, padding="same"),
            "avg_pool2d: padding is a number, (height, width) or ((top, bottom), (left, right)), "
            "not 'same'",
        ),
        (
            lambda: ops.adaptive_avg_pool2d(IMAGE, output_size=2.5),
            "adaptive_avg_pool2d: output_size is a number or a pair of numbers from 1 on, not 2.5",
        ),
        (
            lambda: ops.adaptive_max_pool1d(of(2, 3, 0), output_size=2),
            "adaptive_max_pool1d: takes sequences of shape (batch, channels, length) that have "
            "elements, not (2, 3, 0)",
        ),
        (
            lambda: ops.layer_norm(of(2, 0), of(0), of(0)),
            "layer_norm: shape (2, 0) has no elements along axis 1",
        ),
        (
            lambda: ops.pairwise_distance(of(4, 3), of(4, 2)),
            "pairwise_distance: shapes (4, 3) and (4, 2) do not broadcast: axis -1 is 3 in one "
            "and 2 in the other",
        ),
        (
            lambda: ops.sinusoidal_positions(length=-1, width=3),
            "sinusoidal_positions: shape (-1, 3) has a negative length",
        ),
        (lambda: ops.one_hot(tensor([0]), -1), "one_hot: there cannot be -1 classes"),
    ],
)
def test_sizes_that_do_not_fit(call, message):
    with pytest.raises(ShapeError) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: ops.rope(of(2, 3, 4), base=0.0),
            GraphError,
            "rope: base must be above 0 and finite, not 0.0",
        ),
        (
            lambda: ops.full((2,), 300, dtype="uint8"),
            DtypeError,
            "full: 300 is no value of dtype uint8",
        ),
        (
            lambda: ops.full((2,), -129, dtype="int8"),
            DtypeError,
            "full: -129 is no value of dtype int8",
        ),
        (
            lambda: ops.in_range(of(3), low=0, high=2),
            DtypeError,
            "in_range: its input must be integers, not float32",
        ),
    ],
)
def test_values_that_cannot_be(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ops.conv2d(IMAGE, KERNEL_2D, groups="2"),
            "conv2d: 'str' object cannot be interpreted as an integer (with groups = '2')",
        ),
        (
            lambda: ops.cross_entropy(of(4, 5), tensor([0, 1, 2, 3]), label_smoothing="a"),
            "cross_entropy: '<=' not supported between instances of 'int' and 'str' "
            "(with label_smoothing = 'a')",
        ),
        (
            lambda: ops.interpolate(IMAGE, scale_factor=float("nan")),
            "interpolate: cannot convert float NaN to integer (with scale_factor = nan)",
        ),
        (
            lambda: ops.leaky_relu(of(4), negative_slope="a"),
            "leaky_relu: could not convert string to float: 'a' (with negative_slope = 'a')",
        ),
        (
            lambda: of(4)[::0],
            "getitem: slice step cannot be zero (with key = slice(None, None, 0))",
        ),
    ],
)
def test_options_of_a_wrong_kind_are_named(call, message):
    with pytest.raises(GraphError) as caught:
        call()
    assert str(caught.value) == message
    assert isinstance(caught.value.__cause__, (TypeError, ValueError))


# -- what only a run shows ---------------------------------------------------------------------


def ctc(target, steps, labels):
    logits = tensor(np.zeros((4, 2, 3), "float32"))
    return ops.ctc(logits, tensor(target), tensor(steps), tensor(labels))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            lambda: ops.in_range(tensor([[0, 1], [5, 2]]), low=0, high=3, name="index"),
            "index 5 at [1, 0] is not from 0 to 3",
        ),
        (lambda: ops.in_range(tensor(-1), low=0, high=3), "value -1 is not from 0 to 3"),
        (lambda: ctc([[1, 2], [1, 3]], [4, 4], [2, 2]), "class 3 at [1, 1] is not from 0 to 2"),
        (lambda: ctc([[1, -1], [1, 2]], [4, 4], [2, 2]), "class -1 at [0, 1] is not from 0 to 2"),
        (lambda: ctc([[1, 2], [1, 2]], [4, 5], [2, 2]), "input length 5 at [1] is not from 1 to 4"),
        (lambda: ctc([[1, 2], [1, 2]], [0, 4], [2, 2]), "input length 0 at [0] is not from 1 to 4"),
        (
            lambda: ctc([[1, 2], [1, 2]], [4, 4], [3, 2]),
            "target length 3 at [0] is not from 0 to 2",
        ),
        (
            lambda: ops.cosine_embedding(ONES, ONES, tensor([1, 2])),
            "target 2 at [1] is not from -1 to 1",
        ),
    ],
)
def test_values_out_of_range_are_found_when_the_program_runs(made, message):
    with pytest.raises(DataError) as caught:
        made().numpy()
    assert str(caught.value) == message
