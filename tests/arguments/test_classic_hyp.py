"""Classic YOLOv5 hyperparameter files become this package's arguments, key by key."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from yolo_focal.arguments.classic_hyp import CLASSIC_KEYS, IMPLIED, is_classic, refuse_classic, translate
from yolo_focal.arguments.training_keys import TRAINING_KEYS
from yolo_focal.errors import ConfigError

SCRATCH_LOW = yaml.safe_load(
    """
    {lr0: 0.01, lrf: 0.01, momentum: 0.937, weight_decay: 0.0005, warmup_epochs: 3.0, warmup_momentum: 0.8,
    warmup_bias_lr: 0.1, box: 0.05, cls: 0.5, cls_pw: 1.0, obj: 1.0, obj_pw: 1.0, iou_t: 0.20, anchor_t: 4.0,
    fl_gamma: 0.0, hsv_h: 0.015, hsv_s: 0.7, hsv_v: 0.4, degrees: 0.0, translate: 0.1, scale: 0.5, shear: 0.0,
    perspective: 0.0, flipud: 0.0, fliplr: 0.5, mosaic: 1.0, mixup: 0.0, copy_paste: 0.0}
    """
)


def test_a_classic_file_is_recognised():
    """By keys that only YOLOv5 had together."""
    assert is_classic(SCRATCH_LOW)
    assert is_classic({**SCRATCH_LOW, "label_smoothing": 0.1})


OWN = sorted(TRAINING_KEYS.keys() - CLASSIC_KEYS.keys())
ONLY_YOLOV5 = ("obj", "obj_pw", "iou_t", "anchor_t")


@given(st.sets(st.sampled_from(sorted(SCRATCH_LOW))), st.sampled_from([*ONLY_YOLOV5, "box"]))
def test_a_part_of_a_classic_file_is_recognised(names, sign):
    """Any key that only YOLOv5 had is enough, or its small box gain: what is left out has its default there, too."""
    part = {name: SCRATCH_LOW[name] for name in {*names, sign}}
    assert is_classic(part)
    arguments = translate(part, "hyp.yaml").arguments
    assert "cls_pw" not in arguments and arguments.get("cls_pos_weight") == part.get("cls_pw")
    assert "fl_gamma" not in arguments  # 0 is off


@given(st.sets(st.sampled_from(sorted(SCRATCH_LOW.keys() - {*ONLY_YOLOV5, "box"}))))
def test_what_both_kinds_of_file_have_is_not_classic(names):
    """Nothing shows which of the two it is, and Ultralytics' meaning is the one of today."""
    assert not is_classic({name: SCRATCH_LOW[name] for name in names} | {"box": 7.5})


@pytest.mark.parametrize("key", ["cls_pw", "iou_t", "label_smoothing"])
def test_a_mixture_whose_meaning_cannot_be_told_is_refused(key):
    """Keys of both, one of which means something else in each."""
    with pytest.raises(ConfigError, match=f"'{key}' beside .* is YOLOv5's, and 'fl_alpha' is not: it cannot be told"):
        is_classic({"obj_pw": 1.0, "fl_alpha": 0.25, key: 0.5})
    with pytest.raises(
        ConfigError, match=r"it cannot be told|'optimizer' in hyp\.yaml is not a hyperparameter of YOLOv5"
    ):
        mixture = {"obj_pw": 1.0, "optimizer": "SGD", key: 0.5}
        if is_classic(mixture):
            translate(mixture, "hyp.yaml")


def test_commands_that_cannot_translate_it_refuse_it():
    """Compare and tune, whose settings are for models of any kind."""
    with pytest.raises(ConfigError, match=r"losses=hyp\.yaml is a YOLOv5 file, whose keys mean other things here"):
        refuse_classic(SCRATCH_LOW, "losses=hyp.yaml")
    refuse_classic({"fl_gamma": 1.5}, "losses=hyp.yaml")


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"fl_gamma": 1.5},
        {"lr0": 0.01, "box": 7.5, "cls": 0.5, "dfl": 1.5},
        {"focal": True, "fl_gamma": 1.5, "obj": 2.0, "anchor_t": 4.0},
        {"task": "detect", "mode": "train", "fl_gamma": 1.5, "obj": 2.0, "anchor_t": 4.0},
        {"task": "detect", "mode": "train", "cls_pw": 0.0, "box": 0.05, "obj": 0.7},  # args.yaml of an anchor detector
        {"optimizer": "AdamW", "lr0": 0.01, "box": 0.05, "obj": 0.7},  # what tune writes
        *({"obj": 2.0, "anchor_t": 4.0, name: TRAINING_KEYS[name].default} for name in OWN),
    ],
)
def test_other_files_are_not_taken_for_classic(content):
    """Files of Ultralytics and of this package keep their meaning."""
    assert not is_classic(content)


def test_the_presets_of_this_package_are_not_classic():
    """Every file of cfg/hyp is read as it stands."""
    for path in Path(__file__).parents[2].glob("cfg/hyp/*.yaml"):
        assert not is_classic(yaml.safe_load(path.read_text())), path


def test_scratch_low_is_translated_to_the_preset_of_the_anchor_detector():
    """cfg/hyp/yolov5-anchor.yaml is that file in our words, up to augmentations that are off in both."""
    found = translate(SCRATCH_LOW, "hyp.scratch-low.yaml")
    preset = yaml.safe_load((Path(__file__).parents[2] / "cfg" / "hyp" / "yolov5-anchor.yaml").read_text())
    off = {"degrees", "shear", "perspective", "flipud", "mixup", "copy_paste"}
    assert {name: value for name, value in found.arguments.items() if name not in off} == preset
    assert all(found.arguments[name] == 0 for name in off)
    assert set(found.ignored) == {"iou_t"}


def test_the_positive_weight_does_not_become_class_weighting():
    """cls_pw of YOLOv5 and of Ultralytics share nothing but the name."""
    found = translate({**SCRATCH_LOW, "cls_pw": 0.5, "label_smoothing": 0.1}, "hyp.yaml").arguments
    assert found["cls_pos_weight"] == 0.5 and found["cls_smoothing"] == 0.1
    assert "cls_pw" not in found and "label_smoothing" not in found


def test_gamma_zero_is_off_and_anything_above_is_on():
    """YOLOv5 wraps its criteria for gamma above 0 only."""
    assert "fl_gamma" not in translate(SCRATCH_LOW, "hyp.yaml").arguments
    on = translate({**SCRATCH_LOW, "fl_gamma": 1.5}, "hyp.yaml").arguments
    assert (on["fl_gamma"], on["fl_gain"]) == (1.5, 1)  # at its published scale, as YOLOv5 leaves it


def test_what_cannot_be_translated_is_refused_together():
    """Unknown keys and refused ones, each with its sentence."""
    with pytest.raises(ConfigError) as caught:
        translate({**SCRATCH_LOW, "anchors": 3, "giou": 0.05}, "hyp.yaml")
    assert "'anchors' in hyp.yaml cannot be translated: write sizes to 'anchors:' of a model YAML" in str(caught.value)
    assert "'giou' in hyp.yaml is not a hyperparameter of YOLOv5; remove it" in str(caught.value)
    assert len(caught.value.problems) == 2


def test_every_mapped_argument_is_one_that_training_knows(enabled):
    """No translation leads to an unknown argument."""
    from ultralytics.utils import DEFAULT_CFG_DICT

    known = set(DEFAULT_CFG_DICT)
    assert {key.argument for key in CLASSIC_KEYS.values() if key.argument} <= known
    assert set(IMPLIED) <= known


def test_the_documented_table_is_the_table():
    """Every key stands in docs/anchor_detector.md with its fate and argument."""
    text = (Path(__file__).parents[2] / "docs" / "anchor_detector.md").read_text()
    for key in CLASSIC_KEYS.values():
        row = f"| `{key.name}` | {key.fate} | " + (f"`{key.argument}`" if key.argument else "-")
        assert row in text, row
