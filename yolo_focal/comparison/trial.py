"""One trial of a comparison: train, check what really ran, evaluate, and say so in one row."""

import json
import shutil
import traceback
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import yolo_focal
from yolo_focal.arguments.anchor import ANCHOR_KEYS
from yolo_focal.arguments.focal import KEYS, read_config
from yolo_focal.arguments.rare import read_rare_config
from yolo_focal.comparison.configurations import CLASS_WEIGHTED
from yolo_focal.errors import ConfigError, DataError
from yolo_focal.evaluation.evaluation import Evaluation
from yolo_focal.evaluation.matches_file import load_matches, save_matches
from yolo_focal.evaluation.model import evaluate_model
from yolo_focal.files import fingerprint, write_json, write_text
from yolo_focal.ultra.drivers.quiet_training import train_quietly
from yolo_focal.ultra.drivers.running_criterion import expected_criterion
from yolo_focal.ultra.hooks.auto_alpha import settled_config
from yolo_focal.ultra.logger import warnings_only

__all__ = [
    "FirstEpoch",
    "MATCHES",
    "RUN",
    "TRAINED",
    "Trial",
    "check_used",
    "damage",
    "failed_row",
    "remove_weights",
    "run_trial",
    "seconds_of",
]

RUN, TRAINED, MATCHES = "run", "trained.json", "matches.npz"
_KEPT = ("weights/last.pt", "args.yaml")  # of a training
FirstEpoch = Callable[[float], None]  # takes the seconds that the first epoch of a training took
LONGEST_ERROR = 1000  # characters in the journal; error.txt has all of it
_OF_THE_FOLDER = ("project", "name", "exist_ok", "save_dir")  # differ from trial to trial by design


@dataclass(frozen=True)
class Trial:
    """What one training of a comparison is asked to be; plain values, so that it travels to any process.

    Attributes:
        configuration: its configuration's name.
        seed: seed of the training.
        folder: where everything of the trial is kept, absolute.
        model: architecture or checkpoint to train.
        arguments: all training arguments asked for, data and seed among them.
        split: split to evaluate on.
        measured_with: `conf`, `iou`, `max_det` and `nms` of the evaluation, where they are not those of `evaluate`.
    """

    configuration: str
    seed: int
    folder: Path
    model: str
    arguments: Mapping[str, Any]
    split: str
    measured_with: Mapping[str, Any]

    @property
    def label(self) -> str:
        """For progress lines."""
        return f"{self.configuration} seed {self.seed}"


def run_trial(trial: Trial, first_epoch: FirstEpoch | None = None) -> dict[str, Any]:
    """Carry `trial` out and return its row for the journal; an error becomes a row with status `failed`.

    A training that came to its end before is not repeated; one that did not is started afresh. Ultralytics' checkpoints
    keep the averaged weights in half precision only, so a resumed training would not be the one that was asked for.

    Args:
        trial: what to do.
        first_epoch: is called after the first epoch.
    """
    yolo_focal.enable()
    try:
        return _finished(trial, first_epoch)
    except Exception as error:  # whatever a training can raise must not end the other trials
        trial.folder.mkdir(parents=True, exist_ok=True)
        write_text(trial.folder / "error.txt", traceback.format_exc())
        return failed_row(trial, error)


def remove_weights(folder: Path, keep: str) -> None:
    """Remove the checkpoints of a trial that is evaluated and noted, all but those to `keep`.

    Args:
        folder: of the trial.
        keep: `last`, `best`, `all` or `none`.
    """
    for checkpoint in (folder / RUN / "weights").glob("*.pt"):
        if keep not in ("all", checkpoint.stem):
            checkpoint.unlink()


def seconds_of(folder: Path) -> float | None:
    """How long the trial in `folder` trained; None where its training did not come to the end."""
    try:
        return float(json.loads((folder / TRAINED).read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def damage(trial: Trial, row: Mapping[str, Any]) -> str | None:
    """What is wrong with the files of a trial whose `row` in the journal says that it is finished; None if nothing."""
    path = trial.folder / MATCHES
    if MATCHES not in row.get("files", {}):  # of an earlier version
        try:
            load_matches(path)
        except DataError as error:
            return str(error)
        return None
    return _changed(path, row["files"][MATCHES])


def _changed(path: Path, before: Any) -> str | None:
    try:
        return None if fingerprint(path) == before else f"{path.name} is not what was written"
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror})"


def failed_row(trial: Trial, error: Exception) -> dict[str, Any]:
    """The journal's row of a trial that `error` ended."""
    reason = " ".join(str(error).split()) or "no message"
    return _row(trial, "failed") | {"error": f"{type(error).__name__}: {reason}"[:LONGEST_ERROR]}


def _row(trial: Trial, status: str) -> dict[str, Any]:
    return {"configuration": trial.configuration, "seed": trial.seed, "status": status}


def _finished(trial: Trial, first_epoch: FirstEpoch | None) -> dict[str, Any]:
    criterion = _trained(trial, first_epoch)
    arguments = _yaml(trial.folder / RUN / "args.yaml")
    used = {name: value for name, value in arguments.items() if name not in _OF_THE_FOLDER}
    check_used(trial.arguments, used, criterion)
    with warnings_only():
        evaluation = evaluate_model(
            trial.folder / RUN / "weights" / "last.pt",
            trial.arguments["data"],
            split=trial.split,
            imgsz=trial.arguments["imgsz"],
            batch=trial.arguments["batch"],
            device=trial.arguments.get("device"),
            **trial.measured_with,
        ).evaluation
    save_matches(trial.folder / MATCHES, evaluation.matches)
    files = {MATCHES: fingerprint(trial.folder / MATCHES)}
    found = {"criterion": criterion, "arguments": used, **_numbers(evaluation), "files": files}
    return _row(trial, "finished") | found


def _trained(trial: Trial, first_epoch: FirstEpoch | None) -> dict[str, str]:
    """Train, unless that is done and all of it is there; the criterion that ran."""
    try:
        record = _record(trial)
    except FileNotFoundError:
        record = None
    except DataError as error:
        print(f"{trial.label}: {error}; it is trained again", flush=True)
        record = None
    if record is None:
        (trial.folder / TRAINED).unlink(missing_ok=True)
        shutil.rmtree(trial.folder / RUN, ignore_errors=True)
        model = train_quietly(trial.model, trial.folder / RUN, trial.label, trial.arguments, first_epoch)
        files = {name: fingerprint(trial.folder / RUN / name) for name in _KEPT}
        record = {"seconds": model.seconds, "criterion": model.criterion, "files": files}
        write_json(trial.folder / TRAINED, record)
    criterion: dict[str, str] = record["criterion"]
    return criterion


def _record(trial: Trial) -> dict[str, Any]:
    """What was noted when the training ended.

    Raises:
        FileNotFoundError: it did not.
        DataError: the note, or a file of the training that is still needed, is damaged.
    """
    path = trial.folder / TRAINED
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        float(record["seconds"])
        dict(record["criterion"])
        files = dict(record.get("files", {}))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{TRAINED} is damaged") from error
    for name in _KEPT:
        kept = trial.folder / RUN / name
        problem = _changed(kept, files[name]) if name in files else _implausible(kept)
        if problem is not None:
            raise DataError(problem)
    return record


def _implausible(path: Path) -> str | None:
    """What is wrong at first sight with a file of which no fingerprint was kept."""
    try:
        whole = zipfile.is_zipfile(path) if path.suffix == ".pt" else isinstance(_yaml(path), dict)
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        whole = False
    return None if whole else f"{path.name} is damaged"


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def check_used(asked: Mapping[str, Any], used: Mapping[str, Any], criterion: Mapping[str, str]) -> None:
    """Raise ConfigError where a training was not the one asked for.

    Args:
        asked: the arguments given to the trainer.
        used: those in its args.yaml.
        criterion: the class criterion of each branch, read off the running training.
    """
    # An anchor detector's arguments are in args.yaml where they are not at their defaults.
    acted = {**{name: key.default for name, key in ANCHOR_KEYS.items() if name in asked}, **used}
    problems = [
        f"{name}={value!r} was asked for, {acted.get(name)!r} was used"
        for name, value in asked.items()
        if name not in ("device", "focal") and acted.get(name) != value
    ]
    config = read_config(asked)
    plugin_keys = {name: used[name] for name in KEYS if name in used}
    if read_config(plugin_keys) != config:
        problems.append(f"the settings {config or 'BCE'} were asked for, {plugin_keys or 'BCE'} were used")
    if read_rare_config(used) != read_rare_config(asked):
        problems.append(f"{read_rare_config(asked) or 'no rare_*'} was asked for, {read_rare_config(used)} was used")
    expected = expected_criterion(
        list(criterion),
        settled_config({**asked, "task": used.get("task")}),
        bool(asked.get(CLASS_WEIGHTED) or asked.get("fl_class_weights")),
    )
    if dict(criterion) != expected:
        problems.append(f"the criterion {expected} was asked for, {dict(criterion) or 'none'} ran")
    if not criterion:
        problems.append("the criterion was never seen running")
    if problems:
        raise ConfigError(problems)


def _numbers(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "images": evaluation.images,
        "objects": evaluation.objects,
        "stats": evaluation.stats,
        "class_ap": {each.category.name: each.ap for each in evaluation.classes if each.objects},
        "best_f1_threshold": None if evaluation.best_f1 is None else evaluation.best_f1.threshold,
    }
