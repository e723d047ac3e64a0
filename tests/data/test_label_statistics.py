"""Dataset statistics and class frequencies."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_focal.data.frequencies import alpha_from_frequencies
from yolo_focal.data.label_statistics import class_counts, split_statistics
from yolo_focal.data.yolo import YoloDataset, read_data_yaml
from yolo_focal.errors import DataError


def dataset(folder: Path, labels: dict[str, str | None]) -> YoloDataset:
    """Images of 100 x 50 pixels with the given label texts; None writes no label file."""
    for name, text in labels.items():
        for kind in ("images", "labels"):
            (folder / kind).mkdir(exist_ok=True)
        cv2.imwrite(str(folder / "images" / f"{name}.png"), np.zeros((50, 100, 3), np.uint8))
        if text is not None:
            (folder / "labels" / f"{name}.txt").write_text(text)
    (folder / "data.yaml").write_text("train: images\nnames: [a, b, c]\n")
    return read_data_yaml(folder / "data.yaml")


@pytest.mark.parametrize(
    ("split", "expected"),
    [("train", [205, 2381, 214, 209]), ("val", [87, 967, 87, 83]), ("test", [72, 805, 71, 69])],
)
def test_blood_cells_have_the_counts_of_their_documentation(shared: Path, split: str, expected: list[int]) -> None:
    """Images and instances per class of the real blood cell set equal the table it comes with."""
    cells = read_data_yaml(shared / "data" / "bccd" / "bccd.yaml")
    found = split_statistics(cells, split)
    assert [found.images, *found.instances.tolist()] == expected
    assert found.problems == []
    assert class_counts(cells, split) == expected[1:]


def test_real_coco_images_without_labels_are_background(shared: Path) -> None:
    """The 128 COCO images have 929 boxes and two images without a label file."""
    coco = read_data_yaml(shared / "data" / "coco128" / "coco128.yaml")
    found = split_statistics(coco, "train")
    assert (found.images, int(found.instances.sum()), found.images_without_label_file) == (128, 929, 2)
    assert found.images_without_objects == 2


def test_counts_sizes_and_empty_images_by_hand(tmp_path: Path) -> None:
    """A set small enough to count by hand."""
    labels = {"1": "0 .5 .5 .2 .2\n0 .2 .2 .1 .1\n1 .5 .5 1 1\n", "2": "", "3": None, "4": "0 .5 .5 .5 .5\n"}
    found = split_statistics(dataset(tmp_path, labels))
    assert (found.images, found.images_without_objects, found.images_without_label_file) == (4, 2, 1)
    assert found.instances.tolist() == [3, 1, 0]
    assert found.images_with.tolist() == [2, 1, 0]
    assert found.imbalance == 3
    assert np.allclose(found.box_sizes, [[20, 10], [10, 5], [100, 50], [50, 25]])
    assert found.size_counts() == {"small": 2, "medium": 2, "large": 0}
    record = found.to_json()
    assert record["classes"][0] == {"index": 0, "name": "a", "instances": 3, "images": 2}


def test_what_ultralytics_drops_is_not_counted_but_listed(tmp_path: Path) -> None:
    """A class out of range, an unreadable and a tiny image lose the whole image, and the list says so."""
    good = "0 .5 .5 .2 .2\n"
    found_set = dataset(tmp_path, {"1": good, "2": good + "7 .5 .5 .2 .2\n", "3": good, "4": good, "5": good + good})
    (tmp_path / "images" / "3.png").write_bytes(b"no image")
    cv2.imwrite(str(tmp_path / "images" / "4.png"), np.zeros((5, 100, 3), np.uint8))
    found = split_statistics(found_set)
    assert (found.images, found.images_dropped, found.instances.tolist()) == (2, 3, [2, 0, 0])
    assert found.problem_counts() == {
        "class out of range": 1, "unreadable image": 1, "image below 10 pixels": 1, "duplicate of another line": 1,
    }  # fmt: skip
    assert [problem.drops_image for problem in found.problems] == [True, True, True, False]


frequencies = st.lists(st.integers(0, 10**6), min_size=1, max_size=30).filter(any)


@given(frequencies, st.floats(0.01, 0.99), st.floats(0, 1))
def test_alphas_lie_in_the_open_interval_with_the_mean_asked_for(counts: list[int], alpha: float, power: float) -> None:
    """0 < alpha_c < 1, the mean is alpha to 1e-9, and a rarer class never has the smaller alpha."""
    alphas = alpha_from_frequencies(counts, alpha, power)
    assert all(0 < value < 1 for value in alphas)
    assert math.isclose(sum(alphas) / len(alphas), alpha, rel_tol=1e-9)
    present = sorted((count, -value) for count, value in zip(counts, alphas, strict=True) if count)
    values = [-negative for _, negative in present]
    assert all(first >= second - 1e-12 for first, second in itertools.pairwise(values))


@given(frequencies, st.integers(2, 50))
def test_the_size_of_the_dataset_does_not_matter(counts: list[int], factor: int) -> None:
    """Any multiple of the data gives the same alphas."""
    larger = alpha_from_frequencies([count * factor for count in counts])
    assert np.allclose(alpha_from_frequencies(counts), larger, rtol=1e-9)


def test_odds_are_proportional_to_the_inverse_root_of_the_frequency() -> None:
    """The positive-to-negative weight of a class with a hundredth of the boxes is ten times as large."""
    frequent, rare = alpha_from_frequencies([10_000, 100])
    assert math.isclose((rare / (1 - rare)) / (frequent / (1 - frequent)), 10, rel_tol=1e-9)


def test_equal_classes_and_classes_without_boxes_keep_alpha() -> None:
    """Nothing to balance, nothing to learn from: alpha itself."""
    assert np.allclose(alpha_from_frequencies([7, 7, 7], 0.4), 0.4)
    assert np.allclose(alpha_from_frequencies([900, 1], 0.4, power=0), 0.4)
    assert alpha_from_frequencies([900, 0, 30], 0.4)[1] == 0.4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: alpha_from_frequencies([]), "counts >= 0 with one above 0"),
        (lambda: alpha_from_frequencies([0, 0]), r"counts >= 0 with one above 0, got \[0, 0\]"),
        (lambda: alpha_from_frequencies([1, -1]), "counts >= 0"),
        (lambda: alpha_from_frequencies([1], 1.0), "alpha to be spread over classes must be between 0 and 1, got 1.0"),
        (lambda: alpha_from_frequencies([1], 0.5, 2), "power of the class frequency must be between 0 and 1, got 2"),
    ],
)
def test_impossible_frequencies_are_refused(call: Callable[[], object], message: str) -> None:
    """The message has the value and the range."""
    with pytest.raises(DataError, match=message):
        call()


def test_sizes_are_divided_at_coco_s_limits(tmp_path: Path) -> None:
    """32 x 32 pixels are medium, 96 x 96 are large."""
    sizes = np.array([[31.0, 33.0], [32.0, 32.0], [95.0, 97.0], [96.0, 96.0]])
    found = replace(split_statistics(dataset(tmp_path, {"1": ""})), box_sizes=sizes)
    assert found.size_counts() == {"small": 1, "medium": 2, "large": 1}
