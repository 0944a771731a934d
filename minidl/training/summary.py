"""What a model is made of: receives a model, returns its layers, shapes, parameters, cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from minidl.graph import placeholder, toposort
from minidl.layers import Context, Layer
from minidl.optimizers import Optimizer
from minidl.optimizers.groups import assign
from minidl.training.model import Model


@dataclass(frozen=True)
class Row:
    """One layer: by itself, without the layers it holds.

    Attributes
    ----------
    name, type : str
        Its path in the model and registered type.
    input, output : str
        Specs for one batch.
    parameters : int
        Trainable values, those of an earlier layer left out.
    flops : int
        Floating-point operations of a forward pass, for one sample.
    bytes : int
        Memory of its output, for one sample; 0 where that is the output of a layer it holds.
    """

    name: str
    type: str
    input: str
    output: str
    parameters: int
    flops: int
    bytes: int


@dataclass(frozen=True)
class Summary:
    """A model's layers and totals."""

    rows: tuple[Row, ...]
    batch_size: int
    parameters: int
    frozen: int
    parameter_bytes: int
    flops: int
    activation_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """Return a table for a terminal: the output and the cost of one sample."""
        head = ("layer", "type", "output", "parameters", "FLOPs")
        lines = [
            (r.name, r.type, _sample(r.output), f"{r.parameters:,}", f"{r.flops:,}")
            for r in self.rows
        ]
        widths = [max(len(line[i]) for line in (head, *lines)) for i in range(len(head))]
        table = [_line(line, widths) for line in (head, *lines)]
        rule = "─" * len(table[0])
        fixed = f" and {self.frozen:,} not trained" if self.frozen else ""
        totals = [
            f"parameters   {self.parameters:,}{fixed} ({_size(self.parameter_bytes)})",
            f"FLOPs        {self.flops:,} a sample, forward",
            f"activations  {_size(self.activation_bytes)} a sample, "
            f"{_size(self.activation_bytes * self.batch_size)} a batch of {self.batch_size}",
        ]
        return "\n".join([table[0], rule, *table[1:], rule, *totals])


def summarize(model: Model, optimizer: Optimizer | None = None) -> Summary:
    """Trace the forward pass of a model and count.

    Parameters
    ----------
    optimizer : Optimizer, optional
        What its groups freeze counts as not trained.
    """
    batch = model.input_spec.shape[0]
    context = Context(model.placeholders())
    inputs = placeholder("input", *model.input_spec)
    model.apply(inputs, context)
    flops = _own_flops(context)
    rows = [
        _row(layer, flops[layer.path], batch)
        for layer in model.root.all_layers()
        if layer.path in flops and (not layer.children or layer.parameters or flops[layer.path])
    ]
    owners = {} if optimizer is None else assign(optimizer, [p.path for p in model.parameters])
    fixed = {p.path for p in model.parameters if not p.trainable or owners.get(p.path, p) is None}
    sizes = {p.path: p.spec.size for p in model.parameters}
    return Summary(
        tuple(rows),
        batch,
        sum(size for path, size in sizes.items() if path not in fixed),
        sum(size for path, size in sizes.items() if path in fixed),
        sum(p.spec.nbytes for p in model.parameters),
        sum(row.flops for row in rows),
        sum(row.bytes for row in rows),
    )


def _own_flops(context: Context) -> dict[str, int]:
    """Return, by path, the operations of each layer beyond those of the layers that it holds."""
    counted: set[int] = set()
    found = {}
    for path, output in context.outputs.items():  # what a layer holds ends before it does
        before = {id(node) for node in toposort(context.inputs[path])}
        nodes = [n for n in toposort([output]) if id(n) not in before and id(n) not in counted]
        counted.update(id(node) for node in nodes)
        found[path] = sum(node.op.count_flops(node) for node in nodes)
    return found


def _row(layer: Layer, flops: int, batch: int) -> Row:
    return Row(
        layer.path or layer.type_name,
        layer.type_name,
        ", ".join(str(spec) for spec in layer.input_specs),
        str(layer.output_spec),
        sum(p.spec.size for p in layer.parameters if p.trainable and not p.tied),
        flops // batch,
        0 if layer.children else layer.output_spec.nbytes // batch,
    )


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(cells[:3], widths[:3], strict=True)]
    right = [cell.rjust(width) for cell, width in zip(cells[3:], widths[3:], strict=True)]
    return "  ".join([*left, *right])


def _sample(output: str) -> str:
    """Return the spec of a batch without the axis of the batch: ``float32[8, 8]``."""
    dtype, _, axes = output.partition("[")
    return f"{dtype}[{axes.partition(', ')[2] or ']'}"


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError
