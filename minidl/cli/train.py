"""``minidl train``: a config in, a run directory out."""

from __future__ import annotations

from typing import Any

import click

from minidl.cli.options import config_options, json_option, print_json, read_config


def run_options(command: Any) -> Any:
    """Add the options that say how a run shows itself."""
    for option in (
        click.option("-v", "--verbose", count=True, help="Say more (twice: every tenth step)."),
        click.option("-q", "--quiet", is_flag=True, help="Print results and errors only."),
        click.option("--no-progress", is_flag=True, help="Plain lines, also on a terminal."),
    ):
        command = option(command)
    return command


@click.command("train")
@click.argument("config", required=False, type=click.Path(dir_okay=False))
@click.option("-o", "--output-dir", type=click.Path(), help="Run directory, new or empty.")
@click.option("--epochs", type=click.IntRange(min=1), help="Number of epochs.")
@click.option("--resume", "resume_from", type=click.Path(), help="Go on with this run directory.")
@click.option("--dry-run", is_flag=True, help="Check config, data and shapes; do not train.")
@config_options
@run_options
@json_option
def command(
    config: str | None,
    output_dir: str | None,
    epochs: int | None,
    resume_from: str | None,
    dry_run: bool,
    overrides: tuple[str, ...],
    device: str | None,
    backend: str | None,
    seed: int | None,
    plugins: tuple[str, ...],
    no_progress: bool,
    quiet: bool,
    verbose: int,
    as_json: bool,
) -> None:
    """Train the network of CONFIG (default: learn handwritten digits).

    Writes a run directory with the config, metrics and checkpoints, and prints where it is.
    """
    if resume_from is not None:
        _require_alone(
            {
                "CONFIG": config,
                "--output-dir": output_dir,
                "--set": overrides,
                "--device": device,
                "--backend": backend,
                "--seed": seed,
                "--plugin": plugins,
                "--dry-run": dry_run,
            }
        )
        resume_run(resume_from, epochs, quiet, verbose, no_progress, as_json)
        return
    loaded = read_config(config, overrides, device, backend, seed, plugins, epochs)
    from minidl.cli.display import say
    from minidl.training.pipeline import make_trainer, prepare
    from minidl.training.run import RunDirectory

    prepared = prepare(loaded)
    if not quiet:
        say(f"device: {prepared.device_reason}")
        for remark in prepared.remarks:
            say(f"warning: {remark}")
    if dry_run:
        from minidl.training.summary import summarize

        summary = summarize(prepared.model, prepared.config.optimizer)
        if as_json:
            print_json(summary.to_dict())
        else:
            click.echo(summary.text())
        return
    run = RunDirectory.create(output_dir, prepared.config)
    _train(make_trainer(prepared, run), quiet, verbose, no_progress, as_json)


def resume_run(
    path: str, epochs: int | None, quiet: bool, verbose: int, no_progress: bool, as_json: bool
) -> None:
    """Go on with a run directory from its last checkpoint."""
    from minidl.training.pipeline import reopen
    from minidl.training.run import RunDirectory

    changes: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
    trainer = reopen(RunDirectory.open(path), **changes)
    _train(trainer, quiet, verbose, no_progress, as_json)


def _train(trainer: Any, quiet: bool, verbose: int, no_progress: bool, as_json: bool) -> None:
    from minidl.cli.display import make_reporter, measured_text, number_text, say
    from minidl.cli.signals import stopping_on_signals
    from minidl.training.pipeline import train

    trainer.reporter = make_reporter(quiet, verbose, not no_progress)
    with stopping_on_signals(trainer):
        model = train(trainer)
    if trainer.best.out_of_patience and not quiet:
        best, epochs = trainer.best.metric, trainer.best.stale_epochs
        say(f"stopped early: no better validation {best} for {epochs} epoch{'s' * (epochs != 1)}")
    path = str(trainer.run_directory.path)
    if as_json:
        print_json({"run": path, "results": model.results, "best": trainer.best.entry})
        return
    best = trainer.best.entry
    measured = [split for split in ("test", "validation", "train") if split in model.results]
    for split in measured[:1]:
        click.echo(measured_text(split, model.results[split], model))
    if best is not None and best["step"] != trainer.step:
        value = number_text(best["metric"], best["value"])
        click.echo(
            f"best  validation {best['metric']} {value}, in epoch {best['epoch']}  "
            f"(evaluate --checkpoint best)"
        )
    click.echo(f"run   {path}")


def _require_alone(options: dict[str, Any]) -> None:
    """Raise UsageError if one of ``options``, by name, was given beside --resume."""
    given = [
        name
        for name, value in options.items()
        if value is not None and value is not False and value != ()
    ]
    if given:
        raise click.UsageError(
            f"--resume goes on with the config of the run; it takes no {' or '.join(given)}"
        )
