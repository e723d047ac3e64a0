"""A search space is checked before the first trial: its lines, its ranges, and that each range acts."""

import pytest

from yolo_focal.arguments.hyp import find_hyp, read_hyp
from yolo_focal.errors import ConfigError
from yolo_focal.losses import LOSSES
from yolo_focal.resources import cfg_names
from yolo_focal.ultra.drivers.search_space import check_space, read_space, start_values
from yolo_focal.ultra.drivers.tuning import load_for_tuning

pytestmark = pytest.mark.usefixtures("enabled")


@pytest.fixture
def space_file(tmp_path):
    """Writes a space file and returns its path."""

    def write(text):
        path = tmp_path / "space.yaml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("name", cfg_names("search"))
def test_the_spaces_that_come_along_are_valid(name):
    """Every file of cfg/search can be searched with every loss that uses its arguments, and says what its keys do."""
    path = find_hyp(name, "space")
    for loss, row in LOSSES.items():
        if row.uses_gamma and row.uses_alpha:
            check_space(read_space(path), {"fl_loss": loss})
    lines = path.read_text().splitlines()
    assert "yolo-focal tune" in lines[1]
    assert all(" # " in line for line in lines if line and not line.startswith("#"))


def test_the_anchor_detector_has_a_space_of_its_own():
    """It starts at YOLOv5's gains; the space for other models has their box gain, and the refusal names this one."""
    space, yolov5 = read_space(find_hyp("anchor", "space")), read_hyp(find_hyp("yolov5-anchor"))
    check_space(space, yolov5)
    assert start_values(space, yolov5) == {}
    assert load_for_tuning("yolov5n-anchor.yaml", space, yolov5)
    with pytest.raises(ConfigError, match=r"box=4.* is a gain for Ultralytics' own box loss.*tune has space=anchor"):
        load_for_tuning("yolov5n-anchor.yaml", read_space(find_hyp("focal", "space")), {})


BAD_LINES = [
    ("fl_gamma: 2", "fl_gamma in .* must be a range of two numbers, \\[low, high\\], got 2"),
    ("fl_gamma: [0]", "must be a range of two numbers"),
    ("fl_gamma: [0, high]", "must be a range of two numbers"),
    ("focal: [False, True]", "must be a range of two numbers"),
    ("fl_gamma: [0, .nan]", "must be a range of two numbers"),
    ("fl_gamma: [2, 1]", "must have its low end below its high end"),
    ("fl_gamma: [1, 1]", "must have its low end below its high end"),
    ("fl_gamma: [0, 4, 7]", "mutation gain in \\(0, 1\\]"),
    ("lr0: [1e-4, 0.01]", r"lr0 in .* has 1e-4, which is text to YAML; write it as 1\.0e-4"),
    ("lr0: [1.0e-4, 1.5E3]", r"has 1\.5E3, which is text to YAML; write it as 1\.5e\+3"),
    ("", "must hold lines of 'key: value', got NoneType"),
    ("fl_gamma: [0, 4", "space=.* is not YAML"),
]


@pytest.mark.parametrize(("text", "message"), BAD_LINES, ids=[text for text, _ in BAD_LINES])
def test_lines_that_are_no_ranges_are_refused(space_file, text, message):
    """Each with its key and what was expected."""
    with pytest.raises(ConfigError, match=message):
        read_space(space_file(text))


BAD_SPACES = [
    ("fl_gama: [0, 4]", {}, "'fl_gama' in the space is not a training argument; did you mean 'fl_gamma'"),
    ("fl_loss: [0, 1]", {}, "'fl_loss' in the space is not a number, so it has no range to search"),
    ("focal: [0, 1]", {}, "'focal' in the space is not a number"),
    ("optimizer: [0, 1]", {}, "'optimizer' in the space is not a number"),
    ("fl_gamma: [-1, 4]", {}, "the range \\[-1, 4\\] of fl_gamma is refused: fl_gamma must be a number >= 0"),
    ("fl_alpha: [-1, 1]", {}, "the range \\[-1, 1\\] of fl_alpha is refused"),
    ("mosaic: [0, 2]", {}, "the range \\[0, 2\\] of mosaic is refused"),
    ("epochs: [3.2, 3.8]", {}, "epochs is a whole number, and there is none in the range"),
    ("fl_gamma: [0, 4]", {"fl_loss": "bce"}, "fl_gamma has no effect with fl_loss=bce"),
    ("fl_obj_gamma: [0, 4]", {"fl_scope": "cls"}, "fl_obj_gamma has no effect with fl_scope=cls"),
    ("fl_gamma: [0, 4]", {"fl_gamma": 5.0}, "fl_gamma=5.0 is outside the range \\[0, 4\\]"),
]


@pytest.mark.parametrize(("text", "given", "message"), BAD_SPACES, ids=[row[0] for row in BAD_SPACES])
def test_spaces_that_cannot_be_searched_are_refused(space_file, text, given, message):
    """Wrong key, wrong type, wrong range, no effect: found by the argument's own check before any training."""
    with pytest.raises(ConfigError, match=message):
        check_space(read_space(space_file(text)), given)


def test_all_problems_are_told_at_once(space_file):
    """Two bad keys, two sentences."""
    with pytest.raises(ConfigError) as caught:
        check_space(read_space(space_file("fl_gama: [0, 4]\nmosaic: [0, 2]")), {})
    assert len(caught.value.problems) == 2


def test_the_first_trial_starts_from_a_number():
    """Where the ordinary value is a word, the tuner gets the middle of the range, which it can round and mutate."""
    space = {"fl_gamma": (0.0, 4.0), "fl_obj_gamma": (0.0, 3.0)}
    assert start_values(space, {}) == {"fl_obj_gamma": 1.5}
    assert start_values(space, {"fl_obj_gamma": 2.0}) == {}


@pytest.mark.parametrize("key", ["lr0", "momentum"])
def test_what_the_automatic_optimizer_chooses_is_not_searched(key):
    """With one by name, and with the tuner's own, it acts."""
    check_space({key: (0.1, 0.9)}, {})
    check_space({key: (0.1, 0.9)}, {"optimizer": "SGD"})
    with pytest.raises(ConfigError, match=f"{key} has no effect with optimizer=auto"):
        check_space({key: (0.1, 0.9)}, {"optimizer": "auto"})


@pytest.mark.parametrize(("low", "high", "start"), [(1, 6, 4), (0.5, 1.5, 1), (1.2, 2.4, 2), (1, 4, 3)])
def test_a_whole_number_starts_at_one_in_its_range(low, high, start):
    """`close_mosaic` is 10 by itself, outside of all of these."""
    found = start_values({"close_mosaic": (low, high)}, {})["close_mosaic"]
    assert found == start and isinstance(found, int)


def test_what_rare_settings_need_to_act_may_be_searched_or_given(space_file):
    """rare_stop acts beside a share to paste, in the space or as an argument; alone it is refused."""
    alone = read_space(space_file("rare_stop: [0, 0.5]"))
    with pytest.raises(ConfigError, match="rare_sampling and rare_paste are off"):
        check_space(alone, {})
    check_space(alone, {"rare_sampling": "auto"})
    both = read_space(space_file("rare_stop: [0, 0.5]\nrare_paste: [0.1, 0.9]"))
    check_space(both, {})
    assert start_values(both, {}) == {"rare_paste": 0.5}  # its ordinary value, off, is not in the range
