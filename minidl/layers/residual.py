"""Residual blocks: layers whose output is added to what they were given."""

from __future__ import annotations

from typing import Annotated

from annotated_types import MinLen

from minidl.errors import ShapeError
from minidl.graph import Spec, Tensor, sample
from minidl.layers.base import Context, Layer, layer
from minidl.layers.container import Sequential


@layer("residual")
class Residual(Sequential):
    """z = x + f(x), or s(x) + f(x) with a shortcut s.    ∂L/∂x = ∂L/∂z + ∂L/∂z · ∂f/∂x

    f is a list of layers as in ``sequential``. f(x) must have the shape of x, or that of s(x);
    nothing is broadcast. He, Zhang, Ren and Sun, "Deep residual learning for image recognition",
    2016.

    Attributes
    ----------
    layers : list of Layer
        f: at least one layer.
    shortcut : list of Layer, optional
        s: the way round f, where f changes the shape. Default: x itself.
    input : str
        What x is called in ``inputs``.
    """

    samples = (
        sample((3, 4), layers=[{"type": "linear", "units": 4}, {"type": "tanh"}]),
        sample(
            (3, 4),
            layers=[{"type": "linear", "units": 2}, {"type": "sigmoid"}],
            shortcut=[{"type": "linear", "units": 2, "bias": False}],
        ),
    )

    shortcut: Annotated[list[Layer], MinLen(1)] | None = None

    def build(self, x: Spec) -> None:
        super().build(x)
        body = list(self.children.values())[-1].output_spec
        way = x
        if self.shortcut is not None:
            place = f"{self.place}.shortcut" if self.place else "shortcut"
            way = self.child("shortcut", _Shortcut(layers=self.shortcut), x, place=place)
        if body.shape != way.shape:
            if self.shortcut is not None:
                raise ShapeError(
                    f"its layers give shape {body.shape} and its shortcut {way.shape}, which "
                    f"cannot be added"
                )
            raise ShapeError(
                f"its layers turn shape {x.shape} into {body.shape}, which cannot be added to it; "
                f"give it a shortcut that ends in the same shape"
            )

    def forward(self, x: Tensor, context: Context) -> Tensor:
        way = self.children["shortcut"](x, context=context) if self.shortcut else x
        return way + super().forward(x, context)


class _Shortcut(Sequential):
    """The layers of a shortcut, which stand in a list that is no field ``layers`` of its own."""

    def _place(self, index: int) -> str:
        return f"{self.place}[{index}]"
