"""The benchmarks run, and what they promise holds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_a_thousand_small_ops_run_forward_and_backward_in_under_ten_milliseconds():
    script = ROOT / "benchmarks" / "interpreter_overhead.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("1000 ops forward, ")
    found = re.search(r"^run forward and backward +([\d.]+) ms$", done.stdout, re.MULTILINE)
    assert found
    assert 0.1 < float(found[1]) < 10


@pytest.mark.parametrize(
    ("script", "arguments", "row"),
    [
        ("training_step.py", ["--rounds", "1", "--steps", "1"], "784-30-10, batch 10"),
        ("kernels.py", ["clip"], "clip"),
        ("conv.py", ["lenet-2", "cnn-step"], "cnn-step"),
    ],
)
def test_a_benchmark_runs(script, arguments, row):
    command = [sys.executable, ROOT / "benchmarks" / script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert any(line.startswith(row) for line in done.stdout.splitlines())
