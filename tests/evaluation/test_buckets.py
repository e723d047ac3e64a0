"""Classes fall into rare, common and frequent by how often they occur in training."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_focal.errors import ConfigError
from yolo_focal.evaluation.buckets import BUCKETS, frequency_buckets


def test_thirds_of_distinct_counts_are_thirds():
    """Six classes of different frequency make three buckets of two."""
    assert frequency_buckets("thirds", [500, 1, 60, 7, 300, 90]) == (
        "frequent",
        "rare",
        "common",
        "rare",
        "frequent",
        "common",
    )


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60))
def test_a_more_frequent_class_is_never_in_a_rarer_bucket(counts):
    """Buckets follow the order of counts, and equal counts share a bucket."""
    levels = [BUCKETS.index(name) for name in frequency_buckets("thirds", counts)]
    for first, a in zip(counts, levels, strict=True):
        for second, b in zip(counts, levels, strict=True):
            assert not (first < second and a > b)
            assert not (first == second and a != b)


@given(st.sets(st.integers(0, 10**6), min_size=3, max_size=60))
def test_thirds_are_balanced_without_ties(counts):
    """Each bucket of distinct counts holds a third of the classes, rounded up or down."""
    names = frequency_buckets("thirds", sorted(counts))
    sizes = [names.count(name) for name in BUCKETS]
    assert sum(sizes) == len(counts)
    assert max(sizes) - min(sizes) <= 1


def test_equally_frequent_classes_are_common():
    """Where no class is rarer than another, none is called rare."""
    assert set(frequency_buckets("thirds", [20, 20, 20, 20])) == {"common"}
    assert frequency_buckets("thirds", [20]) == ("common",)


def test_lvis_counts_images():
    """LVIS draws the lines after 10 and after 100 images, whatever the instances."""
    images = np.array([0, 1, 10, 11, 100, 101])
    assert frequency_buckets("lvis", 1000 - images, images) == ("rare",) * 3 + ("common",) * 2 + ("frequent",)


def test_lvis_without_image_counts_is_refused():
    """The message says what is missing."""
    with pytest.raises(ConfigError, match="buckets=lvis needs the number of training images of each class"):
        frequency_buckets("lvis", [1, 2])
