"""What a wrong config is told, word for word."""

import pytest

from minidl.config import config_from_dict, load_config, parse_config
from minidl.errors import ConfigError

PLUGIN = """
from __future__ import annotations
from typing import Annotated, Literal
from annotated_types import Gt, Lt, MaxLen, Predicate
from pydantic import AfterValidator
from minidl.layers import Layer, layer

def _even(value):
    if value % 2:
        raise ValueError("An odd size has no middle")
    return value

@layer("probe")
class Probe(Layer):
    kernel: int | tuple[int, int] = 3
    mode: Literal["same", "valid", "full"] = "same"
    one: Literal["only"] = "only"
    rate: Annotated[float, Gt(0), Lt(1)] = 0.5
    size: Annotated[int, AfterValidator(_even)] = 2
    low: int = 0
    high: int = 1
    flag: bool = False
    label: str = ""
    few: Annotated[list[int], MaxLen(2)] | None = None
    options: dict[str, int] | None = None
    child: Layer | None = None

    def check_fields(self):
        if self.low > self.high:
            raise ValueError(f"low is above high: {self.low} and {self.high}")
"""


def problems(parse, text, *overrides, **options):
    with pytest.raises(ConfigError) as error:
        parse(text, *overrides, **options)
    return str(error.value).split("\n")


def swap(good, old, new):
    assert old in good
    return good.replace(old, new)


KEYS = [
    (
        'dataset = "digits"\nbatch_sise = 3',
        "net.toml:4:1: unknown key 'batch_sise' in [data]; did you mean 'batch_size'?",
    ),
    (
        'dataset = "digits"\nfalt = true',
        "net.toml:4:1: unknown key 'falt' in [data]; did you mean 'flat'?",
    ),
    (
        'dataset = "digits"\ntransforms = [{ type = "random_crop", pading = 4 }]',
        "net.toml:4:39: unknown key 'pading' in data.transforms[0]; did you mean 'padding'?",
    ),
    (
        'dataset = "digits"\ntransforms = ["horizontal_flp"]',
        "net.toml:4:15: unknown transform 'horizontal_flp' in data.transforms[0]; "
        "did you mean 'horizontal_flip'?",
    ),
    (
        'dataset = "digits"\nepochs = 3',
        "net.toml:4:1: unknown key 'epochs' in [data]; it belongs in [training]",
    ),
    (
        'dataset = "digits"\nseed = 3',
        "net.toml:4:1: unknown key 'seed' in [data]; it belongs at the top level",
    ),
    (
        'dataset = "digits"\nlr = 3',
        "net.toml:4:1: unknown key 'lr' in [data]; it belongs in [optimizer] (sgd)",
    ),
    ('dataset = "digit"', "net.toml:3:11: unknown dataset 'digit'; did you mean 'digits'?"),
    (
        'dataset = "digits"\ntype = "digits"',
        "net.toml:4:1: unknown key 'type' in [data]; did you mean 'dataset'?",
    ),
    ("dataset = 3", "net.toml:3:11: [data] dataset must be a string, got 3"),
    ("batch_size = 3", "net.toml:2:1: missing key 'dataset' in [data]"),
    (
        'dataset = "digits"\nvalidation = 1',
        "net.toml:4:14: [data] validation must be less than 1, got 1",
    ),
    (
        'dataset = "digits"\nbatch_size = 0',
        "net.toml:4:14: [data] batch_size must be at least 1, got 0",
    ),
    (
        'dataset = "digits"\nshuffle = 1',
        "net.toml:4:11: [data] shuffle must be true or false, got 1",
    ),
    (
        'dataset = "digits"\nshuffle = "true"',
        'net.toml:4:11: [data] shuffle must be true or false, got "true"; write it without quotes',
    ),
]


@pytest.mark.parametrize(("data", "message"), KEYS)
def test_data(parse, good, data, message):
    assert problems(parse, swap(good, 'dataset = "digits"', data)) == [message]


OPTIMIZERS = [
    ('type = "adm"', "net.toml:12:8: unknown optimizer 'adm'; did you mean 'adam'?"),
    ("type = 3", "net.toml:12:8: [optimizer] type must be a string, got 3"),
    ("lr = 0.1", "net.toml:11:1: missing key 'type' in [optimizer]"),
    (
        'type = "sgd"\nlr = "1e-4"',
        'net.toml:13:6: [optimizer] lr must be a number, got "1e-4"; write it without quotes',
    ),
    ('type = "sgd"\nlr = "x"', 'net.toml:13:6: [optimizer] lr must be a number, got "x"'),
    ('type = "sgd"\nlr = true', "net.toml:13:6: [optimizer] lr must be a number, got true"),
    ('type = "sgd"\nlr = -1', "net.toml:13:6: [optimizer] lr must be at least 0, got -1"),
    ('type = "sgd"\nlr = inf', "net.toml:13:6: [optimizer] lr must be a finite number, got inf"),
    ('type = "sgd"\nlr = nan', "net.toml:13:6: [optimizer] lr must be a finite number, got nan"),
    ('type = "sgd"\nlr = {}', "net.toml:13:6: [optimizer] lr must be a number, got a table"),
    (
        'type = "sgd"\nmomentun = 0.9',
        "net.toml:13:1: unknown key 'momentun' in [optimizer] (sgd); did you mean 'momentum'?",
    ),
]


@pytest.mark.parametrize(("optimizer", "message"), OPTIMIZERS)
def test_optimizer(parse, good, optimizer, message):
    assert problems(parse, swap(good, 'type = "sgd"', optimizer)) == [message]


def test_what_fields_are_together(parse, good):
    text = swap(good, 'type = "sgd"', 'type = "sgd"\nnesterov = true')
    (message,) = problems(parse, text)
    assert message.startswith("net.toml:11:1: [optimizer] (sgd): nesterov takes momentum above 0")


LAYERS = [
    (
        '{ type = "liner" }',
        "7:12: unknown layer 'liner' in model.layers[1]; did you mean 'linear'?",
    ),
    ('"liner"', "7:3: unknown layer 'liner' in model.layers[1]; did you mean 'linear'?"),
    ("{ units = 3 }", "7:3: missing key 'type' in model.layers[1]"),
    ("{ type = [] }", "7:12: [model] layers[1].type must be a string, got []"),
    ("3", "7:3: [model] layers[1] must be a name or a table with 'type', got 3"),
    ('"linear"', "7:3: missing key 'units' in model.layers[1] (linear)"),
    ('{ type = "linear" }', "7:3: missing key 'units' in model.layers[1] (linear)"),
    (
        '{ type = "linear", units = "10" }',
        '7:30: [model] layers[1].units must be an integer, got "10"; write it without quotes',
    ),
    (
        '{ type = "linear", units = 10.0 }',
        "7:30: [model] layers[1].units must be an integer, got 10.0",
    ),
    (
        '{ type = "linear", units = true }',
        "7:30: [model] layers[1].units must be an integer, got true",
    ),
    (
        '{ type = "linear", units = 3, unit = 4 }',
        "7:33: unknown key 'unit' in model.layers[1] (linear); did you mean 'units'?",
    ),
    (
        '{ type = "relu", inputs = "f" }',
        '7:29: [model] layers[1].inputs must be a list, got "f"',
    ),
    (
        '{ type = "relu", inputs = ["f", 2] }',
        "7:35: [model] layers[1].inputs[1] must be a string, got 2",
    ),
    ('{ type = "relu", repeat = 0 }', "7:29: [model] layers[1].repeat must be at least 1, got 0"),
    (
        '{ type = "linear", units = 3, init = "zero" }',
        "7:40: unknown initializer 'zero' in model.layers[1].init; did you mean 'zeros'?",
    ),
    (
        '{ type = "linear", units = 3, init = { type = "constant", value = 1.0, valu = 2 } }',
        "7:74: unknown key 'valu' in model.layers[1].init (constant); did you mean 'value'?",
    ),
    (
        '{ type = "sequential", layers = [\n    "relu",\n    { type = "rleu" } ] }',
        "9:14: unknown layer 'rleu' in model.layers[1].layers[1]; did you mean 'relu'?",
    ),
    (
        '{ type = "sequential", layers = [] }',
        "7:35: [model] layers[1].layers must have at least 1 item",
    ),
]


@pytest.mark.parametrize(("layer", "message"), LAYERS)
def test_layers(parse, good, layer, message):
    text = swap(good, '{ type = "linear", units = 10 }', layer)
    assert problems(parse, text) == [f"net.toml:{message}"]


PROBES = [
    ('kernel = "x"', '28: [model] layers[1].kernel must be an integer or a list, got "x"'),
    ("kernel = [1, true]", "32: [model] layers[1].kernel[1] must be an integer, got true"),
    ("kernel = [1]", "28: [model] layers[1].kernel must be longer, got [1]"),
    ("kernel = [1, 2, 3]", "28: [model] layers[1].kernel must have at most 2 items"),
    ("kernel = 2.5", "28: [model] layers[1].kernel must be an integer or a list, got 2.5"),
    (
        'mode = "sane"',
        "26: [model] layers[1].mode must be one of 'same', 'valid' or 'full', got \"sane\"; "
        "did you mean 'same'?",
    ),
    ("one = 1", "25: [model] layers[1].one must be 'only', got 1"),
    ("rate = 0.0", "26: [model] layers[1].rate must be greater than 0, got 0.0"),
    ("rate = 1", "26: [model] layers[1].rate must be less than 1, got 1"),
    ("size = 3", "26: [model] layers[1].size: an odd size has no middle, got 3"),
    ("low = 2", "3: model.layers[1] (probe): low is above high: 2 and 1"),
    (
        'child = { type = "probe", high = -1 }',
        "27: model.layers[1].child (probe): low is above high: 0 and -1",
    ),
    ("few = [1, 2, 3]", "25: [model] layers[1].few must have at most 2 items"),
    ("label = 1", "27: [model] layers[1].label must be a string, got 1"),
    ("options = 1", "29: [model] layers[1].options must be a table, got 1"),
    ("options = { a = 1, b = 0.5 }", "42: [model] layers[1].options.b must be an integer, got 0.5"),
    (
        'child = { type = "relu", x = 1 }',
        "44: unknown key 'x' in model.layers[1].child (relu); "
        "known: name, inputs, repeat, tie, type",
    ),
]


@pytest.mark.parametrize(("field", "message"), PROBES)
def test_every_kind_of_field(parse, good, tmp_path, field, message):
    (tmp_path / "probe.py").write_text(PLUGIN)
    text = swap(good, '{ type = "linear", units = 10 }', f'{{ type="probe", {field} }}')
    text = 'plugins = ["probe.py"]\n' + text
    assert problems(parse, text, directory=tmp_path) == [f"net.toml:8:{message}"]


TOP = [
    ('nmae = "x"', "1:1: unknown key 'nmae' at the top level; did you mean 'name'?"),
    ("batch_size = 3", "1:1: unknown key 'batch_size' at the top level; it belongs in [data]"),
    ('name = "a/b"', '1:8: name must be fit for a folder, without slashes, got "a/b"'),
    ('name = ".."', '1:8: name must be fit for a folder, without slashes, got ".."'),
    ("name = 3", "1:8: name must be a string, got 3"),
    ("seed = -1", "1:8: seed must be at least 0, got -1"),
    ("seed = true", "1:8: seed must be an integer, got true"),
    (
        'device = "cudaa"',
        "1:10: unknown device 'cudaa'; known: auto, cpu, cuda, cuda:N",
    ),
    (
        'device = "cuda:x"',
        "1:10: unknown device 'cuda:x'; known: auto, cpu, cuda, cuda:N",
    ),
    ('plugins = "x.py"', '1:11: plugins must be a list of Python files, got "x.py"'),
    ("plugins = [3]", "1:12: plugins[0] must be a string, got 3"),
    (
        'plugins = ["minidl_kan"]',
        "1:12: plugin 'minidl_kan' is not a Python file (.py); installed plugins need no mention",
    ),
]


@pytest.mark.parametrize(("line", "message"), TOP)
def test_top_level(parse, good, line, message):
    assert problems(parse, swap(good, 'name = "net"', line)) == [f"net.toml:{message}"]


def test_an_unknown_backend_names_those_there_are(parse, good):
    (message,) = problems(parse, 'backend = "numpi"\n' + good)
    assert message.startswith(
        "net.toml:1:11: unknown backend 'numpi'; did you mean 'numpy'?; known: "
    )


def test_an_unknown_table(parse, good):
    assert problems(parse, good + "[optimser]\nlr = 1") == [
        "net.toml:13:1: unknown key 'optimser' at the top level; did you mean 'optimizer'?"
    ]


def test_a_section_that_is_no_table(parse, good):
    assert problems(parse, "training = 3\n" + good) == [
        "net.toml:1:12: [training] must be a table, got 3"
    ]


def test_missing_sections(parse):
    assert problems(parse, 'name = "net"') == [
        "net.toml:1:1: missing table [data]",
        "net.toml:1:1: missing table [model]",
        "net.toml:1:1: missing table [loss]",
        "net.toml:1:1: missing table [optimizer]",
    ]


def test_a_list_is_shown_short_or_not_at_all(parse, good):
    text = good + "[training]\nepochs = [1, 2]\nmax_steps = [" + "1, " * 40 + "1]"
    assert problems(parse, text) == [
        "net.toml:14:10: [training] epochs must be an integer, got [1, 2]",
        "net.toml:15:13: [training] max_steps must be an integer, got a list",
    ]


def test_all_problems_of_a_file_come_at_once_in_its_order(parse, good):
    text = swap(good, 'name = "net"', "seed = 1.5\ndevice = 'gpu'")
    text = swap(text, 'type = "cross_entropy"', 'type = "cross_entrop"')
    text += 'lr = "fast"\n[training]\nepochs = "ten"\nclip_norm = 0\nmetrics = ["acuracy"]\n'
    assert problems(parse, text, "training.epoks=3") == [
        "net.toml:1:8: seed must be an integer, got 1.5",
        "net.toml:2:10: unknown device 'gpu'; known: auto, cpu, cuda, cuda:N",
        "net.toml:11:8: unknown loss 'cross_entrop'; did you mean 'cross_entropy'?",
        'net.toml:14:6: [optimizer] lr must be a number, got "fast"',
        'net.toml:16:10: [training] epochs must be an integer, got "ten"',
        "net.toml:17:13: [training] clip_norm must be greater than 0, got 0",
        "net.toml:18:12: unknown metric 'acuracy' in training.metrics[0]; did you mean 'accuracy'?",
        "--set training.epoks=3: unknown key 'epoks' in [training]; did you mean 'epochs'?",
    ]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("data.batch_sise=3", "unknown key 'batch_sise' in [data]; did you mean 'batch_size'?"),
        ("training.epochs=ten", '[training] epochs must be an integer, got "ten"'),
        (
            "model.layers[1].units=x",
            '[model] layers[1].units must be an integer, got "x"',
        ),
        (
            "model.layers[1].unit=3",
            "unknown key 'unit' in model.layers[1] (linear); did you mean 'units'?",
        ),
        ("optimser.lr=3", "unknown key 'optimser' at the top level; did you mean 'optimizer'?"),
        ("schedule.type=cosin", "unknown schedule 'cosin'; did you mean 'cosine'?"),
        ("schedule.warmup=3", "missing key 'type' in [schedule]"),
    ],
)
def test_what_is_set_from_outside_points_there(parse, good, assignment, message):
    assert problems(parse, good, assignment) == [f"--set {assignment}: {message}"]


def test_a_long_value_from_outside_is_not_repeated_with_each_problem(parse, good):
    layers = ", ".join('{ type = "linear", out_features = 3 }' for _ in range(3))
    start = '--set model.layers=[{ type = "linear", out_features = 3 }, { type = "linear",...: '
    wrong = "unknown key 'out_features' in model.layers[{}] (linear); did you mean 'units'?"
    found = problems(parse, good, f"model.layers=[{layers}]")
    assert [line for line in found if "unknown" in line] == [
        start + wrong.format(index) for index in range(3)
    ]
    assert max(map(len, found)) < 170


def test_what_the_environment_sets_points_there(parse, good):
    assert problems(parse, good, environ={"MINIDL_DEVICE": "gpu"}) == [
        "MINIDL_DEVICE=gpu: unknown device 'gpu'; known: auto, cpu, cuda, cuda:N"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\ndevice = cuda", "2:10: not valid TOML: invalid value; text stands in quotes"),
        ("a = 1\na = 2", "2:6: not valid TOML: cannot overwrite a value"),
        ("[data", "1:6: not valid TOML: expected ']' at the end of a table declaration"),
        ("a = [1,\n", "2:1: not valid TOML: invalid value: the text ends too early"),
    ],
)
def test_what_is_no_toml_has_line_and_column(parse, text, message):
    assert problems(parse, text) == [f"net.toml:{message}"]


def test_nesting_without_end(parse):
    assert problems(parse, "a = " + "[" * 100_000) == ["net.toml: values are nested too deeply"]


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError) as error:
        load_config(tmp_path / "net.toml")
    assert (
        str(error.value)
        == f"{tmp_path}/net.toml: cannot read this config: No such file or directory"
    )
    (tmp_path / "net.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(ConfigError) as error:
        load_config(tmp_path / "net.toml")
    assert str(error.value) == f"{tmp_path}/net.toml: not a UTF-8 text (byte 8)"


def test_a_dict_is_told_without_positions():
    with pytest.raises(ConfigError) as error:
        config_from_dict({"data": {"dataset": "digits", "batch_sise": 3}}, "mine")
    assert str(error.value).split("\n") == [
        "mine: missing table [model]",
        "mine: missing table [loss]",
        "mine: missing table [optimizer]",
        "mine: unknown key 'batch_sise' in [data]; did you mean 'batch_size'?",
    ]


def test_a_byte_order_mark_is_no_problem(tmp_path, good):
    (tmp_path / "net.toml").write_text(good, encoding="utf-8-sig")
    assert load_config(tmp_path / "net.toml", environ={}) == parse_config(good, environ={})
