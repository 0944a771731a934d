"""The declaration of an op, and applying it: receives tensors and attributes, returns a node.

An op is declared once, by decorating a class that holds its rules as plain functions:

    @op("multiply", elementwise=True, function="multiply", notation="a * b", scalar="a * b")
    class multiply:
        '''Product, element by element.    z = a * b'''

        def backward(g, z, a, b):
            return g * b, g * a

The rules an op may hold:

``infer(a, b, /, *, axis) -> Spec``
    Shape and dtype from the inputs' specs. Positional-only parameters are the op's tensors, the
    others its attributes, as in the array API standard. Elementwise ops may leave it out.
``normalize(a, b, /, *, axis) -> dict``
    The attributes in canonical, hashable form, from specs; optional.
``forward(xp, a, b, *, axis) -> array``
    The value, on any array namespace ``xp`` that follows the array API standard. Left out where
    ``function`` names the function of ``xp`` that computes it.
``backward(g, z, a, b, *, axis) -> Tensor | None, ...``
    ∂L/∂(each input) in graph values, from g = ∂L/∂z. None where no gradient flows. A gradient
    may keep the broadcast shape: the engine sums it down to the input's.
``flops(z, a, b, *, axis) -> int``
    Floating-point operations, from specs; optional. Default: one for each element of the larger
    of result and inputs, none for a view.
``compose(a, b, /, *, axis) -> Tensor or tuple of Tensor``
    Instead of all others: the op as a graph of other ops, its gradient coming from theirs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from minidl import registry
from minidl.errors import GraphError
from minidl.graph.node import Tensor
from minidl.graph.spec import (
    DEFAULT_FLOAT,
    DEFAULT_INTEGER,
    FLOATS,
    Spec,
    broadcast_shapes,
    is_float,
    promote,
)

_AUTOCASTS = ("low", "float32", "widest")
_RULES = ("infer", "normalize", "forward", "backward", "compose", "flops")


@dataclass(frozen=True)
class Draw:
    """A random test input: uniform in [low, high), of a shape and dtype.

    Values keep 0.05 away from each of ``kinks``; ``distinct`` ones differ from each other by a
    margin that finite differences do not bridge.
    """

    shape: tuple[int, ...]
    low: float = -2.0
    high: float = 2.0
    dtype: str = "float64"
    kinks: tuple[float, ...] = ()
    distinct: bool = False


@dataclass(frozen=True)
class Sample:
    """One call of an op for its tests: inputs (shape, :class:`Draw` or literal) and attributes."""

    inputs: tuple[Any, ...]
    attributes: dict[str, Any] = field(default_factory=dict)


def sample(*inputs: Any, **attributes: Any) -> Sample:
    """Write a :class:`Sample` the short way: ``sample((2, 3), (3,), axis=0)``."""
    return Sample(tuple(Draw(i) if isinstance(i, tuple) else i for i in inputs), attributes)


@dataclass(frozen=True, eq=False)
class Op:
    """One row of the op table: name, documentation, rules and test samples.

    Calling it with tensors, arrays or Python numbers (and its attributes by keyword, or by
    position behind the tensors) returns a new node. See :func:`op` for the fields.
    """

    name: str
    doc: str
    infer: Callable[..., Spec] | None
    normalize: Callable[..., dict[str, Any]] | None
    forward: Callable[..., Any] | None
    backward: Callable[..., Any] | None
    compose: Callable[..., Any] | None
    flops: Callable[..., int] | None
    tensors: tuple[str, ...]
    variadic: bool
    signature: inspect.Signature
    elementwise: bool
    function: str
    scalar: str
    notation: str
    view: bool
    promoted: tuple[int, ...] | None
    floating: bool
    autocast: str
    kink: str
    no_gradient: str
    stops_gradient: bool
    samples: tuple[Sample, ...]
    declared_in: tuple[str, str]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        values, attributes = self._bind(args, kwargs)
        try:
            return self._applied(values, attributes)
        except GraphError as error:
            raise error.named(self.name) from None
        except (TypeError, ValueError, ArithmeticError) as error:  # an option of a wrong kind
            known = self.signature.parameters
            chosen = [f"{k} = {v!r}" for k, v in attributes.items() if v is not known[k].default]
            text = f"{error} (with {', '.join(chosen) or 'no options'})"
            raise GraphError(text).named(self.name) from error

    def again(self, node: Tensor, inputs: Sequence[Tensor]) -> Tensor:
        """Return what ``node``, a node of this op, becomes with ``inputs`` of other dtypes."""
        promoted = self._promote(inputs)
        spec = self._infer([child.spec for child in promoted], dict(node.attributes))
        return Tensor(self, promoted, node.attributes, spec, node.name)

    def run(self, xp: Any, *arrays: Any, **attributes: Any) -> Any:
        """Compute on the array namespace ``xp``; the reference that every kernel is held to."""
        if self.forward is not None:
            return self.forward(xp, *arrays, **attributes)
        return getattr(xp, self.function)(*arrays, **attributes)

    def count_flops(self, node: Tensor) -> int:
        """Return how many floating-point operations computing ``node`` takes."""
        specs = [child.spec for child in node.inputs]
        if self.flops is not None:
            return self.flops(node.spec, *specs, **node.attributes)
        return 0 if self.view or not specs else max(node.size, *(spec.size for spec in specs))

    @property
    def differentiable(self) -> bool:
        """Whether the op has a gradient, by its own rule or by those it is composed of."""
        composed = self.compose is not None and not self.no_gradient
        return self.backward is not None or composed

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Names of the arguments that are not tensors."""
        return tuple(name for name in self.signature.parameters if name not in self.tensors)

    def _applied(self, values: Any, attributes: dict[str, Any]) -> Any:
        if self.compose is not None:
            return self.compose(*(as_tensor(value) for value in values), **attributes)
        inputs = self._promote(values)
        specs = [node.spec for node in inputs]
        if self.normalize is not None:
            attributes = self.normalize(*specs, **attributes)
        return Tensor(self, inputs, attributes, self._infer(specs, attributes))

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        if self.variadic and len(args) == 1 and isinstance(args[0], list | tuple):
            args = tuple(args[0])
        if self.variadic and args and isinstance(args[0], str):
            # text is no tensor: it is the first attribute, as in einsum("ij,jk->ik", a, b)
            args, kwargs = args[1:], {self.attribute_names[0]: args[0], **kwargs}
        if not kwargs and len(args) == len(self.signature.parameters) == len(self.tensors):
            return args, kwargs
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.name}{self.signature}: {error}") from None
        bound.apply_defaults()
        given = bound.arguments
        if self.variadic:
            return given.pop(self.tensors[0]), given
        return [given.pop(name) for name in self.tensors], given

    def _promote(self, values: Sequence[Any]) -> tuple[Tensor, ...]:
        if all(type(value) is Tensor for value in values):
            dtypes = {value.dtype for value in values}
            if len(dtypes) == 1 and (not self.floating or is_float(*dtypes)):
                return tuple(values)
        which = range(len(values)) if self.promoted is None else self.promoted
        nodes = [None if _is_number(value) else as_tensor(value) for value in values]
        together = [node.dtype for i in which if (node := nodes[i]) is not None]
        numbers = [_number_dtype(values[i]) for i in which if nodes[i] is None]
        dtype = _common_dtype(together, numbers)
        if self.floating and not is_float(dtype):
            dtype = DEFAULT_FLOAT
        return tuple(
            _convert(value, node, dtype if i in which else None)
            for i, (value, node) in enumerate(zip(values, nodes, strict=True))
        )

    def _infer(self, specs: Sequence[Spec], attributes: dict[str, Any]) -> Spec:
        if self.infer is not None:
            return self.infer(*specs, **attributes)
        return broadcast(*specs)

    def __repr__(self) -> str:
        return f"<op {self.name}{self.signature}>"


def op(
    name: str,
    *,
    elementwise: bool = False,
    function: str = "",
    scalar: str = "",
    notation: str = "",
    view: bool = False,
    promoted: tuple[int, ...] | None = None,
    floating: bool = False,
    autocast: str = "widest",
    kink: str = "",
    no_gradient: str = "",
    stops_gradient: bool = False,
    domains: Sequence[tuple[float, float]] = (),
    kinks: tuple[float, ...] = (),
    samples: Sequence[Sample] = (),
) -> Callable[[type], Op]:
    """Declare an op: decorate the class that holds its rules, enter it into the registry.

    Parameters
    ----------
    name : str
        Its name in the registry, in printed graphs and in errors.
    elementwise : bool
        Each element of the result depends on one element of each (broadcast) input.
    function : str
        The function of the array API standard that computes it, called with the inputs and, by
        keyword, the attributes; in place of ``forward``.
    scalar : str
        For elementwise ops, one element as a Python expression of the inputs' names, from which
        fused kernels are made: ``"where(x > 0, x, 0)"``. Of an op without inputs, what every
        element is.
    notation : str
        How it is printed, as a Python expression of the inputs' names: ``"a * b"``, ``"x.T"``.
        Default: a call of ``name``.
    view : bool
        The result may share memory with the first input.
    promoted : tuple of int, optional
        Which inputs are converted to one dtype together; default all.
    floating : bool
        Integer inputs are converted to the default float dtype.
    autocast : {"low", "float32", "widest"}
        What mixed precision converts its float inputs to: the low-precision dtype, where the work
        is in products; float32, where a long sum or a steep function would lose too much; or the
        widest dtype among them.
    kink : str
        What the gradient is where the function has none, in words.
    no_gradient : str
        Why there is no gradient, where ``backward`` is absent; for a composed op, where those it
        is composed of have none.
    stops_gradient : bool
        To the gradient engine the result depends on nothing; without it, an op that has no
        gradient is an error there.
    domains : sequence of (low, high)
        For elementwise ops, where each input is drawn from in tests.
    kinks : tuple of float
        For elementwise ops, points that test inputs keep away from.
    samples : sequence of Sample
        Calls to test it with; elementwise ops have a standard set.
    """

    def declare(cls: type) -> Op:
        rules = {rule: cls.__dict__.get(rule) for rule in _RULES}
        signature = _signature(rules)
        tensors, variadic = _tensor_names(signature)
        _check_declaration(name, rules, function, no_gradient, elementwise)
        if autocast not in _AUTOCASTS:
            known = ", ".join(_AUTOCASTS)
            raise GraphError(f"op '{name}': unknown autocast '{autocast}' (known: {known})")
        drawn = tuple(samples) or _standard_samples(len(tensors), domains, kinks, elementwise)
        declared = Op(
            name=name,
            doc=inspect.cleandoc(cls.__doc__ or ""),
            **rules,
            tensors=tensors,
            variadic=variadic,
            signature=signature,
            elementwise=elementwise,
            function=function,
            scalar=scalar,
            notation=notation,
            view=view,
            promoted=promoted,
            floating=floating,
            autocast=autocast,
            kink=kink,
            no_gradient=no_gradient,
            stops_gradient=stops_gradient,
            samples=drawn,
            declared_in=(cls.__module__, cls.__qualname__),
        )
        object.__setattr__(declared, "__doc__", declared.doc)
        object.__setattr__(declared, "__name__", name)
        object.__setattr__(declared, "__signature__", signature)
        registry.register("op", name, declared)
        return declared

    return declare


def broadcast(*specs: Spec) -> Spec:
    """Return the spec of an elementwise op: broadcast shape, common dtype."""
    shape = broadcast_shapes(*(spec.shape for spec in specs))
    return Spec(shape, promote(spec.dtype for spec in specs))


def as_tensor(value: Any) -> Tensor:
    """Return ``value`` as a Tensor: itself, or a new constant."""
    from minidl.graph.leaves import tensor

    return value if isinstance(value, Tensor) else tensor(value)


def _signature(rules: dict[str, Any]) -> inspect.Signature:
    """Return the call signature: that of ``infer`` or ``compose``, or one read off ``backward``."""
    source = rules["infer"] or rules["compose"]
    if source is not None:
        parameters = list(inspect.signature(source).parameters.values())
        # the rule's annotations speak of Specs, and a caller gives tensors
        return inspect.Signature([p.replace(annotation=p.empty) for p in parameters])
    rule, skipped = (rules["backward"], 2) if rules["backward"] else (rules["forward"], 1)
    if rule is None:
        raise GraphError("an op needs infer, backward, forward or compose to name its inputs")
    parameters = list(inspect.signature(rule).parameters.values())[skipped:]
    return inspect.Signature([p.replace(kind=p.POSITIONAL_ONLY) for p in parameters])


def _tensor_names(signature: inspect.Signature) -> tuple[tuple[str, ...], bool]:
    parameters = signature.parameters.values()
    variadic = [p.name for p in parameters if p.kind is p.VAR_POSITIONAL]
    if variadic:
        return (variadic[0],), True
    return tuple(p.name for p in parameters if p.kind is p.POSITIONAL_ONLY), False


def _check_declaration(
    name: str, rules: dict[str, Any], function: str, no_gradient: str, elementwise: bool
) -> None:
    composed = rules["compose"] is not None
    if composed == bool(rules["forward"] or function):
        raise GraphError(f"op '{name}' must have forward or function, or else compose alone")
    if not composed and rules["infer"] is None and not elementwise:
        raise GraphError(f"op '{name}' must have infer, its shape rule, or be elementwise")
    if not composed and bool(no_gradient) == bool(rules["backward"]):
        raise GraphError(f"op '{name}' must have either backward or no_gradient='why not'")


def _standard_samples(
    count: int, domains: Sequence[tuple[float, float]], kinks: tuple[float, ...], elementwise: bool
) -> tuple[Sample, ...]:
    """Return the samples of an elementwise op: same shapes, broadcast, 0-d, empty."""
    if not elementwise:
        return ()
    spans = list(domains) + [(-2.0, 2.0)] * (count - len(domains))
    layouts: list[list[tuple[int, ...]]] = [[(3, 4)] * count, [()] * count, [(0, 3)] * count]
    if count > 1:
        layouts += [[(2, 1, 3), (4, 1), ()][:count], [(3,), (2, 3), (1,)][:count]]
    return tuple(
        Sample(tuple(Draw(s, *span, kinks=kinks) for s, span in zip(shapes, spans, strict=True)))
        for shapes in layouts
    )


def _is_number(value: object) -> bool:
    return isinstance(value, bool | int | float)


def _number_dtype(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    return DEFAULT_INTEGER if isinstance(value, int) else DEFAULT_FLOAT


def _common_dtype(tensors: list[str], numbers: list[str]) -> str:
    """Return the common dtype; a Python number widens the kind of dtype but not its size."""
    if not tensors:
        return promote(numbers)
    dtype = promote(tensors)
    if is_float(dtype) or not numbers:
        return dtype
    widest = promote(numbers)
    return widest if widest in FLOATS or dtype == "bool" else dtype


def _convert(value: Any, node: Tensor | None, dtype: str | None) -> Tensor:
    from minidl.graph.leaves import scalar_constant

    if node is None:
        return scalar_constant(value, dtype or _number_dtype(value))
    if dtype is None or node.dtype == dtype:
        return node
    return registry.get("op", "astype")(node, dtype)
