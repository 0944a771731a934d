"""A picture of a command at work: runs it in a terminal of its own, writes what it shows as SVG.

    python docs/_extensions/capture.py docs/images/train.svg "minidl train --no-progress"

The picture is what rich makes of the colours in the output.
"""

from __future__ import annotations

import io
import os
import pty
import shlex
import sys
from pathlib import Path

from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.text import Text

COLUMNS = 88


def output_of(command: str) -> str:
    """Return everything that ``command`` writes to its terminal."""
    collected = bytearray()

    def read(terminal: int) -> bytes:
        data = os.read(terminal, 4096)
        collected.extend(data)
        return data

    os.environ["COLUMNS"] = str(COLUMNS)
    pty.spawn(shlex.split(command), read)
    return collected.decode().replace("\r\n", "\n")


def main(target: str, command: str) -> None:
    """Run ``command`` and write ``target``."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "bold green"), command))
    for line in AnsiDecoder().decode(output_of(command)):
        console.print(line)
    Path(target).write_text(console.export_svg(title="minidl"), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
