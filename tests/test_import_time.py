"""What starting costs: which modules an import brings along, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

HELP = "from minidl.cli.main import main; main(['--help'])"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported_by(code: str) -> set[str]:
    """Return the top-level modules that are loaded when ``code`` has run, or has exited."""
    report = "import sys, atexit; atexit.register(lambda: print('\\n' + ' '.join(sys.modules)))"
    modules = run(f"{report}\n{code}").rpartition("\n")[0].rpartition("\n")[2]
    return {name.partition(".")[0] for name in modules.split()}


def seconds(code: str) -> float:
    """Return the shortest of three runs of ``code``, the interpreter's start included."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        run(code)
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.parametrize("module", ["numpy", "pydantic", "rich", "tomlkit", "safetensors"])
def test_importing_minidl_is_light(module):
    assert module not in imported_by("import minidl")


@pytest.mark.parametrize("module", ["pydantic", "rich", "tomlkit", "safetensors"])
def test_a_tensor_needs_no_schema_and_no_console(module):
    assert module not in imported_by("import minidl as md; md.tensor([1.0]).sum().numpy()")


@pytest.mark.parametrize("module", ["numpy", "pydantic", "tomlkit", "safetensors"])
def test_help_is_light(module):
    loaded = imported_by(HELP)
    assert "click" in loaded
    assert module not in loaded


@pytest.mark.parametrize(("code", "budget"), [("import minidl", 0.25), (HELP, 0.15)])
def test_starting_is_quick(code, budget):
    # Six times the budget: a busy machine passes, an eager import of a large library does not
    # have to be caught here, because the tests above name it.
    assert seconds(code) < 6 * budget
