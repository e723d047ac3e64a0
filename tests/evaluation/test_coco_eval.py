"""AP and AR are COCO's, whatever the images weigh."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.coco_reference import (
    as_detections,
    document_of,
    random_case,
    read_yolo_plainly,
    reference_of,
    run_pycocotools,
)
from yolo_focal.data.coco import read_coco
from yolo_focal.data.yolo import read_data_yaml
from yolo_focal.evaluation import matching
from yolo_focal.evaluation.boxes import Detections, GroundTruth
from yolo_focal.evaluation.coco_eval import (
    STATS,
    PrecisionSchedule,
    average_precision_from_matches,
    coco_stats,
    recall_from_matches,
)
from yolo_focal.evaluation.coco_source import ground_truth_from_coco
from yolo_focal.evaluation.matching import AREA_RANGES, match_detections
from yolo_focal.evaluation.results_file import results_of
from yolo_focal.evaluation.yolo_source import ground_truth_from_yolo

EXACT = 1e-12


def stats_of(truth, found):
    matches = match_detections(truth, found)
    return coco_stats(matches, average_precision_from_matches(matches["all"]))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    images=st.integers(1, 8),
    classes=st.integers(1, 4),
    objects=st.integers(0, 40),
    detections=st.integers(1, 300),
    coarse=st.booleans(),
)
def test_every_number_is_that_of_pycocotools(seed, images, classes, objects, detections, coarse):
    """AP and recall of every class, IoU threshold, size and limit equal the reference's; ties and crowds included."""
    truth, found = random_case(seed, images, classes, objects, detections, coarse)
    reference = reference_of(truth, found)
    matches = match_detections(truth, found)
    for index, area in enumerate(AREA_RANGES):
        expected = reference.average_precision(index)
        np.testing.assert_allclose(average_precision_from_matches(matches[area]), expected, rtol=0, atol=EXACT)
        for position, limit in enumerate((1, 10, 100)):
            recall = reference.recall[:, :, index, position]
            recall = np.where(recall < 0, np.nan, recall)
            np.testing.assert_allclose(recall_from_matches(matches[area], limit), recall, rtol=0, atol=EXACT)
    np.testing.assert_allclose(list(stats_of(truth, found).values()), reference.stats, rtol=0, atol=EXACT)


def test_more_than_a_hundred_detections_of_a_class_in_an_image():
    """Only the best hundred take part, as in the reference."""
    truth, found = random_case(3, images=2, classes=1, objects=80, detections=900)
    np.testing.assert_allclose(
        list(stats_of(truth, found).values()), reference_of(truth, found).stats, rtol=0, atol=EXACT
    )


def test_the_size_of_the_working_set_changes_nothing(monkeypatch):
    """Matching in parts of a few pairs gives what matching at once gives."""
    truth, found = random_case(5, coarse=True)
    at_once = match_detections(truth, found)
    monkeypatch.setattr(matching, "PAIRS_AT_ONCE", 7)
    in_parts = match_detections(truth, found)
    for area in AREA_RANGES:
        np.testing.assert_array_equal(at_once[area].matched, in_parts[area].matched)
        np.testing.assert_array_equal(at_once[area].ignored, in_parts[area].ignored)


@pytest.mark.parametrize("seed", range(3))
def test_whole_weights_repeat_images(seed):
    """AP with whole weights is the reference's AP of the dataset in which each image occurs so many times.

    Copies of a detection tie only with each other, as scores are distinct; copies of a true positive can only raise
    precision, so that taking them one by one leaves the best precision at every recall as it is.
    """
    truth, found = random_case(seed, images=9, objects=50)
    assert len(np.unique(found.scores)) == len(found.scores)
    weights = np.random.default_rng(seed).integers(0, 4, len(truth.image_ids))
    repeated_truth, repeated_found = repeat_images(truth, found, weights)
    expected = reference_of(repeated_truth, repeated_found).average_precision(0)
    weighted = PrecisionSchedule(match_detections(truth, found)["all"]).average_precision(weights)
    np.testing.assert_allclose(weighted, expected, rtol=0, atol=EXACT)


def repeat_images(truth, found, weights):
    """The dataset in which image i occurs weights[i] times."""
    source = np.repeat(np.arange(len(weights)), weights)
    rows = [np.flatnonzero(truth.image == image) for image in source]
    found_rows = [np.flatnonzero(found.image == image) for image in source]
    place = np.repeat(np.arange(len(source)), [len(each) for each in rows])
    found_place = np.repeat(np.arange(len(source)), [len(each) for each in found_rows])
    index = np.concatenate([*rows, np.zeros(0, int)]).astype(int)
    found_index = np.concatenate([*found_rows, np.zeros(0, int)]).astype(int)
    return (
        GroundTruth(
            tuple(range(1, len(source) + 1)),
            tuple(f"{number}.jpg" for number in range(len(source))),
            truth.categories,
            place,
            truth.category[index],
            truth.boxes_xywh[index],
            truth.areas[index],
            truth.crowd[index],
        ),
        Detections(found_place, found.category[found_index], found.boxes_xywh[found_index], found.scores[found_index]),
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), factor=st.floats(1e-3, 1e3))
def test_only_relative_weights_matter(seed, factor):
    """Ten times the weight of every image is the same dataset; no weights are equal weights."""
    truth, found = random_case(seed)
    schedule = PrecisionSchedule(match_detections(truth, found)["all"])
    plain = schedule.average_precision()
    np.testing.assert_array_equal(schedule.average_precision(np.ones(len(truth.image_ids))), plain)
    np.testing.assert_allclose(schedule.average_precision(np.full(len(truth.image_ids), 2.0)), plain, atol=EXACT)
    weights = np.random.default_rng(seed).integers(0, 5, len(truth.image_ids)).astype(float)
    scaled = schedule.average_precision(weights * 2.0 ** round(np.log2(factor)))
    np.testing.assert_allclose(scaled, schedule.average_precision(weights), rtol=0, atol=EXACT)


def test_an_image_without_weight_is_not_there():
    """Weight zero for some images equals the reference on the others."""
    truth, found = random_case(11)
    weights = np.arange(len(truth.image_ids)) % 2
    expected = reference_of(*repeat_images(truth, found, weights)).average_precision(0)
    weighted = PrecisionSchedule(match_detections(truth, found)["all"]).average_precision(weights)
    np.testing.assert_allclose(weighted, expected, rtol=0, atol=EXACT)


def test_undefined_numbers_are_minus_one_as_in_the_reference():
    """Without objects there is no AP; COCO writes -1."""
    truth, found = random_case(1, objects=0)
    assert stats_of(truth, found) == dict.fromkeys(STATS, -1.0)


def test_nothing_found_is_zero():
    """Without detections AP and AR are 0."""
    truth, _ = random_case(1)
    nothing = Detections(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 4)), np.zeros(0))
    assert set(stats_of(truth, nothing).values()) <= {0.0, -1.0}


def test_objects_given_as_detections_are_perfect(shared):
    """Ground truth as predictions has AP 1 on real data, crowds included."""
    for file in ("bccd/annotations/instances_val.json", "coco_tiny/annotations/instances_val2017.json"):
        truth = ground_truth_from_coco(read_coco(shared / "data" / file))
        stats = stats_of(truth, as_detections(truth))
        assert stats["AP"] == pytest.approx(1, abs=1e-9)
        assert stats["APs"] == pytest.approx(1, abs=1e-9)


def test_real_annotations_give_the_numbers_of_pycocotools(shared):
    """Jittered objects of BCCD and COCO (crowds, segment areas, 91-style ids) score as in the reference."""
    for file in ("bccd/annotations/instances_val.json", "coco_tiny/annotations/instances_val2017.json"):
        dataset = read_coco(shared / "data" / file)
        truth = ground_truth_from_coco(dataset)
        found = as_detections(truth, seed=0)
        reference = run_pycocotools(dataset.content, results_of(found, truth))
        np.testing.assert_allclose(list(stats_of(truth, found).values()), reference.stats, rtol=0, atol=1e-9)


def test_yolo_labels_give_the_numbers_of_pycocotools(shared):
    """coco128 read from its label files scores as in the reference on a plain reading of the same files."""
    dataset = read_data_yaml(shared / "data/coco128/coco128.yaml")
    document = read_yolo_plainly(shared / "data/coco128/images/val2017", 80)
    files = [str(file.absolute()) for file in dataset.image_files("val")]
    sizes = {file: (each["width"], each["height"]) for file, each in zip(files, document["images"], strict=True)}
    truth = ground_truth_from_yolo(dataset, "val", sizes)
    found = as_detections(truth, seed=1)
    reference = run_pycocotools(document, results_of(found, truth))
    np.testing.assert_allclose(list(stats_of(truth, found).values()), reference.stats, rtol=0, atol=1e-9)
    assert stats_of(truth, as_detections(truth))["AP"] == pytest.approx(1, abs=1e-9)


def test_an_annotation_with_id_zero_counts():
    """The reference takes a match with annotation id 0 for none; here ids do not matter, so AP stays 1."""
    truth, _ = random_case(2, images=1, classes=1, objects=1)
    truth = GroundTruth(**{**vars(truth), "crowd": np.zeros(1, dtype=bool)})
    document = document_of(truth)
    document["annotations"][0]["id"] = 0
    assert run_pycocotools(document, results_of(as_detections(truth), truth)).stats[0] == 0
    assert stats_of(truth, as_detections(truth))["AP"] == pytest.approx(1)
