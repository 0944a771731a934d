"""Running the command line inside the test process, as a shell would see it."""

from dataclasses import dataclass

import pytest

from minidl.cli.main import main


@dataclass
class Result:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    """Return a function that runs ``minidl ARGUMENTS`` in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("MINIDL_DEVICE", "MINIDL_DEBUG", "MINIDL_SEED", "MINIDL_BACKEND"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        with pytest.raises(SystemExit) as exited:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(exited.value.code, captured.out, captured.err)

    return run


CONFIG = """
name = "small"
device = "cpu"

[data]
dataset = "digits"
batch_size = 100

[model]
layers = [
  { type = "flatten" },
  { type = "linear", units = 16 },
  { type = "relu" },
  { type = "linear", units = 10 },
]

[loss]
type = "cross_entropy"

[optimizer]
type = "adam"
lr = 1e-2

[training]
epochs = 2
"""


@pytest.fixture
def config(tmp_path):
    """Return the path of a small config."""
    path = tmp_path / "net.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def trained(cli, config):
    """Return the path of a finished run."""
    result = cli("train", config, "-o", "run", "-q")
    assert result.code == 0, result.err
    return config.parent / "run"
