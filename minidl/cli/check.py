"""``minidl check``: hold gradient rules to finite differences, a plugin's like a built-in's."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import click

from minidl.cli.options import (
    config_file,
    config_options,
    json_option,
    print_json,
    read_config,
    shipped_configs,
)
from minidl.errors import ConfigError, UnknownNameError, suggestion

if TYPE_CHECKING:
    from minidl.config import Config
    from minidl.testing import Check, CheckReport
    from minidl.training.pipeline import Prepared

SAMPLES = 3
"""Of a config's data. Batch statistics of two samples would be the same for any two."""


@click.command("check")
@click.argument("subject", metavar="OP|LAYER|CONFIG")
@click.option(
    "--input",
    "shapes",
    multiple=True,
    metavar="SHAPE",
    help="For a layer, the shape of an input with its batch axis: --input 2,8.",
)
@click.option(
    "--elements",
    type=click.IntRange(min=1),
    metavar="N",
    help="For a config, how many elements of each parameter to compare one by one.",
)
@config_options
@json_option
def command(
    subject: str,
    shapes: tuple[str, ...],
    elements: int | None,
    overrides: tuple[str, ...],
    device: str | None,
    backend: str | None,
    seed: int | None,
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    """Check the gradients of an op, a layer, or the whole network of a config.

    Every gradient rule is compared with finite differences in float64; those of ops and layers to
    second order. Fields of a layer are given as -s units=3.

    Of a network, the gradient by each parameter is compared at some of its elements and along a
    random direction, for a few training samples and with the first parameters moved a little. A
    point that turns out to lie at a kink (of a ReLU, say) gives way to another one.
    """
    path = config_file(subject)
    reports = [] if path else _check_named(subject, shapes, overrides, plugins)
    path = path or (None if reports else shipped_configs().get(subject))
    if path is not None:
        loaded = read_config(path, overrides, device, backend, seed, plugins)
        reports = _check_config(loaded, elements)
    if not reports:
        raise _unknown(subject)
    if as_json:
        print_json([_plain(report) for report in reports])
        return
    for report in reports:
        _print(report)


def _check_named(
    name: str, shapes: tuple[str, ...], fields: tuple[str, ...], plugins: tuple[str, ...]
) -> list[CheckReport]:
    from minidl import registry
    from minidl.config import load_plugins
    from minidl.testing import check_op

    load_plugins(plugins)
    op, layer = registry.find("op", name), registry.find("layer", name)
    if op is not None and layer is None and (shapes or fields):
        raise click.UsageError(f"--input and -s are for layers and configs; '{name}' is an op")
    reports = [] if op is None else [check_op(op)]
    if layer is not None:
        reports += _check_layer(layer, shapes, fields)
    return reports


def _unknown(name: str) -> UnknownNameError:
    from minidl import registry

    known = [*registry.names("op"), *registry.names("layer"), *shipped_configs()]
    return UnknownNameError(
        f"no op, layer or config file is called '{name}'{suggestion(name, known)}"
        f"{registry.broken_note('op', 'layer')}"
    )


def _check_layer(cls: Any, shapes: tuple[str, ...], fields: tuple[str, ...]) -> list[CheckReport]:
    from minidl.component import validate
    from minidl.config import parse_override
    from minidl.testing import check_layer

    given = dict(parse_override(text) for text in fields)
    if shapes or given:
        return [check_layer(cls(**validate(cls, given)), *(_shape(text) for text in shapes))]
    if not cls.samples:
        raise ConfigError(
            f"layer '{cls.type_name}' declares no samples to check it with; "
            f"give --input SHAPE, and its fields with -s NAME=VALUE"
        )
    return [check_layer(cls)]


def _check_config(config: Config, elements: int | None) -> list[CheckReport]:
    from minidl.backends import use_backend
    from minidl.training.pipeline import prepare

    prepared = prepare(config)
    with use_backend(prepared.backend):
        return _check_prepared(prepared, elements)


def _check_prepared(prepared: Prepared, elements: int | None) -> list[CheckReport]:
    from minidl.graph import tensor
    from minidl.testing import check_gradient, check_network

    config, model, train = prepared.config, prepared.model, prepared.splits.train
    stored, targets = train.span(0, min(SAMPLES, len(train)))
    inputs = config.data.dataset.prepare(tensor(stored)).numpy()
    parameters = [p for p in model.root.all_parameters() if p.trainable]
    samples = "1 training sample" if len(stored) == 1 else f"{len(stored)} training samples"
    subject = f"network '{config.name}' on {samples}"
    label = f"checking {len(parameters)} parameters"
    with click.progressbar(length=len(parameters), label=label, file=sys.stderr) as bar:
        network = check_network(
            config.model.root(),
            inputs,
            subject=subject,
            seed=config.seed,
            elements=elements,
            progress=lambda done, total: bar.update(1),
        )
    outputs = model.backend.to_numpy(model.forward(stored)).astype("float64")
    target = tensor(inputs if config.data.reconstruct else targets)
    loss = check_gradient(
        lambda prediction: config.loss(prediction, target),
        [outputs],
        subject=f"loss '{config.loss.type_name}'",
    )
    return [network, loss]


def _shape(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.strip("()[] ").split(",") if part.strip())
    except ValueError:
        raise click.BadParameter(
            f"'{text}' is not a shape; write lengths with commas: 2,8", param_hint="--input"
        ) from None


def _print(report: CheckReport) -> None:
    lines = _lines(report)
    click.echo(click.style(f"{report.subject}: ok", fg="green", bold=True))
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True) if width)
        click.echo("  " + "  ".join(cells).rstrip())


def _lines(report: CheckReport) -> list[tuple[str, str, str]]:
    """Return what was compared, how much of it, and how well it agreed.

    Comparisons of everything, in float32 or in another memory layout, are one line each.
    """
    together: dict[str, Check] = {}
    for name, check in report.by_name().items():
        everything = re.fullmatch(r"the .+ ((?:in|on|with) .+)", name)
        key = f"all of it {everything[1]}" if everything else name
        if key not in together or check.error > together[key].error:
            together[key] = check
    return [(name, _amount(check), _agreement(check)) for name, check in together.items()]


def _amount(check: Check) -> str:
    if check.total is None:
        return ""
    kinks = f", {check.kinks} left out at a kink" if check.kinks else ""
    along = ", all along a direction" if check.total > 1 else ""
    return f"{check.elements:,} of {check.total:,} elements{along}{kinks}"


def _agreement(check: Check) -> str:
    if not check.allowed:
        return "equal"
    return f"largest relative error {check.error:.1e}, allowed {check.allowed:.0e}"


def _plain(report: CheckReport) -> dict[str, Any]:
    return {
        "subject": report.subject,
        "checks": [_plain_check(name, check) for name, check in report.by_name().items()],
    }


def _plain_check(name: str, check: Check) -> dict[str, Any]:
    plain: dict[str, Any] = {"name": name, "error": check.error, "allowed": check.allowed}
    if check.total is not None:
        plain |= {"elements": check.elements, "of": check.total, "left_out_at_kinks": check.kinks}
    return plain
