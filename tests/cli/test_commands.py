"""The smaller commands."""

import csv
import io
import json
import os
import re

import numpy as np
import pytest

import minidl
from minidl import registry
from minidl.cli.main import COMMANDS


def test_help_lists_every_command_with_a_line_of_its_own(cli):
    result = cli("--help")
    assert result.code == 0
    for command in COMMANDS:
        assert re.search(rf"^  {command} +[A-Z].+", result.out, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(cli, command):
    result = cli(command, "--help")
    assert result.code == 0
    assert "Usage: minidl " + command in result.out


def test_version(cli):
    assert cli("--version").out == f"minidl, version {minidl.__version__}\n"


def test_an_unknown_command_gets_a_suggestion(cli):
    result = cli("trian")
    assert result.code == 2
    assert "no such command 'trian'; did you mean 'train'?" in result.err


def test_summary_shows_layers_shapes_parameters_flops_and_memory(cli, config):
    text = cli("summary", config).out
    assert re.search(r"linear_1 +linear +float32\[16\] +1,040 +2,064", text)
    assert "parameters   1,210 (4.7 KiB)" in text
    report = json.loads(cli("summary", config, "--json").out)
    assert report["parameters"] == 1210


def test_config_check_show_and_schema(cli, config, tmp_path):
    assert cli("config", "check", config).out == f"{config}: ok (small, 4 layers)\n"
    shown = cli("config", "show", config, "-s", "training.epochs=9").out
    (tmp_path / "again.toml").write_text(shown)
    assert "epochs = 9" in shown
    assert cli("config", "show", tmp_path / "again.toml").out == shown
    schema = json.loads(cli("config", "schema").out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_doctor_names_versions_devices_and_why_one_is_missing(cli):
    report = json.loads(cli("doctor", "--json").out)
    assert report["versions"]["numpy"] == np.__version__
    assert report["backends"]["numpy"] == "cpu"
    assert report["backends"]["cupy"]
    assert "versions" in cli("doctor").out


def test_check_an_op(cli):
    result = cli("check", "tanh")
    assert result.code == 0
    assert "op 'tanh': ok" in result.out
    assert "largest relative error" in result.out


def test_an_op_takes_no_fields(cli):
    result = cli("check", "exp", "-s", "units=3")
    assert result.code == 2
    assert "--input and -s are for layers and configs; 'exp' is an op" in result.err


def test_check_a_layer_with_its_own_samples_or_with_given_fields(cli):
    assert cli("check", "linear").code == 0
    result = cli("check", "linear", "--input", "2,3", "-s", "units=4")
    assert result.code == 0
    assert "ok" in result.out


def test_check_a_config(cli, config):
    result = cli("check", config)
    assert result.code == 0, result.err
    assert "loss 'cross_entropy': ok" in result.out


def test_check_a_config_says_what_was_compared(cli, config):
    result = cli("check", config, "--elements", "3")
    assert "network 'small' on 3 training samples: ok" in result.out
    line = r"the gradient by 'linear_1.weight' +3 of 1,024 elements, all along a direction +largest"
    assert re.search(line, result.out)
    assert "checking 4 parameters" in result.err
    network, loss = json.loads(cli("check", config, "--json", "--elements", "3").out)
    (check,) = [c for c in network["checks"] if c["name"] == "the gradient by 'linear_1.weight'"]
    assert (check["elements"], check["of"], check["left_out_at_kinks"]) == (3, 1024, 0)
    assert loss["subject"] == "loss 'cross_entropy'"


@pytest.mark.parametrize("name", ["worked-example", "tabular", "autoencoder"])
def test_check_and_explain_what_ships_with_minidl(cli, name):
    assert cli("check", name).code == 0
    assert cli("explain", name).code == 0


@pytest.mark.data
@pytest.mark.skipif("MINIDL_DATA" not in os.environ, reason="MINIDL_DATA is not set")
@pytest.mark.parametrize("name", ["mlp", "cnn", "gpt"])
def test_check_what_ships_with_minidl_on_its_data(cli, name):
    assert cli("check", name, "--elements", "1").code == 0


def test_check_of_something_unknown_suggests(cli):
    result = cli("check", "tanhh")
    assert result.code == 2
    assert result.err == (
        "error: no op, layer or config file is called 'tanhh'; did you mean 'tanh'?\n"
    )


def test_check_refuses_a_wrong_rule_in_a_plugin_file(cli, tmp_path):
    (tmp_path / "wrong.py").write_text(
        "import minidl as md\n"
        "@md.op('wrong_square', elementwise=True, scalar='x * x')\n"
        "class wrong_square:\n"
        "    'Square, with a gradient that is 0.1 % off.    z = x * x'\n"
        "    def forward(xp, x):\n"
        "        return x * x\n"
        "    def backward(g, z, x):\n"
        "        return g * x * 2.002\n"
    )
    result = cli("check", "wrong_square", "--plugin", tmp_path / "wrong.py")
    assert result.code == 1
    assert "wrong_square" in result.err
    assert "relative error 0.001" in result.err


def test_predict_prints_classes_with_probabilities(cli, trained, tmp_path):
    digits = np.zeros((3, 8, 8), dtype="uint8")
    np.save(tmp_path / "digits.npy", digits)
    result = cli("predict", trained, "--input", tmp_path / "digits.npy")
    assert result.code == 0, result.err
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert len(rows) == 3
    probabilities = {name: float(value) for name, value in rows[0].items() if name != "class"}
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-4)
    assert max(probabilities, key=probabilities.get) == f"p({rows[0]['class']})"
    report = json.loads(cli("predict", trained, "-i", tmp_path / "digits.npy", "--json").out)
    assert report[0]["class"] == rows[0]["class"]


def test_predict_writes_a_file_when_asked(cli, trained, tmp_path):
    np.save(tmp_path / "digits.npy", np.zeros((2, 8, 8), dtype="uint8"))
    result = cli("predict", trained, "-i", tmp_path / "digits.npy", "-o", "out.csv")
    assert result.out == ""
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 3


def test_explain_prints_the_rules_of_an_op_and_of_a_config(cli):
    result = cli("explain", "multiply")
    assert result.code == 0
    assert "∂L/∂a = ∂L/∂z * b" in result.out


def test_explain_looks_up_a_part(cli):
    assert cli("explain", "adam").out.startswith("optimizer adam (minidl)\n\nAdam, by the formulas")
    text = cli("explain", "linear").out
    assert text.index("layer linear (minidl)") < text.index("schedule linear (minidl)")
    one = json.loads(cli("explain", "linear", "--kind", "layer", "--json").out)
    assert one["fields"][-1]["name"] == "bias_init"
    assert one["rules"]["forward"][0]["expression"] == "x @ W.T + b"
    kinds = [each["kind"] for each in json.loads(cli("explain", "linear", "--json").out)]
    assert kinds == ["layer", "schedule"]
    assert cli("explain", "linear", "--latex").out.startswith("z = x \\, W^{\\top} + b\n")


def test_explain_looks_up_what_a_plugin_file_declares(cli, tmp_path, request):
    request.addfinalizer(lambda: registry.forget("layer", "gate"))
    (tmp_path / "gate.py").write_text(
        "import minidl as md\n"
        "@md.layer('gate')\n"
        "class Gate(md.Layer):\n"
        "    'Let x through by its own sigmoid.'\n"
        "    samples = (md.sample((2, 3)),)\n"
        "    def forward(self, x):\n"
        "        return x * md.ops.sigmoid(x)\n"
    )
    text = cli("explain", "gate", "--plugin", "gate.py").out
    assert text.startswith(
        f"layer gate ({tmp_path / 'gate.py'})\n\nLet x through by its own sigmoid."
    )
    assert "    z = x * σ(x)\n" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ReLU"], "error: no part or config is called 'ReLU'; did you mean 'relu'?\n"),
        (["zzzz"], "error: no part or config is called 'zzzz'\n"),
        (["adam", "--kind", "layer"], "error: no layer is called 'adam'\n"),
    ],
)
def test_explain_of_something_unknown_suggests(cli, arguments, message):
    result = cli("explain", *arguments)
    assert (result.code, result.err) == (2, message)


def test_values_are_those_of_a_config(cli):
    result = cli("explain", "linear", "--values")
    assert result.code == 2
    assert "--values and -s are for configs; 'linear' is no config" in result.err


def test_reading_a_missing_run_is_an_error(cli, tmp_path):
    result = cli("evaluate", "nowhere")
    assert result.code == 1
    assert result.err.startswith("error: nowhere is not a run directory")


def test_init_writes_a_config_that_trains(cli, tmp_path):
    result = cli("init", "-o", "net.toml")
    assert result.out == "net.toml written; train it with: minidl train net.toml\n"
    assert cli("train", "net.toml", "--dry-run").code == 0
    again = cli("init", "-o", "net.toml")
    assert again.code == 2
    assert again.err == (
        "error: net.toml is there already; name another with -o, or give --force\n"
    )
    assert cli("init", "-o", "net.toml", "--force").code == 0


def test_init_lists_its_templates_and_suggests_one(cli):
    listed = cli("init", "--list").out
    assert re.search(r"^digits +A network that reads handwritten digits", listed, re.M)
    wrong = cli("init", "--template", "digit")
    assert wrong.code == 2
    assert "no template is called 'digit'; did you mean 'digits'?" in wrong.err


def test_every_shipped_config_is_valid(cli):
    for line in cli("init", "--list").out.splitlines():
        name = line.split()[0]
        cli("init", "--template", name, "-o", f"{name}.toml")
        assert cli("config", "check", f"{name}.toml").code == 0


def test_what_the_system_refuses_is_one_line(cli, config, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device", "/full/file")

    monkeypatch.setattr("minidl.cli.config.read_config", refuse)
    result = cli("config", "show", config)
    assert (result.code, result.err) == (1, "error: /full/file: No space left on device\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "2,3"], "layer 'linear': missing field 'units'"),
        (["-s", 'units="x"'], "layer 'linear': units: Input should be a valid integer, got 'x'"),
    ],
)
def test_wrong_fields_of_a_layer_to_check_are_named(cli, arguments, message):
    result = cli("check", "linear", *arguments)
    assert (result.code, result.err) == (2, f"error: {message}\n")


def test_a_mistake_in_a_layer_of_a_plugin_file_names_the_layer(cli, config, tmp_path):
    (tmp_path / "careless.py").write_text(
        "import minidl as md\n"
        "@md.layer('careless')\n"
        "class Careless(md.Layer):\n"
        "    def forward(self, x):\n"
        "        return x.no_such_attribute\n"
    )
    changes = ["--plugin", "careless.py", "-s", 'model.layers[2].type="careless"']
    result = cli("train", config, *changes)
    assert result.code == 1
    assert result.err == (
        "error: AttributeError: 'Tensor' object has no attribute 'no_such_attribute'\n"
        "in layer 'careless_2' (careless, model.layers[2])\n"
        "MINIDL_DEBUG=1 shows where this happened\n"
    )


def test_a_template_brings_the_data_that_it_reads(cli, tmp_path):
    assert cli("init", "--template", "tabular").code == 0
    assert (tmp_path / "breast_cancer.csv").is_file()
    result = cli("train", "tabular.toml", "-o", "run", "-q", "--json")
    assert json.loads(result.out)["results"]["test"]["accuracy"] > 0.94
