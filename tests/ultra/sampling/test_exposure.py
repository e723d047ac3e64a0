"""The table of expected exposures: against its definition, and against simulated epochs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo_focal.arguments.rare import RareConfig
from yolo_focal.errors import ConfigError
from yolo_focal.ultra.sampling.draws import EpochDraws
from yolo_focal.ultra.sampling.exposure import LARGEST_EXPOSURE, expected_exposure, exposure_lines


def long_tail(images=200, classes=4, seed=0):
    """Image and class of every box: each class is in a third of the images of the one before."""
    generator = np.random.default_rng(seed)
    pairs = [
        (image, c)
        for image in range(images)
        for c in range(classes)
        for _ in range(generator.integers(1, 4))
        if generator.random() < 0.9 / 3**c
    ]
    return np.array([image for image, _ in pairs]), np.array([c for _, c in pairs])


@given(
    images=st.integers(1, 12),
    boxes=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 3)), min_size=2, max_size=30),
    threshold=st.floats(0.05, 1),
    power=st.floats(0.1, 1),
)
@settings(max_examples=60, deadline=None)
def test_factors_are_those_of_repeat_factor_sampling(images, boxes, threshold, power):
    """r(image) is the largest max(1, (t / f)^q) of its classes, 6 at most; boxes are shown in proportion to it."""
    boxes = [(image % images, c) for image, c in boxes]
    if len({c for _, c in boxes}) < 2:
        return
    exposure = expected_exposure(
        np.array([image for image, _ in boxes]),
        np.array([c for _, c in boxes]),
        images,
        4,
        RareConfig(sampling=threshold, power=power),
    )
    frequency = {c: len({image for image, other in boxes if other == c}) / images for _, c in boxes}
    factors = [1.0] * images
    for image, c in boxes:
        factors[image] = max(factors[image], min((threshold / frequency[c]) ** power, LARGEST_EXPOSURE))
    assert exposure.factors == pytest.approx(factors)
    for c in range(4):
        shown = sum(factors[image] * images / sum(factors) for image, other in boxes if other == c)
        assert exposure.sampled[c] == pytest.approx(shown)


def test_a_simulated_epoch_matches_the_table():
    """Boxes of the images drawn in 50 epochs, counted."""
    image_of_box, class_of_box = long_tail()
    exposure = expected_exposure(image_of_box, class_of_box, 200, 4, RareConfig(sampling="auto"))
    assert exposure.sampling_acts and exposure.gain[3] > 1.5
    draws = EpochDraws(exposure.factors, seed=3)
    times = np.mean([np.bincount(draws.order(epoch), minlength=200) for epoch in range(50)], 0)
    counted = np.bincount(class_of_box, weights=times[image_of_box])
    assert counted == pytest.approx(exposure.sampled, rel=0.02)


def test_no_class_is_shown_more_than_six_times_as_often():
    """With two boxes in a thousand images, and everything at its strongest."""
    image_of_box = np.concatenate([np.arange(1000), [5, 6], np.arange(300)])
    class_of_box = np.concatenate([np.zeros(1000), [1, 1], np.full(300, 2)]).astype(int)
    exposure = expected_exposure(
        image_of_box, class_of_box, 1000, 3, RareConfig(sampling=1.0, paste=1.0, power=1.0, stop=0.0)
    )
    assert exposure.gain.max() <= LARGEST_EXPOSURE + 1e-9
    assert exposure.gain[1] == pytest.approx(6)


def test_pasted_classes_follow_the_inverse_power_below_the_median():
    """n^-q among the classes below the median, none of the others."""
    counts = [400, 300, 200, 100, 64]
    class_of_box = np.repeat(np.arange(5), counts)
    image_of_box = np.arange(len(class_of_box)) % 500
    exposure = expected_exposure(image_of_box, class_of_box, 500, 5, RareConfig(paste=0.1, power=0.5))
    weights = np.array([0, 0, 0, 100**-0.5, 64**-0.5])
    assert exposure.paste_chances == pytest.approx(weights / weights.sum())
    assert exposure.pasted == pytest.approx(weights / weights.sum() * 0.1 * 2 * 500)
    assert (exposure.sampled == exposure.boxes).all() and not exposure.resamples


def test_auto_switches_itself_off_where_a_rare_class_is_in_images_of_every_kind():
    """Drawing an image of the rare class draws all the others with it; a number is obeyed, with a warning."""
    image_of_box = np.concatenate([np.repeat(np.arange(100), 3), np.arange(95), np.arange(90)])
    class_of_box = np.repeat([0, 1, 2], [300, 95, 90])
    exposure = expected_exposure(image_of_box, class_of_box, 100, 3, RareConfig(sampling="auto"))
    assert not exposure.sampling_acts and not exposure.resamples and (exposure.sampled == exposure.boxes).all()
    names = ["RBC", "WBC", "Platelets"]
    assert any(
        "rare_sampling=auto switches itself off: no rare class would gain a fifth (Platelets: they occur in" in line
        for line in exposure_lines(exposure, names, RareConfig(sampling="auto"))
    )
    for config in (RareConfig(sampling="auto"), RareConfig(sampling=1.0)):  # of models for which nothing can be pasted
        assert "rare_paste" not in exposure_lines(exposure, names, config, pastes=False)[-1]
    asked = expected_exposure(image_of_box, class_of_box, 100, 3, RareConfig(sampling=1.0))
    assert asked.resamples and not asked.sampling_acts
    assert any(
        "warning: rare_sampling=1 hardly acts" in line
        for line in exposure_lines(asked, names, RareConfig(sampling=1.0))
    )


def test_a_class_without_boxes_is_named_and_left_out():
    """It neither moves the median nor takes part."""
    image_of_box, class_of_box = long_tail()
    config = RareConfig(sampling="auto", paste=0.5)
    with_five = expected_exposure(image_of_box, class_of_box, 200, 5, config)
    with_four = expected_exposure(image_of_box, class_of_box, 200, 4, config)
    assert (with_five.after[:4] == with_four.after).all() and with_five.after[4] == 0
    lines = exposure_lines(with_five, ["a", "b", "c", "d", "unicorn"], config)
    assert "  without training boxes, left out: unicorn" in lines
    assert sum("unicorn" in line for line in lines) == 1


def test_the_table_has_a_line_for_each_class():
    """Class, boxes, images, sampled, pasted, shown, and how many times as often as before."""
    image_of_box, class_of_box = np.array([0, 1, 2, 3, 0]), np.array([0, 0, 0, 0, 1])
    exposure = expected_exposure(image_of_box, class_of_box, 4, 2, RareConfig(sampling=0.5, power=1))
    lines = exposure_lines(exposure, ["car", "bus"], RareConfig(sampling=0.5, power=1))
    assert lines[0].startswith("rare_sampling=0.5 rare_power=1: ")
    assert lines[2].split() == ["car", "4", "4", "4", "0", "4", "1.00x"]
    assert lines[3].split() == ["bus", "1", "1", "2", "0", "2", "1.60x"]


@pytest.mark.parametrize(
    ("classes", "config", "message"),
    [
        ([], RareConfig(paste=0.5), "rare_paste=0.5 cannot act: no class has training boxes"),
        ([1, 1, 1], RareConfig(sampling="auto"), "rare_sampling=auto cannot act: one class has training boxes"),
        ([0, 1], RareConfig(paste=0.5), "no class has fewer training boxes than the median class"),
    ],
)
def test_where_nothing_is_rare_it_is_refused(classes, config, message):
    """No boxes, one class, or all alike."""
    with pytest.raises(ConfigError, match=message):
        expected_exposure(np.zeros(len(classes), int), np.array(classes, int), 3, 2, config)


def test_objects_too_small_to_paste_are_refused():
    """Where no crop of any rare class is left, the share could not be kept."""
    with pytest.raises(ConfigError, match="too small at this imgsz; raise imgsz"):
        expected_exposure(np.zeros(3, int), np.array([0, 0, 1]), 3, 2, RareConfig(paste=0.5), np.zeros(2, bool))


def test_sampling_acts_where_one_of_several_rare_classes_gains():
    """A class in images of its own does; one in half of all images does not."""
    image_of_box = np.r_[np.arange(90), np.arange(90, 100), np.arange(50)]
    class_of_box = np.repeat([0, 1, 2], [90, 10, 50])
    exposure = expected_exposure(image_of_box, class_of_box, 100, 3, RareConfig(sampling=0.6))
    assert exposure.gain[1] > 2 and exposure.gain[2] < 1 and exposure.sampling_acts
