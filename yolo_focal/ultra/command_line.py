"""The `yolo` command with the plugin on: arguments are checked first, then handed to Ultralytics' entry point."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

import yolo_focal
from yolo_focal.arguments.classic_hyp import is_classic
from yolo_focal.arguments.command_line import parse_arguments
from yolo_focal.arguments.commands import TRUST
from yolo_focal.arguments.hyp import find_hyp, read_hyp
from yolo_focal.arguments.training_keys import TRAINING_KEYS
from yolo_focal.arguments.yolo_words import SPECIAL
from yolo_focal.errors import CheckpointError, ConfigError, DataError, MissingExtraError, YoloFocalError, reason_of
from yolo_focal.paths import exists
from yolo_focal.ultra import host
from yolo_focal.ultra.anchor.checks import translate_for
from yolo_focal.ultra.datasets import check_data_exists, datasets_folder, resolve_data
from yolo_focal.ultra.drivers.check_before_run import check_before_run
from yolo_focal.ultra.drivers.load_model import load_model, refuse_original_yolov5
from yolo_focal.ultra.hooks.arguments import check_call, misspelt
from yolo_focal.ultra.hooks.checkpoints import refuse_missing, safe_loading

__all__ = ["checked_words", "run_child", "run_yolo"]

_BARE_SWITCHES = frozenset({"half", "int8", "end2end", "nms"})  # upstream takes these words alone as True


def run_yolo(words: Sequence[str]) -> int:
    """Do what `yolo WORDS` does, with the plugin enabled, and load checkpoints as `trust=` among the words says.

    Raises:
        YoloFocalError: an argument is unknown or wrong, or a file is missing; nothing was started.
    """
    trust, words = _trust(words)
    if not words:
        raise ConfigError("trust= stands alone; add what to do, as in yolo-focal val model=best.pt trust=True")
    with safe_loading(trust):  # from the checks on, some of which load the model
        return run_child(words)


def run_child(words: Sequence[str]) -> int:
    """Do what `yolo WORDS` does, with the plugin enabled, and load checkpoints as the environment says.

    Raises:
        YoloFocalError: as `run_yolo`.
    """
    sys.argv[:] = ["yolo", *words]  # Ultralytics keeps this very list and behaves as a command line when it starts so
    yolo_focal.enable()
    _refuse_bare_arguments(words)
    if words[0].lstrip("-") not in SPECIAL:
        sys.argv[1:] = checked_words(words)
    try:
        host.entrypoint()
    except BrokenPipeError:
        raise
    except ModuleNotFoundError as error:  # of a format to export to, most likely
        if error.name is None or error.name.split(".")[0] in ("ultralytics", "yolo_focal"):
            raise
        raise MissingExtraError(f"{error.name} is not installed; install it: pip install {error.name}") from error
    except OSError as error:  # missing, unwritable, disk full
        raise _missing_model(error, words) or DataError(reason_of(error)) from error
    except (ValueError, TypeError, NotImplementedError, AssertionError) as error:
        if isinstance(error, YoloFocalError) or not _refused_value(error, words):
            raise
        raise ConfigError(reason_of(error)) from error
    _add_our_part(words[0].lstrip("-"))
    return 0


def _refused_value(error: Exception, words: Sequence[str]) -> bool:
    """Whether `error` tells the user about the value of one of the command line's words, `name=value`."""
    message = str(error)
    pairs = [word.lstrip("-").partition("=")[::2] for word in words if "=" in word]
    return any(
        (value and any(quoted in message for quoted in (f"{name}={value}", f"{name}='{value}'", f"'{value}'")))
        or (name == "model" and value.endswith(".pt") and value in message)  # a checkpoint that cannot be used
        for name, value in pairs
    )


def _add_our_part(command: str) -> None:
    """What Ultralytics' lists of versions and of arguments lack."""
    if command == "checks":
        print(f"{'yolo_focal':<23}{yolo_focal.__version__}")
    elif command == "cfg":
        defaults = {name: key.default for name, key in TRAINING_KEYS.items()}
        print(
            f"# of yolo_focal, each explained by yolo-focal help\n{yaml.safe_dump(defaults, sort_keys=False)}", end=""
        )


def _refuse_bare_arguments(words: Sequence[str]) -> None:
    """Without a command Ultralytics would train its default model with them."""
    ours = [word for word in words if word.partition("=")[0].lstrip("-") in TRAINING_KEYS]
    verbs = {*host.cfg.MODES, *SPECIAL}
    if ours and not any(word in verbs or word.lstrip("-").startswith(("mode=", "model=")) for word in words):
        raise ConfigError(f"{ours[0]} stands alone; write yolo-focal train model=yolo11n.pt data=DATA.yaml {ours[0]}")


def _missing_model(error: OSError, words: Sequence[str]) -> CheckpointError | None:
    """What to say where the error is about the model named among the words, which is not there."""
    named = [word.partition("=")[2] for word in words if word.lstrip("-").startswith("model=")]
    if not named or exists(Path(named[-1])):
        return None
    missing = f"model={named[-1]} does not exist"
    if re.fullmatch(r"yolov5[nsmlx]6?\.pt", named[-1]):
        return CheckpointError(
            f"{missing}, and Ultralytics looks for its own successor {named[-1][:-3]}u.pt; for an original YOLOv5 "
            "checkpoint, yolo-focal convert weights=FILE"
        )
    if not isinstance(error, FileNotFoundError) or named[-1] not in str(error):
        return None
    return CheckpointError(f"{missing}; give an architecture such as yolo11n.yaml, or a checkpoint that is there")


def _trust(words: Sequence[str]) -> tuple[bool, list[str]]:
    """Whether checkpoints may be unpickled, and the other words; Ultralytics has no such argument."""
    given = [word for word in words if word.lstrip("-").startswith("trust=")]
    values = parse_arguments("yolo-focal", (TRUST,), given)
    return bool(values["trust"]), [word for word in words if word not in given]


def checked_words(words: Sequence[str]) -> list[str]:
    """`words` with `cfg=` as a path, after checking all they say."""
    cfg = host.cfg
    known = host.DEFAULT_CFG_DICT
    verbs = {*cfg.MODES, *cfg.TASKS}
    given: dict[str, Any] = {}
    from_file: dict[str, Any] = {}
    checked: list[str] = []
    path: Path | None = None
    try:
        merged = cfg.merge_equals_args(list(words))
    except SyntaxError as error:
        raise ConfigError(str(error)) from error
    for word in (merged_word.lstrip("-").rstrip(",") for merged_word in merged):
        name, separator, value = word.partition("=")
        if separator and not value.strip():
            raise ConfigError(f"'{word}' has no value; write {name}=VALUE")
        if word.count("[") != word.count("]"):  # refused above by newer versions of Ultralytics only
            raise ConfigError(f"'{word}' has an unmatched '[' or ']' bracket")
        if name == "cfg" and separator:
            if path is not None:
                raise ConfigError(f"cfg= is given twice, {path} and {value.strip()}; put their lines into one file")
            path = find_hyp(value.strip())
            from_file = read_hyp(path)
            if is_classic(from_file):
                continue
            checked.insert(0, f"cfg={path}")  # older versions of Ultralytics forget what they read before it
            continue
        if separator:
            given.update([cfg.parse_key_value_pair(word)])
        elif word in verbs:
            given["mode" if word in cfg.MODES else "task"] = word
        elif word in known and not isinstance(known[word], bool) and word not in _BARE_SWITCHES:
            raise ConfigError(f"'{word}' has no value; write {word}=VALUE")
        else:
            given[word] = True
        checked.append(word)
    if path is not None and is_classic(from_file):
        if "model" not in given:
            raise ConfigError(f"cfg={path} is a YOLOv5 file for an anchor detector; add model=yolov5n-anchor.yaml")
        from_file = translate_for(load_model(str(given["model"])).model, from_file, path)
        checked += [f"{name}={value}" for name, value in from_file.items() if name not in given]
    _check({**from_file, **given}, known, verbs)
    return checked


def _check(given: dict[str, Any], known: dict[str, Any], verbs: set[str]) -> None:
    ours = {**known, **dict.fromkeys(verbs), **dict.fromkeys(_BARE_SWITCHES)}
    check_call(given, ours)
    if problems := misspelt(given, ours):
        raise ConfigError(problems)
    try:
        stock = {n: v for n, v in given.items() if n in known and n not in TRAINING_KEYS and n != "data"}
        host.get_cfg(overrides=stock)
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from error
    if isinstance(given.get("model"), str):
        refuse_missing(given["model"])
        refuse_original_yolov5(given["model"])
    if given.get("data") is not None:
        _check_data(resolve_data(given["data"], draw=False), given)
    check_before_run(given)


def _check_data(data: Any, given: dict[str, Any]) -> None:
    """As `check_data_exists`; a classifier's dataset is a folder, which Ultralytics also finds or downloads by name."""
    try:
        check_data_exists(data)
    except DataError:
        place = Path(str(data))
        by_name = exists(datasets_folder() / place) or (place.name == str(data) and not place.suffix)
        task = load_model(str(given["model"])).task if by_name and "model" in given else given.get("task")
        if not by_name or task != "classify":
            raise
