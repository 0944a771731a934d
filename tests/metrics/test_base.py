"""What a metric leaves open, the loss decides."""

import pytest

from minidl.component import make

SEGMENTED = {"type": "cross_entropy", "axis": 1, "ignore_index": 3}


@pytest.mark.parametrize("name", ["accuracy", "f1", "confusion_matrix", "perplexity"])
def test_the_loss_hands_over_what_a_metric_leaves_open(name):
    metric = make("metric", name).suited_to(make("loss", SEGMENTED))
    assert (metric.axis, metric.ignore_index, metric.multilabel) == (1, 3, None)
    asked = make("metric", name).suited_to(make("loss", "binary_cross_entropy"))
    assert asked.multilabel is True


def test_what_a_metric_says_itself_stands():
    given = {"type": "f1", "axis": 2, "ignore_index": 0, "average": "micro", "name": "mine"}
    metric = make("metric", given).suited_to(make("loss", SEGMENTED))
    assert (metric.axis, metric.ignore_index) == (2, 0)
    assert (metric.average, metric.label) == ("micro", "mine")


def test_a_blank_is_that_of_the_loss():
    metric = make("metric", "label_error_rate")
    assert metric.suited_to(make("loss", {"type": "ctc", "blank": 4})).blank == 4


def test_a_metric_that_leaves_nothing_open_is_itself():
    metric = make("metric", "mae")
    assert metric.suited_to(make("loss", "mse")) is metric
