"""The benchmarks run, and what they promise holds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_a_thousand_small_ops_run_forward_and_backward_in_under_ten_milliseconds():
    script = ROOT / "benchmarks" / "interpreter_overhead.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("1000 ops forward, ")
    found = re.search(r"^run forward and backward +([\d.]+) ms$", done.stdout, re.MULTILINE)
    assert found
    assert 0.1 < float(found[1]) < 10
