"""Every model family: how to build a small one, a batch for it, and which of its parameters only classes reach."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from tests.ultra.helpers import arguments, batch_of

NC = 3
BOX_CLASS = r"(one2one_)?cv3\."  # class layers of Detect and its subclasses
PROMPT_CLASS = r"(one2one_)?cv[34]\.|savpe\.|reprta\.|lrpc\."  # of heads that compare with embeddings


@dataclass(frozen=True)
class Family:
    """One row of the table.

    Attributes:
        name: as printed.
        kind: class of `ultralytics.nn.tasks`.
        yaml: architecture.
        task: what the batch has to hold.
        class_layers: pattern of the head's parameters that the class loss alone reaches.
        other_layers: pattern of the head's parameters that it does not reach; empty where there are none.
        branches: as the start line names them.
        nc: number of classes.
        size: side of the images in pixels.
        stock: settings that have to give the gradients of stock Ultralytics.
        changed: settings that have to change the class gradient.
        extra: what else the batch has to hold.
    """

    name: str
    kind: str
    yaml: str
    task: str = "detect"
    class_layers: str = BOX_CLASS
    other_layers: str = r"(one2one_)?cv2\."
    branches: tuple[str, ...] = ("class",)
    nc: int = NC
    size: int = 64
    stock: dict = field(default_factory=lambda: {"fl_gamma": 0.0, "fl_alpha": -1})
    changed: dict = field(default_factory=lambda: {"fl_gamma": 2.0, "fl_alpha": -1})
    extra: Callable[[], dict] = dict

    def build(self, **changes):
        """The model in training mode, with seeded weights and the training arguments `changes`."""
        from ultralytics.nn import tasks

        torch.manual_seed(0)
        model = getattr(tasks, self.kind)(self.yaml, nc=self.nc, verbose=False)
        model.args, model.nc = arguments(**changes), self.nc
        return model.train()

    def batch(self):
        """A seeded batch."""
        if self.task == "classify":
            generator = torch.Generator().manual_seed(0)
            return {
                "img": torch.rand(4, 3, self.size, self.size, generator=generator),
                "cls": torch.tensor([0, 1, 2, 1]),
            }
        batch = batch_of(task=self.task, nc=self.nc, size=self.size)
        if self.task == "semantic":
            torch.manual_seed(0)
            mask = torch.randint(0, max(self.nc, 2), (2, self.size, self.size))
            mask[:, :8] = 255
            batch["semantic_mask"] = mask
        return batch | self.extra()

    def head_gradients(self, model, **changes):
        """Loss items and gradients of the head's parameters for one seeded batch under the arguments `changes`."""
        model.args = arguments(**changes)
        model.zero_grad()
        torch.manual_seed(1)
        inner = getattr(model, "student_model", model)
        if hasattr(inner, "criterion"):
            del inner.criterion  # built anew, from these arguments
        inner.model[-1].nc = self.nc  # a head with prompts sets it to the number of prompts it was last called with
        batch = self.batch()
        total, items = model.loss(batch) if self.task != "classify" else model.loss(batch, model(batch["img"]))
        total.sum().backward()
        head = {name: p.grad.clone() for name, p in inner.model[-1].named_parameters() if p.grad is not None}
        if inner is not model:
            head |= {f"projector.{name}": p.grad.clone() for name, p in model.projector.named_parameters()}
        return items, head

    def is_class_layer(self, name):
        """Whether the class loss alone reaches this parameter of the head."""
        return re.match(self.class_layers, name) is not None

    def is_other_layer(self, name):
        """Whether the class loss does not reach this parameter of the head."""
        return bool(self.other_layers) and re.match(self.other_layers, name) is not None


class Distilled(Family):
    """A student and a teacher of one architecture."""

    def build(self, **changes):
        """Both in one model."""
        from ultralytics.nn.distill_model import DistillationModel

        student = Family.build(self, imgsz=64, **changes)
        torch.manual_seed(2)
        return DistillationModel(teacher_model=Family.build(self, imgsz=64), student_model=student).train()

    def head_gradients(self, model, **changes):
        """Those of the student's head and of the projector that distillation alone reaches."""
        model.student_model.args = arguments(imgsz=64, **changes)
        return super().head_gradients(model, imgsz=64, **changes)


E2E = ("one2many", "one2one")


def text_embeddings():
    return {"txt_feats": torch.randn(2, NC, 512, generator=torch.Generator().manual_seed(3))}


def visual_prompts():
    """Five prompts an image: with as many as the model has classes upstream computes no loss."""
    masks = torch.zeros(2, 5, 8, 8)
    for prompt in range(5):
        masks[:, prompt, prompt : prompt + 3, prompt : prompt + 3] = 1
    return {"visuals": masks}


FAMILIES = [
    Family("YOLOv3", "DetectionModel", "yolov3-tiny.yaml"),
    Family("YOLOv5u", "DetectionModel", "yolov5n.yaml"),
    Family("YOLOv6", "DetectionModel", "yolov6n.yaml"),
    Family("YOLOv8", "DetectionModel", "yolov8n.yaml"),
    Family("YOLOv9", "DetectionModel", "yolov9t.yaml"),
    Family("YOLOv10", "DetectionModel", "yolov10n.yaml", branches=E2E),
    Family("YOLO11", "DetectionModel", "yolo11n.yaml"),
    Family("YOLO12", "DetectionModel", "yolo12n.yaml"),
    Family("YOLO26", "DetectionModel", "yolo26n.yaml", branches=E2E),
    Family("YOLO11 segment", "SegmentationModel", "yolo11n-seg.yaml", "segment", other_layers=r"cv[24]\.|proto\."),
    Family(
        "YOLO26 segment",
        "SegmentationModel",
        "yolo26n-seg.yaml",
        "segment",
        other_layers=r"(one2one_)?cv[24]\.|proto\.",
        branches=E2E,
    ),
    Family("YOLO11 pose", "PoseModel", "yolo11n-pose.yaml", "pose", other_layers=r"cv[24]\."),
    Family(
        "YOLO26 pose",
        "PoseModel",
        "yolo26n-pose.yaml",
        "pose",
        other_layers=r"(?!(one2one_)?cv3)",
        branches=E2E,
    ),
    Family("YOLO11 OBB", "OBBModel", "yolo11n-obb.yaml", "obb", other_layers=r"cv[24]\."),
    Family("YOLO26 OBB", "OBBModel", "yolo26n-obb.yaml", "obb", other_layers=r"(one2one_)?cv[24]\.", branches=E2E),
    Family("YOLO-World v2", "WorldModel", "yolov8s-worldv2.yaml", class_layers=PROMPT_CLASS, extra=text_embeddings),
    Family("YOLOE v8, text", "YOLOEModel", "yoloe-v8s.yaml", class_layers=PROMPT_CLASS, extra=text_embeddings),
    Family(
        "YOLOE 26, text",
        "YOLOEModel",
        "yoloe-26n.yaml",
        class_layers=PROMPT_CLASS,
        extra=text_embeddings,
        branches=E2E,
    ),
    Family(
        "YOLOE v8, visual (TVP)",
        "YOLOEModel",
        "yoloe-v8s.yaml",
        class_layers=PROMPT_CLASS,
        other_layers="",
        extra=visual_prompts,
    ),
    Family(
        "YOLOE 26, visual (TVP)",
        "YOLOEModel",
        "yoloe-26n.yaml",
        class_layers=PROMPT_CLASS,
        other_layers="",
        extra=visual_prompts,
        branches=E2E,
    ),
    Family(
        "YOLOE 26 segment, visual (TVP)",
        "YOLOESegModel",
        "yoloe-26n-seg.yaml",
        "segment",
        class_layers=PROMPT_CLASS.replace("[34]", "3"),
        other_layers="",
        extra=visual_prompts,
        branches=E2E,
    ),
    Distilled(
        "distillation", "DetectionModel", "yolo26n.yaml", other_layers=r"(one2one_)?cv2\.|projector\.", branches=E2E
    ),
    Family(
        "RT-DETR",
        "RTDETRDetectionModel",
        "yolov8n-rtdetr.yaml",
        class_layers=r"(dec|enc)_score_head\.",
        other_layers=r"(dec|enc)_bbox_head\.",
        size=160,
        stock={"fl_loss": "vfl", "fl_gamma": 1.5, "fl_vfl_alpha": 0.25, "fl_alpha": 0.25},
        changed={"fl_loss": "vfl", "fl_gamma": 3.0, "fl_vfl_alpha": 0.25},
    ),
    Family(
        "classification",
        "ClassificationModel",
        "yolo11n-cls.yaml",
        "classify",
        class_layers="linear",
        other_layers="",
        stock={"fl_gamma": 0.0},
        changed={"fl_gamma": 2.0},
    ),
    Family(
        "semantic",
        "SemanticSegmentationModel",
        "yolo26n-sem.yaml",
        "semantic",
        class_layers="",
        other_layers="",
        stock={"fl_gamma": 0.0},
        changed={"fl_gamma": 2.0},
    ),
    Family(
        "semantic, binary",
        "SemanticSegmentationModel",
        "yolo26n-sem.yaml",
        "semantic",
        class_layers="",
        other_layers="",
        nc=1,
    ),
]
