"""One suite for every registered layer, on the samples it declares."""

from __future__ import annotations

import pytest

from minidl import registry
from minidl.testing import check_layer

LAYERS = [entry.value for entry in registry.entries("layer") if entry.source == "minidl"]


@pytest.mark.parametrize("cls", LAYERS, ids=lambda cls: cls.type_name)
def test_config_shapes_and_gradients_hold_on_every_sample(cls):
    assert cls.samples, f"layer '{cls.type_name}' declares no samples"
    report = check_layer(cls)
    assert report.worst("the gradient by") <= 1e-4
    assert {"the config round trip", "shape and dtype"} <= {*report.by_name()}
