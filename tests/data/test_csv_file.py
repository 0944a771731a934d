import json

import numpy as np
import pytest

from minidl.data.csv_file import Csv
from minidl.errors import ConfigError, DataError
from minidl.graph import tensor

HOUSES = """area,city,rooms,price
50,"Paris, FR",2,500.5
60,Lyon,3,300
70,Nice,4,350
80,Lyon,2,280
90,"Paris, FR",5,900
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "houses.csv").write_text(HOUSES)
    return tmp_path


def houses(**fields):
    return Csv(**{"path": "houses.csv", "target": "price", "test_fraction": 0.0, **fields})


def refusal(kind, made, call="splits", *args):
    with pytest.raises(kind) as caught:
        getattr(made, call)(*args)
    return str(caught.value)


def many(here, count=100, seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        f"{rng.normal(1e5, 3):.6f},{rng.choice(list('abc'))},{'yes' if i % 4 else 'no'}"
        for i in range(count)
    ]
    (here / "many.csv").write_text("size,kind,sold\n" + "\n".join(rows) + "\n")


def test_numbers_are_standardised_and_categories_one_hot():
    splits = houses().load()
    area = (np.array([50, 60, 70, 80, 90]) - 70) / np.sqrt(200)
    expected = np.array(
        [
            # Lyon, Nice, Paris
            [0, 0, 1],
            [1, 0, 0],
            [0, 1, 0],
            [1, 0, 0],
            [0, 0, 1],
        ]
    )
    assert splits.train.inputs.dtype == np.float32
    assert splits.train.inputs[:, 0] == pytest.approx(area)
    assert np.array_equal(splits.train.inputs[:, 1:4], expected)
    assert splits.train.targets.tolist() == [[500.5], [300], [350], [280], [900]]
    assert splits.task == "regression" and splits.classes == ()


def test_targets_are_standardised_where_it_is_asked_for_and_back_in_their_units():
    made = houses(target=["price", "area"], standardize_targets=True)
    targets = made.load().train.targets
    price = np.array([500.5, 300, 350, 280, 900])
    assert targets[:, 0] == pytest.approx((price - price.mean()) / price.std())
    assert targets[:, 1] == pytest.approx(np.array([-2, -1, 0, 1, 2]) / np.sqrt(2))
    later = houses(target=["price", "area"], path="gone.csv")
    later.restore(json.loads(json.dumps(made.state())))
    for dtype in ("float16", "float32", "float64"):
        units = later.target_units(tensor(targets, dtype=dtype))
        assert units.dtype == ("float64" if dtype == "float64" else "float32")
        expected = np.stack([price, [50, 60, 70, 80, 90]], axis=1)
        assert units.numpy() == pytest.approx(expected, rel=1e-2 if dtype == "float16" else 1e-6)


def test_other_targets_stay_as_they_are():
    made = houses()
    values = tensor([[1.0]])
    assert made.target_units(values) is values
    made.load()
    assert made.target_units(values) is values


def test_classes_are_not_standardised():
    for target in ("city", "rooms"):
        assert refusal(ConfigError, houses(target=target, standardize_targets=True)) == (
            "dataset 'csv' (houses.csv): standardize_targets is for values, but the target is "
            "classes; where it is numbers to be predicted set task = 'regression'"
        )
    houses(target="rooms", standardize_targets=True, task="regression").load()


def test_text_makes_a_classification():
    splits = houses(target="city").load()
    assert splits.classes == ("Lyon", "Nice", "Paris, FR")
    assert splits.train.targets.tolist() == [2, 0, 1, 0, 2]
    assert splits.train.targets.dtype == np.int64
    assert splits.train.inputs.shape == (5, 3)


@pytest.mark.parametrize(
    ("values", "task", "expected"),
    [
        (["0", "1", "0", "1"], "auto", "classification"),
        (["10", "2", "10", "2.0"], "auto", "classification"),
        (["0.5", "1", "0", "1"], "auto", "regression"),
        ([str(i) for i in range(21)], "auto", "regression"),
        ([str(i) for i in range(20)], "auto", "classification"),
        (["0", "1", "0", "1"], "regression", "regression"),
        (["0.5", "1.5", "0.5", "1.5"], "classification", "classification"),
    ],
)
def test_the_task_goes_by_the_target(here, values, task, expected):
    (here / "t.csv").write_text("x,y\n" + "".join(f"{i},{v}\n" for i, v in enumerate(values)))
    assert Csv(path="t.csv", target="y", task=task, test_fraction=0.0).load().task == expected


def test_classes_that_are_numbers_come_in_their_order(here):
    (here / "t.csv").write_text("x,y\n1,10\n2,9\n3,10\n")
    assert Csv(path="t.csv", target="y", test_fraction=0.0).load().classes == ("9", "10")


def test_several_targets_make_a_regression_of_several_values():
    splits = houses(target=["price", "rooms"]).load()
    assert splits.target_spec.shape == (2,)
    assert splits.train.targets[0].tolist() == [500.5, 2]
    assert splits.train.inputs.shape == (5, 4)


def test_columns_can_be_declared():
    splits = houses(categorical=["rooms"], ignore=["city"]).load()
    assert splits.train.inputs.shape == (5, 1 + 4)
    assert splits.train.inputs[:, 1:].sum(axis=1).tolist() == [1] * 5


def test_standardising_can_be_left_out():
    splits = houses(standardize=False).load()
    assert splits.train.inputs[:, 0].tolist() == [50, 60, 70, 80, 90]


def test_a_constant_column_becomes_zeros_not_infinities(here):
    (here / "t.csv").write_text("c,x,y\n" + "".join(f"1e9,{i},{i / 2}\n" for i in range(5)))
    splits = Csv(path="t.csv", target="y", test_fraction=0.0).load()
    assert splits.train.inputs[:, 0].tolist() == [0] * 5


def test_far_from_zero_numbers_are_standardised_precisely(here):
    many(here)
    inputs = Csv(path="many.csv", target="sold", test_fraction=0.0).load().train.inputs
    assert inputs[:, 0].mean() == pytest.approx(0, abs=1e-6)
    assert inputs[:, 0].std() == pytest.approx(1, abs=1e-6)


def test_numbers_whose_squares_overflow_are_standardised(here):
    (here / "houses.csv").write_text("size,price\n-1e300,1.5\n1e300,2.5\n1e300,0.5\n-1e300,9\n")
    assert houses().load().train.inputs.tolist() == [[-1], [1], [1], [-1]]


def test_everything_is_learnt_from_the_training_rows_alone(here):
    many(here)
    splits = Csv(path="many.csv", target="sold", test_fraction=0.25).splits(0.2, seed=4)
    assert [len(part) for _, part in splits.parts()] == [60, 15, 25]
    size = splits.train.inputs[:, 0]
    assert size[splits.train.rows].mean() == pytest.approx(0, abs=1e-6)
    assert size[splits.train.rows].std() == pytest.approx(1, abs=1e-6)
    assert abs(size[splits.test.rows].mean()) > 1e-3
    assert abs(size[splits.validation.rows].mean()) > 1e-3


def test_the_parts_are_disjoint_and_keep_the_share_of_classes(here):
    many(here)
    splits = Csv(path="many.csv", target="sold", test_fraction=0.25).splits(0.2)
    rows = [part.rows for _, part in splits.parts()]
    assert sorted(np.concatenate(rows)) == list(range(100))
    assert [np.mean(splits.train.targets[r]) for r in rows] == pytest.approx([0.75] * 3, abs=0.07)


def test_which_rows_are_tested_is_a_function_of_split_seed_alone(here):
    many(here)

    def rows(validation, seed, split_seed):
        made = Csv(path="many.csv", target="sold", split_seed=split_seed)
        return made.splits(validation, seed).test.rows.tolist()

    assert rows(0.0, 0, 1) == rows(0.5, 7, 1) != rows(0.0, 0, 2)


def test_a_test_file_of_its_own(here):
    (here / "more.csv").write_text('price,area,rooms,city\n1,70,3,Lyon\n2,90,3,"Rome"\n')
    splits = houses(test_path="more.csv", test_fraction=0.2).load()
    assert (len(splits.train), len(splits.test)) == (5, 2)
    assert splits.test.inputs[0, 0] == 0
    assert splits.test.inputs[:, 1:4].tolist() == [[1, 0, 0], [0, 0, 0]]


def test_a_class_that_training_never_saw_is_refused_in_a_test_file(here):
    (here / "more.csv").write_text("area,city,rooms,price\n70,Rome,3,1\n")
    assert refusal(DataError, houses(target="city", test_path="more.csv")) == (
        "more.csv:2:2: column 'city': unknown class 'Rome' (known: Lyon, Nice, Paris, FR)"
    )


def test_other_files_meet_the_encoding_of_the_training_rows(here):
    (here / "p.csv").write_text("city,rooms,note,area\nNice,3.2,hello,50\nRome,3.2,bye,90\n")
    trained = houses()
    trained.splits()
    stored = json.loads(json.dumps(trained.state()))
    later = houses(path="gone.csv")
    later.restore(stored)
    inputs = later.read_inputs("p.csv")
    assert np.array_equal(inputs, trained.read_inputs("p.csv"))
    assert inputs[:, 0] == pytest.approx([-np.sqrt(2), np.sqrt(2)])
    assert inputs[:, 1:4].tolist() == [[0, 1, 0], [0, 0, 0]]
    assert inputs[:, 4] == pytest.approx([0, 0], abs=1e-7)
    assert later.state() == stored


def test_a_restored_encoding_is_not_learnt_again(here):
    trained = houses()
    before = trained.splits().train.inputs[0].tolist()
    (here / "houses.csv").write_text(HOUSES + "9000,Oslo,2,1\n")
    later = houses()
    later.restore(trained.state())
    assert later.splits().train.inputs[0].tolist() == before


def test_loading_again_learns_again_from_what_is_training_then(here):
    many(here)
    made = Csv(path="many.csv", target="sold")
    made.load()
    whole = made.state()
    made.splits(0.5, 0)
    assert made.state() != whole
    made.load()
    assert made.state() == whole


def test_without_a_state_reading_inputs_learns_first(here):
    (here / "p.csv").write_text("city,rooms,area\nNice,3,70\n")
    assert houses().read_inputs("p.csv")[0, 0] == 0
    assert houses().state() == {}


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"task": "cooking", "columns": [], "targets": [], "classes": []},
        {"task": "regression", "columns": [{"kind": "numeric"}], "targets": [], "classes": []},
    ],
)
def test_a_state_of_something_else_is_refused(state):
    message = refusal(DataError, houses(), "restore", state)
    assert message.startswith("the stored state of the dataset is not one of a table: ")


def test_missing_values_are_refused_unless_told_otherwise(here):
    (here / "houses.csv").write_text(HOUSES + "NA,Lyon,2,1\n")
    assert refusal(DataError, houses()) == (
        "houses.csv:7:1: column 'area': the value is missing; fill it in, or set missing = \"mean\""
    )


def test_missing_values_become_the_mean_of_the_training_rows_or_zeros(here):
    (here / "houses.csv").write_text(HOUSES + "NA,?,3.2,1.5\n")
    inputs = houses(missing="mean").load().train.inputs
    assert inputs[5, 0] == 0
    assert inputs[5, 1:4].tolist() == [0, 0, 0]
    plain = houses(missing="mean", standardize=False).load().train.inputs
    assert plain[5, 0] == 70


def test_a_missing_target_is_always_refused(here):
    (here / "houses.csv").write_text(HOUSES + "1,Lyon,2,\n")
    assert refusal(DataError, houses(missing="mean")) == (
        "houses.csv:7:4: column 'price': the value is missing; fill it in, or remove the row"
    )


def test_a_column_without_values_is_refused(here):
    (here / "t.csv").write_text("a,b,y\n,1,1.5\n,2,2.5\n")
    made = Csv(path="t.csv", target="y", missing="mean", test_fraction=0.0)
    assert refusal(DataError, made) == (
        "t.csv: column 'a' has no value in the training part; put it in ignore"
    )


def test_too_many_categories_are_refused():
    assert refusal(DataError, houses(max_categories=2)) == (
        "houses.csv: column 'city' has 3 categories in the training part, above "
        "max_categories = 2; put it in ignore, or raise the limit"
    )


@pytest.mark.parametrize(
    ("fields", "kind", "message"),
    [
        (
            {"target": "prize"},
            DataError,
            "houses.csv: has no column 'prize' for target; did you mean 'price'? "
            "(it has area, city, rooms, price)",
        ),
        (
            {"ignore": ["romms"]},
            DataError,
            "houses.csv: has no column 'romms' for ignore; did you mean 'rooms'? "
            "(it has area, city, rooms, price)",
        ),
        (
            {"ignore": ["price"]},
            ConfigError,
            "dataset 'csv' (houses.csv): column 'price' stands in target and in ignore",
        ),
        (
            {"ignore": ["area", "city", "rooms"]},
            DataError,
            "houses.csv: no column is left for the inputs",
        ),
        (
            {"target": []},
            ConfigError,
            "dataset 'csv' (houses.csv): target names no column",
        ),
        (
            {"target": ["city", "price"], "task": "classification"},
            ConfigError,
            "dataset 'csv' (houses.csv): a classification has one target, not 2",
        ),
        (
            {"target": "city", "task": "regression"},
            DataError,
            "houses.csv:2:2: column 'city': 'Paris, FR' is not a number",
        ),
        (
            {"numeric": ["city"]},
            DataError,
            "houses.csv:2:2: column 'city': 'Paris, FR' is not a number",
        ),
        (
            {"delimiter": "::"},
            ConfigError,
            "dataset 'csv' (houses.csv): delimiter must be one character, not '::'",
        ),
        (
            {"path": "none.csv"},
            DataError,
            "none.csv: cannot be read: No such file or directory",
        ),
    ],
)
def test_what_does_not_fit_the_file_is_refused(fields, kind, message):
    assert refusal(kind, houses(**fields)) == message


def test_inputs_that_lack_a_column_are_refused(here):
    (here / "p.csv").write_text("city,rooms\nNice,3\n")
    assert refusal(DataError, houses(), "read_inputs", "p.csv") == (
        "p.csv: has no column 'area' (it has city, rooms)"
    )


def test_a_file_without_a_header_and_inputs_without_its_target(here):
    (here / "iris.data").write_text("5.1;3.5;setosa\n6.2;3.4;virginica\n5.9;3.0;virginica\n")
    (here / "new.data").write_text("5.1;3.5\n")
    made = Csv(
        path="iris.data",
        target="kind",
        columns=["length", "width", "kind"],
        delimiter=";",
        test_fraction=0.0,
    )
    assert made.load().classes == ("setosa", "virginica")
    assert np.array_equal(made.read_inputs("new.data"), made.load().train.inputs[:1])


def test_a_split_that_leaves_nothing_is_refused(here):
    (here / "t.csv").write_text("x,y\n1,a\n")
    assert refusal(DataError, Csv(path="t.csv", target="y")) == (
        "cannot hold out 0.2 of 1 samples and keep any; hold out less, or bring more samples"
    )
