"""The code in the manual runs: each page's Python in one process, its configs up to the first step.

A Python block that begins with a comment naming a file (``# my_layers.py``) is also written to
that file, so that a config on the same page can name it as a plugin.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


class Block(NamedTuple):
    """A fenced block: its language, the line its text begins on, and the text."""

    language: str
    line: int
    text: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(found[1], text.count("\n", 0, found.start()) + 2, found[2])
        for found in re.finditer(r"^```(\w+)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    ]


def script(page: Path) -> str:
    """Return the page's Python, each line at the line number that it has in the page."""
    lines: list[str] = []
    for block in blocks(page):
        if block.language == "python":
            lines += [""] * (block.line - 1 - len(lines)) + block.text.splitlines()
    return "\n".join(lines) + "\n"


def write_named_files(page: Path, folder: Path) -> None:
    for block in blocks(page):
        named = re.match(r"# ([\w/]+\.py)\n", block.text)
        if block.language == "python" and named:
            (folder / named[1]).write_text(block.text, "utf-8")


def configs(page: Path) -> list[Block]:
    """Return the TOML blocks that are whole configs."""
    return [b for b in blocks(page) if b.language == "toml" and "[model]" in b.text]


def printouts(page: Path) -> list[tuple[str, str]]:
    """Return the commands of console blocks that show one command and what it prints."""
    found = []
    for block in blocks(page):
        command, _, printed = block.text.partition("\n")
        if block.language == "console" and printed and "$ " not in printed:
            found.append((command.removeprefix("$ "), printed))
    return found


WITH_PYTHON = [page for page in PAGES if script(page).strip()]
WHOLE_CONFIGS = [(page, block) for page in PAGES for block in configs(page)]
PRINTOUTS = [(page, *printout) for page in PAGES for printout in printouts(page)]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_the_code_of_a_page_runs(page, tmp_path):
    write_named_files(page, tmp_path)
    program = tmp_path / f"{page.stem}.md.py"
    program.write_text(script(page), "utf-8")
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("page", "block"), WHOLE_CONFIGS, ids=lambda v: v.name if isinstance(v, Path) else v.line
)
def test_the_network_of_a_page_can_be_trained(page, block, tmp_path):
    write_named_files(page, tmp_path)
    (tmp_path / "net.toml").write_text(block.text, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "minidl", "train", "net.toml", "--dry-run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("command", "printed"), [s[1:] for s in PRINTOUTS], ids=[s[1] for s in PRINTOUTS]
)
def test_a_command_of_a_page_prints_what_the_page_shows(command, printed, tmp_path):
    program, *arguments = shlex.split(command)
    assert program == "minidl"
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == printed, done.stderr


def test_pages_with_code_and_configs_were_found():
    assert {"README.md", "worked-example.md", "writing-an-op.md"} <= {p.name for p in WITH_PYTHON}
    assert "worked-example.md" in {printout[0].name for printout in PRINTOUTS}
    assert {"README.md", "config.md"} <= {page.name for page, _ in WHOLE_CONFIGS}
