"""The rules of a traced network, in the notation of a textbook where that fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from minidl import registry
from minidl.explain.algebra import Shortened
from minidl.explain.columns import Columns, fits_columns, same_vector
from minidl.explain.symbols import LOSS, TARGET, Symbols
from minidl.graph import Program, Spec, Tensor, placeholder, toposort
from minidl.graph.expression import Notation
from minidl.graph.gradient import backward
from minidl.graph.leaves import scalar_constant
from minidl.graph.rules import Explanation, Rule, constants_in, write_rules
from minidl.graph.spec import is_float
from minidl.layers import Context, Layer
from minidl.losses import Loss

BATCH = 4
"""Samples in a batch, where one alone does not do."""

COLUMN_NOTE = (
    "One sample. Vectors are columns, * multiplies element by element, @ is the matrix product."
)
ROW_NOTE = (
    "A batch of {}. Samples are rows (the first axis), * multiplies element by element, @ is the "
    "matrix product."
)
_FLAT = "the {} values of a sample, one below the other"
COLUMN_FUNCTIONS = "Functions of whole vectors (softmax …) go over the elements of the sample."


@dataclass(frozen=True)
class Numbers:
    """What to compute the values of a network for.

    Attributes
    ----------
    input, target : array
        A batch as the first layer and the loss take it; column notation uses its first sample.
    parameters : Mapping
        An array for every parameter and buffer, by path.
    """

    input: Any
    target: Any
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class _Network:
    """A forward and a backward pass, with names.

    ``values`` are those computed on the way, in order; ``gradients`` are labelled.
    """

    symbols: Symbols
    leaves: Mapping[str, Tensor]
    samples: tuple[Tensor, ...]
    values: Sequence[tuple[str, Tensor]]
    gradients: Sequence[tuple[str, Tensor, Tensor]]


def explain_network(
    root: Layer,
    loss: Loss,
    input_spec: Spec,
    target_spec: Spec,
    *,
    title: str = "",
    input_name: str = "x",
    numbers: Numbers | None = None,
) -> Explanation:
    """Write down how a network computes its loss, and every gradient of it.

    Parameters
    ----------
    root : Layer
        The outermost layer, set up. It is traced as in evaluation: dropout lets all through, and
        statistics are those collected.
    loss : Loss
        What is minimised.
    input_spec, target_spec : Spec
        A batch as the first layer and the loss take it; the number of samples does not matter.
    title : str
        First line of the print-out.
    input_name : str
        The symbol of the input.
    numbers : Numbers, optional
        Input, target and parameters to compute every value and gradient for.

    Returns
    -------
    Explanation
        In column notation, for one sample, if all values are vectors and matrices; else as
        computed, with samples as rows. The first note says which.

    Raises
    ------
    GradientError
        If an op between the parameters and the loss has no gradient.
    """
    network = _trace(root, loss, input_spec, target_spec, input_name)
    columnar = fits_columns([node for _, node in network.values], _ids(network.samples))
    size = 1
    if columnar and numbers is not None:
        numbers = replace(numbers, input=numbers.input[:1], target=numbers.target[:1])
    if not columnar:
        size = BATCH if numbers is None else numbers.input.shape[0]
        network = _trace(root, loss, input_spec, target_spec, input_name, size)
    printed = _columns(network) if columnar else _rows(network)
    notes = [COLUMN_NOTE if columnar else ROW_NOTE.format(size)]
    if printed.opaque:
        notes.append(COLUMN_FUNCTIONS)
    forward, rules = _write(printed)
    given: dict[str, Any] = {}
    if numbers is not None:
        given, known = _compute(printed, numbers)
        forward = tuple(replace(rule, value=known.get(rule.left)) for rule in forward)
        rules = tuple(replace(rule, value=known.get(rule.left)) for rule in rules)
    legend = _legend(network.symbols)
    if columnar and len(input_spec.shape) > 2:
        lengths = "×".join(map(str, input_spec.shape[1:]))
        legend.insert(
            0, f"{network.symbols.names[id(network.samples[0])]}: {_FLAT.format(lengths)}"
        )
    remarks = ("\n".join(legend),) if legend else ()
    return Explanation(title, forward, rules, tuple(notes), remarks, given, _constants(printed))


def explain_layer(layer: Layer, *inputs: Spec, title: str = "") -> Explanation:
    """Write down what a layer computes, and the gradients by its inputs and parameters.

    Parameters
    ----------
    layer : Layer
        A copy of it is set up, and traced as in evaluation.
    *inputs : Spec
        What it is applied to.
    title : str
        First line of the print-out.

    Returns
    -------
    Explanation
        As computed, with samples as rows; z is the output. Without rules if the output is an
        input.
    """
    fresh = layer.copy()
    fresh.setup(*inputs)
    names = ["x"] if len(inputs) == 1 else [f"x{index}" for index in range(len(inputs))]
    samples = tuple(placeholder(name, *spec) for name, spec in zip(names, inputs, strict=True))
    context = Context({p.path: placeholder(p.path, *p.spec) for p in fresh.all_parameters()})
    output = fresh(*samples, context=context)
    if any(output is sample for sample in samples):
        return Explanation(title, (), (), ("In evaluation it hands on its input.",))
    symbols = Symbols()
    for sample, name in zip(samples, names, strict=True):
        symbols.add(sample, name)
    symbols.add(output, "z")
    seed = placeholder(f"∂{LOSS}/∂z", *output.spec)
    network = _differentiate(fresh, symbols, context, samples, (output, seed), {id(output)})
    printed = _rows(network)
    forward, rules = _write(printed)
    legend = [
        f"{symbols.names[id(context.values[p.path])]}: {p.path}, {p.spec}"
        + ("" if p.trainable else ", not trained")
        for p in fresh.all_parameters()
    ]
    legend += [f"z: the output, {output.spec}", *_legend(symbols)]
    constants = _constants(printed)
    return Explanation(title, forward, rules, (), ("\n".join(legend),), constants=constants)


def _legend(symbols: Symbols) -> list[str]:
    """Return what symbols that were made up stand for, a line each."""
    return [f"{name}: output of {label}" for name, label in symbols.legend.items()]


# -- tracing -----------------------------------------------------------------------------------


def _trace(
    root: Layer,
    loss: Loss,
    input_spec: Spec,
    target_spec: Spec,
    input_name: str,
    size: int | None = None,
) -> _Network:
    """Trace a batch of ``size``; by default one sample, whose reshapes get no name."""
    symbols = Symbols(same_vector if size is None else None)
    size = size or 1
    x = placeholder(input_name, (size, *input_spec.shape[1:]), input_spec.dtype)
    y = placeholder(TARGET, (size, *target_spec.shape[1:]), target_spec.dtype)
    leaves = {p.path: placeholder(p.path, *p.spec) for p in root.all_parameters()}
    context = Context(leaves)
    total = loss(root(x, context=context), y)
    symbols.add(x, input_name)
    symbols.add(y, TARGET)
    symbols.add(total, LOSS)
    one = scalar_constant(1.0, total.dtype)
    return _differentiate(root, symbols, context, (x, y), (total, one), {id(y), id(total)})


def _differentiate(
    root: Layer,
    symbols: Symbols,
    context: Context,
    samples: tuple[Tensor, ...],
    result: tuple[Tensor, Tensor],
    without: set[int],
) -> _Network:
    """Name what a layer computed and differentiate it, from a result and the gradient by it.

    There is no gradient by buffers, nor by the nodes whose ``id`` is in ``without``.
    """
    output, seed = result
    symbols.add_outputs(root, context.outputs)
    symbols.add_parameters(root, context.values, context.outputs)
    forward = toposort([output])
    values = [(symbols.names[id(n)], n) for n in forward if n.inputs and symbols.owns(n)]
    buffers = {id(context.values[p.path]) for p in root.all_parameters() if not p.trainable}
    wanted = [
        node
        for node in reversed(forward)
        if symbols.owns(node) and id(node) not in without | buffers and is_float(node.dtype)
    ]
    found = backward(output, seed, wanted) if is_float(output.dtype) else {}
    gradients = [
        (f"∂{LOSS}/∂{symbols.names[id(node)]}", found[id(node)], node)
        for node in wanted
        if id(node) in found
    ]
    return _Network(symbols, context.values, samples, values, gradients)


def _ids(nodes: Sequence[Tensor]) -> set[int]:
    return {id(node) for node in nodes}


# -- notation ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Printed:
    """What is printed: labelled nodes, and what stands for the leaves of the network.

    ``hidden`` and ``opaque`` are those of :class:`Columns`.
    """

    network: _Network
    values: Sequence[tuple[str, Tensor]]
    gradients: Sequence[tuple[str, Tensor]]
    leaves: Mapping[int, Tensor]
    named: Mapping[str, Tensor]
    hidden: frozenset[int] = frozenset()
    opaque: frozenset[int] = frozenset()


def _rows(network: _Network) -> _Printed:
    leaves = {id(n): n for n in (*network.samples, *network.leaves.values())}
    gradients = [(label, node) for label, node, _ in network.gradients]
    return _shorten(
        _Printed(network, network.values, gradients, leaves, dict(network.symbols.nodes))
    )


def _columns(network: _Network) -> _Printed:
    results = [node for _, node in network.values] + [g for _, g, _ in network.gradients]
    columns = Columns(results, _ids(network.samples))
    matrices = {id(p) for p in network.leaves.values() if p.ndim == 2}
    gradients = [
        (label, columns.upright(g) if id(variable) in matrices else columns.column(g))
        for label, g, variable in network.gradients
    ]
    named = {
        name: columns.leaves[id(node)] if id(node) in columns.leaves else columns.column(node)
        for name, node in network.symbols.nodes.items()
        if columns.knows(node)
    }
    values = [(name, named[name]) for name, _ in network.values]
    hidden, opaque = frozenset(columns.hidden), frozenset(columns.opaque)
    return _shorten(_Printed(network, values, gradients, columns.leaves, named, hidden, opaque))


def _shorten(printed: _Printed) -> _Printed:
    results = [node for _, node in (*printed.values, *printed.gradients)]
    named = list(printed.named.values())
    symbols = _ids([*named, *(node for _, node in printed.gradients)])
    short = Shortened([*results, *named], symbols, printed.hidden)
    return replace(
        printed,
        values=[(label, short[node]) for label, node in printed.values],
        gradients=[(label, short[node]) for label, node in printed.gradients],
        named={name: short[node] for name, node in printed.named.items()},
        hidden=frozenset(short.moved(printed.hidden)),
        opaque=frozenset(short.moved(printed.opaque)),
    )


# -- printing ----------------------------------------------------------------------------------


def _write(printed: _Printed) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    symbols: dict[int, str] = {}
    for name, node in printed.named.items():
        symbols.setdefault(id(node), name)

    def implied(node: Tensor, attribute: str, value: Any) -> bool:
        whole = attribute in ("axis", "keepdims") and id(node) in printed.opaque
        return whole or (attribute == "dtype" and is_float(node.dtype))

    notation = Notation(symbols, hidden=set(printed.hidden), implied=implied)
    scalars = frozenset(name for name, node in printed.named.items() if not node.shape)
    return write_rules(notation, printed.values, printed.gradients, LOSS, scalars)


def _constants(printed: _Printed) -> dict[str, Any]:
    return constants_in([node for _, node in (*printed.values, *printed.gradients)])


# -- numbers -----------------------------------------------------------------------------------


def _compute(printed: _Printed, numbers: Numbers) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the values of leaves, and of everything computed, as nested lists by label."""
    network = printed.network
    arrays = dict(zip(_each_id(network.samples), (numbers.input, numbers.target), strict=True))
    arrays |= {id(network.leaves[path]): numbers.parameters[path] for path in network.leaves}
    given = {
        name: (printed.leaves[id(node)], arrays[id(node)])
        for name, node in network.symbols.nodes.items()
        if id(node) in arrays and id(node) in printed.leaves
    }
    computed = dict([*printed.values, *printed.gradients, *_local_derivatives(printed)])
    program = Program([leaf for leaf, _ in given.values()], list(computed.values()))
    shaped = {
        name: array.astype(leaf.dtype).reshape(leaf.shape) for name, (leaf, array) in given.items()
    }
    backend = program.backend
    results = program([backend.from_numpy(array) for array in shaped.values()])
    return (
        {name: array.tolist() for name, array in shaped.items()},
        {
            label: backend.to_numpy(array).tolist()
            for label, array in zip(computed, results, strict=True)
        },
    )


def _local_derivatives(printed: _Printed) -> list[tuple[str, Tensor]]:
    """Return ∂h/∂f for each pair of gradients, as what ∂LOSS/∂f is where ∂LOSS/∂h is 1."""
    gradients = dict(printed.gradients)
    found = []
    for rule in _write(printed)[1]:
        through, _, variable = rule.left.partition("/")
        if through != f"∂{LOSS}" and variable:
            upstream, label = f"∂{LOSS}/{through}", f"∂{LOSS}/{variable}"
            found.append((rule.left, _with_ones(gradients[label], gradients[upstream])))
    return found


def _with_ones(node: Tensor, replaced: Tensor) -> Tensor:
    """Return ``node`` as it is where ``replaced`` is 1 everywhere."""
    new: dict[int, Tensor] = {}
    for inner in toposort([node]):
        if inner is replaced:
            one = scalar_constant(1.0, inner.dtype)
            new[id(inner)] = registry.get("op", "broadcast_to")(one, inner.shape)
        else:
            inputs = tuple(new[id(child)] for child in inner.inputs)
            attributes = inner.attributes
            fresh = Tensor(inner.op, inputs, attributes, inner.spec, inner.name)
            new[id(inner)] = fresh if inputs else inner
    return new[id(node)]


def _each_id(nodes: Sequence[Tensor]) -> list[int]:
    return [id(node) for node in nodes]
