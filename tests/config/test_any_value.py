"""Whatever stands in a config, the answer is a config or a ConfigError."""

import copy

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidl.config import config_from_dict, parse_config
from minidl.errors import ConfigError

WORDS = st.sampled_from(
    ["type", "linear", "relu", "sequential", "layers", "units", "init", "digits", "adam", "lr", ""]
)
LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3) | WORDS
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))
        else:
            yield (*path, key)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_it_loads_and_comes_back_or_says_why(good, data):
    table = copy.deepcopy(parse_config(good, environ={}).to_dict())
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from([p for p in places(table) if p]))
        holder = table
        for part in path:
            holder = holder[part]
        if isinstance(holder, dict) and data.draw(st.booleans()):
            last = data.draw(WORDS)
        holder[last] = data.draw(VALUES)
    try:
        config = config_from_dict(table)
    except ConfigError as error:
        assert all(line.startswith("config: ") for line in str(error).split("\n"))
    else:
        assert parse_config(config.to_toml(), environ={}) == config
