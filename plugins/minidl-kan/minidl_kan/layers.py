"""The Kolmogorov–Arnold layer."""

from __future__ import annotations

from typing import Annotated, Literal

import minidl as md
from annotated_types import Ge

from minidl_kan.ops import bspline_basis


@md.layer("kan")
class KAN(md.Layer):
    """Learnt functions of one variable on every edge, summed at every unit.

    y_j = Σ_i ( W_ji b(x_i) + Σ_m C_jim B_m(x_i) )

    B_m are B-splines of ``degree`` on ``grid_size`` equal intervals of ``grid_range``, continued
    by ``degree`` knots on each side; b is the base activation, which alone answers to inputs
    outside the knots. The spline's own factor w_s of the paper is part of C here.

    Input: float, shape (batch, ..., in). Output: shape (batch, ..., units).
    Parameters: ``base_weight`` W of shape (units, in), ``spline_weight`` C of shape
    (units, in, grid_size + degree).

    Attributes
    ----------
    units : int
        Length of the last axis of the output.
    grid_size : int
        Intervals of the grid.
    degree : int
        Degree of the splines.
    grid_range : (float, float)
        Where the grid begins and ends; inputs should mostly lie in it.
    base : {"silu", "tanh", "linear"}
        The base activation; silu(x) = x σ(x).
    spline_scale : float
        Standard deviation of the first C; W begins as ``glorot_uniform``.

    Notes
    -----
    Z. Liu et al., KAN: Kolmogorov–Arnold Networks, 2024, arXiv:2404.19756, section 2.2.
    The grid stays where it is put: the paper's grid updates during training are left out.
    """

    samples = (
        md.sample((4, 3), units=2, grid_range=(-2.0, 2.0)),
        md.sample((2, 2, 3), units=2, grid_size=3, degree=2, base="tanh"),
        md.sample((4, 1), units=3, grid_size=2, base="linear"),
    )

    units: Annotated[int, Ge(1)]
    grid_size: Annotated[int, Ge(1)] = 5
    degree: Annotated[int, Ge(1)] = 3
    grid_range: tuple[float, float] = (-1.0, 1.0)
    base: Literal["silu", "tanh", "linear"] = "silu"
    spline_scale: Annotated[float, Ge(0)] = 0.1

    def check_fields(self) -> None:
        """Raise ValueError where the grid has no width."""
        low, high = self.grid_range
        if not low < high:
            raise ValueError(f"grid_range must rise; it goes from {low} to {high}")

    def build(self, x: md.Spec) -> None:
        """Declare the weights for inputs of shape (..., in)."""
        width = x.shape[-1]
        self.parameter("base_weight", (self.units, width), symbol="W")
        self.parameter(
            "spline_weight",
            (self.units, width, self.grid_size + self.degree),
            init={"type": "normal", "std": self.spline_scale},
            symbol="C",
        )

    def forward(self, x: md.Tensor, base_weight: md.Tensor, spline_weight: md.Tensor) -> md.Tensor:
        """Return (..., units) from (..., in)."""
        low, high = self.grid_range
        step = (high - low) / self.grid_size
        count = self.grid_size + self.degree
        basis = bspline_basis(
            x, start=low - self.degree * step, step=step, count=count, degree=self.degree
        )
        columns = x.shape[-1] * count
        spline = basis.reshape(*x.shape[:-1], columns) @ spline_weight.reshape(-1, columns).T
        return self._base(x) @ base_weight.T + spline

    def _base(self, x: md.Tensor) -> md.Tensor:
        if self.base == "linear":
            return x
        if self.base == "tanh":
            return md.ops.tanh(x)
        return x * md.ops.sigmoid(x)
