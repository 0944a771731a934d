import numpy as np
import pytest

from minidl.component import make
from minidl.data import batches
from minidl.data.sequence_csv import Sequences
from minidl.errors import ConfigError, DataError

KINDS = ("up", "down")


def grouped_rows(count=20):
    """Sequences of 2 to 6 rows, not side by side: series s rises or falls from s."""
    rows = [
        f"{s},{step},{s + step * (1 if s % 2 == 0 else -1)},{'ab'[step % 2]},{KINDS[s % 2]}"
        for step in range(6)
        for s in range(count)
        if step < 2 + s % 5
    ]
    return "series,step,value,letter,kind\n" + "\n".join(rows) + "\n"


def grouped(tmp_path, text=None, **options):
    path = tmp_path / "grouped.csv"
    path.write_text(grouped_rows() if text is None else text)
    given = {"group": "series", "target": "kind", "ignore": ["step"], "standardize": False}
    return make("dataset", {"type": "sequence_csv", "path": str(path), **given, **options})


def series(tmp_path, count=50, **options):
    path = tmp_path / "series.csv"
    path.write_text("t,load,heat\n" + "".join(f"{i},{i},{100 + i}.5\n" for i in range(count)))
    given = {"target": "heat", "length": 5, "ignore": ["t"], "standardize": False}
    return make("dataset", {"type": "sequence_csv", "path": str(path), **given, **options})


def samples(part):
    return part.span(0, len(part))


def refusal(made):
    with pytest.raises(DataError) as caught:
        made.splits(0.1)
    return str(caught.value)


def test_rows_of_a_group_are_a_sequence_with_one_target(tmp_path):
    splits = grouped(tmp_path, test_fraction=0.0).splits()
    assert splits.classes == ("down", "up")
    assert str(splits.input_spec) == "float32[6, 3]"
    x, y = samples(splits.train)
    assert x.shape == (20, 6, 3) and y.tolist() == [1, 0] * 10
    for s in range(20):
        count, sign = 2 + s % 5, 1 if s % 2 == 0 else -1
        steps = np.arange(count)
        assert np.array_equal(x[s, :count, 0], s + sign * steps)
        assert np.array_equal(x[s, :count, 1:], np.eye(2)[steps % 2])
        assert not x[s, count:].any()


def test_padding_may_stand_before_and_have_another_value(tmp_path):
    made = grouped(tmp_path, test_fraction=0.0, pad="before", padding=-7.0, length=8)
    x, _ = samples(made.splits().train)
    assert x.shape == (20, 8, 3)
    assert (x[3, :3] == -7).all()
    assert x[3, 3:, 0].tolist() == [3, 2, 1, 0, -1]


@pytest.mark.parametrize("pad", ["before", "after"])
def test_of_sequences_that_are_too_long_the_last_rows_are_taken(tmp_path, pad):
    x, _ = samples(grouped(tmp_path, test_fraction=0.0, length=3, pad=pad).splits().train)
    assert x[4, :, 0].tolist() == [7, 8, 9]
    assert x[0, :, 0].tolist() == ([0, 0, 1] if pad == "before" else [0, 1, 0])


def test_rows_are_sorted_by_the_column_that_says_so(tmp_path):
    header, *rows = grouped_rows().splitlines()
    text = "\n".join([header, *np.random.default_rng(0).permutation(rows)])
    made = grouped(tmp_path, text, order="step", ignore=[], test_fraction=0.0)
    found, _ = samples(made.splits().train)
    wanted, _ = samples(grouped(tmp_path, test_fraction=0.0).splits().train)
    # Sequences stand in the order in which their names come up.
    assert sorted(found.tolist()) == sorted(wanted.tolist())


def test_sequences_are_held_out_whole_with_the_share_of_every_class(tmp_path):
    splits = grouped(tmp_path, test_fraction=0.2).splits(0.25, seed=2)
    assert [len(part) for _, part in splits.parts()] == [12, 4, 4]
    seen = np.concatenate([samples(part)[0][:, 0, 0] for _, part in splits.parts()])
    assert sorted(seen) == list(range(20))
    assert all(
        np.bincount(samples(part)[1]).tolist() == [len(part) // 2] * 2 for _, part in splits.parts()
    )


def test_the_encoding_is_learnt_from_the_sequences_that_train(tmp_path):
    made = grouped(tmp_path, standardize=True)
    splits = made.splits(0.2, seed=1)
    raw = grouped(tmp_path, test_fraction=0.0).splits().train
    trained = samples(splits.train)[0]
    values = np.concatenate(
        [raw.inputs[np.array([row])][0, : 2 + row % 5, 0] for row in splits.train.rows]
    )
    (column,) = [c for c in made.state()["columns"] if c["name"] == "value"]
    assert column["mean"] == pytest.approx(values.mean())
    assert column["scale"] == pytest.approx(values.std(), rel=1e-6)
    assert made.state()["length"] == max(2 + row % 5 for row in splits.train.rows)
    assert trained.shape[1] == made.state()["length"]


def test_windows_and_what_follows_them(tmp_path):
    splits = series(tmp_path, test_fraction=0.0, horizon=3, stride=2).splits()
    x, y = samples(splits.train)
    assert x.shape == (22, 5, 2) and y.shape == (22, 1) and y.dtype == np.float32
    for i in range(22):
        assert x[i, :, 0].tolist() == list(range(2 * i, 2 * i + 5))
        assert np.array_equal(x[i, :, 1], x[i, :, 0] + 100.5)
        assert y[i, 0] == 2 * i + 4 + 3 + 100.5


def test_the_last_windows_are_held_out(tmp_path):
    splits = series(tmp_path, test_fraction=0.2).splits(0.25, seed=7)
    targets = [samples(part)[1][:, 0].tolist() for _, part in splits.parts()]
    assert [len(each) for each in targets] == [27, 9, 9]
    assert sum(targets, []) == [105.5 + i for i in range(45)]


def test_a_series_is_standardised_by_what_is_trained_with(tmp_path):
    made = series(tmp_path, standardize=True, test_fraction=0.5)
    made.splits()
    (column,) = [c for c in made.state()["columns"] if c["name"] == "load"]
    # 45 windows, 23 of them to train with: rows 0 to 26.
    assert column["mean"] == pytest.approx(13.0)


def test_a_series_can_be_sorted(tmp_path):
    made = series(tmp_path, order="t", ignore=[], test_fraction=0.0)
    wanted = samples(made.splits().train)
    path = tmp_path / "series.csv"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *rows[::-1]]))
    again = samples(series_again(path).splits().train)
    assert np.array_equal(again[0], wanted[0]) and np.array_equal(again[1], wanted[1])


def series_again(path):
    options = {"target": "heat", "length": 5, "order": "t", "standardize": False}
    options |= {"path": str(path), "test_fraction": 0.0}
    return make("dataset", {"type": "sequence_csv", **options})


def test_several_values_can_be_continued(tmp_path):
    splits = series(tmp_path, target=["load", "heat"], test_fraction=0.0).splits()
    assert str(splits.target_spec) == "float32[2]" and str(splits.input_spec) == "float32[5, 2]"


def test_a_test_file(tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("\n".join(grouped_rows().splitlines()[:5]))
    splits = grouped(tmp_path, test_path=str(other)).splits()
    assert (len(splits.train), len(splits.test)) == (20, 4)
    assert str(splits.test.input_spec) == str(splits.train.input_spec)


def test_new_files_meet_what_was_learnt(tmp_path):
    made = grouped(tmp_path, standardize=True)
    train = made.splits(0.2).train
    later = grouped(tmp_path, standardize=True)
    later.restore(made.state())
    new = tmp_path / "new.csv"
    new.write_text("series,value,letter\nq,1,a\nr,5,b\nq,2,b\n")
    for each in (made, later):
        x = each.read_inputs(str(new))
        assert x.shape == (2, *train.input_spec.shape)
        scale = {c["name"]: c for c in each.state()["columns"]}["value"]
        assert x[0, :2, 0] * scale["scale"] + scale["mean"] == pytest.approx([1, 2])
        assert np.array_equal(x[:, 0, 1:], np.eye(2)) and not x[:, 2:].any()
    assert later.state() == made.state()
    assert np.array_equal(samples(later.splits(0.2).train)[0], samples(train)[0])


def test_all_windows_of_a_new_series_are_read(tmp_path):
    made = series(tmp_path)
    new = tmp_path / "new.csv"
    new.write_text("heat,load\n" + "".join(f"{i},{i}\n" for i in range(7)))
    assert made.read_inputs(str(new))[:, -1, 0].tolist() == [4, 5, 6]
    new.write_text("heat,load\n1,2\n")
    with pytest.raises(DataError) as caught:
        made.read_inputs(str(new))
    assert str(caught.value) == f"{new}: 1 rows make no window of length = 5"


def test_new_sequences_are_called_what_their_group_is(tmp_path):
    made = grouped(tmp_path)
    made.splits()
    text = "value,letter,series\n7,a,late\n1,a,early\n8,b,late\n2,b,early\n3,a,early\n"
    path = str(tmp_path / "new.csv")
    (tmp_path / "new.csv").write_text(text.replace("\n", ",0\n").replace("series,0", "series,step"))
    assert made.input_names(path) == ("series", ("late", "early"))
    assert made.read_inputs(path)[:, :3, 0].tolist() == [[7, 8, 0], [1, 2, 3]]
    assert series(tmp_path).input_names(path) is None


@pytest.mark.parametrize("state", [{}, {"length": "3"}])
def test_what_is_no_state_is_refused(tmp_path, state):
    made = grouped(tmp_path)
    made.splits()
    learnt = {k: v for k, v in made.state().items() if k != "length"}
    with pytest.raises(DataError) as caught:
        grouped(tmp_path).restore({**learnt, **state})
    assert str(caught.value) == (
        "the stored state of the dataset is not one of sequences: no length"
    )


def test_a_sequence_has_one_target(tmp_path):
    text = grouped_rows().replace("3,1,2,b,down", "3,1,2,b,up")
    made = grouped(tmp_path, text)
    assert refusal(made) == (
        f"{made.path}:25:5: column 'kind': is not what the last row of the sequence '3' has; "
        "a sequence has one target"
    )


STEPS = """series,value,tag,text
a,1,N,hello there
b,2,V,ho
a,3,V,hello there
b,4,N,ho
b,5,N,ho
"""


def labelled(tmp_path, labels, text=STEPS, **options):
    column, other = ("tag", "text") if labels == "step" else ("text", "tag")
    given = {"labels": labels, "target": column, "ignore": [other], "test_fraction": 0.0}
    return grouped(tmp_path, text, **{**given, **options})


@pytest.mark.parametrize("pad", ["before", "after"])
def test_every_row_may_have_a_class_of_its_own(tmp_path, pad):
    splits = labelled(tmp_path, "step", pad=pad, length=4).splits()
    assert splits.classes == ("N", "V")
    _, y = samples(splits.train)
    assert y.dtype == np.int64
    if pad == "after":
        assert y.tolist() == [[0, 1, -100, -100], [1, 0, 0, -100]]
    else:
        assert y.tolist() == [[-100, -100, 0, 1], [-100, 1, 0, 0]]


def test_of_steps_that_are_too_many_the_last_keep_their_class(tmp_path):
    _, y = samples(labelled(tmp_path, "step", length=2).splits().train)
    assert y.tolist() == [[0, 1], [0, 0]]


def test_a_text_is_labels_for_ctc(tmp_path):
    made = labelled(tmp_path, "characters")
    splits = made.splits()
    assert splits.classes == ("", " ", "e", "h", "l", "o", "r", "t")
    _, y = samples(splits.train)
    known = splits.classes
    assert ["".join(known[i] for i in row if i >= 0) for row in y] == ["hello there", "ho"]
    assert y.shape == (2, 11) and y[1].tolist() == [3, 5, *[-1] * 9]
    words = labelled(tmp_path, "words").splits()
    assert words.classes == ("", "hello", "ho", "there")
    assert samples(words.train)[1].tolist() == [[1, 3], [2, -1]]


def test_texts_of_digits_are_labels_too(tmp_path):
    text = STEPS.replace("hello there", "20").replace("ho", "10")
    splits = labelled(tmp_path, "characters", text).splits()
    assert splits.classes == ("", "0", "1", "2")
    assert samples(splits.train)[1].tolist() == [[3, 1], [2, 1]]


def test_labels_of_a_test_file_have_the_same_width(tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("series,value,tag,text\nq,1,N,hollerer\n")
    splits = labelled(tmp_path, "characters", test_path=str(other)).splits()
    assert splits.test.targets.shape == (1, 11)
    other.write_text("series,value,tag,text\nq,1,N,hex\n")
    made = labelled(tmp_path, "characters", test_path=str(other))
    assert refusal(made) == f"{other}:2:4: column 'text': unknown label 'x'"


def test_padding_is_told_from_steps(tmp_path):
    made = grouped(tmp_path, padding=-7.0)
    x = np.full((1, 3, 2), -7.0)
    x[0, 0] = [0, -7]
    assert made.real_steps(x).tolist() == [[True, False, False]]
    assert series(tmp_path).real_steps(x) is None


TURNS = "series,value,turn\n" + "".join(
    f"{s},{value},{'ab'[value > 0]}\n" for s in "pqrst" for value in (1, 0, -1)
)


def turns(tmp_path, text=TURNS, **options):
    given = {"target": "turn", "labels": "step", "ignore": [], "standardize": True}
    return grouped(tmp_path, text, **{**given, "test_fraction": 0.0, **options})


def taken_for_padding(place, name, padding="0", free=-99, again=""):
    return (
        f"{place}: the row of the sequence '{name}' is encoded as {padding} in all features, which "
        "is the padding; set padding in [data], and value in the layer padding_mask, to the same "
        f"number that no row has, such as {free}{again}"
    )


def test_a_row_that_looks_like_padding_is_refused(tmp_path):
    # The mean is 0, which is standardised to 0.
    made = turns(tmp_path)
    assert refusal(made) == taken_for_padding(f"{made.path}:3", "p")
    made = turns(tmp_path, TURNS.replace("-1", "-99"), padding=-99.0, standardize=False)
    assert refusal(made) == taken_for_padding(f"{made.path}:4", "p", "-99", -100)


def test_a_row_of_a_test_file_that_looks_like_padding_is_refused(tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("series,value,turn\nx,-1,a\ny,1,b\ny,0,a\n")
    text = TURNS.replace(",0,", ",4,")
    made = turns(tmp_path, text, test_path=str(other), standardize=False)
    assert refusal(made) == taken_for_padding(f"{other}:4", "y")


def test_a_new_row_that_looks_like_padding_is_refused(tmp_path):
    made = turns(tmp_path, TURNS.replace(",0,", ",4,"), standardize=False)
    made.splits()
    later = turns(tmp_path, standardize=False)
    later.restore(made.state())
    new = tmp_path / "new.csv"
    new.write_text("series,value\nz,3\nz,0\n")
    for each, again in ((made, ""), (later, ", and train again")):
        with pytest.raises(DataError) as caught:
            each.read_inputs(str(new))
        assert str(caught.value) == taken_for_padding(f"{new}:3", "z", again=again)


def test_every_row_counts_where_no_row_has_the_padding(tmp_path):
    made = turns(tmp_path, padding=-99.0)
    x, _ = samples(made.splits().train)
    assert made.real_steps(x).all() and x.shape == (5, 3, 1)
    # One feature may have it, and a file without groups has no padding.
    assert (samples(grouped(tmp_path, test_fraction=0.0).splits().train)[0][0, 0] == 0).any()
    assert not samples(series(tmp_path, target="load").splits().train)[0][0, 0, 0]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"labels": "step", "target": "value", "ignore": ["step", "kind"]}, "step"),
        ({"labels": "characters", "target": "kind", "task": "regression"}, "characters"),
        ({"labels": "words", "target": ["kind", "letter"]}, "words"),
    ],
)
def test_labels_are_classes_of_one_column(tmp_path, options, named):
    text = grouped_rows().replace("0,0,0,a", "0,0,0.5,a")
    with pytest.raises(ConfigError) as caught:
        grouped(tmp_path, text, **options).splits()
    assert str(caught.value) == (
        f"dataset 'sequence_csv' ({tmp_path}/grouped.csv): labels = '{named}' takes one target "
        f"column, of classes; where they are numbers set task = 'classification'"
    )


def test_labels_need_groups(tmp_path):
    with pytest.raises(ValueError, match="labels = 'step' needs group, which tells sequences"):
        series(tmp_path, labels="step")


def test_a_row_without_a_group_is_refused(tmp_path):
    text = grouped_rows().replace("3,1,2,b,down", ",1,2,b,down")
    made = grouped(tmp_path, text, missing="mean")
    assert refusal(made) == (
        f"{made.path}:25:1: column 'series': the value is missing; fill it in, or remove the row"
    )


def test_columns_that_are_not_there_are_named(tmp_path):
    made = grouped(tmp_path, group="seires")
    assert refusal(made) == (
        f"{made.path}: has no column 'seires' for group; did you mean 'series'? "
        "(it has series, step, value, letter, kind)"
    )
    with pytest.raises(ConfigError, match="column 'step' stands in ignore and in order"):
        grouped(tmp_path, order="step").splits()


def test_too_few_rows_for_a_window_are_refused(tmp_path):
    made = series(tmp_path, count=5)
    assert refusal(made) == (
        f"{made.path}: 5 rows make no window of length = 5 and a target 1 behind it"
    )
    made = series(tmp_path, count=6)
    assert refusal(made) == (
        "cannot hold out 0.2 of 1 windows and keep any; hold out less, or bring more rows"
    )


def test_without_group_a_length_is_needed():
    with pytest.raises((ConfigError, ValueError), match="give group, the column that tells"):
        make("dataset", {"type": "sequence_csv", "path": "a.csv", "target": "b"})


def test_a_number_too_great_for_float32_is_named(tmp_path):
    made = grouped(tmp_path, grouped_rows().replace("3,1,2,b", "3,1,1e300,b"))
    assert refusal(made) == f"{made.path}:25: has a number too great for float32"


def test_windows_are_made_when_they_are_used(tmp_path):
    made = series(tmp_path, count=2000, length=500, test_fraction=0.0)
    train = made.splits().train
    assert isinstance(train.inputs, Sequences)
    assert train.inputs.shape == (1500, 500, 2)
    for x, y in batches(train, 64, 1):
        assert np.array_equal(x[:, -1, 1] + 1, y[:, 0])
