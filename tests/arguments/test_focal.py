"""Training arguments: what is accepted, what is refused, and with which words."""

import math
import re

import pytest

from yolo_focal.arguments.focal import KEYS, FocalConfig, focal_keys, idle_settings, read_config
from yolo_focal.errors import ConfigError
from yolo_focal.loss_facts import LOSS_FACTS

COMPLETE = {name: key.default for name, key in KEYS.items()}


def test_the_plugin_is_off_by_default():
    """No argument, and the complete set of defaults, both mean off."""
    assert read_config({}) is None
    assert read_config({"epochs": 3}) is None
    assert read_config(COMPLETE) is None


def test_focal_true_gives_the_documented_defaults():
    """Gamma 1.5, alpha 0.25, a gain per batch, both branches."""
    assert read_config({"focal": True}) == FocalConfig("focal", 1.5, 0.25, "auto", "both")


@pytest.mark.parametrize("name", [name for name in KEYS if name != "focal"])
def test_any_focal_key_switches_the_plugin_on(name):
    """Giving a key is enough, even at its default value."""
    assert read_config({name: KEYS[name].default}) == FocalConfig()


@pytest.mark.parametrize("name", [name for name in KEYS if name != "focal"])
def test_focal_false_beside_a_focal_key_is_an_error(name):
    """Contradictory arguments are refused, even with the key at its default value."""
    with pytest.raises(ConfigError, match=f"focal=False switches the plugin off, but {name}="):
        read_config({"focal": False, name: KEYS[name].default})


def test_complete_arguments_with_focal_off_and_a_changed_key_are_an_error():
    """A merged set of arguments in which a key differs from its default says that somebody meant it."""
    with pytest.raises(ConfigError, match=r"fl_gamma=2\.0 needs it on; give focal=True"):
        read_config({**COMPLETE, "fl_gamma": 2.0})


def test_alpha_minus_one_is_off_and_a_list_becomes_a_tuple():
    """-1 is None inside; a list of numbers is one per class."""
    assert read_config({"fl_alpha": -1}).alpha is None
    assert read_config({"fl_alpha": [0, 0.5, 1]}).alpha == (0.0, 0.5, 1.0)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("fl_gamma", -1, "fl_gamma must be a number >= 0, got -1"),
        ("fl_gamma", math.nan, "fl_gamma must be a number >= 0, got nan"),
        ("fl_gamma", math.inf, "fl_gamma must be a number >= 0, got inf"),
        ("fl_gamma", "abc", "fl_gamma must be a number >= 0, got 'abc'"),
        ("fl_gamma", None, "fl_gamma must be a number >= 0, got None"),
        ("fl_gamma", True, "fl_gamma must be a number >= 0, got True"),
        ("fl_alpha", 1.5, "fl_alpha must be a number between 0 and 1, -1 (off), a list"),
        ("fl_alpha", [], "fl_alpha must be a number between 0 and 1, -1 (off), a list"),
        ("fl_alpha", [0.5, 2], "with one such number per class, or auto, got [0.5, 2]"),
        ("fl_gain", -0.1, "fl_gain must be a number > 0, or auto, got -0.1"),
        ("fl_gain", 0, "fl_gain must be a number > 0, or auto, got 0"),
        ("fl_warmup", -1, "fl_warmup must be a number >= 0, got -1"),
        ("fl_vfl_alpha", 2, "fl_vfl_alpha must be a number between 0 and 1, got 2"),
        ("fl_class_weights", 2, "fl_class_weights must be a number between 0 and 1, got 2"),
        ("fl_obj_gamma", -1, "fl_obj_gamma must be a number >= 0, or same (as fl_gamma), got -1"),
        ("fl_obj_alpha", 2, "fl_obj_alpha must be a number between 0 and 1, -1 (off), or same (as fl_alpha), got 2"),
        ("fl_cooldown", 1.5, "fl_cooldown must be a number between 0 and 1, got 1.5"),
        ("fl_loss", "foo", "fl_loss must be one of "),
        ("fl_loss", "fokal", "(did you mean 'focal'?), got 'fokal'"),
        ("fl_branch", "one", "fl_branch must be one of both, one2many, one2one"),
        ("focal", "yes", "focal must be True or False, got 'yes'"),
    ],
)
def test_a_bad_value_is_named_with_what_was_expected(name, value, expected):
    """The message has the key, what it accepts and the value."""
    with pytest.raises(ConfigError) as caught:
        read_config({name: value})
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_bad_values_of_a_call_are_reported_together():
    """One error, one problem per argument."""
    with pytest.raises(ConfigError) as caught:
        read_config({"focal": True, "fl_gamma": -1, "fl_alpha": 7, "fl_loss": "foo"})
    assert [problem.split()[0] for problem in caught.value.problems] == ["fl_loss", "fl_gamma", "fl_alpha"]


def test_a_list_of_alphas_must_have_one_number_per_class():
    """The length is checked against the dataset."""
    config = FocalConfig(alpha=(0.1, 0.2))
    config.check_classes(2)
    with pytest.raises(ConfigError, match="fl_alpha has 2 numbers, but the dataset has 3 classes; give one number per"):
        config.check_classes(3)


def test_focal_keys_are_those_that_set_the_loss():
    """`focal` itself and keys of others are left out."""
    assert focal_keys(["focal", "fl_gamma", "epochs", "fl_alpha"]) == ["fl_gamma", "fl_alpha"]


def test_the_text_of_a_config_is_what_the_start_line_shows():
    """Loss, gamma, alpha and gain, and what changes them."""
    assert str(FocalConfig()) == "focal(gamma=1.5, alpha=0.25, gain=auto)"
    moving = FocalConfig(gain=1.0, warmup=2, cooldown=0.4)
    assert str(moving) == "focal(gamma=1.5, alpha=0.25, gain=1, warmup=2 epochs, cooldown=0.4 of the epochs)"
    assert str(FocalConfig(loss="bce")) == "bce()"
    assert str(FocalConfig(loss="qfl", gamma=2, alpha=None, gain=8)) == "qfl(gamma=2, alpha=off, gain=8)"
    assert str(FocalConfig(alpha=(0.5, 0.25))) == "focal(gamma=1.5, alpha=[0.5, 0.25], gain=auto)"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fl_warmup": 500, "epochs": 1}, "fl_warmup=500 takes 500 epochs, but the training has epochs=1; lower it"),
        ({"fl_warmup": 1, "epochs": 1}, "fl_warmup=1 holds gamma at 0 in all of epochs=1; lower it or train longer"),
        ({"fl_warmup": 1, "fl_gamma": 0}, "fl_warmup=1 cannot act: fl_gamma=0 is where it would lead; leave it out"),
        ({"fl_warmup": 1, "fl_cooldown": 0.5, "epochs": 2}, "fl_warmup=1 fl_cooldown=0.5 holds gamma at 0 in all"),
        ({"fl_warmup": 3, "fl_cooldown": 0.8, "epochs": 10}, "fl_warmup=3 fl_cooldown=0.8 takes 11 epochs"),
        ({"fl_loss": "bce", "fl_cooldown": 0.2}, "fl_cooldown=0.2 cannot act: fl_loss=bce has no gamma; leave it out"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(given, message):
    """Warm-up and cool-down have to fit into the epochs, and need a gamma."""
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_config(given)


def test_a_schedule_that_fits_is_accepted():
    """Also where the epochs are not known, or set by time."""
    for given in ({"epochs": 10}, {}, {"epochs": 2, "time": 1.0}):
        assert read_config({"fl_warmup": 3, "fl_cooldown": 0.7, **given}) is not None


@pytest.mark.parametrize(
    ("given", "idle"),
    [
        (
            {"fl_loss": "bce", "fl_gamma": 3.0, "fl_alpha": 0.4},
            {"fl_gamma=3.0": "fl_loss=bce", "fl_alpha=0.4": "fl_loss=bce"},
        ),
        ({"fl_loss": "asl", "fl_alpha": [0.4, 0.6]}, {"fl_alpha=[0.4, 0.6]": "fl_loss=asl"}),
        ({"fl_loss": "asl", "fl_obj_alpha": 0.9}, {"fl_obj_alpha=0.9": "fl_loss=asl"}),
        ({"fl_scope": "cls", "fl_obj_gamma": 2.0}, {"fl_obj_gamma=2.0": "fl_scope=cls"}),
        ({"fl_scope": "cls", "fl_obj_alpha": 0.9}, {"fl_obj_alpha=0.9": "fl_scope=cls"}),
        (
            {"fl_scope": "obj", "fl_gamma": 3.0, "fl_obj_gamma": 1.0, "fl_alpha": 0.4, "fl_obj_alpha": -1},
            {"fl_gamma=3.0": "fl_scope=obj beside fl_obj_gamma", "fl_alpha=0.4": "fl_scope=obj beside fl_obj_alpha"},
        ),
        ({"fl_scope": "obj", "fl_gamma": 3.0, "fl_alpha": 0.4}, {}),
        ({"fl_loss": "bce", "fl_gamma": 1.5, "fl_alpha": -1, "fl_gain": 2.0}, {}),
        ({"fl_loss": "vfl", "fl_gamma": 3.0, "fl_alpha": 0.4, "fl_obj_gamma": 2.0}, {}),
    ],
)
def test_a_setting_that_the_others_leave_without_effect_is_named(given, idle):
    """Where it is not at its default, and not off."""
    sentences = idle_settings(given, read_config(given))
    assert sentences == [f"{each} cannot act: {beside} does not use it; leave it out" for each, beside in idle.items()]


@pytest.mark.parametrize("loss", sorted(LOSS_FACTS))
def test_the_defaults_beside_any_loss_claim_nothing(loss):
    """The args.yaml of a run has all keys, and may be given to the next one as cfg=."""
    complete = {name: key.default for name, key in KEYS.items()} | {"focal": True, "fl_loss": loss}
    assert idle_settings(complete, read_config(complete)) == []
