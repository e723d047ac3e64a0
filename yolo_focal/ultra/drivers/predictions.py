"""The detections of any model Ultralytics loads on a split of a dataset, collected while its own validator runs.

The validator stays in charge of loading, batching, NMS and its metrics; this module only looks over its shoulder.
"""

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from yolo_focal.data.progress_bar import open_bar
from yolo_focal.errors import DataError, UnsupportedModelError, YoloFocalError, reason_of
from yolo_focal.ultra import host
from yolo_focal.ultra.datasets import UPRIGHT_BOX_TASKS, check_data_exists, explained_dataset_errors, resolve_data
from yolo_focal.ultra.drivers.load_model import load_model, unloadable
from yolo_focal.ultra.hooks.nms import SEAMS as NMS_SEAMS
from yolo_focal.ultra.hooks.nms import count_candidates
from yolo_focal.ultra.hooks.seam import MARK
from yolo_focal.ultra.logger import warnings_only

__all__ = [
    "Predictions",
    "collect_predictions",
    "imgsz_of_training",
    "remove_label_cache",
    "ultralytics_average_precision",
]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model found in a split of a dataset, and what finding it took.

    Attributes:
        names: the class names of the model, by class index.
        image_files: the images in the order of validation, as Ultralytics lists them.
        image_sizes: (width, height) in pixels of each original image.
        image: (D,) index into `image_files` of each detection.
        category: (D,) class index of the model.
        boxes_xyxy: (D, 4) corners in pixels of the original image, which they may leave.
        scores: (D,) confidence, falling within an image.
        candidates_per_image: (box, class) pairs above `conf` that reached NMS, image by image; None for a model that
            selects its boxes itself (end-to-end heads, RT-DETR).
        speed_ms: milliseconds per image: preprocess, inference, postprocess.
        ultralytics_metrics: precision, recall, mAP50 and mAP50-95 of the boxes, as the validator prints them.
        trained_imgsz: side of the network's input in pixels in the model's training; None where it does not say.
    """

    names: tuple[str, ...]
    image_files: tuple[Path, ...]
    image_sizes: tuple[tuple[int, int], ...]
    image: npt.NDArray[np.int64]
    category: npt.NDArray[np.int64]
    boxes_xyxy: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    candidates_per_image: tuple[int, ...] | None
    speed_ms: dict[str, float]
    ultralytics_metrics: dict[str, float]
    trained_imgsz: int | None

    @property
    def lost_images(self) -> tuple[Path, ...] | None:
        """Images with candidates but without a detection: NMS never got to them. None where there is no NMS."""
        if self.candidates_per_image is None:
            return None
        detections = np.bincount(self.image, minlength=len(self.image_files))
        pairs = zip(self.image_files, self.candidates_per_image, detections, strict=True)
        return tuple(file for file, candidates, found in pairs if candidates and not found)


def collect_predictions(
    model: Any,
    data: str | Path,
    *,
    split: str = "val",
    imgsz: int = 640,
    conf: float = 0.001,
    iou: float = 0.7,
    max_det: int = 300,
    batch: int = 16,
    device: str | None = None,
    nms: bool | None = None,
) -> Predictions:
    """Validate `model` on `data` with Ultralytics' own validator and keep every detection; leaves no file behind.

    Args:
        model: an `ultralytics.YOLO` or `RTDETR`, or anything `ultralytics.YOLO` loads.
        data: a data YAML, the name of an Ultralytics dataset, or `shapes`.
        split: `train`, `val` or `test`.
        imgsz: side of the network's input in pixels.
        conf: least score of a detection.
        iou: overlap above which NMS drops the weaker box.
        max_det: most detections per image.
        batch: images per step.
        device: as Ultralytics' `device`; its choice where None.
        nms: False for the NMS-free head of an end-to-end model, where Ultralytics otherwise validates the other head.

    Raises:
        CheckpointError: the model cannot be loaded.
        UnsupportedModelError: its task has no upright boxes.
        DataError: `data` does not exist, or has no masks or keypoints for a model that predicts them.
    """
    data = resolve_data(str(data))
    check_data_exists(data)
    model = _load(model)
    record = _Record(split)
    validator = _recording(model, record)
    trained_imgsz = imgsz_of_training(model.ckpt or {})
    started = time.time()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="yolo_focal_") as folder,
            _lifted_time_limit(),
            count_candidates() as count,
            explained_dataset_errors(data, (split,), task=str(model.task)),
            warnings_only(),
            contextlib.closing(record),
        ):
            metrics = _validated(
                model,
                validator=validator,
                data=data,
                split=split,
                imgsz=imgsz,
                conf=conf,
                iou=iou,
                max_det=max_det,
                batch=batch,
                device=device,
                **({} if nms is None else {"nms": nms}),
                project=folder,
                name="val",
                plots=False,
                save_json=False,
                val=False,  # else official COCO splits are also evaluated with a package that may not be installed
                verbose=False,
            )
    finally:
        remove_label_cache(record.label_files, started)
    return record.predictions(metrics, tuple(count.per_image) or None, trained_imgsz)


def imgsz_of_training(checkpoint: Mapping[str, Any]) -> int | None:
    """The larger side of the network's input in pixels of a checkpoint's training; None where it is not told."""
    size = (checkpoint.get("train_args") or {}).get("imgsz")
    return int(np.max(size)) if size else None


def ultralytics_average_precision(
    matched: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float64],
    category: npt.NDArray[np.int64],
    object_category: npt.NDArray[np.int64],
) -> dict[str, float]:
    """mAP50 and mAP50-95 by Ultralytics' interpolation of the precision-recall curve, from matches made elsewhere.

    Args:
        matched: (D, 10) whether each detection found an object at IoU 0.50:0.95.
        scores: (D,) confidence.
        category: (D,) class index.
        object_category: (G,) class index of each object.
    """
    *_, ap, _, _, _, _, _, _ = host.ap_per_class(matched, scores, category, object_category)
    return {"mAP50": float(ap[:, 0].mean()), "mAP50-95": float(ap.mean())} if len(ap) else {}


def _validated(model: Any, data: str | Path, **settings: Any) -> Any:
    try:
        return model.val(data=data, **settings)
    except Exception as error:
        # The errors of ONNX Runtime have no base but Exception; of some Ultralytics makes a TypeError.
        if type(error).__module__.startswith("onnxruntime") or "not a loadable" in str(error):
            raise unloadable(model.model, error) from error
        if model.task == "detect" or not isinstance(error, KeyError | ValueError) or isinstance(error, YoloFocalError):
            raise
        raise DataError(
            f"data={data} does not suit a model for '{model.task}' ({reason_of(error)}); its labels must be of that "
            "kind"
        ) from error


class _Record:
    """Grows batch by batch during a validation."""

    def __init__(self, split: str) -> None:
        self._bar = open_bar(None, f"reading {split}", unit="batch")
        self._predicting = f"predicting {split}"
        self.names: tuple[str, ...] = ()
        self.label_files: Sequence[str] = ()
        self.image_files: list[Path] = []
        self.image_sizes: list[tuple[int, int]] = []
        self._rows: list[npt.NDArray[np.float64]] = []

    def start(self, batches: int) -> None:
        """Begin the bar anew, with the number of batches to come."""
        self._bar.set_description(self._predicting, refresh=False)
        self._bar.reset(batches)

    def end_batch(self) -> None:
        """Move the bar by one batch."""
        self._bar.update(1)

    def close(self) -> None:
        """Close the bar."""
        self._bar.close()

    def add(self, file: str, shape: Sequence[int], rows: npt.NDArray[np.float64]) -> None:
        """Note one image of (height, width) `shape` and its (n, 6) detections: corners, score, class."""
        order = np.argsort(-rows[:, 4], kind="stable")
        self._rows.append(np.c_[np.full(len(rows), len(self.image_files)), rows[order]])
        self.image_files.append(Path(file))
        self.image_sizes.append((int(shape[1]), int(shape[0])))

    def predictions(self, metrics: Any, candidates: tuple[int, ...] | None, trained_imgsz: int | None) -> Predictions:
        """Everything noted, with the validator's own numbers."""
        rows = np.concatenate([*self._rows, np.zeros((0, 7))])
        precision, recall, map50, map50_95 = metrics.box.mean_results()
        return Predictions(
            names=self.names,
            image_files=tuple(self.image_files),
            image_sizes=tuple(self.image_sizes),
            image=rows[:, 0].astype(np.int64),
            category=rows[:, 6].astype(np.int64),
            boxes_xyxy=rows[:, 1:5],
            scores=rows[:, 5],
            candidates_per_image=candidates,
            speed_ms={step: float(metrics.speed[step]) for step in ("preprocess", "inference", "postprocess")},
            ultralytics_metrics={
                "precision": float(precision),
                "recall": float(recall),
                "mAP50": float(map50),
                "mAP50-95": float(map50_95),
            },
            trained_imgsz=trained_imgsz,
        )


def _recording(model: Any, record: _Record) -> type[Any]:
    """A subclass of the validator of a detector that notes each image's detections in original pixels."""
    scale_boxes = host.scale_boxes

    class RecordingValidator(model._smart_load("validator")):  # type: ignore[misc]
        def get_dataloader(self, *args: Any, **kwargs: Any) -> Any:
            _refuse_other_channels(model.model, self.args.data, self.data["channels"])
            loader = super().get_dataloader(*args, **kwargs)
            record.label_files = loader.dataset.label_files
            return loader

        def init_metrics(self, model: Any) -> None:
            super().init_metrics(model)
            record.names = tuple(str(name) for name in self.names.values())
            record.start(len(self.dataloader))

        def update_metrics(self, preds: list[dict[str, Any]], batch: dict[str, Any]) -> None:
            super().update_metrics(preds, batch)
            for index, prediction in enumerate(preds):
                shape = batch["ori_shape"][index]
                # Scaled as boxes, they would be clipped to the image; their corners, as points, are not.
                points = torch.nn.functional.pad(prediction["bboxes"].reshape(-1, 2), (0, 2))
                ratio_pad = batch["ratio_pad"][index]
                points = scale_boxes(batch["img"].shape[2:], points, shape, ratio_pad=ratio_pad, xywh=True)
                columns = (points[:, :2].reshape(-1, 4), prediction["conf"][:, None], prediction["cls"][:, None])
                rows = np.concatenate([column.float().cpu().numpy() for column in columns], axis=1)
                record.add(batch["im_file"][index], shape, rows.astype(np.float64))
            record.end_batch()

    return RecordingValidator


def _load(model: Any) -> Any:
    if isinstance(model, str | Path):
        model = load_model(model)
    if model.task not in UPRIGHT_BOX_TASKS:
        raise UnsupportedModelError(
            f"a model for '{model.task}' has no upright boxes to evaluate; expected one for "
            f"{', '.join(UPRIGHT_BOX_TASKS)}: use yolo val for the others"
        )
    return model


def _refuse_other_channels(model: Any, data: str | Path, channels: int) -> None:
    """Raise where a model, unless it is an exported one, takes images of another number of channels than a dataset has.

    Raises:
        DataError: with both numbers.
    """
    takes = getattr(model, "yaml", {}).get("channels", channels)  # which old checkpoints do not say
    if takes != channels:
        raise DataError(
            f"data={data} has images of {channels} channels (channels:), but the model takes {takes}; correct it, or "
            "give a model that was trained on such images"
        )


@contextlib.contextmanager
def _lifted_time_limit() -> Iterator[None]:
    """NMS without its time limit, also where the plugin is not enabled, which then stays so."""
    absent = [seam for seam in NMS_SEAMS if not hasattr(getattr(host.take(seam.owner), seam.name), MARK)]
    for seam in absent:
        seam.install()
    try:
        yield
    finally:
        for seam in absent:
            seam.uninstall()


def remove_label_cache(label_files: Sequence[str], started: float) -> None:
    """Remove the cache that Ultralytics wrote beside the labels since `started`; an older one was valid and stays."""
    for folder in {Path(file).parent for file in label_files[:1]}:
        cache = folder.with_suffix(".cache")
        if cache.is_file() and cache.stat().st_mtime >= started:
            cache.unlink(missing_ok=True)  # another evaluation of the same data may have been quicker
