"""Training arguments in Ultralytics: checked in every call, gone where focal is off."""

import numpy as np
import pytest
import torch
import yaml

import yolo_focal
from tests.ultra.helpers import Interrupted, arguments
from yolo_focal.arguments.focal import KEYS, idle_settings, read_config
from yolo_focal.arguments.hyp import find_hyp, read_hyp
from yolo_focal.arguments.training_keys import TRAINING_KEYS
from yolo_focal.errors import ConfigError
from yolo_focal.resources import cfg_names
from yolo_focal.ultra.hooks.arguments import check_call, misspelt


def stock_arguments(**changes):
    """The merged arguments of a call without the plugin, as a dictionary."""
    return vars(arguments(**changes))


def test_off_leaves_no_trace_in_the_arguments():
    """With the plugin enabled and focal off, a call's arguments are those of stock Ultralytics."""
    stock = stock_arguments(epochs=3)
    yolo_focal.enable()
    assert stock_arguments(epochs=3) == stock
    assert stock_arguments(epochs=3, focal=False) == stock


def test_on_keeps_all_settings_of_the_loss_in_the_arguments(enabled):
    """They are what resume, DDP ranks and tuner children read."""
    kept = stock_arguments(fl_gamma=2.0)
    assert kept["focal"] is True and kept["fl_gamma"] == 2.0 and kept["fl_alpha"] == 0.25


def test_the_defaults_themselves_are_never_emptied(enabled):
    """A call without arguments gets the live dictionary of defaults; the keys stay in it."""
    from ultralytics.cfg import get_cfg
    from ultralytics.utils import DEFAULT_CFG, DEFAULT_CFG_DICT

    get_cfg()
    get_cfg(DEFAULT_CFG)
    assert set(KEYS) <= set(DEFAULT_CFG_DICT) and all(hasattr(DEFAULT_CFG, name) for name in KEYS)


def test_a_call_that_does_not_concern_the_plugin_is_left_to_ultralytics(enabled):
    """Its own error for an unknown argument stays a SyntaxError."""
    with pytest.raises(SyntaxError, match=r"epochz.* is not a valid YOLO argument"):
        arguments(epochz=3)


def test_a_misspelt_key_and_a_bad_value_are_reported_together(enabled):
    """One error for the whole call, with the closest match."""
    with pytest.raises(ConfigError) as caught:
        arguments(fl_gama=2, fl_alpha=3)
    assert len(caught.value.problems) == 2
    assert "'fl_gama' is not a training argument; did you mean 'fl_gamma'?" in str(caught.value)
    assert "fl_alpha must be a number between 0 and 1" in str(caught.value)


@pytest.mark.parametrize("focal", [{}, {"focal": True}, {"rare_sampling": "auto"}])
def test_what_ultralytics_renames_or_drops_is_left_to_it(enabled, focal, caplog):
    """Its deprecated words act as in stock, whatever of this plugin is on, and are warned of once."""
    caplog.set_level("WARNING", logger="ultralytics")
    given = {"half": True, "end2end": False, "hide_labels": True, "line_thickness": 2, "crop_fraction": 1.0}
    found = arguments(label_smoothing=0.1, **given, **focal)
    assert (found.quantize, found.show_labels, found.line_width) == (16, False, 2)
    assert not hasattr(found, "label_smoothing") and caplog.text.count("crop_fraction") == 1
    assert misspelt(given, {}) == []


ALPHAS = [0.25, 0.5, 0.75]  # exact in every precision


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("fl_gamma", np.linspace(0, 2, 3)[1], 1.0),
        ("fl_gamma", np.float32(1.5), 1.5),
        ("fl_gamma", np.int64(2), 2),
        ("fl_alpha", np.array(ALPHAS), ALPHAS),
        ("fl_alpha", list(np.array(ALPHAS)), ALPHAS),
        ("fl_alpha", torch.tensor(ALPHAS), ALPHAS),
        ("rare_paste", torch.tensor(0.5), 0.5),
    ],
)
def test_numbers_of_numpy_and_torch_arrive_as_plain_ones(enabled, name, value, expected):
    """In a call as in the arguments of a trainer: args.yaml and checkpoints could not hold the others."""
    from ultralytics import YOLO

    arrived = getattr(arguments(**{name: value}), name)
    assert yaml.safe_load(yaml.safe_dump({name: arrived})) == {name: expected}

    def trainer(overrides, _callbacks):
        assert overrides[name] == expected and type(overrides[name]) is type(expected)
        raise Interrupted

    with pytest.raises(Interrupted):
        YOLO("yolo11n.yaml").train(trainer=trainer, close_mosaic=0, **{name: value})


def test_an_array_where_none_can_be_is_one_line(enabled):
    """Nothing is asked of it that only a single number answers."""
    for name, key in TRAINING_KEYS.items():
        if key.problem(ALPHAS) is not None:
            with pytest.raises(ConfigError, match=f"^{name} must be "):
                arguments(**{name: np.array(ALPHAS)})


def test_focal_off_with_a_key_is_refused(enabled):
    """The contradiction is an error through Ultralytics' own path as well."""
    with pytest.raises(ConfigError, match="focal=False switches the plugin off, but fl_gamma=2"):
        arguments(focal=False, fl_gamma=2)


@pytest.mark.parametrize("mode", ["val", "predict", "track", "export", "benchmark"])
def test_a_key_is_refused_where_no_loss_is_computed(enabled, mode):
    """It could not act."""
    with pytest.raises(ConfigError, match=f"fl_gamma cannot act in mode={mode}, where no loss is computed"):
        check_call({"mode": mode, "fl_gamma": 2.0}, stock_arguments(focal=True))
    with pytest.raises(ConfigError, match=f"focal cannot act in mode={mode}, where no loss is computed"):
        arguments(mode=mode, focal=True)
    assert not hasattr(arguments(mode=mode, focal=False), "focal")


def test_builtin_data_is_resolved_to_a_file(enabled, tmp_path, monkeypatch):
    """data=shapes becomes the drawn set's data YAML."""
    drawn = tmp_path / "shapes.yaml"
    monkeypatch.setattr("yolo_focal.ultra.datasets.ensure_shapes", lambda folder: drawn)
    assert arguments(data="shapes").data == str(drawn)
    assert arguments(data="coco8.yaml").data == "coco8.yaml"


@pytest.mark.parametrize("name", cfg_names("hyp"))
def test_every_preset_is_a_valid_call(enabled, name):
    """Its keys are training arguments, its values are in range, and all of them arrive."""
    values = read_hyp(find_hyp(name))
    arrived = stock_arguments(**values)
    assert {key: arrived.get(key, value) for key, value in values.items()} == values
    config = read_config(values)
    assert config is None or idle_settings(values, config) == []


@pytest.mark.parametrize("name", ["focal", "retinanet", "focal-alpha75", "qfl", "yolov5-classic"])
def test_the_focal_presets_switch_focal_on(enabled, name):
    """They are complete on their own."""
    assert stock_arguments(**read_hyp(find_hyp(name)))["focal"] is True
