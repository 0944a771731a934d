"""The pages of the reference, written from the code each time the manual is built.

Receives the op table, the components, the public names and the command line; returns Markdown
files under ``docs/reference``. What is said of a gradient is traced from the rule that runs.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from docstrings import first_line, prose, to_markdown

import minidl as md
import minidl.testing
from minidl import registry
from minidl.cli.main import cli
from minidl.component import Component, config_fields
from minidl.config import schema
from minidl.graph import Op
from minidl.graph.rules import Explanation, default_sample, explain_op

NOT_COMPONENTS = ("op", "kernel", "backend")


def setup(app: Any) -> dict[str, bool]:
    """Have the pages written before Sphinx looks for its sources."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "reference"))
    return {"parallel_read_safe": True}


def write(folder: Path) -> None:
    """Write every page that differs from what is there, and remove those that are no more."""
    pages = dict(all_pages())
    folder.mkdir(exist_ok=True)
    for stale in {path.name for path in folder.glob("*.md")} - pages.keys():
        (folder / stale).unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def all_pages() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each page."""
    sections = {
        "The op table": dict(op_pages()),
        "Parts of a config": {"keys.md": keys_page(), **dict(component_pages())},
        "Python and the command line": {
            "python.md": python_page(),
            "commands.md": commands_page(),
        },
    }
    yield "index.md", index_page(sections)
    for pages in sections.values():
        yield from pages.items()


def index_page(sections: dict[str, dict[str, str]]) -> str:
    """Return the page that lists the others."""
    out = ["# Reference\n\nWritten from the code when the manual is built."]
    for title, pages in sections.items():
        names = "\n".join(name.removesuffix(".md") for name in pages)
        out.append(f"```{{toctree}}\n:caption: {title}\n:maxdepth: 1\n\n{names}\n```")
    return joined(out)


def op_pages() -> Iterator[tuple[str, str]]:
    """Yield a page for each family of ops: each module of the table."""
    families: dict[str, list[Op]] = {}
    for entry in own("op"):
        families.setdefault(entry.value.declared_in[0], []).append(entry.value)
    for module, ops in sorted(families.items()):
        family = module.rpartition(".")[2]
        docstring = inspect.getdoc(importlib.import_module(module))
        head = [f"# Ops: {family}", first_line(docstring)]
        yield f"ops-{family}.md", joined([*head, *(op_entry(op) for op in ops)])


def op_entry(op: Op) -> str:
    """Return what the table says of one op."""
    out = [f"## {op.name}", block("text", f"{op.name}{signature(op)}"), to_markdown(op.doc)]
    if op.elementwise:
        out.append("Element by element; inputs broadcast against each other.")
    if op.differentiable and default_sample(op) is not None:
        out.append(gradient(explain_op(op)))
    if not op.differentiable:
        out.append(f"**No gradient**: {op.no_gradient}.")
    if op.kink:
        out.append(f"**Kink**: {op.kink}.")
    return joined(out)


def gradient(traced: Explanation) -> str:
    """Return the gradient rule as it was traced, as text and as a formula."""
    if not traced.backward:
        return "**Gradient**: none flows to its inputs."
    lines = "\n".join(rule.text() for rule in traced.backward)
    formulas = " \\\\\n".join(rule.latex().replace(" = ", " &= ", 1) for rule in traced.backward)
    math = f"$$\n\\begin{{aligned}}\n{formulas}\n\\end{{aligned}}\n$$"
    return joined([f"**Gradient.** {prose(traced.notes[-1])}", block("text", lines), math])


def keys_page() -> str:
    """Return the keys of a config that are not those of a component."""
    sections = {
        "Top level": schema.General,
        "[data]": schema.BatchConfig,
        "[model]": schema.ModelConfig,
        "[training]": schema.TrainingConfig,
    }
    out = ["# Keys", "What each section holds beside the options of the part that it names."]
    for title, cls in sections.items():
        described = (inspect.getdoc(cls) or "").partition("Attributes\n")
        out += [f"## {title}", to_markdown("".join(described[1:])), fields(own_fields(cls))]
    return joined(out)


def component_pages() -> Iterator[tuple[str, str]]:
    """Yield a page for each kind of component."""
    for kind in registry.KINDS:
        if kind not in NOT_COMPONENTS:
            entries = [component_entry(entry.name, entry.value) for entry in own(kind)]
            yield f"{kind}.md", joined([f"# Every {kind}", *entries])


def component_entry(name: str, cls: type[Component]) -> str:
    """Return the docstring of one component and its fields with their defaults."""
    shown = [f for f in config_fields(cls) if f.name not in cls.common]
    out = [f"## {name}", to_markdown(inspect.getdoc(cls) or "")]
    return joined([*out, fields(shown) if shown else "It has no fields of its own."])


def own_fields(cls: type) -> list[dataclasses.Field[Any]]:
    """Return the fields that a dataclass declares itself."""
    return [f for f in dataclasses.fields(cls) if f.name in vars(cls).get("__annotations__", {})]


def fields(given: Iterable[dataclasses.Field[Any]]) -> str:
    """Return a table of fields and their defaults."""
    rows = [f"| `{f.name}` | {default(f)} |" for f in given]
    return "\n".join(["| field | default |", "| --- | --- |", *rows])


def default(f: dataclasses.Field[Any]) -> str:
    """Return the default of a field as Markdown; "required" if it has none."""
    if f.default is None:
        return "—"
    if f.default_factory is not dataclasses.MISSING:
        return f"`{f.default_factory()!r}`"
    return "required" if f.default is dataclasses.MISSING else f"`{f.default!r}`"


def python_page() -> str:
    """Return the page of the public names."""
    out = ["# Python", "The names of `minidl`, and those of `minidl.testing`."]
    out += [
        name_entry(f"md.{n}", getattr(md, n)) for n in md.__all__ if n not in ("__version__", "ops")
    ]
    testing = minidl.testing
    out += [name_entry(f"minidl.testing.{n}", getattr(testing, n)) for n in testing.__all__]
    return joined(out)


def name_entry(name: str, value: Any) -> str:
    """Return the signature and docstring of a public name, and of its methods if it is a class."""
    out = [f"## `{name}`"]
    if not inspect.isclass(value) or not issubclass(value, Exception):
        out.append(block("python", f"{name}{signature(value)}"))
    out.append(to_markdown(inspect.getdoc(value) or ""))
    if inspect.isclass(value):
        for method, function in vars(value).items():
            if inspect.isfunction(function) and not method.startswith("_"):
                out.append(block("python", f".{method}{signature(function)}"))
                out.append(to_markdown(inspect.getdoc(function) or ""))
    return joined(out)


class Bare(str):
    """An annotation that is printed without the quotes of a postponed one."""

    __slots__ = ()
    __repr__ = str.__str__


def signature(value: Any) -> str:
    """Return a signature as it stands in the source."""
    found = inspect.signature(value)
    parameters = [p.replace(annotation=bare(p.annotation)) for p in found.parameters.values()]
    return str(inspect.Signature(parameters, return_annotation=bare(found.return_annotation)))


def bare(annotation: Any) -> Any:
    """Return a postponed annotation as :class:`Bare`, any other as it is."""
    written = getattr(annotation, "__forward_arg__", annotation)
    return Bare(written) if isinstance(written, str) else annotation


def commands_page() -> str:
    """Return the help of every command."""
    context = click.Context(cli, info_name="minidl", max_content_width=88)
    return joined(["# Commands", *command_entries(cli, context)])


def command_entries(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the help of a command and of those below it."""
    yield joined([f"## {context.command_path}", block("text", command.get_help(context))])
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from command_entries(
                inner, click.Context(inner, context, info_name=name, max_content_width=88)
            )


def own(kind: str) -> Iterable[registry.Entry]:
    """Return minidl's own entries of a kind, not those of plugins that happen to be installed."""
    return [entry for entry in registry.entries(kind) if entry.source == "minidl"]


def block(language: str, text: str) -> str:
    """Return a fenced code block."""
    return f"```{language}\n{text}\n```"


def joined(parts: Iterable[str]) -> str:
    """Return parts with a blank line between them."""
    return "\n\n".join(part for part in parts if part) + "\n"


if __name__ == "__main__":
    write(Path(sys.argv[1]))
