"""Running a graph: receives a graph and arrays, returns arrays.

A :class:`Program` is a graph laid out flat: a list of instructions over registers. Each value is
dropped after its last use, and what can be written with ``out=`` goes into buffers that are
allocated once and shared by values that never live at the same time.
"""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from minidl.backends import Backend, current_backend
from minidl.errors import GraphError, ShapeError
from minidl.graph.leaves import constant, placeholder_op
from minidl.graph.node import Tensor, toposort
from minidl.graph.spec import array_dtype

_FOREVER = 1 << 60


class State:
    """Named arrays that a program reads and replaces: parameters, optimiser slots, statistics.

    A run writes the new values beside the old ones and then exchanges the two, so a step that
    went wrong can be undone.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values: dict[str, Any] = dict(values)
        self._other: dict[str, Any] = {}
        self._replaced: tuple[str, ...] = ()

    def spare(self, name: str, allocate: Callable[[], Any]) -> Any:
        """Return the array that the next value of ``name`` is written into."""
        array = self._other.get(name)
        if array is None:
            array = self._other[name] = allocate()
        return array

    def replace(self, new: Mapping[str, Any]) -> None:
        """Make ``new`` current and keep what it replaces."""
        for name, array in new.items():
            self._other[name] = self.values[name]
            self.values[name] = array
        self._replaced = tuple(new)

    def undo(self) -> None:
        """Bring back the values from before the last run."""
        self.replace({name: self._other[name] for name in self._replaced})


class Instruction(NamedTuple):
    """One step: ``registers[result] = compute(*registers[arguments], out=buffers[buffer])``."""

    compute: Callable[..., Any]
    arguments: tuple[int, ...]
    result: int
    buffer: int | None
    dead: tuple[int, ...]


@dataclass(eq=False)
class Program:
    """A graph made ready to run on one backend, any number of times.

    Parameters
    ----------
    inputs : sequence of Tensor
        Placeholders, in the order in which their arrays are given to :meth:`__call__`.
    outputs : sequence of Tensor
        What a run returns; each run returns arrays of its own.
    state : sequence of (Tensor, Tensor)
        Pairs of a placeholder, whose name is a key of a :class:`State`, and the node of its next
        value.
    backend : Backend, optional
        Default: the current one.
    """

    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    state: Sequence[tuple[Tensor, Tensor]] = ()
    backend: Backend = field(default_factory=current_backend)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._plan()

    # -- planning ----------------------------------------------------------------------------

    def _plan(self) -> None:
        results = [*self.outputs, *(new for _, new in self.state)]
        order = toposort(results, computed=False)
        self.nodes = [
            node
            for node in order
            if node._value is None and node.op is not placeholder_op and not _is_fixed(node)
        ]
        self._register = {id(node): index for index, node in enumerate(order)}
        self._order = order
        for node in (*self.inputs, *(old for old, _ in self.state)):
            self._register.setdefault(id(node), len(self._register))
        self._check_placeholders(order)
        self._constants = {
            self._register[id(node)]: self._fixed(node)
            for node in order
            if node._value is not None or _is_fixed(node)
        }
        self._allocate()

    def _check_placeholders(self, order: Sequence[Tensor]) -> None:
        given = {id(node) for node in (*self.inputs, *(old for old, _ in self.state))}
        for node in order:
            if node.op is placeholder_op and id(node) not in given:
                raise GraphError(
                    f"placeholder '{node.name}' {node.spec} has no value here: it belongs to a "
                    f"function being traced or to a program that was not given it as an input"
                )

    def _allocate(self) -> None:
        """Choose for every node a kernel, a buffer, and what is dead once it is computed."""
        lives = _Lifetimes(self._order, self.nodes, [*self.outputs, *(n for _, n in self.state)])
        pool = _BufferPool(self.backend)
        state_slots = self._state_slots(lives.owner)
        self._buffers = pool.buffers
        self._fresh: dict[int, Tensor] = {}
        self._state_buffers: dict[str, int] = {}
        self._state_specs = {old.name: old.spec for old, _ in self.state}
        instructions = []
        held: dict[int, int] = {}
        fixed = dict(self._constants)
        for position, node in enumerate(self.nodes):
            compute, takes_out = self.backend.function_for(node)
            if not takes_out and (view := self._fixed_view(node, compute, fixed)) is not None:
                fixed[self._register[id(node)]] = view
                continue
            dying = lives.dying(node, position)
            if takes_out and self._works_in_place(node, compute):
                for child in lives.alone(node):
                    if child in dying and child in held:
                        pool.release(held.pop(child))
            buffer = None
            if takes_out:
                if id(node) in state_slots:
                    buffer = pool.reserve()
                    self._state_buffers[state_slots[id(node)]] = buffer
                elif lives.last_use[id(node)] < _FOREVER:
                    buffer = held[id(node)] = pool.acquire(node)
                    fixed[self._register[id(node)]] = pool.buffers[buffer]
                else:
                    buffer = pool.reserve()
                    self._fresh[buffer] = node
            for owner in dying:
                if owner in held:
                    pool.release(held.pop(owner))
            dead = [self._register[member] for owner in dying for member in lives.members[owner]]
            instructions.append(self._instruction(node, compute, buffer, dead))
        self._code = instructions
        self._registers = [fixed.get(index) for index in range(len(self._register))]

    def _fixed(self, node: Tensor) -> Any:
        """Return the value of a node that is the same in every run."""
        if node._value is not None:
            return array_on(self.backend, node)
        with self.backend.running():
            return self._computed(node, ())

    def _computed(self, node: Tensor, values: Sequence[Any]) -> Any:
        """Return the value of a node in an array of its own."""
        compute, takes_out = self.backend.function_for(node)
        out = {"out": self.backend.empty(node.shape, node.dtype)} if takes_out else {}
        return compute(*values, **node.attributes, **out)

    def _fixed_view(
        self, node: Tensor, compute: Callable[..., Any], fixed: Mapping[int, Any]
    ) -> Any | None:
        """Return the array of a view of memory that is the same in every run, else None."""
        source = fixed.get(self._register[id(node.inputs[0])]) if node.inputs else None
        if not node.op.view or len(node.inputs) != 1 or source is None:
            return None
        with self.backend.running():
            view = compute(source, **node.attributes)
        return view if self.backend.shares_memory(view, source) else None

    def _works_in_place(self, node: Tensor, compute: Callable[..., Any]) -> bool:
        """Whether ``compute`` may write over an input: not a kernel, whose author need not know."""
        function = node.op.function if node.op.elementwise else ""
        return bool(function) and compute is self.backend.out_function(function)

    def _state_slots(self, owner: Mapping[int, int]) -> dict[int, str]:
        """Return, by id, the nodes that may be written straight into a state's spare array."""
        outputs = {owner[id(node)] for node in self.outputs}
        takers = Counter(owner[id(new)] for _, new in self.state)
        return {
            id(new): old.name
            for old, new in self.state
            if id(new) not in outputs and takers[id(new)] == 1 and new._value is None
        }

    def _instruction(
        self, node: Tensor, compute: Callable[..., Any], buffer: int | None, dead: Sequence[int]
    ) -> Instruction:
        if node.attributes:
            compute = functools.partial(compute, **node.attributes)
        arguments = tuple(self._register[id(child)] for child in node.inputs)
        dropped = tuple(index for index in dead if index not in self._constants)
        return Instruction(compute, arguments, self._register[id(node)], buffer, dropped)

    # -- running -----------------------------------------------------------------------------

    def __call__(self, arrays: Sequence[Any] = (), state: State | None = None) -> list[Any]:
        """Run once.

        Parameters
        ----------
        arrays : sequence
            An array of the backend for each of ``inputs``.
        state : State, optional
            Read, and updated with the next values; needed if the program has state.

        Returns
        -------
        list
            An array for each of ``outputs``.
        """
        with self._lock, self.backend.running():
            registers = self._load(self._registers, arrays, state)
            buffers = self._buffers
            for index, node in self._fresh.items():
                buffers[index] = self.backend.empty(node.shape, node.dtype)
            for name, index in self._state_buffers.items():
                assert state is not None
                allocate = functools.partial(self.backend.empty, *self._state_specs[name])
                buffers[index] = state.spare(name, allocate)
            for compute, arguments, result, buffer, dead in self._code:
                values = [registers[index] for index in arguments]
                if buffer is None:
                    registers[result] = compute(*values)
                else:
                    registers[result] = compute(*values, out=buffers[buffer])
                for index in dead:
                    registers[index] = None
            for index in self._fresh:
                buffers[index] = None
            return self._results(registers, state)

    def walk(
        self, arrays: Sequence[Any] = (), state: State | None = None
    ) -> Iterator[tuple[Tensor, Any]]:
        """Run once without touching state, yielding each node with its value as it is computed."""
        with self.backend.running():
            known = [self._constants.get(index) for index in range(len(self._register))]
            registers = self._load(known, arrays, state)
            for node in self._order:
                register = self._register[id(node)]
                if registers[register] is None:
                    values = [registers[self._register[id(child)]] for child in node.inputs]
                    registers[register] = self._computed(node, values)
                yield node, registers[register]

    def _load(self, known: Sequence[Any], arrays: Sequence[Any], state: State | None) -> list[Any]:
        """Return registers with what is ``known`` before a run, and its inputs and state."""
        if len(arrays) != len(self.inputs):
            raise GraphError(
                f"the program takes {len(self.inputs)} inputs, {len(arrays)} were given"
            )
        registers = list(known)
        for node, array in zip(self.inputs, arrays, strict=True):
            if tuple(array.shape) != node.shape or array_dtype(array.dtype) != node.dtype:
                raise ShapeError(
                    f"input '{node.name}' takes {node.spec}, "
                    f"not {array_dtype(array.dtype)}{list(array.shape)}"
                )
            registers[self._register[id(node)]] = array
        if self.state and state is None:
            raise GraphError("the program has state; give it a State to run on")
        for old, _ in self.state:
            assert state is not None
            registers[self._register[id(old)]] = state.values[old.name]
        return registers

    def _results(self, registers: list[Any], state: State | None) -> list[Any]:
        given = {id(node) for node in (*self.inputs, *(old for old, _ in self.state))}
        outputs = []
        for node in self.outputs:
            index = self._register[id(node)]
            array = registers[index]
            shared = node.op.view or id(node) in given or index in self._constants
            given.add(id(node))
            outputs.append(self.backend.xp.asarray(array, copy=True) if shared else array)
        if state is not None:
            state.replace(
                {
                    old.name: self._next_value(old.name, new, registers)
                    for old, new in self.state
                    if new is not old
                }
            )
        return outputs

    def _next_value(self, name: str, new: Tensor, registers: list[Any]) -> Any:
        array = registers[self._register[id(new)]]
        if name in self._state_buffers:
            return array
        return self.backend.xp.asarray(array, copy=True)


class _Lifetimes:
    """Who owns the memory of each value, who shares it, and when it is last read.

    All by the id of a node: ``owner`` of each, ``members`` and ``last_use`` of each owner.
    """

    def __init__(
        self, order: Sequence[Tensor], computed: Sequence[Tensor], results: Sequence[Tensor]
    ) -> None:
        self.owner: dict[int, int] = {}
        self.members: dict[int, list[int]] = {}
        for node in order:
            shares = node.op.view and node.inputs and node._value is None
            owner = self.owner[id(node.inputs[0])] if shares else id(node)
            self.owner[id(node)] = owner
            self.members.setdefault(owner, []).append(id(node))
        self.last_use = dict.fromkeys(self.members, -1)
        for position, node in enumerate(computed):
            for child in node.inputs:
                self.last_use[self.owner[id(child)]] = position
        for node in results:
            self.last_use[self.owner[id(node)]] = _FOREVER

    def dying(self, node: Tensor, position: int) -> list[int]:
        """Return the owners of memory that ``node`` is the last to read."""
        owners = dict.fromkeys(self.owner[id(child)] for child in node.inputs)
        return [owner for owner in owners if self.last_use[owner] == position]

    def alone(self, node: Tensor) -> list[int]:
        """Return the inputs of ``node`` that own memory which no other input shares."""
        children = [id(child) for child in _unique(node.inputs)]
        owners = [self.owner[child] for child in children]
        return [child for child in children if owners.count(child) == 1]


class _BufferPool:
    """Buffers of a program, each lent to one value at a time."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.buffers: list[Any] = []
        self._free: dict[Any, list[int]] = {}
        self._specs: dict[int, Any] = {}

    def acquire(self, node: Tensor) -> int:
        """Lend a buffer of the node's shape and dtype."""
        free = self._free.setdefault(node.spec, [])
        if free:
            return free.pop()
        index = self.reserve()
        self.buffers[index] = self.backend.empty(node.shape, node.dtype)
        self._specs[index] = node.spec
        return index

    def reserve(self) -> int:
        """Make an index whose array is set at each run."""
        self.buffers.append(None)
        return len(self.buffers) - 1

    def release(self, index: int) -> None:
        """Take a buffer back."""
        self._free[self._specs[index]].append(index)


def _is_fixed(node: Tensor) -> bool:
    """Whether a node is computed once for all runs: it has no inputs, and is no mere fill.

    A fill, such as zeros, is written as quickly as it is read, and may be large.
    """
    return not (node.inputs or node.op.scalar or node.op in (constant, placeholder_op))


def _unique(nodes: Sequence[Tensor]) -> list[Tensor]:
    return list({id(node): node for node in nodes}.values())


def evaluate(nodes: Sequence[Tensor]) -> list[Any]:
    """Compute ``nodes`` on the current backend, each once, and return their arrays.

    A computed node keeps its value. Raises GraphError if one depends on a placeholder.
    """
    backend = current_backend()
    missing = [node for node in _unique(nodes) if node._value is None]
    if missing:
        program = Program((), missing, backend=backend)
        for node, array in zip(missing, program(), strict=True):
            node._value = (backend, array)
    return [array_on(backend, node) for node in nodes]


def array_on(backend: Backend, node: Tensor) -> Any:
    """Return the known value of ``node`` as an array of ``backend``."""
    held, value = node._value
    if held is None:
        return backend.scalar(value, node.dtype)
    if held is backend:
        return value
    return backend.from_numpy(held.to_numpy(value))
