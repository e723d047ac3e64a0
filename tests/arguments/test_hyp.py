"""Hyperparameter files: found by name, read safely, and every one of ours explained."""

import pytest

from yolo_focal.arguments.focal import read_config
from yolo_focal.arguments.hyp import find_hyp, read_hyp
from yolo_focal.errors import ConfigError
from yolo_focal.resources import cfg_folder, cfg_names

PRESETS = cfg_names("hyp")


def test_the_promised_presets_are_there():
    """Their names are part of the command line."""
    assert {"focal", "retinanet", "focal-alpha75", "qfl", "yolov5-classic"} <= set(PRESETS)


@pytest.mark.parametrize("path", sorted(cfg_folder().rglob("*.yaml")), ids=lambda path: path.name)
def test_every_yaml_says_what_it_is_for_and_who_uses_it(path):
    """The file starts with its purpose and contains the command."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert "yolo-focal " in text.partition("\n\n")[0] or "# Use:" in text


@pytest.mark.parametrize("path", sorted((cfg_folder() / "hyp").glob("*.yaml")), ids=lambda path: path.name)
def test_every_key_of_a_preset_is_explained(path):
    """Each `key: value` line ends in a comment."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert all(" # " in line for line in lines)


def test_a_bare_name_and_a_path_find_the_same_file(tmp_path):
    """With and without `.yaml`, and a file of the user's own."""
    assert find_hyp("focal") == find_hyp("focal.yaml")
    own = tmp_path / "mine.yaml"
    own.write_text("fl_gamma: 2.0\n")
    assert read_hyp(find_hyp(own)) == {"fl_gamma": 2.0}


def test_an_unknown_name_lists_the_presets():
    """The message has what exists."""
    with pytest.raises(ConfigError, match=r"cfg=fokal does not exist; give a YAML file or one of focal, focal-alpha75"):
        find_hyp("fokal")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("fl_gamma: [1", "is not YAML"),
        ("- 1\n- 2\n", "must hold lines of 'key: value', got list"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
        ("a: 1\n" * 300_000, "a hyperparameter file has a few thousand"),
    ],
)
def test_a_file_that_is_no_hyperparameter_file_is_refused(tmp_path, content, message):
    """It is neither executed nor read without bound."""
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_hyp(path)


def test_aliases_that_multiply_are_refused(tmp_path):
    """A few lines that stand for a billion values, or for themselves."""
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)), "fl_alpha: *a59"]
    for text in ("\n".join(lines), "fl_alpha: &a [*a, *a]"):
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(
            ConfigError, match=r"a\.yaml holds more than 100,000 values, with those that aliases repeat"
        ):
            read_hyp(tmp_path / "a.yaml")


def test_a_long_value_is_cut_in_the_message(tmp_path):
    """One line is what a reader wants of ten thousand numbers."""
    with pytest.raises(ConfigError) as caught:
        read_config({"fl_alpha": [2.0] * 10_000})
    assert len(str(caught.value)) < 300
