"""What a layer is: declared fields, parameters made from shapes, a forward in graph values."""

from __future__ import annotations

import contextlib
import inspect
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from annotated_types import Ge

from minidl import registry
from minidl.component import C, Component, component, config_fields, make
from minidl.errors import ConfigError, GraphError, MinidlError, ShapeError
from minidl.graph import Sample, Spec, Tensor, placeholder
from minidl.graph.op import as_tensor
from minidl.initializers import Initializer
from minidl.layers import ties


@dataclass(frozen=True)
class Parameter:
    """A declared parameter or buffer of a layer; its value lives in the model's state.

    Attributes
    ----------
    name : str
        The keyword by which the layer's ``forward`` receives it.
    path : str
        Its name in the whole model: ``"encoder.linear_0.weight"``.
    spec : Spec
        Shape and dtype.
    init : Initializer
        Where its first value comes from.
    trainable : bool
        Whether the optimiser updates it. A buffer (running statistics …) is not trainable.
    symbol : str
        What it is called in formulas: ``"W"``.
    tied : bool
        Whether it is the parameter of another layer, by whose ``path`` it goes.
    """

    name: str
    path: str
    spec: Spec
    init: Initializer
    trainable: bool
    symbol: str
    tied: bool = False


@dataclass
class Context:
    """What a forward pass runs with.

    Attributes
    ----------
    values : Mapping
        The value of each parameter and buffer, by path.
    training : bool
        Whether dropout drops and statistics are updated.
    seed, step : Tensor or int
        What random draws are a function of, together with the layer that draws.
    updates : dict
        Next values of buffers, by path, filled in during the pass.
    inputs, outputs : dict
        The inputs and the output of every layer, by path, filled in during the pass.
    """

    values: Mapping[str, Tensor]
    training: bool = False
    seed: Any = 0
    step: Any = 0
    updates: dict[str, Tensor] = field(default_factory=dict)
    inputs: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)

    def random_key(self, owner: Layer, draw: int = 0) -> Tensor:
        """Return the random key of ``owner`` in this step; ``draw`` tells its draws apart."""
        stream = zlib.crc32(f"{owner.path}#{draw}".encode())
        return registry.get("op", "random_key")(self.seed, stream, self.step)

    def update(self, owner: Layer, name: str, value: Tensor) -> None:
        """Set the next value of the buffer ``name`` of ``owner``."""
        self.updates[owner.parameter_named(name).path] = value


class Layer(Component):
    """Base of all layers. Subclass it and decorate it with :func:`layer`.

        @md.layer("scale")
        class Scale(md.Layer):
            start: float = 1.0                                    # a field: its config

            def build(self, x):                                   # x: Spec
                start = {"type": "constant", "value": self.start}
                self.parameter("factor", x.shape[-1:], start)

            def forward(self, x, factor):                         # Tensors
                return x * factor

    ``forward`` receives the inputs by position and the parameters by name; if it has a parameter
    called ``context`` it also receives the :class:`Context`. Nothing about the input but its
    spec may decide what it does.

    Attributes
    ----------
    samples : tuple of Sample
        Class attribute: inputs and fields to check it with, ``sample((2, 3), units=4)``.
    name : str
        Its name in the model; default its type and place, ``"linear_0"``.
    inputs : list of str, optional
        Names of the layers whose outputs it takes; default the layer before it.
    repeat : int
        How many such layers, each with parameters of its own, stand one after another; the first
        input of each is the output of the one before it.
    tie : str or dict of str, optional
        Parameters that are those of a layer before it: ``{ weight = "embedding_0.weight" }``, or
        the name of a layer that it shares all with. One value, one gradient: the sum of both.
    """

    kind: ClassVar[str] = "layer"
    common = ("name", "inputs", "repeat", "tie")
    samples: ClassVar[tuple[Sample, ...]] = ()

    name: str = field(default="", kw_only=True)
    inputs: list[str] | None = field(default=None, kw_only=True)
    repeat: Annotated[int, Ge(1)] = field(default=1, kw_only=True)
    tie: str | dict[str, str] | None = field(default=None, kw_only=True)

    # -- for authors -------------------------------------------------------------------------

    def build(self, *inputs: Any, **_: Any) -> None:  # Any: an override may name its inputs
        """Declare parameters and children for inputs of these specs; override where needed."""

    def forward(self, *inputs: Any, **parameters: Any) -> Tensor:
        """Return the output; override."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def parameter(
        self,
        name: str,
        shape: tuple[int, ...],
        init: Any = None,
        *,
        dtype: str = "float32",
        trainable: bool = True,
        symbol: str = "",
    ) -> None:
        """Declare a parameter, from within :meth:`build`.

        ``init`` is an initialiser, its name, or a table with its ``type`` and options. Default
        "glorot_uniform", which has a meaning for weights of shape (out, in, ...) alone; what has
        fewer axes, a bias or a scale, needs another.

        Raises
        ------
        ConfigError
            If the name is taken, or the shape or the initialiser is none.
        ShapeError
            If the initialiser does not fit the shape.
        """
        path = f"{self.path}.{name}" if self.path else name
        if any(held.name == name for held in self._parameters):
            raise ConfigError(f"{self.label}: parameter '{name}' is declared twice")
        spec = Spec(_lengths(shape, f"{self.label}: parameter '{name}'"), dtype)
        if init is None and spec.ndim < 2:
            raise ShapeError(
                f"parameter '{name}' of shape {spec.shape} needs an init, such as 'zeros' or "
                f"'ones': the default, 'glorot_uniform', is for weights of shape (out, in, ...)"
            )
        try:
            made = make("initializer", "glorot_uniform" if init is None else init)
            made.check_shape(spec.shape)
        except ShapeError as error:
            raise ShapeError(f"parameter '{name}': {error}") from None
        except ValueError as error:
            raise ConfigError(f"{self.label}: parameter '{name}': {error}") from None
        declared = Parameter(name, path, spec, made, trainable, symbol or name)
        self._parameters.append(ties.resolve(self, declared))

    def buffer(
        self, name: str, shape: tuple[int, ...], init: Any = "zeros", *, dtype: str = "float32"
    ) -> None:
        """Declare state that the optimiser leaves alone; see :meth:`Context.update`."""
        self.parameter(name, shape, init, dtype=dtype, trainable=False)

    def child(self, name: str, layer: Layer, *inputs: Spec, place: str = "") -> Spec:
        """Take ``layer`` in as a child called ``name``, set it up, and return its output's spec."""
        if name in self._children:
            raise ConfigError(
                f"{self.label}: two layers are called '{name}'; give one another name"
            )
        self._children[name] = layer
        path = f"{self.path}.{name}" if self.path else name
        return layer.setup(*inputs, path=path, place=place or self.place, parent=self)

    # -- for those who hold layers -----------------------------------------------------------

    def setup(
        self, *inputs: Spec, path: str = "", place: str = "", parent: Layer | None = None
    ) -> Spec:
        """Declare everything for inputs of these specs and return the output's spec.

        Parameters
        ----------
        path : str
            Where it stands in the model: prefix of its parameters' names.
        place : str
            Where it stands in the config: ``"model.layers[2]"``.
        parent : Layer, optional
            The layer that holds it.

        Raises
        ------
        ShapeError, DtypeError, ConfigError
            Naming the layer, its place and the shapes.
        """
        self.path, self.place, self.parent = path, place, parent
        self._parameters: list[Parameter] = []
        self._children: dict[str, Layer] = {}
        self.input_specs = inputs
        with self._named(inputs):
            self._check_count(self.build, len(inputs))
            self.build(*inputs)
            self._check_count(self.forward, len(inputs))
            ties.check_names(self)
            held = [p for layer in self.all_layers() for p in layer.parameters]
            values = {p.path: placeholder(p.path, *p.spec) for p in held}
            arguments = [placeholder(f"input{i}", *spec) for i, spec in enumerate(inputs)]
            self.output_spec = self(*arguments, context=Context(values)).spec
        return self.output_spec

    def __call__(self, *inputs: Any, context: Context) -> Tensor:
        """Apply the layer, taking its parameters from ``context``."""
        # what is applied a second time goes on with the buffers that the first time left
        parameters: dict[str, Any] = {
            p.name: context.updates.get(p.path, context.values[p.path]) for p in self._parameters
        }
        if _takes_context(type(self)):
            parameters["context"] = context
        with self._named([as_tensor(x).spec for x in inputs]):
            output = as_tensor(self.forward(*inputs, **parameters))
        context.inputs[self.path], context.outputs[self.path] = inputs, output
        return output

    @property
    def label(self) -> str:
        """The layer in messages: ``"layer 'f' (linear, model.layers[0])"``."""
        place = f", {self.place}" if self.place else ""
        return f"layer '{self.path or self.name or self.type_name}' ({self.type_name}{place})"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters and buffers of this layer alone, those it shares with another too."""
        return tuple(self._parameters)

    @property
    def children(self) -> Mapping[str, Layer]:
        """The layers it holds, by name, in order."""
        return dict(self._children)

    def all_parameters(self) -> Iterator[Parameter]:
        """Yield the parameters and buffers of this layer and all it holds, each once, in order."""
        yield from (held for held in self._parameters if not held.tied)
        for child in self._children.values():
            yield from child.all_parameters()

    def all_layers(self) -> Iterator[Layer]:
        """Yield this layer and all it holds, in order."""
        yield self
        for child in self._children.values():
            yield from child.all_layers()

    def parameter_named(self, name: str) -> Parameter:
        """Return its parameter or buffer called ``name``."""
        for held in self._parameters:
            if held.name == name:
                return held
        raise GraphError(f"{self.label} has no parameter '{name}'")

    def new_context(self, values: Mapping[str, Tensor], **options: Any) -> Context:
        """Return a :class:`Context` to call this layer with; ``options`` are its other fields."""
        return Context(values, **options)

    def copy(self, **changes: Any) -> Layer:
        """Return a layer of the same fields, not set up, with some changed.

        Layers in its fields are copied too, so that the two share no parameters.
        """
        fields = {f.name: _copied(getattr(self, f.name)) for f in config_fields(type(self))}
        return type(self)(**{**fields, **changes})

    @contextlib.contextmanager
    def _named(self, inputs: Sequence[Spec]) -> Iterator[None]:
        """Put this layer and its inputs into an error that comes from within, and its place."""
        try:
            yield
        except GraphError as error:
            if error.place is not None:
                raise
            shapes = ", ".join(str(spec) for spec in inputs)
            verb = "input is" if len(inputs) == 1 else "inputs are"
            named = type(error)(f"{self.label}: {error} (its {verb} {shapes})")
            named.place = self.place
            raise named from error.__cause__
        except MinidlError as error:
            error.place = self.place if error.place is None else error.place
            raise
        except Exception as error:  # a mistake in the code of a layer: say in which
            if not getattr(error, "__notes__", None):
                error.add_note(f"in {self.label}")
            raise

    def _check_count(self, method: Callable[..., Any], given: int) -> None:
        """Raise ConfigError unless ``method`` takes as many inputs as there are."""
        known = {"context", *(p.name for p in self._parameters)}
        declared = [p for p in inspect.signature(method).parameters.values() if p.name not in known]
        inputs = [p for p in declared if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        least = sum(p.default is p.empty for p in inputs)
        if any(p.kind is p.VAR_POSITIONAL for p in declared):
            fits, wanted = given >= least, f"{least} or more"
        else:
            fits = least <= given <= len(inputs)
            wanted = str(least) if least == len(inputs) else f"{least} to {len(inputs)}"
        if not fits:
            noun = "input" if wanted == "1" else "inputs"
            verb = "is" if given == 1 else "are"
            names = f" ({', '.join(self.inputs)})" if self.inputs else ""
            raise ConfigError(
                f"{self.label}: it takes {wanted} {noun}, but {given} {verb} given{names}"
            )


def layer(name: str) -> Callable[[C], C]:
    """Declare a layer: decorate a subclass of :class:`Layer`, register it under ``name``."""
    return component("layer", name)


def _copied(value: Any) -> Any:
    if isinstance(value, Layer):
        return value.copy()
    if isinstance(value, list | tuple):
        return type(value)(_copied(item) for item in value)
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return value


def _lengths(shape: Any, what: str) -> tuple[int, ...]:
    """Return a shape as a tuple of its lengths."""
    one_axis = f"; for one axis write ({shape},)" if isinstance(shape, int) else ""
    lengths = tuple(shape) if isinstance(shape, tuple | list) else None
    if lengths is None or not all(isinstance(n, int) and n >= 0 for n in lengths):
        raise ConfigError(f"{what}: its shape must be a tuple of lengths, not {shape!r}{one_axis}")
    return lengths


def _takes_context(cls: type[Layer]) -> bool:
    return "context" in inspect.signature(cls.forward).parameters
