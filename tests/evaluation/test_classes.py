"""Classes of a model and of a dataset are matched by name."""

import pytest

from yolo_focal.errors import DataError
from yolo_focal.evaluation.classes import match_classes
from yolo_focal.evaluation.training_counts import TrainingCounts


def test_equal_names_keep_their_order():
    """The usual case: the dataset the model was trained for, up to case and separators."""
    match = match_classes(["traffic light", "WBC"], ["Traffic_Light", "wbc"])
    assert match.index.tolist() == [0, 1]
    assert match.same_order
    assert match_classes(["traffic-light"], ["Traffic light"]).index.tolist() == [0]


def test_other_order_and_other_sets_are_matched_by_name():
    """Classes of one side only are listed, and never taken for those of equal index."""
    match = match_classes(["person", "car", "dog"], ["dog", "person", "zebra"])
    assert match.index.tolist() == [1, -1, 0]
    assert not match.same_order
    assert match.not_predicted == ("zebra",)
    assert match.not_in_dataset == ("car",)


def test_a_model_with_more_classes_may_have_the_same_order():
    """Only a common class of another index makes the comparison by index wrong."""
    assert match_classes(["person", "car", "dog"], ["person", "car"]).same_order


def test_repeated_names_in_equal_order_are_fine():
    """Placeholders that repeat do no harm where both sides have the same list."""
    assert match_classes(["x", "x"], ["x", "x"]).index.tolist() == [0, 1]


def test_by_index_where_asked():
    """classes=index takes the names for different words for the same classes."""
    assert match_classes(["0", "1"], ["cat", "dog"], "index").index.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("model", "dataset", "rule", "phrases"),
    [
        (["a", "b"], ["c"], "match", ["(a, b)", "(c)", "no name in common", "classes=index"]),
        (["a"] * 2 + ["b"], ["a", "b"], "match", ["several classes of the model are called 'a'", "rename"]),
        (["a", "b"], ["B", "b", "c"], "known", ["several classes of the dataset are called 'b'"]),
        (["a", "b"], ["a"], "index", ["2 in the model and 1 in the dataset", "classes=match"]),
    ],
)
def test_what_cannot_be_matched_is_refused(model, dataset, rule, phrases):
    """The message names both sides and the way out."""
    with pytest.raises(DataError) as error:
        match_classes(model, dataset, rule)
    assert all(phrase in str(error.value) for phrase in phrases)


@pytest.mark.parametrize(
    ("names", "trained", "message"),
    [
        (
            ["a"],
            ["b"],
            "the classes of the evaluated dataset (a) and of train.json (b) have no name in common; give two",
        ),
        (["a"], ["b", "b"], "several classes of train.json are called 'b'; rename them"),
    ],
)
def test_where_classes_of_training_cannot_be_matched_no_model_is_blamed(names, trained, message):
    """Nor is there another rule for them, unless one was asked for."""
    counts = TrainingCounts(trained, [1] * len(trained), [1] * len(trained), "train.json")
    with pytest.raises(DataError) as error:
        counts.in_order_of(names)
    assert str(error.value).startswith(message) and "classes=index" not in str(error.value)
    with pytest.raises(DataError, match="classes=index"):
        counts.in_order_of(names, "match")
