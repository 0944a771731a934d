"""Shipped configs on the datasets under MINIDL_DATA, as far as they train in seconds."""

import json
import os
import subprocess
import sys

import pytest

from minidl.cli.options import SHIPPED

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif("MINIDL_DATA" not in os.environ, reason="MINIDL_DATA is not set"),
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read as Linux tells it"),
]

# The kernel's own mark of a process, which exec() clears: ru_maxrss begins at what the parent had.
CODE = """
import json, pathlib, sys
from minidl.training import fit
model = fit(sys.argv[1])
status = pathlib.Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(json.dumps([model.results["test"]["accuracy"], peak]))
"""


def test_the_mlp_template_learns_mnist_in_little_memory():
    command = [sys.executable, "-c", CODE, str(SHIPPED / "mlp.toml")]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    accuracy, kibibytes = json.loads(done.stdout)
    assert accuracy >= 0.975
    assert kibibytes < 400 * 1024
