"""The known word that was likely meant."""

import pytest

from yolo_focal.arguments.training_keys import TRAINING_KEYS
from yolo_focal.spelling import closest, did_you_mean


@pytest.mark.parametrize(
    ("typed", "meant"), [("fl_gama", "fl_gamma"), ("focl", "focal"), ("fl_alfa", "fl_alpha"), ("epoch", "epochs")]
)
def test_a_misspelt_word_has_a_closest_match(typed, meant):
    """The suggestion is the word that was meant."""
    assert closest(typed, [*TRAINING_KEYS, "epochs", "data"]) == meant
    assert did_you_mean(typed, [*TRAINING_KEYS, "epochs", "data"], "nothing") == f"did you mean '{meant}'?"


def test_a_word_like_none_has_no_match():
    """Then the sentence is the one given."""
    assert closest("zzz", ["epochs", "data"]) is None and did_you_mean("zzz", ["epochs"], "nothing") == "nothing"
