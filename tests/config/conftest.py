"""A config that is right, for tests to put something wrong into."""

import pytest

from minidl.config import parse_config

GOOD = """\
name = "net"
[data]
dataset = "digits"
[model]
layers = [
  { type = "flatten" },
  { type = "linear", units = 10 },
]
[loss]
type = "cross_entropy"
[optimizer]
type = "sgd"
"""


@pytest.fixture
def good():
    return GOOD


@pytest.fixture
def parse():
    """Parse the text of a config, away from the environment."""

    def run(text, *overrides, environ=None, **options):
        return parse_config(text, "net.toml", overrides, environ=environ or {}, **options)

    return run
