"""The registry: near misses, collisions, plugins that work and plugins that are broken."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from minidl import registry
from minidl.errors import CollisionError, PluginError, UnknownNameError


@pytest.fixture(autouse=True)
def registry_as_it_was(monkeypatch):
    """Undo what a test registers and loads; built-ins register only once in a process."""
    for kind in registry.KINDS:
        registry.names(kind)
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    monkeypatch.setattr(registry, "_loaded", dict(registry._loaded))
    registry._entry_points.cache_clear()
    yield
    registry._entry_points.cache_clear()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a distribution with one module and its entry points."""

    def make(name: str, code: str, **groups: str) -> None:
        module = name.replace("-", "_")
        root = tmp_path / name
        info = root / f"{module}-1.2.dist-info"
        info.mkdir(parents=True)
        (root / f"{module}.py").write_text(code, "utf-8")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        lines = [f"[minidl.{group}]\n{point} = {module}\n" for group, point in groups.items()]
        (info / "entry_points.txt").write_text("\n".join(lines))
        monkeypatch.syspath_prepend(str(root))
        monkeypatch.delitem(sys.modules, module, raising=False)
        registry._entry_points.cache_clear()

    yield make
    for path in tmp_path.iterdir():
        sys.modules.pop(path.name.replace("-", "_"), None)


WORKING = """
from minidl import registry
print("imported")

class Swish:
    pass

registry.register("layer", "{name}", Swish)
"""


# -- names -----------------------------------------------------------------------------------


def test_what_is_registered_is_found_with_its_source():
    marker = object()
    registry.register("metric", "mine", marker, source="my-package 1.0")
    assert registry.get("metric", "mine") is marker
    assert registry.find("metric", "mine") is marker
    assert registry.entry("metric", "mine") == registry.Entry(
        "metric", "mine", marker, "my-package 1.0"
    )
    assert "mine" in registry.names("metric")
    assert registry.names("metric") == sorted(registry.names("metric"))
    assert [e.name for e in registry.entries("metric")] == registry.names("metric")


def test_a_name_belongs_to_its_kind():
    registry.register("metric", "mine", object(), source="a")
    registry.register("schedule", "mine", object(), source="b")
    assert registry.get("metric", "mine") is not registry.get("schedule", "mine")


def test_an_unknown_name_suggests_the_nearest_and_lists_all():
    with pytest.raises(UnknownNameError) as caught:
        registry.get("backend", "nunpy")
    known = ", ".join(registry.names("backend"))
    assert str(caught.value) == (f"unknown backend 'nunpy'; did you mean 'numpy'?\nknown: {known}")


def test_an_unknown_kind_suggests_the_nearest():
    with pytest.raises(UnknownNameError) as caught:
        registry.get("layers", "linear")
    assert str(caught.value) == "unknown kind 'layers'; did you mean 'layer'?"
    for ask in (registry.names, lambda kind: registry.find(kind, "x")):
        with pytest.raises(UnknownNameError, match="unknown kind 'colour'"):
            ask("colour")


def test_looking_for_what_need_not_be_there():
    assert registry.find("kernel", "numpy:no_such_op") is None


def test_a_forgotten_name_is_gone():
    registry.register("metric", "mine", object(), source="a")
    registry.forget("metric", "mine")
    assert registry.find("metric", "mine") is None
    registry.forget("metric", "mine")


# -- collisions ------------------------------------------------------------------------------


def declare(module: str, qualname: str = "Layer") -> type:
    return type(qualname, (), {"__module__": module, "__qualname__": qualname})


def test_a_collision_names_both_sources_and_a_way_out():
    registry.register("layer", "glow", declare("first"), source="first-package 1.0")
    with pytest.raises(CollisionError) as caught:
        registry.register("layer", "glow", declare("second"), source="second-package 2.0")
    assert str(caught.value) == (
        "two sources register the layer 'glow': first-package 1.0 and second-package 2.0; "
        "rename one of them, for example to 'second-package.glow'"
    )
    assert registry.entry("layer", "glow").source == "first-package 1.0"


def test_the_source_of_a_local_file_is_its_path(tmp_path, monkeypatch):
    path = tmp_path / "my_layers.py"
    path.write_text(WORKING.format(name="swish"))
    monkeypatch.syspath_prepend(str(tmp_path))
    import my_layers  # type: ignore[import-not-found]

    assert registry.entry("layer", "swish").source == str(path)
    with pytest.raises(CollisionError) as caught:
        registry.register("layer", "relu", my_layers.Swish)
    assert str(caught.value) == (
        f"two sources register the layer 'relu': minidl and {path}; "
        "rename one of them, for example to 'my_layers.relu'"
    )
    sys.modules.pop("my_layers")


def test_declaring_again_in_the_same_place_replaces():
    first, second = declare("home"), declare("home")
    registry.register("layer", "glow", first)
    assert registry.register("layer", "glow", second) is second
    assert registry.get("layer", "glow") is second
    registry.register("layer", "glow", second)


def test_an_instance_is_known_by_where_it_was_declared():
    class Made:
        def __init__(self, place):
            self.declared_in = place

    registry.register("op", "twist", Made(("here", "twist")), source="a")
    registry.register("op", "twist", Made(("here", "twist")), source="a")
    with pytest.raises(CollisionError):
        registry.register("op", "twist", Made(("there", "twist")), source="b")


# -- plugins ---------------------------------------------------------------------------------


def test_a_plugin_is_imported_when_its_kind_is_asked_for(install, capsys):
    install("minidl-swish", WORKING.format(name="swish"), layers="swish")
    registry.names("schedule")
    assert capsys.readouterr().out == ""
    assert registry.get("layer", "swish").__name__ == "Swish"
    assert capsys.readouterr().out == "imported\n"
    registry.names("layer")
    assert capsys.readouterr().out == ""


def test_a_built_in_is_found_without_importing_plugins(install, capsys):
    install("minidl-swish", WORKING.format(name="swish"), layers="swish")
    registry.get("layer", "relu")
    assert capsys.readouterr().out == ""


def test_a_plugin_may_register_more_names_than_its_entry_point(install):
    install("minidl-many", WORKING.format(name="other"), layers="collection")
    assert registry.get("layer", "other").__name__ == "Swish"


def test_a_broken_plugin_harms_nothing_else(install):
    install("minidl-broken", "raise RuntimeError('no such driver')", layers="broken")
    install("minidl-swish", WORKING.format(name="swish"), layers="swish")
    assert registry.get("layer", "relu")
    assert registry.get("layer", "swish")
    assert {"relu", "swish"} <= {*registry.names("layer")}
    broken = {"broken from minidl-broken 1.2": "RuntimeError: no such driver"}
    assert registry.broken_plugins("layer") == broken
    assert registry.broken_plugins() == broken
    assert registry.broken_plugins("op") == {}


def test_asking_for_the_broken_plugin_says_what_is_wrong_with_it(install):
    install("minidl-broken", "import no_such_module", layers="broken")
    with pytest.raises(PluginError) as caught:
        registry.get("layer", "broken")
    assert str(caught.value) == (
        "the plugin 'broken' of minidl-broken 1.2 failed to load: "
        "ModuleNotFoundError: No module named 'no_such_module'"
    )
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_an_unknown_name_mentions_broken_plugins_that_might_have_brought_it(install):
    install("minidl-broken", "raise RuntimeError('no such driver')", layers="broken")
    with pytest.raises(UnknownNameError) as caught:
        registry.get("layer", "sparkle")
    second = str(caught.value).splitlines()[1]
    assert second == (
        "plugins that failed to load: broken from minidl-broken 1.2 (RuntimeError: no such driver)"
    )


def test_a_plugin_that_takes_a_built_in_name_is_the_broken_one(install):
    install("minidl-rival", WORKING.format(name="relu"), layers="relu")
    built_in = registry.get("layer", "relu")
    registry.names("layer")
    assert registry.get("layer", "relu") is built_in
    ((name, reason),) = registry.broken_plugins("layer").items()
    assert name == "relu from minidl-rival 1.2"
    assert reason.startswith("CollisionError: two sources register the layer 'relu': minidl and ")


def test_every_built_in_kind_has_an_entry_point_of_its_own():
    for kind in registry.KINDS:
        if kind != "kernel":
            assert registry.names(kind), f"no built-in {kind}"
    sources = {entry.source for entry in registry.entries("op")}
    assert "minidl" in sources
    assert all(not Path(source).is_absolute() or Path(source).exists() for source in sources)


def test_a_note_for_messages_names_broken_plugins_of_some_kinds(install):
    install("minidl-broken", "raise RuntimeError('no such driver')", layers="broken")
    registry.names("layer")
    assert registry.broken_note("op") == ""
    assert registry.broken_note("op", "layer") == (
        "\nplugins that failed to load: "
        "broken from minidl-broken 1.2 (RuntimeError: no such driver)"
    )
