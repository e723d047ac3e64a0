"""What the head's numbers mean as boxes and scores."""

import math

import pytest
import torch

from yolo_focal.detector.decode import decode_boxes, decode_maps, objectness_and_class_start

ANCHORS = torch.tensor([[[10.0, 13.0], [16.0, 30.0]], [[30.0, 61.0], [62.0, 45.0]]])
STRIDES = (8.0, 16.0)


def random_maps(classes=3, batch=2):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(batch, 2, 5 + classes, *grid, generator=generator, dtype=torch.float64) * 3
        for grid in ((4, 6), (2, 3))
    ]


def test_every_prediction_is_decoded_by_the_formula_and_stands_at_its_place():
    """Prediction (anchor, level, row, column) has YOLOv5's box and the product of objectness and class scores."""
    maps = random_maps()
    decoded = decode_maps(maps, ANCHORS, STRIDES)
    assert decoded.shape == (2, 7, 2 * (24 + 6))
    starts = (0, 24)
    for level, logits in enumerate(maps):
        rows, columns = logits.shape[-2:]
        for anchor in range(2):
            for row in range(rows):
                for column in range(columns):
                    s = logits[1, anchor, :, row, column].sigmoid()
                    place = anchor * 30 + starts[level] + row * columns + column
                    x, y = (2 * s[0] - 0.5 + column) * STRIDES[level], (2 * s[1] - 0.5 + row) * STRIDES[level]
                    w, h = (2 * s[2:4]) ** 2 * ANCHORS[level, anchor]
                    expected = torch.stack((x, y, w, h, *(s[4] * s[5:])))
                    torch.testing.assert_close(decoded[1, :, place], expected)


def test_corners_are_centre_minus_and_plus_half_the_size():
    """The xyxy form is the same boxes."""
    centres, corners = (decode_maps(random_maps(), ANCHORS, STRIDES, xyxy=xyxy) for xyxy in (False, True))
    torch.testing.assert_close(corners[:, :2], centres[:, :2] - centres[:, 2:4] / 2)
    torch.testing.assert_close(corners[:, 2:4], centres[:, :2] + centres[:, 2:4] / 2)
    assert torch.equal(corners[:, 4:], centres[:, 4:])


def test_training_and_inference_decode_alike():
    """decode_boxes in cells, moved and scaled, is what decode_maps gives in pixels."""
    maps = random_maps()
    logits = maps[1][0, 1, :4, 1, 2][None]
    relative = decode_boxes(logits, ANCHORS[1, 1][None] / 16)
    pixels = decode_maps(maps, ANCHORS, STRIDES)[0, :4, 30 + 24 + 1 * 3 + 2]
    expected = (relative[0] + torch.tensor([2.0, 1.0, 0, 0])) * 16
    torch.testing.assert_close(pixels, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_decoding_keeps_the_dtype(dtype):
    """A half-precision model gives half-precision boxes."""
    assert decode_maps([m.to(dtype) for m in random_maps()], ANCHORS, STRIDES).dtype == dtype


def test_start_values():
    """Eight objects in a 640-pixel image, 0.6 of a class each."""
    objectness, classes = objectness_and_class_start(8, 80)
    assert objectness == pytest.approx(-6.684611727667927)  # log(8 / 80^2)
    assert classes.tolist() == pytest.approx([math.log(0.6 / 79)] * 80, abs=1e-4)
    assert objectness_and_class_start(8, 1)[1].item() == pytest.approx(math.log(60_000), abs=1e-3)
