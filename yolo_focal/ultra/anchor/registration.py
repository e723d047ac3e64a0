"""How Ultralytics learns of the anchor detector: building, loading, training it, and what it must not do with it."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from yolo_focal.detector.anchors import read_anchors
from yolo_focal.errors import ConfigError, UnsupportedModelError
from yolo_focal.resources import cfg_file
from yolo_focal.spelling import closest
from yolo_focal.ultra import host
from yolo_focal.ultra.anchor.criterion import AnchorCriterion
from yolo_focal.ultra.anchor.head import AnchorDetect, anchor_head
from yolo_focal.ultra.hooks.checkpoints import explained_architecture_errors
from yolo_focal.ultra.hooks.seam import Patch, seam, takes
from yolo_focal.ultra.logger import LOGGER

__all__ = ["PATCHES", "bundled_model"]

_HEAD = "AnchorDetect"
_SCALES = "nsmlx"
_BUNDLED = re.compile(r"yolov5([a-z]?)(6|-p6)?-anchor")  # yolov5n-anchor, yolov5n6-anchor, yolov5n-p6-anchor
_UNFIT_FORMATS = {
    "imx": "its exporter replaces the decoding of Ultralytics' own head, and would decode these boxes wrongly",
    "edgetpu": "its exporter replaces the decoding of Ultralytics' own head, and would leave these boxes unscaled",
    "hailo": "its exporter cuts the network at layers of Ultralytics' own head, which this head does not have",
}


def bundled_model(name: str) -> dict[str, Any] | None:
    """The model dictionary of this package for a bare name such as `yolov5n-anchor.yaml`; None for other names.

    Raises:
        ConfigError: the name is one of this package's but for its scale.
    """
    match = _BUNDLED.fullmatch(name.removesuffix(".yaml").removesuffix(".yml"))
    if match is None:
        return None
    scale, p6 = match[1], "-p6" if match[2] else ""
    if scale not in _SCALES:
        raise ConfigError(
            f"model={name} has the unknown scale '{scale}'; expected one of "
            + ", ".join(f"yolov5{known}{p6}-anchor.yaml" for known in _SCALES)
        )
    path = cfg_file("models", f"yolov5{p6}-anchor")
    model: dict[str, Any] = host.YAML.load(path)
    return {**model, "scale": scale, "yaml_file": name}


@seam(
    "tasks.yaml_model_load",
    "takes (path) and turns the name of a model YAML into its dictionary when a trainer builds a model",
    takes("path"),
)
def _yaml_model_load(original: Callable[[Any], dict[str, Any]], path: Any) -> dict[str, Any]:
    bundled = None if Path(path).is_file() else bundled_model(Path(path).name)
    return original(path) if bundled is None else bundled


@seam(
    "tasks.parse_model",
    "takes (d, ch, verbose), returns (layers, save), and its Detect has cv2[level][0].conv",
    takes("d", "ch", "verbose"),
)
def _parse_model(original: Callable[..., Any], d: dict[str, Any], ch: int, verbose: bool = True) -> Any:
    elsewhere = [row[2] for row in [*d["backbone"], *d["head"][:-1]]]
    if _HEAD in elsewhere:
        raise ConfigError(f"{_HEAD} must be the last row of the model YAML's head; move it there")
    with explained_architecture_errors():
        if not d["head"] or d["head"][-1][2] != _HEAD:
            return original(d, ch, verbose)
        return _parse_anchor_model(original, d, ch, verbose)


def _parse_anchor_model(parse_model: Callable[..., Any], d: dict[str, Any], ch: int, verbose: bool) -> Any:
    """Build with a stock head, ask it for the channels it was given, and put the anchor head in its place."""
    *layers, (sources, _, _, arguments) = d["head"]
    if [str(argument) for argument in arguments] not in (["nc"], ["nc", "anchors"]):
        raise ConfigError(f"{_HEAD} takes [nc, anchors] in the model YAML, got {arguments}; write [nc, anchors]")
    anchors = read_anchors(d.get("anchors"), levels=len(sources))
    scales = d.get("scales")
    if scales and d.get("scale") and d["scale"] not in scales:
        raise ConfigError(f"the model YAML has no scale '{d['scale']}'; expected one of {', '.join(scales)}")
    model, save = parse_model({**d, "head": [*layers, [sources, 1, "Detect", ["nc"]]]}, ch, verbose)
    stock = model[-1]
    head = AnchorDetect(d["nc"], anchors, [branch[0].conv.in_channels for branch in stock.cv2])
    head.i, head.f = stock.i, stock.f
    head.type = f"{AnchorDetect.__module__}.{_HEAD}"
    head.np = sum(parameter.numel() for parameter in head.parameters())
    model[-1] = head
    if verbose:
        per_level = "; ".join(" ".join(f"{size:g}" for pair in level for size in pair) for level in anchors)
        LOGGER.info(
            f"{head.i:>3}{head.f!s:>20}{1:>3}{head.np:10.0f}  {head.type:<45}[{head.nc}, {per_level}] instead of Detect"
        )
    return model, save


@seam(
    "DetectionModel.init_criterion",
    "takes (self) and returns the criterion: (predictions, batch) -> (loss vector, dictionary of items)",
    takes("self"),
)
def _init_criterion(original: Callable[[Any], Any], self: Any) -> Any:
    return original(self) if anchor_head(self) is None else AnchorCriterion(self)


@seam(
    "Exporter.__call__",
    "takes (self, model) and exports to self.args.format",
    takes("self", "model"),
)
def _export(original: Callable[..., Any], self: Any, model: Any) -> Any:
    if anchor_head(model) is not None:
        wanted = str(self.args.format).lower()
        meant = closest(wanted, host.export_formats()["Argument"])  # upstream corrects spelling like this
        if reason := _UNFIT_FORMATS.get(meant or wanted):
            raise UnsupportedModelError(
                f"format={wanted} cannot be exported from an anchor detector: {reason}; export format=onnx"
            )
    return original(self, model)


@seam(
    "DistillationModel.__init__",
    "takes (self, teacher_model, student_model), and sets self.teacher_model to the loaded teacher",
    takes("self", "teacher_model", "student_model"),
)
def _distillation(original: Callable[..., None], self: Any, teacher_model: Any, student_model: Any) -> None:
    refuse_distillation(student_model)
    original(self, teacher_model, student_model)
    refuse_distillation(self.teacher_model)  # it may have been a path before


def refuse_distillation(model: Any) -> None:
    """Raise UnsupportedModelError for an anchor detector."""
    if anchor_head(model) is not None:
        raise UnsupportedModelError(
            "distill_model= cannot act on an anchor detector, as teacher or student: distillation reads the box "
            "distribution of Ultralytics' own head, which this head does not have; train without distill_model"
        )


@seam(
    "DetectionPredictor.get_obj_feats",
    "takes (feat_maps, idxs), idxs being positions along the last dimension of the decoded output",
    takes("feat_maps", "idxs"),
)
def _object_features(original: Callable[..., Any], feat_maps: list[torch.Tensor], idxs: list[torch.Tensor]) -> Any:
    cells = sum(feature.shape[2] * feature.shape[3] for feature in feat_maps)
    return original(feat_maps, [index % cells for index in idxs])  # several anchors share a cell's features


class _SafeLoading:
    """The head among the classes that `torch.load(weights_only=True)`, and so ULTRALYTICS_SAFE_LOAD, may build."""

    fact = "torch keeps a list of classes that weights_only=True may build"

    def missing(self) -> str | None:
        return None if hasattr(torch.serialization, "add_safe_globals") else f"torch.serialization: {self.fact}"

    def install(self) -> None:
        torch.serialization.add_safe_globals(self._heads())

    def uninstall(self) -> None:
        kept = [item for item in torch.serialization.get_safe_globals() if item not in self._heads()]
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(kept)

    @staticmethod
    def _heads() -> list[Any]:
        """The head, and the head under the path that checkpoints of version 0.1 have."""
        return [AnchorDetect, (AnchorDetect, "yolo_focal.ultra.anchor_head.AnchorDetect")]


PATCHES: tuple[Patch, ...] = (
    _parse_model,
    _yaml_model_load,
    dataclasses.replace(
        _yaml_model_load,
        owner="model_module",
        fact="takes (path) and turns the name of a model YAML into its dictionary in YOLO(...)",
    ),
    _init_criterion,
    _export,
    _distillation,
    _object_features,
    _SafeLoading(),
)
