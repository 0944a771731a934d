"""Layers that hold layers: a list that is a chain, or a graph through the names in ``inputs``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, NamedTuple

from annotated_types import MinLen

from minidl.errors import ConfigError, suggestion
from minidl.graph import Sample, Spec, Tensor, sample
from minidl.layers.base import Context, Layer, layer

_NOT_IN_NAMES = ".:/"


class _Step(NamedTuple):
    """A layer called ``name``, at ``place`` in the list, applied to ``sources``."""

    name: str
    layer: Layer
    place: int
    sources: tuple[str, ...]


@layer("sequential")
class Sequential(Layer):
    """Layers one after another; what the last one returns is the output.

    A layer takes the output of the one before it, or of those that its ``inputs`` names: earlier
    layers of the same list, or the container's own input. So the list can be any directed graph.
    Layers without a name are called by type and place, ``linear_0``. A layer with ``repeat = N``
    stands N times, each with its own parameters, as ``name_0`` … ``name_{N−1}``; ``name`` itself
    then means the last of them. Each takes what the one before it gives in place of its first
    input; further inputs, such as a mask, go to all.

    Attributes
    ----------
    layers : list of Layer
        At least one.
    input : str
        What the input of the container is called in ``inputs``.
    """

    samples: ClassVar[tuple[Sample, ...]] = (
        sample((3, 4), layers=[{"type": "linear", "units": 2}, {"type": "tanh"}]),
        sample((3, 4), layers=[{"type": "linear", "units": 4, "repeat": 2}]),
        sample(
            (3, 4),
            layers=[
                {"type": "linear", "units": 4, "name": "f"},
                {"type": "sigmoid"},
                {"type": "add", "inputs": ["sigmoid_1", "f", "input"]},
            ],
        ),
    )

    layers: Annotated[list[Layer], MinLen(1)]
    input: str = "input"

    def build(self, x: Spec) -> None:
        steps = list(self._steps())
        self._check_use(steps)
        specs = {self.input: x}
        for step in steps:
            inputs = [specs[source] for source in step.sources]
            place = self._place(step.place)
            specs[step.name] = self.child(step.name, step.layer, *inputs, place=place)
        self._sources = {step.name: step.sources for step in steps}

    def forward(self, x: Tensor, context: Context) -> Tensor:
        values = {self.input: x}
        output = x
        for name, sources in self._sources.items():
            inputs = [values[source] for source in sources]
            output = values[name] = self.children[name](*inputs, context=context)
        return output

    def _steps(self) -> Iterator[_Step]:
        """Yield every layer, repeated ones expanded, with the names of its inputs resolved."""
        known = {self.input: self.input}
        places: dict[str, int | None] = {self.input: None}
        previous = self.input
        for index, given in enumerate(self.layers):
            self._check_object(index)
            base = given.name or f"{given.type_name}_{index}"
            self._claim(base, index, places)
            names = [base] if given.repeat == 1 else [f"{base}_{i}" for i in range(given.repeat)]
            sources = self._resolve(given, base, index, previous, known)
            for name in names:
                if name != base:
                    self._claim(name, index, places)
                one = given if given.repeat == 1 else given.copy(name=name, inputs=None, repeat=1)
                yield _Step(name, one, index, sources)
                sources = (name, *sources[1:])
            known[base] = previous = names[-1]
            known.update({name: name for name in names})

    def _resolve(
        self, given: Layer, name: str, index: int, previous: str, known: Mapping[str, str]
    ) -> tuple[str, ...]:
        if given.inputs is None:
            return (previous,)
        for source in given.inputs:
            if source not in known:
                raise ConfigError(
                    f"{self._label(given, name, index)}: unknown input '{source}'"
                    f"{suggestion(source, known)} (before it stand: {', '.join(known)})"
                )
        return tuple(known[source] for source in given.inputs)

    def _claim(self, name: str, index: int, places: dict[str, int | None]) -> None:
        """Enter ``name``; raise ConfigError if it is taken, or is no name for a layer."""
        label = self._label(self.layers[index], name, index)
        if any(character in name for character in _NOT_IN_NAMES) or name.strip() != name:
            raise ConfigError(
                f"{label}: '{name}' is no name for a layer; "
                f"leave out spaces at its ends and {' '.join(_NOT_IN_NAMES)}"
            )
        if name in places:
            holder = places[name]
            what = "the input of the list" if holder is None else self._place(holder)
            raise ConfigError(f"{label}: the name is taken by {what}; choose another")
        places[name] = index

    def _check_object(self, index: int) -> None:
        for earlier in range(index):
            if self.layers[earlier] is self.layers[index]:
                raise ConfigError(
                    f"{self._place(index)} is the same object as {self._place(earlier)}; "
                    f"make a layer for each place (copy() returns another like it)"
                )

    def _check_use(self, steps: list[_Step]) -> None:
        """Raise ConfigError if the output of a layer goes nowhere."""
        used = {source for step in steps for source in step.sources}
        for step in steps[:-1]:
            if step.name not in used:
                raise ConfigError(
                    f"{self._label(step.layer, step.name, step.place)}: nothing takes its "
                    f"output; name it in the 'inputs' of a later layer, or remove it"
                )

    def _label(self, given: Layer, name: str, index: int) -> str:
        path = f"{self.path}.{name}" if self.path else name
        return f"layer '{path}' ({given.type_name}, {self._place(index)})"

    def _place(self, index: int) -> str:
        return f"{self.place}.layers[{index}]" if self.place else f"layers[{index}]"
