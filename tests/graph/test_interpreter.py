"""Programs: inputs, outputs, state, shared buffers, freed values, threads."""

from __future__ import annotations

import contextlib
import sys
import threading
import tracemalloc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl import ops, registry
from minidl.backends import Backend, backend, kernel, use_backend
from minidl.errors import GraphError, ShapeError
from minidl.graph import Program, State, evaluate, grad, placeholder, tensor


def f64(name, *shape):
    return placeholder(name, shape, "float64")


# -- inputs and outputs ----------------------------------------------------------------------


def test_a_program_runs_any_number_of_times():
    x, y = f64("x", 2), f64("y", 2)
    program = Program([x, y], [x * y, x + y])
    for k in (1.0, 5.0):
        product, total = program([np.array([1.0, 2.0]), np.array([k, k])])
        np.testing.assert_array_equal(product, [k, 2 * k])
        np.testing.assert_array_equal(total, [1 + k, 2 + k])


def test_two_runs_return_arrays_of_their_own():
    x = f64("x", 3)
    y = ops.exp(x)
    outputs = [y, y.reshape(3, 1), y, x, tensor(np.ones(3)), (x * 2.0).reshape(1, 3)]
    program = Program([x], outputs)
    given_ = np.zeros(3)
    first = program([given_])
    kept = [array.copy() for array in first]
    second = program([np.full(3, 4.0)])
    for array, before in zip(first, kept, strict=True):
        np.testing.assert_array_equal(array, before)
    arrays = [*first, *second, given_]
    for i, a in enumerate(arrays):
        for b in arrays[:i]:
            assert not np.shares_memory(a, b)


def test_writing_into_a_result_does_not_change_the_graph():
    constant = tensor(np.ones(3))
    program = Program([], [constant, constant.reshape(3, 1)])
    for array in program():
        array[:] = 9
    np.testing.assert_array_equal(program()[0], np.ones(3))


def test_inputs_need_not_be_used():
    x, unused = f64("x", 1), f64("unused", 2)
    (result,) = Program([unused, x], [x + 1.0])([np.zeros(2), np.ones(1)])
    assert result == [2]


def test_the_number_of_inputs_is_checked():
    x = f64("x", 1)
    with pytest.raises(GraphError) as caught:
        Program([x], [x + 1.0])([])
    assert str(caught.value) == "the program takes 1 inputs, 0 were given"


@pytest.mark.parametrize(
    ("array", "found"),
    [(np.zeros((2, 2)), "float64[2, 2]"), (np.zeros((2, 3), "float32"), "float32[2, 3]")],
)
def test_an_input_of_another_spec_is_named(array, found):
    x = f64("x", 2, 3)
    with pytest.raises(ShapeError) as caught:
        Program([x], [x + 1.0])([array])
    assert str(caught.value) == f"input 'x' takes float64[2, 3], not {found}"


def test_a_placeholder_that_is_no_input_is_named():
    x, y = f64("x", 1), f64("y", 2)
    with pytest.raises(GraphError, match=r"^placeholder 'y' float64\[2\] has no value here"):
        Program([x], [x * y])


def test_values_that_are_known_are_not_computed_again():
    x = tensor(np.ones(2))
    known = ops.exp(x)
    known.numpy()
    program = Program([], [known * 2.0])
    assert [node.op.name for node in program.nodes] == ["multiply"]


def test_what_has_no_inputs_is_computed_once_and_handed_out_as_copies():
    x, numbers = f64("x", 3), ops.arange(3, dtype="float64")
    program = Program([x], [x + numbers, numbers])
    assert [node.op.name for node in program.nodes] == ["add"]
    for _ in range(2):
        total, handed_out = program([np.ones(3)])
        np.testing.assert_array_equal(total, [1.0, 2.0, 3.0])
        np.testing.assert_array_equal(handed_out, [0.0, 1.0, 2.0])
        handed_out[:] = 7


def test_a_program_holds_no_fills():
    x = f64("x")
    tracemalloc.start()
    try:
        program = Program([x], [(x + ops.ones((1000, 1000), dtype="float64")).sum()])
        held = tracemalloc.get_traced_memory()[0]
        np.testing.assert_array_equal(program([np.zeros(())])[0], 1e6)
    finally:
        tracemalloc.stop()
    assert held < 12_000_000  # of the sum's terms alone


def test_what_has_no_inputs_may_be_the_next_value_of_a_state():
    w = f64("w", 2)
    program = Program([], [w.sum()], [(w, ops.arange(2, dtype="float64"))])
    state = State({"w": np.ones(2)})
    assert [float(program([], state)[0]) for _ in range(3)] == [2.0, 1.0, 1.0]
    state.values["w"][:] = 9
    assert [float(program([], state)[0]) for _ in range(2)] == [18.0, 1.0]


def test_walking_shows_every_node_even_those_computed_since():
    x = tensor(np.ones(2))
    y = ops.exp(x)
    z = y * 2.0
    program = Program([], [z])
    y.numpy()
    seen = {id(node): value for node, value in program.walk()}
    np.testing.assert_allclose(seen[id(y)], np.exp(np.ones(2)))
    np.testing.assert_allclose(seen[id(z)], 2 * np.exp(np.ones(2)))


def test_floating_point_warnings_are_kept_quiet():
    with np.errstate(all="raise"):
        (result,) = evaluate([ops.exp(tensor([1e4])) * 0.0])
    assert np.isnan(result).all()


# -- state -----------------------------------------------------------------------------------


def momentum_program():
    w, v, x = f64("w", 2), f64("v", 2), f64("x", 2)
    new_v = v * 0.5 + x
    new_w = w - new_v
    return Program([x], [new_w.sum()], [(w, new_w), (v, new_v)])


def test_state_is_replaced_by_each_run():
    program = momentum_program()
    state = State({"w": np.zeros(2), "v": np.zeros(2)})
    w, v = np.zeros(2), np.zeros(2)
    for step in range(5):
        x = np.array([1.0, float(step)])
        (total,) = program([x], state)
        v = v * 0.5 + x
        w = w - v
        np.testing.assert_array_equal(state.values["w"], w)
        np.testing.assert_array_equal(state.values["v"], v)
        assert total == w.sum()


def test_a_run_can_be_undone():
    program = momentum_program()
    state = State({"w": np.zeros(2), "v": np.zeros(2)})
    program([np.ones(2)], state)
    before = {name: array.copy() for name, array in state.values.items()}
    program([np.ones(2)], state)
    state.undo()
    for name, array in before.items():
        np.testing.assert_array_equal(state.values[name], array)
    program([np.ones(2)], state)
    np.testing.assert_array_equal(state.values["v"], [1.5, 1.5])


def test_state_that_is_exchanged_kept_or_set_to_an_input():
    a, b, c, x = f64("a", 1), f64("b", 1), f64("c", 1), f64("x", 1)
    program = Program([x], [], [(a, b), (b, a), (c, x)])
    state = State({"a": np.array([1.0]), "b": np.array([2.0]), "c": np.array([0.0])})
    given_ = np.array([7.0])
    program([given_], state)
    assert [float(state.values[name][0]) for name in "abc"] == [2.0, 1.0, 7.0]
    assert not np.shares_memory(state.values["c"], given_)
    program([np.array([8.0])], state)
    assert [float(state.values[name][0]) for name in "abc"] == [1.0, 2.0, 8.0]


def test_two_states_with_one_next_value_do_not_share_it():
    a, b = f64("a", 2), f64("b", 2)
    new = a + b
    program = Program([], [new], [(a, new), (b, new)])
    state = State({"a": np.ones(2), "b": np.ones(2)})
    for expected in (2.0, 4.0, 8.0):
        (output,) = program([], state)
        arrays = [output, *state.values.values()]
        for array in arrays:
            np.testing.assert_array_equal(array, [expected, expected])
        assert not np.shares_memory(arrays[1], arrays[2])
        assert not np.shares_memory(arrays[0], arrays[1])


def test_a_run_that_fails_leaves_state_alone():
    program = momentum_program()
    state = State({"w": np.zeros(2), "v": np.zeros(2)})
    with pytest.raises(ShapeError):
        program([np.zeros(3)], state)
    np.testing.assert_array_equal(state.values["w"], np.zeros(2))


def test_a_program_with_state_needs_one():
    with pytest.raises(GraphError) as caught:
        momentum_program()([np.zeros(2)])
    assert str(caught.value) == "the program has state; give it a State to run on"


def test_walking_leaves_state_alone():
    program = momentum_program()
    state = State({"w": np.zeros(2), "v": np.ones(2)})
    list(program.walk([np.ones(2)], state))
    np.testing.assert_array_equal(state.values["v"], np.ones(2))


# -- buffers never change a result -----------------------------------------------------------

UNARY = (
    ops.negative,
    ops.exp,
    ops.sigmoid,
    ops.relu,
    lambda a: ops.sum(a, axis=0, keepdims=True) + a * 0.0,
    lambda a: ops.matrix_transpose(a),
    lambda a: ops.reshape(ops.reshape(a, (-1,)), a.shape),
    lambda a: ops.flip(a, axis=0),
    lambda a: ops.max(a, axis=1, keepdims=True),
    lambda a: a[:1] + a,
)
BINARY = (ops.add, ops.multiply, ops.subtract, ops.maximum, ops.matmul)


@st.composite
def recipes(draw):
    """Return steps (op, operands), which values are outputs, and which is the next state.

    Most operands are recent, so that buffers are in use when others are asked for.
    """

    def operand(known):
        return max(known - 1 - draw(st.sampled_from((0, 1, 2, 3, 5, 8, 99))), 0)

    steps = []
    for known in range(3, 3 + draw(st.integers(4, 16))):
        if draw(st.booleans()):
            steps.append((draw(st.sampled_from(UNARY)), (operand(known),)))
        else:
            steps.append((draw(st.sampled_from(BINARY)), (operand(known), operand(known))))
    last = len(steps) + 2
    outputs = draw(st.lists(st.integers(0, last), max_size=3))
    return steps, [*outputs, last], draw(st.integers(0, last))


def build(steps):
    x, y, w = f64("x", 3, 3), f64("y", 3, 3), f64("w", 3, 3)
    nodes = [x, y, w]
    for apply, operands in steps:
        inputs = [ops.tanh(nodes[i]) if apply is ops.exp else nodes[i] for i in operands]
        inputs = [i if i.shape == (3, 3) else ops.broadcast_to(i, (3, 3)) for i in inputs]
        nodes.append(apply(*inputs))
    return nodes


def full(node):
    return node if node.shape == (3, 3) else ops.broadcast_to(node, (3, 3))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(recipes())
def test_shared_buffers_never_change_a_result(recipe):
    steps, outputs, following = recipe
    nodes = build(steps)
    w, new = nodes[2], full(nodes[following])
    program = Program(nodes[:2], [nodes[i] for i in outputs], [(w, new)])
    rng = np.random.default_rng(len(steps))
    state = State({"w": rng.normal(size=(3, 3)) * 0.3})
    earlier = []
    for _ in range(3):
        arrays = [rng.normal(size=(3, 3)) * 0.3 for _ in range(2)]
        walked = {id(node): np.array(value) for node, value in program.walk(arrays, state)}
        found = program(arrays, state)
        for i, array in zip(outputs, found, strict=True):
            np.testing.assert_allclose(array, walked[id(nodes[i])], rtol=1e-12, atol=1e-300)
        np.testing.assert_allclose(state.values["w"], walked[id(new)], rtol=1e-12, atol=1e-300)
        for array, before in earlier:
            np.testing.assert_array_equal(array, before)
        earlier += [(array, array.copy()) for array in found]


def test_a_kernel_is_never_given_one_of_its_inputs_to_write_into():
    seen = []

    def compute(x, *, out):
        seen.append(np.shares_memory(x, out))
        out[...] = 0
        return np.subtract(out, x, out=out)

    kernel("numpy", "negative")(compute)
    try:
        x = f64("x", 4)
        negated = x * 2.0
        for _ in range(3):
            negated = -negated
        program = Program([x], [negated * 1.0])
        np.testing.assert_array_equal(program([np.ones(4)])[0], np.full(4, -2.0))
    finally:
        registry.forget("kernel", "numpy:negative")
    assert seen == [False] * 3


class Overlapping(Backend):
    """NumPy that refuses to write over memory that another input still reads, as CuPy would."""

    name = "overlapping"
    xp = np

    def out_function(self, name):
        function = getattr(np, name, None)
        if not isinstance(function, np.ufunc):
            return None
        return self._kept.setdefault(name, self._checked(function))

    def __init__(self, device=None):
        super().__init__(device)
        self._kept = {}

    @staticmethod
    def _checked(function):
        def compute(*arrays, out):
            for array in arrays:
                same = array.ctypes.data == out.ctypes.data and array.strides == out.strides
                assert same or not np.shares_memory(array, out)
            return function(*arrays, out=out)

        return compute


def test_a_value_is_not_written_over_while_its_transpose_is_read():
    x = f64("x", 3, 3)
    y = x * 2.0
    program = Program([x], [(y + y.mT) * 1.0], backend=Overlapping())
    array = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(program([array])[0], 2 * (array + array.T))


def test_few_buffers_serve_a_long_chain():
    x = f64("x", 10)
    y = x
    for _ in range(100):
        y = ops.exp(y) * 0.1
    program = Program([x], [y])
    assert len(program._buffers) <= 3


# -- freeing ---------------------------------------------------------------------------------


class Watched(Backend):
    """NumPy without ``out=``, keeping a weak reference to every array that an op makes."""

    name = "watched"
    xp = np

    def __init__(self, device=None):
        super().__init__(device)
        self.made = []
        self.most = 0

    def function(self, op):
        def compute(*arrays, **attributes):
            result = np.asarray(op.run(np, *arrays, **attributes))
            self.made.append(weakref.ref(result))
            self.most = max(self.most, sum(ref() is not None for ref in self.made))
            return result

        return compute, False


def test_values_are_dropped_after_their_last_use():
    x = f64("x", 10)
    y = x
    for _ in range(50):
        y = ops.exp(y) * 0.1
    watched = Watched()
    Program([x], [y], backend=watched)([np.zeros(10)])
    assert len(watched.made) == 100
    assert watched.most <= 3


def test_a_program_does_not_hold_on_to_its_results():
    x = f64("x", 10)
    program = Program([x], [x * 2.0])
    (result,) = program([np.zeros(10)])
    alive = weakref.ref(result)
    del result
    assert alive() is None


def test_memory_seen_through_a_view_is_dropped_with_the_view():
    x = f64("x", 4, 4)
    y = x
    for _ in range(50):
        y = ops.tanh(y).reshape(16).reshape(4, 4).mT
    watched = Watched()
    Program([x], [y * 1.0], backend=watched)([np.zeros((4, 4))])
    assert watched.most <= 8


def test_a_long_chain_needs_the_memory_of_a_few_values():
    size = 200_000
    x = f64("x", size)
    y = x
    for _ in range(40):
        y = ops.where(y > 0.5, ops.exp(y), y) * 0.1
    program = Program([x], [y.sum()])
    array = np.ones(size)
    program([array])
    tracemalloc.start()
    try:
        program([array])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * array.nbytes


def test_a_backward_pass_keeps_only_what_it_needs():
    size = 100_000
    x = f64("x", size)
    y = x
    for _ in range(30):
        y = y + 1.0
    program = Program([x], [grad((y * y).sum(), x)])
    array = np.ones(size)
    tracemalloc.start()
    try:
        program([array])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * array.nbytes


# -- threads and backends --------------------------------------------------------------------


@pytest.fixture
def switching_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("switching_often")
def test_one_program_may_be_run_by_several_threads():
    size = 4096
    x = f64("x", size)
    y = x
    for _ in range(20):
        y = ops.tanh(y * 0.5) * 0.5 + x
    program = Program([x], [y])
    inputs = [np.full(size, k / 10) for k in range(4)]
    expected = [program([array])[0] for array in inputs]
    wrong = []

    def work(k):
        for _ in range(50):
            if not np.array_equal(program([inputs[k]])[0], expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_program_stays_on_the_backend_it_was_made_for():
    x = f64("x", 2)
    with use_backend("array_api_strict") as strict:
        program = Program([x], [ops.exp(x) + tensor(np.ones(2))])
    (result,) = program([strict.from_numpy(np.zeros(2))])
    np.testing.assert_array_equal(strict.to_numpy(result), [2, 2])
    assert program.backend is backend("array_api_strict")


def test_it_runs_within_the_context_of_its_backend():
    entered = []

    class Noting(Watched):
        @contextlib.contextmanager
        def running(self):
            entered.append("in")
            yield
            entered.append("out")

    x = f64("x", 2)
    Program([x], [x + 1.0], backend=Noting())([np.zeros(2)])
    assert entered == ["in", "out"]


def test_undoing_a_run_leaves_alone_what_it_did_not_replace():
    a, b = f64("a", 1), f64("b", 1)
    both = Program([], [], [(a, a + 1.0), (b, b + 1.0)])
    one = Program([], [], [(a, a + 1.0), (b, b)])
    state = State({"a": np.zeros(1), "b": np.zeros(1)})
    both([], state)
    one([], state)
    state.undo()
    assert [float(state.values[name][0]) for name in "ab"] == [1.0, 1.0]
