"""The ``minidl`` command: finds its subcommands, turns errors into messages and exit codes."""

from __future__ import annotations

import importlib
import os
import sys
import traceback

import click

import minidl
from minidl.errors import MinidlError, suggestion

COMMANDS = (
    "init",
    "train",
    "evaluate",
    "predict",
    "resume",
    "summary",
    "check",
    "explain",
    "config",
    "plugins",
    "doctor",
)


class LazyGroup(click.Group):
    """A group whose commands are modules of this package, imported when they are needed."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name.startswith("-"):
            return None
        if name not in COMMANDS:
            raise click.UsageError(f"no such command '{name}'{suggestion(name, COMMANDS)}", context)
        return importlib.import_module(f"minidl.cli.{name}").command


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(minidl.__version__, prog_name="minidl")
def cli() -> None:
    """Train neural networks from a TOML file, and see every gradient rule that runs.

    \b
    minidl train               learn handwritten digits, the built-in example
    minidl train net.toml      train the network of a config
    minidl explain net.toml    print the rules of its backward pass
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    Exit codes: 0 done, 1 failed, 2 usage or config error, 3 diverged, 130 and 143 on signals.
    """
    try:
        code = cli.main(arguments, prog_name="minidl", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        _fail("stopped", 130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except MinidlError as error:
        notes = getattr(error, "__notes__", [])
        _fail("\n".join([str(error), *notes]), error.exit_code)
    except KeyboardInterrupt:
        _fail("stopped", 130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        _fail(f"{where}{error.strerror or error}", 1)
    except Exception as error:  # last resort: one readable message instead of a traceback
        notes = getattr(error, "__notes__", [])
        text = "\n".join([f"{type(error).__name__}: {error}", *notes])
        _fail(f"{text}\nMINIDL_DEBUG=1 shows where this happened", 1)


def _fail(message: str, code: int) -> None:
    if os.environ.get("MINIDL_DEBUG"):
        traceback.print_exc()
    click.echo(click.style("error: ", fg="red", bold=True) + message, err=True)
    sys.exit(code)
