"""Training arguments: known to Ultralytics while the plugin is enabled, checked in every call, gone where focal is off.

Upstream keeps one dictionary and one namespace of defaults that every trainer and validator starts from. The keys are
added to these two objects in place; two functions that see each call's arguments check them and drop the plugin's keys
where focal is off, so that args.yaml, checkpoints and child processes of such a run are those of stock Ultralytics.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from yolo_focal.arguments.anchor import ANCHOR_KEYS
from yolo_focal.arguments.focal import KEYS, focal_keys, read_config
from yolo_focal.arguments.key import plain, problems_of
from yolo_focal.arguments.rare import RARE_KEYS, rare_problems, read_rare_config
from yolo_focal.arguments.training_keys import TRAINING_KEYS
from yolo_focal.arguments.yolo_words import VERBS
from yolo_focal.errors import ConfigError
from yolo_focal.spelling import closest, did_you_mean
from yolo_focal.ultra import host
from yolo_focal.ultra.datasets import resolve_data
from yolo_focal.ultra.hooks.auto_alpha import settled_config
from yolo_focal.ultra.hooks.seam import seam
from yolo_focal.ultra.logger import silence

__all__ = ["PATCHES", "check_call", "misspelt"]

_MODES_WITHOUT_LOSS = frozenset(VERBS) - {"train"}


class _Registration:
    """The plugin's keys among Ultralytics' defaults."""

    fact = "DEFAULT_CFG_DICT and DEFAULT_CFG are the one dictionary and the one namespace of default arguments"

    def missing(self) -> str | None:
        try:
            default = inspect.signature(host.get_cfg).parameters["cfg"].default
            if default is host.DEFAULT_CFG_DICT and hasattr(host.DEFAULT_CFG, "epochs"):
                return None
        except (ImportError, AttributeError, KeyError):
            pass
        return f"ultralytics.utils.DEFAULT_CFG_DICT: {self.fact}"

    def install(self) -> None:
        defaults, namespace = host.DEFAULT_CFG_DICT, host.DEFAULT_CFG
        for name, key in TRAINING_KEYS.items():
            defaults.setdefault(name, key.default)
            setattr(namespace, name, defaults[name])

    def uninstall(self) -> None:
        defaults, namespace = host.DEFAULT_CFG_DICT, host.DEFAULT_CFG
        for name in TRAINING_KEYS:
            defaults.pop(name, None)
            vars(namespace).pop(name, None)


class _CheckpointDefaults:
    """Stock defaults for the two functions that complete a checkpoint's arguments, so that focal off is absent there.

    Both keep the plugin's keys of a focal run: they filter by the live keys of the dictionary of defaults.
    """

    fact = "imports DEFAULT_CFG_DICT by name and completes the arguments of a checkpoint from it"
    modules = ("torch_utils", "tasks")

    def missing(self) -> str | None:
        for module in self.modules:
            if "DEFAULT_CFG_DICT" not in vars(host.take(module)):
                return f"{host.NAMES[module].dotted}.DEFAULT_CFG_DICT: {self.fact}"
        return None

    def install(self) -> None:
        for module in self.modules:
            stock = {name: value for name, value in host.DEFAULT_CFG_DICT.items() if name not in TRAINING_KEYS}
            vars(host.take(module))["DEFAULT_CFG_DICT"] = stock

    def uninstall(self) -> None:
        for module in self.modules:
            vars(host.take(module))["DEFAULT_CFG_DICT"] = host.DEFAULT_CFG_DICT


_YOLOV5_WORDS = {
    "hyp": "cfg=FILE, which reads YOLOv5's files too",
    "image_weights": "rare_sampling=auto, which draws images of rare classes more often",
    "weights": "model=FILE; 'yolo-focal convert' reads an original checkpoint",
    "img": "imgsz=",
    "img_size": "imgsz=",
    "batch_size": "batch=",
    "noautoanchor": "autoanchor=False, for the anchor detector",
}


def _is_deprecated(name: str) -> bool:
    """Whether Ultralytics still takes `name`, with a warning, to rename it or to leave it out."""
    with silence():  # which it gives here as well
        return name not in host.cfg._handle_deprecation({name: True})


def misspelt(given: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """A sentence for every key of `given` that is not among the `known` arguments, with the closest one."""
    allowed = {*known, "augmentations", "save_dir"}  # upstream accepts these two beyond its defaults
    sentences = []
    for name in given:
        if name in allowed or _is_deprecated(name):
            continue
        if (here := _YOLOV5_WORDS.get(name.lstrip("-").replace("-", "_"))) is not None:
            sentences.append(f"'{name}' is YOLOv5's; here it is {here}")
        else:
            hint = did_you_mean(name, known, "'yolo-focal help' lists the arguments")
            sentences.append(f"'{name}' is not a training argument; {hint}")
    return sentences


def check_call(given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Check what the user gave in one call: unknown keys and bad values of this plugin's keys, all reported together.

    A call that neither uses nor misspells a key of this plugin is left to Ultralytics' own checks.

    Raises:
        ConfigError: with one sentence per problem.
    """
    unknown = [name for name in given if name not in known and not _is_deprecated(name)]
    meant_for_us = [name for name in unknown if closest(name, known) in TRAINING_KEYS]
    acting = [name for name in given if name in TRAINING_KEYS and (name != "focal" or given[name])]
    if not (meant_for_us or acting):
        return
    problems = misspelt(given, known) + problems_of(ANCHOR_KEYS, given) + rare_problems(given)
    try:
        read_config(given)
    except ConfigError as error:
        problems += error.problems
    mode = given.get("mode", "train")
    if mode in _MODES_WITHOUT_LOSS and acting:
        problems.append(f"{', '.join(acting)} cannot act in mode={mode}, where no loss is computed; leave them out")
    if problems:
        raise ConfigError(problems)


@seam(
    "cfg.check_dict_alignment",
    "takes (base, custom) and sees the arguments of each call before they are merged into the defaults",
    lambda function: list(inspect.signature(function).parameters)[:2] == ["base", "custom"],
)
def _alignment(
    original: Callable[..., None], base: Mapping[str, Any], custom: dict[str, Any], *args: Any, **kwargs: Any
) -> None:
    if "focal" not in base:  # some other dictionary: settings, solutions
        return original(base, custom, *args, **kwargs)
    custom |= {name: plain(value) for name, value in custom.items() if name in TRAINING_KEYS}
    check_call(custom, base)
    if focal_keys(custom):
        custom.setdefault("focal", True)  # any fl_* switches the plugin on; from here on the key says so
    return original(base, custom, *args, **kwargs)


@seam(
    "cfg.check_cfg",
    "takes the merged arguments as a dictionary, and get_cfg calls it for every trainer and validator",
    lambda function: (
        list(inspect.signature(function).parameters)[:1] == ["cfg"] and "check_cfg" in host.get_cfg.__code__.co_names
    ),
)
def _check_cfg(original: Callable[..., None], cfg: dict[str, Any], *args: Any, **kwargs: Any) -> None:
    if _is_live(cfg):
        return original(cfg, *args, **kwargs)
    if read_config(cfg) is None:
        for name in KEYS:
            cfg.pop(name, None)
    if read_rare_config(cfg) is None:
        for name in RARE_KEYS:
            cfg.pop(name, None)
    for name, key in ANCHOR_KEYS.items():
        if cfg.get(name) == key.default:  # absent and at its default are the same to the anchor detector
            cfg.pop(name, None)
    original(cfg, *args, **kwargs)
    cfg["data"] = resolve_data(cfg.get("data"))  # after the types are judged: to resolve may be to draw
    # Of several datasets each for itself; that of a resumed training stands in its checkpoint.
    if cfg.get("mode") == "train" and not cfg.get("resume") and not isinstance(cfg["data"], list | tuple):
        settled_config(cfg)  # for its refusals, before anything is written
    return None


def _is_live(cfg: Mapping[str, Any]) -> bool:
    """Whether `cfg` is the dictionary of defaults itself: upstream passes it when a call has no arguments."""
    return cfg is host.DEFAULT_CFG_DICT or cfg is vars(host.DEFAULT_CFG)


PATCHES = (_Registration(), _CheckpointDefaults(), _alignment, _check_cfg)
