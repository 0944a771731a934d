"""Local plugin files: loaded, reloaded, copied, and what is said when one is broken."""

import hashlib
import subprocess
import sys

import pytest

from minidl import registry
from minidl.component import make
from minidl.config import (
    copy_plugins,
    load_config,
    load_plugin,
    load_plugins,
    parse_config,
    plugins,
)
from minidl.errors import ConfigError, PluginError

LAYER = """\
from __future__ import annotations

from minidl.layers import Layer, layer


@layer("{name}")
class Made(Layer):
    by: float = {by}

    def forward(self, x):
        return x * self.by
"""


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch):
    monkeypatch.setattr(plugins, "_plugins", {})
    before = {(entry.kind, entry.name) for entry in registry.held()}
    yield
    for entry in registry.held():
        if (entry.kind, entry.name) not in before:
            registry.forget(entry.kind, entry.name)


@pytest.fixture
def write(tmp_path):
    def run(file, name="plugged", by=2.0, text=None):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if text is not None else LAYER.format(name=name, by=by))
        return path

    return run


def using(good, *files, layer="plugged"):
    return f"plugins = {list(files)}\n" + good.replace('{ type = "flatten" }', f'"{layer}"')


def default(name="plugged"):
    return make("layer", name).by


def test_a_file_is_relative_to_the_config(good, write, tmp_path):
    path = write("sub/my_layers.py")
    (tmp_path / "sub" / "net.toml").write_text(using(good, "./my_layers.py"))
    config = load_config(tmp_path / "sub" / "net.toml", environ={})
    assert config.plugins == [str(path)]
    assert config.model.layers[0].type_name == "plugged"
    assert registry.entry("layer", "plugged").source == str(path)


def test_the_resolved_config_loads_from_anywhere(parse, good, write, tmp_path, monkeypatch):
    write("my_layers.py")
    config = parse(using(good, "my_layers.py"), directory=tmp_path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert parse_config(config.to_toml(), environ={}) == config


def test_a_file_from_the_command_line(parse, good, write):
    path = write("my_layers.py")
    config = parse(using(good), plugins=[path])
    assert config.plugins == [str(path)]


def test_a_plugin_knows_its_hash(write):
    path = write("my_layers.py")
    plugin = load_plugin(path)
    assert plugin.path == path
    assert plugin.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [(entry.kind, entry.name) for entry in plugin.entries] == [("layer", "plugged")]


def test_a_file_runs_once(write):
    path = write("my_layers.py")
    load_plugin(path)
    first = registry.get("layer", "plugged")
    load_plugin(path)
    assert registry.get("layer", "plugged") is first


def test_a_changed_file_runs_again(write):
    load_plugin(write("my_layers.py", by=2.0))
    load_plugin(write("my_layers.py", by=3.0))
    assert default() == 3.0
    load_plugin(write("my_layers.py", name="renamed"))
    assert registry.find("layer", "plugged") is None


def test_no_cache_is_left_beside_the_file(write, tmp_path):
    load_plugin(write("my_layers.py"))
    assert [path.name for path in tmp_path.iterdir()] == ["my_layers.py"]


def test_a_copy_takes_the_place_of_its_original_and_back(write):
    original, copy = write("my_layers.py", by=2.0), write("run/my_layers.py", by=5.0)
    load_plugin(original)
    load_plugin(copy)
    assert default() == 5.0
    load_plugin(original)
    assert default() == 2.0


def test_files_loaded_before_stay_where_nothing_takes_their_place(write):
    load_plugin(write("a.py", name="plugged_a"))
    load_plugin(write("b.py", name="plugged_b"))
    assert registry.find("layer", "plugged_a") is not None


def test_files_of_one_name_in_different_folders_stand_side_by_side(write):
    load_plugins([write("a/x.py", name="plugged_a"), write("b/x.py", name="plugged_b")])
    assert default("plugged_a") == default("plugged_b") == 2.0


def test_two_files_of_one_config_do_not_share_a_name(write):
    a, b = write("a.py"), write("b.py")
    with pytest.raises(PluginError) as error:
        load_plugins([a, b])
    assert str(error.value) == (
        f"{b}:6: CollisionError: two sources register the layer 'plugged': {a} and {b}; "
        f"rename one of them, for example to 'b.plugged'"
    )


def test_two_files_do_not_share_a_name_though_each_was_loaded_before(write):
    a, b = write("a.py"), write("b.py")
    load_plugin(a), load_plugin(b)
    with pytest.raises(PluginError) as error:
        load_plugins([a, b])
    assert str(error.value) == (
        f"{b}: two sources register the layer 'plugged': {a} and {b}; "
        f"rename one of them, for example to 'b.plugged'"
    )


def test_a_built_in_name_is_taken(write):
    path = write("mine.py", name="linear")
    with pytest.raises(PluginError) as error:
        load_plugin(path)
    assert str(error.value) == (
        f"{path}:6: CollisionError: two sources register the layer 'linear': minidl and {path}; "
        f"rename one of them, for example to 'mine.linear'"
    )
    assert registry.entry("layer", "linear").source == "minidl"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("import math\n\nmath.sqrt(nothing)\n", 3, "NameError: name 'nothing' is not defined"),
        ("x = 1\ndef f(:\n", 2, "SyntaxError: invalid syntax"),
        ("def f():\n    return 1 / 0\n\nf()\n", 2, "ZeroDivisionError: division by zero"),
        ("import json\njson.loads('x')\n", 2, "JSONDecodeError: Expecting value"),
        ("raise SystemExit(3)\n", 1, "SystemExit: 3"),
    ],
)
def test_a_broken_file_is_told_by_its_line(write, text, line, reason):
    path = write("broken.py", text=text)
    with pytest.raises(PluginError) as error:
        load_plugin(path)
    assert str(error.value).startswith(f"{path}:{line}: {reason}")
    assert error.value.exit_code == 2


def test_a_broken_file_leaves_nothing_behind(write):
    path = write("broken.py", text=LAYER.format(name="plugged", by=1) + "\n1 / 0\n")
    with pytest.raises(PluginError):
        load_plugin(path)
    assert registry.find("layer", "plugged") is None
    assert not [name for name in sys.modules if name.startswith("minidl_local_broken")]
    write("broken.py")
    load_plugin(path)
    assert default() == 2.0


def test_missing_files_are_told_with_their_place(parse, good, tmp_path):
    text = using(good, "./a.py", "b.py")
    with pytest.raises(ConfigError) as error:
        parse(text, directory=tmp_path)
    assert str(error.value).split("\n") == [
        f"net.toml:1:12: plugin file './a.py' does not exist (looked for {tmp_path}/a.py)",
        f"net.toml:1:22: plugin file 'b.py' does not exist (looked for {tmp_path}/b.py)",
    ]


def test_a_missing_file_from_the_command_line(parse, good, tmp_path):
    with pytest.raises(ConfigError) as error:
        parse(good, plugins=[tmp_path / "a.py"])
    missing = tmp_path / "a.py"
    assert str(error.value) == f"plugin file '{missing}' does not exist (looked for {missing})"


# -- copies in a run directory -----------------------------------------------------------------


def test_copies_are_what_ran(parse, good, write, tmp_path):
    path = write("my_layers.py")
    config = parse(using(good, "my_layers.py"), directory=tmp_path)
    ran = path.read_bytes()
    write("my_layers.py", by=9.0)
    assert copy_plugins(config, tmp_path / "run" / "plugins") == ["my_layers.py"]
    assert (tmp_path / "run" / "plugins" / "my_layers.py").read_bytes() == ran


def test_hashes_are_as_sha256sum_writes_them(parse, good, write, tmp_path):
    write("a/x.py", name="plugged"), write("b/x.py", name="plugged_b")
    config = parse(using(good, "a/x.py", "b/x.py"), directory=tmp_path)
    assert copy_plugins(config, tmp_path / "run") == ["x.py", "x_2.py"]
    for line in (tmp_path / "run" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert digest == hashlib.sha256((tmp_path / "run" / name).read_bytes()).hexdigest()


def test_no_plugins_no_folder(parse, good, tmp_path):
    assert copy_plugins(parse(good), tmp_path / "plugins") == []
    assert not (tmp_path / "plugins").exists()


def test_a_new_process_loads_the_copy(parse, good, write, tmp_path):
    path = write("my_layers.py")
    config = parse(using(good, "my_layers.py"), directory=tmp_path)
    run = tmp_path / "run"
    names = copy_plugins(config, run / "plugins")
    (run / "config.toml").write_text(config.to_toml([f"plugins/{name}" for name in names]))
    path.unlink()
    code = (
        "import sys\nfrom minidl.config import load_config\n"
        "print(load_config(sys.argv[1], environ={}).model.layers[0].type_name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, run / "config.toml"], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("plugged\n", "")
