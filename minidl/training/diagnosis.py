"""Where a NaN or an infinity came from: replays a step that went wrong, value by value."""

from __future__ import annotations

import math

import numpy as np

from minidl.errors import DivergedError
from minidl.graph import Program, Tensor
from minidl.graph.leaves import placeholder_op
from minidl.graph.spec import is_float
from minidl.training.origin import layer_of
from minidl.training.step import Forward, Steps, spec_of

ADVICE = "lower [optimizer] lr, or set [training] clip_norm"


def explain_divergence(
    steps: Steps,
    inputs: np.ndarray,
    targets: np.ndarray,
    loss: float,
    step: int,
    epoch: int,
    draw: int,
) -> DivergedError:
    """Return the error that says in which step the loss diverged and which op did it.

    The state must be that from before the step; ``draw`` is what its random draws were a
    function of.
    """
    head = f"the loss became {loss:g} in step {step} (epoch {epoch})"
    forward = Forward(steps, spec_of(inputs), spec_of(targets))
    culprit = _first_bad(forward, inputs, targets, draw, math.isnan(loss))
    if culprit is None:
        return DivergedError(f"{head}; replaying the step did not show which op produced it")
    node, position = culprit
    advice = ADVICE
    if node.op is placeholder_op:
        if node.name in ("input", "target"):
            return DivergedError(f"{head}: the batch itself holds such a value in its {node.name}")
        return DivergedError(
            f"{head}: '{node.name}' was no longer finite after the update of step {step - 1}; "
            f"{advice}"
        )
    kind = "NaN" if math.isnan(loss) else "infinity"
    layer = layer_of(node, steps.model.root, forward.context)
    owner = f"the loss '{steps.loss.type_name}'" if layer is None else layer.label
    if layer is None and kind == "infinity":
        advice = steps.loss.on_infinity or advice
    if node.dtype == "float16":
        advice += "; or set [training] precision to mixed_bfloat16: float16 ends at 65504"
    return DivergedError(
        f"{head}: the first {kind} came from {node.op.name} in {owner}, "
        f"at index {position} of its output {node.spec}; {advice}"
    )


def _first_bad(
    forward: Forward, inputs: np.ndarray, targets: np.ndarray, draw: int, nan: bool
) -> tuple[Tensor, tuple[int, ...]] | None:
    model = forward.steps.model
    kept = tuple((value, value) for value in forward.values.values())
    program = Program((*forward.inputs, forward.draw), (forward.loss,), kept, model.backend)
    arrays = [model.backend.from_numpy(inputs), model.backend.from_numpy(targets)]
    arrays.append(model.backend.scalar(draw, "int64"))
    found = None
    for node, value in program.walk(arrays, model.state):
        if not is_float(node.dtype):
            continue
        array = np.asarray(model.backend.to_numpy(value))
        if node.op is placeholder_op and not np.isfinite(array).all():
            return node, _index(~np.isfinite(array))
        bad = np.isnan(array) if nan else np.isinf(array)
        if found is None and bad.any() and node.inputs:
            found = node, _index(bad)
    return found


def _index(bad: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(bad)[0])
