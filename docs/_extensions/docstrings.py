"""Docstrings in numpydoc style: received as text, returned as Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

_SECTION = re.compile(r"^([A-Z][A-Za-z ]+)\n-{3,}$", re.MULTILINE)
_ROLE = re.compile(r":\w+:`~?([^`]+)`")
_CODE = re.compile(r"(``[^`]+``|`[^`]+`)")
_LISTED = ("Parameters", "Attributes", "Returns", "Raises", "Yields")


def to_markdown(docstring: str) -> str:
    """Return ``docstring``: formulas as text blocks, sections as definition lists."""
    parts = _SECTION.split(docstring.strip())
    out = [_paragraphs(parts[0])]
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        content = _definitions(body) if title in _LISTED else _paragraphs(body)
        out.append(f"**{title}**\n\n{content}")
    return "\n\n".join(part for part in out if part.strip())


def prose(text: str) -> str:
    """Return running text with Markdown's own signs escaped, code spans aside."""
    spans = _CODE.split(_ROLE.sub(r"``\1``", text))
    spans[::2] = [re.sub(r"([*_<>$\[\]{}])", r"\\\1", span) for span in spans[::2]]
    return "".join(spans)


def first_line(docstring: str | None) -> str:
    """Return the first sentence of a docstring, as Markdown."""
    return prose((docstring or "").strip().partition("\n\n")[0].replace("\n", " "))


def _paragraphs(text: str) -> str:
    return "\n\n".join(
        f"```text\n{textwrap.dedent(part)}\n```" if _is_formula(part) else prose(_flush(part))
        for part in re.split(r"\n\s*\n", text.strip("\n"))
        if part.strip()
    )


def _is_formula(paragraph: str) -> bool:
    """Whether a paragraph stands for itself: indented code, or lines of formulas."""
    lines = paragraph.splitlines()
    if all(line.startswith("    ") for line in lines):
        return True
    return all(re.search(r" [=←] |^ *[∂Σ|]", line) for line in lines) and not paragraph.rstrip(
        " "
    ).endswith(".")


def _definitions(body: str) -> str:
    return "\n\n".join(
        f"{term}\n: {prose(text).replace(chr(10), chr(10) + '  ') or '—'}"
        for term, text in _items(body)
    )


def _items(body: str) -> Iterator[tuple[str, str]]:
    """Yield each ``name : type`` with the text indented below it."""
    for item in re.split(r"\n(?=\S)", body.strip("\n")):
        head, _, text = item.partition("\n")
        name, colon, kind = head.partition(" : ")
        yield f"`{name}`" + (f" ({prose(kind)})" if colon else ""), _flush(text).strip()


def _flush(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip("\n").splitlines())
