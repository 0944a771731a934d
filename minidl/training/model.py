"""A model: layers that are set up, with a value for every parameter."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl import registry
from minidl.backends import Backend, backend, current_backend, use_backend
from minidl.compiler import compile_graph
from minidl.data import Dataset
from minidl.errors import CheckpointError, MinidlError, ShapeError
from minidl.graph import Graph, Program, Spec, State, Tensor, from_array, placeholder
from minidl.layers import Context, Layer
from minidl.losses import Loss
from minidl.training import tensors
from minidl.training.origin import located

if TYPE_CHECKING:
    from minidl.config import Config


class Model:
    """A network with its parameters' values.

    Parameters
    ----------
    root : Layer
        The outermost layer; set up here for ``input_spec``.
    input_spec : Spec
        A batch as the dataset stores it: shape with the batch axis in front, and dtype.
    dataset : Dataset, optional
        Its ``prepare`` turns a stored batch into what the first layer takes.
    loss : Loss, optional
        Its ``output`` turns what the last layer returns into predictions.
    classes : sequence of str
        Names of the classes, if they are known.
    seed : int
        First values of the parameters are a function of it.
    place : str
        Where the layers stand in the config, for messages.
    on : Backend, optional
        Default: the current one.

    Attributes
    ----------
    results : dict
        After training, the last measurement of each part, by part and metric.
    history : list of dict
        After training, the lines of metrics.jsonl.
    """

    def __init__(
        self,
        root: Layer,
        input_spec: Spec,
        *,
        dataset: Dataset | None = None,
        loss: Loss | None = None,
        classes: tuple[str, ...] = (),
        seed: int = 0,
        place: str = "model",
        on: Backend | None = None,
    ) -> None:
        self.root = root
        self.input_spec = input_spec
        self.dataset = dataset
        self.loss = loss
        self.classes = classes
        self.backend = on or current_backend()
        self.layer_spec = self.prepare(placeholder("input", *input_spec)).spec
        self.output_spec = root.setup(self.layer_spec, place=place)
        self.parameters = tuple(root.all_parameters())
        self.state = State(self._first_values(seed))
        self.results: dict[str, dict[str, float]] = {}
        self.history: list[dict[str, Any]] = []
        self._programs: dict[tuple[int, ...], Program] = {}

    @classmethod
    def from_config(cls, config: str | Path | Config | dict[str, Any]) -> Model:
        """Make the model of a config, with first values for its parameters.

        The dataset is loaded, because the shapes of its samples decide those of the parameters.
        """
        from minidl.training.pipeline import prepare

        return prepare(config).model

    # -- using it ----------------------------------------------------------------------------

    def __call__(self, inputs: Any) -> Tensor:
        """Return the raw output of the network for a batch as the dataset stores it."""
        return from_array(self.forward(np.asarray(inputs)))

    def forward(self, inputs: np.ndarray, *, readable: bool = False) -> Any:
        """Return the output for one batch as an array of the backend.

        With ``readable`` the loss's ``output`` is applied: probabilities, not logits.
        """
        self._check_inputs(inputs)
        key = (*inputs.shape, int(readable))
        program = self._programs.get(key)
        if program is None:
            graph, _ = self._forward_graph(inputs.shape, readable)
            program = self._programs[key] = compile_graph(graph, self.backend)
        arrays = [self.backend.from_numpy(inputs)]
        try:
            (output,) = program(arrays, self.state)
        except MinidlError as error:
            graph, context = self._forward_graph(inputs.shape, readable)
            raise located(error, graph, arrays, self, context) from None
        return output

    def predict(self, inputs: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Return predictions for any number of samples: probabilities of classes, or values.

        Parameters
        ----------
        inputs : numpy.ndarray
            Shape (samples, ...), as the dataset stores them.
        """
        if len(inputs) == 0:
            return np.empty((0, *self.output_spec.shape[1:]), dtype=self.output_spec.dtype)
        batches = (inputs[i : i + batch_size] for i in range(0, len(inputs), batch_size))
        outputs = [
            self.backend.to_numpy(self.forward(np.ascontiguousarray(b), readable=True))
            for b in batches
        ]
        return np.concatenate(outputs)

    # -- parameters --------------------------------------------------------------------------

    @property
    def parameter_count(self) -> int:
        """Number of trainable values."""
        return sum(p.spec.size for p in self.parameters if p.trainable)

    def weights(self) -> dict[str, np.ndarray]:
        """Return a copy of every parameter and buffer, by path."""
        return {p.path: self.backend.to_numpy(self.state.values[p.path]) for p in self.parameters}

    def set_weights(
        self, weights: Mapping[str, np.ndarray], source: str = "what was given"
    ) -> None:
        """Replace every parameter and buffer.

        Raises
        ------
        CheckpointError
            If names or shapes are not those of this model; all differences are listed, and
            nothing is changed.
        """
        specs = {p.path: p.spec for p in self.parameters}
        tensors.check_match(weights, specs, source)
        self.state = State({path: self.backend.from_data(weights[path], None) for path in specs})

    def save(self, path: str | Path) -> None:
        """Write all parameters and buffers to a safetensors file."""
        tensors.write(Path(path), self.weights())

    def load_weights(self, path: str | Path) -> None:
        """Read all parameters and buffers from a safetensors file that :meth:`save` wrote."""
        if not Path(path).is_file():
            raise CheckpointError(f"no weights at {path}")
        self.set_weights(tensors.read(Path(path)), str(path))

    # -- tracing -----------------------------------------------------------------------------

    def placeholders(self) -> dict[str, Tensor]:
        """Return a placeholder for every parameter and buffer, by path."""
        return {p.path: placeholder(p.path, *p.spec) for p in self.parameters}

    def apply(self, inputs: Tensor, context: Context) -> Tensor:
        """Build the graph of the network for a batch as the dataset stores it."""
        return self.root(self.prepare(inputs), context=context)

    def prepare(self, inputs: Tensor) -> Tensor:
        """Build the graph of what the first layer takes from a batch as it is stored."""
        return inputs if self.dataset is None else self.dataset.prepare(inputs)

    def _forward_graph(self, shape: tuple[int, ...], readable: bool) -> tuple[Graph, Context]:
        inputs = placeholder("input", shape, self.input_spec.dtype)
        values = self.placeholders()
        context = Context(values)
        output = self.apply(inputs, context)
        if readable and self.loss is not None:
            output = self.loss.output(output)
        kept = tuple((value, value) for value in values.values())
        return Graph((inputs,), (output,), kept), context

    def _check_inputs(self, inputs: np.ndarray) -> None:
        expected = self.input_spec.shape[1:]
        if inputs.shape[1:] != expected or inputs.dtype.name != self.input_spec.dtype:
            raise ShapeError(
                f"the model takes inputs of shape (samples, {', '.join(map(str, expected))}) and "
                f"dtype {self.input_spec.dtype}, not {inputs.shape} and {inputs.dtype.name}"
            )

    def _first_values(self, seed: int) -> dict[str, Any]:
        return {p.path: self._first_value(p, seed) for p in self.parameters}

    def _first_value(self, parameter: Any, seed: int) -> Any:
        stream = zlib.crc32(parameter.path.encode())
        host = backend("numpy")
        with use_backend(host):
            key = registry.get("op", "random_key")(seed, stream, 0)
            try:
                value = parameter.init(key, parameter.spec.shape, parameter.spec.dtype)
            except ShapeError as error:
                raise ShapeError(f"parameter '{parameter.path}': {error}") from None
            return self.backend.from_numpy(value.numpy())
