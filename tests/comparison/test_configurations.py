"""What `losses=` means, and what it refuses."""

import pytest

from yolo_focal.arguments.focal import FocalConfig
from yolo_focal.comparison.configurations import parse_configurations, split_configurations
from yolo_focal.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("bce,focal,qfl", ["bce", "focal", "qfl"]),
        ("focal:fl_gamma=2,fl_alpha=0.5,qfl", ["focal:fl_gamma=2,fl_alpha=0.5", "qfl"]),
        ("focal:fl_alpha=[0.2,0.3],bce", ["focal:fl_alpha=[0.2,0.3]", "bce"]),
        ("focal:fl_gamma=2, fl_alpha=-1 , cls_pw", ["focal:fl_gamma=2,fl_alpha=-1", "cls_pw"]),
    ],
)
def test_commas_inside_a_configuration_do_not_end_it(text, items):
    """`key=value` after a colon continues a configuration; a list in brackets is one value."""
    assert split_configurations(text) == items


def meanings(text):
    return {each.name: (each.focal, dict(each.arguments)) for each in parse_configurations(text)}


def test_the_baseline_is_always_there_and_first():
    """Plain BCE sets no argument at all, named or not, wherever it is named."""
    for text in ("focal", "focal,bce"):
        names = [each.name for each in parse_configurations(text)]
        assert names == ["bce", "focal"]
        assert meanings(text)["bce"] == (None, {})


def test_inline_settings_override_what_the_name_stands_for():
    """A loss name or preset, changed by what follows the colon."""
    found = meanings("focal:fl_gamma=2,fl_alpha=0.5,qfl:fl_gamma=1,vfl")
    assert found["focal:fl_gamma=2,fl_alpha=0.5"][0] == FocalConfig("focal", 2.0, 0.5)
    assert found["qfl:fl_gamma=1"][0] == FocalConfig("qfl", 1.0, None)  # the preset's alpha: off
    assert found["vfl"][0].loss == "vfl"


def test_per_class_alpha_and_other_training_arguments(tmp_path):
    """Lists, arguments of Ultralytics, and files of one's own."""
    file = tmp_path / "mine.yaml"
    file.write_text("fl_gamma: 3.0\nlr0: 0.002\n")
    found = meanings(f"focal:fl_alpha=[0.1,0.9],bce:lr0=0.02,{file}")
    assert found["focal:fl_alpha=[0.1,0.9]"][0].alpha == (0.1, 0.9)
    assert found["bce:lr0=0.02"] == (None, {"lr0": 0.02})
    assert found[str(file)][0].gamma == 3.0 and found[str(file)][1]["lr0"] == 0.002


def test_class_weights_are_a_competitor_without_focal():
    """`cls_pw` is Ultralytics' own remedy, with plain BCE."""
    assert meanings("cls_pw")["cls_pw"] == (None, {"cls_pw": 0.5})
    assert meanings("cls_pw:cls_pw=1")["cls_pw:cls_pw=1"] == (None, {"cls_pw": 1})


def test_gain_on_plain_bce_is_bce_through_the_plugin():
    """`bce:fl_gain=2` changes the gain and not the loss."""
    assert meanings("bce:fl_gain=2")["bce:fl_gain=2"][0] == FocalConfig("bce", gain=2.0)


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("fokal", ["unknown loss 'fokal'", "did you mean 'focal'?", "cls_pw", "path of a YAML file"]),
        ("bce,softmax", ["unknown loss 'softmax'"]),
        ("focal:", ["'focal:' has nothing after the colon", "write focal:fl_gamma=2"]),
        ("focal:fl_gamma", ["'fl_gamma' in 'focal:fl_gamma' must be key=value"]),
        ("focal:fl_gamma=", ["must be key=value"]),
        ("focal:fl_gamma=2,fl_gamma=3", ["gives fl_gamma twice"]),
        ("focal:fl_gamma=-1", ["fl_gamma must be a number >= 0", "got -1"]),
        ("focal:nms=False", ["sets nms, which every configuration shares", "give nms= to the command"]),
        ("focal:epochs=3", ["sets epochs, which every configuration shares", "give epochs= to the command"]),
        ("bce:fl_gamma=2", ["'bce:fl_gamma=2': fl_gamma=2 cannot act: fl_loss=bce does not use it"]),
        ("focal:fl_scope=cls,fl_obj_gamma=2", ["fl_obj_gamma=2 cannot act: fl_scope=cls does not use it"]),
        ("focal,focal:fl_gamma=1.5", ["are the same configuration", "keep one"]),
        ("focal,focal", ["are the same configuration"]),
        ("bce", ["nothing to compare with bce", "losses=bce,focal"]),
        ("", ["nothing to compare with bce"]),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(text, phrases):
    """One line, with value, expectation and remedy."""
    with pytest.raises(ConfigError) as caught:
        parse_configurations(text)
    assert all(phrase in str(caught.value) for phrase in phrases), str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_the_command_does_not_take_either_is_only_to_be_left_out():
    """The remedy is not an argument that would be refused in its turn."""
    with pytest.raises(ConfigError) as caught:
        parse_configurations("focal:patience=3")
    assert str(caught.value) == "'focal:patience=3' sets patience, which every configuration shares; leave it out"


def test_all_wrong_configurations_are_reported_at_once():
    """Two mistakes, one message."""
    with pytest.raises(ConfigError) as caught:
        parse_configurations("fokal,qfl:fl_gamma=x")
    assert len(caught.value.problems) == 2


def test_slugs_are_file_names():
    """No separators, no colons, whatever the configuration is called."""
    for each in parse_configurations("focal:fl_alpha=[0.1,0.9],qfl"):
        assert each.slug and "/" not in each.slug and ":" not in each.slug and " " not in each.slug


def test_configurations_have_folders_of_their_own(tmp_path):
    """Files of one name in several folders, and names that differ in signs no folder's name has; in any order."""
    files = [tmp_path / folder / "my.yaml" for folder in "xyz"]
    for number, file in enumerate(files):
        file.parent.mkdir()
        file.write_text(f"focal: True\nfl_gamma: {number + 2}\n", encoding="utf-8")
    names = [*map(str, files), "focal:fl_alpha=-1", "focal:fl_alpha=[1]"]
    slugs = {each.name: each.slug for each in parse_configurations(",".join(names))}
    assert len(set(slugs.values())) == len(slugs) == 6
    assert slugs == {each.name: each.slug for each in parse_configurations(",".join(reversed(names)))}
    assert slugs["focal:fl_alpha=-1"] == "focal-fl_alpha=-1"  # as it always was, so that comparisons go on
