"""rare_sampling, rare_paste and their two companions: read once, refused by name."""

import math
from fractions import Fraction

import pytest

from yolo_focal.arguments.rare import RARE_KEYS, RareConfig, read_rare_config
from yolo_focal.errors import ConfigError


def test_off_is_none():
    """Nothing given, everything at its default, and keys of others are all off."""
    assert read_rare_config({}) is None
    assert read_rare_config({name: key.default for name, key in RARE_KEYS.items()}) is None
    assert read_rare_config({"fl_gamma": 2, "epochs": 3}) is None


def test_either_one_switches_on():
    """The other one stays off and the rest at its default."""
    assert read_rare_config({"rare_paste": 1}) == RareConfig(paste=1.0)
    assert read_rare_config({"rare_sampling": "auto"}) == RareConfig(sampling="auto")
    assert read_rare_config({"rare_sampling": 1, "rare_power": 1, "rare_stop": 0.25}) == RareConfig(1.0, 0, 1.0, 0.25)


def test_it_is_shown_as_it_is_written():
    """What is off or at its default is left out."""
    assert str(RareConfig(sampling="auto", paste=0.5)) == "rare_sampling=auto rare_paste=0.5"
    assert str(RareConfig(paste=0.5, power=0.7, stop=0.25)) == "rare_paste=0.5 rare_power=0.7 rare_stop=0.25"


def test_the_stop_is_a_share_of_the_epochs_in_exact_arithmetic():
    """For every stop of two decimals: the first epoch that is not among the first share, rounded up."""
    for epochs in range(1, 301):
        for percent in range(1, 100):
            exact = math.ceil(epochs * (1 - Fraction(percent, 100)))
            assert RareConfig(1.0, stop=percent / 100).stop_epoch(epochs) == exact, (epochs, percent)
    assert RareConfig(1.0).stop_epoch(10) == math.inf


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rare_sampling": -1}, r"rare_sampling must be 0 \(off\), auto, or a threshold in \(0, 1\], got -1"),
        ({"rare_sampling": 2}, r"rare_sampling must be .*, got 2"),
        ({"rare_sampling": "abc"}, r"rare_sampling must be .*, got 'abc'"),
        ({"rare_sampling": True}, r"rare_sampling must be .*, got True"),
        ({"rare_paste": 1.5}, r"rare_paste must be a share of the images between 0 and 1, got 1.5"),
        ({"rare_paste": "auto"}, r"rare_paste must be .*, got 'auto'"),
        ({"rare_paste": 0.5, "rare_power": 0}, r"rare_power must be a number in \(0, 1\], got 0"),
        ({"rare_paste": 0.5, "rare_stop": 1}, r"rare_stop must be a share of the epochs in \[0, 1\), got 1"),
        ({"rare_power": 0.7}, r"rare_power=0.7 cannot act: rare_sampling and rare_paste are off"),
        ({"rare_sampling": 0, "rare_stop": 0.2}, r"rare_stop=0.2 cannot act"),
    ],
)
def test_bad_values_are_refused(given, message):
    """With the value, what was expected, and nothing else."""
    with pytest.raises(ConfigError, match=message) as caught:
        read_rare_config(given)
    assert len(caught.value.problems) == 1


def test_all_bad_values_are_reported_together():
    """One error for the whole call."""
    with pytest.raises(ConfigError) as caught:
        read_rare_config({"rare_sampling": 7, "rare_paste": -1, "rare_power": 3})
    assert len(caught.value.problems) == 3
