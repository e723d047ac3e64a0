"""Write a model of this package in the format of the original YOLOv5: the pickle of a tree of `models.*` modules."""

import contextlib
import sys
import types

import torch
from torch import nn

PARTS = {"Conv": "models.common", "C3": "models.common", "Bottleneck": "models.common", "SPPF": "models.common"}
PARTS |= {"Concat": "models.common", "Detect": "models.yolo", "Model": "models.yolo", "DetectionModel": "models.yolo"}


@contextlib.contextmanager
def original_classes():
    """Importable modules `models.yolo` and `models.common` with empty classes, gone afterwards."""
    modules = {name: types.ModuleType(name) for name in ("models", "models.yolo", "models.common")}
    for name, module in PARTS.items():
        setattr(modules[module], name, type(name, (nn.Module,), {"__module__": module, "__qualname__": name}))
    sys.modules.update(modules)
    try:
        yield {name: getattr(modules[module], name) for name, module in PARTS.items()}
    finally:
        for name in modules:
            del sys.modules[name]


def as_original(module, classes):
    """The same tree with the original's classes; modules of torch stay what they are."""
    is_head = type(module).__name__ == "AnchorDetect"
    kind = classes.get("Detect" if is_head else type(module).__name__)
    if kind is None and not list(module.children()):
        return module
    made = (kind or type(module))()
    for name, child in module.named_children():
        if not (is_head and name == "cv2"):
            made.add_module(name, as_original(child, classes))
    return made


def write_original(
    model, path, root="Model", dtype=torch.float16, baggage=None, names=list, change=None, multiples=None
):
    """Save `model`, a DetectionModel with an anchor head, as YOLOv5 would have saved it.

    Args:
        model: what to write.
        path: where to.
        root: the class of the whole: Model until v6.1, DetectionModel after.
        dtype: of the weights.
        baggage: further entries of the checkpoint.
        names: list until v6.1, dict after.
        change: does something to the layers before they are written.
        multiples: depth and width multiple, where the file is to say something else than the truth.
    """
    head = model.model[-1]
    depth, width, _ = model.yaml["scales"][model.yaml["scale"]]
    with original_classes() as classes:
        layers = as_original(model.model, classes)
        made = classes[root]()
        made.model = layers
        depth, width = multiples or (depth, width)
        made.yaml = {"nc": head.nc, "depth_multiple": depth, "width_multiple": width}
        made.names = dict(model.names) if names is dict else list(model.names.values())
        detect = layers[-1]
        detect.nc, detect.stride = head.nc, torch.tensor(head.pixels_per_cell)
        grid = torch.tensor(head.anchor_pixels) / detect.stride.view(-1, 1, 1)
        detect.register_buffer("anchors", grid)
        made.to(dtype)
        if change:
            change(layers)
        torch.save({"epoch": -1, "model": made, "ema": None, **(baggage or {})}, path)
