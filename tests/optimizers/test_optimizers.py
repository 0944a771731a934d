"""Optimisers against the formulas of their papers, and against PyTorch where it is there."""

import importlib

import numpy as np
import pytest
from torch_training import OPTIMIZERS

from minidl import registry
from minidl.compiler import compile_graph
from minidl.component import config_fields, make
from minidl.errors import ConfigError
from minidl.graph import Graph, Spec, placeholder, tensor
from minidl.optimizers.groups import assign

STEPS = 20
LR = 0.05
FALLING = tuple(LR * 0.8**step for step in range(STEPS))

RULES = [
    ("sgd", {}),
    ("sgd", {"weight_decay": 0.1}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("sgd", {"momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1}),
    ("adam", {}),
    ("adam", {"betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.1}),
    ("adam", {"betas": (0.0, 0.9)}),
    ("adam", {"betas": (0.9, 0.5), "amsgrad": True}),
    ("adam", {"betas": (0.9, 0.0)}),
    ("adamw", {}),
    ("adamw", {"betas": (0.9, 0.5), "amsgrad": True, "weight_decay": 0.1}),
    ("adamw", {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.5}),
    ("rmsprop", {}),
    ("rmsprop", {"alpha": 0.9, "eps": 1e-3, "momentum": 0.8, "weight_decay": 0.1}),
    ("rmsprop", {"centered": True}),
    ("rmsprop", {"alpha": 0.8, "centered": True, "momentum": 0.5}),
    ("adagrad", {}),
    ("adagrad", {"lr_decay": 0.3, "eps": 1e-3, "weight_decay": 0.1}),
    ("adagrad", {"initial_accumulator_value": 0.5}),
    ("adadelta", {}),
    ("adadelta", {"rho": 0.5, "eps": 1e-3, "weight_decay": 0.1}),
    ("nadam", {}),
    ("nadam", {"betas": (0.5, 0.9), "eps": 0.1, "momentum_decay": 0.5, "weight_decay": 0.1}),
    ("nadam", {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    ("nadam", {"betas": (0.0, 0.9)}),
    ("lion", {}),
    ("lion", {"betas": (0.5, 0.8), "weight_decay": 0.5}),
    ("lion", {"betas": (0.0, 0.5)}),
    ("muon", {}),
    ("muon", {"momentum": 0.5, "nesterov": False, "weight_decay": 0.5, "ns_steps": 3}),
    ("muon", {"adjust_lr": "match_rms_adamw", "eps": 10.0}),
    ("muon", {"ns_coefficients": (2.0, -1.5, 0.5)}),
]
ELSEWHERE = {"lr", "groups", "orthogonalize", "other"}
"""Fields that have tests of their own."""


def test_every_option_of_every_optimiser_is_among_them():
    tried = {(name, field) for name, fields in RULES for field in fields}
    for entry in registry.entries("optimizer"):
        if entry.source == "minidl":
            assert (entry.name, {}) in RULES
            names = {field.name for field in config_fields(entry.value)} - ELSEWHERE
            assert {(entry.name, name) for name in names} <= tried


def sgd(p, gradients, lr, momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0):
    """Return the parameter after each of the steps."""
    velocity, path = None, []
    for g in gradients:
        g = g + weight_decay * p
        if momentum:
            velocity = g if velocity is None else momentum * velocity + (1 - dampening) * g
            g = g + momentum * velocity if nesterov else velocity
        p = p - lr * g
        path.append(p)
    return path


def adam(
    p,
    gradients,
    lr,
    betas=(0.9, 0.999),
    eps=1e-8,
    amsgrad=False,
    weight_decay=0.0,
    decoupled=False,
):
    """Return the parameter after each of the steps."""
    beta1, beta2 = betas
    m, v, largest, path = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p), []
    for t, g in enumerate(gradients, start=1):
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        largest = np.maximum(largest, v) if amsgrad else v
        p = p - lr * (m / (1 - beta1**t)) / (np.sqrt(largest / (1 - beta2**t)) + eps)
        path.append(p)
    return path


def adamw(p, gradients, lr, weight_decay=0.01, **fields):
    """Return the parameter after each of the steps."""
    return adam(p, gradients, lr, weight_decay=weight_decay, decoupled=True, **fields)


def rmsprop(p, gradients, lr, alpha=0.99, eps=1e-8, momentum=0.0, centered=False, weight_decay=0.0):
    """Return the parameter after each of the steps."""
    v, a, u, path = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p), []
    for g in gradients:
        g = g + weight_decay * p
        v = alpha * v + (1 - alpha) * g**2
        a = alpha * a + (1 - alpha) * g
        u = momentum * u + g / (np.sqrt(v - a**2 if centered else v) + eps)
        p = p - lr * u
        path.append(p)
    return path


def adagrad(
    p, gradients, lr, lr_decay=0.0, initial_accumulator_value=0.0, eps=1e-10, weight_decay=0.0
):
    """Return the parameter after each of the steps."""
    s, path = np.full_like(p, initial_accumulator_value), []
    for t, g in enumerate(gradients, start=1):
        g = g + weight_decay * p
        s = s + g**2
        p = p - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s) + eps)
        path.append(p)
    return path


def adadelta(p, gradients, lr, rho=0.9, eps=1e-6, weight_decay=0.0):
    """Return the parameter after each of the steps."""
    v, u, path = np.zeros_like(p), np.zeros_like(p), []
    for g in gradients:
        g = g + weight_decay * p
        v = rho * v + (1 - rho) * g**2
        d = np.sqrt(u + eps) / np.sqrt(v + eps) * g
        u = rho * u + (1 - rho) * d**2
        p = p - lr * d
        path.append(p)
    return path


def nadam(
    p,
    gradients,
    lr,
    betas=(0.9, 0.999),
    eps=1e-8,
    momentum_decay=4e-3,
    decoupled_weight_decay=False,
    weight_decay=0.0,
):
    """Return the parameter after each of the steps."""
    beta1, beta2 = betas
    mu = [beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay)) for t in range(len(gradients) + 2)]
    m, v, path = np.zeros_like(p), np.zeros_like(p), []
    for t, g in enumerate(gradients, start=1):
        if decoupled_weight_decay:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        ahead = mu[t + 1] * m / (1 - np.prod(mu[1 : t + 2]))
        ahead = ahead + (1 - mu[t]) * g / (1 - np.prod(mu[1 : t + 1]))
        p = p - lr * ahead / (np.sqrt(v / (1 - beta2**t)) + eps)
        path.append(p)
    return path


def lion(p, gradients, lr, betas=(0.9, 0.99), weight_decay=0.0):
    """Return the parameter after each of the steps."""
    beta1, beta2 = betas
    m, path = np.zeros_like(p), []
    for g in gradients:
        p = p - lr * weight_decay * p
        p = p - lr * np.sign(beta1 * m + (1 - beta1) * g)
        m = beta2 * m + (1 - beta2) * g
        path.append(p)
    return path


def muon(
    p,
    gradients,
    lr,
    momentum=0.95,
    nesterov=True,
    weight_decay=0.1,
    ns_steps=5,
    ns_coefficients=(3.4445, -4.7750, 2.0315),
    eps=1e-7,
    adjust_lr="original",
):
    """Return the parameter after each of the steps."""
    buffer, path = np.zeros_like(p), []
    rows, columns = p.shape
    a, b, c = ns_coefficients
    growth = {
        "original": max(1, rows / columns) ** 0.5,
        "match_rms_adamw": 0.2 * max(p.shape) ** 0.5,
    }
    for g in gradients:
        buffer = momentum * buffer + (1 - momentum) * g
        x = momentum * buffer + (1 - momentum) * g if nesterov else buffer
        x = (x.T if rows > columns else x) / max(np.linalg.norm(x), eps)
        for _ in range(ns_steps):
            square = x @ x.T
            x = a * x + (b * square + c * square @ square) @ x
        p = p - lr * weight_decay * p
        p = p - lr * growth[adjust_lr] * (x.T if rows > columns else x)
        path.append(p)
    return path


REFERENCE = {
    "sgd": sgd,
    "adam": adam,
    "adamw": adamw,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "nadam": nadam,
    "lion": lion,
    "muon": muon,
}
"""Optimisers written out in NumPy as their papers have them."""


def problem(shape=(3, 4)):
    """Return a first parameter and a gradient for each step; some elements are very small."""
    rng = np.random.default_rng(3)
    scale = np.resize([1e-6, 1e-2, 1.0, 1e2], shape[-1:])
    return rng.normal(size=shape), [rng.normal(size=shape) * scale for _ in range(STEPS)]


def walk(name, fields, dtype="float64", shape=(3, 4), lrs=(LR,) * STEPS):
    """Return the parameter after each step of minidl's optimiser."""
    optimizer = make("optimizer", {"type": name, "lr": LR, **fields})
    start, gradients = problem(shape)
    p = tensor(start, dtype=dtype)
    specs = optimizer.slots(p.spec)
    slots = {slot: tensor(np.zeros(spec.shape), dtype=spec.dtype) for slot, spec in specs.items()}
    path = []
    for step, (g, lr) in enumerate(zip(gradients, lrs, strict=True), start=1):
        count, lr = tensor(float(step), dtype=dtype), tensor(lr, dtype=dtype)
        p, slots = optimizer.update(p, tensor(g, dtype=dtype), slots, lr, count)
        assert p.dtype == dtype
        assert {name: slot.spec for name, slot in slots.items()} == specs
        path.append(p.numpy())
    return path


@pytest.mark.parametrize(("name", "fields"), RULES)
def test_twenty_steps_follow_the_formula(name, fields):
    expected = REFERENCE[name](*problem(), LR, **fields)
    for step, (ours, theirs) in enumerate(zip(walk(name, fields), expected, strict=True)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12, err_msg=f"step {step}")


@pytest.mark.parametrize(("name", "fields"), RULES)
def test_float32_follows_the_formula_to_its_precision(name, fields):
    expected = REFERENCE[name](*problem(), LR, **fields)
    for ours, theirs in zip(walk(name, fields, "float32"), expected, strict=True):
        scale = np.abs(theirs).max(axis=0) + 1
        assert (np.abs(ours - theirs) / scale).max() < 2e-5


@pytest.mark.parametrize("name", REFERENCE)
def test_float16_parameters_stay_float16(name):
    assert walk(name, {}, "float16")[0].dtype == "float16"


MATRICES = [(3, 4), (4, 3), (1, 1), (5, 1), (1, 6), (7, 7)]
OTHERS = [(), (1,), (4,), (2, 3, 4), (0, 3)]
WITH_TORCH = [
    (name, fields, shape)
    for name in OPTIMIZERS
    for fields in [options for rule, options in RULES if rule == name]
    for shape in ([] if name == "muon" else OTHERS) + MATRICES
]


def torch_walk(name, fields, dtype, shape, lrs=(LR,) * STEPS):
    """Return the parameter after each step of PyTorch's optimiser."""
    torch = pytest.importorskip("torch")
    start, gradients = problem(shape)
    fields = {"adjust_lr_fn" if key == "adjust_lr" else key: v for key, v in fields.items()}
    p = torch.nn.Parameter(torch.tensor(start, dtype=getattr(torch, dtype)))
    optimizer = getattr(torch.optim, OPTIMIZERS[name])([p], **fields)
    path = []
    for g, lr in zip(gradients, lrs, strict=True):
        optimizer.param_groups[0]["lr"] = lr
        p.grad = torch.tensor(g, dtype=p.dtype)
        optimizer.step()
        path.append(p.detach().numpy().copy())
    return path


@pytest.fixture
def in_full_precision(monkeypatch):
    """Let PyTorch's Muon compute in the parameter's dtype, and its Nadam keep float64 numbers."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    nadam = importlib.import_module("torch.optim.nadam")
    monkeypatch.setattr(nadam, "_get_scalar_dtype", lambda: torch.float64)


@pytest.mark.parity
@pytest.mark.usefixtures("in_full_precision")
@pytest.mark.parametrize("lrs", [(LR,) * STEPS, FALLING], ids=["constant", "falling"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-5)])
@pytest.mark.parametrize(("name", "fields", "shape"), WITH_TORCH)
def test_twenty_steps_are_those_of_pytorch(name, fields, shape, dtype, tolerance, lrs):
    theirs = torch_walk(name, fields, dtype, shape, lrs)
    for ours, expected in zip(walk(name, fields, dtype, shape, lrs), theirs, strict=True):
        columns = tuple(range(len(shape) - 1))
        scale = np.maximum(np.abs(expected).max(axis=columns, initial=0), 1)
        assert (np.abs(ours - expected) / scale).max(initial=0) < tolerance


@pytest.mark.parity
def test_muon_follows_pytorch_to_the_precision_of_its_bfloat16():
    theirs = torch_walk("muon", {}, "float32", (7, 5))
    ours = walk("muon", {}, shape=(7, 5))
    for step, (p, expected) in enumerate(zip(ours, theirs, strict=True), start=1):
        assert np.abs(p - expected).max() < 0.05 * LR * step


def test_the_first_steps_of_adam_are_of_the_size_of_lr():
    first = walk("adam", {}, "float32")[0]
    np.testing.assert_allclose(np.abs(first - problem()[0])[:, 1:], LR, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "fields", "passes"),
    [
        ("sgd", {}, 2),
        ("sgd", {"weight_decay": 0.1}, 3),
        ("sgd", {"momentum": 0.9}, 4),
        ("sgd", {"momentum": 0.9, "nesterov": True}, 6),
        ("adam", {}, 10),
        ("adam", {"weight_decay": 0.1}, 12),
        ("adamw", {}, 11),
        ("rmsprop", {}, 8),
        ("rmsprop", {"momentum": 0.9}, 10),
        ("rmsprop", {"centered": True}, 14),
        ("adagrad", {}, 7),
        ("adadelta", {}, 13),
        ("nadam", {}, 12),
        ("lion", {}, 7),
    ],
)
def test_an_update_costs_few_passes_over_memory(name, fields, passes):
    program = step_program(make("optimizer", {"type": name, **fields}), count=1)
    assert sum(node.shape == (3, 4) for node in program.nodes) == passes


def test_scalars_of_a_step_are_computed_once_for_all_parameters():
    optimizer = make("optimizer", "adam")
    scalars = [
        sum(node.shape == () for node in step_program(optimizer, count).nodes) for count in (1, 3)
    ]
    assert scalars[0] == scalars[1] > 0


def step_program(optimizer, count):
    """Return a program that updates ``count`` parameters of shape (3, 4)."""
    lr, step = placeholder("lr", ()), placeholder("step", ())
    inputs, state = [lr, step], []
    for index in range(count):
        p, g = placeholder(f"p{index}", (3, 4)), placeholder(f"g{index}", (3, 4))
        inputs.append(g)
        slots = {
            slot: placeholder(f"p{index}:{slot}", *spec)
            for slot, spec in optimizer.slots(p.spec).items()
        }
        new, new_slots = optimizer.update(p, g, slots, lr, step)
        state += [(p, new), *((slots[slot], new_slots[slot]) for slot in slots)]
    return compile_graph(Graph(tuple(inputs), (), tuple(state)))


@pytest.mark.parametrize(
    ("name", "fields", "slots"),
    [
        ("sgd", {}, []),
        ("sgd", {"momentum": 0.9}, ["velocity"]),
        ("adam", {}, ["first_moment", "second_moment"]),
        ("adamw", {}, ["first_moment", "second_moment"]),
        ("rmsprop", {}, ["square"]),
        ("rmsprop", {"centered": True, "momentum": 0.5}, ["square", "mean", "velocity"]),
        ("adagrad", {}, ["sum"]),
        ("adadelta", {}, ["square", "step_square"]),
        ("lion", {}, ["momentum"]),
        ("muon", {}, ["momentum"]),
        ("muon", {"orthogonalize": False}, ["first_moment", "second_moment"]),
    ],
)
def test_slots_are_like_the_parameter(name, fields, slots):
    spec = Spec((2, 3), "float32")
    kept = make("optimizer", {"type": name, **fields}).slots(spec)
    assert kept == dict.fromkeys(slots, spec)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("sgd", {"lr": -1.0}, "lr: Input should be greater than or equal to 0, got -1.0"),
        ("sgd", {"momentum": 1.0}, "momentum: Input should be less than 1, got 1.0"),
        (
            "sgd",
            {"nesterov": True},
            "nesterov takes momentum above 0 and dampening 0, got momentum 0.0 and dampening 0.0",
        ),
        ("adam", {"betas": (0.9, 1.0)}, "betas.1: Input should be less than 1, got 1.0"),
        ("adamw", {"eps": -1e-8}, "eps: Input should be greater than or equal to 0, got -1e-08"),
        ("rmsprop", {"alpha": 1.0}, "alpha: Input should be less than 1, got 1.0"),
        ("adadelta", {"eps": 0.0}, "eps: Input should be greater than 0, got 0.0"),
        ("lion", {"betas": (1.0, 0.9)}, "betas.0: Input should be less than 1, got 1.0"),
        ("muon", {"lr": 0.0}, "lr: Input should be greater than 0, got 0.0"),
        (
            "muon",
            {"other": {"type": "sgd", "groups": [{"match": "*", "lr": 0.1}]}},
            "other cannot have groups; put them beside other",
        ),
    ],
)
def test_fields_that_make_no_sense_are_refused(name, fields, message):
    with pytest.raises(ConfigError) as error:
        registry.get("optimizer", name)(**fields)
    assert str(error.value) == f"optimizer '{name}': {message}"
    with pytest.raises(ValueError):
        make("optimizer", {"type": name, **fields})


def test_an_integer_learning_rate_is_a_number():
    assert make("optimizer", {"type": "sgd", "lr": 1}).lr == 1


def test_nadam_keeps_a_number_beside_its_moments():
    slots = make("optimizer", "nadam").slots(Spec((2, 3), "float16"))
    assert slots == {
        "first_moment": Spec((2, 3), "float16"),
        "second_moment": Spec((2, 3), "float16"),
        "momentum_share": Spec((), "float32"),
    }


def test_centered_rmsprop_survives_a_constant_gradient():
    optimizer = make("optimizer", {"type": "rmsprop", "alpha": 0.5, "centered": True, "eps": 0.1})
    p, g = tensor(np.zeros(50), "float32"), tensor(np.linspace(0.1, 1e3, 50), "float32")
    slots = {name: tensor(np.zeros(50), "float32") for name in ("square", "mean")}
    for step in range(1, 60):
        p, slots = optimizer.update(p, g, slots, tensor(LR), tensor(float(step)))
        p, slots = tensor(p.numpy()), {name: tensor(s.numpy()) for name, s in slots.items()}
    assert np.isfinite(p.numpy()).all()


def test_lion_moves_every_element_by_the_same():
    path = [problem()[0], *walk("lion", {})]
    for before, after in zip(path, path[1:], strict=False):
        np.testing.assert_allclose(np.abs(after - before), LR, rtol=1e-9)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
def test_a_step_of_muon_has_singular_values_near_one(shape):
    start, gradients = np.zeros(shape), [np.random.default_rng(1).normal(size=shape)]
    optimizer = make("optimizer", {"type": "muon", "lr": 1.0, "ns_steps": 12})
    slots = {"momentum": tensor(start)}
    moved, _ = optimizer.update(
        tensor(start), tensor(gradients[0]), slots, tensor(1.0), tensor(1.0)
    )
    values = np.linalg.svd(moved.numpy() / max(1, shape[0] / shape[1]) ** 0.5)[1]
    assert ((values > 0.6) & (values < 1.3)).all()


@pytest.mark.parametrize(
    ("fields", "shape"),
    [({}, (4,)), ({}, ()), ({}, (2, 3, 4)), ({"orthogonalize": False}, (3, 4))],
)
def test_muon_leaves_other_parameters_to_another_optimiser(fields, shape):
    other = {"type": "adam", "lr": LR / 4, "betas": [0.8, 0.9]}
    start, gradients = np.full(shape, 0.5), np.ones(shape)
    moved = []
    for given, lr in (({"type": "muon", "lr": LR, "other": other, **fields}, LR), (other, LR / 4)):
        optimizer = make("optimizer", given)
        p = tensor(start)
        slots = {
            name: tensor(np.zeros(s.shape), s.dtype) for name, s in optimizer.slots(p.spec).items()
        }
        half = tensor(lr / 2)  # as a schedule leaves it
        p, slots = optimizer.update(p, tensor(gradients), slots, half, tensor(1.0))
        moved.append(p.numpy())
    np.testing.assert_allclose(*moved, rtol=1e-6)


def test_the_last_layer_and_embeddings_can_be_kept_from_muon():
    group = {"match": ["embedding_0.*", "head.*"], "orthogonalize": False}
    optimizer = make("optimizer", {"type": "muon", "groups": [group]})
    owners = assign(optimizer, ["embedding_0.weight", "linear_1.weight", "head.weight"])
    kept = {path: list(owner.slots(Spec((3, 4)))) for path, owner in owners.items()}
    assert kept == {
        "embedding_0.weight": ["first_moment", "second_moment"],
        "linear_1.weight": ["momentum"],
        "head.weight": ["first_moment", "second_moment"],
    }


def test_a_group_of_muon_changes_what_it_leaves_to_the_other_optimiser_too():
    group = {"match": "*.bias", "lr": 1e-9, "weight_decay": 0.0}
    optimizer = make("optimizer", {"type": "muon", "lr": 0.02, "groups": [group]})
    owner = assign(optimizer, ["linear_0.weight", "linear_0.bias"])["linear_0.bias"]
    bias = tensor(np.full(3, 0.5), "float64")
    slots = {name: tensor(np.zeros(s.shape), s.dtype) for name, s in owner.slots(bias.spec).items()}
    rate = tensor(owner.lr / 2)  # as a schedule leaves it
    moved, _ = owner.update(bias, tensor(np.ones(3)), slots, rate, tensor(1.0))
    np.testing.assert_allclose(moved.numpy() - 0.5, -0.5e-9, rtol=1e-4)


def test_a_group_of_muon_may_bring_another_optimiser():
    group = {"match": "*.bias", "other": {"type": "sgd", "lr": 0.5}}
    optimizer = make("optimizer", {"type": "muon", "groups": [group]})
    owners = assign(optimizer, ["linear_0.weight", "linear_0.bias"])
    assert list(owners["linear_0.bias"].slots(Spec((3,)))) == []
    assert list(owners["linear_0.weight"].slots(Spec((3,)))) == ["first_moment", "second_moment"]
