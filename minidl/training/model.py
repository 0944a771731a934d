"""A model: layers that are set up, with a value for every parameter."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl import registry
from minidl.backends import Backend, backend, current_backend, use_backend
from minidl.compiler import compile_graph
from minidl.data import Dataset, Part
from minidl.data.checks import check_finite
from minidl.data.generation import continue_text
from minidl.data.given import as_array, as_dtype, as_samples
from minidl.data.text import Text
from minidl.errors import CheckpointError, DataError, MinidlError, ShapeError
from minidl.graph import Graph, Program, Spec, State, Tensor, from_array, placeholder
from minidl.layers import Context, Layer
from minidl.losses import Loss
from minidl.metrics import Metric
from minidl.training import tensors
from minidl.training.origin import located

if TYPE_CHECKING:
    from minidl.config import Config
    from minidl.training.summary import Summary


class Model:
    """A network with its parameters' values.

    Parameters
    ----------
    root : Layer
        The outermost layer; set up here for ``input_spec``.
    input_spec : Spec
        A batch as the dataset stores it: shape with the batch axis in front, and dtype.
    target_spec : Spec, optional
        A batch of targets as the dataset stores them.
    dataset : Dataset, optional
        Its ``prepare`` turns a stored batch into what the first layer takes.
    loss : Loss, optional
        Its ``output`` turns what the last layer returns into predictions.
    metrics : sequence of Metric
        What :meth:`evaluate` measures beside the loss.
    reconstruct : bool
        Whether the inputs are what is to be predicted, in place of targets.
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
        target_spec: Spec | None = None,
        *,
        dataset: Dataset | None = None,
        loss: Loss | None = None,
        metrics: Sequence[Metric] = (),
        reconstruct: bool = False,
        classes: tuple[str, ...] = (),
        seed: int = 0,
        place: str = "model",
        on: Backend | None = None,
    ) -> None:
        self.root = root
        self.input_spec = input_spec
        self.target_spec = target_spec
        self.dataset = dataset
        self.loss = loss
        self.metrics = metrics
        self.reconstruct = reconstruct
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
    def from_config(
        cls, config: str | Path | Config | dict[str, Any], *, data: Any = None
    ) -> Model:
        """Make the model of a config, with first values for its parameters.

        The shapes of samples decide those of parameters: unless the dataset knows them, as those
        of well-known images do, it is loaded.

        Parameters
        ----------
        config : str, Path, Config or dict
            As :func:`minidl.fit` takes it.
        data : pair of array_like, optional
            Inputs and targets, shape (samples, ...), in place of a dataset.
        """
        from minidl.training.pipeline import prepare, with_arrays

        return prepare(with_arrays(config, data), outline=True).model

    def __repr__(self) -> str:
        parts = [part for part in (self.dataset, self.loss) if part is not None]
        named = [f"{part.kind} '{part.type_name}'" for part in parts]
        takes, gives = (
            Spec(spec.shape[1:], spec.dtype) for spec in (self.input_spec, self.output_spec)
        )
        size = f"{self.parameter_count:,} parameters"
        return f"Model({', '.join([f'{takes} -> {gives}', size, *named])})"

    # -- using it ----------------------------------------------------------------------------

    def __call__(self, inputs: Any) -> Tensor:
        """Return the raw output of the network for a batch as the dataset stores it."""
        return from_array(self.forward(inputs))

    def forward(self, inputs: Any, *, readable: bool = False) -> Any:
        """Return the output for one batch as an array of the backend.

        With ``readable`` the loss's ``output`` is applied: probabilities, not logits.
        """
        batch = self._samples(inputs)
        key = (*batch.shape, int(readable))
        program = self._programs.get(key)
        if program is None:
            graph, _ = self._forward_graph(batch.shape, readable)
            program = self._programs[key] = compile_graph(graph, self.backend)
        arrays = [self.backend.from_numpy(np.ascontiguousarray(batch))]
        try:
            (output,) = program(arrays, self.state)
        except MinidlError as error:
            graph, context = self._forward_graph(batch.shape, readable)
            raise located(error, graph, arrays, self, context) from None
        return output

    def predict(self, inputs: Any, batch_size: int = 256) -> np.ndarray:
        """Return predictions for any number of samples: probabilities of classes, or values.

        Parameters
        ----------
        inputs : array_like
            Shape (samples, ...), with values as the dataset stores them, in any dtype.

        Raises
        ------
        ShapeError
            If samples have another shape; a single sample is a batch of one.
        DataError
            If a value is one that the dtype of the dataset cannot hold.
        """
        samples = self._samples(inputs)
        if len(samples) == 0:
            return np.empty((0, *self.output_spec.shape[1:]), dtype=self.output_spec.dtype)
        batches = (samples[i : i + batch_size] for i in range(0, len(samples), batch_size))
        outputs = [self.backend.to_numpy(self.forward(b, readable=True)) for b in batches]
        return np.concatenate(outputs)

    def evaluate(self, inputs: Any, targets: Any = None, batch_size: int = 256) -> dict[str, Any]:
        """Return loss and metrics of samples, by name.

        Parameters
        ----------
        inputs, targets : array_like
            Shape (samples, ...), with values as the dataset stores them. A network that
            reconstructs its inputs needs no targets.

        Raises
        ------
        ShapeError, DataError
            As :meth:`predict` does, or if there are not as many targets as inputs.
        ConfigError
            If the model was made without a loss.
        """
        from minidl.training.measuring import measure, measuring_steps

        steps, samples = measuring_steps(self), self._samples(inputs)
        wanted = samples if self.reconstruct else self._targets(targets)
        check_finite(samples, "inputs")
        with use_backend(self.backend):
            return measure(steps, Part(samples, wanted), batch_size)

    def generate(
        self,
        prompt: str,
        length: int = 300,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int = 0,
    ) -> str:
        """Return ``prompt`` continued by ``length`` tokens, for a network trained on text.

        Parameters
        ----------
        temperature : float
            What logits are divided by; 0 always takes the most probable token.
        top_k : int, optional
            Draw from so many of the most probable tokens.
        seed : int
            Draws are a function of it.

        Raises
        ------
        DataError
            If the network was not trained on text, or the prompt is empty or has a character
            that the vocabulary lacks.
        """
        if not isinstance(self.dataset, Text):
            raise DataError("a prompt continues a text, but this network was not trained on one")
        tokens = continue_text(
            lambda window: self.backend.to_numpy(self.forward(window)),
            self.dataset,
            prompt,
            length,
            temperature=temperature,
            top_k=top_k,
            seed=seed,
        )
        return prompt + self.dataset.decode(list(tokens))

    def summary(self) -> Summary:
        """Return layers, shapes, parameters and cost; its ``text()`` is a table."""
        from minidl.training.summary import summarize

        return summarize(self)

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
            if self.dataset is not None and not self.reconstruct:
                output = self.dataset.target_units(output)
        kept = tuple((value, value) for value in values.values())
        return Graph((inputs,), (output,), kept), context

    def _samples(self, inputs: Any) -> np.ndarray:
        return as_samples(inputs, self.input_spec.shape[1:], self.input_spec.dtype, "inputs")

    def _targets(self, targets: Any) -> np.ndarray:
        """Return targets as they were stored for training: values along one axis as a column."""
        if targets is None:
            raise DataError("targets are missing; only a network that reconstructs needs none")
        array, wanted = as_array(targets, "targets"), self.target_spec
        check_finite(array, "targets")
        if wanted is None:
            return array
        if wanted.shape[1:] == (1,) and array.ndim == 1:
            array = array[:, None]
        return as_dtype(array, wanted.dtype, "targets")

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
