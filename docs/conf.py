"""Configuration of the manual. What is generated from the code is written before Sphinx reads."""

from __future__ import annotations

import sys
from pathlib import Path

import minidl

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "minidl"
author = "The minidl developers"
release = version = minidl.__version__

extensions = ["myst_parser", "generated"]
myst_enable_extensions = ["dollarmath", "deflist", "amsmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_extensions"]

html_theme = "furo"
html_title = f"minidl {release}"
