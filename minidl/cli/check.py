"""``minidl check``: hold gradient rules to finite differences, a plugin's like a built-in's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minidl.cli.options import config_options, json_option, print_json, read_config
from minidl.errors import ConfigError, UnknownNameError, suggestion

if TYPE_CHECKING:
    from minidl.testing import CheckReport

SAMPLES = 4


@click.command("check")
@click.argument("subject", metavar="OP|LAYER|CONFIG")
@click.option(
    "--input",
    "shapes",
    multiple=True,
    metavar="SHAPE",
    help="For a layer, the shape of an input with its batch axis: --input 2,8.",
)
@config_options
@json_option
def command(
    subject: str,
    shapes: tuple[str, ...],
    overrides: tuple[str, ...],
    device: str | None,
    backend: str | None,
    seed: int | None,
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    """Check the gradients of an op, a layer, or the whole network of a config.

    Every gradient rule is compared with finite differences in float64, to second order. Fields of
    a layer are given as -s units=3.
    """
    if subject.endswith(".toml") or Path(subject).is_file():
        loaded = read_config(subject, overrides, device, backend, seed, plugins)
        reports = _check_config(loaded)
    else:
        reports = _check_named(subject, shapes, overrides, plugins)
    if as_json:
        print_json([_plain(report) for report in reports])
        return
    for report in reports:
        _print(report)


def _check_named(
    name: str, shapes: tuple[str, ...], fields: tuple[str, ...], plugins: tuple[str, ...]
) -> list[CheckReport]:
    from minidl import registry
    from minidl.config import load_plugin
    from minidl.testing import check_op

    for plugin in plugins:
        load_plugin(plugin)
    op, layer = registry.find("op", name), registry.find("layer", name)
    if op is None and layer is None:
        known = [*registry.names("op"), *registry.names("layer")]
        raise UnknownNameError(
            f"no op, layer or config file is called '{name}'{suggestion(name, known)}"
            f"{registry.broken_note('op', 'layer')}"
        )
    if layer is None and (shapes or fields):
        raise click.UsageError(f"--input and -s are for layers and configs; '{name}' is an op")
    reports = [] if op is None else [check_op(op)]
    if layer is not None:
        reports += _check_layer(layer, shapes, fields)
    return reports


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


def _check_config(config: Any) -> list[CheckReport]:
    from minidl.graph import tensor
    from minidl.testing import check_gradient, check_layer
    from minidl.training.pipeline import prepare

    prepared = prepare(config)
    model, train = prepared.model, prepared.splits.train
    stored, targets = train.span(0, min(SAMPLES, len(train)))
    inputs = config.data.dataset.prepare(tensor(stored)).numpy()
    network = check_layer(config.model.root(), inputs)
    outputs = model.backend.to_numpy(model.forward(stored)).astype("float64")
    target = tensor(targets)
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
    checks = report.by_name()
    click.echo(click.style(f"{report.subject}: ok", fg="green", bold=True))
    width = max((len(name) for name in checks), default=0)
    for name, check in checks.items():
        if check.allowed:
            error = f"largest relative error {check.error:.1e}, allowed {check.allowed:.0e}"
        else:
            error = "equal"
        click.echo(f"  {name:{width}}  {error}")


def _plain(report: CheckReport) -> dict[str, Any]:
    return {
        "subject": report.subject,
        "checks": [
            {"name": name, "error": check.error, "allowed": check.allowed}
            for name, check in report.by_name().items()
        ],
    }
