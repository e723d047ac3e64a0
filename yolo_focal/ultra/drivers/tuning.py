"""Ultralytics' own tuner and its Ray Tune with the focal arguments in the space, every trial checked."""

import contextlib
import importlib
import json
import math
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from yolo_focal.arguments.classic_hyp import refuse_classic
from yolo_focal.arguments.focal import focal_keys
from yolo_focal.arguments.hyp import find_hyp, read_hyp
from yolo_focal.arguments.rare import RARE_SWITCHES
from yolo_focal.console import PART_OF_A_RUN, is_quiet, pasteable
from yolo_focal.errors import ConfigError, MissingExtraError, reason_of
from yolo_focal.files import check_writable, write_text
from yolo_focal.text_table import aligned
from yolo_focal.ultra import host
from yolo_focal.ultra.datasets import refuse_unusable_data
from yolo_focal.ultra.drivers.load_model import load_model
from yolo_focal.ultra.drivers.search_space import Space, check_space, read_space, start_values
from yolo_focal.ultra.training import check_training

__all__ = ["TuningResult", "TuningTrial", "applied_values", "load_for_tuning", "trial_lines", "tune", "tuned"]

_ROUNDING = 1e-6  # tuners round to 5 decimals before they start a trial; files keep every digit
# arguments that say how a training is run, not what is learned
_OF_THE_RUN = frozenset([
    "batch", "cache", "cfg", "data", "deterministic", "device", "epochs", "exist_ok", "fraction", "imgsz", "mode",
    "model", "name", "patience", "plots", "profile", "project", "resume", "save", "save_period", "seed", "task", "time",
    "val", "verbose", "workers",
])  # fmt: skip


@dataclass(frozen=True)
class TuningTrial:
    """One training of a tuning.

    Attributes:
        values: what the tuner asked for, by argument.
        fitness: Ultralytics' measure of the trained model, with Ray its mAP50-95; None where the training failed.
    """

    values: dict[str, float]
    fitness: float | None


@dataclass(frozen=True)
class TuningResult:
    """A finished tuning.

    Attributes:
        folder: where the tuner keeps its results.
        trials: in order, those of a resumed tuning included.
        settings: the training arguments that were given for all trials, and the optimizer.
    """

    folder: Path
    trials: tuple[TuningTrial, ...]
    settings: dict[str, Any]

    @property
    def best(self) -> TuningTrial | None:
        """The trial of greatest fitness; None where all failed."""
        done = [trial for trial in self.trials if trial.fitness is not None]
        return max(done, key=lambda trial: trial.fitness or 0.0, default=None)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The best trial as training arguments; nothing where all failed."""
        shared = {name: value for name, value in self.settings.items() if name not in _OF_THE_RUN}
        return {**shared, **self.best.values} if self.best is not None else {}


def load_for_tuning(name: str, space: Space, given: Mapping[str, Any]) -> Any:
    """The `ultralytics.YOLO` to tune, after checking that a training with `given` and `space` could start.

    Raises:
        YoloFocalError: the model, the dataset or an argument cannot be used.
    """
    model = load_model(name)
    try:
        host.get_cfg(overrides=dict(given))
    except (TypeError, ValueError) as error:
        raise ConfigError(reason_of(error)) from error
    _check_ends(model.model, space, given)
    return model


def _check_ends(model: Any, space: Space, given: Mapping[str, Any]) -> None:
    """Check a training at the low ends of all ranges, and one at the high ends: settings may not fit each other."""
    high = {key: bounds[1] for key, bounds in space.items()}
    # 0 switches the rare levers off, and what is off cannot be found unable to act.
    low = {key: high[key] if key in RARE_SWITCHES else bounds[0] for key, bounds in space.items()}
    for end, searched in {"low": low, "high": high}.items():
        try:
            check_training(model, {**given, **searched})
        except ConfigError as error:
            raise ConfigError([f"at the {end} end of the space {problem}" for problem in error.problems]) from error


def tune(model: Any, space: Space, iterations: int, given: Mapping[str, Any], *, use_ray: bool = False) -> TuningResult:
    """Let Ultralytics search `space`; needs the plugin enabled and the space checked.

    A trial whose args.yaml does not have the values asked for counts as failed.

    Args:
        model: from `load_for_tuning`.
        space: from `read_space`.
        iterations: number of trials.
        given: training arguments for all trials.
        use_ray: Ray Tune in place of the tuner that runs one trial after the other.

    Raises:
        MissingExtraError: Ray Tune is not installed.
    """
    given = {**given, **start_values(space, given)}
    if focal_keys(space):
        given["focal"] = True
    return _tune_with_ray(model, space, iterations, given) if use_ray else _tune(model, space, iterations, given)


def applied_values(run: Path, asked: Mapping[str, Any]) -> str | None:
    """A sentence about what a training's args.yaml has other than `asked`; None where all is as asked."""
    try:
        applied = yaml.safe_load((run / "args.yaml").read_text(encoding="utf-8"))
    except OSError:
        return f"{run} has no args.yaml"
    except (ValueError, yaml.YAMLError):
        applied = None
    if not isinstance(applied, dict):
        return f"{run}/args.yaml is damaged"
    wrong = [
        f"{key}={applied.get(key)} in place of {value}"
        for key, value in asked.items()
        if not _equal(applied.get(key), value)
    ]
    return f"{run}/args.yaml has {', '.join(wrong)}" if wrong else None


def _equal(applied: Any, asked: Any) -> bool:
    numbers = isinstance(applied, int | float) and isinstance(asked, int | float)
    return math.isclose(applied, asked, rel_tol=_ROUNDING, abs_tol=_ROUNDING) if numbers else applied == asked


def _tune(model: Any, space: Space, iterations: int, given: Mapping[str, Any]) -> TuningResult:
    with _watched_tuner(space) as made:
        try:
            model.tune(space=dict(space), iterations=iterations, **given)
        except KeyboardInterrupt as interruption:
            raise KeyboardInterrupt(_what_is_kept(made, iterations)) from interruption
    tuner = made[0]
    records = _records(tuner)
    return TuningResult(
        folder=tuner.tune_dir,
        trials=tuple(
            TuningTrial(record["hyperparameters"], record["fitness"] if tuner._has_training_metrics(record) else None)
            for record in records
        ),
        settings={name: getattr(tuner.args, name) for name in {**given, "optimizer": None}},
    )


def _records(tuner: Any) -> list[dict[str, Any]]:
    """What the tuner wrote down of every trial that came to its end; half a line is none, as a kill leaves it."""
    if not tuner.tune_file.exists():
        return []
    written = tuner.tune_file.read_text(encoding="utf-8")
    return [json.loads(line) for line in written[: written.rfind("\n") + 1].splitlines() if line.strip()]


def _what_is_kept(made: Sequence[Any], iterations: int) -> str:
    """What an interrupted tuning leaves behind, and how to go on."""
    done = len(_records(made[0])) if made else 0
    if not done:
        return "no trial had come to its end, so that there is nothing to go on with; start again"
    folder = made[0].tune_dir
    return (
        f"{done} of {iterations} trials have come to their end and are kept in {folder}; the same command again with "
        f"resume=True project={shlex.quote(str(folder.parent))} name={shlex.quote(folder.name)} goes on with the others"
    )


@contextlib.contextmanager
def _watched_tuner(space: Space) -> Iterator[list[Any]]:
    """Yield a list that will hold the tuner; inside the block each of its trainings is checked when it ends.

    The tuner takes an exception for a failed trial, so this is how a trial with other values is never the best.
    """
    module = host.tuner_module
    original_tuner, original_run = module.Tuner, subprocess.run
    made: list[Any] = []

    class WatchedTuner(original_tuner):  # type: ignore[misc,valid-type]
        def __init__(self, *args: Any, **kwargs: Any):
            super().__init__(*args, **kwargs)
            made.append(self)

    def run(command: Any, *args: Any, **kwargs: Any) -> Any:
        output = {"stdout": subprocess.DEVNULL} if is_quiet() else {}
        finished = original_run(command, *args, **{"env": {**os.environ, PART_OF_A_RUN: "1"}, **output, **kwargs})
        words = dict(str(word).split("=", 1) for word in command if "=" in str(word))
        if "save_dir" in words:
            asked = {key: float(words[key]) for key in space}
            if problem := applied_values(Path(words["save_dir"]), asked):
                raise ConfigError(problem)
        return finished

    module.Tuner = WatchedTuner
    subprocess.run = run  # type: ignore[assignment]
    try:
        yield made
    finally:
        module.Tuner = original_tuner
        subprocess.run = original_run


def _tune_with_ray(model: Any, space: Space, iterations: int, given: Mapping[str, Any]) -> TuningResult:
    try:
        ray_tune = importlib.import_module("ray.tune")
        importlib.import_module("optuna")  # searches for Ultralytics unless told otherwise
    except ImportError as error:
        raise MissingExtraError(
            f"use_ray=True needs Ray Tune and Optuna ({' '.join(str(error).split())}); install them: "
            "pip install 'yolo_focal[ray]', or leave use_ray out"
        ) from error
    whole = host.cfg.CFG_INT_KEYS
    ranges = {
        key: ray_tune.randint(math.ceil(low), math.floor(high) + 1) if key in whole else ray_tune.uniform(low, high)
        for key, (low, high, *_) in space.items()
    }
    folder = host.get_save_dir(host.get_cfg(overrides={**given, "mode": "train", "task": model.task}), name="tune")
    fixed = {"optimizer": "AdamW", **given, "project": str(folder.parent), "name": folder.name}
    start = {key: value for key, value in fixed.items() if key not in space}
    grid = model.tune(use_ray=True, space=ranges, iterations=iterations, **start)
    measure = host.TASK2METRIC[model.task]  # what Ultralytics lets Ray maximise
    return TuningResult(folder, tuple(_ray_trial(result, space, folder, measure) for result in grid), start)


def _ray_trial(result: Any, space: Space, folder: Path, measure: str) -> TuningTrial:
    values = {key: result.config[key] for key in space}
    fitness = (result.metrics or {}).get(measure)
    run = folder.with_name(f"{folder.name}_{str((result.metrics or {}).get('trial_id')).split('_')[-1]}")
    if result.error is not None or fitness is None or applied_values(run, values) is not None:
        return TuningTrial(values, None)
    return TuningTrial(values, float(fitness))


def tuned(arguments: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[TuningResult, Path | None, str]:
    """Check everything, search, write the best values; the trials, that file, and the command that uses it.

    Args:
        arguments: by the names of `yolo-focal tune`.
        given: training arguments for all trials.

    Raises:
        YoloFocalError: the space or an argument is wrong; no trial was started.
    """
    fixed = dict(given)
    if fixed.get("cfg"):
        path = find_hyp(fixed.pop("cfg"))
        from_file = read_hyp(path)
        refuse_classic(from_file, f"cfg={path}")
        fixed = {**from_file, **fixed}
    fixed["data"] = arguments["data"]
    space = read_space(find_hyp(arguments["space"], "space"))
    check_space(space, fixed)
    if arguments["out"] is not None:
        check_writable(arguments["out"])
    refuse_unusable_data(arguments["data"], labelled=("train", "val"))  # else every fitness is 0, and one the best
    model = load_for_tuning(arguments["model"], space, fixed)
    result = tune(model, space, arguments["iterations"], fixed, use_ray=arguments["use_ray"])
    if result.best is None:
        return result, None, ""
    out: Path = arguments["out"] or result.folder / "best.yaml"
    write_text(out, _hyp_text(result, result.best))
    words = (f"model={arguments['model']}", f"data={arguments['data']}", f"cfg={out}")
    return result, out, pasteable("train", *words)


def _hyp_text(result: TuningResult, best: TuningTrial) -> str:
    number = result.trials.index(best) + 1
    lines = [
        f"# The best of {len(result.trials)} trials of yolo-focal tune: trial {number}, fitness {best.fitness:.5f}.",
        "# Use:     yolo-focal train model=MODEL data=DATA cfg=THIS_FILE",
        f"# Trials:  {result.folder}",
        "",
    ]
    return "\n".join(lines) + "\n" + yaml.safe_dump(result.hyperparameters, sort_keys=False)


def trial_lines(result: TuningResult) -> list[str]:
    """A table of the trials, the best one marked."""
    best = result.best
    assert best is not None
    # Of all trials: a search that was resumed may have had another space before.
    searched = dict.fromkeys(key for trial in result.trials for key in trial.values)
    rows = [["trial", "fitness", *searched]]
    for position, trial in enumerate(result.trials, 1):
        fitness = "failed" if trial.fitness is None else f"{trial.fitness:.5f}"
        values = [f"{trial.values[key]:g}" if key in trial.values else "-" for key in searched]
        rows.append([f"{position}{'*' if trial is best else ''}", fitness, *values])
    return aligned(rows, left=0)
