"""The manual builds without a warning, and its reference has every op."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from minidl import registry

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def manual(tmp_path_factory):
    for needed in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(needed, reason=f"{needed} is not installed; see the extra 'docs'")
    target = tmp_path_factory.mktemp("manual")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-q", "--keep-going", "-d", str(target / "trees")]
        + ["-b", "html", str(ROOT / "docs"), str(target / "html")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target / "html"


def test_every_page_is_there(manual):
    for page in (ROOT / "docs").glob("*.md"):
        assert (manual / f"{page.stem}.html").exists()


def test_every_op_has_an_entry(manual):
    pages = [page.read_text("utf-8") for page in (manual / "reference").glob("*.html")]
    for name in [entry.name for entry in registry.entries("op") if entry.source == "minidl"]:
        assert any(f'id="{name.replace("_", "-")}"' in page for page in pages), name
