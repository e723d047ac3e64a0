"""What every command of yolo-focal does and takes: read by its help, its command line and its Python function alike."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from yolo_focal.arguments.key import Key, choice, flag, in_range, path, text, text_list
from yolo_focal.arguments.output import output_keys

__all__ = [
    "COCO_SPLITS",
    "COMMANDS",
    "Command",
    "KEPT_WEIGHTS",
    "LABEL_MODES",
    "LINK_MODES",
    "PROFILES",
    "SHELLS",
    "TRUST",
    "VERBOSE",
    "chosen",
]

LINK_MODES = ("copy", "hardlink", "symlink")
LABEL_MODES = ("selected", "all")
PROFILES = ("exponential", "zipf")
SHELLS = ("bash", "zsh", "fish")
KEPT_WEIGHTS = ("last", "none", "best", "all")
COCO_SPLITS = ("train2017", "val2017")
TRUST = flag("trust", False, "load checkpoints by unpickling them, which may run code of whoever wrote them")
VERBOSE = flag("verbose", True, "False: no progress and no tables, one line with the result")
_SPLITS = ("train", "val", "test")
# What several commands take.
_START = Key("model", None, "architecture or checkpoint that every trial starts from", read=text, required=True)
_DATA = Key("data", None, "dataset: a data YAML, or shapes", read=text, required=True)
_IMGSZ = Key("imgsz", 640, "side of the network's input in pixels", in_range(int, 32))
_DEVICE = Key("device", None, "as for yolo: cpu, 0, ...; a GPU where there is one", read=text)


def _several_devices(device: Any) -> str | None:
    return "a single one, on which each trial trains; engine=ray keeps several busy" if "," in str(device) else None


_LINK = choice("link", "copy", "how images get there", LINK_MODES)
_VALIDATION = (
    Key("iou", 0.7, "overlap above which NMS drops the weaker box", in_range(float, 0, 1)),
    Key("max_det", 300, "most detections an image", in_range(int, 1)),
    Key("batch", 16, "images at a time", in_range(int, 1)),
    Key("device", None, "device, as Ultralytics writes it: cpu, 0, mps", read=text),
)


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        summary: what it does, one line.
        keys: what it takes.
        training: whether it takes training arguments beside its own keys.
    """

    summary: str
    keys: tuple[Key, ...]
    training: bool = False


LARGEST_SEED = 2**32 - 1  # that Ultralytics and NumPy take
MOST_TRAININGS = 10_000  # trainings of one configuration


def seed_list(given: Any) -> list[int]:
    """A number of seeds, counted from 0, or the seeds themselves: `3`, `7,8,9`, `7,`."""
    expected = (
        f"how many seeds (1 to {MOST_TRAININGS}), or a list of different ones from 0 to {LARGEST_SEED}, as in seeds=3, "
        "seeds=7,8,9 or seeds=7,"
    )
    listed = isinstance(given, list | tuple) or any(mark in str(given) for mark in ",[(")
    try:
        numbers = [int(item) for item in str(given).strip("[]()").split(",") if item.strip()]
    except ValueError:
        raise ValueError(expected) from None
    most = LARGEST_SEED if listed else MOST_TRAININGS
    if not numbers or min(numbers) < (not listed) or max(numbers) > most or len(set(numbers)) < len(numbers):
        raise ValueError(expected)
    return numbers if listed else list(range(numbers[0]))


_DEMO = (
    Key("model", "yolo11n.yaml", "architecture or checkpoint to train", read=text),
    Key("data", "shapes", "dataset to train and evaluate on", read=text),
    Key("epochs", 12, "length of each training", in_range(int, 1)),
    Key("imgsz", 128, "side of the network's input in pixels", in_range(int, 32)),
    Key("batch", 8, "images per step", in_range(int, 1)),
    Key("seed", 0, "seed of all trainings", in_range(int, 0, LARGEST_SEED)),
    _DEVICE,
    TRUST,
    *output_keys("folder of the report and the trainings"),
)
_DOCTOR = (
    Key("model", None, "architecture or checkpoint, as it would be trained", read=text, required=True),
    _DATA,
    _IMGSZ,
    Key("batch", 16, "images in the batch", in_range(int, 1)),
    Key("seed", 0, "seed of the weights, the batch and its augmentation", in_range(int, 0, LARGEST_SEED)),
    _DEVICE,
    TRUST,
    *output_keys("folder of doctor.txt, doctor.json and doctor.png"),
)
_EVALUATE = (
    Key("model", None, "model to evaluate: a checkpoint or an exported model", read=text),
    Key("data", None, "its dataset: a data YAML, shapes, or a COCO annotation file (with images=)", read=text),
    choice("split", "val", "split of the data YAML", _SPLITS),
    Key("predictions", None, "in place of a model: a COCO results file (with annotations=)", read=text),
    Key("annotations", None, "COCO annotation file to measure against, in place of YOLO labels", read=text),
    Key("images", None, "folder of the images of a COCO annotation file given as data=", read=text),
    Key("train_annotations", None, "COCO annotation file to count class frequencies in", read=text),
    choice("buckets", "thirds", "rare/common/frequent: thirds of the classes, or lvis thresholds", ("thirds", "lvis")),
    choice(
        "classes",
        "match",
        "match: model by class name, predictions by category_id; known: leave out ids not annotated; index: by number",
        ("match", "known", "index"),
    ),
    _IMGSZ,
    Key("conf", 0.001, "least score of a detection", in_range(float, 0, 1)),
    *_VALIDATION,
    flag("nms", None, "False: evaluate the NMS-free head of an end-to-end model, not the one for NMS"),
    choice(
        "engine",
        "own",
        "of COCO's twelve numbers: own, or pycocotools, the reference, to check against",
        ("own", "pycocotools"),
    ),
    TRUST,
    *output_keys("folder of evaluation.json, per_class.csv and the plots"),
)
_COMPARE = (
    _DATA,
    _START,
    Key(
        "losses",
        "bce,focal,qfl",
        "configurations: losses, presets, YAML files, cls_pw, or name:fl_gamma=2,fl_alpha=0.5; bce is always there",
        read=text,
    ),
    Key("seeds", [0, 1, 2], "number of trainings of each, or the seeds themselves: 3, or 7,8,9", read=seed_list),
    Key("epochs", 100, "length of each training", in_range(int, 1)),
    _IMGSZ,
    Key("batch", 16, "images per step", in_range(int, 1)),
    replace(_DEVICE, problem=_several_devices),
    choice("split", "val", "split of the data YAML to evaluate on", _SPLITS),
    Key("resamples", 1000, "of the images, behind each interval", in_range(int, 100)),
    choice("engine", "local", "local: one trial at a time; ray: a Ray cluster", ("local", "ray")),
    Key("parallel", 2, "engine=ray without a cluster: trials at a time", in_range(int, 1)),
    flag("extend", False, "add seeds or losses to the comparison in out="),
    choice(
        "keep", "last", f"weights that stay of each trial once it is evaluated: {', '.join(KEPT_WEIGHTS)}", KEPT_WEIGHTS
    ),
    flag("dry_run", False, "say what would be trained, and train and write nothing"),
    TRUST,
    *output_keys("folder of the comparison; the same one again continues it", overwrites=False),
)
_CALIBRATE = (
    Key("model", None, "checkpoint (.pt) to recalibrate", read=path, required=True),
    Key("data", None, "a data YAML, or shapes", read=text, required=True),
    choice("split", "val", "split to fit the map on", _SPLITS),
    choice(
        "evaluate_split",
        None,
        "split to measure before and after on; if not given, test or val, whichever the map was not fitted on",
        _SPLITS,
    ),
    flag("per_class", False, "a shift for each class on top of the common map"),
    Key("imgsz", None, "side of the network's input in pixels; as in its training by default", in_range(int, 32)),
    *_VALIDATION,
    TRUST,
    *output_keys("folder of NAME-calibrated.pt, its .json and .png, or the checkpoint itself (.pt)"),
)
_TUNE = (
    _START,
    Key("data", None, "dataset to train and validate on", read=text, required=True),
    Key("space", "focal", "search space: a YAML file of lines 'key: [low, high]', or a name in cfg/search", read=text),
    Key("iterations", 30, "number of trials", in_range(int, 1)),
    flag("use_ray", False, "Ray Tune, with as many trials at a time as the machine has room for"),
    TRUST,
    Key("out", None, "hyperparameter file for the best values; best.yaml in the tuner's folder by default", read=path),
)
_SUBSET = (
    Key(
        "annotations",
        None,
        "COCO-format JSON file, or train2017 / val2017 (downloaded if needed)",
        read=text,
        required=True,
    ),
    Key("images", None, "folder of its images; not needed for train2017 / val2017", read=text),
    *output_keys("new folder to write", overwrites=False),
    Key(
        "categories",
        [],
        "names or ids of the categories that decide which images come in; all if empty",
        read=text_list,
    ),
    choice("labels", "selected", "write objects of the selected categories only, or of all", LABEL_MODES),
    Key("max_images", None, "most training images", in_range(int, 1)),
    Key("min_per_class", None, "training instances to reach for every class", in_range(int, 1)),
    Key("max_per_class", None, "training instances no class may exceed", in_range(int, 1)),
    choice("profile", None, f"long tail over training instances: {' or '.join(PROFILES)}", PROFILES),
    Key(
        "imbalance", 50.0, "long tail: instances of the most over those of the least frequent class", in_range(float, 1)
    ),
    Key(
        "largest",
        None,
        "long tail: instances of the most frequent class; as many as possible if absent",
        in_range(int, 1),
    ),
    flag("keep_empty", False, "also take images without any annotation"),
    Key("val_annotations", None, "annotations of the validation split: a JSON file, or val2017", read=text),
    Key("val_images", None, "folder of the validation images", read=text),
    Key(
        "val_share",
        0.0,
        "share of the images set aside for validation, where no val_annotations",
        in_range(float, 0, 0.9),
    ),
    _LINK,
    Key("seed", 0, "of every random choice", in_range(int, 0)),
)
_YOLO2COCO = (
    Key("data", None, "data YAML, its folder, or a bare name such as shapes", read=text, required=True),
    *output_keys("folder of instances_SPLIT.json"),
)
_VOC2YOLO = (
    Key("voc", None, "folder with Annotations/, JPEGImages/ and perhaps ImageSets/Main/", read=path, required=True),
    *output_keys("new folder to write", overwrites=False),
    Key("names", [], "classes in order; all that occur, sorted, if empty", read=text_list),
    flag("difficult", True, "keep objects marked difficult"),
    Key("first_pixel", 0, "1 for the original VOC convention (pixels from 1, corners inclusive)", in_range(int, 0, 1)),
    Key("val_share", 0.0, "share set aside for validation where there are no split files", in_range(float, 0, 0.9)),
    _LINK,
    Key("seed", 0, "of the choice of validation images", in_range(int, 0)),
)
_CONVERT = (
    Key("weights", None, "original YOLOv5 checkpoint (v6.0 to v7.0, n to x, P5 or P6)", read=path, required=True),
    *output_keys("folder of NAME-anchor.pt, or the checkpoint itself (.pt)"),
    Key("data", None, "a data YAML; its number of classes must be the checkpoint's", read=text),
)
_COMPLETION = (choice("shell", None, f"one of {', '.join(SHELLS)}", SHELLS, required=True, leading=True),)

_THAT_WORK: Mapping[str, Command] = {
    "demo": Command(
        "train BCE, focal and rare classes shown more often on built-in long-tail data; minutes on two CPU cores",
        _DEMO,
        training=True,
    ),
    "doctor": Command(
        "which loss runs where, gradient of positives, negatives and classes, data problems, advice",
        _DOCTOR,
        training=True,
    ),
    "evaluate": Command(
        "COCO's AP by class and class frequency, thresholds, calibration: of a model or a results file", _EVALUATE
    ),
    "compare": Command(
        "train losses side by side over several seeds; better, worse or cannot tell, with 95 % intervals",
        _COMPARE,
        training=True,
    ),
    "calibrate": Command(
        "refit the scores of a checkpoint on a split, fold the map into its weights, write a stock checkpoint",
        _CALIBRATE,
    ),
    "tune": Command(
        "search training arguments with Ultralytics' tuner or Ray Tune, the focal ones among them", _TUNE, training=True
    ),
    "subset": Command(
        "COCO-format annotations + images -> a subset by category, number or long tail, for YOLO and COCO tools",
        _SUBSET,
    ),
    "yolo2coco": Command("YOLO dataset -> COCO annotation files, one per split", _YOLO2COCO),
    "voc2yolo": Command("Pascal VOC dataset (XML files) -> YOLO dataset", _VOC2YOLO),
    "convert": Command("an original YOLOv5 checkpoint -> this package's anchor detector", _CONVERT),
}

COMMANDS: Mapping[str, Command] = {
    **{name: replace(command, keys=(*command.keys, VERBOSE)) for name, command in _THAT_WORK.items()},
    "completion": Command(
        'print what makes a shell complete commands, arguments and their values: eval "$(yolo-focal completion bash)"',
        _COMPLETION,
    ),
}


def chosen(command: str, arguments: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """`name=value` of those of `names` that do not stand at their default in `arguments`, the values of a command."""
    defaults = {key.name: key.default for key in COMMANDS[command].keys}
    return [f"{name}={arguments[name]}" for name in names if name in arguments and arguments[name] != defaults[name]]
