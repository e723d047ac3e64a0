"""The contract with Ultralytics: every name that is taken from it, and what is relied on.

`host.YOLO`, `host.SETTINGS`, ... are the names as they are in the installed version at that moment: nothing is imported
before a name is asked for, and no copy is kept, so that a patched function or a changed global is seen. `NAMES` says
where each comes from and which fact about it this package relies on; `enable()` refuses a version in which one does not
hold. The functions that are replaced are described where they are replaced, as `Seam`s whose owners stand here.
"""

import importlib
import importlib.metadata
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "NAMES",
    "Name",
    "SUPPORTED",
    "missing_names",
    "take",
    "version",
]

SUPPORTED = "ultralytics>=8.4.104"


@dataclass(frozen=True)
class Name:
    """One name of Ultralytics.

    Attributes:
        path: `module`, or `module:name`.
        fact: what is relied on, as a sentence; it is what the user reads where it does not hold.
        members: attributes that it has to have.
        holds: whether the fact holds for what stands there.
    """

    path: str
    fact: str
    members: tuple[str, ...] = ()
    holds: Callable[[Any], bool] | None = None

    @property
    def dotted(self) -> str:
        """The path as it is written in Python."""
        return self.path.replace(":", ".")

    def take(self) -> Any:
        """What stands there; ImportError or AttributeError where nothing does."""
        module, _, name = self.path.partition(":")
        found = importlib.import_module(module)
        return getattr(found, name) if name else found

    def missing(self) -> list[str]:
        """A sentence for everything about it that does not hold in the installed version."""
        try:
            found = self.take()
        except (ImportError, AttributeError):
            return [f"{self.dotted}: {self.fact}"]
        absent = [f"{self.dotted}.{member}: {self.fact}" for member in self.members if not hasattr(found, member)]
        if absent or self.holds is None or self.holds(found):
            return absent
        return [f"{self.dotted}: {self.fact}"]


def _takes(*names: str) -> Callable[[Any], bool]:
    """Whether a function can be called with these arguments by name, or in this order."""
    return lambda function: set(names) <= set(inspect.signature(function).parameters)


def _gives_ap_sixth(ap_per_class: Any) -> bool:
    """One detection that is right: the sixth of the results is AP by class and IoU threshold."""
    results = ap_per_class(np.ones((1, 10), bool), np.array([0.9]), np.array([0.0]), np.array([0.0]))
    return len(results) == 12 and np.shape(results[5]) == (1, 10) and bool((results[5] > 0.9).all())


_OWNER = "holds functions that this package wraps"

NAMES: dict[str, Name] = {
    # The program and its arguments
    "cfg": Name(
        "ultralytics.cfg",
        "has the words and keys of the command line, what reads them, and the command of child trainings",
        (
            *("MODES", "TASKS", "CFG_FLOAT_KEYS", "CFG_FRACTION_KEYS", "CFG_INT_KEYS", "_YOLO_CLI_COMMAND"),
            *("merge_equals_args", "parse_key_value_pair", "check_cfg", "check_dict_alignment", "_handle_deprecation"),
        ),
    ),
    "entrypoint": Name("ultralytics.cfg:entrypoint", "is the yolo command, which reads sys.argv"),
    "get_cfg": Name("ultralytics.cfg:get_cfg", "checks and completes the arguments of a call", (), _takes("overrides")),
    "get_save_dir": Name("ultralytics.cfg:get_save_dir", "gives the folder of a run", (), _takes("args", "name")),
    "smart_value": Name("ultralytics.cfg:smart_value", "reads the value of a word key=value", (), _takes("v")),
    "TASK2METRIC": Name("ultralytics.cfg:TASK2METRIC", "names what Ray Tune maximises, by task"),
    "DEFAULT_CFG": Name("ultralytics.utils:DEFAULT_CFG", "is the namespace of default arguments", ("epochs",)),
    "DEFAULT_CFG_DICT": Name("ultralytics.utils:DEFAULT_CFG_DICT", "is the dictionary of default arguments"),
    "SETTINGS": Name(
        "ultralytics.utils:SETTINGS",
        "has datasets_dir and weights_dir",
        (),
        lambda found: {"datasets_dir", "weights_dir"} <= set(found),
    ),
    "ROOT": Name("ultralytics.utils:ROOT", "is the folder of the package, with its dataset files in cfg/datasets"),
    "RANK": Name("ultralytics.utils:RANK", "is the rank of this process, -1 outside of distributed training"),
    "YAML": Name("ultralytics.utils:YAML", "loads and saves YAML files", ("load", "save")),
    "IterableSimpleNamespace": Name("ultralytics.utils:IterableSimpleNamespace", "is the kind of a model's arguments"),
    "check_file": Name("ultralytics.utils.checks:check_file", "finds a file by name", (), _takes("file", "hard")),
    "check_imgsz": Name("ultralytics.utils.checks:check_imgsz", "judges image sizes", (), _takes("imgsz", "stride")),
    "GITHUB_ASSETS_NAMES": Name(
        "ultralytics.utils.downloads:GITHUB_ASSETS_NAMES", "are the files that Ultralytics downloads by their name"
    ),
    # Models
    "YOLO": Name("ultralytics:YOLO", "loads a model and trains, validates and tunes it", ("train", "val", "tune")),
    "RTDETR": Name("ultralytics:RTDETR", "is the same for RT-DETR", ("train", "val")),
    "Model": Name(
        "ultralytics.engine.model:Model",
        "_smart_load gives the trainer or validator of the model's task",
        ("train", "val", "tune", "_smart_load"),
    ),
    "model_module": Name("ultralytics.engine.model", _OWNER, ("yaml_model_load",)),
    "tasks": Name("ultralytics.nn.tasks", _OWNER, ("parse_model", "yaml_model_load", "torch_safe_load", "SAFE_LOAD")),
    "sam_build": Name("ultralytics.models.sam.build", _OWNER, ("torch_load",)),
    "sam3_build": Name("ultralytics.models.sam.build_sam3", _OWNER, ("torch_load",)),
    "nas_model": Name("ultralytics.models.nas.model", _OWNER, ("torch_load",)),
    "DetectionModel": Name(
        "ultralytics.nn.tasks:DetectionModel",
        "is built from a dictionary",
        ("init_criterion",),
        _takes("cfg", "verbose"),
    ),
    "ClassificationModel": Name("ultralytics.nn.tasks:ClassificationModel", _OWNER, ("init_criterion",)),
    "RTDETRDetectionModel": Name("ultralytics.nn.tasks:RTDETRDetectionModel", _OWNER, ("init_criterion",)),
    "torch_safe_load": Name("ultralytics.nn.tasks:torch_safe_load", "gives the content of a checkpoint and its path"),
    "Detect": Name("ultralytics.nn.modules.head:Detect", "is the base of detection heads", ("bias_init",)),
    "WorldDetect": Name("ultralytics.nn.modules.head:WorldDetect", "scores boxes against text"),
    "YOLOEDetect": Name("ultralytics.nn.modules.head:YOLOEDetect", "scores boxes against text"),
    "DistillationModel": Name("ultralytics.nn.distill_model:DistillationModel", _OWNER),
    "torch_utils": Name(
        "ultralytics.utils.torch_utils",
        "completes the arguments of a checkpoint, and selects the device",
        ("DEFAULT_CFG_DICT", "select_device"),
    ),
    "unwrap_model": Name("ultralytics.utils.torch_utils:unwrap_model", "gives the model inside its wrappers"),
    "unset_deterministic": Name("ultralytics.utils.torch_utils:unset_deterministic", "takes back deterministic mode"),
    # Losses
    "loss": Name("ultralytics.utils.loss", "has the losses of RT-DETR", ("FocalLoss", "VarifocalLoss")),
    "v8DetectionLoss": Name("ultralytics.utils.loss:v8DetectionLoss", _OWNER),
    "E2ELoss": Name("ultralytics.utils.loss:E2ELoss", _OWNER),
    "v8ClassificationLoss": Name("ultralytics.utils.loss:v8ClassificationLoss", "reads batch['cls']", ("__call__",)),
    "SemanticSegmentationLoss": Name("ultralytics.utils.loss:SemanticSegmentationLoss", _OWNER),
    "DETRLoss": Name("ultralytics.models.utils.loss:DETRLoss", "holds fl and vfl", ("_get_loss_class",)),
    # Training, validation, export
    "BaseTrainer": Name(
        "ultralytics.engine.trainer:BaseTrainer",
        _OWNER,
        (
            *("_build_train_pipeline", "_setup_train", "save_model", "save_metrics", "add_callback"),
            *("label_loss_items", "run_callbacks", "final_eval", "build_optimizer"),
        ),
    ),
    "DetectionTrainer": Name(
        "ultralytics.models.yolo.detect.train:DetectionTrainer",
        _OWNER,
        ("set_class_weights",),
    ),
    "trainer_module": Name("ultralytics.engine.trainer", "starts child trainings", ("_YOLO_CLI_COMMAND", "subprocess")),
    "ClassificationTrainer": Name(
        "ultralytics.models.yolo.classify:ClassificationTrainer", _OWNER, ("set_model_attributes",)
    ),
    "Tuner": Name(
        "ultralytics.engine.tuner:Tuner",
        "tells a trial that failed from one that was measured",
        ("_has_training_metrics",),
    ),
    "InfiniteDataLoader": Name(
        "ultralytics.data.build:InfiniteDataLoader", "keeps its workers over the epochs until it is reset", ("reset",)
    ),
    "add_integration_callbacks": Name(
        "ultralytics.utils.callbacks:add_integration_callbacks",
        "imports the packages of the loggers and adds their callbacks to an instance of a class called ...Trainer",
        (),
        _takes("instance"),
    ),
    "tuner_module": Name("ultralytics.engine.tuner", "has the tuner that Model.tune looks up there", ("Tuner",)),
    "dist": Name("ultralytics.utils.dist", _OWNER, ("generate_ddp_file", "generate_ddp_command")),
    "nms": Name("ultralytics.utils.nms", _OWNER, ("non_max_suppression",)),
    "DetectionPredictor": Name("ultralytics.models.yolo.detect.predict:DetectionPredictor", _OWNER, ("get_obj_feats",)),
    "BasePredictor": Name("ultralytics.engine.predictor:BasePredictor", _OWNER, ("run_callbacks", "stream_inference")),
    "ap_per_class": Name(
        "ultralytics.utils.metrics:ap_per_class",
        "gives twelve results, the sixth being AP of shape (classes, 10)",
        (),
        _gives_ap_sixth,
    ),
    "DetMetrics": Name(
        "ultralytics.utils.metrics:DetMetrics",
        "has box.maps, AP of boxes by class, and after a validation nt_per_class, the objects of each",
        (),
        lambda found: hasattr(found(), "nt_per_class") and hasattr(found().box, "maps"),
    ),
    "scale_boxes": Name(
        "ultralytics.utils.ops:scale_boxes",
        "takes boxes from network size to the size of the image",
        (),
        _takes("img1_shape", "boxes", "img0_shape", "ratio_pad", "xywh"),
    ),
    "Exporter": Name("ultralytics.engine.exporter:Exporter", _OWNER, ("__call__",)),
    "export_formats": Name("ultralytics.engine.exporter:export_formats", "lists the formats of an export"),
    # Data
    "BaseDataset": Name("ultralytics.data.base:BaseDataset", _OWNER, ("get_image_and_label", "load_image")),
    "BaseMixTransform": Name("ultralytics.data.augment:BaseMixTransform", "takes its tiles from get_image_and_label"),
    "check_det_dataset": Name(
        "ultralytics.data.utils:check_det_dataset",
        "reads a data YAML and raises where a training could not",
        (),
        _takes("dataset", "autodownload"),
    ),
    "YOLODataset": Name(
        "ultralytics.data:YOLODataset",
        "reads the images and labels of a split; im_files are those that it keeps",
        (),
        _takes("data", "task"),
    ),
    "ClassificationDataset": Name("ultralytics.data:ClassificationDataset", "has its images in samples"),
    "resample_segments": Name("ultralytics.utils.ops:resample_segments", "gives outlines n points", (), _takes("n")),
}


def version() -> str:
    """That of the installed Ultralytics."""
    return importlib.metadata.version("ultralytics")


def take(name: str) -> Any:
    """What `name` of NAMES is in the installed Ultralytics now."""
    return NAMES[name].take()


def __getattr__(name: str) -> Any:
    if name in NAMES:
        return take(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; what is taken from Ultralytics is in NAMES")


def missing_names() -> list[str]:
    """A sentence for every name, member or fact that the installed Ultralytics does not have."""
    return [sentence for name in NAMES.values() for sentence in name.missing()]
