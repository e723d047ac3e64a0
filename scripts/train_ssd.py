"""Train torchvision's SSDlite with this package's MultiBoxLoss, without Ultralytics.

    python scripts/train_ssd.py images=DIR annotations=instances_train.json class_loss=focal

The model starts from random weights. Boxes are matched to anchors and encoded by the model's own matcher and coder; the
two lines that call the loss are what changes in a torchvision training loop.
"""

import sys
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor, nn
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.ops import box_iou

from yolo_focal.arguments.key import Key, choice, in_range, path
from yolo_focal.commands.exit_codes import run_script
from yolo_focal.data.coco import read_coco
from yolo_focal.errors import DataError
from yolo_focal.losses import MultiBoxLoss
from yolo_focal.losses.multibox import CLASS_LOSSES

SIDE = 320
ARGUMENTS = (
    Key("images", None, "folder of the images", read=path, required=True),
    Key("annotations", None, "COCO JSON file with their objects", read=path, required=True),
    choice("class_loss", "focal", "class loss of MultiBoxLoss", CLASS_LOSSES),
    Key("steps", 30, "training steps", in_range(int, 3)),
    Key("batch", 4, "images a step", in_range(int, 1)),
)


def read_samples(images: Path, annotations: Path) -> tuple[list[tuple[Path, Tensor, Tensor]], int]:
    """Every image with its boxes (n, 4) as corners in a square of `SIDE` pixels and its labels (n,), from 1 on."""
    content = read_coco(annotations)
    label_of = {category: index for index, category in enumerate(content.categories, start=1)}
    samples = []
    for number, image in content.images.items():
        scale = torch.tensor([SIDE / image["width"], SIDE / image["height"]]).repeat(2)
        objects = content.objects(number)
        boxes = [[x, y, x + width, y + height] for x, y, width, height in (each["bbox"] for each in objects)]
        labels = torch.tensor([label_of[each["category_id"]] for each in objects], dtype=torch.int64)
        corners = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4) * scale
        samples.append((images / image["file_name"], corners, labels))
    return samples, len(label_of)


def load_image(file: Path) -> Tensor:
    """An image as (3, SIDE, SIDE) in [-1, 1]."""
    pixels = cv2.imread(str(file))
    if pixels is None:
        raise DataError(
            f"cannot read the image {file}; replace it, or give the folder that its name begins in as images="
        )
    rgb = cv2.cvtColor(cv2.resize(pixels, (SIDE, SIDE)), cv2.COLOR_BGR2RGB)
    return torch.from_numpy(rgb).permute(2, 0, 1).float() / 127.5 - 1


def targets_of(model: Any, anchors: list[Tensor], boxes: list[Tensor], labels: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Offsets (images, anchors, 4) of the matched boxes, and labels (images, anchors), 0 where nothing matches."""
    offsets, classes = [], []
    for anchor, box, label in zip(anchors, boxes, labels, strict=True):
        matched = torch.full((len(anchor),), -1) if not len(box) else model.proposal_matcher(box_iou(box, anchor))
        index = matched.clamp_min(0)
        found = box[index] if len(box) else anchor
        offsets.append(model.box_coder.encode_single(found, anchor))
        classes.append(torch.where(matched >= 0, label[index] if len(box) else 0, 0))
    return torch.stack(offsets), torch.stack(classes)


def train(model: nn.Module, samples: list[Any], loss: MultiBoxLoss, steps: int, batch: int) -> list[float]:
    """Take gradient steps over the samples in order, again and again; the loss of each."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    history = []
    for step in range(steps):
        chosen = [samples[(step * batch + index) % len(samples)] for index in range(batch)]
        images = torch.stack([load_image(file) for file, _, _ in chosen])
        network: Any = model
        features = list(network.backbone(images).values())
        outputs = network.head(features)
        listed = torchvision_image_list(images)
        anchors = network.anchor_generator(listed, features)
        offsets, classes = targets_of(network, anchors, [box for _, box, _ in chosen], [label for *_, label in chosen])
        losses = loss(outputs["bbox_regression"], outputs["cls_logits"], offsets, classes)
        losses.total.backward()
        optimizer.step()
        optimizer.zero_grad()
        history.append(losses.total.item())
        print(f"step {step + 1}: box {losses.box.item():.3f}, class {losses.cls.item():.3f}", flush=True)
    return history


def torchvision_image_list(images: Tensor) -> Any:
    """The batch as torchvision's anchor generator takes it."""
    from torchvision.models.detection.image_list import ImageList

    return ImageList(images, [(SIDE, SIDE)] * len(images))


def main(arguments: dict[str, Any]) -> int:
    """Train, and say how far the loss fell."""
    samples, classes = read_samples(arguments["images"], arguments["annotations"])
    torch.manual_seed(0)
    model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes + 1)
    loss = MultiBoxLoss(class_loss=arguments["class_loss"])
    history = train(model.train(), samples, loss, arguments["steps"], arguments["batch"])
    third = max(len(history) // 3, 1)
    first, last = sum(history[:third]) / third, sum(history[-third:]) / third
    print(f"mean loss of the first {third} steps {first:.3f}, of the last {third} {last:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(run_script(__file__, __doc__, ARGUMENTS, main))
