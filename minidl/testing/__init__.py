"""Checks for authors: receives an op, a function or a layer, returns a report of what was checked.

Built-ins are tested with the same functions. :func:`check_op` holds an op's shape rule, kernels
and gradient rule to its pure forward and to finite differences; :func:`check_gradient` does so
for any function of tensors, :func:`check_layer` for a layer with its parameters, and
:func:`check_network` for a sample of those of a whole network. What is wrong is raised as a
CheckError that says where. Importing this package also makes the backend ``array_api_strict``
available, which refuses whatever the array API standard does not allow.
"""

from minidl.testing.draws import draw
from minidl.testing.gradients import check_gradient
from minidl.testing.layers import check_layer
from minidl.testing.networks import check_network
from minidl.testing.ops import check_op
from minidl.testing.report import Check, CheckReport
from minidl.testing.strict import ArrayApiStrictBackend

__all__ = [
    "ArrayApiStrictBackend",
    "Check",
    "CheckReport",
    "check_gradient",
    "check_layer",
    "check_network",
    "check_op",
    "draw",
]
