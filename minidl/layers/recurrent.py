"""Layers that go through a sequence step by step and keep a state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from annotated_types import Ge, Lt

from minidl import ops
from minidl.errors import ConfigError, ShapeError
from minidl.graph import Draw, Spec, Tensor, sample
from minidl.graph.spec import is_float
from minidl.initializers import Initializer
from minidl.layers.base import Context, Layer, layer
from minidl.layers.checks import check_padding_mask, check_sequence

_MASK = Draw((2, 3), dtype="bool")
_LENGTHS = Draw((2,), 1, 4, dtype="int64")


class _Run(NamedTuple):
    """One pass over the sequences: parameters ``…_l0`` or ``…_l0_reverse``."""

    suffix: str
    is_reverse: bool


class Recurrent(Layer):
    """What ``rnn``, ``gru`` and ``lstm`` share: all but :meth:`steps`.

    Attributes
    ----------
    gates : int
        Class attribute: how many times as long as the state the sums of a step are.
    has_cells : bool
        Class attribute: whether a state is a pair, what goes out of a step and what is kept in it.
    """

    gates: ClassVar[int] = 1
    has_cells: ClassVar[bool] = False

    hidden_size: Annotated[int, Ge(1)]
    num_layers: Annotated[int, Ge(1)] = 1
    bias: bool = True
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    bidirectional: bool = False
    output: Literal["sequence", "last", "state"] = "sequence"
    init: Initializer | None = None

    def check_fields(self) -> None:
        if self.dropout and self.num_layers == 1:
            raise ValueError(
                f"dropout = {self.dropout} acts between layers, and num_layers is 1; "
                f"put a 'dropout' behind this layer instead"
            )

    def build(self, x: Spec, *others: Spec) -> None:
        check_sequence(x)
        state, padding = self._parted(others)
        if not x.shape[1] and self.output != "sequence":
            raise ShapeError("a sequence of no steps has no last state")
        if state is not None:
            self._check_state(state, x)
        if padding is not None:
            _check_padding(padding, x)
        bound = 1 / math.sqrt(self.hidden_size)
        init = self.init or {"type": "uniform", "low": -bound, "high": bound}
        rows = self.gates * self.hidden_size
        features = x.shape[2]
        for number in range(self.num_layers):
            for suffix, _ in self._runs(number):
                self.parameter(f"weight_ih{suffix}", (rows, features), init)
                self.parameter(f"weight_hh{suffix}", (rows, self.hidden_size), init)
                if self.bias:
                    self.parameter(f"bias_ih{suffix}", (rows,), init)
                    self.parameter(f"bias_hh{suffix}", (rows,), init)
            features = self.hidden_size * len(self._runs(number))

    def forward(self, x: Tensor, *others: Tensor, context: Context, **parameters: Tensor) -> Tensor:
        state, padding = self._parted(others)
        valid, starts = _valid(x, padding), self._starts(x, state)
        sequence = ops.permute_dims(x, (1, 0, 2))
        found: list[Tensor] = []
        for number in range(self.num_layers):
            if number and self.dropout and context.training:
                key = context.random_key(self, number)
                sequence = ops.dropout(sequence, key, p=self.dropout)
            passes = []
            for run in self._runs(number):
                own = _of_run(parameters, run)
                z = self._pass(sequence, valid, starts[len(found)], run.is_reverse, own)
                found.append(z)
                states = z[0] if self.has_cells else z
                passes.append(ops.flip(states, axis=0) if run.is_reverse else states)
            sequence = ops.concat(passes, axis=-1) if len(passes) > 1 else passes[0]
        if self.output == "state":
            return self._turned(ops.stack([z[..., -1, :, :] for z in found], axis=-2))
        if self.output == "last":
            ends = [z[0, -1] if self.has_cells else z[-1] for z in found[-len(passes) :]]
            return ops.concat(ends, axis=-1) if len(ends) > 1 else ends[0]
        if padding is not None:
            sequence = ops.where(ops.expand_dims(valid, axis=2), sequence, 0.0)
        return ops.permute_dims(sequence, (1, 0, 2))

    def steps(
        self, x: Tensor, weight: Tensor, biases: tuple[Tensor, ...], valid: Tensor, start: Tensor
    ) -> Tensor:
        """Return the states, of x of shape (time, batch, gates · size) without biases.

        They are (time, batch, size), or, if ``has_cells``, (2, time, batch, size); ``start``, the
        state before the first step, is the same without time.
        """
        raise NotImplementedError(f"{type(self).__name__} has no steps")

    def _runs(self, number: int) -> list[_Run]:
        runs = [_Run(f"_l{number}", False)]
        return [*runs, _Run(f"_l{number}_reverse", True)] if self.bidirectional else runs

    def _pass(
        self,
        x: Tensor,
        valid: Tensor,
        start: Tensor,
        is_reverse: bool,
        parameters: Mapping[str, Tensor],
    ) -> Tensor:
        """Go through the sequences once; the states are in the order in which they were met."""
        time, batch, features = x.shape
        weight = parameters["weight_ih"]
        rows = x.reshape(time * batch, features) @ weight.T
        projected = rows.reshape(time, batch, weight.shape[0])
        if is_reverse:
            projected, valid = ops.flip(projected, axis=0), ops.flip(valid, axis=0)
        biases = (parameters["bias_ih"], parameters["bias_hh"]) if self.bias else ()
        return self.steps(projected, parameters["weight_hh"], biases, valid, start)

    def _parted(self, others: tuple[Any, ...]) -> tuple[Any, Any]:
        """Return the state and the padding, or None, among what stands behind the sequences."""
        states = [x for x in others if is_float(x.dtype)]
        paddings = [x for x in others if not is_float(x.dtype)]
        if len(states) > 1 or len(paddings) > 1:
            raise ConfigError(
                f"{self.label}: behind the sequences it takes one state (floats) and one padding "
                f"mask or lengths, not {len(states)} and {len(paddings)}"
            )
        return states[0] if states else None, paddings[0] if paddings else None

    def _check_state(self, state: Spec, x: Spec) -> None:
        rows = self.num_layers * (2 if self.bidirectional else 1)
        wanted = (x.shape[0], *((2,) if self.has_cells else ()), rows, self.hidden_size)
        if state.shape != wanted:
            pair = "2 for states and cells, " if self.has_cells else ""
            layers = "2 · num_layers" if self.bidirectional else "num_layers"
            raise ShapeError(
                f"its state must have shape {wanted}, (batch, {pair}{layers}, hidden_size), not "
                f"{state.shape}; a padding mask would be bool, and lengths integers"
            )

    def _starts(self, x: Tensor, state: Tensor | None) -> list[Tensor]:
        """Return the state that each pass starts from."""
        count = self.num_layers * (2 if self.bidirectional else 1)
        if state is None:
            shape = (x.shape[0], self.hidden_size)
            return [ops.zeros((2, *shape) if self.has_cells else shape, dtype=x.dtype)] * count
        turned = self._turned(state)
        return [turned[..., number, :] for number in range(count)]

    def _turned(self, state: Tensor) -> Tensor:
        """Exchange the axis of the batch with that of states and cells, if there is one."""
        return ops.permute_dims(state, (1, 0, 2, 3)) if self.has_cells else state


@layer("rnn")
class RNN(Recurrent):
    """A plain recurrent network (Elman 1990).

    h_t = tanh(W_ih @ x_t + b_ih + W_hh @ h_(t−1) + b_hh), with h_(−1) = 0 or as given

    Inputs: sequences, float of shape (batch, time, features). Behind them may stand the state to
    start from, float, as ``output = "state"`` gives it; and, if sequences differ in length, either
    a padding mask, bool of shape (batch, time), true where a step is padding (see
    ``padding_mask``), or lengths, integers of shape (batch,) from 0 to time. Padding leaves the
    state as it is, and its outputs are 0.

    Output: "sequence" is the state of every step, shape (batch, time, size), "last" the last of
    them alone, shape (batch, size), where size is ``hidden_size``, or twice that if
    ``bidirectional``: forward first, then backward, whose last state is that at the first step.

    "state" is all that a network of the same fields needs to go on: the last states of all
    layers, shape (batch, num_layers · directions, hidden_size), in PyTorch's order (h_n with the
    batch in front). So a decoder goes on from an encoder:

        { type = "gru", name = "encoder", hidden_size = 64, output = "state" },
        { type = "gru", inputs = ["answer", "encoder"], hidden_size = 64 },

    Where the states of all steps are needed too, a second layer with the same ``inputs`` and the
    first in ``tie`` gives them; but for dropout, what the two share is computed once.

    Parameters, for each layer k: ``weight_ih_lk``, ``weight_hh_lk``, ``bias_ih_lk`` and
    ``bias_hh_lk``, and the same with ``_reverse``, as in PyTorch.

    Attributes
    ----------
    hidden_size : int
        Length of the state.
    num_layers : int
        How many such layers, each taking the states of the one before it.
    bias : bool
        Whether biases are added.
    dropout : float
        Probability in training that an element is dropped of what one layer gives the next.
    bidirectional : bool
        Whether a second pass, with parameters of its own, goes through the sequence backwards.
    output : {"sequence", "last", "state"}
        Every state, the last, or the last of all layers.
    init : Initializer, optional
        First values of all parameters; default uniform within ±1/√hidden_size, as in PyTorch.
    nonlinearity : {"tanh", "relu"}
        What the sum goes through.
    """

    samples = (
        sample((2, 3, 4), hidden_size=3),
        sample((2, 3, 2), _MASK, hidden_size=2, num_layers=2, bidirectional=True, dropout=0.2),
        sample((2, 2, 2), hidden_size=2, bias=False, output="last", nonlinearity="relu"),
        sample((2, 2, 2), (2, 4, 2), hidden_size=2, num_layers=2, bidirectional=True),
    )

    nonlinearity: Literal["tanh", "relu"] = "tanh"

    def steps(
        self, x: Tensor, weight: Tensor, biases: tuple[Tensor, ...], valid: Tensor, start: Tensor
    ) -> Tensor:
        sums = _biased(x, biases)
        return ops.rnn_steps(sums, weight, valid, start, nonlinearity=self.nonlinearity)


@layer("gru")
class GRU(Recurrent):
    """Gated recurrent units (Cho et al. 2014), in the form of PyTorch.

    r = σ(W_ir @ x_t + b_ir + W_hr @ h + b_hr),  u = σ(W_iu @ x_t + b_iu + W_hu @ h + b_hu)

    n = tanh(W_in @ x_t + b_in + r * (W_hn @ h + b_hn)),  h_t = (1 − u) * n + u * h

    where h = h_(t−1). The rows of a weight are those of r, u and n, in this order.

    Inputs, output and names of parameters are those of ``rnn``.

    Attributes
    ----------
    hidden_size, num_layers, bias, dropout, bidirectional, output, init
        As for ``rnn``.
    """

    samples = (
        sample((2, 3, 4), hidden_size=2),
        sample((2, 3, 2), _MASK, hidden_size=2, output="last", bidirectional=True),
        sample((2, 2, 2), hidden_size=1, num_layers=2, dropout=0.2, bias=False),
        sample((2, 3, 2), (2, 1, 2), _MASK, hidden_size=2, output="state"),
    )

    gates = 3

    def steps(
        self, x: Tensor, weight: Tensor, biases: tuple[Tensor, ...], valid: Tensor, start: Tensor
    ) -> Tensor:
        # b_hn stands within the reset gate, so biases of the state go with the state
        of_state = biases[1] if biases else ops.zeros(weight.shape[0], dtype=x.dtype)
        return ops.gru_steps(_biased(x, biases[:1]), weight, of_state, valid, start)


@layer("lstm")
class LSTM(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with forget gates (Gers et al. 2000).

    i, f, o = σ(…),  g = tanh(…),  each of W_ih @ x_t + b_ih + W_hh @ h_(t−1) + b_hh

    c_t = f * c_(t−1) + i * g,  h_t = o * tanh(c_t)

    The rows of a weight are those of i, f, g and o, in this order. The output is h.

    Inputs, output and names of parameters are those of ``rnn``, but for the state, of shape
    (batch, 2, num_layers · directions, hidden_size): first all h, then all c.

    Attributes
    ----------
    hidden_size, num_layers, bias, dropout, bidirectional, output, init
        As for ``rnn``.
    """

    samples = (
        sample((2, 3, 4), hidden_size=2),
        sample((2, 3, 2), _LENGTHS, hidden_size=2, bidirectional=True),
        sample((2, 2, 2), hidden_size=1, num_layers=2, dropout=0.2, bias=False, output="last"),
        sample((2, 3, 2), (2, 2, 2, 1), _LENGTHS, hidden_size=1, num_layers=2, output="state"),
    )

    gates = 4
    has_cells = True

    def steps(
        self, x: Tensor, weight: Tensor, biases: tuple[Tensor, ...], valid: Tensor, start: Tensor
    ) -> Tensor:
        return ops.lstm_steps(_biased(x, biases), weight, valid, start)


def _biased(x: Tensor, biases: tuple[Tensor, ...]) -> Tensor:
    if not biases:
        return x
    return x + (biases[0] if len(biases) == 1 else biases[0] + biases[1])


def _of_run(parameters: Mapping[str, Tensor], run: _Run) -> dict[str, Tensor]:
    """Return the parameters of one pass without its suffix."""
    return {
        name.removesuffix(run.suffix): value
        for name, value in parameters.items()
        if name.endswith(run.suffix)
    }


def _valid(x: Tensor, padding: Tensor | None) -> Tensor:
    """Return where there are steps, as (time, batch)."""
    batch, time = x.shape[:2]
    if padding is None:
        return ops.ones((time, batch), dtype="bool")
    if padding.dtype == "bool":
        return ~padding.T
    lengths = ops.in_range(padding, low=0, high=time, name="length")
    return ops.arange(time).reshape(time, 1) < lengths


def _check_padding(padding: Spec, x: Spec) -> None:
    if padding.dtype == "bool":
        check_padding_mask(padding, x)
    elif padding.shape != x.shape[:1]:
        raise ShapeError(
            f"lengths of shape {padding.shape} do not fit a batch of {x.shape[0]} sequences"
        )
