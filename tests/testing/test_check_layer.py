"""check_layer on layers that are right, and on layers with faults planted in them."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import ops, registry
from minidl.errors import CheckError
from minidl.graph import Draw, Spec, op, sample
from minidl.layers import Layer, layer
from minidl.testing import check_layer


@pytest.fixture(autouse=True)
def registry_as_it_was(monkeypatch):
    for kind in ("op", "layer"):
        registry.names(kind)
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))


def linear(**fields):
    return registry.get("layer", "linear")(**fields)


def test_a_linear_layer_passes_and_the_report_lists_every_gradient():
    report = check_layer(linear(units=3), (5, 4))
    assert report.subject == "layer 'linear'"
    worst = report.by_name()
    for name in ("input0", "weight", "bias"):
        assert worst[f"the gradient by '{name}'"].error < 1e-8
        assert worst[f"the second derivative by '{name}'"].error < 1e-6
    assert {"the config round trip", "shape and dtype", "the same seed, the same bits"} <= {*worst}
    cases = {check.case for check in report.checks}
    assert {"layer 'linear' in training", "layer 'linear' in evaluation"} <= cases


def test_dropout_passes_in_training_with_its_mask_held_fast():
    check_layer(registry.get("layer", "dropout")(p=0.4), (6, 5))


def test_integer_inputs_are_taken():
    embedding = registry.get("layer", "embedding")(num_embeddings=7, embedding_dim=3)
    report = check_layer(embedding, Draw((2, 4), 0, 7, dtype="int64"))
    assert "the gradient by 'weight'" in report.by_name()
    assert "the gradient by 'input0'" not in report.by_name()


def test_a_class_without_inputs_is_checked_on_its_samples():
    report = check_layer(registry.get("layer", "linear"))
    assert report.subject == "layer 'linear'"
    assert len({check.case for check in report.checks}) > 2


def test_a_class_without_samples_needs_inputs():
    declared = scale_layer()
    assert refused(declared) == (
        "layer 'test_scale' declares no samples; give its inputs' shapes to check_layer"
    )


def test_a_network_of_layers_passes():
    network = registry.get("layer", "sequential")(
        layers=[{"type": "linear", "units": 5}, {"type": "tanh"}, {"type": "linear", "units": 2}]
    )
    report = check_layer(network, (4, 3))
    assert len([n for n in report.by_name() if n.startswith("the gradient by")]) >= 5


def test_the_layer_that_was_given_is_left_alone():
    given = linear(units=3)
    given.setup(Spec((2, 9)))
    check_layer(given, (5, 4))
    assert given.parameter_named("weight").spec.shape == (3, 9)


def test_a_class_is_made_with_its_defaults():
    check_layer(registry.get("layer", "tanh"), (3, 2))


# -- faults ----------------------------------------------------------------------------------


@op("faulty_scale", samples=[sample((2,), (2,))])
class faulty_scale:
    """z = x a, with a gradient by a that is 0.1 % too large"""

    def infer(x, a, /):
        return x

    def forward(xp, x, a):
        return x * a

    def backward(g, z, x, a):
        return g * a, g * x * 1.001


def scale_layer(**members):
    """Declare a layer ``test_scale`` with one parameter; ``members`` replace its methods."""

    class Scale(Layer):
        offset: float = 0.5

        def build(self, x):
            self.parameter("factor", x.shape[-1:], init="ones")

        def forward(self, x, factor):
            return x * factor + self.offset

    for name, member in members.items():
        setattr(Scale, name, member)
    return layer("test_scale")(Scale)


def refused(declared, *inputs, **options) -> str:
    with pytest.raises(CheckError) as caught:
        check_layer(declared, *inputs, **options)
    return str(caught.value)


def test_the_layer_that_faults_are_planted_in_is_right_itself():
    check_layer(scale_layer(), (3, 2))


def test_a_rule_wrong_by_a_thousandth_is_refused():
    declared = scale_layer(forward=lambda self, x, factor: faulty_scale(x, factor))
    message = refused(declared, (2,))
    assert message.startswith(
        "layer 'test_scale' in evaluation: the gradient by 'factor' is wrong at ["
    )
    assert "(relative error 0.001, allowed 1e-06)" in message


def test_a_parameter_that_is_not_used_is_refused_unless_said():
    declared = scale_layer(forward=lambda self, x, factor: x * 2.0)
    assert refused(declared, (3, 2)) == (
        "layer 'test_scale' in evaluation: no gradient reaches 'factor'; use it in forward, "
        "or name it in unused=[…] if that is meant"
    )
    check_layer(declared, (3, 2), unused=["factor"])


def test_an_input_that_is_not_used_is_refused():
    declared = scale_layer(forward=lambda self, x, factor: ops.exp(factor))
    assert "no gradient reaches 'input0'" in refused(declared, (3, 2))


def test_a_layer_that_is_different_each_time_is_refused():
    rng = np.random.default_rng(0)

    def forward(self, x, factor):
        return x * factor + float(rng.normal())

    assert refused(scale_layer(forward=forward), (3, 2)) == (
        "layer 'test_scale' in evaluation: two runs from the same seed differ; draw random "
        "numbers from context.random_key(self), and keep no state on the layer"
    )


def test_a_fault_in_training_only_is_found():
    def forward(self, x, factor, context):
        return faulty_scale(x, factor) if context.training else x * factor

    message = refused(scale_layer(forward=forward), (2,))
    assert message.startswith("layer 'test_scale' in training: the gradient by 'factor'")


def test_a_layer_that_its_config_does_not_make_is_refused():
    declared = scale_layer()
    given = declared(offset=0.25)
    object.__setattr__(given, "offset", "much")
    message = refused(given, (3, 2))
    assert message.startswith(
        "layer 'test_scale': its config {'type': 'test_scale', 'offset': 'much'} "
        "does not make it again: "
    )


def test_a_buffer_that_changes_its_shape_is_refused():
    def build(self, x):
        self.parameter("factor", x.shape[-1:], init="ones")
        self.buffer("seen", (1,))

    def forward(self, x, factor, seen, context):
        if context.training:
            context.update(self, "seen", x.sum(axis=0))
        return x * factor

    message = refused(scale_layer(build=build, forward=forward), (3, 2))
    assert message == (
        "layer 'test_scale': the next value of buffer 'seen' has shape (2,), the buffer (1,)"
    )


def test_buffers_are_updated_but_not_differentiated():
    def build(self, x):
        self.parameter("factor", x.shape[-1:], init="ones")
        self.buffer("seen", x.shape[-1:])

    def forward(self, x, factor, seen, context):
        if context.training:
            context.update(self, "seen", seen * 0.9 + x.sum(axis=0))
        return x * factor + seen

    report = check_layer(scale_layer(build=build, forward=forward), (3, 2))
    assert "the gradient by 'factor'" in report.by_name()
    assert not any("seen" in name for name in report.by_name())
