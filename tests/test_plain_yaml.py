"""YAML is read as the safe loader reads it, but for keys that are given twice."""

from pathlib import Path

import pytest
import ultralytics
import yaml

from yolo_focal.arguments.hyp import read_hyp
from yolo_focal.data.yolo import read_data_yaml
from yolo_focal.errors import ConfigError, DataError
from yolo_focal.plain_yaml import load_yaml


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3\n", "{names: {0: x, 0: y}}", "{1: a, 01: b}", "- {x: 1, x: 1}"])
def test_a_key_given_twice_is_refused(text):
    """Also deep inside, and in another spelling; the message has the key and its line."""
    with pytest.raises(yaml.YAMLError, match="is given twice"):
        load_yaml(text)


@pytest.mark.parametrize(
    "text", ["a: &b {x: 1}\nc: {<<: *b, x: 2}\n", "? [1, 2]\n: x\n? {a: 1}\n: y\n", "", "1", "{1: a, '1': b}"]
)
def test_all_else_is_what_the_safe_loader_makes_of_it(text):
    """Overridden merges, keys that are no scalars, errors."""
    try:
        expected = yaml.safe_load(text)
    except yaml.YAMLError:
        with pytest.raises(yaml.YAMLError):
            load_yaml(text)
    else:
        assert load_yaml(text) == expected


def test_every_file_that_ultralytics_ships_is_read_alike():
    """Datasets, models, trackers and defaults."""
    files = sorted((Path(ultralytics.__file__).parent / "cfg").glob("*/*.yaml"))
    assert len(files) > 40
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert load_yaml(text) == yaml.safe_load(text), file


def test_arguments_and_datasets_are_read_so(tmp_path):
    """One line with the file, the key and the line."""
    file = tmp_path / "a.yaml"
    file.write_text("fl_gamma: 1\nlr0: 0.01\nfl_gamma: 2\n")
    with pytest.raises(ConfigError, match=r"a\.yaml is not YAML \('fl_gamma' is given twice .*line 3"):
        read_hyp(file)
    file.write_text("train: a\nval: b\nnames: [x]\ntrain: c\n")
    with pytest.raises(DataError, match=r"a\.yaml is not a plain YAML file: 'train' is given twice .*line 4"):
        read_data_yaml(file)
