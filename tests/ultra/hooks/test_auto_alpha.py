"""`fl_alpha=auto`: one number per class from the training labels; the arguments keep the word."""

import logging

import pytest

from tests.helpers import write_squares
from tests.ultra.helpers import arguments, build, train_quickly
from yolo_focal.data.frequencies import alpha_from_frequencies
from yolo_focal.errors import ConfigError, DataError
from yolo_focal.ultra.hooks.auto_alpha import count_anew, settled_config


def boxes_per_class(data_yaml):
    """Counted from the label files, line by line."""
    counts = [0] * 10
    for file in (data_yaml.parent / "labels" / "train").glob("*.txt"):
        for line in file.read_text().splitlines():
            counts[int(line.split()[0])] += 1
    return counts


def alpha_of(**changes):
    """That of a training with these arguments."""
    return settled_config(vars(arguments(**changes))).alpha


def test_the_word_means_one_number_per_class(enabled, small_set, caplog):
    """Those of the training frequencies, with mean 0.25; the log has each class with its boxes."""
    count_anew()
    with caplog.at_level(logging.INFO, logger="ultralytics"):
        settled = alpha_of(data=str(small_set), fl_alpha="auto")
    counts = boxes_per_class(small_set)
    assert settled == pytest.approx(alpha_from_frequencies(counts, 0.25), abs=1e-4)
    assert sum(settled) / len(settled) == pytest.approx(0.25, abs=1e-3)
    assert f"disc {settled[0]:g} ({counts[0]} boxes)" in caplog.text


def test_the_arguments_keep_the_word(enabled, small_set):
    """Validators, resumed runs and DDP ranks merge it again, and loggers are told it."""
    merged = arguments(data=str(small_set), fl_alpha="auto")
    assert arguments(**vars(merged)).fl_alpha == merged.fl_alpha == "auto"


def test_outside_of_a_training_the_model_counts_as_well(enabled, small_set):
    """The criterion of a model has the numbers of the dataset in its arguments."""
    config = build("yolo11n.yaml", nc=10, data=str(small_set), fl_alpha="auto").init_criterion().bce.config
    assert config.alpha == alpha_of(data=str(small_set), fl_alpha="auto")


def test_every_training_counts_anew(enabled, tmp_path, caplog):
    """Labels that were corrected between two trainings of one process, as in a notebook."""
    data = write_squares(tmp_path / "squares")
    with caplog.at_level(logging.INFO, logger="ultralytics"):
        train_quickly(data, tmp_path / "one", focal=True, fl_alpha="auto")
        for file in (tmp_path / "squares" / "labels" / "train").glob("[1-4].txt"):
            file.write_text(file.read_text().splitlines()[0])
        train_quickly(data, tmp_path / "two", focal=True, fl_alpha="auto")
    lines = [record.getMessage() for record in caplog.records if "fl_alpha=auto ->" in record.getMessage()]
    assert len(lines) == 2 and lines[0] != lines[1]


@pytest.mark.parametrize("changes", [{"fraction": 0.3}, {"fraction": 7}, {"classes": [0, 2, 9]}, {"classes": 1}])
def test_the_labels_that_the_training_reads_are_counted(enabled, small_set, tmp_path, changes):
    """A part of the images or of the classes is what the trainer's own dataset has."""
    trainer = train_quickly(small_set, tmp_path, fl_alpha="auto", val=False, **changes)
    counts = [int(count) for count in trainer.get_class_counts()]
    assert sum(counts) < sum(boxes_per_class(small_set))
    alpha = trainer.model.criterion.bce.config.alpha
    assert alpha == pytest.approx(alpha_from_frequencies(counts, 0.25), abs=1e-4)


@pytest.mark.parametrize("fraction", [1, 1.0, [1.0, 0.5], [0.5, 1.0]])
def test_a_whole_and_a_list_of_fractions_are_read_as_ultralytics_reads_them(enabled, small_set, fraction):
    """1 is all of them, and of a list the first is that of the training images."""
    whole = alpha_of(data=str(small_set), fl_alpha="auto")
    assert (alpha_of(data=str(small_set), fl_alpha="auto", fraction=fraction) == whole) == (fraction != [0.5, 1.0])


def test_a_path_is_a_data_yaml_too(enabled, small_set):
    """As Ultralytics takes it from Python."""
    assert alpha_of(data=small_set, fl_alpha="auto") == alpha_of(data=str(small_set), fl_alpha="auto")


def test_several_datasets_are_counted_each_for_itself(enabled, small_set, tiny_data):
    """When its own training begins; before it there is nothing to count."""
    assert arguments(data=[str(small_set), str(tiny_data)], fl_alpha="auto").fl_alpha == "auto"


def test_no_label_that_is_left_is_one_line(enabled, tiny_data):
    """With what left none."""
    with pytest.raises(DataError, match=r"fraction=1.0 and classes=\(7,\) leave no label of .*; give numbers"):
        arguments(data=str(tiny_data), fl_alpha="auto", classes=[7])


def test_a_single_class_has_nothing_to_balance(enabled, small_set):
    """single_cls=True keeps the default alpha."""
    assert alpha_of(data=str(small_set), fl_alpha="auto", single_cls=True) == 0.25


@pytest.mark.parametrize("data", [None, "/no/such.yaml"])
def test_without_labels_to_count_it_is_refused(enabled, data):
    """The message names the dataset it was given."""
    with pytest.raises(ConfigError, match=f"fl_alpha=auto counts the training labels of a data YAML, got data={data}"):
        arguments(data=data, fl_alpha="auto")


def test_real_blood_cells(enabled, shared):
    """The rare classes of real data get the larger alpha."""
    red, white, platelets = alpha_of(data=str(shared / "data" / "bccd" / "bccd.yaml"), fl_alpha="auto")
    assert red < white <= platelets
